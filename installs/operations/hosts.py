"""A host before any service: its names, and its packages, which must not begin anything by themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from installs.bundle.manifest import Bundle, find_bundle, place_of
from installs.bundle.pushing import APT_OPTIONS, is_pushed, push_bundle
from installs.operations.purging import NOTE_ADDED, REMEMBER
from installs.packages import packages_of
from installs.rendering.hosts import hosts_file
from installs.steps import HostStep
from inventory.connectors.ssh import Command, Host
from inventory.layout import Part
from runs.operations import Context, Later, OperationError, operation

# What a package would start alone (a cluster of one, a guest) is not started: policy-rc.d says so while they are installed.
INSTALL = """
policy=/usr/sbin/policy-rc.d
if [ -e "$policy" ] && ! grep -q DeployOn "$policy"; then mv "$policy" "$policy.before-deployon"; fi
printf '#!/bin/sh\\n# DeployOn: nothing is started while packages are installed\\nexit 101\\n' > "$policy"
chmod 755 "$policy"
finish() { rm -f "$policy"; [ ! -e "$policy.before-deployon" ] || mv "$policy.before-deployon" "$policy"; }
trap finish EXIT
mkdir -p /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/deployon.conf
apt-get {apt} update
apt-get {apt} -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-unsafe-io \
  install --yes {packages}
sync
"""


@operation("host.names")
@dataclasses.dataclass(frozen=True)
class SetNames(HostStep):
    """Have the host called as it is in the cluster, and all hosts of the cluster known to it by name."""

    def describe(self) -> str:
        return f"Set the names of hosts on {self.host}"

    def look(self, context: Context, host: Host) -> bool | Later:
        present = host.get("/etc/hosts").decode(errors="replace")
        return present == self._wanted_file(context, present) and host.run(Command("hostname")).text == self.host

    def act(self, context: Context, host: Host) -> Later | None:
        present = host.get("/etc/hosts").decode(errors="replace")
        host.put("/etc/hosts", self._wanted_file(context, present).encode())
        if host.run(Command("hostname")).text != self.host:
            host.put("/etc/hostname", f"{self.host}\n".encode())
            host.run(Command("hostname", self.host))
        return None

    def _wanted_file(self, context: Context, present: str) -> str:
        layout = self.wanted(context).layout
        return hosts_file(present, layout, layout.host(self.host))


def bundle_for(release: str) -> Bundle:
    """The one that hosts of this release are built from. OperationError with a remedy where there is none."""
    found = find_bundle(release)
    if found is None:
        raise OperationError(
            f"There is no bundle for {release} on this portal. Make one on a connected machine with `manage.py bundle --release "
            f"{release}`, and copy it to {place_of(release)} if that machine is another one. Then resume.",
            cause="bundle",
        )
    return found


@operation("host.bundle")
@dataclasses.dataclass(frozen=True)
class PushBundle(HostStep):
    """Have on the host all packages and wheels that it needs: it may have no route to anybody else."""

    def describe(self) -> str:
        return f"Push packages to {self.host}"

    def look(self, context: Context, host: Host) -> bool | Later:
        layout = self.wanted(context).layout
        own = layout.host(self.host)
        is_manager = own.has(Part.MANAGER)
        return is_pushed(host, bundle_for(layout.release), packages_of(layout, own), with_product=is_manager)

    def act(self, context: Context, host: Host) -> Later | None:
        layout = self.wanted(context).layout
        own = layout.host(self.host)
        pushed = push_bundle(
            host, bundle_for(layout.release), packages_of(layout, own), with_product=own.has(Part.MANAGER)
        )
        if pushed.sent_bytes:
            context.say(f"Sent {pushed.sent_files} files, {pushed.sent_bytes / 2**20:.0f} MB, to {self.host}.")
        if pushed.is_done:
            return None
        return Later(0.0, f"Pushing packages to {self.host}: {pushed.left_bytes / 2**20:.0f} MB are left.")


@operation("host.packages")
@dataclasses.dataclass(frozen=True)
class InstallPackages(HostStep):
    """Have the packages of the host's parts, from the bundle."""

    def describe(self) -> str:
        return f"Install the packages of {self.host}"

    def look(self, context: Context, host: Host) -> bool | Later:
        return not missing(host, self._packages(context))

    def act(self, context: Context, host: Host) -> Later | None:
        script = INSTALL.replace("{apt}", APT_OPTIONS).replace("{packages}", " ".join(self._packages(context)))
        return self.detached(context, host, "packages", REMEMBER + script + NOTE_ADDED)

    def _packages(self, context: Context) -> list[str]:
        layout = self.wanted(context).layout
        return packages_of(layout, layout.host(self.host))


def missing(host: Host, packages: Sequence[str]) -> list[str]:
    """Those that are not installed."""
    shown = host.run(
        Command("dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Abbrev}\\n", *packages), codes=None
    )
    there = {line.split()[0] for line in shown.stdout.splitlines() if line.split()[1:2] == ["ii"]}
    return [name for name in packages if name not in there]
