"""The management service on a manager host: the product itself in its production shape, several of them active at once."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from installs.bundle.manifest import PRODUCT
from installs.bundle.pushing import PLACE
from installs.certificates import has_entrance
from installs.operations.applying import Configure, Gate, last_words
from installs.operations.balancer import set_manager
from installs.operations.hosts import bundle_for
from installs.reaching import session
from installs.rendering import management
from installs.rendering.pki_paths import MANAGER
from installs.rendering.values import RELEASES, RenderedFile
from installs.steps import HostStep
from installs.wanted import Wanted
from inventory.connectors.ssh import Command, Hidden, Host, HostError
from inventory.layout import Balancing, Part
from runs.operations import Context, Later, operation

PRODUCTS = "/opt/deployon"
# A version has a folder of its own and is switched to when it is whole.
INSTALL = """
install -d -o {user} -g {user} -m 700 {data}
install -d -m 755 {products}
folder={products}/{version}
if [ ! -e "$folder/.whole" ]; then
  rm -rf "$folder"
  mkdir -m 755 "$folder"
  umask 022
  tar -xzf {archive} -C "$folder" --strip-components 1 --no-same-owner
  cd "$folder"
  # uv takes half of pip's time; its cache is on the same file system, so that files are linked instead of written twice.
  tools=$(mktemp -d {products}/tools.XXXXXX)
  trap 'rm -rf "$tools"' EXIT
  python3 -m zipfile -e {wheels}/uv-*.whl "$tools"
  export UV="$tools/program" UV_CACHE_DIR="$tools/cache" UV_NO_INDEX=1 UV_OFFLINE=1 UV_FIND_LINKS={wheels} UV_COMPILE_BYTECODE=1
  export UV_LINK_MODE=hardlink UV_PYTHON_DOWNLOADS=never UV_NO_CONFIG=1
  mv "$tools"/uv-*.data/scripts/uv "$UV"
  chmod 755 "$UV"
  scripts/venv.sh requirements.txt
  .venv/bin/python -m orchestration.runner_setup
  .venv/bin/python -m compileall -q accounts runs inventory installs deployon orchestration portal
  touch .whole
fi
ln -sfn "$folder" {home}.new
mv -fT {home}.new {home}
"""
DRAIN_SECONDS, ANSWER_SECONDS = 2.0, 60.0
WEB = "deployon-web"
UNITS = (WEB, "deployon-worker@1", "deployon-worker@2", "nginx")
_MANAGE = f"""
set -a; . {management.ENVIRONMENT}; set +a
export HOME={management.DATA_FOLDER}
cd {management.HOME}
exec setpriv --reuid {management.USER} --regid {management.USER} --init-groups .venv/bin/python manage.py "$@"
"""
# Arguments: address and port, path, CA. Prints the status. Verified by the cluster's CA, as the balancer does.
_ASK = """
import ssl, sys, urllib.error, urllib.request
context = ssl.create_default_context(cafile=sys.argv[3])
try:
    with urllib.request.urlopen(f"https://{sys.argv[1]}{sys.argv[2]}", timeout=8, context=context) as reply:
        print(reply.status)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError as error:
    print(error)
