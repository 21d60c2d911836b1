"""Configuration of hosts: golden files, and rules that hold for every layout."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from installs.rendering import apart, etcd, haproxy, hosts, management, monitoring, monitoring_rules, patroni, rabbitmq
from installs.rendering.values import FAILOVERS, Passwords, RenderedFile
from inventory import service_settings
from inventory.layout import Balancing, External, Host, Layout, Part

GOLDEN = Path(__file__).parent / "golden"
PASSWORDS = Passwords(**{name: f"secret-{name}" for name in Passwords.__dataclass_fields__})
MEMORY_MB = 8192


def host(name: str, number: int, *parts: Part) -> Host:
    return Host(name, f"10.77.0.{number}", parts=frozenset(parts))


DISTRIBUTED = Layout(
    "prod",
    (
        *(host(f"db{n}", 10 + n, Part.DATABASE, Part.ETCD) for n in (1, 2, 3)),
        *(host(f"mq{n}", 13 + n, Part.QUEUE) for n in (1, 2, 3)),
        *(host(f"mgr{n}", 16 + n, Part.MANAGER) for n in (1, 2, 3)),
        host("lb1", 20, Part.BALANCER),
    ),
    entrance="10.77.0.20",
)
COMPACT = Layout(
    "small",
    tuple(host(f"c{n}", n, Part.DATABASE, Part.ETCD, Part.QUEUE, Part.MANAGER) for n in (1, 2, 3)),
    balancing=Balancing.THEIRS,
    entrance="deployon.example.com",
    failover="calm",
)
SINGLE = Layout(
    "one",
    (host("all", 5, Part.DATABASE, Part.ETCD, Part.QUEUE, Part.MANAGER),),
    balancing=Balancing.NONE,
    release="bookworm",
)
TWO_BALANCERS = Layout(
    "twin",
    (*DISTRIBUTED.hosts, host("lb2", 21, Part.BALANCER)),
    entrance="10.77.0.30",
)
EXTERNAL = Layout(
    "byo",
    (host("mgr1", 17, Part.MANAGER), host("mgr2", 18, Part.MANAGER), host("lb1", 20, Part.BALANCER)),
    entrance="10.77.0.20",
    external_database=External(("db.example.com",), 5432, ca_bundle="CA of the database\n", user_suffix="@azure"),
    external_queue=External(("mq.example.com",), 5671, ca_bundle="CA of the queue\n", management_port=15671),
)
LAYOUTS = {layout.name: layout for layout in (DISTRIBUTED, COMPACT, SINGLE, TWO_BALANCERS, EXTERNAL)}


def rendered(layout: Layout, each: Host) -> list[RenderedFile]:
    files = monitoring.files(layout, each, PASSWORDS)
    if each.has(Part.ETCD):
        files += etcd.files(layout, each, PASSWORDS)
    if each.has(Part.DATABASE):
        files += patroni.files(layout, each, PASSWORDS, MEMORY_MB)
    if apart.is_on(layout, each):
        files += apart.files(layout, each, PASSWORDS)
    if each.has(Part.QUEUE):
        files += rabbitmq.files(layout, each, PASSWORDS, MEMORY_MB)
    if each.has(Part.MANAGER):
        files += management.files(layout, each, PASSWORDS)
    if each.has(Part.BALANCER):
        files += haproxy.files(layout, each, PASSWORDS, "ens3")
    return files


EVERY_HOST = [
    pytest.param(layout, each, id=f"{layout.name}-{each.name}") for layout in LAYOUTS.values() for each in layout.hosts
]


def settings_of(text: str) -> dict[str, str]:
    found = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {name: shlex.split(value)[0] for name, value in found}


def file(layout: Layout, each: Host, path: str) -> str:
    return next(found.content for found in rendered(layout, each) if found.path == path)


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ("prod", "db1"),
        ("prod", "mq1"),
        ("prod", "mgr1"),
        ("prod", "lb1"),
        ("small", "c1"),
        ("one", "all"),
        ("twin", "lb2"),
        ("byo", "mgr1"),
    ],
)
def test_the_files_of_a_host_are_as_agreed(layout, name):
    """UPDATE_GOLDEN=1 writes them anew; look at the difference before you commit it."""
    found = LAYOUTS[layout]
    text = "".join(
        f"===== {each.path} {each.owner}:{each.group} {each.mode:04o}\n{each.content}"
        for each in rendered(found, found.host(name))
    )
    golden = GOLDEN / f"{layout}-{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize(("layout", "each"), EVERY_HOST)
def test_a_file_with_a_secret_is_closed_to_others(layout, each):
    for found in rendered(layout, each):
        if "secret-" in found.content:
            assert found.mode & 0o007 == 0, found.path


@pytest.mark.parametrize(("layout", "each"), EVERY_HOST)
def test_no_path_is_rendered_twice_on_a_host(layout, each):
    paths = [found.path for found in rendered(layout, each)]
    assert len(paths) == len(set(paths))


@pytest.mark.parametrize(("layout", "each"), EVERY_HOST)
def test_what_speaks_without_tls_listens_on_loopback_only(layout, each):
    """Of the exporters, the metrics of etcd, RabbitMQ and HAProxy, and the web process behind nginx."""
    for found in rendered(layout, each):
        for line in found.content.splitlines():
            if match := re.search(r"--web\.listen-address=(\S+?)[\s\"]", line):
                is_prometheus = found.path == "/etc/default/prometheus"
                assert is_prometheus or match[1].startswith("127.0.0.1:"), line
            if "METRICS_URLS" in line:
                assert "http://127.0.0.1:" in line
            if "http://" in line and "proxy_pass" not in line and "METRICS_URLS" not in line:
                raise AssertionError(f"{found.path}: {line}")
        if found.path == haproxy.PATH:
            assert not re.search(r"bind \S*:80\b", found.content)
        if found.path == "/etc/nginx/nginx.conf":
            listening = re.findall(r"listen (\S+) (.*);", found.content)
            assert {place.rpartition(":")[2] for place, _ in listening} == {"443", "53333"}
            assert {how for _, how in listening} == {"ssl"}
        if found.path == "/etc/rabbitmq/rabbitmq.conf":
            assert "listeners.tcp = none" in found.content and "prometheus.tcp.ip = 127.0.0.1" in found.content


def test_what_must_be_equal_on_all_hosts_is():
    """As the vendor's sheet lists it, but here there is one model from which all of it comes."""
    databases, queues, managers = (DISTRIBUTED.having(part) for part in (Part.DATABASE, Part.QUEUE, Part.MANAGER))
    tokens = {
        settings_of(file(DISTRIBUTED, each, "/etc/default/etcd"))["ETCD_INITIAL_CLUSTER_TOKEN"] for each in databases
    }
    clusters = {settings_of(file(DISTRIBUTED, each, "/etc/default/etcd"))["ETCD_INITIAL_CLUSTER"] for each in databases}
    assert len(tokens) == len(clusters) == 1
    configurations = [yaml.safe_load(file(DISTRIBUTED, each, patroni.PATH)) for each in databases]
    for key in ("scope", "namespace", "etcd3", "bootstrap"):
        assert all(each[key] == configurations[0][key] for each in configurations)
    assert all(each["postgresql"]["pg_hba"] == configurations[0]["postgresql"]["pg_hba"] for each in configurations)
    assert len({file(DISTRIBUTED, each, rabbitmq.COOKIE) for each in queues}) == 1
    texts = [
        file(DISTRIBUTED, each, "/etc/rabbitmq/rabbitmq.conf").replace(each.private_address, "own") for each in queues
    ]
    assert len(set(texts)) == 1
    settings = [settings_of(file(DISTRIBUTED, each, management.ENVIRONMENT)) for each in managers]
    for key in ("SECRET_KEY", "VAULT_KEYS", "DATABASE_URL", "BROKER_URL", "PUBLIC_URL"):
        assert len({each[key] for each in settings}) == 1
    assert len({frozenset(file(DISTRIBUTED, each, management.BROKER_HOSTS).split()) for each in managers}) == 1


