"""What a blueprint archive says of itself; who can read one is a setting (BLUEPRINT_READER), as for Django's e-mail backends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string


@dataclass(frozen=True)
class BlueprintFacts:
    """A blueprint that parses, reduced to what a form or a preview needs."""

    inputs: dict[str, dict[str, Any]] = field(
        default_factory=dict
    )  # {name: {type, default, constraints, required, ...}}
    capabilities: list[str] = field(default_factory=list)  # names that it exports
    nodes: list[str] = field(default_factory=list)
    requirements: dict[str, Any] = field(default_factory=dict)  # {"secrets": [...], "parent_capabilities": [...]}
    description: str = ""


def read_blueprint(content: bytes, main_file: str) -> BlueprintFacts:
    """Parse an archive (zip, tar, tar.gz, tar.bz2 with one top folder); ValidationError in words for one that does not parse.

    The parser works in a process of its own under limits of time and memory: the archive is hostile until proven otherwise.
    """
    reader: Callable[[bytes, str], BlueprintFacts] = import_string(settings.BLUEPRINT_READER)
    return reader(content, main_file)
