"""What is wanted on one target, and the labels by which it is found again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

SERVICE, ENVIRONMENT, DIGEST, INPUTS, RUN = (
    "portal-service",
    "portal-env",
    "portal-digest",
    "portal-inputs-hash",
    "portal-run",
)


def inputs_hash(inputs: Mapping[str, Any]) -> str:
    """SHA-256 of the inputs in canonical JSON: equal for equal values, whatever their order."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Order:
    """One service on one environment. `digest` is empty where the blueprint was present there already and is not ours."""

    deployment_id: str
    blueprint_id: str
    service: str
    environment: str
    run: str
    digest: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    display_name: str = ""
    site_name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def inputs_hash(self) -> str:
        return inputs_hash(self.inputs)

    @property
    def all_labels(self) -> dict[str, str]:
        """The caller's labels and ours; ours win."""
        ours = {
            SERVICE: self.service,
            ENVIRONMENT: self.environment,
            DIGEST: self.digest,
            INPUTS: self.inputs_hash,
            RUN: self.run,
        }
        return {**self.labels, **{key: value for key, value in ours.items() if value}}