def test_each_manager_begins_with_its_own_broker_or_with_another_than_the_manager_beside_it():
    def first(layout, each):
        return file(layout, each, management.BROKER_HOSTS).split()[0]

    for each in COMPACT.having(Part.MANAGER):
        assert first(COMPACT, each) == each.private_address
    managers = DISTRIBUTED.having(Part.MANAGER)
    assert len({first(DISTRIBUTED, each) for each in managers}) == min(3, len(managers)) > 1


def test_the_service_knows_every_database_host_and_takes_the_one_that_can_be_written_to():
    own = DISTRIBUTED.host("mgr2")
    url = settings_of(file(DISTRIBUTED, own, management.ENVIRONMENT))["DATABASE_URL"]
    assert file(DISTRIBUTED, own, management.DATABASE_HOSTS) == "10.77.0.11\n10.77.0.12\n10.77.0.13\n"
    assert "target_session_attrs=read-write" in url and "sslmode=verify-full" in url


@pytest.mark.parametrize("part", list(Part))
def test_a_host_that_comes_has_no_process_of_a_manager_begun_anew(part):
    """What it reads at its start alone is the same before and after; where database and broker are, it looks up."""
    own = DISTRIBUTED.host("mgr1")
    grown = replace(DISTRIBUTED, hosts=(*DISTRIBUTED.hosts, host("new", 40, part)))
    before, after = (management.files(layout, own, PASSWORDS) for layout in (DISTRIBUTED, grown))
    assert management.counting(before) == management.counting(after)
    assert len(management.counting(before)) == 3 and before != after
    changed = replace(DISTRIBUTED, entrance="10.77.0.99")
    assert management.counting(management.files(changed, own, PASSWORDS)) != management.counting(before)


