"""Several values in one line of text: separated by commas (in a file by semicolons), a backslash before one that belongs to a value."""

from __future__ import annotations

import re
from collections.abc import Iterable


def joined(values: Iterable[str], separator: str = ",", *, space: str = " ") -> str:
    """One line that `divided` takes apart into the same values again."""
    return f"{separator}{space}".join(
        value.replace("\\", "\\\\").replace(separator, f"\\{separator}") for value in values
    )


def divided(text: str, separator: str = ",") -> list[str]:
    """The values without the space around them, empty ones left out. A backslash before anything else is itself."""
    marked = re.findall(rf"(?:\\[\\{separator}]|[^{separator}])+", text)
    values = (re.sub(rf"\\([\\{separator}])", r"\1", part.strip()) for part in marked)
    return [value for value in values if value]
