"""What every page needs: navigation, current tenant, counts."""
from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def shell(request: HttpRequest) -> dict[str, Any]:
    """Variables of templates/base.html."""
    return {"tenant": getattr(request, "tenant", None), "csp_nonce": getattr(request, "csp_nonce", "")}