def test_settings_of_the_service_reach_every_manager_which_is_begun_anew_with_them():
    own = DISTRIBUTED.host("mgr1")
    told = replace(DISTRIBUTED, service_settings={"ENDPOINT_NETWORKS": "10.9.0.0/16"})
    files = management.files(told, own, PASSWORDS)
    assert settings_of(file(told, own, management.ENVIRONMENT))["ENDPOINT_NETWORKS"] == "10.9.0.0/16"
    assert management.counting(files) != management.counting(management.files(DISTRIBUTED, own, PASSWORDS))


def test_every_setting_that_a_cluster_may_have_is_one_of_the_product_and_none_that_the_installer_says():
    documented = re.findall(r"^#([A-Z_]+)=", Path(".env.example").read_text(), re.M)
    rendered = settings_of(file(DISTRIBUTED, DISTRIBUTED.host("mgr1"), management.ENVIRONMENT))
    assert set(service_settings.SETTABLE) <= set(documented)
    assert not set(service_settings.SETTABLE) & set(rendered)


def test_a_host_that_comes_has_no_exporter_begun_anew():
    own = DISTRIBUTED.host("mgr1")
    grown = replace(DISTRIBUTED, hosts=(*DISTRIBUTED.hosts, host("new", 40, Part.QUEUE)))
    before, after = (monitoring.files(layout, own, PASSWORDS) for layout in (DISTRIBUTED, grown))
    assert before != after
    for unit in ("prometheus", "prometheus-node-exporter", "prometheus-blackbox-exporter"):
        assert monitoring.counting(before, unit) == monitoring.counting(after, unit) != []


def test_services_of_others_are_reached_by_their_own_authority_and_user_names():
    settings = settings_of(file(EXTERNAL, EXTERNAL.host("mgr1"), management.ENVIRONMENT))
    assert settings["DATABASE_URL"].startswith("postgres://deployon%40azure:secret-database@:5432/")
    assert file(EXTERNAL, EXTERNAL.host("mgr1"), management.DATABASE_HOSTS) == "db.example.com\n"
    assert f"sslrootcert={management.EXTERNAL_DATABASE_CA}" in settings["DATABASE_URL"]
    assert settings["BROKER_CA"] == management.EXTERNAL_QUEUE_CA
    assert "listen postgresql" not in file(EXTERNAL, EXTERNAL.host("lb1"), haproxy.PATH)


@pytest.mark.parametrize("preset", FAILOVERS)
def test_a_preset_of_patroni_obeys_its_own_rule(preset):
    """Patroni: ttl must not be less than loop_wait and two retry time-outs."""
    found = FAILOVERS[preset]
    assert found.ttl >= found.loop_wait + 2 * found.retry_timeout


def test_a_single_database_host_does_not_wait_for_a_second_one():
    shared = patroni.dynamic(SINGLE, MEMORY_MB)
    assert shared["synchronous_mode"] is False and shared["synchronous_mode_strict"] is False


def test_every_unit_that_is_watched_is_one_that_runs_there():
    arguments = file(COMPACT, COMPACT.host("c1"), "/etc/default/prometheus-node-exporter")
    for unit in ("etcd", "patroni", "rabbitmq-server", "deployon-web", "nginx", "prometheus"):
        assert unit in arguments
    assert "haproxy" not in arguments


