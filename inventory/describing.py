"""Environments as a file has them: its columns, one environment described, and the file written. Names of secrets, never values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from inventory import described_files
from inventory.credentials import PARTS
from inventory.label_rules import RESERVED_PREFIX
from inventory.models import Environment
from inventory.value_lists import joined

SECRETS = tuple(f"{part}_secret" for part in PARTS)
PLAIN = (
    "name",
    "display_name",
    "endpoint",
    "protocol",
    "port",
    "tenant",
    "trust",
    "fingerprint",
    "insecure_reason",
    "site",
)
COLUMNS = (*PLAIN, "labels", *SECRETS)


def export_environments(rows: Iterable[Environment], format: str = "yaml") -> str:
    """The file that `environment_files` reads. The authority's certificates of trust `ca_bundle` are in YAML alone."""
    told = [described(row) for row in rows]
    if format != "csv":
        return described_files.write_yaml({"environments": told})
    return described_files.write_csv(COLUMNS, [_flat(entry) for entry in told])


def _flat(entry: dict[str, Any]) -> dict[str, Any]:
    pairs = (f"{key}={value}" for key, values in entry.get("labels", {}).items() for value in values)
    labels = joined(pairs, ";", space="")
    whole: dict[str, Any] = entry | entry.get("credential", {}) | {"labels": labels}
    return whole


def described(row: Environment) -> dict[str, Any]:
    """An environment as a file has it; what is as usual is left out."""
    manager, deployment, credential = row.sub_manager, row.deployment, row.credential
    told: dict[str, Any] = {
        "name": deployment.wire_id,
        "display_name": deployment.display_name if deployment.display_name != deployment.wire_id else "",
        "endpoint": manager.endpoint,
        "protocol": manager.protocol,
        "port": manager.port,
        "tenant": row.remote_tenant,
        "trust": manager.trust if manager.protocol == "https" else "",
        "fingerprint": manager.fingerprint,
        "ca_bundle": manager.ca_bundle,
        "insecure_reason": manager.insecure_reason,
        "site": deployment.site.name if deployment.site else "",
    }
    labels: dict[str, list[str]] = {}
    for label in sorted(deployment.labels.all(), key=lambda each: (each.key, each.value)):
        if not label.key.startswith(RESERVED_PREFIX):
            labels.setdefault(label.key, []).append(label.value)
    parts = {f"{part}_secret": getattr(credential, part) for part in PARTS} if credential is not None else {}
    named = {name: secret.name for name, secret in parts.items() if secret is not None}
    whole = {name: value for name, value in told.items() if value not in ("", None)}
    return whole | ({"labels": labels} if labels else {}) | ({"credential": named} if named else {})
