"""The main job through the public API: sites, secrets, environments, a service, a preview, a rollout."""

from __future__ import annotations

import gzip
import io
import tarfile
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portal.demo.installations import DemoError, Installation
from portal.demo.places import INPUTS, PLACES, RULES, SERVICE, USERNAME, Place
from portal.demo.rest import Api, mint_token

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """A rollout that has ended, and its targets as /api/v1 tells them."""

    state: str
    why: str
    targets: list[dict[str, Any]]


class Operator:
    """Does at the central portal what a person would do by hand."""

    def __init__(self, api: Api, say: Say) -> None:
        self.api = api
        self.say = say

    def make_sites(self) -> None:
        for place in PLACES:
            body = {
                "name": place.name,
                "latitude": place.latitude,
                "longitude": place.longitude,
                "time_zone": place.time_zone,
            }
            self.api.post("sites/", body)
        self.say(f"Sites: {', '.join(place.name for place in PLACES)}")

    def store_secrets(self, place: Place, manager: Installation) -> dict[str, str]:
        """The credential of a sub-manager as secrets; their names, as an environment takes them."""
        if place.uses_token:
            token = mint_token(manager.url, USERNAME, manager.password, "central portal")
            self._store(f"{place.slug}-token", token)
            return {"token_secret": f"{place.slug}-token"}
        self._store(f"{place.slug}-user", USERNAME)
        self._store(f"{place.slug}-password", manager.password)
        return {"username_secret": f"{place.slug}-user", "password_secret": f"{place.slug}-password"}

    def _store(self, name: str, value: str) -> None:
        self.api.post("secrets/", {"name": name, "value": value, "purpose": "credential"})

    def expose(self, managers: Sequence[Installation]) -> None:
        """Make the three sub-managers environments; DemoError where one is not ready."""
        for place, manager in zip(PLACES, managers, strict=True):
            credential = self.store_secrets(place, manager)
            found = self.api.post(
                "environments/",
                {
                    "name": place.slug,
                    "display_name": place.name,
                    "endpoint": "127.0.0.1",
                    "protocol": "http",
                    "port": manager.port,
                    "tenant": "default_tenant",
                    "credential": credential,
                    "site": place.name,
                    "labels": place.labels,
                },
            )
            if found["state"] not in ("ready", "degraded"):
                raise DemoError(f"{place.name} was exposed, but is {found['state']}: {found['why']}")
            kind = "token" if place.uses_token else "user and password"
            self.say(f"Environment {place.name}: {manager.url}, by {kind}, {found['state']}")

    def register(self) -> None:
        """Upload the example service."""
        with packed(EXAMPLES / SERVICE) as archive:
            made = self.api.post("services/", data={"name": SERVICE}, files={"archive": (f"{SERVICE}.tar.gz", archive)})
        inputs = ", ".join(made["newest"]["inputs_schema"])
        self.say(
            f"Service {SERVICE} v{made['newest']['number']}, digest {made['newest']['digest'][:12]}, inputs {inputs}"
        )

    def preview(self) -> str:
        """The digest of what would be done; DemoError where that is not all of the environments."""
        shown = self.api.post(
            "rollouts/preview/", {"service": SERVICE, "rules": RULES, "inputs": INPUTS, "survey": True}
        )
        create = [row["name"] for row in shown["create"]]
        for row in shown["excluded"] + shown["differs"] + shown["stays"]:
            self.say(f"  left out: {row['name']}: {row['why']}")
        if len(create) != len(PLACES):
            raise DemoError(f"The preview would deploy to {len(create)} of {len(PLACES)} environments.")
        self.say(
            f"Preview: env is prod matches {', '.join(create)}; create {len(create)}; digest {shown['digest'][:12]}"
        )
        return str(shown["digest"])

    def start(self, digest: str) -> dict[str, Any]:
        body = {"digest": digest, "max_parallel": 10, "failure_budget": 0}
        rollout: dict[str, Any] = self.api.post("rollouts/", body, key=str(uuid.uuid4()))
        return rollout

    def targets(self, rollout: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api.get(rollout["targets"])["results"]
        return sorted(found, key=lambda row: str(row["name"]))

    def outcome(self, rollout: dict[str, Any]) -> Outcome:
        """As it stands now."""
        told = self.api.get(f"rollouts/{rollout['id']}/")
        return Outcome(told["state"], told["why"], self.targets(rollout))


def packed(folder: Path) -> io.BytesIO:
    """A folder as tar.gz, with the folder itself at its top; the same files give the same bytes, hence the same digest."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mtime = member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return member

    content = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=content, mode="wb", mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w") as archive,
    ):
        archive.add(folder, folder.name, filter=plain)
    content.seek(0)
    return content
