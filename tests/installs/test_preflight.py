"""The checks of a preflight on surveys that are made up: each finds what is wrong, and nothing where all is right."""

import dataclasses
import re
import subprocess
import sys

import pytest

from installs.findings import error
from installs.preflight.checks import CHECKS, examine, report
from installs.preflight.ports import ports_of, ways
from installs.preflight.survey import ON_HOST, Seen, Survey
from installs.topology import findings as findings_of_layout
from inventory.connectors.ssh import Facts, HostError, HostErrorKind
from inventory.layout import Part
from tests.installs import layouts

FACTS = Facts(
    os_id="debian", os_version="13", os_codename="trixie", architecture="amd64", cpus=8, memory=16_000, disk=90_000,
    disk_free=80_000, clock_offset=0.0, clock_error=0.02, addresses=(), hostname="", python_version="3.13.5", is_systemd=True,
    boot_id="",
)  # fmt: skip
ROOM = {"size": 90_000, "free": 80_000, "inodes": 90, "is_read_only": False}


def right(layout):
    """A survey in which nothing is wrong."""
    hosts = []
    for number, host in enumerate(layout.hosts):
        facts = dataclasses.replace(
            FACTS,
            addresses=(host.private_address, *host.networks.values()),
            hostname=host.name,
            boot_id=f"boot{number}",
        )
        told = {
            "names": {other.name: [other.private_address] for other in layout.hosts},
            "reverse": {other.private_address: other.name for other in layout.hosts},
            "listening": [],
            "packages": {"nginx": ["1", ""]},
            "leftovers": [],
            "lock": "",
            "broken": "",
            "disks": {"/": dict(ROOM), "/tmp": dict(ROOM)},
            "swap": 0,
            "machine_id": f"id{number}",
            "locales": ["c", "c.utf8"],
            "is_synchronised": "yes",
            "has_updates": False,
            "failed": [],
        }
        hosts.append(Seen(host, facts, told, opened=set(ports_of(layout, host))))
    return Survey(layout, hosts, [(way, "heard") for way in ways(layout)], has_bundle=True)


@pytest.fixture
def survey():
    return right(layouts.ten())


@pytest.fixture
def first(survey):
    return survey.hosts[0]


def of_facts(**changes):
    def spoil(seen):
        seen.facts = dataclasses.replace(seen.facts, **changes)

    return spoil


def of_told(**changes):
    def spoil(seen):
        seen.told = seen.told | changes

    return spoil


@pytest.mark.parametrize("make", [layouts.ten, layouts.compact, layouts.all_in_one])
def test_nothing_is_found_where_nothing_is_wrong(make):
    survey = right(make())
    left = [finding for finding in examine(survey) if finding not in findings_of_layout(survey.layout)]
    assert left == []
    outcomes = {check["outcome"] for check in report(survey, examine(survey))["checks"] if check["rule"] != "layout"}
    assert outcomes == {"passed"}


def test_checks_are_numbered_in_order_and_have_rules_of_their_own():
    assert [check.number for check in CHECKS] == list(range(1, len(CHECKS) + 1))
    assert len({check.rule for check in CHECKS}) == len(CHECKS)


DISK = {"/": ROOM}


