"""A bundle on its way to a host: the index first, then what that very host lacks, in pieces that a lost connection does not undo."""

from __future__ import annotations

import re
import tarfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from installs.bundle.manifest import PACKAGES, PRODUCT, Bundle, BundledFile
from installs.bundle.repository import INDEX, source_for
from installs.rendering.values import RELEASES
from inventory.connectors.ssh import Command, Host, HostError, HostErrorKind

PLACE = "/var/lib/deployon-setup/bundle"
SOURCE = "/etc/apt/sources.list.d/deployon.sources"
# apt with the bundle as its only source: it asks nobody else, so a host without a route out waits for no time-out.
APT_OPTIONS = (
    f"-o Dir::Etc::sourcelist={SOURCE} -o Dir::Etc::sourceparts=/dev/null -o APT::Get::List-Cleanup=false "
    "-o APT::Install-Recommends=false -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0"
)
PUSH_SECONDS = 40.0  # of one look at a step
BATCH_BYTES = 16 * 1024 * 1024  # sent as one: what is cut in its middle is sent again
BATCH_TIMEOUT = 600.0
PIECE = 256 * 1024

PREPARE = """
for folder in "$1" "$1/packages" "$1/wheels" "$1/product"; do install -d -o root -g root -m 755 -- "$folder"; done
rm -rf -- "$1/incoming"
"""
# $1 the bundle's place: names and sizes of what is there. Only what had its digest is ever put there.
LIST = 'cd "$1" 2>/dev/null || exit 0; find . -type f -printf "%P %s\\n"'
# Standard input: a tar archive whose first file, `digests`, has the SHA-256 of the others.
RECEIVE = """
umask 022
cd "$1"
rm -rf incoming
mkdir -m 700 incoming
trap 'rm -rf "$1/incoming"' EXIT
tar -x -C incoming --no-same-owner
cd incoming
sha256sum --check --strict --quiet digests
while read -r digest path; do
  install -d -m 755 -- "$1/$(dirname -- "$path")"
  mv -f -- "$path" "$1/$path"
done < digests
"""
# $1 place, then the paths to keep, a line each on standard input: what an earlier bundle left goes.
TIDY = """
cd "$1"
keep=$(mktemp)
trap 'rm -f "$keep"' EXIT
cat > "$keep"
find . -type f -printf '%P\\n' | grep -vxFf "$keep" | while read -r path; do rm -f -- "$path"; done
"""
UPDATE = f"apt-get -qq {APT_OPTIONS} update"
SIMULATE = f'apt-get -qq {APT_OPTIONS} --simulate --yes install "$@"'


@dataclass(frozen=True)
class Pushed:
    """How far a push is."""

    is_done: bool
    sent_files: int  # by this call
    sent_bytes: int
    left_files: int
    left_bytes: int


def push_bundle(
    host: Host, bundle: Bundle, names: Sequence[str], *, with_product: bool, seconds: float = PUSH_SECONDS
) -> Pushed:
    """Send what the host lacks to install `names` (and, `with_product`, to run the service), for about so many seconds.

    Called again it goes on. What is there is not sent again. Raises HostError and BundleError.
    """
    bundle.require(names)
    if not _is_indexed(host, bundle):
        host.run(Command.shell(PREPARE, PLACE))
        _send(host, bundle, [bundle.file(f"{PACKAGES}/{INDEX}")])
        host.run(Command.shell(TIDY, PLACE), input="".join(f"{each.path}\n" for each in bundle.files))
        host.put(SOURCE, source_for(f"{PLACE}/{PACKAGES}").encode())
    host.run(Command.shell(UPDATE), timeout=400)
    lacking = lacks(host, bundle, names, with_product=with_product)
    sent_files = sent_bytes = 0
    until = time.monotonic() + seconds
    while lacking and (not sent_files or time.monotonic() < until):  # at least one, however slow the host is
        batch = _take(lacking)
        _send(host, bundle, batch)
        sent_files += len(batch)
        sent_bytes += sum(each.size for each in batch)
    return Pushed(not lacking, sent_files, sent_bytes, len(lacking), sum(each.size for each in lacking))


def is_pushed(host: Host, bundle: Bundle, names: Sequence[str], *, with_product: bool) -> bool:
    """Whether all that the host needs of the bundle is there, or installed. Touches nothing."""
    if not _is_indexed(host, bundle):
        return False
    try:
        return not lacks(host, bundle, names, with_product=with_product)
    except HostError as error:
        if error.kind is HostErrorKind.FAILED:  # its lists were not read yet
            return False
        raise


def lacks(host: Host, bundle: Bundle, names: Sequence[str], *, with_product: bool) -> list[BundledFile]:
    """What must still be sent. apt on the host itself says which packages it would install."""
    wanted = bundle.package_files(_would_install(host, names)) if names else []
    if with_product:
        wheels = set(bundle.wheels[RELEASES[bundle.release].python])
        wanted += [*bundle.files_in(PRODUCT), *(each for each in bundle.files if each.path in wheels)]
    there = _there(host)
    return [each for each in wanted if there.get(each.path) != each.size]


def _would_install(host: Host, names: Sequence[str]) -> list[tuple[str, str]]:
    said = host.run(Command.shell(SIMULATE, *names), timeout=120)
    return [(name, version) for name, version in re.findall(r"(?m)^Inst (\S+) (?:\[\S+\] )?\((\S+)", said.stdout)]


def _there(host: Host) -> dict[str, int]:
    lines = (line.rpartition(" ") for line in host.run(Command.shell(LIST, PLACE)).stdout.splitlines())
    return {path: int(size) for path, _, size in lines}


def _is_indexed(host: Host, bundle: Bundle) -> bool:
    """Whether the host has the index of this very bundle, and it is a source there."""
    index = bundle.file(f"{PACKAGES}/{INDEX}")
    shown = host.run(
        Command.shell(
            'sha256sum < "$1" 2>/dev/null || echo; cat "$2" 2>/dev/null || :', f"{PLACE}/{index.path}", SOURCE
        )
    ).stdout
    digest, _, source = shown.partition("\n")
    return digest.split()[:1] == [index.sha256] and source == source_for(f"{PLACE}/{PACKAGES}")


def _take(lacking: list[BundledFile]) -> list[BundledFile]:
    """The next ones to send together; at least one."""
    batch = [lacking.pop(0)]
    while lacking and sum(each.size for each in batch) + lacking[0].size <= BATCH_BYTES:
        batch.append(lacking.pop(0))
    return batch


def _send(host: Host, bundle: Bundle, files: Sequence[BundledFile]) -> None:
    host.run(Command.shell(RECEIVE, PLACE), input=archive_of(bundle, files), timeout=BATCH_TIMEOUT)


def archive_of(bundle: Bundle, files: Iterable[BundledFile]) -> Iterator[bytes]:
    """A tar archive in pieces, never whole in memory."""
    chosen = list(files)
    digests = "".join(f"{each.sha256}  {each.path}\n" for each in chosen).encode()
    yield _header("digests", len(digests)) + digests + _padding(len(digests))
    for each in chosen:
        yield _header(each.path, each.size)
        with (bundle.folder / each.path).open("rb") as file:
            while piece := file.read(PIECE):
                yield piece
        yield _padding(each.size)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _header(path: str, size: int) -> bytes:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = size, 0o644
    return entry.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
