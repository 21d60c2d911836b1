"""A logged-in host: what can be asked of it and done there, and how its failures are told."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from contextlib import AbstractContextManager

import paramiko

from inventory.connectors.ssh import detached, facts, files, ways
from inventory.connectors.ssh.commands import Command, Hidden, Input, Output, mask
from inventory.connectors.ssh.conversation import Become, Conversation, chain, close_quietly
from inventory.connectors.ssh.detached import Progress
from inventory.connectors.ssh.facts import Facts
from inventory.connectors.ssh.values import HostAddress, HostCredential, HostError, HostErrorKind

CHANNEL_SECONDS = 10.0
COMMAND_SECONDS = 60.0


class Host:
    """A logged-in connection to one host. For one thread at a time."""

    def __init__(self, transport: paramiko.Transport, address: HostAddress, credential: HostCredential) -> None:
        self._transport = transport
        self.address = address
        self.credential = credential

    @property
    def is_open(self) -> bool:
        return self._transport.is_active()

    def close(self) -> None:
        self._transport.close()

    def run(
        self,
        command: Command,
        *,
        is_root: bool = True,
        input: Input = b"",
        timeout: float = COMMAND_SECONDS,
        codes: Collection[int] | None = (0,),
    ) -> Output:
        """What the command wrote. Raises HostError(FAILED) where its exit code is none of `codes` (None: any will do)."""
        hidden = [*self.credential.hidden, *(secret.value for secret in command.secrets.values())]
        if isinstance(input, Hidden):
            hidden.append(input.value)
        become = Become(self.credential.root_password) if is_root and self.address.user != "root" else None
        words = command.bounded(timeout)
        channel = self._open_channel()
        try:
            conversation = Conversation(channel, timeout, str(self.address), become)
            channel.exec_command(shlex.join(become.wrap(words) if become else words))
            code = conversation.hold(chain(command.first_input, input))
        except HostError as error:
            raise self._explain(error, command, timeout) from None
        except (paramiko.SSHException, EOFError, OSError):
            raise self._explain(HostError(HostErrorKind.BROKEN, ""), command, timeout) from None
        finally:
            close_quietly(channel)
        output = Output(code, bytes(conversation.out), conversation.err.decode(errors="replace"))
        if codes is not None and code not in codes:
            raise self._failed(command, output, hidden, timeout)
        return output

    def test(self, command: Command, *, is_root: bool = True, timeout: float = COMMAND_SECONDS) -> bool:
        """Whether the command ends with code 0."""
        return self.run(command, is_root=is_root, timeout=timeout, codes=None).code == 0

    def put(
        self,
        path: str,
        content: bytes,
        *,
        owner: str = "root",
        group: str = "root",
        mode: int = 0o644,
        is_root: bool = True,
    ) -> bool:
        """Make the file so, whole or not at all; its folder must be there. Returns whether anything had to change."""
        return files.put(self, path, content, owner=owner, group=group, mode=mode, is_root=is_root)

    def get(self, path: str, *, is_root: bool = True) -> bytes:
        return self.run(Command("cat", "--", path), is_root=is_root).raw

    def make_folder(self, path: str, *, owner: str = "root", group: str = "root", mode: int = 0o755) -> bool:
        """Make the folder so, and those above it where they are missing. Returns whether anything had to change."""
        return files.make_folder(self, path, owner=owner, group=group, mode=mode)

    def way(self, address: str, port: int) -> AbstractContextManager[int]:
        """A port of this machine's loopback that leads to a service as the host reaches it, for the length of a `with` block."""
        return ways.way(self._transport, str(self.address), address, port)

    def facts(self) -> Facts:
        """What this host is."""
        return facts.ask(self)

    def start(self, unit: str, script: str | Hidden, *, is_root: bool = True) -> bool:
        """Have systemd run `script` apart from this connection; False: it is at work or has ended already, and is adopted."""
        return detached.start(self, unit, script, is_root=is_root)

    def look(self, unit: str, offset: int = 0) -> Progress:
        """How far it is, and what it wrote from `offset` on."""
        return detached.look(self, unit, offset)

    def stop(self, unit: str) -> None:
        """End it with all that it started; nothing where it has ended."""
        detached.stop(self, unit)

    def forget(self, unit: str) -> None:
        """Take away what is kept of a unit that has ended, so that it may be started anew."""
        detached.forget(self, unit)

    def _open_channel(self) -> paramiko.Channel:
        try:
            return self._transport.open_session(timeout=CHANNEL_SECONDS)
        except (paramiko.SSHException, EOFError, OSError):
            self.close()
            raise HostError(
                HostErrorKind.BROKEN,
                f"The connection to {self.address} is lost, or the host opens no more sessions. It is tried again; if it "
                "stays so, look at that host.",
            ) from None

    def _explain(self, error: HostError, command: Command, timeout: float) -> HostError:
        """A failure of the conversation in words; a connection that met one is not used again."""
        if error.kind in (HostErrorKind.TIMEOUT, HostErrorKind.BROKEN):
            self.close()
        if error.kind is HostErrorKind.TIMEOUT:
            return HostError(
                error.kind, f"`{command}` on {self.address} did not end within {timeout:.0f} s. Look at that host."
            )
        if error.kind is HostErrorKind.BROKEN:
            return HostError(
                error.kind,
                f"The connection to {self.address} was lost during `{command}`; how far it came is not known. It is looked "
                "at again when the host answers.",
            )
        return error

    def _failed(self, command: Command, output: Output, hidden: list[str], timeout: float) -> HostError:
        if output.code in (124, 137):
            return self._explain(HostError(HostErrorKind.TIMEOUT, ""), command, timeout)
        said = mask((output.stderr.strip() or output.text)[-2000:], hidden)
        last = said.splitlines()[-1][:300] if said else "it said nothing"
        return HostError(
            HostErrorKind.FAILED,
            f"`{command}` on {self.address} failed with code {output.code}: {last}",
            code=output.code,
            output=said,
        )
