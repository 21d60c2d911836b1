"""Long work on a host, run by its own systemd: it outlives the connection, the worker and the portal, and is found again by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inventory.connectors.ssh.commands import ENVIRONMENT, Command, Hidden
from inventory.connectors.ssh.values import HostError, HostErrorKind

if TYPE_CHECKING:
    from inventory.connectors.ssh.session import Host

# On disk: what had ended before a power cut is not done twice. Not below the folder of the service, whose user owns that one.
FOLDER = "/var/lib/deployon-setup/detached"
KEPT_DAYS = 7
MOST_AT_ONCE = 64 * 1024
STOPPED = 143  # the exit code of what was stopped: 128 + SIGTERM
STOP_SECONDS = 20

# $1 folder, $2 unit, $3 user, $4 size of the script. A folder without code whose unit is not at work was lost with its host: it starts anew.
START = f"""
umask 022
mkdir -p -- "$(dirname -- "$1")"
umask 077
command -v systemd-run > /dev/null && [ -d /run/systemd/system ] || {{ echo "it does not run systemd" >&2; exit 3; }}
mkdir -p -m 700 "$1"
exec 9> "$1/.lock"
flock -w 30 9
cd "$1"
case $(systemctl show -p ActiveState --value "$2.service") in active|activating|deactivating|reloading) exit 0;; esac
[ ! -e "$2/code" ] || exit 0
rm -rf -- "$2"
find . -mindepth 1 -maxdepth 1 -type d -mtime +{KEPT_DAYS} -exec rm -rf -- {{}} +
mkdir "$2"
cat > "$2/script"
[ "$(wc -c < "$2/script")" -eq "$4" ] || {{ echo "its script came through in part only" >&2; exit 1; }}
: > "$2/output"
chown -- "$3" "$2/script"
cat > "$2/run" <<'END'
cd / && exec 3< "$1/script" 4> "$1/code.new" >> "$1/output" 2>&1 < /dev/null
code=0
if [ "$2" = root ]; then sh -eu /dev/fd/3 4>&- || code=$?
else setpriv --reuid "$2" --regid "$(id -g "$2")" --init-groups --reset-env sh -eu /dev/fd/3 4>&- || code=$?
fi
echo $code >&4
sync "$1/output" "$1/code.new"
mv -f "$1/code.new" "$1/code"
END
systemd-run --quiet --collect --no-ask-password --unit="$2" --description="DeployOn: $2" -p TimeoutStopSec={STOP_SECONDS} \\
  -p KillMode=control-group -p IgnoreSIGPIPE=no {" ".join(f"--setenv={name}={value}" for name, value in ENVIRONMENT.items())} \\
  sh "$1/$2/run" "$1/$2" "$3" 9>&-
echo started
"""
# $1 folder, $2 unit, $3 offset: "state code size", a line each, then the output from there. State first: a code that comes
# after it is seen at the next look; output last: of what has ended all is there.
LOOK = f"""
systemctl show -p ActiveState --value "$2.service"
cat "$1/$2/code" 2>/dev/null || echo -
stat -c %s "$1/$2/output" 2>/dev/null || echo 0
[ ! -e "$1/$2/output" ] || tail -c "+$(($3 + 1))" "$1/$2/output" | head -c {MOST_AT_ONCE}
"""
STOP = f"""
systemctl stop "$2.service" 2>/dev/null || :
[ ! -d "$1/$2" ] || [ -e "$1/$2/code" ] || echo {STOPPED} > "$1/$2/code"
"""
FORGET = """
[ "$(systemctl show -p ActiveState --value "$2.service")" != active ] || { echo "it is at work" >&2; exit 1; }
rm -rf -- "$1/$2"
"""


@dataclass(frozen=True)
class Progress:
    """One look at detached work."""

    is_running: bool
    code: int | None  # once it has ended
    output: str  # from the offset that was asked for; whole lines while it runs
    next_offset: int
    size: int  # of all its output until now, in bytes

    @property
    def has_more(self) -> bool:
        """Whether it wrote more than this look brought."""
        return self.next_offset < self.size and not (self.is_running and not self.output)

    @property
    def is_lost(self) -> bool:
        """Neither at work nor ended: the host went down in the middle, or it was never started."""
        return not self.is_running and self.code is None


def start(host: Host, unit: str, script: str | Hidden, *, is_root: bool) -> bool:
    """Started: True; at work or ended already: False. Its exit code and output stay until `forget`, at most a week."""
    user = "root" if is_root else host.address.user
    content = str(script.value if isinstance(script, Hidden) else script).encode()
    try:
        command = Command.shell(START, FOLDER, _checked(unit), user, len(content))
        said = host.run(command, input=Hidden(content.decode())).text
    except HostError as error:
        if error.kind is HostErrorKind.FAILED and error.code == 3:
            message = f"{host.address} does not run systemd. Install Debian 12 or 13 with its ordinary init."
            raise HostError(error.kind, message, code=error.code) from None
        raise
    return said.endswith("started")


def look(host: Host, unit: str, offset: int) -> Progress:
    raw = host.run(Command.shell(LOOK, FOLDER, _checked(unit), max(0, offset))).raw
    state, code, size, content = [*raw.split(b"\n", 3), b"", b"", b""][:4]
    ended = int(code) if code.strip().isdigit() else None
    is_running = ended is None and state in (b"active", b"activating", b"deactivating", b"reloading")
    if is_running or len(content) >= MOST_AT_ONCE:  # a line that is being written, or cut here, comes whole next time
        content = content[: content.rfind(b"\n") + 1] or (content if len(content) >= MOST_AT_ONCE else b"")
    return Progress(
        is_running=is_running,
        code=ended,
        output=content.decode(errors="replace"),
        next_offset=offset + len(content),
        size=int(size or 0),
    )


def stop(host: Host, unit: str) -> None:
    host.run(Command.shell(STOP, FOLDER, _checked(unit)), timeout=STOP_SECONDS + 10)


def forget(host: Host, unit: str) -> None:
    host.run(Command.shell(FORGET, FOLDER, _checked(unit)))


def _checked(unit: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,99}", unit):
        raise ValueError(f"{unit!r} is no name of a unit: small letters, digits, - and _ only.")
    return unit
