"""The form that describes a whole cluster: its own fields, external services, how hosts are signed in to, and the hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.http import QueryDict

from accounts.models import Tenant, User
from installs import topology
from installs.describing import Description, read_description
from installs.forms import AccessFields, ClusterFields, ExternalFields, HostForm, HostForms
from inventory.layout import Balancing, External, Host, Layout

HOSTS = "hosts"
PLACEHOLDER = External(("elsewhere",), 1)  # for placing parts; what it is does not matter there


class NameAndFields(ClusterFields):
    """The cluster's own fields with its name, which is said once."""

    name = forms.CharField(
        max_length=63, help_text="Begins the names of the cluster: lower-case letters, digits, hyphens"
    )
    field_order = ("name",)


class ClusterForm:
    """All forms of the page as one."""

    def __init__(self, data: QueryDict | None, *, tenant: Tenant, user: User) -> None:
        self.cluster = NameAndFields(data, tenant=tenant)
        self.database = ExternalFields(data, prefix="external_database")
        self.queue = ExternalFields(data, prefix="external_queue")
        self.access = AccessFields(data, prefix="ssh", tenant=tenant, user=user)
        self.hosts = HostForms(data, prefix=HOSTS, initial=None if data else initial_of(ready_layout({})))

    @property
    def forms(self) -> tuple[Any, ...]:
        return (self.cluster, self.database, self.queue, self.access, self.hosts)

    def is_valid(self) -> bool:
        """Of all, so that everything wrong is said at once."""
        checked = [form.is_valid() for form in self.forms]
        return all(checked)

    def description(self) -> Description:
        """What the form holds, as far as it can be read."""
        given = dict(getattr(self.cluster, "cleaned_data", {}))
        site = given.get("site")
        rows = [
            row.cleaned_data
            for row in self.hosts
            if getattr(row, "cleaned_data", None) and not row.cleaned_data.get("DELETE") and row.has_changed()
        ]
        return read_description(
            given
            | {
                "site": site.name if site else "",
                "external_database": _given(self.database),
                "external_queue": _given(self.queue),
                "ssh": self.access.given() if self.access.is_valid() else {},
                "hosts": [row | {"name": row.get("name", "")} for row in rows],
            }
        )

    def layout(self) -> Layout:
        return self.description().layout

    def ask_again(self) -> None:
        """What is secret never goes back to the page."""
        for form in (self.database, self.queue, self.access):
            form.ask_again()


def _given(form: ExternalFields) -> dict[str, Any] | None:
    return form.given() if form.is_valid() else None


def ready_hosts(asked: Mapping[str, str]) -> Any:
    """The hosts' forms for a ready-made layout, keeping what was entered for hosts of the same name."""
    known = _entered(asked)
    rows = [row | known.get(str(row["name"]), {}) for row in initial_of(ready_layout(asked))]
    return HostForms(prefix=HOSTS, initial=rows)


def initial_of(layout: Layout) -> list[dict[str, Any]]:
    return [HostForm.initial_of(host) for host in layout.hosts]


def ready_layout(asked: Mapping[str, str]) -> Layout:
    """The ready-made layout that is asked for, its hosts named and without addresses."""
    kind, release = asked.get("topology", "compact"), asked.get("release", "trixie")
    options: dict[str, Any] = {"release": release}
    for service in ("external_database", "external_queue"):
        if asked.get(f"{service}-addresses"):
            options[service] = PLACEHOLDER
    if kind == "all_in_one":
        return topology.all_in_one("new", Host("manager-1", ""), **options)
    balancers = _named("lb", _number(asked, "balancers", 0, 2))
    if kind == "distributed":
        return topology.distributed(
            "new",
            databases=() if "external_database" in options else _named("db", 3),
            queues=() if "external_queue" in options else _named("mq", 3),
            managers=_named("manager", _number(asked, "managers", 3, 10)),
            balancers=balancers,
            **options,
        )
    # Without hosts of their own the first two hold the virtual address, unless another balancer is chosen.
    is_ours = asked.get("balancing", "ours") == "ours"
    entrance = "virtual" if is_ours and not balancers else ""
    options["balancing"] = Balancing.OURS if is_ours else Balancing.THEIRS
    return topology.compact("new", _named("node", 3), balancers=balancers, entrance=entrance, **options)


def _named(prefix: str, count: int) -> list[Host]:
    return [Host(f"{prefix}-{number + 1}", "") for number in range(count)]


def _number(asked: Mapping[str, str], name: str, usual: int, most: int) -> int:
    text = asked.get(name, "")
    return min(int(text), most) if text.isdigit() else usual


def _entered(asked: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Addresses and places that stand in the form now, by the host's name."""
    total = asked.get(f"{HOSTS}-TOTAL_FORMS", "")
    known = {}
    for number in range(min(int(total), 200) if total.isdigit() else 0):
        row = {
            field: asked.get(f"{HOSTS}-{number}-{field}", "")
            for field in ("private_address", "public_address", "machine", "ssh_port", "networks")
        }
        known[asked.get(f"{HOSTS}-{number}-name", "")] = {field: value for field, value in row.items() if value}
    return known
