"""Secrets on the wire: made here they are for blueprints; credentials are listed and never read back."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import Conflict
from accounts.models import Secret
from accounts.secrets import change_secret, create_secret, delete_secret, read_blueprint_secret, replace_secret
from orchestration.errors import bad_parameters, exists, forbidden
from orchestration.identity import check_id
from orchestration.wire.listing import find, listed
from orchestration.wire.shapes import Field, Shape, always, column, owned, read_bool, time
from orchestration.wire.views import WireView

SECRET = Shape(
    "Secret",
    {
        "created_at": time("created_at"),
        "visibility": column("visibility"),
        "value": always(""),
        "updated_at": time("updated_at"),
        "is_hidden_value": column("is_hidden_value", read_bool),
        "schema": Field(lambda row: row.schema),
        "provider_options": always(None),
        "key": column("name"),
        "provider_name": always(None),
        **owned(),
    },
    search=("name",),
    heavy=("ciphertext",),
)
LISTED = [name for name in SECRET.fields if name != "value"]
IN_LISTS = Shape("Secret", {name: SECRET.fields[name] for name in LISTED}, search=("name",), heavy=("ciphertext",))


class SecretView(WireView):
    """What all addresses of secrets share."""

    resource = "secret"

    def rows(self) -> QuerySet[Secret]:
        """What the caller may see of names; values are another matter."""
        return self.visible(Secret.objects.all())

    def found(self, key: str) -> Secret:
        """The secret, to be changed."""
        row = find(self.rows().select_related("tenant", "created_by"), "Secret", key, name="name")
        return self.in_own_tenant(row, "Secret")  # type: ignore[no-any-return]

    def for_blueprints(self, key: str) -> Secret:
        """The same; a credential is changed where it is used."""
        row = self.found(key)
        if row.purpose != Secret.Purpose.BLUEPRINT:
            raise forbidden(f"Secret {key} is a credential of this portal: change it on its pages or through /api/v1.")
        return row

    def shown(self, row: Secret) -> Response:
        """A secret after a change, without its value."""
        return Response(SECRET.render(row))


class SecretList(SecretView):
    """GET /secrets, without values."""

    needs = {"GET": "secret.view"}

    def get(self, request: Request) -> Response:
        return listed(self.rows(), request.query_params, IN_LISTS)


class SecretSearch(SecretView):
    """POST /searches/secrets: rules on `key`."""

    needs = {"POST": "secret.view"}

    def said(self, method: str | None) -> str:
        return "secret_list"

    def post(self, request: Request) -> Response:
        rows = self.rows()
        for rule in self.optional("filter_rules", list, []):
            rows = rows.filter(name__in=key_values(rule))
        return listed(rows, request.query_params, IN_LISTS)


def key_values(rule: Any) -> list[str]:
    """The values of a rule `key any_of [...]`, the only one that secrets know."""
    if isinstance(rule, dict) and rule.get("key") == "key" and rule.get("operator") == "any_of":
        return [str(value) for value in rule.get("values") or []]
    raise bad_parameters("Secrets can be searched by `key any_of [...]` only")


class SecretDetail(SecretView):
    """One secret."""

    needs = {"GET": "secret.view", "PUT": "secret.change", "PATCH": "secret.change", "DELETE": "secret.change"}

    def get(self, request: Request, key: str) -> Response:
        row = find(self.rows().select_related("tenant", "created_by"), "Secret", key, name="name")
        return Response({**SECRET.render(row), "value": read_blueprint_secret(by=self.actor, secret=row)})

    def put(self, request: Request, key: str) -> Response:
        check_id(key, "key")
        if "value" not in self.body():
            raise bad_parameters("Missing value in json request body")
        value = as_text(self.body()["value"])
        self.refuse_provider()
        visibility, is_hidden = self.visibility(), self.boolean("is_hidden_value")
        old = Secret.objects.filter(tenant=self.tenant, name=key).first()
        if old is not None and self.boolean("update_if_exists"):
            row = self.for_blueprints(key)
            replace_secret(by=self.actor, secret=row, value=value)
            hidden = is_hidden if "is_hidden_value" in self.body() else None
            change_secret(by=self.actor, secret=row, is_hidden_value=hidden)
            return self.shown(row)
        try:
            row = create_secret(
                by=self.actor,
                tenant=self.tenant,
                name=key,
                value=value,
                purpose=Secret.Purpose.BLUEPRINT,
                visibility=visibility,
                is_hidden_value=is_hidden,
                schema=self.optional("schema", dict),
            )
        except Conflict:
            raise exists("Secret", key, self.tenant.name) from None
        return self.shown(row)

    def patch(self, request: Request, key: str) -> Response:
        row = self.for_blueprints(key)
        self.refuse_provider()
        if self.body().get("creator"):
            raise bad_parameters("A secret stays its creator's: create it again as the user who is to own it.")
        if self.body().get("value") is not None:
            replace_secret(by=self.actor, secret=row, value=as_text(self.body()["value"]))
        change_secret(
            by=self.actor,
            secret=row,
            visibility=self.visibility(default=row.visibility) if "visibility" in self.body() else None,
            is_hidden_value=self.boolean("is_hidden_value") if "is_hidden_value" in self.body() else None,
        )
        return self.shown(row)

    def delete(self, request: Request, key: str) -> Response:
        delete_secret(by=self.actor, secret=self.found(key))
        return Response(status=204)

    def refuse_provider(self) -> None:
        """Secrets kept elsewhere are not served."""
        if self.body().get("provider_name"):
            raise bad_parameters("Secrets providers are not served by this manager: send the value itself.")


class SecretVisibility(SecretView):
    """PATCH /secrets/KEY/set-visibility."""

    needs = {"PATCH": "secret.change"}

    def patch(self, request: Request, key: str) -> Response:
        row = self.found(key)
        change_secret(by=self.actor, secret=row, visibility=self.visibility(("tenant", "global"), default=None))
        return self.shown(row)


def as_text(value: Any) -> str:
    """Secrets are text; anything else is kept as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
