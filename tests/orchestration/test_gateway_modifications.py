"""What a running workflow is told of modifications of its deployment."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orchestration.gateway_store import DatabaseStore
from orchestration.scaling_models import Modification
from tests.orchestration import factories as make

pytestmark = pytest.mark.django_db
PARTS = {"added_and_related": [], "removed_and_related": []}


@pytest.fixture
def store(acme, alice):
    local = make.local(acme, "web", by=alice)
    for state in ("finished", "finished", "rolledback"):
        Modification.objects.create(local=local, state=state, modified_nodes={}, node_instances=PARTS)
    return DatabaseStore(make.execution(local, "scale", "started"), None)


def test_one_is_found_by_its_id_alone_without_reading_the_others(store):
    wanted = Modification.objects.order_by("created_at")[1]
    with CaptureQueriesContext(
        connection,
    ) as asked:
        told = store.modification(str(wanted.pk))
    assert told == store.modifications(None)[1] and told["id"] == str(wanted.pk)
    assert len(asked) == 1


def test_one_of_another_deployment_or_none_at_all_is_not_found(store, acme, alice):
    other = Modification.objects.create(
        local=make.local(acme, "other", by=alice), modified_nodes={}, node_instances=PARTS
    )
    for wrong in (str(other.pk), str(uuid.uuid4()), "nonsense"):
        with pytest.raises(LookupError, match=f"Modification {wrong} not found"):
            store.modification(wrong)
        with pytest.raises(LookupError):
            store.end_modification(wrong, "finish")
