"""What roles may, as administrators change it: at once, for everybody who asks, and never so that nobody can govern."""

from __future__ import annotations

import json

import pytest
from django.core.exceptions import ValidationError

from accounts import rights, services
from accounts.actors import SYSTEM, Actor
from accounts.errors import Conflict
from accounts.models import AuditEntry, RolePermission, SystemRole, TenantRole
from accounts.rights_words import WORDS
from accounts.roles import ACTIONS, FIXED_ACTIONS, may, read_rights, remember_access
from inventory.models import Deployment
from tests import factories
from tests.orchestration import factories as made

pytestmark = pytest.mark.django_db

VIEWER_STARTS = {(TenantRole.VIEWER, "rollout.start"): True}
USER_UPLOADS_NOT = {(TenantRole.USER, "blueprint.change"): False}


def allow(wanted):
    return rights.change_rights(by=SYSTEM, wanted=wanted)


@pytest.fixture
def wire(client, admin):
    token = {"Authentication-Token": factories.token(admin)}

    def ask(method, path, user=None):
        headers = token if user is None else {"Authentication-Token": factories.token(user), "Tenant": "acme"}
        return client.generic(method, f"/api/v3.1{path}", headers=headers)

    return ask


def test_every_action_has_words_on_the_page():
    told = [action for group in WORDS.values() for action in group]
    assert sorted(told) == sorted(ACTIONS)


def test_a_change_holds_at_once_and_going_back_leaves_no_row(alice, bob, acme):
    assert not may(bob, "rollout.start", acme) and may(alice, "blueprint.change", acme)
    assert allow(VIEWER_STARTS | USER_UPLOADS_NOT) == [*VIEWER_STARTS, *USER_UPLOADS_NOT]
    assert may(bob, "rollout.start", acme) and not may(alice, "blueprint.change", acme)
    assert allow(VIEWER_STARTS) == [], "once more changes nothing"
    allow(rights.defaults())
    assert not RolePermission.objects.exists() and read_rights() == ACTIONS
    assert not may(bob, "rollout.start", acme)


def test_a_role_that_was_given_more_still_ends_where_its_tenant_ends(bob, other):
    allow(VIEWER_STARTS)
    assert not may(bob, "rollout.start", other) and not may(bob, "rollout.start", None)


@pytest.mark.parametrize("action", sorted(FIXED_ACTIONS))
def test_what_reaches_beyond_a_tenant_cannot_be_given_even_by_a_row(bob, acme, action):
    with pytest.raises(ValidationError, match="system administrators"):
        rights.read_cell("viewer", action)
    RolePermission.objects.create(role="viewer", action=action, is_allowed=True)
    assert not may(bob, action, acme)


@pytest.mark.parametrize(
    ("role", "action", "words"),
    [
        ("sys_admin", "permission.manage", "nobody is locked out"),
        ("default", "deployment.view", "Give a role in the tenant"),
        ("nosuch", "deployment.view", "There is no role"),
        ("viewer", "deployment.veiw", "There is no permission"),
        ("viewer", "token.manage_own", "everybody who is signed in"),
    ],
)
def test_what_cannot_be_changed_says_why(role, action, words):
    with pytest.raises(ValidationError, match=words):
        rights.read_cell(role, action)


def test_rows_of_actions_that_are_no_more_are_left_alone():
    RolePermission.objects.create(role="viewer", action="steam.engine", is_allowed=True)
    RolePermission.objects.create(role="stoker", action="deployment.view", is_allowed=True)
    assert read_rights() == ACTIONS


def test_the_preview_names_those_for_whom_it_makes_a_difference(alice, bob, charlie, acme, admin):
    both = factories.user("both")
    factories.member(both, acme, "viewer")
    services.set_membership(by=SYSTEM, tenant=acme, group=factories.group("ops", users=[both]), role="operations")
    off = factories.user("off")
    factories.member(off, acme, "viewer")
    services.change_user(by=SYSTEM, user=off, is_active=False)
    chief = factories.user("chief", SystemRole.SYS_ADMIN)
    factories.member(chief, acme, "viewer")
    found = rights.preview(VIEWER_STARTS)
    (effect,) = found.effects
    assert (effect.gain, effect.lose, effect.given_to) == (("bob",), (), (TenantRole.VIEWER,)) and found.people == 1
    assert rights.preview({(TenantRole.VIEWER, "rollout.view"): False}).effects[0].lose == ("bob",)
    assert rights.preview({(TenantRole.VIEWER, "rollout.view"): True}).effects == ()


def test_the_preview_warns_of_power_and_of_acting_blindly(acme):
    (effect,) = rights.preview({(TenantRole.VIEWER, "cluster.change"): True}).effects
    assert "root" in effect.cautions[0]
    (effect,) = rights.preview({(TenantRole.USER, "site.view"): False}).effects
    assert effect.cautions == (
        "user could act on what the role does not see: allow site.view as well, or take away both.",
    )


def test_a_preview_that_no_longer_holds_is_not_applied():
    seen = rights.preview(VIEWER_STARTS)
    allow(USER_UPLOADS_NOT)
    with pytest.raises(Conflict, match="meantime"):
        rights.change_rights(by=SYSTEM, wanted=VIEWER_STARTS, digest=seen.digest)
    assert TenantRole.VIEWER not in read_rights()["rollout.start"]


