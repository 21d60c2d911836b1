"""The lab itself: real hosts are made, broken and taken away. Without root these tests are skipped."""

import base64
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import paramiko
import pytest

from tests.lab import Lab, LabError, base, machine, saving
from tests.lab.base import Source
from tests.lab.network import Network

PREFIX = "labt"
FOUND = machine.lacks()
needs_lab = pytest.mark.skipif(bool(FOUND), reason=f"No lab here. {' '.join(FOUND)}")


@pytest.fixture(scope="module")
def lab():
    with Lab.of(["db1", "db2", "app1"], prefix=PREFIX, ordinary=["app1"], apt_daily=["db2"]) as lab:
        yield lab
        path = lab.folder
    assert lab.remains() == []
    assert not path.exists()


def reaches(one, other):
    return "1 received" in one.ssh(f"ping -c1 -W1 {other.address}", check=False)


def hears(host, seconds=0.5):
    """Whether sshd says its name within this time."""
    try:
        host.wait(seconds)
    except LabError:
        return False
    return True


@needs_lab
def test_a_host_is_a_whole_debian_13_with_systemd_and_no_failed_unit(lab):
    host = lab.host("db1")
    assert host.settle() == "running", host.console_run("systemctl", "--failed", "--no-legend")
    assert host.ssh("cat /proc/1/comm; hostname; . /etc/os-release; echo $VERSION_CODENAME").split() == [
        "systemd",
        "db1",
        "trixie",
    ]


@needs_lab
def test_hosts_see_each_other_and_the_machine_but_nothing_beyond(lab):
    one, other = lab.host("db1"), lab.host("db2")
    assert reaches(one, other)
    assert "1 received" in one.ssh(f"ping -c1 -W1 {lab.network.portal}")
    assert "default" not in one.ssh("ip route show")
    with pytest.raises(LabError, match="unreachable"):
        one.ssh("ping -c1 -W1 192.0.2.1")


@needs_lab
def test_a_host_can_change_neither_the_clock_nor_the_kernel_of_the_machine(lab):
    host = lab.host("db1")
    assert "not permitted" in host.ssh("date -s @0 2>&1 || true")
    assert "Read-only" in host.ssh("sysctl -w vm.swappiness=1 2>&1; echo 1 2>&1 > /proc/sys/vm/swappiness || true")
    assert host.ssh("sysctl -n -w net.ipv4.tcp_retries2=6").strip() == "6"  # the network's settings are its own
    assert time.time() > 1_600_000_000


@needs_lab
def test_an_ordinary_user_logs_in_with_a_password_and_needs_it_for_sudo(lab):
    host = lab.host("app1")
    with paramiko.SSHClient() as client:
        kind, key = host.host_key.split()
        client.get_host_keys().add(host.address, kind, paramiko.Ed25519Key(data=base64.b64decode(key)))
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        client.connect(host.address, username=host.user, password=host.password, allow_agent=False, look_for_keys=False)
        _, out, _ = client.exec_command("id -un; sudo -n true 2>&1 || echo refused", timeout=10)
        assert out.read().decode().split()[0] == host.user != "root"
        answered, out, _ = client.exec_command("sudo -S id -un 2>/dev/null", timeout=10)
        answered.write(f"{host.password}\n")
        answered.channel.shutdown_write()
        assert out.read().decode().strip() == "root"
    assert "password is required" in host.ssh("sudo -n true 2>&1 || true")
    as_root = [word.replace(f"{host.user}@", "root@") for word in host.ssh_command("true")]
    with pytest.raises(LabError, match="Permission denied"):
        machine.run(*as_root)


@needs_lab
def test_one_host_keeps_its_apt_timers_and_the_others_have_them_masked(lab):
    timers = "systemctl is-enabled apt-daily.timer apt-daily-upgrade.timer || true"
    assert lab.host("db2").ssh(timers).split() == ["enabled", "enabled"]
    assert lab.host("db1").ssh(timers).split() == ["masked", "masked"]


