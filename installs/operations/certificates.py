"""Certificates on a host: exactly those that its services show, each in a folder that its service alone can read."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import ClassVar

from django.core.exceptions import ValidationError

from installs.certificates import files_for
from installs.operations.applying import Configure
from installs.rendering import management
from installs.rendering.pki_paths import MONITORING, OF_PART, PkiFolder
from installs.rendering.values import RenderedFile
from installs.wanted import Wanted
from inventory.connectors.ssh import Command, Host
from inventory.layout import Part
from inventory.models import Cluster
from runs.operations import Context, Later, OperationError, operation

# Those that read their certificate once; the others look at it with every connection.
_RELOAD = """
for unit in "$@"; do
  if systemctl is-active --quiet "$unit"; then systemctl reload "$unit"; fi
done
"""
# Arguments: the user, its folder.
_MAKE_USER = 'getent passwd "$1" > /dev/null || useradd --system --home-dir "$2" --shell /usr/sbin/nologin "$1"'


@operation("host.certificates")
@dataclasses.dataclass(frozen=True)
class PlaceCertificates(Configure):
    """Have the host's certificates and keys where its services read them."""

    service: ClassVar[str] = "certificates"

    def describe(self) -> str:
        return f"Place the certificates of {self.host}"

    def files(self, context: Context, wanted: Wanted, host: Host) -> list[RenderedFile]:
        try:
            files = files_for(
                Cluster.objects.prefetch_related("nodes").get(pk=self.cluster), wanted.layout.host(self.host)
            )
        except ValidationError as error:
            raise OperationError(" ".join(error.messages), cause="certificate") from None
        for each in files:
            if "PRIVATE KEY-----" in each.content:
                context.hide(each.content)
        return files

    def act(self, context: Context, host: Host) -> Later | None:
        """Their folders first: each service may enter its own."""
        folders = {str(PurePosixPath(each.path).parent) for each in self.files(context, self.wanted(context), host)}
        for folder in (*OF_PART.values(), MONITORING):
            if folder.path in folders:
                make_pki_folder(host, folder)
        return super().act(context, host)

    def tell(self, wanted: Wanted, host: Host, files: Sequence[RenderedFile]) -> None:
        host.run(Command.shell(_RELOAD, "nginx", "haproxy", "patroni"))


def make_pki_folder(host: Host, folder: PkiFolder) -> None:
    """Its service may enter it, nobody else. The user of the management service comes with no package."""
    if folder == OF_PART[Part.MANAGER]:
        host.run(Command.shell(_MAKE_USER, management.USER, management.DATA_FOLDER))
    host.make_folder(str(PurePosixPath(folder.path).parent))
    host.make_folder(folder.path, owner=folder.user, group=folder.group, mode=0o750)
