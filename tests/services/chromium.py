"""Debian's Chromium, driven by Playwright, for tests of pages as a person sees them."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

from tests.services.shared import Missing

INSTALL = "Chromium is not installed here; as root: apt-get install chromium"


@contextlib.contextmanager
def running() -> Iterator[Browser]:
    """A browser for the length of the block; raises Missing."""
    if not (program := shutil.which("chromium")):
        raise Missing(INSTALL)
    # Chromium's own sandbox refuses root, and containers lack the shared memory that it expects.
    arguments = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            browser.close()
