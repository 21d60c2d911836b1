"""Reading the upload of a blueprint: multipart with `params` and `blueprint_archive`, or the bare bytes with a query."""

from __future__ import annotations

import dataclasses
import json
from typing import IO, Any
from urllib.parse import unquote

from django.conf import settings
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request

from inventory.label_rules import Pair, pairs_from_json
from orchestration.errors import Refused, bad_parameters


class BytesParser(BaseParser):
    """Any body, left where it is: it is read with a limit."""

    media_type = "*/*"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        return {}


PARSERS = [MultiPartParser, BytesParser]


@dataclasses.dataclass(frozen=True)
class Upload:
    """What was sent. `is_async` is None where nothing was said."""

    content: bytes
    url: str
    file_name: str
    main_file: str
    visibility: str
    labels: list[Pair]
    is_async: bool


def read_upload(request: Request) -> Upload:
    """The upload of a request; 400 in words for one that cannot be."""
    is_form = (request.content_type or "").startswith("multipart/form-data")
    given: dict[str, Any] = dict(request.query_params.items())
    content, file_name = b"", ""
    if is_form:
        form: Any = request.data
        given.update(read_params(form.get("params")))
        file = request.FILES.get("blueprint_archive")
        if file is not None:
            check_size(file.size or 0)
            content, file_name = file.read(), file.name or ""
    else:
        content = request._request.read(settings.ARCHIVE_MAX_BYTES + 1)
        check_size(len(content))
    visibility = text(given, "visibility") or ("private" if is_true(given.get("private_resource")) else "tenant")
    return Upload(
        content=content,
        url=text(given, "blueprint_archive_url"),
        file_name=file_name,
        main_file=unquote(text(given, "application_file_name")),
        visibility=visibility,
        labels=pairs_from_json(given["labels"]) if isinstance(given.get("labels"), list | dict) else no_labels(given),
        is_async=is_true(given.get("async_upload")),
    )


def read_params(raw: Any) -> dict[str, Any]:
    """The part `params`: a JSON object."""
    if raw in (None, ""):
        return {}
    if hasattr(raw, "read"):
        raw = raw.read()
    try:
        params = json.loads(raw)
    except ValueError:
        params = None
    if not isinstance(params, dict):
        raise bad_parameters("The part `params` of the form must be a JSON object")
    return params


def no_labels(given: dict[str, Any]) -> list[Pair]:
    """Labels as text in a query make genuine managers break."""
    if given.get("labels"):
        raise bad_parameters('Send labels in the part `params` of a form: [{"key": "env", "value": "prod"}]')
    return []


def text(given: dict[str, Any], name: str) -> str:
    """A text that may be missing."""
    value = given.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise bad_parameters(f"{name} parameter is expected to be of type str but is of type {type(value).__name__}")
    return value


def is_true(value: Any) -> bool:
    """A flag as JSON or as a word."""
    return value is True or (isinstance(value, str) and value.strip().lower() in ("true", "1", "yes"))


def check_size(size: int) -> None:
    """413 for more than is taken."""
    if size > settings.ARCHIVE_MAX_BYTES:
        raise Refused(
            413,
            "bad_parameters_error",
            f"The archive is too large: at most {settings.ARCHIVE_MAX_BYTES // (1024 * 1024)} MiB are taken (ARCHIVE_MAX_BYTES).",
        )
