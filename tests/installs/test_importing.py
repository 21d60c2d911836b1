from __future__ import annotations

import pytest
import yaml

from installs import importing
from inventory.models import Cluster
from tests.installs import factories, layouts

pytestmark = pytest.mark.django_db

TRIO = """\
name: trio
entrance: 10.0.0.50
ssh: {ssh_user: ops, password: swordfish}
hosts:
  - name: n1
    private_address: 10.0.0.11
    parts: [etcd, database, queue, manager, balancer]
  - name: n2
    private_address: 10.0.0.12
    parts: etcd, database, queue, manager, balancer
  - name: n3
    private_address: 10.0.0.13
    parts: etcd database queue manager
"""
CSV = """\
name,private_address,parts,networks
n1,10.0.0.11,etcd+database+queue+manager,agents=10.9.0.1
n2,10.0.0.12,etcd+database+queue+manager,agents=10.9.0.2
n3,10.0.0.13,etcd+database+queue+manager,agents=10.9.0.3
"""


@pytest.fixture
def by(acme):
    return factories.actor(acme)


@pytest.fixture
def load(acme, by):
    def run(text, **more):
        return importing.import_layout(by=by, tenant=acme, text=text, **more)

    return run


def verdicts(report):
    return [(line.line, line.name, line.verdict) for line in report.lines]


def test_a_dry_run_tells_each_host_at_its_line_and_writes_nothing(load):
    report = load(TRIO, is_dry_run=True)
    assert verdicts(report) == [(5, "n1", "new"), (8, "n2", "new"), (11, "n3", "new")]
    assert not report.is_done and not Cluster.objects.exists() and not report.has_errors


def test_settings_of_the_service_come_from_a_file_and_go_into_an_export(load):
    text = TRIO.replace("ssh: {", "service_settings: {ENDPOINT_NETWORKS: 10.9.0.0/16, RUNNER_SLOTS: 16}\nssh: {")
    assert load(text).is_done
    cluster = Cluster.objects.get(name="trio")
    assert cluster.service_settings == {"ENDPOINT_NETWORKS": "10.9.0.0/16", "RUNNER_SLOTS": "16"}
    told = yaml.safe_load(importing.export_layout(cluster))
    assert told["service_settings"] == cluster.service_settings
    assert load(importing.export_layout(cluster)).is_done


def test_an_import_describes_the_cluster_and_the_second_one_changes_nothing(load):
    assert load(TRIO).is_done
    cluster = Cluster.objects.get(name="trio")
    assert cluster.layout() == layouts.compact() and cluster.nodes.first().ssh_user == "ops"
    assert {verdict for _, _, verdict in verdicts(load(TRIO))} == {"same"}


def test_a_changed_file_changes_adds_and_removes_hosts_in_the_files_order(load):
    load(TRIO)
    text = TRIO.replace("10.0.0.12", "10.0.0.22").replace("name: n3", "name: n0")
    report = load(text)
    assert verdicts(report) == [(5, "n1", "same"), (8, "n2", "changed"), (11, "n0", "new"), (0, "n3", "removed")]
    assert [host.name for host in Cluster.objects.get().layout().hosts] == ["n1", "n2", "n0"]
    assert Cluster.objects.get().nodes.get(name="n0").ssh_user == "ops"


def test_every_line_that_cannot_be_read_is_told_at_once(load):
    text = TRIO.replace("10.0.0.11\n", "10.0.0.11\n    colour: red\n").replace(
        "parts: etcd database", "parts: etcdd database"
    )
    report = load(text)
    faults = {line.line: " ".join(line.messages) for line in report.lines}
    assert "There is no such field" in faults[5] and "There is no part etcdd" in faults[12]
    assert not report.is_done and not Cluster.objects.exists()


def test_findings_of_the_layout_stop_an_import_unless_it_is_a_draft(load):
    text = TRIO.replace("entrance: 10.0.0.50\n", "")
    report = load(text)
    assert {finding.rule for finding in report.findings if finding.is_error} >= {"no-entrance"}
    assert not report.is_done and load(text, is_draft=True).is_done


@pytest.mark.parametrize(
    ("text", "format", "words"),
    [
        ("a: [1", "yaml", "This is no YAML (line"),
        ("- 1", "yaml", "holds no description"),
        ("", "yaml", "holds no description"),
        ("!!python/object/apply:os.system [ls]", "yaml", "no YAML"),
        ("name;address\n", "csv", "must name the columns"),
        ("name,private_address\na,1,2,3\n", "csv", "Line 2 has more fields than columns"),
        ("x" * 600_000, "yaml", "more than 512 KiB"),
        ("", "toml", "yaml or csv"),
    ],
)
def test_a_file_that_is_none_is_told_in_one_line(load, text, format, words):
    report = load(text, format=format, name="trio")
    assert [line.line for line in report.lines] == [0] and words in report.lines[0].messages[0]


def test_csv_has_a_line_a_host_and_its_cluster_is_named_beside_it(load):
    assert "Say it beside the file" in load(CSV, format="csv").lines[0].messages[0]
    report = load(CSV, format="csv", name="trio", is_draft=True)
    assert verdicts(report) == [(2, "n1", "new"), (3, "n2", "new"), (4, "n3", "new")]
    assert Cluster.objects.get(name="trio").nodes.get(name="n2").networks == {"agents": "10.9.0.2"}


def test_csv_changes_the_hosts_of_a_cluster_and_nothing_else_of_it(load):
    load(TRIO)
    load(CSV.replace("manager,agents=10.9.0.3", "manager,"), format="csv", name="trio", is_draft=True)
    cluster = Cluster.objects.get()
    assert cluster.entrance == "10.0.0.50" and cluster.nodes.get(name="n3").networks == {}


@pytest.mark.parametrize("format", ["yaml", "csv"])
def test_what_is_exported_is_imported_as_the_same(acme, load, format):
    cluster = factories.cluster(
        acme, layouts.change(layouts.ten(), "mg1", networks={"agents": "10.9.0.1"}, machine="r1", ssh_port=2222)
    )
    text = importing.export_layout(cluster, format)
    report = load(text, format=format, name="west", is_dry_run=True)
    assert {verdict for _, _, verdict in verdicts(report)} == {"same"} and report.description.layout == cluster.layout()


def test_an_export_names_secrets_and_holds_no_value(acme):
    text = importing.export_layout(factories.cluster(acme))
    assert factories.PASSWORD not in text and "cluster.west.password" in text
    assert yaml.safe_load(text)["hosts"][0]["password_secret"] == "cluster.west.password"
