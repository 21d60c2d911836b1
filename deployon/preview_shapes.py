"""Shapes of /api/v1 for previews of rollouts: what is asked, and what would happen."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from deployon import sources
from deployon.models import Rollout


class ShownInputs(serializers.DictField):
    """Values by name; those whose name says that they are secret are masked."""

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        return sources.shown_all(value)


class OwnInputs(serializers.DictField):
    """{input: {"value", "from"}} of one environment."""

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        return {name: {"value": sources.shown(name, own), "from": origin} for name, (own, origin) in value.items()}


class RuleSerializer(serializers.Serializer[Any]):
    """A filter rule."""

    type = serializers.CharField()
    key = serializers.CharField()
    operator = serializers.CharField()
    values = serializers.ListField(child=serializers.CharField(allow_blank=True), default=list)


class PreviewRequestSerializer(serializers.Serializer[Any]):
    """What a rollout is to do, and where: `rules`, a saved `filter`, or `environments` by id; one of the three."""

    action = serializers.ChoiceField(choices=Rollout.Action.choices, default=Rollout.Action.DEPLOY)
    service = serializers.CharField(help_text="name or id")
    version = serializers.IntegerField(required=False, help_text="its number; the newest if left out")
    inputs = serializers.DictField(required=False, default=dict, help_text="the same for every environment")
    inputs_from = serializers.DictField(
        child=serializers.CharField(),
        required=False,
        default=dict,
        help_text='{"port": "label:port", "lat": "site:latitude", "url": "capability:database.url"}: read at each environment',
    )
    table = serializers.JSONField(
        required=False,
        default=None,
        help_text="inputs by environment: an object, a list of rows, or a text of CSV, YAML or JSON; wins over all others",
    )
    workflow = serializers.CharField(required=False, default="", help_text="of the action workflow, such as heal")
    parameters = serializers.DictField(required=False, default=dict, help_text="of that workflow")
    rules = RuleSerializer(many=True, required=False)
    filter = serializers.CharField(required=False, help_text="name of a saved filter")
    environments = serializers.ListField(child=serializers.IntegerField(), required=False)
    survey = serializers.BooleanField(default=False, help_text="also ask each sub-manager what is there now")


class PreviewRowSerializer(serializers.Serializer[Any]):
    """One environment; `code` is the reason in one word, `why` in a sentence."""

    environment = serializers.IntegerField()
    name = serializers.CharField()
    site = serializers.CharField()
    code = serializers.CharField()
    why = serializers.CharField()
    inputs = OwnInputs(
        source="own", default=dict, help_text="its own ones, each with its value and where that comes from"
    )
    steps = serializers.ListField(
        child=serializers.CharField(), default=list, help_text="of an update, where they are known"
    )


class PreviewSerializer(serializers.Serializer[Any]):
    """What would happen, under a digest that Start names."""

    digest = serializers.CharField()
    action = serializers.CharField()
    service = serializers.CharField(source="version.service.name")
    version = serializers.IntegerField(source="version.number")
    inputs = ShownInputs(help_text="of all; secret ones are masked")
    inputs_from = serializers.DictField(source="from_environment", child=serializers.CharField())
    workflow = serializers.CharField()
    parameters = ShownInputs()
    unused_rows = serializers.ListField(
        child=serializers.CharField(),
        source="content.unused",
        default=list,
        help_text="rows of the table for nobody here",
    )
    rules = RuleSerializer(many=True)
    environments = serializers.ListField(child=serializers.IntegerField(), allow_null=True)
    create: Any = PreviewRowSerializer(many=True, source="content.create")
    update: Any = PreviewRowSerializer(many=True, source="content.update")
    run = PreviewRowSerializer(many=True, source="content.run")
    remove = PreviewRowSerializer(many=True, source="content.remove")
    differs = PreviewRowSerializer(many=True, source="content.differs")
    stays = PreviewRowSerializer(many=True, source="content.stays")
    excluded = PreviewRowSerializer(many=True, source="content.excluded")
    created_at = serializers.DateTimeField()
