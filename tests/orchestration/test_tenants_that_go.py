"""A tenant is not deleted under what runs in it: by no interface, and the one who asks is told what is left."""

from __future__ import annotations

import pytest

from accounts import services
from accounts.errors import Conflict
from accounts.models import Tenant
from tests.factories import actor
from tests.orchestration import factories as made

pytestmark = pytest.mark.django_db


def test_a_tenant_with_a_running_execution_stays_and_says_what_is_in_it(call, acme, alice, admin):
    execution = made.execution(made.local(acme, "app", by=alice), state="started")
    reply = call(admin, "DELETE", "/tenants/acme", tenant="default_tenant")
    assert reply.status_code in (400, 409) and "1 execution" in reply.json()["message"]
    with pytest.raises(Conflict, match=r"1 deployment.*Delete those first"):
        services.delete_tenant(by=actor(admin), tenant=acme)
    row = call(alice, "GET", f"/executions/{execution.pk}").json()
    assert row["status"] == "started" and Tenant.objects.filter(pk=acme.pk).exists()
