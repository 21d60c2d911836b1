"""A real OpenSSH server on a port of its own, as an ordinary process that lets the user of the tests in by key."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from inventory.connectors.policy import EndpointPolicy
from inventory.connectors.ssh import HostAddress, HostCredential
from tests.services.shared import Missing, accepts, free_port, keep, stop_keeper, wait_until

LOOPBACK = EndpointPolicy.of(["127.0.0.0/8"])
# SHLVL keeps bash from reading the start-up files of whoever runs the tests.
CONFIGURATION = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication yes
PermitRootLogin yes
LogLevel VERBOSE
SetEnv SHLVL=1
{more}
"""


class Sshd:
    """One server with keys of its own."""

    def __init__(self, folder: Path, more: str = "") -> None:
        program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None or shutil.which("ssh-keygen") is None:
            raise Missing("No SSH server here: apt-get install openssh-server")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port, self.program = folder, free_port(), program
        self.new_key("host_key")
        self.new_key("user_key")
        shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
        (folder / "sshd_config").write_text(CONFIGURATION.format(port=self.port, folder=folder, more=more))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd insists on parting with its rights
        self.options = ["-f", str(folder / "sshd_config")]
        patient = [*self.options, "-o", "PerSourcePenalties=no"]  # later versions hang up on whom they refused before
        if subprocess.run([program, "-t", *patient], capture_output=True, timeout=60).returncode == 0:
            self.options = patient
        self.start()

    def start(self) -> None:
        log = self.folder / "log"
        self.keeper = keep([self.program, "-D", "-e", *self.options], env=dict(os.environ), log=log, grace=2)
        wait_until(lambda: accepts(self.port), 10, keeper=self.keeper, what="sshd", log=log)

    def stop(self) -> None:
        """The server and every connection that it holds."""
        stop_keeper(self.keeper.pid)

    def new_key(self, name: str, kind: str = "ed25519") -> str:
        """Makes a key pair (in place of the one before); returns its public line."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", path], check=True, timeout=60)
        return path.with_name(f"{name}.pub").read_text().strip()

    @property
    def address(self) -> HostAddress:
        """With the trusted key, as the user who runs the tests."""
        line = (self.folder / "host_key.pub").read_text().strip()
        return HostAddress("127.0.0.1", self.port, getpass.getuser(), line)

    @property
    def credential(self) -> HostCredential:
        return HostCredential(private_key=(self.folder / "user_key").read_text())


@contextlib.contextmanager
def running(folder: Path, more: str = "") -> Iterator[Sshd]:
    server = Sshd(folder, more)
    try:
        yield server
    finally:
        server.stop()
