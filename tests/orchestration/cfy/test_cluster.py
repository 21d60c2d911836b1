"""`cfy cluster ...` against an installation that stands alone, and against a member of a cluster."""

from __future__ import annotations

import time

import pytest

from inventory.health import members
from tests.inventory.prometheus_double import LAYOUT, PASSWORD, USER, Cluster
from tests.orchestration.cfy.commandline import Cfy
from tests.orchestration.running import CAST, Manager


@pytest.fixture(scope="module")
def member(tmp_path_factory):
    """A portal that is one manager of a cluster of four hosts, and its hosts."""
    folder = tmp_path_factory.mktemp("member")
    with Cluster() as servers:
        (folder / "password").write_text(PASSWORD)
        (folder / "ca.crt").write_text(servers.authority.pem)
        told = members.Monitoring(servers.port, USER, str(folder / "password"), str(folder / "ca.crt"))
        (folder / "cluster.json").write_text(members.to_text(LAYOUT, told))
        running = Manager(folder / "data", env={"CLUSTER_FILE": str(folder / "cluster.json")})
        try:
            running.start()
            running.run(CAST)
            program = Cfy(folder / "home")
            program.use(running.url)
            yield program, servers
        finally:
            running.process.close()


def test_alone_it_is_one_manager_with_its_own_database_and_broker(cfy):
    assert "Current cluster status is OK" in cfy("cluster status").text
    managers, brokers, nodes = (
        cfy.rows("cluster managers list"),
        cfy.rows("cluster brokers list"),
        cfy.rows("cluster db-nodes list"),
    )
    assert len(managers) == len(brokers) == len(nodes) == 1
    assert managers[0]["hostname"] == brokers[0]["name"] == nodes[0]["name"] and managers[0]["last_seen"]


def test_the_tables_have_an_answer_for_each_column(member):
    cfy, _ = member
    assert cfy.table("cluster managers list")[:3] == ["hostname", "private_ip", "public_ip"]
    assert cfy.table("cluster brokers list") == ["name", "port", "networks", "is_external", "host"]
    assert cfy.table("cluster db-nodes list") == ["name", "host", "is_external"]


def test_a_member_tells_of_all_hosts(member):
    cfy, _ = member
    assert "Current cluster status is OK" in cfy("cluster status").text
    assert [row["hostname"] for row in cfy.rows("cluster managers list")] == ["c1", "c2", "c3"]
    assert [row["host"] for row in cfy.rows("cluster brokers list")] == ["127.0.0.11", "127.0.0.12", "127.0.0.13"]
    assert [row["name"] for row in cfy.rows("cluster db-nodes list")] == ["c1", "c2", "c3"]


def test_the_client_learns_of_the_other_managers(member):
    cfy, _ = member
    assert "Profile is up to date with 9 nodes" in cfy("cluster update-profile").text


def test_a_node_that_stopped_shows(member):
    cfy, servers = member
    servers.moment = "queue node stopped"
    until = time.monotonic() + 15
    said = cfy.one("cluster status")
    while said["status"] == "OK" and time.monotonic() < until:  # what was seen a moment ago is good for three seconds
        time.sleep(0.3)
        said = cfy.one("cluster status")
    servers.moment = "healthy"
    assert said["status"] == said["services"]["broker"]["status"] == "Degraded"
    assert said["services"]["db"]["status"] == "OK"
