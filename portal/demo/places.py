"""Who takes part in the demo: one central portal and three sub-managers, where they are and how they are told apart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A site with the sub-manager that stands there."""

    name: str
    latitude: float
    longitude: float
    time_zone: str
    labels: dict[str, str]
    uses_token: bool = False  # else user and password

    @property
    def slug(self) -> str:
        """As an id: new-york."""
        return self.name.lower().replace(" ", "-")


PLACES = (
    Place("London", 51.5072, -0.1276, "Europe/London", {"env": "prod", "region": "emea"}, uses_token=True),
    Place("New York", 40.7128, -74.006, "America/New_York", {"env": "prod", "region": "amer"}),
    Place("Tel Aviv", 32.0853, 34.7818, "Asia/Jerusalem", {"env": "prod", "region": "emea"}),
)
RULES = [{"type": "label", "key": "env", "operator": "any_of", "values": ["prod"]}]
SERVICE = "hello-edge"
INPUTS = {"greeting": "Hello from the edge", "colour": "indigo", "warm_up_seconds": 3}
USERNAME = "admin"
