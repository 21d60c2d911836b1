"""View set of /api/v1/uninstalls: what the page of the same act does. It asks and tells; portal.uninstalling does the work."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.errors import Conflict
from deployon.preview_shapes import RuleSerializer
from deployon.rollouts import Pace
from deployon.uninstalls import Line
from inventory.filters import parse
from inventory.models import Deployment, Environment, Filter
from inventory.named import asker, place
from orchestration.bulk_looks import MOST
from orchestration.deployment_choice import below
from orchestration.errors import Refused
from portal import uninstalling
from portal.uninstalling import Begun, Changed, Wanted, Whole

WHERE = ("environments", "rules", "filter", "deployments")


class UninstallsSerializer(serializers.Serializer[Any]):
    """What is meant, by one of `environments`, `rules`, `filter` (all that stands on those) or `deployments`; and how."""

    environments = serializers.ListField(child=serializers.IntegerField(), required=False, help_text="by id")
    rules = RuleSerializer(many=True, required=False, help_text="of environments")
    filter = serializers.CharField(required=False, help_text="name of a saved filter of environments")
    deployments = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="by the id that v3.1 has"
    )
    parameters = serializers.DictField(required=False, default=dict, help_text="of the workflow of those made here")
    concurrency = serializers.IntegerField(default=5, min_value=0, max_value=1000, help_text="of the execution group")
    force = serializers.BooleanField(default=False)
    max_parallel = serializers.IntegerField(default=10, min_value=0, help_text="of each rollout; 0: no limit")
    failure_budget = serializers.IntegerField(required=False, allow_null=True, default=None, min_value=0)
    survey = serializers.BooleanField(default=False, help_text="ask the managers what stands on the services there")
    digest = serializers.CharField(
        required=False, default="", allow_blank=True, help_text="of the preview; it is started"
    )


class PlacedSerializer(serializers.Serializer[Any]):
    """A service on an environment, and how it came to be there."""

    deployment = serializers.CharField(source="placement.deployment.wire_id")
    environment = serializers.IntegerField(source="placement.environment_id")
    name = serializers.CharField(source="placement.environment.deployment.display_name")
    service = serializers.CharField(source="placement.service.name")
    version = serializers.IntegerField(source="placement.desired_version.number", default=None, allow_null=True)
    state = serializers.CharField(source="placement.state")
    placed_by = serializers.CharField()
    placed_at = serializers.DateTimeField()
    rollout = serializers.IntegerField(allow_null=True, help_text="null: it was adopted")
    why = serializers.CharField(help_text="why it is left alone")


class LeftSerializer(serializers.Serializer[Any]):
    """What nothing is started for, and why."""

    deployment = serializers.CharField()
    why = serializers.CharField()


class WholeSerializer(serializers.Serializer[Any]):
    """What would be uninstalled, or with `rollouts` and `execution_group` what is."""

    digest = serializers.CharField()
    services = PlacedSerializer(many=True, help_text="by rollouts, one for each service")
    staying = PlacedSerializer(many=True)
    deployments = serializers.ListField(child=serializers.CharField(), help_text="by their own workflow")
    order = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    excluded = LeftSerializer(many=True)
    rollouts = serializers.ListField(child=serializers.IntegerField())
    execution_group = serializers.CharField(allow_null=True)


class Uninstalls(GenericViewSet):
    """Uninstall of many deployments and of services on environments: a preview without `digest`, the start with it."""

    needs = {"*": "execution.start"}
    queryset = Deployment.objects.none()
    serializer_class = UninstallsSerializer
    filter_backends = ()

    @extend_schema(request=UninstallsSerializer, responses={200: WholeSerializer, 201: WholeSerializer})
    def create(self, request: Request) -> Response:
        """What would be uninstalled and what not; with the `digest` of that it begins. 409 where it is another by now."""
        given = UninstallsSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        data, tenant = given.validated_data, place(request)[1]
        rows = list(self.meant(request, data)[: MOST + 1])
        if len(rows) > MOST:
            raise ValidationError(f"These are more than {MOST:,} deployments. Choose fewer by a filter, then the rest.")
        wanted = Wanted(
            data["parameters"],
            data["concurrency"],
            data["force"],
            Pace(data["max_parallel"], data["failure_budget"]),
            data["survey"],
        )
        asked: dict[str, Any] = {"by": asker(request), "tenant": tenant, "rows": rows, "wanted": wanted}
        if not data["digest"]:
            return Response(told(uninstalling.preview(**asked)))
        try:
            begun = uninstalling.start(**asked, digest=data["digest"])
        except Changed as changed:
            said = f" {changed.why}" if changed.why else ""
            raise Conflict(
                f"Nothing was started: what would be uninstalled is not what was previewed.{said} Preview again."
            ) from None
        except Refused as refused:
            raise ValidationError({"parameters": f"{refused.message}."}) from None
        return Response(told(begun.whole, begun), status=status.HTTP_201_CREATED)

    def meant(self, request: Request, data: dict[str, Any]) -> QuerySet[Deployment]:
        """The deployments that the request speaks of. ValidationError where it says that in no way, or in two."""
        user, tenant = place(request)
        if sum(name in data for name in WHERE) != 1:
            raise ValidationError(f"Say what is to be uninstalled by one of {', '.join(WHERE)}.")
        seen = Deployment.objects.visible_to(user, tenant).select_related("tenant", "environment")
        seen = seen.order_by("display_name", "pk")
        if "deployments" in data:
            return seen.filter(wire_id__in=data["deployments"])
        rows = Environment.objects.visible_to(user, tenant)
        if "environments" in data:
            rows = rows.filter(pk__in=data["environments"])
        else:
            saved = Filter.objects.visible_to(user, tenant)
            rules = saved.named(data["filter"], tenant).rules if "filter" in data else [dict(r) for r in data["rules"]]
            rows = rows.matching(parse(rules, are_titles_free=True))
        return seen.filter(pk__in=below(rows.order_by().values_list("deployment_id", flat=True)))


def told(whole: Whole, begun: Begun | None = None) -> Any:
    """The reply."""
    removing: list[Line] = [line for part in whole.parts for line in part.removing]
    return WholeSerializer(
        {
            "digest": whole.digest,
            "services": removing,
            "staying": [line for part in whole.parts for line in part.staying],
            "deployments": [row.wire_id for row in whole.here.acting],
            "order": [[row.wire_id for row in wave] for wave in whole.here.waves],
            "excluded": [{"deployment": one.deployment.wire_id, "why": one.why} for one in whole.here.left_out],
            "rollouts": [one.pk for one in begun.rollouts] if begun else [],
            "execution_group": str(begun.group.pk) if begun and begun.group else None,
        }
    ).data