@pytest.mark.parametrize(
    ("spoil", "rule", "severity", "words"),
    [
        (of_facts(os_version="12"), "system.release", "error", "runs debian 12"),
        (of_facts(os_id="ubuntu", os_version="24.04"), "system.release", "error", "ubuntu 24.04"),
        (of_facts(architecture="i386"), "system.architecture", "error", "i386"),
        (of_facts(is_systemd=False), "system.systemd", "error", "systemd"),
        (of_facts(python_version=""), "system.python", "error", "python3"),
        (of_facts(memory=500), "size.memory", "error", "500 MB"),
        (of_facts(memory=4000), "size.memory", "warning", "15000 MB are recommended"),
        (of_facts(cpus=1), "size.cpus", "warning", "1 processors"),
        (of_facts(disk_free=700), "size.disk", "error", "700 MB"),
        (of_facts(clock_offset=3600.0), "clock.offset", "error", "60.0 min ahead"),
        (of_facts(clock_offset=-7200.0), "clock.offset", "error", "2.0 h behind"),
        (of_facts(clock_offset=2.5), "clock.offset", "warning", "2.5 s ahead"),
        (of_facts(hostname="other"), "names.own", "warning", "calls itself other"),
        (of_facts(addresses=("192.0.2.1",)), "addresses.missing", "error", "192.0.2.1"),
        (of_told(disks={"/": ROOM | {"free": 3}}), "disk.full", "error", "3 MB left"),
        (of_told(disks={"/": ROOM | {"inodes": 1}}), "disk.inodes", "error", "1 %"),
        (of_told(disks={"/": ROOM | {"is_read_only": True}}), "disk.read_only", "error", "read-only"),
        (of_told(is_synchronised="no"), "clock.free", "warning", "keeps its clock"),
        (of_told(listening=[[5432, "0.0.0.0", "postgres"]]), "ports.taken", "error", "5432.*by postgres"),
        (of_told(leftovers=["/var/lib/postgresql"]), "leftovers.files", "warning", "/var/lib/postgresql"),
        (of_told(lock="apt-get (process 7)"), "apt.lock", "error", "apt-get"),
        (of_told(broken="The following packages are only half configured"), "apt.broken", "error", "half"),
        (of_told(locales=["posix"]), "surroundings.locale", "warning", "C.UTF-8"),
        (of_told(swap=512), "surroundings.swap", "warning", "512 MB"),
        (of_told(has_updates=True), "surroundings.upgrades", "warning", "automatically"),
        (of_told(failed=["bad.service"]), "surroundings.failed", "warning", "bad.service"),
    ],
)
def test_what_is_wrong_with_one_host_is_found_with_its_name_and_a_remedy(survey, first, spoil, rule, severity, words):
    spoil(first)
    (found,) = [finding for finding in examine(survey) if finding.host]
    assert (found.rule, found.severity, found.host) == (rule, severity, "db1")
    assert re.search(words, found.message) and len(found.remedy.split()) >= 3
    outcome = next(
        check["outcome"] for check in report(survey, [found])["checks"] if check["rule"] == rule.split(".")[0]
    )
    assert outcome == ("failed" if severity == "error" else "warned")


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (HostErrorKind.UNREACHABLE, "ssh.unreachable"),
        (HostErrorKind.CREDENTIAL, "ssh.credential"),
        (HostErrorKind.HOST_KEY, "host_key"),
        (HostErrorKind.SUDO, "sudo"),
        (HostErrorKind.TIMEOUT, "ssh.timeout"),
        (HostErrorKind.BROKEN, "ssh.broken"),
        (HostErrorKind.FAILED, "ssh.failed"),
    ],
)
def test_a_host_that_cannot_be_asked_is_one_error_and_keeps_no_other_from_being_checked(survey, first, kind, rule):
    first.facts, first.told, first.error = None, {}, HostError(kind, "It is so. Do that.")
    survey.hosts[1].told = survey.hosts[1].told | {"swap": 1}
    survey.ways = [(way, outcome) for way, outcome in survey.ways if "db1" not in (way.source, way.target)]
    found = [finding for finding in examine(survey) if finding.host]
    assert [finding.rule for finding in found] == [rule, "surroundings.swap"]
    assert "Do that." in found[0].message
    outcomes = {check["rule"]: check["outcome"] for check in report(survey, found)["checks"]}
    assert outcomes[rule.split(".")[0]] == "failed" and outcomes["size"] == "partly"


def test_clocks_that_are_apart_are_found_though_each_is_near_the_portals(survey):
    of_facts(clock_offset=0.9)(survey.hosts[0])
    of_facts(clock_offset=-0.9)(survey.hosts[1])
    (found,) = [finding for finding in examine(survey) if finding.rule.startswith("clock")]
    assert (found.rule, found.host) == ("clock.apart", "")


def test_a_slow_answer_is_no_wrong_clock(survey, first):
    of_facts(clock_offset=4.0, clock_error=5.0)(first)
    assert not [finding for finding in examine(survey) if finding.rule.startswith("clock")]


def test_one_machine_entered_twice_is_an_error_and_a_clone_a_warning(survey):
    one, two = survey.hosts[:2]
    two.told = two.told | {"machine_id": "id0"}
    assert [finding.rule for finding in examine(survey) if finding.rule.startswith("machine")] == ["machine.cloned"]
    two.facts = dataclasses.replace(two.facts, boot_id=one.facts.boot_id)
    (found,) = [finding for finding in examine(survey) if finding.rule.startswith("machine")]
    assert found.rule == "machine.twice" and "db1, db2" in found.message


def test_a_name_that_leads_elsewhere_is_found_and_debians_own_line_is_not(survey, first):
    first.told = first.told | {"names": {"db1": ["127.0.1.1"], "db2": ["192.0.2.9"], "db3": []}}
    (found,) = [finding for finding in examine(survey) if finding.rule.startswith("names")]
    assert found.rule == "names.elsewhere" and "db2 is 192.0.2.9" in found.message


