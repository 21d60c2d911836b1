"""Words, shapes and times of pages: one place, so that a state looks the same everywhere."""

from __future__ import annotations

import datetime
import functools
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from inventory.value_lists import joined

register = template.Library()

# state -> class of the style sheet; the glyph has the same name but for these two
LOOKS = {
    "ready": "ok", "deployed": "ok", "succeeded": "ok", "passed": "ok", "uploaded": "ok", "terminated": "ok", "good": "ok",
    "active": "ok", "completed": "ok", "healthy": "ok", "stays": "ok", "accepted": "ok", "done": "ok",
    "degraded": "warn", "warned": "warn", "differs": "warn", "warning": "warn",
    "unreachable": "bad", "failed": "bad", "invalid": "bad", "failed_uploading": "bad", "failed_extracting": "bad", "failed_parsing": "bad", "requires_attention": "bad", "refused": "bad",
    "installing": "run", "running": "run", "waiting": "run", "deploying": "run", "removing": "run", "started": "run", "in_progress": "run",
    "cancelling": "run", "force_cancelling": "run", "kill_cancelling": "run", "uploading": "run", "extracting": "run", "parsing": "run", "joining": "run", "leaving": "run",
    "maintenance": "hold", "paused": "hold", "held": "hold",
    "pending": "wait", "planned": "wait", "not_tried": "wait", "absent": "wait", "queued": "wait", "create": "wait", "remove": "wait",
    "unknown": "idle", "inactive": "idle",
    "cancelled": "skipd", "skipped": "skipd", "excluded": "skipd",
}  # fmt: skip
GLYPHS = {"skipd": "skip"}
WORDS = {
    "succeeded": "Succeeded", "not_tried": "Not tried", "completed": "Completed", "requires_attention": "Needs attention", "in_progress": "In progress",
    "planned": "Not built", "installing": "Being built", "warned": "Warning", "stays": "Left as is", "terminated": "Completed", "held": "Held", "pending": "Waiting to start",
}  # fmt: skip


@register.filter
def look(state: str) -> str:
    """Class of the style sheet for a state word."""
    return LOOKS.get(str(state), "idle")


@register.filter
def word(state: str) -> str:
    """The state as people read it."""
    text = str(state)
    return WORDS.get(text, text.replace("_", " ").capitalize())


@register.simple_tag
@functools.cache
def icon(name: str) -> SafeString:
    """A decorative icon."""
    return format_html('<svg class="i" aria-hidden="true"><use href="{}#i-{}"/></svg>', static("sprite.svg"), name)


@register.simple_tag
@functools.lru_cache(maxsize=500)
def glyph(state: str, size: str = "", label: str = "") -> SafeString:
    """The silhouette of a state; `label` only where no word stands beside it."""
    kind = LOOKS.get(state, state)
    shape = GLYPHS.get(kind, kind)
    spin = "spin" if kind == "run" else ""
    hidden = format_html('role="img" aria-label="{}"', label) if label else SafeString('aria-hidden="true"')
    return format_html(
        '<svg class="g {} {} {}" viewBox="0 0 16 16" {}><use href="{}#s-{}"/></svg>',
        kind, size, spin, hidden, static("sprite.svg"), shape,
    )  # fmt: skip


@register.simple_tag
def state(value: str, why: str = "", moment: datetime.datetime | None = None) -> SafeString:
    """Glyph, word, since when, cause; what is healthy stays quiet."""
    kind = look(value)
    since = (
        format_html(" <span>since {}{}</span>", since_when(moment), ":" if why else "")
        if moment and kind != "ok"
        else ""
    )
    cause = format_html(' <span class="why" title="{}">{}</span>', why, why) if why else ""
    return format_html('<span class="st {}">{}<b>{}</b>{}{}</span>', kind, glyph(str(value)), word(value), since, cause)


@register.filter
def since_when(moment: datetime.datetime) -> SafeString:
    """ "09:12" within a day, else the date; the absolute UTC behind it."""
    is_recent = abs((timezone.now() - moment).total_seconds()) < 86400
    text = f"{moment.astimezone(datetime.UTC):%H:%M}" if is_recent else spoken(moment)
    return in_time(moment, text)


def in_time(moment: datetime.datetime, text: str) -> SafeString:
    """A time as text, with the absolute UTC behind it."""
    absolute = moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), absolute, text)


@register.filter
def ago(moment: datetime.datetime | None) -> SafeString:
    """Relative time with the absolute UTC behind it; past one day the date itself."""
    return in_time(moment, spoken(moment)) if moment else SafeString("")


def spoken(moment: datetime.datetime) -> str:
    """ "12 s ago", "in 3 h", "14 Feb 2027"."""
    seconds = (timezone.now() - moment).total_seconds()
    if abs(seconds) >= 86400:
        return f"{moment.astimezone(datetime.UTC):%-d %b %Y}"
    size = abs(seconds)
    text = f"{size:.0f} s" if size < 90 else f"{size / 60:.0f} min" if size < 5400 else f"{size / 3600:.0f} h"
    if size < 2:
        return "just now"
    return f"{text} ago" if seconds > 0 else f"in {text}"


@register.filter
def seconds_between(start: datetime.datetime | None, end: datetime.datetime | None) -> str:
    """ "12.3 s" or "3 min 4 s"; "" while nothing began."""
    if start is None:
        return ""
    total = max(0.0, ((end or timezone.now()) - start).total_seconds())  # two hosts may have written them
    return f"{total:.1f} s" if total < 90 else f"{total // 60:.0f} min {total % 60:.0f} s"


@register.filter
def four(digest: str) -> str:
    """First twelve of a digest in groups of four."""
    short = str(digest)[:12]
    return " ".join(short[start : start + 4] for start in range(0, len(short), 4))


@register.filter
def share(part: int, whole: int) -> str:
    """Percent for a bar, as CSS likes it."""
    return f"{100 * part / whole:.2f}%" if whole else "0%"


@register.filter
def percent(part: float) -> str:
    """ "99.5 %" of 0.995; never rounded up to all, nor down to nothing."""
    hundred = 100 * part
    if 0 < part < 1:
        hundred = min(max(hundred, 0.1), 99.9)
    return f"{hundred:.1f} %" if hundred not in (0, 100) else f"{hundred:.0f} %"


@register.filter
def minutes(seconds: float) -> str:
    """ "5 min", "45 s"."""
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"


@register.filter
def get(mapping: dict[str, Any], key: str) -> Any:
    """mapping[key] or None."""
    return mapping.get(key) if mapping else None


@register.filter
def in_one_line(values: list[str]) -> str:
    """Values as a field takes them: separated by commas, those inside a value escaped."""
    return joined(values)


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: Any) -> str:
    """The present query string with changes; None removes a key."""
    values = context["request"].GET.copy()
    for key, value in changes.items():
        values.pop(key, None)
        if value not in (None, ""):
            values[key] = value
    return f"?{values.urlencode()}"


@register.simple_tag(takes_context=True)
def without(context: dict[str, Any], key: str, value: str) -> str:
    """The present query string without one of the values of a key."""
    values = context["request"].GET.copy()
    values.setlist(key, [other for other in values.getlist(key) if other != value])
    return f"?{values.urlencode()}"
