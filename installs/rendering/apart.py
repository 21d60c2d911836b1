"""What keeps the leaders of etcd and PostgreSQL on different hosts: lost together, the lock of the second outlives both by seconds."""

from __future__ import annotations

from installs.rendering import etcd
from installs.rendering.pki_paths import ETCD
from installs.rendering.values import Passwords, RenderedFile
from inventory.layout import Host, Layout, Part

UNIT = "deployon-leaders-apart"
SCRIPT = "/etc/deployon/leaders-apart"
EVERY = 20  # seconds
# Looks at this host alone, and asks somebody else only where it leads both. What goes wrong is tried again in a moment.
_SCRIPT = """\
#!/bin/sh
# DeployOn: etcd is led from another host than PostgreSQL.
export ETCDCTL_API=3 ETCDCTL_CACERT={ca} ETCDCTL_CERT={certificate} ETCDCTL_KEY={key}
own=https://{address}:{port}
ask() {{ timeout 5 etcdctl --dial-timeout=2s --command-timeout=4s "$@" 2>/dev/null; }}
[ "$(ask --endpoints="$own" endpoint status -w simple | cut -d, -f5)" = " true" ] || exit 0
leads=$(timeout 5 runuser -u postgres -- psql -XAtq -d postgres -c 'select not pg_is_in_recovery()' 2>/dev/null)
[ "$leads" = t ] || exit 0
ask --endpoints="$own" member list -w simple | while IFS=, read -r id state name peer client learner; do
  [ "$state" = " started" ] && [ "${{learner:- false}}" = " false" ] && [ "$client" != " $own" ] || continue
  ask --endpoints="${{client# }}" endpoint health > /dev/null || continue
  ask --endpoints="$own" move-leader "$id" > /dev/null && break
done
exit 0
"""
_SERVICE = f"""\
[Unit]
Description=DeployOn, etcd led from another host than PostgreSQL

[Service]
Type=oneshot
ExecStart={SCRIPT}
TimeoutStartSec=60
"""
_TIMER = f"""\
[Unit]
Description=DeployOn, etcd led from another host than PostgreSQL

[Timer]
OnActiveSec={EVERY}
OnUnitInactiveSec={EVERY}
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


def is_on(layout: Layout, host: Host) -> bool:
    """Whether this host could lead both, and another one could take over etcd."""
    return host.has(Part.ETCD) and host.has(Part.DATABASE) and len(layout.having(Part.ETCD)) > 1


def files(layout: Layout, host: Host, passwords: Passwords) -> list[RenderedFile]:
    script = _SCRIPT.format(
        ca=ETCD.ca, certificate=ETCD.certificate, key=ETCD.key, address=host.private_address, port=etcd.CLIENT_PORT
    )
    return [
        RenderedFile(SCRIPT, script, mode=0o755),
        RenderedFile(f"/etc/systemd/system/{UNIT}.service", _SERVICE),
        RenderedFile(f"/etc/systemd/system/{UNIT}.timer", _TIMER),
    ]
