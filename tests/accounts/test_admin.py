"""Walks the admin over every model of every app: lists, opens, saves and deletes, and finds the audit entries."""

import pytest
from django.contrib import admin as django_admin
from django.forms import MultiWidget
from django.test import RequestFactory
from django.urls import reverse

from accounts.admin import AuditedAdmin
from accounts.models import ApiToken, AuditEntry, LoginFailure, Secret, Tenant, User
from tests import factories
from tests.samples import build, sample

django_admin.autodiscover()
MODELS = sorted(django_admin.site._registry, key=lambda model: model._meta.label)
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
pytestmark = pytest.mark.django_db

# What a form asks for that no field of the model holds.
TYPED = {"new_password": "typed-by-an-admin", "new_value": "typed by an admin"}
# What to change where the first text field is not it.
CHANGES = {
    "accounts.Membership": {"role": "viewer"},
    "accounts.Group": {"role": "sys_admin"},
    "accounts.Secret": {"is_hidden_value": True},
}


def page(model, name, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def allowed(model, what, user):
    request = RequestFactory().get("/")
    request.user = user
    return getattr(django_admin.site._registry[model], f"has_{what}_permission")(request)


def posted(reply, values):
    """What a browser would send back for the form on the page, with other `values`."""
    form = reply.context["adminform"].form
    sent = {}
    for name, field in form.fields.items():
        value = values.get(name, form[name].value())
        if value is None or value is False or field.disabled:
            continue
        if isinstance(field.widget, MultiWidget):
            sent |= {f"{name}_{n}": part or "" for n, part in enumerate(field.widget.decompress(value))}
        elif field.__class__.__name__ == "JSONField" and not isinstance(value, str):
            sent[name] = field.prepare_value(value)
        else:
            sent[name] = (
                value if isinstance(value, list) else "on" if value is True else str(getattr(value, "pk", value))
            )
    for formset in reply.context["inline_admin_formsets"]:
        for name, field in formset.formset.management_form.fields.items():
            sent[f"{formset.formset.prefix}-{name}"] = (
                formset.formset.management_form[name].value() or field.initial or 0
            )
    return sent


def refusal(reply):
    """Why a form was shown again."""
    if reply.status_code == 302:
        return ""
    context = reply.context or {}
    return str(context["errors"]) if "errors" in context else f"status {reply.status_code}"


def other_value(model, form):
    """One field and a value that it does not have."""
    if model._meta.label in CHANGES:
        return CHANGES[model._meta.label]
    for name, field in form.fields.items():
        if field.__class__.__name__ == "CharField" and name not in TYPED:
            return {name: f"{form[name].value() or ''}x"}
    for name, field in form.fields.items():
        if field.__class__.__name__ == "BooleanField":
            return {name: not form[name].value()}
        if field.__class__.__name__ in {"IntegerField", "FloatField"}:
            return {name: (form[name].value() or 0) + 1}
    raise AssertionError(f"Nothing to change was found on the page of {model._meta.label}: name it in CHANGES.")


def test_every_model_of_the_product_has_admin_pages():
    from django.apps import apps

    ours = {"accounts", "runs", "inventory", "installs", "deployon", "orchestration"}
    missing = [
        model._meta.label
        for model in apps.get_models()
        if model._meta.app_label in ours and model not in MODELS and not model._meta.auto_created
    ]
    assert missing == [], f"register these in the admin.py of their app: {missing}"


@each_model
def test_every_model_is_audited_or_read_only(model):
    if model._meta.app_label in {"sessions", "contenttypes", "auth", "admin"}:
        return
    assert isinstance(django_admin.site._registry[model], AuditedAdmin)


@each_model
def test_list_and_detail_open_for_a_system_administrator_only(client, model, admin, acme, alice):
    row = sample(model, acme)
    pages = [page(model, "changelist"), page(model, "changelist") + "?q=x", page(model, "change", row.pk)]
    client.force_login(admin)
    assert [client.get(address).status_code for address in pages] == [200, 200, 200]
    client.force_login(alice)
    assert {client.get(address).status_code for address in pages} == {302}


@each_model
def test_saving_a_changed_row_leaves_an_audit_entry(client, model, admin, acme):
    if not allowed(model, "change", admin):
        return
    row = sample(model, acme)
    client.force_login(admin)
    address = page(model, "change", row.pk)
    reply = client.get(address)
    values = other_value(model, reply.context["adminform"].form)
    reply = client.post(address, posted(reply, values), follow=False)
    assert refusal(reply) == ""
    entry = AuditEntry.objects.filter(object_type=model._meta.label_lower, object_id=str(row.pk)).first()
    assert entry is not None and (entry.actor, entry.via) == ("admin", "admin")
    assert set(values) <= set(entry.after)


@each_model
def test_adding_a_row_leaves_an_audit_entry(client, model, admin, acme):
    if not allowed(model, "add", admin):
        return
    client.force_login(admin)
    reply = client.get(page(model, "add"))
    assert reply.status_code == 200
    wanted = build(model, acme)
    values = {
        name: TYPED.get(name) or getattr(wanted, name, None)
        for name in reply.context["adminform"].form.fields
        if name in TYPED or name in {field.name for field in model._meta.concrete_fields}
    }
    values = {name: value for name, value in values.items() if value is not None} | (
        {"name": wanted.name} if hasattr(wanted, "name") else {}
    )
    before = model.objects.count()
    reply = client.post(page(model, "add"), posted(reply, values))
    assert refusal(reply) == ""
    assert model.objects.count() == before + 1
    assert AuditEntry.objects.filter(object_type=model._meta.label_lower, via="admin").exists()


@each_model
def test_deleting_a_row_leaves_an_audit_entry(client, model, admin, acme):
    if not allowed(model, "delete", admin):
        return
    row = sample(model, acme)
    client.force_login(admin)
    reply = client.post(page(model, "delete", row.pk), {"post": "yes"})
    assert reply.status_code == 302
    assert not model.objects.filter(pk=row.pk).exists()
    assert AuditEntry.objects.filter(object_type=model._meta.label_lower, object_id=str(row.pk), via="admin").exists()


@each_model
def test_no_page_shows_a_hash_or_ciphertext(client, model, admin, acme):
    row = sample(model, acme)
    client.force_login(admin)
    shown = (
        client.get(page(model, "change", row.pk)).content.decode()
        + client.get(page(model, "changelist")).content.decode()
    )
    for user in User.objects.exclude(password="!"):
        assert user.password not in shown
    if isinstance(row, Secret):
        assert row.ciphertext.hex() not in shown and str(row.ciphertext) not in shown
    if isinstance(row, ApiToken):
        assert row.secret_hash not in shown


def test_what_a_service_refuses_is_said_above_the_form_and_nothing_is_stored(client, admin):
    client.force_login(admin)
    default = Tenant.objects.get_or_create(name="default_tenant")[0]
    reply = client.post(page(Tenant, "delete", default.pk), {"post": "yes"}, follow=True)
    assert "always exists" in reply.content.decode()
    assert Tenant.objects.filter(pk=default.pk).exists()


def test_the_last_system_administrator_cannot_be_switched_off(client, admin):
    client.force_login(admin)
    address = page(User, "change", admin.pk)
    sent = posted(client.get(address), {"is_active": False})
    reply = client.post(address, sent, follow=True)
    assert "No system administrator would be left" in reply.content.decode()
    admin.refresh_from_db()
    assert admin.is_active


def test_deleting_many_rows_at_once_is_audited_row_by_row(client, admin, acme):
    client.force_login(admin)
    rows = [factories.secret(acme) for _ in range(3)]
    sent = {"action": "delete_selected", "_selected_action": [str(row.pk) for row in rows], "post": "yes"}
    assert client.post(page(Secret, "changelist"), sent).status_code == 302
    assert AuditEntry.objects.filter(action="secret.delete", via="admin").count() == 3


def test_a_secret_in_use_is_not_deleted_from_the_list(client, admin, acme):
    from inventory.models import Credential

    secret = factories.secret(acme)
    Credential.objects.create(tenant=acme, kind="token", token=secret)
    client.force_login(admin)
    client.post(
        page(Secret, "changelist"),
        {"action": "delete_selected", "_selected_action": [str(secret.pk)], "post": "yes"},
        follow=True,
    )
    assert Secret.objects.filter(pk=secret.pk).exists()


def test_a_locked_out_person_is_let_in_by_deleting_the_failures(client, admin, alice, settings):
    settings.LOGIN_FAILURE_LIMIT = 1
    from accounts import throttle

    throttle.count_failure("alice", "127.0.0.1")
    client.force_login(admin)
    rows = [row.pk for row in LoginFailure.objects.all()]
    client.post(
        page(LoginFailure, "changelist"), {"action": "delete_selected", "_selected_action": rows, "post": "yes"}
    )
    assert throttle.seconds_locked("alice", "127.0.0.1") == 0
