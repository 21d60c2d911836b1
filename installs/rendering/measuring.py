"""Where Prometheus listens on every host of a cluster, and as whom it is asked."""

from __future__ import annotations

PORT = 8009
USER = "monitoring"
