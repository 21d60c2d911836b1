"""Where the value of an input is read at an environment: a label, its site, a capability, or what it is itself."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from deployon.models import Placement
from inventory import capabilities
from inventory.models import Environment, Label

KINDS = ("label", "site", "capability", "environment")
OF_SITE = ("name", "latitude", "longitude", "time_zone")
OF_ENVIRONMENT = ("name", "id", "endpoint", "protocol", "port", "tenant")
_LINE = re.compile(r"\s*(?P<input>[^=\s]+)\s*=\s*(?P<kind>[a-z]+):(?P<key>\S.*?)\s*$")
_HOW = (
    "Write one a line: input = label:key, site:latitude, capability:name, capability:service.name or environment:name."
)


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where the value of an input is read at each environment."""

    kind: str  # of KINDS
    key: str

    @property
    def words(self) -> str:
        return f"{self.kind} {self.key}"


def wrong(words: str) -> ValidationError:
    """What is wrong with the origins, under their name."""
    return ValidationError({"inputs_from": words})


def read_lines(text: str) -> dict[str, str]:
    """{input: "kind:key"} of lines `input = kind:key`."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.match(line)
        if match is None:
            raise wrong(f"Line {number} cannot be read. {_HOW}")
        if match["input"] in found:
            raise wrong(f"Line {number} names {match['input']} for the second time. Leave one of them.")
        found[match["input"]] = f"{match['kind']}:{match['key']}"
    return found


def read_origin(name: str, text: str) -> Origin:
    """An origin from "kind:key"; ValidationError for one that there is not."""
    kind, _, key = str(text).partition(":")
    kind, key = kind.strip(), key.strip()
    allowed = {"site": OF_SITE, "environment": OF_ENVIRONMENT}.get(kind)
    if kind not in KINDS or not key:
        raise wrong(f"{name}: {text!r} is no origin of a value. {_HOW}")
    if allowed and key not in allowed:
        raise wrong(f"{name}: of {kind} there is {', '.join(allowed)}, not {key}.")
    return Origin(kind, key.lower() if kind == "label" else key)


class Reader:
    """Labels and capabilities of many environments, read together."""

    def __init__(self, rows: list[Environment], origins: list[Origin], tenant_id: int) -> None:
        kinds = {origin.kind for origin in origins}
        self.labels: dict[tuple[int, str], list[str]] = {}
        self.offered: dict[tuple[int, str], Mapping[str, Any]] = {}
        if "label" in kinds:
            keys = [origin.key for origin in origins if origin.kind == "label"]
            labels = Label.objects.filter(deployment__in=[row.deployment_id for row in rows], key__in=keys)
            for deployment, key, value in labels.order_by("value").values_list("deployment_id", "key", "value"):
                self.labels.setdefault((deployment, key), []).append(value)
        if "capability" in kinds:
            placed = Placement.objects.filter(
                environment__in=[row.pk for row in rows], service__tenant=tenant_id, state=Placement.State.DEPLOYED
            )
            columns = placed.values_list("environment_id", "service__name", "capabilities")
            self.offered = {(environment, name): offered for environment, name, offered in columns}

    def value(self, row: Environment, origin: Origin) -> tuple[Any, str]:
        """(value, "") or (None, why there is none)."""
        if origin.kind == "label":
            values = self.labels.get((row.deployment_id, origin.key), [])
            if len(values) > 1:
                return None, f"it has several: {', '.join(values)}. Leave one of them."
            return (values[0], "") if values else (None, "it has no such label. Add it, or use a table.")
        if origin.kind == "site":
            site = row.deployment.site
            value = getattr(site, origin.key) if site is not None else None
            return (None, "it has no site that says so. Complete the site.") if value in (None, "") else (value, "")
        if origin.kind == "environment":
            return self._of_environment(row, origin.key), ""
        return self._offered(row, origin.key)

    def _offered(self, row: Environment, key: str) -> tuple[Any, str]:
        own = capabilities.read(row.deployment) if capabilities.is_kept(row.deployment) else {}
        if key in own:
            return own[key], ""
        service, _, name = key.rpartition(".")
        offered = self.offered.get((row.pk, service), {})
        if name in offered:
            return offered[name], ""
        what = f"the service {service} does not offer {name} there" if service else "it has no such capability"
        return None, f"{what}. Roll that out first, or use a table."

    @staticmethod
    def _of_environment(row: Environment, key: str) -> Any:
        manager = row.sub_manager
        return {
            "name": row.deployment.display_name,
            "id": row.deployment.wire_id,
            "endpoint": manager.endpoint,
            "protocol": manager.protocol,
            "port": manager.port,
            "tenant": row.remote_tenant,
        }[key]