def test_managers_gather_what_every_other_host_has():
    jobs = monitoring.configuration(DISTRIBUTED, DISTRIBUTED.host("mgr1"))["scrape_configs"]
    federation = next(job for job in jobs if job["job_name"] == "federation")
    assert len(federation["static_configs"][0]["targets"]) == 9
    assert federation["scheme"] == "https" and "password" not in federation["basic_auth"]


def test_no_rule_loses_a_host_that_is_not_well():
    """A rule that compares vanishes where it is false, so that ill looks like unknown."""
    for rule in monitoring_rules.rules(DISTRIBUTED, DISTRIBUTED.host("mgr1"))["groups"][0]["rules"]:
        assert not re.search(r"[=<>]=|[<>]", re.sub(r"\{[^}]*\}", "", rule["expr"])), rule["record"]


def test_leaders_are_kept_apart_only_where_one_host_could_lead_both_and_another_take_over():
    assert [each.name for each in DISTRIBUTED.hosts if apart.is_on(DISTRIBUTED, each)] == ["db1", "db2", "db3"]
    assert not apart.is_on(SINGLE, SINGLE.hosts[0])
    script = file(COMPACT, COMPACT.hosts[0], apart.SCRIPT)
    assert subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True).stderr == ""


def test_the_hosts_file_names_all_hosts_and_keeps_what_others_wrote():
    before = "127.0.0.1 localhost\n127.0.1.1 db1\n10.0.0.9 printer\n"
    after = hosts.hosts_file(before, DISTRIBUTED, DISTRIBUTED.host("db1"))
    assert "127.0.1.1" not in after and "10.0.0.9 printer" in after and "10.77.0.20 lb1" in after
    assert hosts.hosts_file(after, DISTRIBUTED, DISTRIBUTED.host("db1")) == after


def test_a_balancer_beside_a_manager_takes_the_virtual_address_alone():
    """Three hosts are enough for everything: what they serve themselves is on their own addresses."""
    every = (Part.DATABASE, Part.ETCD, Part.QUEUE, Part.MANAGER)
    hosts = (host("a1", 1, *every, Part.BALANCER), host("a2", 2, *every, Part.BALANCER), host("a3", 3, *every))
    layout = Layout("three", hosts, entrance="10.77.0.9")
    bound = re.findall(r"^  bind (.*)$", file(layout, hosts[0], haproxy.PATH), re.MULTILINE)
    assert all(each.startswith(("10.77.0.9:", "127.0.0.1:")) for each in bound)
    nginx = file(layout, hosts[0], "/etc/nginx/nginx.conf")
    assert "listen 10.77.0.1:443 ssl;" in nginx and "10.77.0.9" not in nginx
    assert "listeners.ssl.1 = 10.77.0.1:5671" in file(layout, hosts[0], "/etc/rabbitmq/rabbitmq.conf")


def test_a_host_that_is_gone_leaves_the_hosts_file():
    after = hosts.hosts_file("127.0.0.1 localhost\n", TWO_BALANCERS, TWO_BALANCERS.host("db1"))
    assert "lb2" in after
    assert "lb2" not in hosts.hosts_file(after, DISTRIBUTED, DISTRIBUTED.host("db1"))


def servers_of(text: str) -> list[str]:
    return re.findall(r"(?ms)^  server \{$.*?^  \}$", text)


def test_users_who_come_by_name_see_the_certificate_that_was_uploaded_for_them_and_agents_the_host_s_own():
    own, users = servers_of(management.nginx(COMPACT, COMPACT.hosts[0], has_entrance=True))
    assert "server_name _;" in own and "entrance" not in own
    assert "server_name deployon.example.com;" in users and "/entrance.crt;" in users and "/entrance.key;" in users
    assert "10.77.0.1:443" in own and "10.77.0.1:443" in users
    assert "53333" in own and "53333" not in users


def test_users_who_come_by_an_address_are_told_apart_by_it():
    own, users = servers_of(management.nginx(SINGLE, SINGLE.hosts[0], has_entrance=True))
    assert "listen 10.77.0.5:443" in users and "127.0.0.1" not in users
    assert "listen 10.77.0.5:443" not in own and "listen 127.0.0.1:443" in own and "listen 10.77.0.5:53333" in own


def test_without_such_a_certificate_there_is_one_server():
    assert len(servers_of(management.nginx(COMPACT, COMPACT.hosts[0]))) == 1
