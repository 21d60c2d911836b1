"""The operations that build a cluster, each looking before it acts; they are registered when this package is imported."""

from installs.operations import (  # noqa: F401
    apart,
    balancer,
    certificates,
    database,
    database_members,
    entrance,
    etcd,
    etcd_members,
    exposing,
    external,
    hosts,
    leaving,
    management,
    monitoring,
    purging,
    queue,
    queue_copies,
    queue_members,
    settling,
    strangers,
)
