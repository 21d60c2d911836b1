"""Files and folders on a host, made so as a whole: staged where only the owner looks, then renamed into place."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from inventory.connectors.ssh.commands import Command

if TYPE_CHECKING:
    from inventory.connectors.ssh.session import Host

PUT_SECONDS = 120.0
# $1 path, $2 owner, $3 group, $4 mode, $5 size. LOOK says what is there, as "owner group mode digest", or nothing.
LOOK = '[ ! -f "$1" ] || [ -L "$1" ] || { stat -c "%U %G %a" -- "$1"; sha256sum < "$1"; }'
# The staging folder lies beside the file, so that the rename is one step; one that a lost host left behind goes as well.
PUT = """
umask 077
folder=$(dirname -- "$1")
[ -d "$folder" ] || { echo "its folder $folder is not there" >&2; exit 1; }
find "$folder" -maxdepth 1 -name '.deployon-??????????' -mmin +60 -exec rm -rf -- {} +
stage=$(mktemp -d -- "$folder/.deployon-XXXXXXXXXX")
trap 'rm -rf -- "$stage"' EXIT
trap 'exit 1' HUP INT TERM
# A connection that is cut looks like the end of the content. (No digest here: who lists processes could try passwords on it.)
cat > "$stage/file"
[ "$(wc -c < "$stage/file")" -eq "$5" ] || { echo "it came through in part only" >&2; exit 1; }
install -o "$2" -g "$3" -m "$4" -- "$stage/file" "$stage/ready"
sync -- "$stage/ready"
mv -fT -- "$stage/ready" "$1"
"""
FOLDER = """
was=$([ ! -d "$1" ] || [ -L "$1" ] || stat -c "%U %G %a" -- "$1")
[ "$was" != "$2 $3 $4" ] || exit 0
install -d -o "$2" -g "$3" -m "$4" -- "$1"
echo changed
"""


def put(host: Host, path: str, content: bytes, *, owner: str, group: str, mode: int, is_root: bool) -> bool:
    """Write the file where content, owner, group or mode differ. Returns whether anything had to change."""
    wanted = [owner, group, f"{mode:o}", hashlib.sha256(content).hexdigest()]
    found = host.run(Command.shell(LOOK, path), is_root=is_root).stdout.split()[:4]
    if found == wanted:
        return False
    host.run(
        Command.shell(PUT, path, owner, group, f"{mode:04o}", len(content)),
        input=content,
        is_root=is_root,
        timeout=PUT_SECONDS,
    )
    return True


def make_folder(host: Host, path: str, *, owner: str, group: str, mode: int) -> bool:
    return bool(host.run(Command.shell(FOLDER, path, owner, group, f"{mode:o}")).text)
