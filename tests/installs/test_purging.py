"""What an uninstall removes, and what it leaves as it was: the scripts themselves, in a root of their own with a dpkg that is told."""

import os
import subprocess

import pytest

from installs.operations.purging import NOTE_ADDED, PURGE, REMEMBER

PACKAGES = ["adduser", "nginx", "python3"]
DOUBLE = """#!/bin/sh
name=$(basename "$0")
echo "$name $*" >> {root}/calls
case "$name $*" in
  "dpkg-query "*) sed 's/^/ii  /' {root}/dpkg ;;
  "systemctl is-active --quiet nginx") exit 0 ;;
  "systemctl is-active"*) exit 3 ;;
  "getent "*) exit 2 ;;
esac
"""


@pytest.fixture
def host(tmp_path):
    """A root with nginx at work before anything is installed."""
    for name in ("dpkg-query", "systemctl", "apt-get", "pkill", "getent", "userdel", "sync"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(DOUBLE.replace("{root}", str(tmp_path)))
        path.chmod(0o755)
    (tmp_path / "dpkg").write_text("\n".join(PACKAGES) + "\n")
    for folder in ("etc/nginx", "var/lib/deployon-setup", "etc/apt/sources.list.d", "var/log", "etc/systemd/system"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/nginx/nginx.conf").write_text("the operator's\n")
    (tmp_path / "etc/hosts").write_text("127.0.0.1 localhost\n")
    return tmp_path


def run(root, script):
    """The script with every absolute path below `root`."""
    for folder in ("/etc/", "/var/", "/opt/"):
        script = script.replace(folder, f"{root}{folder}")
    script = (
        script.replace("/etc/*)", "/etc/*)")
        .replace(" -C /\n", f" -C {root}\n")
        .replace("tar -cf", f"cd {root}; tar -cf")
    )
    script = script.replace('done > "$before/settings"', f'done | sed "s#{root}/##" > "$before/settings"')
    env = os.environ | {"PATH": f"{root / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-e", "-c", script], env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def install(root, *names):
    run(root, REMEMBER)
    (root / "dpkg").write_text("\n".join(sorted({*PACKAGES, *names})) + "\n")
    run(root, REMEMBER + NOTE_ADDED)
    (root / "etc/nginx/nginx.conf").write_text("ours\n")
    (root / "etc/haproxy").mkdir(exist_ok=True)
    (root / "var/lib/deployon-setup/applied").mkdir(exist_ok=True)


def purged(root):
    line = next((line for line in (root / "calls").read_text().splitlines() if line.startswith("apt-get")), "")
    return line.partition("purge --yes ")[2].split()


def test_packages_that_came_with_the_install_go_and_those_before_it_stay(host):
    install(host, "haproxy", "etcd-server")
    run(host, PURGE)
    assert purged(host) == ["etcd-server", "haproxy"]


def test_what_somebody_installs_later_is_not_ours(host):
    install(host, "haproxy")
    (host / "dpkg").write_text("\n".join([*PACKAGES, "haproxy", "htop"]) + "\n")
    run(host, PURGE)
    assert purged(host) == ["haproxy"]


def test_an_install_that_did_not_end_is_undone_too(host):
    run(host, REMEMBER)
    (host / "dpkg").write_text("\n".join([*PACKAGES, "haproxy"]) + "\n")
    run(host, PURGE)
    assert purged(host) == ["haproxy"]


def test_settings_that_were_there_come_back_and_their_service_runs_again(host):
    install(host, "haproxy")
    run(host, PURGE)
    assert (host / "etc/nginx/nginx.conf").read_text() == "the operator's\n"
    assert not (host / "etc/haproxy").exists()
    assert "systemctl enable --now nginx" in (host / "calls").read_text()
    assert not (host / "var/lib/deployon-setup/before").exists()
    assert f"{host}/etc/nginx" in (host / "var/lib/deployon-setup/kept").read_text()


def test_the_data_of_a_database_that_was_there_stays(host):
    theirs, ours = host / "var/lib/postgresql/17/main", host / "var/lib/postgresql/17/patroni"
    theirs.mkdir(parents=True)
    install(host, "haproxy")
    ours.mkdir()
    run(host, PURGE)
    assert theirs.exists() and not ours.exists()


def test_an_upgraded_cluster_does_not_take_its_own_packages_for_the_operators(host):
    (host / "var/lib/deployon-setup/applied").mkdir()
    run(host, REMEMBER + NOTE_ADDED)
    assert not (host / "var/lib/deployon-setup/before").exists()
