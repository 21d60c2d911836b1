"""The version that clients are told, and the system that this runs on."""

from __future__ import annotations

import platform
from functools import cache

# The version of the interface that is served, as managers count it: clients branch on it.
API_VERSION = "7.1.0"


@cache
def operating_system() -> tuple[str, str]:
    """(distribution, release), such as ("debian", "bookworm"); empty where the system does not say."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return "", ""
    return release.get("ID", ""), release.get("VERSION_CODENAME", "") or release.get("VERSION_ID", "")
