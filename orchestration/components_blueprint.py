"""The blueprint of a component: brought to the other side from an address, from beside the component's own blueprint, or found there."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from inventory import driver
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.fetching import fetch, without_login
from inventory.connectors.manager import ManagerClient
from inventory.connectors.policy import policy_from_settings
from inventory.driver import NotYet
from orchestration.components_looks import ComponentLooks, is_set
from orchestration.runner_types import Look

DEFAULT_MAIN_FILE = "blueprint.yaml"
REUSED = "Blueprint {} is there already and is used as it is; whether its content is the same is not compared."


class UploadBlueprint(ComponentLooks):
    """Have the blueprint there. An archive at an address is fetched by this portal and pushed: its login stays here."""

    _content = b""

    @property
    def source(self) -> str:
        """Where the archive is: an address, or a path beside the blueprint; "" where none is given."""
        return str(self.blueprint.get("blueprint_archive") or "")

    @property
    def main_file(self) -> str:
        return str(self.blueprint.get("main_file_name") or DEFAULT_MAIN_FILE)

    def fault(self) -> str:
        for name in ("plugins", "secrets"):
            if self.subject.properties.get(name):
                return (
                    f"A component does not bring {name} to a manager here: they would be copied to each of them. Create them "
                    f"there, and take '{name}' out of the blueprint."
                )
        archive = self.blueprint.get("blueprint_archive")
        if archive is not None and not isinstance(archive, str):
            return "blueprint_archive is no text: check the function that it comes from."
        return ""

    def step(self, client: ManagerClient) -> Look:
        if is_set(self.blueprint.get("external_resource")):
            found = driver.check_blueprint(client, self.blueprint_id)
            is_ours = False
        else:
            found, is_ours = self._have(client)
        if isinstance(found, NotYet):
            return self.wait(found)
        self._content = b""
        told = {
            "id": self.blueprint_id,
            "blueprint_archive": without_login(self.source) if "://" in self.source else self.source,
            "application_file_name": self.main_file,
            "labels": self.blueprint.get("labels") or [],
            "is_ours": is_ours,
        }
        said = [] if is_ours else [("warning", REUSED.format(self.blueprint_id))]
        return Look(is_done=True, properties={"blueprint": told}, said=said)

    def _have(self, client: ManagerClient) -> tuple[driver.Done | NotYet, bool]:
        """Push it, unless it is there already."""
        if self._content:
            found = driver.push_blueprint(client, self.blueprint_id, self._open, self.main_file, looks=self.looks)
            return found, True
        try:
            return driver.check_blueprint(client, self.blueprint_id), False
        except ManagerError as error:
            # Not there, or a failed one, which an upload replaces.
            if error.kind not in (ErrorKind.GONE, ErrorKind.INPUT):
                raise
        self._content = self._read()
        return driver.push_blueprint(client, self.blueprint_id, self._open, self.main_file), True

    def _open(self) -> io.BytesIO:
        return io.BytesIO(self._content)

    def _read(self) -> bytes:
        """The bytes of the archive."""
        if not self.source:
            raise ManagerError(
                ErrorKind.INPUT,
                f"There is no blueprint {self.blueprint_id} there, and none is given: name its archive in "
                "resource_config.blueprint.blueprint_archive, or upload it there first.",
            )
        if "://" in self.source:
            return fetch(self.source, policy_from_settings()).content
        root = self.subject.folder.resolve()
        path = (root / self.source).resolve()
        if not path.is_relative_to(root) or not path.exists():
            raise ManagerError(
                ErrorKind.INPUT, f"The blueprint has no file or folder {self.source}. Correct blueprint_archive."
            )
        return path.read_bytes() if path.is_file() else packed(path)


def packed(folder: Path) -> bytes:
    """A folder as an archive with one top folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(folder, arcname=folder.name)
    return buffer.getvalue()