@needs_lab
def test_a_power_cut_says_no_farewell_and_files_are_there_afterwards(lab):
    host, watcher = lab.host("db1"), lab.host("db2")
    host.ssh("systemd-run --quiet --unit=kept sleep 1000; echo kept > ~/kept")
    watching = subprocess.Popen(
        watcher.ssh_command(
            f"timeout 4 bash -c 'exec 3<>/dev/tcp/{host.address}/22; read -u3; read -u3; echo farewell $?' || echo silence"
        ),
        stdout=subprocess.PIPE,
        text=True,
    )
    time.sleep(1)
    started = time.monotonic()
    host.cut()
    assert time.monotonic() - started < 3
    assert host.state == "down" and not hears(host)
    assert watching.communicate(timeout=20)[0].strip() == "silence"
    host.start().wait()
    assert host.ssh("cat ~/kept; systemctl is-active kept || true").split() == ["kept", "inactive"]


@needs_lab
def test_a_host_reboots_from_outside_and_from_inside_and_can_power_itself_off(lab):
    host = lab.host("db1")
    first = host.init_pid()
    host.reboot()
    second = host.init_pid()
    assert second != first
    host.ssh("systemctl reboot", check=False)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if host.init_pid() not in (first, second):
                break
        except LabError:
            pass
        time.sleep(0.05)
    host.wait()
    host.ssh("systemctl poweroff", check=False)
    while host.is_up and time.monotonic() < until:
        time.sleep(0.05)
    assert host.state == "down"
    host.start().wait()


@needs_lab
def test_a_frozen_host_is_silent_and_goes_on_where_it_was(lab):
    host = lab.host("db1")
    host.ssh(
        "systemd-run --quiet --unit=counting bash -c 'while :; do date +%s >> /run/count; sleep 0.2; done'; sleep 0.5"
    )
    host.freeze()
    assert host.state == "frozen" and not hears(host)
    time.sleep(1)
    host.thaw()
    assert host.state == "up" and hears(host, 10)
    assert host.ssh("systemctl is-active counting").strip() == "active"


@needs_lab
def test_a_partition_parts_hosts_from_each_other_and_not_from_the_machine(lab):
    one, other, third = lab.host("db1"), lab.host("db2"), lab.host("app1")
    one.partition("db2")
    one.partition("db2")  # again changes nothing
    assert not reaches(one, other) and not reaches(other, one) and reaches(one, third)
    one.partition()
    assert not reaches(one, third) and hears(one)
    one.heal()
    assert reaches(one, other) and reaches(one, third) and lab.network.cuts() == []
    other.partition("app1")
    lab.heal()
    assert lab.network.cuts() == []


@needs_lab
def test_an_unplugged_host_is_out_of_reach_of_the_machine_too(lab):
    host = lab.host("db1").unplug()
    assert not hears(host) and host.console_run("hostname").strip() == "db1"
    assert hears(host.plug(), 10)


@needs_lab
def test_a_golden_layer_brings_files_and_no_identity(lab):
    source = lab.host("db2")
    source.ssh("echo made > /srv/made; rm /etc/cron.daily/dpkg")
    lab.stop("db2")
    layer = lab.save("db2", f"{PREFIX}-layer")
    try:
        (copy,) = lab.create("copy1", golden=f"{PREFIX}-layer")
        copy.start().wait()
        assert copy.ssh("cat /srv/made; hostname; ls /etc/cron.daily/dpkg 2>/dev/null || echo gone").split() == [
            *("made", "copy1", "gone"),
        ]
        assert copy.settle() == "running"
        assert copy.host_key != source.host_key
        assert copy.ssh("cat /etc/machine-id") != (source.files / "etc/machine-id").read_text()
        copy.destroy()
        assert "copy1" not in lab.names()
    finally:
        machine.run("rm", "-rf", layer)
    source.start().wait()


