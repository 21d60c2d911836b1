"""What is done to a host in a drill: scripts that run there apart from the portal, strike once, and mend by themselves."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from installs.drills.kinds import CUT_OFF_SECONDS
from installs.drills.writing import unit_of
from installs.models import Drill
from inventory.connectors.ssh import Command, Host
from inventory.layout import Host as Wanted
from inventory.layout import Layout

MARKS = "/var/lib/deployon-setup/drills"  # on disk: what was struck once is not struck again
MEND_AFTER = 30  # seconds: systemd mends what the script should have mended by then
# /run/$unit is there while it is at work and gone after a restart; $marks/$unit stays. A host that was struck is left alone.
_ONCE = """
marks={marks} unit={unit}
mkdir -p -m 700 "$marks"
find "$marks" -type f -mtime +7 -delete
[ ! -e "$marks/$unit" ] || exit 0
: > "/run/$unit"
: > "$marks/$unit"
sync "$marks/$unit" "$marks"
trap 'rm -f "/run/$unit"' EXIT
mend() {{ nft delete table inet deployon_drill 2>/dev/null || :; systemctl stop "$unit-mend.timer" 2>/dev/null || :; }}
mend_later() {{ systemd-run --quiet --collect --unit="$unit-mend" --on-active="$1" --timer-property=AccuracySec=1s \\
  nft delete table inet deployon_drill; }}
"""
# No farewell to anybody: where the "host" is a container its sockets would be closed one by one. Then no sync and no shutdown.
_CUT_POWER = """
sleep 1
if command -v nft > /dev/null; then
  mend_later {mend_after}
  nft -f - <<'RULES'
table inet deployon_drill {{
  chain came {{ type filter hook input priority -300; policy drop; }}
  chain goes {{ type filter hook output priority -300; policy drop; }}
}}
RULES
fi
reboot --force --force --no-sync || systemctl reboot --force --force || {{ mend; rm -f "$marks/$unit"; exit 1; }}
sleep 60
"""
_CUT_OFF = """
mend_later {mend_after}
trap 'mend; rm -f "/run/$unit"' EXIT
trap 'exit 143' TERM
nft -f - <<'RULES'
table inet deployon_drill {{
  chain came {{
    type filter hook input priority -300
    tcp dport {ssh_port} accept
{came}
  }}
  chain goes {{
    type filter hook output priority -300
    tcp sport {ssh_port} accept
{goes}
  }}
}}
RULES
sleep {seconds} & wait $!
"""
_STATE = """
if [ -e "/run/$2" ]; then echo at-work; elif [ -e "$1/$2" ]; then echo done; else echo untouched; fi
"""


def state_of(host: Host, drill: Drill) -> str:
    """untouched, at-work, or done: struck, and up again or no longer cut off."""
    return host.run(Command.shell(_STATE, MARKS, unit_of(drill, "strike"))).text


def strike(host: Host, drill: Drill, layout: Layout) -> None:
    """Begin it; it goes on by itself."""
    host.start(unit_of(drill, "strike"), script_for(drill, layout))


def script_for(drill: Drill, layout: Layout) -> str:
    once = _ONCE.format(marks=MARKS, unit=unit_of(drill, "strike"))
    if drill.kind != Drill.Kind.QUEUE:
        return once + _CUT_POWER.format(mend_after=MEND_AFTER)
    own = layout.host(drill.host)
    others = strangers_of(layout, own)
    return once + _CUT_OFF.format(
        mend_after=CUT_OFF_SECONDS + MEND_AFTER,
        seconds=CUT_OFF_SECONDS,
        ssh_port=own.ssh_port,
        came="\n".join(f"    {_family(each)} saddr {each} drop" for each in others),
        goes="\n".join(f"    {_family(each)} daddr {each} drop" for each in others),
    )


def strangers_of(layout: Layout, own: Wanted) -> Sequence[str]:
    """Every address of the other hosts, and that of the entrance, unless this host alone has it."""
    found = [address for host in layout.hosts if host.name != own.name for address in host.addresses.values()]
    if layout.entrance and layout.entrance not in own.addresses.values() and _is_address(layout.entrance):
        found.append(layout.entrance)
    return list(dict.fromkeys(found))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _family(address: str) -> str:
    return "ip6" if ":" in address else "ip"
