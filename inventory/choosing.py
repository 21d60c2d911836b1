"""Which environments the address of a page means: label=env=prod (several: all must hold), site, filter, rule_key=..., area, q, state."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.db.models import Case, IntegerField, Value, When
from django.http import QueryDict

from accounts.models import Tenant, User
from inventory.filters import InvalidRule, parse
from inventory.models import Environment, Filter
from inventory.querysets import EnvironmentQuerySet
from inventory.rule_fields import rules_of

State = Environment.State
STATES_WORST_FIRST = (State.UNREACHABLE, State.DEGRADED, State.MAINTENANCE, State.UNKNOWN, State.READY)

Area = tuple[float, float, float, float]  # south, west, north, east in degrees


@dataclasses.dataclass
class Choice:
    """What an address asks for; `problem` says in words why it cannot be answered."""

    rules: list[dict[str, Any]]
    search: str = ""
    state: str = ""
    site: str = ""
    saved: str = ""
    area: Area | None = None
    problem: str = ""

    @property
    def is_everything(self) -> bool:
        return not (self.rules or self.search or self.state or self.saved or self.area)

    @property
    def is_only_rules(self) -> bool:
        """May be asked again later by rules; search, state and area hold for the moment only."""
        return not (self.search or self.state or self.area or self.problem)


def read_choice(query: QueryDict, user: User, tenant: Tenant) -> Choice:
    """The choice in an address; asks the database only for a saved filter."""
    choice = Choice(
        label_rules(query.getlist("label")), search=query.get("q", "").strip(), saved=query.get("filter", "")
    )
    state = query.get("state", "")
    choice.state = state if state in State.values else ""
    choice.site = query.get("site", "")
    if choice.site:
        choice.rules.append({"type": "attribute", "key": "site_name", "operator": "any_of", "values": [choice.site]})
    choice.rules += rules_of(query)
    if choice.saved:
        found = Filter.objects.visible_to(user, tenant).filter(name=choice.saved).first()
        choice.rules += found.rules if found else []
        choice.problem = "" if found else f"There is no saved filter {choice.saved}. Clear it, or choose another one."
    if query.get("area"):
        choice.area = read_area(query.get("area", ""))
        if choice.area is None:
            choice.problem = (
                "The area in this address is not south,west,north,east in degrees. Choose it on the map again."
            )
    return choice


def read_area(text: str) -> Area | None:
    """The area of "south,west,north,east"; None where that is none. Where west is greater than east it crosses 180°."""
    try:
        south, west, north, east = (float(part) for part in text.split(","))
    except ValueError:
        return None
    is_right = -90 <= south <= north <= 90 and -180 <= west <= 180 and -180 <= east <= 180
    return (south, west, north, east) if is_right else None


def label_rules(pairs: list[str]) -> list[dict[str, Any]]:
    """Rules of "key=value", or of "key" alone, which must be there."""
    rules: list[dict[str, Any]] = []
    for pair in pairs:
        key, sign, value = (part.strip() for part in pair.partition("="))
        if key:
            operator, values = ("any_of", [value]) if sign else ("is_not_null", [])
            rules.append({"type": "label", "key": key, "operator": operator, "values": values})
    return rules


def chosen(choice: Choice, user: User, tenant: Tenant, *, in_every_state: bool = False) -> EnvironmentQuerySet:
    """The environments that are meant and that the user may see; none, and `choice.problem`, where it cannot be read."""
    rows = Environment.objects.visible_to(user, tenant)
    if choice.problem:
        return rows.none()
    try:
        rows = rows.matching(parse(choice.rules, are_titles_free=True))
    except InvalidRule as error:
        choice.problem = f"This filter does not work: {error.reason}. Remove it, or write it in another way."
        return rows.none()
    rows = rows.search(choice.search)
    if choice.area:
        rows = rows.within(*choice.area)
    return rows.filter(state=choice.state) if choice.state and not in_every_state else rows


def worst_first(rows: EnvironmentQuerySet) -> EnvironmentQuerySet:
    """Ordered by severity, then by name."""
    severity = Case(
        *[When(state=state, then=Value(place)) for place, state in enumerate(STATES_WORST_FIRST)],
        default=Value(99),
        output_field=IntegerField(),
    )
    return rows.order_by(severity, "deployment__display_name", "pk")
