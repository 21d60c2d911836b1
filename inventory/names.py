"""What ids, names of filters and names of sites may look like; the rules are those that managers and their clients apply."""

from __future__ import annotations

import re
import unicodedata

from django.core.exceptions import ValidationError

MAX_LENGTH = 256
_ID_CHARACTERS = re.compile(r"[A-Za-z0-9._~-]*")
_ASCII_LETTER = re.compile(r"[A-Za-z]")


def fault_of_id(value: str, subject: str, *, begins_with_letter: bool = True) -> str:
    """What is wrong with an id, as a manager words it ("`subject` is too long. ..."), or ""."""
    if not value:
        return f"{subject} is empty"
    if len(value) > MAX_LENGTH:
        return f"{subject} is too long. Maximum allowed length is {MAX_LENGTH} characters"
    if not is_made_of_id_characters(value):
        return f'{subject} contains illegal characters. Only letters, digits and the characters "-", "." and "_" are allowed'
    if begins_with_letter and not _ASCII_LETTER.match(value):
        return f"{subject} must begin with a letter"
    return ""


def is_made_of_id_characters(value: str) -> bool:
    """Only ASCII letters, digits and - . _ ~, or nothing at all."""
    return _ID_CHARACTERS.fullmatch(value) is not None


def check_id(value: str, field: str, *, begins_with_letter: bool = True) -> str:
    """The id itself; ValidationError under `field`, with an id that would do, where it is not one."""
    fault = fault_of_id(value, f"The `{field}` argument", begins_with_letter=begins_with_letter)
    if fault:
        usable = suggest_id(value, begins_with_letter=begins_with_letter)
        raise ValidationError({field: f"{fault}. Use {usable}, for example." if usable else f"{fault}."})
    return value


def suggest_id(text: str, *, begins_with_letter: bool = True) -> str:
    """The nearest thing to `text` that may be an id, or "" where nothing is left of it."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    usable = re.sub(r"[^A-Za-z0-9._~-]+", "-", plain).strip("-")[:MAX_LENGTH]
    if begins_with_letter:
        usable = re.sub(r"^[^A-Za-z]+", "", usable)
    return usable


def check_title(value: str, field: str) -> str:
    """A name for people (NFKC, no control characters, at most 256); ValidationError under `field` otherwise."""
    title = unicodedata.normalize("NFKC", value).strip()
    if not title:
        raise ValidationError({field: "This is empty. Enter a name."})
    if len(title) > MAX_LENGTH:
        raise ValidationError({field: f"This is too long. At most {MAX_LENGTH} characters are allowed."})
    if any(unicodedata.category(character)[0] == "C" for character in title):
        raise ValidationError({field: "This contains control characters (a line break, perhaps). Remove them."})
    return title
