"""What is done of itself every so often, by whoever sweeps."""

from __future__ import annotations

import pytest
from kombu.exceptions import OperationalError

from runs import chores, sweeper


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(chores, "CHORES", {})
    chores.register("often", 10)
    chores.register("seldom", 100)


def test_each_is_sent_at_once_and_then_as_often_as_it_is_due(registered):
    sent, rota = [], chores.Rota()
    for now in range(0, 201, 5):
        rota.send_due(float(now), lambda task, seconds: sent.append((task, seconds)))
    assert sent.count(("often", 10)) == 21 and sent.count(("seldom", 100)) == 3


def test_what_the_broker_does_not_take_is_sent_when_it_does(registered):
    rota, sent = chores.Rota(), []

    def refuse(task, seconds):
        raise OperationalError("no broker")

    assert rota.send_due(1.0, refuse) == ["often", "seldom"] and rota.sent_at == {}
    rota.send_due(2.0, lambda task, seconds: sent.append(task))
    assert sent == ["often", "seldom"]


@pytest.mark.django_db
def test_whoever_holds_the_lease_sends_them_and_nobody_else(registered, monkeypatch):
    sent = []
    monkeypatch.setattr(chores.Rota, "send_due", lambda self, now: sent.append(now))
    keeper = sweeper.Caretaker()
    keeper.turn()
    assert len(sent) == 1
    monkeypatch.setattr(sweeper.workers, "hold_lease", lambda name, seconds: False)
    other = sweeper.Caretaker()
    other.turn()
    assert len(sent) == 1


def test_clusters_are_among_them():
    assert chores.CHORES["installs.look_at_clusters"] == 15.0
