"""Sites: create, change, delete, and the location as v3.1 writes it."""

from __future__ import annotations

import zoneinfo
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Tenant, Visibility
from accounts.revisions import check_seen
from inventory import editable, names
from inventory.deployments import check_visibility
from inventory.models import Site


@transaction.atomic
def create_site(
    *,
    by: Actor,
    tenant: Tenant,
    name: str,
    latitude: float | None = None,
    longitude: float | None = None,
    time_zone: str = "",
    visibility: str = Visibility.TENANT,
) -> Site:
    """A new place. Conflict where the name is taken in this tenant, or by a global site."""
    check_visibility(by, visibility)
    site = Site(
        tenant=tenant,
        name=_check_name(name),
        latitude=latitude,
        longitude=longitude,
        time_zone=time_zone,
        visibility=visibility,
        created_by=by.user,
    )
    _check_place(site)
    _check_is_free(site)
    _save(site)
    audit.record(by=by, action="site.create", row=site, tenant=tenant, after=audit.snapshot(site))
    return site


@transaction.atomic
def update_site(*, by: Actor, site: Site, seen: str = "", **changes: Any) -> Site:
    """Change name, latitude, longitude, time_zone or visibility; what is not named stays.

    `seen` is the revision that was edited (accounts.revisions): Changed where it is another one by now.
    """
    unknown = changes.keys() - {"name", "latitude", "longitude", "time_zone", "visibility"}
    if unknown:
        raise ValidationError(dict.fromkeys(unknown, "A site has no such field."))
    site.refresh_from_db(from_queryset=Site.objects.select_for_update())
    check_seen(seen, editable.of_site(site), site, tenant=site.tenant)
    before = audit.snapshot(site)
    if "visibility" in changes:
        check_visibility(by, changes["visibility"], site.visibility)
    if "name" in changes:
        changes["name"] = _check_name(changes["name"])
    for field, value in changes.items():
        setattr(site, field, value)
    _check_place(site)
    _check_is_free(site)
    _save(site)
    after = audit.snapshot(site)
    if before != after:
        audit.record(by=by, action="site.change", row=site, tenant=site.tenant, before=before, after=after)
    return site


@transaction.atomic
def delete_site(*, by: Actor, site: Site) -> None:
    """Remove a place; what stands there is at no site from then on."""
    audit.record(by=by, action="site.delete", row=site, tenant=site.tenant, before=audit.snapshot(site))
    site.delete()


def parse_location(text: str) -> tuple[float | None, float | None]:
    """(latitude, longitude) from v3.1's "lat,lon"; (None, None) from ""; ValidationError in the genuine words otherwise."""
    if not text:
        return None, None
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError:
        raise ValidationError(
            {
                "location": f'Invalid location `{text}`, the format is expected to be "latitude,longitude" such as "32.071072,34.787274"'
            }
        ) from None
    return latitude, longitude


def _check_name(name: str) -> str:
    """A place is called as people call it; only what an address of the API cannot carry is refused."""
    name = names.check_title(name, "name")
    if not name[0].isalpha():
        raise ValidationError({"name": "The name of a site begins with a letter."})
    if set(name) & set('/\\?#"'):
        raise ValidationError({"name": 'The name of a site has none of / \\ ? # " in it.'})
    return name


def _check_place(site: Site) -> None:
    wrong: dict[str, str] = {}
    for field, limit in (("latitude", 90), ("longitude", 180)):
        value = getattr(site, field)
        if value is not None and not -limit <= value <= limit:
            wrong[field] = f"Invalid {field} `{value}`. Must be a number between -{limit} and {limit}"
    if not wrong and (site.latitude is None) != (site.longitude is None):
        missing = "latitude" if site.latitude is None else "longitude"
        wrong[missing] = "A place on the map needs both latitude and longitude. Enter this one too, or clear both."
    if site.time_zone and site.time_zone not in zoneinfo.available_timezones():
        wrong["time_zone"] = f"{site.time_zone} is no known time zone. Write it as Europe/London, or leave it empty."
    if wrong:
        raise ValidationError(wrong)


def _check_is_free(site: Site) -> None:
    taken = Site.objects.filter(name=site.name).exclude(pk=site.pk)
    if site.visibility != Visibility.GLOBAL:
        taken = taken.filter(Q(tenant=site.tenant) | Q(visibility=Visibility.GLOBAL))
    if taken.exists():
        raise Conflict(_taken(site))


def _save(site: Site) -> None:
    try:
        with transaction.atomic():
            site.save()
    except IntegrityError:
        raise Conflict(_taken(site)) from None


def _taken(site: Site) -> str:
    return f"A site {site.name} exists already in tenant {site.tenant.name}, or with global visibility. Change that one, or choose another name."
