"""/api/v1 for users, groups, tenants and memberships, as an administrator's script uses it."""

import pytest

from accounts.models import AuditEntry, User
from tests import factories

pytestmark = pytest.mark.django_db
JSON = {"content_type": "application/json"}


@pytest.fixture
def root(client, admin):
    client.force_login(admin)
    return client


def test_a_team_is_set_up_from_nothing(root):
    assert root.post("/api/v1/tenants/", {"name": "acme"}, **JSON).status_code == 201
    made = root.post("/api/v1/users/", {"username": "dora", "password": factories.PASSWORD}, **JSON)
    assert made.status_code == 201 and "password" not in made.json()
    group = root.post("/api/v1/groups/", {"name": "team", "users": ["dora"]}, **JSON)
    assert group.json()["users"] == ["dora"]
    role = root.post("/api/v1/memberships/", {"tenant": "acme", "group": "team", "role": "operations"}, **JSON)
    assert role.status_code == 201
    token = factories.token(User.objects.get(username="dora"))
    me = root.get("/api/v1/me/", headers={"Authorization": f"Token {token}"}).json()
    assert me["tenants"] == [{"tenant": "acme", "roles": ["operations"]}]
    assert root.delete(f"/api/v1/memberships/{role.json()['id']}/").status_code == 204
    assert root.delete(f"/api/v1/groups/{group.json()['id']}/").status_code == 204


def test_changes_through_the_api_are_audited_as_such(root, alice):
    token = factories.token(User.objects.get(username="admin"))
    root.patch(f"/api/v1/users/{alice.pk}/", {"full_name": "A"}, **JSON)
    root.patch(f"/api/v1/users/{alice.pk}/", {"full_name": "B"}, headers={"Authorization": f"Token {token}"}, **JSON)
    told = list(AuditEntry.objects.filter(action="user.change").order_by("id").values_list("actor", "via"))
    assert told == [("admin", "api"), ("admin", f"token ctok-{token.split('-')[1]}")]


@pytest.mark.parametrize(
    ("address", "body", "status", "words"),
    [
        ("users", {"username": "alice", "password": factories.PASSWORD}, 409, "already"),
        ("users", {"username": "dora"}, 400, "first password"),
        ("users", {"username": "dora", "password": "short"}, 400, "at least 10"),
        ("users", {"username": "1dora", "password": factories.PASSWORD}, 400, "begin with a letter"),
        ("users", {"username": "dora", "password": factories.PASSWORD, "role": "king"}, 400, "role"),
        ("users", {"username": "dora", "password": factories.PASSWORD, "groups": ["nosuch"]}, 400, "nosuch"),
        ("tenants", {"name": "acme"}, 409, "already"),
        ("tenants", {"name": "with space"}, 400, "begin with a letter"),
        ("memberships", {"tenant": "nosuch", "user": "alice", "role": "user"}, 400, "nosuch"),
        ("memberships", {"tenant": "acme", "role": "user"}, 400, "one of the two"),
        ("memberships", {"tenant": "acme", "user": "alice", "role": "boss"}, 400, "boss"),
    ],
)
def test_wrong_input_is_answered_with_problem_details_in_words(root, alice, address, body, status, words):
    reply = root.post(f"/api/v1/{address}/", body, **JSON)
    problem = reply.json()
    assert (reply.status_code, reply["Content-Type"]) == (status, "application/problem+json")
    assert problem["status"] == status and words in problem["detail"]


def test_a_name_stays(root, alice):
    reply = root.patch(f"/api/v1/users/{alice.pk}/", {"username": "alicia"}, **JSON)
    assert reply.status_code == 400 and "A name stays" in reply.json()["detail"]


def test_a_tenant_in_use_is_not_deleted(root, acme):
    factories.secret(acme)
    reply = root.delete(f"/api/v1/tenants/{acme.pk}/")
    assert reply.status_code == 409 and "1 secret" in reply.json()["detail"]


def test_a_switched_off_user_is_made_so(root):
    made = root.post("/api/v1/users/", {"username": "dora", "password": factories.PASSWORD, "is_active": False}, **JSON)
    assert made.json()["is_active"] is False and not User.objects.get(username="dora").is_active


def test_people_see_their_own_tenants_and_managers_their_members(client, alice, other):
    client.force_login(alice)
    assert [row["name"] for row in client.get("/api/v1/tenants/").json()["results"]] == ["acme"]
    assert client.get("/api/v1/memberships/").status_code == 403
    manager = factories.user("mia")
    factories.member(manager, factories.tenant("acme"), "manager")
    factories.member(factories.user("zed"), other, "viewer")
    client.force_login(manager)
    assert {row["user"] for row in client.get("/api/v1/memberships/").json()["results"]} == {"alice", "mia"}


def test_a_request_with_a_token_costs_few_queries(client, alice, django_assert_max_num_queries):
    value = factories.token(alice)
    client.get("/api/v1/tenants/", headers={"Authorization": f"Token {value}"})
    with django_assert_max_num_queries(6):  # token and user; roles; group roles; rights; count; rows
        client.get("/api/v1/tenants/", headers={"Authorization": f"Token {value}"})
