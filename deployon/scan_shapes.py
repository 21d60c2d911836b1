"""Shapes of /api/v1 for looks at environments: orphans, drift, adoption and what is done about them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from deployon import drift, orphans
from deployon.preview_shapes import ShownInputs


class StraySerializer(serializers.Serializer[Any]):
    """A deployment there without a record here."""

    deployment = serializers.CharField()
    name = serializers.CharField()
    blueprint = serializers.CharField()
    situation = serializers.CharField()
    service = serializers.CharField(help_text="by our label on it, if any")
    parent: Any = serializers.CharField()
    is_ours = serializers.BooleanField(help_text="it bears our labels for this environment: its record here was lost")


class GhostSerializer(serializers.Serializer[Any]):
    """A placement here whose deployment is gone there."""

    placement = serializers.IntegerField()
    service = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    deployment = serializers.CharField()


class OrphansSerializer(serializers.Serializer[Any]):
    """One environment as it was seen last; `unreachable` and `unseen` say nothing of what is there, `empty` says: nothing."""

    environment = serializers.IntegerField()
    name = serializers.CharField()
    site = serializers.CharField()
    state = serializers.ChoiceField(choices=orphans.STATES)
    seen_at = serializers.DateTimeField(allow_null=True)
    looked_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField()
    strays = StraySerializer(many=True)
    ghosts = GhostSerializer(many=True)
    standing = serializers.IntegerField(help_text="deployments there that are placements here")


class AskSerializer(serializers.Serializer[Any]):
    """Which environments are asked now; at most 1,000."""

    environments = serializers.ListField(child=serializers.IntegerField(), min_length=1, max_length=1000)


class DriftedSerializer(serializers.Serializer[Any]):
    """A placement that is not as wanted, by the last look."""

    placement = serializers.IntegerField(source="placement.pk")
    service = serializers.CharField(source="placement.service.name")
    version = serializers.IntegerField(source="placement.desired_version.number", default=None)
    environment = serializers.IntegerField(source="placement.environment_id")
    environment_name = serializers.CharField(source="placement.environment.deployment.display_name")
    kind = serializers.ChoiceField(choices=list(drift.KINDS))
    why = serializers.CharField()
    is_fixable = serializers.BooleanField(help_text="a rollout sets it right")
    seen_at = serializers.DateTimeField(allow_null=True)


class PlacementsSerializer(serializers.Serializer[Any]):
    """Placements by id."""

    placements = serializers.ListField(child=serializers.IntegerField(), min_length=1, max_length=1000)
    dry_run = serializers.BooleanField(default=False, help_text="only say what would happen")


class NamesSerializer(serializers.Serializer[Any]):
    """What was, or would be, forgotten."""

    forgotten = serializers.ListField(child=serializers.CharField())


class WishSerializer(serializers.Serializer[Any]):
    """A deployment at an environment, by its id there; `service`: what it is to be here."""

    environment = serializers.IntegerField()
    deployment = serializers.CharField(max_length=256)
    service = serializers.CharField(max_length=200, default="", allow_blank=True)


class WishesSerializer(serializers.Serializer[Any]):
    """Deployments, and the digest of the preview to carry out; without one it is a preview."""

    deployments = WishSerializer(many=True)
    digest = serializers.CharField(default="", allow_blank=True)


class ProspectSerializer(serializers.Serializer[Any]):
    """What adopting one means: adopt, known, excluded; after the adoption adopted or failed."""

    environment = serializers.IntegerField()
    environment_name = serializers.CharField()
    deployment = serializers.CharField()
    verdict = serializers.CharField()
    why = serializers.CharField()
    service = serializers.CharField()
    is_new_service = serializers.BooleanField()
    version = serializers.IntegerField(allow_null=True, help_text="id of the version that it is; null: one is made")
    version_words = serializers.CharField()
    blueprint = serializers.CharField()
    inputs = ShownInputs()


class ProspectsSerializer(serializers.Serializer[Any]):
    """All of them, under a digest that the adoption names."""

    digest = serializers.CharField()
    deployments = ProspectSerializer(many=True)


class RemovalSerializer(serializers.Serializer[Any]):
    """What removing one there means: remove, gone, excluded."""

    environment = serializers.IntegerField()
    environment_name = serializers.CharField()
    deployment = serializers.CharField()
    verdict = serializers.CharField()
    why = serializers.CharField()
    situation = serializers.CharField()


class RemovalsSerializer(serializers.Serializer[Any]):
    """All of them, under a digest; `run` that removes them, once it is started."""

    digest = serializers.CharField()
    deployments = RemovalSerializer(many=True)
    run = serializers.IntegerField(allow_null=True)
