"""What somebody enters to expose a double, and what its first look found."""

from __future__ import annotations

from inventory.doubles import ManagerDouble
from inventory.doubles.server import default_authority
from inventory.exposing import expose
from inventory.models import Environment
from tests.factories import actor

TOKEN = "ctok-alice-0123456789"
State = Environment.State


def form(double: ManagerDouble, **more):
    """What somebody enters for a double, with Alice's token there."""
    fields = {"endpoint": "127.0.0.1", "port": double.port, "protocol": "http", "remote_tenant": "acme", "token": TOKEN}
    if double.certificate:
        fields |= {"protocol": "https", "trust": "ca_bundle", "ca_bundle": default_authority().pem}
    return {name: value for name, value in (fields | more).items() if value is not None}


def exposed(user, tenant, double, name="plant", **more):
    return expose(by=actor(user), tenant=tenant, name=name, **form(double, **more))


def failed_rung(environment):
    return next(rung for rung in environment.probes.first().rungs if rung["state"] == "failed")
