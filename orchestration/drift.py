"""Drift of node instances: what the workflow `check_drift` found, read as one word that is stored beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OWN = "configuration_drift"
OF_RELATIONSHIPS = ("source_relationships_configuration_drift", "target_relationships_configuration_drift")
GONE = frozenset({"uninitialized", "deleted"})


def is_drift(check: Any) -> bool:
    """Does one check say that something differs, or could it not be carried out? A result that says nothing is no drift."""
    return isinstance(check, Mapping) and bool(check) and (bool(check.get("result")) or not check.get("ok", True))


def is_drifted(system_properties: Mapping[str, Any]) -> bool:
    """Has the instance drifted, or one of its relationships?"""
    if is_drift(system_properties.get(OWN)):
        return True
    return any(is_drift(check) for name in OF_RELATIONSHIPS for check in (system_properties.get(name) or {}).values())


def without_drift(system_properties: Mapping[str, Any]) -> dict[str, Any]:
    """Forget what was found: of an instance that is gone, or was made anew."""
    return {name: value for name, value in system_properties.items() if name not in (OWN, *OF_RELATIONSHIPS)}
