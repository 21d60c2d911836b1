"""Puts people, clusters and environments into the installation that the environment variables name; environments come as JSON on standard input."""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    django.setup()
    from accounts.models import Tenant
    from inventory import clusters, exposing, sites
    from inventory.models import Cluster, Environment, Site
    from tests import factories
    from tests.installs import layouts

    alice, _, _ = factories.alice(), factories.bob(), factories.charlie()
    by, acme = factories.actor(alice), Tenant.objects.get(name="acme")
    for tenant in (acme, Tenant.objects.get(name=Tenant.DEFAULT)):
        if not Cluster.objects.filter(tenant=tenant).exists():
            clusters.create_cluster(by=by, tenant=tenant, layout=layouts.ten())
    for row in json.load(sys.stdin):
        if place := row.pop("site"):
            row["site"], latitude, longitude = place
            if not Site.objects.filter(tenant=acme, name=row["site"]).exists():
                sites.create_site(
                    by=by, tenant=acme, name=row["site"], latitude=latitude, longitude=longitude, time_zone="UTC"
                )
        made = exposing.expose(by=by, tenant=acme, endpoint="127.0.0.1", protocol="http", **row)
        assert made.state == Environment.State.READY, made.why


if __name__ == "__main__":
    main()
