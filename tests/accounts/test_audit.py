"""The hash chains: what they hold, that they hold under many writers, and what they notice."""

import datetime
import threading

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, connections, transaction

from accounts import audit
from accounts.actors import SYSTEM, Actor
from accounts.models import ApiToken, AuditChain, AuditEntry, User
from tests import factories
from tests.samples import sample

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def write(tenant, count=5):
    for n in range(count):
        audit.record(by=SYSTEM, action="tenant.look", row=tenant, tenant=tenant, before={"n": n}, after={"n": n + 1})


def at(tenant, sequence):
    return AuditEntry.objects.filter(chain=tenant.name, sequence=sequence)


def test_a_chain_in_order_has_no_faults(acme, other):
    write(acme)
    write(other, 3)
    assert audit.verify("acme") == audit.verify("other") == audit.verify("") == []
    assert list(AuditEntry.objects.filter(chain="acme").order_by("sequence").values_list("sequence", flat=True)) == [
        1,
        2,
        3,
        4,
        5,
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "mallory"},
        {"after": {"n": 99}},
        {"before": None},
        {"action": "tenant.hide"},
        {"object_name": "x"},
        {"object_id": "x"},
        {"via": "x"},
        {"at": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_entry_is_named(acme, change):
    write(acme)
    at(acme, 3).update(**change)
    assert [(fault.sequence, fault.problem) for fault in audit.verify("acme")] == [(3, "its content was changed")]


def test_a_changed_entry_with_a_new_hash_breaks_the_next(acme):
    write(acme)
    entry = at(acme, 3).get()
    entry.actor = "mallory"
    entry.hash = audit.hash_of(entry)
    entry.save()
    assert [fault.sequence for fault in audit.verify("acme")] == [4]


@pytest.mark.parametrize("gone", [1, 3, 5])
def test_a_removed_entry_is_named(acme, gone):
    write(acme)
    at(acme, gone).delete()
    faults = audit.verify("acme")
    assert faults[0].sequence == gone and f"entry {gone} was removed" in faults[0].problem


def test_an_inserted_entry_is_named(acme):
    write(acme)
    last = at(acme, 5).get()
    forged = AuditEntry(
        chain="acme", sequence=6, at=last.at, actor="mallory", action="x", object_type="x", previous_hash=last.hash
    )
    forged.hash = audit.hash_of(forged)
    forged.save()
    assert [(fault.sequence, "inserted" in fault.problem) for fault in audit.verify("acme")] == [(6, True)]


def test_a_removed_head_is_noticed(acme):
    write(acme)
    AuditChain.objects.filter(name="acme").delete()
    assert audit.verify("acme")[0].problem == "the head of the chain was removed"


def test_the_command_says_which_entry_and_ends_with_1(acme, capsys):
    write(acme)
    call_command("verify_audit")
    assert "acme: 5 entries in order, head" in capsys.readouterr().out
    at(acme, 2).update(actor="mallory")
    with pytest.raises(CommandError) as failure:
        call_command("verify_audit")
    assert failure.value.returncode == 1
    assert "acme: entry 2: its content was changed" in capsys.readouterr().err


def test_an_entry_of_a_change_that_was_taken_back_is_taken_back(acme):
    write(acme, 2)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        write(acme, 1)
        raise ZeroDivisionError
    write(acme, 1)
    assert audit.verify("acme") == [] and at(acme, 3).exists()


@pytest.mark.django_db(transaction=True)
def test_many_writers_at_once_make_one_chain():
    acme = factories.tenant("acme")
    failures = []

    def work():
        try:
            for _ in range(20):
                audit.record(by=SYSTEM, action="tenant.look", row=acme, tenant=acme)
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert AuditEntry.objects.filter(chain="acme").count() == 120
    assert audit.verify("acme") == []


def test_numbers_times_and_odd_text_come_back_as_they_were_hashed(acme):
    odd = {
        "float": 1.0, "big": 1.5e300, "small": 1e-7, "nan": float("nan"), "nul": "a\x00b", "text": "ä😀\u2028",
        "at": datetime.datetime.now(datetime.UTC), "deep": [{"x": (1, 2.50)}], "large": 2**63,
    }  # fmt: skip
    audit.record(by=Actor(user=None, via="x" * 99), action="odd.one", row=acme, tenant=acme, after=odd)
    assert audit.verify("acme") == []


def test_only_what_differs_is_kept(acme):
    entry = audit.record(
        by=SYSTEM, action="a.b", row=acme, tenant=acme, before={"a": 1, "b": 2}, after={"a": 1, "b": 3}
    )
    assert (entry.before, entry.after) == ({"b": 2}, {"b": 3})


def test_a_snapshot_holds_no_secret(alice, acme):
    secret = factories.secret(acme, value="unmistakable")
    token = sample(ApiToken, acme)
    shown = [audit.snapshot(row) for row in (secret, token, User.objects.get(pk=alice.pk))]
    assert shown[0]["ciphertext"] == shown[1]["secret_hash"] == shown[2]["password"] == audit.MASK
    assert shown[0]["name"] == secret.name and shown[2]["username"] == "alice"


def test_secrets_inside_of_json_are_masked_by_their_name():
    told = audit.masked(
        "inputs",
        {"db_password": "x", "size": 3, "list": [{"api_token": "y", "url": "z"}], "value": "v", "secret_names": ["k"]},
    )
    assert told == {
        "db_password": audit.MASK,
        "size": 3,
        "list": [{"api_token": audit.MASK, "url": "z"}],
        "value": audit.MASK,
        "secret_names": ["k"],
    }


def test_a_record_costs_few_queries(acme, django_assert_max_num_queries):
    write(acme, 1)
    with django_assert_max_num_queries(5 if connection.vendor == "sqlite" else 6):
        audit.record(by=SYSTEM, action="a.b", row=acme, tenant=acme)


def test_managers_read_their_own_chain_and_administrators_all(client, alice, acme, other, admin):
    write(acme, 2)
    write(other, 1)
    manager = factories.user("mia")
    factories.member(manager, acme, "manager")
    client.force_login(manager)
    assert {entry["chain"] for entry in client.get("/api/v1/audit/").json()["results"]} == {"acme"}
    assert client.get("/api/v1/audit/?chain=other").json()["count"] == 0
    client.force_login(alice)
    assert client.get("/api/v1/audit/").status_code == 403
    client.force_login(admin)
    assert client.get("/api/v1/audit/?chain=other&action=tenant.look").json()["count"] == 1
    assert client.post("/api/v1/audit/", {}).status_code == 405


def test_the_trail_is_searched_by_time(client, admin, acme):
    write(acme, 2)
    client.force_login(admin)
    moment = AuditEntry.objects.filter(chain="acme").order_by("-sequence").first().at.isoformat().replace("+00:00", "Z")
    assert client.get(f"/api/v1/audit/?chain=acme&since={moment}").json()["count"] == 1
