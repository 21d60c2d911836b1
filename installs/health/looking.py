"""Looking at a cluster: its hosts are asked, what they say is kept for everybody who wants to know in the next seconds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from accounts import secrets
from installs import certificates
from installs.health.following import follow
from installs.models import Certificate, Checkup
from installs.rendering import measuring
from inventory.cluster_secrets import secrets_of
from inventory.connectors.policy import policy_from_settings
from inventory.connectors.prometheus import Access
from inventory.health import asking
from inventory.health.facts import Answers
from inventory.health.judging import judge
from inventory.health.values import ClusterHealth, Health
from inventory.layout import Layout
from inventory.models import Cluster
from runs import clock

FRESH = timedelta(seconds=5)  # what is younger is not asked for again
PATIENCE = timedelta(seconds=8)  # how long somebody else's look is waited for, by showing what was there before
NO_ACCESS = "its CA or its password is not stored here: plan changes, which makes what is missing"


def checkup_of(cluster: Cluster, *, fresh: timedelta = FRESH) -> Checkup:
    """How the cluster is: what was seen a moment ago, else a new look. Several who ask at once look once."""
    clock.read_if_old()
    now = clock.now()
    row = Checkup.objects.filter(cluster=cluster).first()
    if row is None:
        row, _ = Checkup.objects.get_or_create(
            cluster=cluster,
            defaults={"verdict": Health.UNKNOWN, "looked_at": datetime.fromtimestamp(0, now.tzinfo)},
        )
    if now - row.looked_at < fresh:
        return row
    # Whoever moves this time forward looks; the others are content with what was there before, which says how old it is.
    claimed = Checkup.objects.filter(pk=row.pk, asking_until__lte=now).update(asking_until=now + PATIENCE)
    if not claimed and row.told:
        return row
    return keep(cluster, look(cluster.layout(), access_of(cluster)))


def access_of(cluster: Cluster) -> Access | None:
    """How its Prometheus servers are asked; None where a plan has not made the means yet."""
    authority = certificates.current(cluster, Certificate.Kind.AUTHORITY, certificates.AUTHORITY)
    secret = secrets_of(cluster).get("monitoring")
    if authority is None or not authority.pem or secret is None:
        return None
    return Access(
        authority=authority.pem,
        user=measuring.USER,
        password=secrets.reveal(secret),
        policy=policy_from_settings(),
        port=measuring.PORT,
    )


def look(layout: Layout, access: Access | None) -> ClusterHealth:
    """Ask the hosts. No rows are read or written: any number of clusters may be looked at side by side."""
    if access is None:
        return judge(layout, Answers({}, {host.name: NO_ACCESS for host in layout.hosts}))
    return asking.look(layout, access)


def keep(cluster: Cluster, health: ClusterHealth) -> Checkup:
    """Store what was seen, and move the cluster's state where it calls for that. DoesNotExist where it was forgotten meanwhile."""
    cluster.refresh_from_db(fields=["state", "why"])
    now = clock.now()
    seen: dict[str, Any] = {
        "verdict": health.state,
        "told": health.as_json(),
        "looked_at": now,
        "asking_until": now,
    }
    if health.is_known:
        seen["known_at"] = now
    row, _ = Checkup.objects.update_or_create(cluster=cluster, defaults=seen)
    if health.state == Health.HEALTHY:
        since = None
    else:
        since = row.unwell_since or now
    if since != row.unwell_since:
        row.unwell_since = since
        row.save(update_fields=["unwell_since"])
    follow(cluster, row)
    return row
