"""A host clean again: what the install brought goes, what was there before comes back as it was."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from installs.steps import HostStep
from inventory.connectors.ssh import Command, Host
from runs.operations import Context, Later, operation

STATE = "/var/lib/deployon-setup"
# What must not be there when a host is clean, unless it was before.
LEFT = (
    "/etc/deployon", "/opt/deployon", "/etc/etcd", "/etc/patroni", "/etc/rabbitmq", "/etc/haproxy", "/etc/prometheus",
    "/var/lib/etcd", "/var/lib/postgresql", "/var/lib/rabbitmq", "/var/lib/prometheus", "/var/lib/deployon-setup/applied",
)  # fmt: skip
# Folders of services that an operator may have had before; data is not copied, only left where it is.
_SETTINGS = (
    "/etc/nginx /etc/haproxy /etc/keepalived /etc/prometheus /etc/etcd /etc/patroni /etc/rabbitmq /etc/postgresql "
    "/etc/postgresql-common /etc/default/etcd /etc/default/prometheus /etc/default/prometheus-node-exporter"
)
_DATA = "/var/lib/etcd /var/lib/postgresql /var/lib/rabbitmq /var/lib/prometheus /var/log/rabbitmq /var/log/postgresql"
_UNITS = (
    "deployon-worker@1 deployon-worker@2 deployon-web nginx haproxy keepalived patroni etcd rabbitmq-server prometheus "
    "prometheus-node-exporter prometheus-postgres-exporter prometheus-blackbox-exporter"
)
_INSTALLED = "dpkg-query --show --showformat '${db:Status-Abbrev} ${Package}\\n' | awk '$1 == \"ii\" {print $2}' | sort"

# Once, before the first package: what is installed, at work and configured already.
REMEMBER = f"""
export LC_ALL=C
before={STATE}/before
if [ ! -e "$before/whole" ] && [ ! -e {STATE}/applied ]; then
  rm -rf "$before" {STATE}/kept
  mkdir -p -m 700 "$before"
  {_INSTALLED} > "$before/packages"
  for path in {_SETTINGS} {_DATA}; do if [ -e "$path" ]; then echo "$path"; fi; done > "$before/paths"
  for unit in {_UNITS}; do if systemctl is-active --quiet "$unit"; then echo "$unit"; fi; done > "$before/units"
  for path in {_SETTINGS}; do if [ -e "$path" ]; then echo "$path"; fi; done > "$before/settings"
  tar -cf "$before/settings.tar" --files-from "$before/settings" 2>/dev/null
  : > "$before/added"
  touch "$before/whole"
fi
"""
# After it: what came since. What somebody installs later is none of ours.
NOTE_ADDED = f"""
if [ -e "$before/whole" ]; then
  {_INSTALLED} | comm -13 "$before/packages" - | cat - "$before/added" | sort -u > "$before/added.new"
  mv "$before/added.new" "$before/added"
fi
"""
PURGE = f"""
export LC_ALL=C
before={STATE}/before
systemctl disable --now deployon-leaders-apart.timer {_UNITS} 2>/dev/null || :
if [ -e "$before/whole" ]; then
  [ -s "$before/added" ] || {_INSTALLED} | comm -13 "$before/packages" - > "$before/added"  # the install did not end
  names=$({_INSTALLED} | comm -12 - "$before/added")
  was_there() {{ grep -qxF "$1" "$before/paths"; }}
else  # installed by a version that did not remember: everything of these services is taken for ours
  names=$(dpkg-query --show --showformat '${{Package}} ${{db:Status-Abbrev}}\n' 'etcd-*' 'patroni' 'postgresql*' 'rabbitmq-server' 'erlang*' \
    'nginx*' 'haproxy' 'keepalived' 'prometheus*' 2>/dev/null | awk '$2 != "un" {{print $1}}')
  was_there() {{ false; }}
fi
if ! was_there /var/lib/postgresql; then pkill -u postgres || :; fi
if ! was_there /var/lib/rabbitmq; then pkill -u rabbitmq || :; fi
[ -z "$names" ] || DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 purge --yes $names
rm -rf /etc/deployon /opt/deployon /etc/apt/sources.list.d/deployon.sources /etc/systemd/system/deployon-* \
  /etc/systemd/system/etcd.service.d/deployon.conf /etc/systemd/system/rabbitmq-server.service.d/deployon.conf \
  /etc/systemd/system/prometheus-postgres-exporter.service.d/deployon.conf /etc/postgresql-common/createcluster.d/deployon.conf \
  /var/lib/postgresql/*/patroni /var/lib/postgresql/.pgpass_patroni
for path in /etc/systemd/system/etcd.service.d /etc/systemd/system/rabbitmq-server.service.d \
  /etc/systemd/system/prometheus-postgres-exporter.service.d /etc/postgresql-common/createcluster.d; do
  rmdir "$path" 2>/dev/null || :
done
for path in {_SETTINGS} {_DATA}; do
  case "$path" in
    /etc/*) rm -rf "$path" ;;
    *) was_there "$path" || rm -rf "$path" ;;
  esac
done
if ! was_there /etc/prometheus; then rm -rf /etc/default/prometheus*; fi
systemctl daemon-reload
sed -i '/^# DeployOn: the hosts of this cluster$/,/^# DeployOn: end$/d' /etc/hosts
if getent passwd deployon > /dev/null; then userdel deployon || :; fi
rm -rf {STATE}/bundle {STATE}/applied /var/lib/deployon
if [ -e "$before/whole" ]; then
  tar -xpf "$before/settings.tar" -C /
  while read -r unit; do systemctl enable --now "$unit" || echo "$unit, which ran before, does not start"; done < "$before/units"
  cp "$before/paths" {STATE}/kept
  rm -rf "$before"
fi
"""


@operation("host.purge")
@dataclasses.dataclass(frozen=True)
class PurgeHost(HostStep):
    """Take away everything that was installed: services, data, packages, files. What is on the host of it is lost.

    Packages, settings and services that were there before the install stay, and are as they were.
    """

    is_interruptible: ClassVar[bool] = False

    def describe(self) -> str:
        return f"Remove everything of the cluster from {self.host}"

    def look(self, context: Context, host: Host) -> bool | Later:
        return not host.test(Command.shell(_IS_LEFT, *LEFT))

    def act(self, context: Context, host: Host) -> Later | None:
        return self.detached(context, host, "purge", PURGE)


# Arguments: paths. Whether one is there that was not before; a purge that was cut in its middle is not at its end.
_IS_LEFT = f"""
if [ -e {STATE}/before ]; then exit 0; fi
for path in "$@"; do
  if [ -e "$path" ] && ! grep -qxF "$path" {STATE}/kept 2>/dev/null; then exit 0; fi
done
exit 1
"""