def test_a_reverse_name_of_somebody_else_is_found(survey, first):
    first.told = first.told | {"reverse": {first.wanted.private_address: "web.example.org"}}
    (found,) = [finding for finding in examine(survey) if finding.rule.startswith("names")]
    assert found.rule == "names.back" and "web.example.org" in found.message


def test_blocked_ways_are_one_finding_for_each_pair_with_all_their_ports(survey):
    survey.ways = [
        (way, "timeout" if (way.source, way.target) == ("db1", "db2") else outcome) for way, outcome in survey.ways
    ]
    (found,) = [finding for finding in examine(survey) if finding.rule.startswith("reachability")]
    assert found.host == "db1" and "nothing comes back" in found.message and found.rule == "reachability.filtered"
    assert {"2379", "2380", "5432", "8008"} <= set(found.message.replace(",", " ").split())


def test_a_way_to_a_port_that_could_not_be_opened_is_told_once(survey, first):
    first.opened = set()
    first.refused = {5432: "Permission denied"}
    survey.ways = [(way, "refused" if way.target == "db1" else outcome) for way, outcome in survey.ways]
    assert [finding.rule for finding in examine(survey) if finding.host] == ["ports.refused"]


def test_a_service_that_listens_already_may_be_reached_as_it_is(survey, first):
    first.opened = set()
    first.told = first.told | {"listening": [[5432, "0.0.0.0", "postgres"]]}
    survey.ways = [(way, "open" if way.target == "db1" else outcome) for way, outcome in survey.ways]
    assert [finding.rule for finding in examine(survey) if finding.host] == ["ports.taken"]


def test_packages_need_a_bundle_or_a_source(survey, first):
    survey.has_bundle = False
    assert not [finding for finding in examine(survey) if finding.rule.startswith("packages")]
    first.told = first.told | {"packages": {"nginx": ["", ""], "patroni": ["", "4"], "haproxy": ["3", ""]}}
    (found,) = [finding for finding in examine(survey) if finding.rule.startswith("packages")]
    assert found.host == "db1" and "do not have nginx," in found.message and "manage.py bundle" in found.remedy
    survey.bundle_fault = "The bundle lacks nginx."
    assert [finding.rule for finding in examine(survey) if finding.rule.startswith("packages")] == ["packages.bundle"]


def test_every_port_of_the_firewall_matrix_is_tried_from_every_host_that_needs_it():
    found = {(way.source, way.target, way.port) for way in ways(layouts.ten())}
    assert {
        ("mg1", "db3", 5432),
        ("db1", "db2", 2380),
        ("mq1", "mq2", 25672),
        ("lb1", "mg2", 443),
        ("mg1", "lb1", 8009),
    } <= found
    assert not [way for way in found if way[0] == way[1]]
    assert ("db1", "mq1", 5671) not in found


def test_a_host_needs_the_ports_of_its_parts_alone():
    layout = layouts.ten()
    assert {2379, 2380, 5432, 8008, 8009, 9100, 9187} <= set(ports_of(layout, layout.having(Part.DATABASE)[0]))
    assert not {5432, 443} & set(ports_of(layout, layout.having(Part.QUEUE)[0]))


@pytest.mark.parametrize("program", ["survey.py", "listen.py", "probe.py"])
def test_what_is_sent_to_hosts_needs_nothing_but_python_itself(program):
    code = (ON_HOST / program).read_text().replace('"__main__"', '"nobody"')
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_was_found_of_external_services_stands_in_the_report(survey):
    survey.externals = [
        error("externals.database.tls", "It cannot be trusted.", "Give its CA.", field="external_database")
    ]
    told = {check["rule"]: check["outcome"] for check in report(survey, examine(survey))["checks"]}
    assert told["externals"] == "failed"


@pytest.mark.parametrize(
    ("answers", "rules"),
    [
        ({443: "open", 53333: "heard", 80: "refused"}, []),
        ({443: "refused", 53333: "timeout", 80: "timeout"}, ["entrance.closed", "entrance.closed"]),
        ({443: "open", 53333: "open", 80: "open"}, ["entrance.plain"]),
    ],
)
def test_the_operators_own_balancer_has_443_and_53333_open_and_80_closed(survey, answers, rules):
    survey.entrance = answers
    assert [finding.rule for finding in examine(survey) if finding.rule.startswith("entrance.")] == rules
