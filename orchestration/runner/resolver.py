"""What a blueprint may import: files of its own folder and our types, under every well-known name; nothing from elsewhere."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.request import url2pathname

from dsl_parser.exceptions import DSLParsingLogicException
from dsl_parser.import_resolver.abstract_import_resolver import AbstractImportResolver

TYPES = (Path(__file__).parent / "types.yaml").read_text()
VERSIONS = ("1_3", "1_4", "1_5")
TYPES_NAME = re.compile(
    r"^(resource:)?/?cloudify/types/types(_\d_\d)?\.yaml$"
    r"|^https?://(www\.)?(cloudify\.co|getcloudify\.org)/spec/cloudify/[\w.-]+/types(_\d_\d)?\.yaml$"
)
# A plugin by name, or by the address of its plugin.yaml, as blueprints for other managers have it.
PLUGIN_NAME = re.compile(r"^plugin:[^?\s]|^https?://\S+/(v\d_)?plugin(_\d_\d)?\.ya?ml(\?.*)?$")
IMPORT_ERROR = 13
FILE_LIMIT = 2_000_000
# An anchor used 20 times by an anchor used 20 times ... : a small file that becomes a huge plan.
ALIAS_LIMIT = 2_000


def types_for(version: str | None) -> str:
    """Our types with the version line of the importing blueprint; the oldest that we know if it names none of ours."""
    return TYPES.replace("cloudify_dsl_VERSION", f"cloudify_dsl_{version if version in VERSIONS else '1_3'}")


class Refused(DSLParsingLogicException):
    """An import that is not allowed or not there."""

    def __init__(self, message: str) -> None:
        super().__init__(IMPORT_ERROR, message)


class FolderResolver(AbstractImportResolver):
    """Serves imports from the unpacked blueprint and from our types."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.realpath(folder)
        self._refused: Refused | None = None
        # Plugins that a blueprint imports and that are not here: no harm unless it uses one.
        self.absent_plugins: list[str] = []
        self.texts: dict[str, str] = {}  # files of the blueprint that were read

    def resolve(self, import_url: str) -> str:
        """As fetch_import."""
        return self.fetch_import(import_url)

    def fetch_import(self, import_url: str, dsl_version: str | None = None, **_: Any) -> str:
        """The text of an import; the parser tries several addresses and shows the last error."""
        if TYPES_NAME.match(import_url):
            return types_for(dsl_version)
        if import_url.startswith("file:"):
            return self._read(url2pathname(import_url[5:]), import_url)
        if PLUGIN_NAME.match(import_url):
            return self._absent_plugin(import_url, dsl_version)
        if self._refused is not None:
            # The file is there and was refused: that is the news, not that it is nowhere else.
            raise self._refused
        name = import_url.removeprefix("resource:")
        if import_url.startswith("blueprint:"):
            raise Refused(
                f"Import failed: '{import_url}': importing another blueprint is not supported here; put its file into this blueprint."
            )
        if re.match(r"^[a-z]+://", import_url):
            raise Refused(
                f"Import failed: '{import_url}' is not fetched: this manager imports only the blueprint's own files and cloudify/types/types.yaml."
            )
        raise Refused(
            f"Import failed: '{name}' is not in the blueprint's folder and is not a name of the built-in types."
        )

    def retrieve_plugin(self, import_url: str, **_: Any) -> None:
        """There are no stored plugins."""

    def _absent_plugin(self, import_url: str, version: str | None) -> str:
        """An empty file in its place: a blueprint that uses none of its types and operations does without."""
        name = import_url.removeprefix("plugin:").strip()
        if name not in self.absent_plugins:
            self.absent_plugins.append(name)
        return f"tosca_definitions_version: cloudify_dsl_{version if version in VERSIONS else '1_3'}\n"

    def _read(self, path: str, shown: str) -> str:
        real = os.path.realpath(path)
        if os.path.commonpath([real, self.folder]) != self.folder or not os.path.isfile(real):
            raise Refused(f"Import failed: '{shown}' is not a file of the blueprint's folder.")
        try:
            text = read_limited(real)
            self.texts[os.path.relpath(real, self.folder)] = text
            return text
        except Refused as refused:
            self._refused = refused
            raise


def read_limited(path: str) -> str:
    """A YAML file as text, refused when it is too big or repeats itself through aliases."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        text = file.read(FILE_LIMIT + 1)
    name = os.path.basename(path)
    if len(text) > FILE_LIMIT:
        raise Refused(f"File '{name}' is larger than {FILE_LIMIT} characters.")
    check_aliases(text, name)
    return text


def check_aliases(text: str, name: str) -> None:
    """Count what the aliases expand to, without expanding them."""
    import yaml

    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    total = 0
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.AliasEvent):
                total += sizes.get(str(event.anchor), 1)
            elif isinstance(event, yaml.ScalarEvent):
                total += 1
                if event.anchor:
                    sizes[event.anchor] = 1
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                open_nodes.append((event.anchor, total))
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                anchor, before = open_nodes.pop()
                if anchor:
                    sizes[anchor] = total - before
            if total > len(text) + ALIAS_LIMIT:
                raise Refused(f"File '{name}' expands through YAML aliases to more than {total} values.")
    except yaml.YAMLError:
        return  # the parser says it better