"""


@operation("manager.install")
@dataclasses.dataclass(frozen=True)
class InstallProduct(HostStep):
    """Have the product and its Python environments on a manager host, from the bundle alone."""

    def describe(self) -> str:
        return f"Install the management service on {self.host}"

    def look(self, context: Context, host: Host) -> bool | Later:
        version = bundle_for(self.wanted(context).layout.release).version
        return host.run(Command("readlink", management.HOME), codes=None).text == f"{PRODUCTS}/{version}"

    def act(self, context: Context, host: Host) -> Later | None:
        layout = self.wanted(context).layout
        bundle = bundle_for(layout.release)
        values = {
            "{products}": PRODUCTS,
            "{version}": bundle.version,
            "{archive}": f"{PLACE}/{next(bundle.files_in(PRODUCT)).path}",
            "{wheels}": f"{PLACE}/wheels/{RELEASES[layout.release].python}",
            "{home}": management.HOME,
            "{user}": management.USER,
            "{data}": management.DATA_FOLDER,
        }
        script = INSTALL
        for name, value in values.items():
            script = script.replace(name, value)
        return self.detached(context, host, "product", script)


@operation("manager.configure")
@dataclasses.dataclass(frozen=True)
class ConfigureManager(Configure):
    """Have web process, workers and nginx at work on one host."""

    service: ClassVar[str] = "management service"
    units: ClassVar[tuple[str, ...]] = UNITS

    def files(self, context: Context, wanted: Wanted, host: Host) -> list[RenderedFile]:
        own = wanted.layout.host(self.host)
        return management.files(wanted.layout, own, wanted.passwords, has_entrance=self._has_entrance(wanted))

    def _has_entrance(self, wanted: Wanted) -> bool:
        """Whether users are shown a certificate of their own by nginx; a balancer of ours shows it itself."""
        return wanted.layout.balancing is not Balancing.OURS and has_entrance(self.cluster)

    def validate(self, wanted: Wanted, host: Host) -> None:
        host.run(Command("nginx", "-t"))

    def tell(self, wanted: Wanted, host: Host, files: Sequence[RenderedFile]) -> None:
        """nginx reads its file without a pause. Web process and workers are begun anew where their settings or units changed alone."""
        host.run(Command("systemctl", "daemon-reload"))
        host.run(Command("systemctl", "enable", *UNITS))
        host.run(Command("systemctl", "reset-failed", *UNITS), codes=None)
        counting = management.counting(files)
        if self.began_with(host, WEB, counting):
            host.run(Command("systemctl", "start", *UNITS), timeout=150)
            host.run(Command("systemctl", "reload", "nginx"), timeout=60)
            return
        if host.test(Command("systemctl", "is-active", "--quiet", WEB)):
            # Plans of a serving cluster take at most half of the managers at a time; the balancers send their users to the others.
            with drained(self.cluster, wanted, self.host):
                host.run(Command("systemctl", "restart", *UNITS), timeout=150)
                await_answer(wanted, host, self.host)
        else:
            host.run(Command("systemctl", "restart", *UNITS), timeout=150)
        self.mark_begun(host, WEB, counting)


@operation("manager.administrator")
@dataclasses.dataclass(frozen=True)
class MakeAdministrator(HostStep):
    """Have the first administrator of the new installation. Done by one manager host for all; its web process made the tables."""

    def describe(self) -> str:
        return "Make the first administrator of the management service"

    def look(self, context: Context, host: Host) -> bool | Later:
        return host.test(manage("first_admin", "--check"), timeout=60)

    def act(self, context: Context, host: Host) -> Later | None:
        password = Hidden(f"{self.wanted(context).admin_password}\n")
        host.run(manage("first_admin", "--password-stdin"), input=password, timeout=60)
        return None


def manage(*words: str) -> Command:
    """A command of the product on a manager host, as its user and with its settings."""
    return Command.shell(_MANAGE, *words)


@operation("manager.healthy")
@dataclasses.dataclass(frozen=True)
class ManagerIsHealthy(Gate):
    """Its pages answer on 443 and 53333 by the cluster's certificate, and its database answers."""

    every: ClassVar[float] = 1.0

    def describe(self) -> str:
        return f"Wait until the management service answers on {self.host}"

    def fault(self, context: Context, host: Host) -> str:
        return fault_of(self.wanted(context), host, self.host)


def fault_of(wanted: Wanted, host: Host, name: str) -> str:
    """What its ports answer that they should not, in words; "" where all is well."""
    address = wanted.layout.host(name).private_address
    # Users who come by this very address may be shown another certificate on 443; loopback has the host's own always.
    own = "127.0.0.1" if address == wanted.layout.front else address
    for place, port, path, expected in ((own, 443, "/readyz", "200"), (address, 53333, "/api/v3.1/status", "401")):
        command = Command("python3", "-c", _ASK, f"{place}:{port}", path, MANAGER.ca)
        answer = host.run(command, codes=None, timeout=20).text
        if answer != expected:
            said = last_words(host, WEB, 1)[-200:] if answer == "502" else ""
            tail = f" Its last words: {said}" if said else ""
            return (
                f"Waiting for the management service on {name}: port {port} answers {answer[:120] or 'nothing'}.{tail}"
            )
    return ""


def await_answer(wanted: Wanted, host: Host, name: str) -> None:
    """Until it answers again; one that does not within a minute is the next step's to tell."""
    until = time.monotonic() + ANSWER_SECONDS
    while fault_of(wanted, host, name) and time.monotonic() < until:
        time.sleep(1.0)


@contextmanager
def drained(cluster: int, wanted: Wanted, name: str) -> Iterator[None]:
    """Have no balancer of ours send users to this manager meanwhile. One that cannot be reached serves nobody now either."""
    balancers = [each.name for each in wanted.layout.having(Part.BALANCER)]
    if len(wanted.layout.having(Part.MANAGER)) < 2:
        balancers = []  # nobody else could take its users
    for state, seconds in (("drain", DRAIN_SECONDS), ("maint", 0.0)):
        told = [each for each in balancers if _told(cluster, each, name, state)]
        time.sleep(seconds if told else 0.0)
    try:
        yield
    finally:
        for each in balancers:
            _told(cluster, each, name, "ready")


def _told(cluster: int, balancer: str, name: str, state: str) -> bool:
    try:
        with session(cluster, balancer) as there:
            set_manager(there, name, state)
    except HostError:
        return False
    return True
