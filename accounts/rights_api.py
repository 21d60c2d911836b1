"""/api/v1/permissions: what each role may, a preview of changes with whom they hit, the changes, and back to the defaults."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from accounts import rights
from accounts.actors import actor_of
from accounts.models import TenantRole
from accounts.rights_words import WORDS
from accounts.roles import ACTIONS, FIXED_ACTIONS, read_rights


class PermissionSerializer(serializers.Serializer):
    """An action and the roles that may."""

    action = serializers.CharField()
    words = serializers.CharField()
    roles = serializers.ListField(child=serializers.ChoiceField(choices=TenantRole.choices))
    default_roles = serializers.ListField(child=serializers.ChoiceField(choices=TenantRole.choices))
    is_fixed = serializers.BooleanField()


class CellSerializer(serializers.Serializer):
    """One role and one action, and whether it shall be allowed."""

    role = serializers.CharField(max_length=16)
    action = serializers.CharField(max_length=64)
    is_allowed = serializers.BooleanField()


class ChangesSerializer(serializers.Serializer):
    """Changes to look at; with the digest of that look, to apply."""

    changes = CellSerializer(many=True, required=False, default=list)
    to_defaults = serializers.BooleanField(
        default=False, help_text="Everything back to the defaults, then the changes."
    )

    def cells(self) -> dict[rights.Cell, bool]:
        """As the services take them; ValidationError for a cell that cannot be changed."""
        defaults = rights.defaults() if self.validated_data["to_defaults"] else {}
        return defaults | {
            rights.read_cell(one["role"], one["action"]): one["is_allowed"] for one in self.validated_data["changes"]
        }


class ApplySerializer(ChangesSerializer):
    """The same, to apply."""

    digest = serializers.CharField(max_length=64)


class EffectSerializer(serializers.Serializer):
    """What would change of one action, and for whom."""

    action = serializers.CharField()
    given_to = serializers.ListField(child=serializers.CharField())
    taken_from = serializers.ListField(child=serializers.CharField())
    gain = serializers.ListField(child=serializers.CharField())
    lose = serializers.ListField(child=serializers.CharField())
    cautions = serializers.ListField(child=serializers.CharField())


class PermissionPreviewSerializer(serializers.Serializer):
    """What would change, under a digest."""

    digest = serializers.CharField()
    people = serializers.IntegerField()
    effects = EffectSerializer(many=True)


def shown() -> list[dict[str, Any]]:
    """Every action with the roles that may now."""
    now = read_rights()
    words = {name: text for group in WORDS.values() for name, text in group.items()}
    return [
        {
            "action": name,
            "words": words[name],
            "roles": sorted(now[name]),
            "default_roles": sorted(ACTIONS[name]),
            "is_fixed": name in FIXED_ACTIONS,
        }
        for name in ACTIONS
    ]


class Permissions(ViewSet):
    """What roles may, for system administrators."""

    needs = {"*": "permission.manage"}
    serializer_class = PermissionSerializer

    @extend_schema(responses=PermissionSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Every action with the roles that may, and may by default."""
        return Response(PermissionSerializer(shown(), many=True).data)

    @extend_schema(request=ChangesSerializer, responses=PermissionPreviewSerializer)
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """What changes would do, and to whom."""
        given = ChangesSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        found = rights.preview(given.cells())
        return Response(PermissionPreviewSerializer(found).data)

    @extend_schema(request=ApplySerializer, responses=PermissionSerializer(many=True))
    @action(detail=False, methods=["post"])
    def apply(self, request: Request) -> Response:
        """Make the changes of a preview, by its digest. They hold at once."""
        given = ApplySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        digest = given.validated_data["digest"]
        rights.change_rights(by=actor_of(request, via="api"), wanted=given.cells(), digest=digest)
        return self.list(request)
