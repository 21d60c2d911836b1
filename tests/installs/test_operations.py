"""What operations on hosts decide by: digests of passwords, and what is missing to a whole database, queue and etcd."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import bcrypt
import psycopg.pq
import pytest

from installs import plans
from installs.operations import database, queue
from installs.operations.applying import Configure, digest_of
from installs.rendering.monitoring import stable_hash
from installs.rendering.values import RenderedFile
from runs.operations import REGISTRY, Operation
from tests.installs.layouts import ten

WANTED = SimpleNamespace(layout=ten())


def member(name: str, role: str = "Replica", state: str = "streaming") -> dict[str, str]:
    return {"Member": name, "Role": role, "State": state}


def test_a_verifier_is_the_one_that_postgresql_itself_makes():
    connection = psycopg.pq.PGconn.connect_start(b"host=/nonexistent")
    theirs = connection.encrypt_password(b"a-password", b"deployon", b"scram-sha-256").decode()
    connection.finish()
    assert database.is_verifier_of(theirs, "a-password")
    assert not database.is_verifier_of(theirs, "another")
    assert database.is_verifier_of(database.verifier_of("a-password"), "a-password")


@pytest.mark.parametrize("stored", ["", "md5abc", "SCRAM-SHA-256$x:y$z", "SCRAM-SHA-256$4096:c2FsdA==$a:b"])
def test_what_is_no_verifier_of_the_password_is_told_apart(stored):
    assert not database.is_verifier_of(stored, "a-password")


def test_a_digest_for_rabbitmq_is_known_again_and_salted():
    first, second = queue.hash_of("a-password"), queue.hash_of("a-password")
    assert first != second and queue.is_hash_of(first, "a-password") and not queue.is_hash_of(first, "another")


def test_the_hash_for_prometheus_is_right_and_the_same_each_time():
    found = stable_hash("a-password")
    assert found == stable_hash("a-password") and bcrypt.checkpw(b"a-password", found.encode())


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([], "no member leads"),
        ([member("db1", "Leader", "running"), member("db2", "Sync Standby")], "db3 has not joined"),
        (
            [
                member("db1", "Leader", "running"),
                member("db2", "Sync Standby"),
                member("db3", state="creating replica"),
            ],
            "db3 is creating replica",
        ),
        ([member("db1", "Leader", "running"), member("db2"), member("db3")], "no replica is synchronous"),
        ([member("db1", "Leader", "running"), member("db2", "Sync Standby"), member("db3")], ""),
    ],
)
def test_what_a_database_still_lacks_is_said(members, words):
    said = database.fault_of(WANTED, members)
    assert (words in said and said.startswith("Waiting for")) if words else said == ""


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({}, "does not answer"),
        ({"running_nodes": ["rabbit@mq1", "rabbit@mq2"]}, "rabbit@mq3 does not run"),
        ({"running_nodes": ["rabbit@mq1", "rabbit@mq2", "rabbit@mq3"], "partitions": {"a": ["b"]}}, "partition"),
        ({"running_nodes": ["rabbit@mq1", "rabbit@mq2", "rabbit@mq3"], "alarms": [{"a": 1}]}, "takes no messages"),
        ({"running_nodes": ["rabbit@mq1", "rabbit@mq2", "rabbit@mq3"], "alarms": [], "partitions": {}}, ""),
    ],
)
def test_what_a_queue_still_lacks_is_said(status, words):
    said = queue.fault_of(WANTED, status)
    assert (words in said and said.startswith("Waiting for")) if words else said == ""


def test_another_owner_or_place_of_a_file_is_another_digest():
    file = RenderedFile("/etc/a", "content", "root", "root", 0o640)
    for change in ({"path": "/etc/b"}, {"owner": "etcd"}, {"mode": 0o600}, {"content": "other"}):
        assert digest_of([dataclasses.replace(file, **change)]) != digest_of([file])


def test_no_operation_hides_what_the_engine_calls_by_its_name():
    """`prepare` is told of many steps at once: a method of another shape there would be called wrongly."""
    for known in REGISTRY.values():
        if issubclass(known, Configure):
            assert known.prepare.__func__ is Operation.prepare.__func__


def test_every_operation_of_a_plan_bears_being_stored_and_has_no_secret_in_it():
    for stage in plans.install_stages(1, ten()):
        for lane in stage["lanes"]:
            for each in lane["operations"]:
                assert set(each["args"]) <= {"cluster", "host", "is_installed", "part"}
                assert each["describe"]
