#!/usr/bin/env python3
"""Re-creates static/sprite.svg: our own state glyphs and the Tabler icons that pages use; needs `npm`, runs only when an icon is added.

To add an icon: put its Tabler name into ICONS, run `.venv/bin/python scripts/sprite.py`, commit both files.
"""

from __future__ import annotations

import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

SPRITE = Path(__file__).resolve().parent.parent / "static" / "sprite.svg"
PACKAGE = "@tabler/icons@3"
ICONS = [
    "layout-dashboard",
    "server-2",
    "rocket",
    "box",
    "topology-star-3",
    "player-play",
    "lock",
    "map-pin",
    "history",
    "settings",
    "search",
    "moon",
    "bell",
    "plus",
    "x",
    "check",
    "chevron-right",
    "chevron-down",
    "refresh",
    "player-pause",
    "player-stop",
    "copy",
    "table",
    "download",
    "logout",
    "user",
    "key",
    "trash",
    "tag",
    "list",
    "adjustments",
    "upload",
    "shield-check",
    "users",
    "building",
    "arrows-sort",
    "filter",
    "external-link",
    "terminal-2",
    "bookmark",
    "clock",
    "arrow-left",
    "map-2",
    "file-text",
]

# A state is a word, a silhouette and a colour; these are the silhouettes (16 x 16).
GLYPHS = {
    "ok": '<circle cx="8" cy="8" r="7" fill="currentColor"/><path d="m4.9 8.2 2.1 2.1 4.1-4.4" fill="none" '
    'stroke="var(--on-glyph)" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round"/>',
    "warn": '<path d="M8 1.3 15.3 14.2H.7z" fill="currentColor" stroke="currentColor" stroke-width="1" stroke-linejoin="round"/>'
    '<path d="M8 5.8v4" stroke="var(--on-glyph)" stroke-width="1.7" stroke-linecap="round"/>'
    '<circle cx="8" cy="12.1" r=".95" fill="var(--on-glyph)"/>',
    "bad": '<rect x="1" y="1" width="14" height="14" rx="2" fill="currentColor"/>'
    '<path d="m5.2 5.2 5.6 5.6m0-5.6-5.6 5.6" stroke="var(--on-glyph)" stroke-width="1.7" stroke-linecap="round"/>',
    "run": '<circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-opacity=".3" stroke-width="2.2"/>'
    '<path d="M8 2a6 6 0 0 1 6 6" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round"/>',
    "hold": '<path d="M5 .9h6L15.1 5v6L11 15.1H5L.9 11V5z" fill="currentColor"/>'
    '<path d="M6.2 5.200v5.600M9.8 5.200v5.6" stroke="var(--on-glyph)" stroke-width="1.7" stroke-linecap="round"/>',
    "wait": '<circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.8" stroke-dasharray="2.6 2.270"/>',
    "idle": '<path d="M8 1.2 14.8 8 8 14.8 1.2 8z" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linejoin="round"/>'
    '<path d="M6.5 6.700c0-1.9 3-1.9 3 0 0 1.2-1.5 1.2-1.5 2.2" fill="none" stroke="currentColor" stroke-width="1.3" '
    'stroke-linecap="round"/><circle cx="8" cy="10.9" r=".8" fill="currentColor"/>',
    "skip": '<circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.8"/>'
    '<path d="m3.8 12.2 8.4-8.4" stroke="currentColor" stroke-width="1.8"/>',
}


def icon_paths(folder: Path, name: str) -> str:
    """The drawing inside one icon's file, without its invisible frame."""
    text = (folder / f"{name}.svg").read_text()
    return "".join(
        part for part in re.findall(r"<(?:path|circle|rect|line|polyline)[^>]*/>", text) if 'stroke="none"' not in part
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        packed = subprocess.run(
            ["npm", "pack", "--silent", PACKAGE], cwd=work, check=True, capture_output=True, text=True
        ).stdout.split()[-1]
        with tarfile.open(Path(work) / packed) as archive:
            archive.extractall(work, filter="data")
        folder = Path(work) / "package" / "icons" / "outline"
        symbols = [f'<symbol id="s-{name}" viewBox="0 0 16 16">{body}</symbol>' for name, body in GLYPHS.items()]
        symbols += [
            f'<symbol id="i-{name}" viewBox="0 0 24 24">{icon_paths(folder, name)}</symbol>' for name in sorted(ICONS)
        ]
    note = "<!-- s-*: state glyphs of this product. i-*: Tabler Icons, MIT licence, Copyright (c) 2020-2026 Paweł Kuna. -->"
    SPRITE.write_text('<svg xmlns="http://www.w3.org/2000/svg">' + note + "\n" + "\n".join(symbols) + "\n</svg>\n")


if __name__ == "__main__":
    main()