def test_each_change_is_audited_with_who_and_what(admin):
    rights.change_rights(by=Actor(user=admin, via="page"), wanted=VIEWER_STARTS)
    entry = AuditEntry.objects.get(action="permission.allow")
    assert (entry.actor, entry.object_name, entry.chain) == (admin.username, "viewer: rollout.start", "")
    assert entry.before == {"is_allowed": False} and entry.after == {"is_allowed": True}


def test_rights_cost_one_query_and_an_administrator_none(alice, admin, acme, django_assert_num_queries):
    with django_assert_num_queries(3):
        remember_access(alice)
    with django_assert_num_queries(0):
        assert may(alice, "blueprint.change", acme)
    with django_assert_num_queries(1):
        remember_access(admin)


def test_private_rows_are_seen_by_whoever_may(alice, bob, acme):
    made.local(acme, "mine", by=alice, visibility="private")
    assert not Deployment.objects.visible_to(bob, acme).exists()
    allow({(TenantRole.VIEWER, "private.see"): True})
    assert Deployment.objects.visible_to(bob, acme).exists()


def test_who_may_not_see_in_one_tenant_sees_nothing_of_it_in_a_list_of_all(wire, alice, acme):
    second = factories.tenant("second")
    factories.member(alice, second, "viewer")
    made.local(acme, "here")
    made.local(second, "there")
    allow({(TenantRole.VIEWER, "deployment.view"): False})
    rows = wire("GET", "/deployments?_all_tenants=true&_include=id", alice).json()["items"]
    assert [row["id"] for row in rows] == ["here"]


# --- v3.1, API, page --------------------------------------------------------------------------------------------------


def test_v31_allows_and_disallows(wire, bob, acme):
    path = "/permissions/viewer/rollout.start"
    assert wire("PUT", path).json() == {"role": "viewer", "permission": "rollout.start"}
    assert may(bob, "rollout.start", acme)
    listed = wire("GET", "/permissions/viewer", bob).json()["items"]
    assert {"role": "viewer", "permission": "rollout.start"} in listed
    assert wire("DELETE", path).status_code == wire("DELETE", path).status_code == 204
    assert not may(bob, "rollout.start", acme)


def test_v31_refuses_in_words(wire, bob):
    refused = wire("DELETE", "/permissions/sys_admin/permission.manage")
    assert (refused.status_code, refused.json()["error_code"]) == (400, "illegal_action_error")
    assert wire("PUT", "/permissions/viewer/deployment_create").status_code == 404
    assert wire("PUT", "/permissions/nosuch/rollout.start").status_code == 404
    assert wire("PUT", "/permissions/viewer/rollout.start", bob).status_code == 403
    assert not RolePermission.objects.exists()


def test_the_api_previews_applies_and_goes_back(client, admin, bob):
    headers = {"Authorization": f"Token {factories.token(admin)}"}

    def post(path, **body):
        return client.post(f"/api/v1/permissions/{path}/", json.dumps(body), "application/json", headers=headers)

    changes = [{"role": "viewer", "action": "rollout.start", "is_allowed": True}]
    seen = post("preview", changes=changes).json()
    assert seen["effects"][0]["gain"] == ["bob"] and seen["people"] == 1
    assert post("apply", changes=changes, digest="stale").status_code == 409
    applied = post("apply", changes=changes, digest=seen["digest"]).json()
    (row,) = [one for one in applied if one["action"] == "rollout.start"]
    assert "viewer" in row["roles"] and "viewer" not in row["default_roles"]
    wrong = [{"role": "viewer", "action": "user.manage", "is_allowed": True}]
    assert post("preview", changes=wrong).status_code == 400
    back = post("preview", to_defaults=True).json()
    assert post("apply", to_defaults=True, digest=back["digest"]).status_code == 200
    assert not RolePermission.objects.exists()


def ticked(without=(), more=()):
    """The form as it stands, changed."""
    cells = {f"{role.value}:{action}" for (role, action), is_allowed in rights.defaults().items() if is_allowed}
    return sorted((cells - set(without)) | set(more))


def test_the_page_shows_whom_it_hits_before_it_changes_anything(client, admin, bob, acme):
    client.force_login(admin)
    assert "Everything is as by default" in client.get("/permissions/").text
    asked = {"may": ticked(more=["viewer:rollout.start"]), "what": "preview"}
    reply = client.post("/permissions/", asked)
    assert "Viewer gets it" in reply.text and "bob" in reply.text and not RolePermission.objects.exists()
    seen = reply.context["found"].digest
    stale = client.post("/permissions/", asked | {"what": "apply", "digest": "stale"})
    assert "in the meantime" in stale.text and not RolePermission.objects.exists()
    done = client.post("/permissions/", asked | {"what": "apply", "digest": seen}, follow=True)
    assert "1 permission changed" in done.text and may(bob, "rollout.start", acme)
    back = client.post("/permissions/", {"what": "reset"})
    sent = {"what": "apply", "may": ticked(), "digest": back.context["found"].digest}
    client.post("/permissions/", sent)
    assert not may(bob, "rollout.start", acme) and not RolePermission.objects.exists()


def test_the_page_is_for_system_administrators(client, alice):
    client.force_login(alice)
    assert client.get("/permissions/").status_code == 403
