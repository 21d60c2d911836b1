"""The whole of a bundle: made from the machine's package sources, pushed to a host without a route out, installed there.

Slow (minutes, 300 MB fetched the first time), so not among the tests that are found by themselves; needs root and a network:
`python -m pytest tests/installs/e2e_bundle.py -k trixie`. The bundle is kept in var/bundles.
"""

import time
from pathlib import Path

import pytest
from django.conf import settings

from installs.bundle.making import make_bundle
from installs.bundle.pushing import APT_OPTIONS, PLACE, is_pushed, push_bundle
from installs.packages import all_packages
from inventory.connectors.ssh import Command, HostAddress, HostCredential, connect
from tests.lab import Lab

# Services of packages are not started: what they are to do is configured first.
PACKAGES = f"""
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get -qq {APT_OPTIONS} --yes install """
PRODUCT = f"""
mkdir -p /opt/product
cd /opt/product
tar -xzf {PLACE}/product/*.tar.gz --strip-components=1
python3 -m venv .venv
export PIP_NO_INDEX=1 PIP_FIND_LINKS=$(echo {PLACE}/wheels/*)
.venv/bin/pip install --quiet --require-hashes -r requirements.txt
python3 -m orchestration.runner_setup
.venv/bin/python manage.py check
"""


@pytest.mark.parametrize("release", ["trixie", "bookworm"])
def test_a_host_without_a_route_out_gets_every_package_and_the_product(release):
    bundle = make_bundle(release, Path(settings.BASE_DIR) / "var" / "bundles" / release, print)
    bundle.verify()
    names = all_packages(release)
    with Lab.of(["all"], release=release, ordinary=["all"], prefix=f"e2eb{release[0]}") as lab:
        there = lab.host("all")
        credential = HostCredential(private_key=there.key.read_text(), sudo_password=there.password)
        with connect(HostAddress(there.address, user=there.user, host_key=there.host_key), credential) as host:
            began = time.monotonic()
            while not push_bundle(host, bundle, names, with_product=True).is_done:
                assert time.monotonic() < began + 300
            print(f"pushed in {time.monotonic() - began:.0f} s")
            assert is_pushed(host, bundle, names, with_product=True)
            done(host, "packages", PACKAGES + " ".join(names))
            done(host, "product", PRODUCT)
            for program in ("etcd", "patroni", "haproxy", "nginx", "prometheus"):
                assert host.test(Command("which", program)), program


def done(host, name, script):
    began = time.monotonic()
    host.start(name, script)
    while (progress := host.look(name, 0)).is_running:
        assert time.monotonic() < began + 600
        time.sleep(1)
    said = host.run(Command("tail", "-n", 20, f"/var/lib/deployon-setup/detached/{name}/output")).stdout
    assert progress.code == 0, said
    print(f"{name} in {time.monotonic() - began:.0f} s")