@needs_lab
def test_a_whole_lab_is_kept_with_its_identities_and_had_again_as_often_as_wanted(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/rows").write_text("seven")
    with Lab.of(["one", "two"], prefix="labt6", ordinary=["two"]) as lab:
        lab.host("one").ssh("echo first > /etc/kept; rm /etc/motd; sync")
        keys = {host.name: (host.host_key, host.address, host.password) for host in lab.hosts()}
        place = saving.save(lab, "labt6", folders={"data": tmp_path / "data"}, about={"for": "tests"})
        assert [host.state for host in lab.hosts()] == ["down", "down"]
        with pytest.raises(LabError, match=r"labs/labt6/one.* lies on it"):
            saving.save(lab, "labt6")
    try:
        assert saving.told_of(lab.place, "labt6")["about"] == {"for": "tests"}
        assert (place / "data/rows").read_text() == "seven"
        for _ in range(2):
            with Lab.of_saved("labt6", prefix="labt7") as lab:
                assert {host.name: (host.host_key, host.address, host.password) for host in lab.hosts()} == keys
                assert lab.host("one").ssh("cat /etc/kept; ls /etc/motd 2>&1 || true").split()[0] == "first"
                assert "No such file" in lab.host("one").ssh("ls /etc/motd 2>&1 || true")
                lab.host("one").ssh("echo second > /etc/kept")
                assert lab.host("two").settle() == "running"
    finally:
        shutil.rmtree(place)
    with pytest.raises(LabError, match="No lab was kept as labt6"):
        Lab.of_saved("labt6")


@needs_lab
def test_everything_can_be_said_twice(lab):
    before = lab.host("db1").init_pid()
    lab.create("db1")
    lab.start()
    lab.wait()
    assert lab.host("db1").init_pid() == before
    lab.host("db1").thaw().plug().heal()
    lab.host("app1").stop().stop().cut()
    lab.start()
    lab.wait()


@needs_lab
def test_a_second_lab_stands_beside_the_first_and_goes_without_touching_it(lab):
    with Lab.of(["db1"], prefix="labt2") as second:
        assert second.network.subnet != lab.network.subnet
        assert hears(second.host("db1")) and hears(lab.host("db1"))
    assert second.remains() == []
    assert hears(lab.host("db1"))


@needs_lab
def test_a_lab_in_use_is_not_taken_from_its_user(lab):
    with pytest.raises(LabError, match="LAB_PREFIX"):
        with Lab.of(["db1"], prefix=PREFIX):
            pass
    assert hears(lab.host("db1"))


@needs_lab
def test_debian_12_is_a_base_too():
    with Lab.of(["old1"], release="bookworm", prefix="labt3") as lab:
        host = lab.host("old1")
        assert host.settle() == "running", host.console_run("systemctl", "--failed", "--no-legend")
        assert host.ssh("cat /etc/debian_version").startswith("12.")


@needs_lab
def test_what_a_killed_session_left_is_cleared_by_the_next(lab):
    text = (
        "import os; from tests.lab import Lab\n"
        "lab = Lab.of(['db1'], prefix='labt4'); lab.__enter__(); print(lab.host('db1').address, flush=True); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", text], cwd=machine.ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 9, done.stderr
    left = Lab("labt4")
    assert left.remains() and hears(left.host("db1"))
    left.down()
    left.down()
    assert left.remains() == []


@needs_lab
def test_hosts_whose_folders_were_removed_are_taken_away_too():
    with Lab.of(["db1"], prefix="labt5") as lab:
        assert lab.host("db1").is_up
        machine.run("rm", "-rf", lab.folder)
    assert lab.remains() == []


def test_a_machine_without_root_is_told_what_to_do(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert machine.lacks() == [
        "The lab needs root, for namespaces, mounts and a bridge. Run the same command with sudo."
    ]


def test_missing_packages_are_named_in_one_line(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda command: None if command in ("nft", "mmdebstrap") else f"/bin/{command}")
    assert "Packages are missing: apt-get install --no-install-recommends mmdebstrap nftables" in machine.lacks()


def test_a_machine_without_cgroup_2_is_told_how_to_mount_it(monkeypatch, tmp_path):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(machine, "cgroup_root", lambda: None)
    monkeypatch.setattr(machine, "lacks_of_the_kernel", lambda place: [])
    assert any(
        sentence.startswith("cgroup v2 is not mounted for writing: mount -t cgroup2") for sentence in machine.lacks()
    )


def test_the_sources_of_a_base_are_those_of_the_machine_with_another_suite(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text(
        "# a comment\nTypes: deb\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-updates\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/own.gpg\n\nTypes: deb\nURIs: http://mirror.test/debian-security/\n"
        "Suites: bookworm-security\nComponents: main\n"
    )
    (tmp_path / "sources.list.d/foreign.list").write_text(
        "deb https://foreign.test/linux/debian bookworm stable\ndeb https://foreign.test/apt tools-bookworm main\n"
    )
    found = base.sources_of_the_machine(tmp_path)
    assert found == [
        Source("http://mirror.test/debian", "bookworm", "/usr/share/keyrings/own.gpg"),
        Source("http://mirror.test/debian", "bookworm-updates", "/usr/share/keyrings/own.gpg"),
        Source("http://mirror.test/debian-security/", "bookworm-security", ""),
    ]
    text = base.sources_for("trixie", found)
    assert [line for line in text.splitlines() if line.startswith("Suites")] == [
        *("Suites: trixie", "Suites: trixie-updates", "Suites: trixie-security"),
    ]
    assert "bookworm" not in text and "foreign" not in text and text.count("/usr/share/keyrings/own.gpg") == 2


def test_sources_in_the_one_line_format_are_read_too(tmp_path):
    (tmp_path / "sources.list").write_text(
        "deb [signed-by=/k.gpg arch=amd64] http://mirror.test/debian/ stable main contrib\n"
    )
    assert base.sources_of_the_machine(tmp_path) == [Source("http://mirror.test/debian/", "stable", "/k.gpg")]


def test_a_machine_without_an_archive_of_debian_is_told_so():
    with pytest.raises(LabError, match="name no archive of Debian"):
        base.sources_for("trixie", [])


@pytest.mark.parametrize(
    ("prefix", "subnet"), [("Lab", "10.77.0.0/24"), ("a-long-one", "10.77.0.0/24"), ("lab", "10.77.0.1/24")]
)
def test_a_prefix_or_subnet_that_cannot_be_is_refused(prefix, subnet):
    with pytest.raises(LabError, match=r"LAB_(PREFIX|SUBNET)"):
        Network(prefix, subnet)


def test_a_host_whose_link_would_have_too_long_a_name_is_refused():
    with pytest.raises(LabError, match="at most 11"):
        Network("lab", "10.77.0.0/24").link_of("management-host-1")


def test_the_command_lists_its_verbs():
    done = subprocess.run(
        [sys.executable, "-m", "tests.lab", "--help"],
        cwd=Path(machine.ROOT),
        capture_output=True,
        text=True,
        timeout=30,
    )
    verbs = (
        "base create start wait stop cut reboot freeze thaw partition heal unplug destroy down status ssh save".split()
    )
    assert done.returncode == 0 and [verb for verb in verbs if not re.search(rf"(?m)^    {verb}\b", done.stdout)] == []


def test_two_labs_that_are_made_at_once_take_two_subnets():
    one, other = Lab.of(["a"], prefix="sub1"), Lab.of(["a"], prefix="sub2")
    taken = str(one.network.subnet)
    assert not one.network.subnet.overlaps(other.network.subnet)
    one.held.close()
    assert str(Lab.of(["a"], prefix="sub3").network.subnet) == taken, "what was given back is free again"
