"""/api/v1 of the inventory, as an operator's script uses it."""

from __future__ import annotations

import json

import pytest

from accounts.models import Secret
from inventory import saved_filters
from inventory.deployments import create_deployment
from inventory.models import Deployment, Environment
from runs.models import Run
from tests import factories as people
from tests.factories import actor
from tests.inventory import factories
from tests.inventory.exposed import TOKEN
from tests.runs.drive import drive

pytestmark = pytest.mark.django_db
RULE = {"type": "label", "key": "env", "operator": "any_of", "values": ["prod"]}


class Caller:
    """Speaks JSON with a token, in a tenant."""

    def __init__(self, client, user, tenant="acme"):
        self.client, self.headers = client, {"Authorization": f"Token {people.token(user)}", "Tenant": tenant}

    def __call__(self, method, path, body=None, **query):
        address = f"/api/v1/{path}/"
        if method == "get":
            return self.client.get(address, query, headers=self.headers)
        return getattr(self.client, method)(
            address, json.dumps(body or {}), content_type="application/json", headers=self.headers
        )


@pytest.fixture
def api(client, alice):
    return Caller(client, alice)


def body(double, **more):
    return {
        "name": "plant",
        "endpoint": f"http://127.0.0.1:{double.port}",
        "tenant": "acme",
        "credential": {"token": TOKEN},
        "labels": {"env": "prod", "zone": ["a", "b"]},
    } | more


def names(reply):
    assert reply.status_code == 200, reply.content
    return [row["name"] for row in reply.json()["results"]]


def test_an_environment_is_exposed_and_told_whole_without_any_secret(api, double):
    assert (
        api(
            "post", "sites", {"name": "New York", "latitude": 40.7, "longitude": -74.0, "time_zone": "America/New_York"}
        ).status_code
        == 201
    )
    reply = api("post", "environments", body(double, site="New York"))
    told = reply.json()
    assert reply.status_code == 201, told
    assert (told["name"], told["state"], told["why"], told["site"], told["tenant"]) == (
        "plant",
        "ready",
        "",
        "New York",
        "acme",
    )
    assert told["labels"] == [
        {"key": "csys-obj-type", "value": "environment"},
        {"key": "env", "value": "prod"},
        {"key": "zone", "value": "a"},
        {"key": "zone", "value": "b"},
    ]
    assert told["capabilities"] == {
        "cloudify_manager_endpoint": "127.0.0.1",
        "cloudify_manager_tenant": "acme",
        "cloudify_manager_port": double.port,
        "cloudify_manager_protocol": "http",
    }
    assert [rung["key"] for rung in told["rungs"]] == [
        "name",
        "tcp",
        "tls",
        "http",
        "version",
        "credential",
        "tenant",
        "role",
    ]
    assert (told["credential"]["kind"], told["credential"]["token_secret"]) == ("token", "plant-token")
    assert TOKEN not in reply.content.decode()
    assert api("get", "environments/plant").json() == told
    assert api("get", f"environments/{told['id']}").json()["name"] == "plant"
    assert [site["environments"] for site in api("get", "sites").json()["results"]] == [1]


@pytest.mark.parametrize(
    "credential",
    [
        {"username": "alice", "password": "alice-password"},
        {"username_secret": "user", "password_secret": "word"},
        {"token_secret": "token"},
    ],
)
def test_every_kind_of_credential_is_taken(api, double, credential):
    for name, value in (("user", "alice"), ("word", "alice-password"), ("token", TOKEN)):
        api("post", "secrets", {"name": name, "value": value})
    reply = api("post", "environments", body(double, credential=credential))
    assert (reply.status_code, reply.json()["state"]) == (201, "ready")
    assert "alice-password" not in reply.content.decode()


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"name": "New York"}, "name", "Use New-York, for example"),
        ({"endpoint": "two words"}, "endpoint", "host name such as"),
        ({"port": 70000, "endpoint": "127.0.0.1"}, "port", "from 1 to 65535"),
        ({"tenant": "a\tb"}, "tenant", "tenant name"),
        ({"credential": {}}, "credential", "token: Enter a token"),
        ({"credential": {"username": "x"}}, "credential", "password: A user and a password go together"),
        ({"credential": {"token_secret": "nosuch"}}, "credential", "There is no secret nosuch"),
        ({"labels": {"a b": "c"}}, "labels", "illegal characters"),
        ({"labels": "env=prod"}, "labels", "Labels are {"),
        ({"labels": [{"key": "env", "value": "a"}, {"key": "ENV", "value": "a"}]}, "labels", "same label twice"),
        ({"trust": "insecure", "endpoint": "https://127.0.0.1"}, "insecure_reason", "Say why"),
        ({"site": "Atlantis"}, "site", "There is no site Atlantis"),
        ({"visibility": "all"}, "visibility", "all"),
    ],
)
def test_wrong_input_is_told_by_field_as_problem_details(api, double, change, field, words):
    reply = api("post", "environments", body(double) | change)
    problem = reply.json()
    assert (reply.status_code, reply["Content-Type"]) == (400, "application/problem+json")
    assert words in str(problem["errors"][field])
    assert not Environment.objects.exists()


def test_a_name_in_use_is_a_409_that_says_what_to_do(api, double):
    api("post", "environments", body(double))
    reply = api("post", "environments", body(double))
    assert reply.status_code == 409
    assert "Change that environment, or choose another name" in reply.json()["detail"]


def test_what_cannot_be_reached_is_saved_with_its_state_and_why(api, double):
    reply = api("post", "environments", body(double, credential={"username": "alice", "password": "wrong"}))
    told = reply.json()
    assert (reply.status_code, told["state"], told["deployment_status"]) == (201, "unreachable", "requires_attention")
    assert told["why"].startswith("Credential accepted: ")
    assert next(rung for rung in told["rungs"] if rung["state"] == "failed")["key"] == "credential"
    assert told["credential"]["last_failure"]
    again = api("patch", "environments/plant", {"credential": {"password": "alice-password", "username": "alice"}})
    assert (again.status_code, again.json()["state"]) == (200, "ready")


def test_a_connection_is_checked_without_saving(api, secure):
    given = {"endpoint": "127.0.0.1", "port": secure.port, "tenant": "acme", "credential": {"token": TOKEN}}
    told = api("post", "environments/check", given).json()
    assert (told["is_ready"], told["rungs"][2]["state"]) == (False, "failed")
    pinned = given | {"trust": "fingerprint", "fingerprint": told["fingerprint"]}
    told = api("post", "environments/check", pinned).json()
    assert (told["is_ready"], told["version"]) == (True, "7.1.0.dev1")
    assert not Environment.objects.exists() and not Secret.objects.exists()


def test_changes_labels_probes_and_removal(api, double):
    api("post", "environments", body(double))
    assert api("patch", "environments/plant", {"display_name": "The plant"}).json()["display_name"] == "The plant"
    assert "A name stays" in api("patch", "environments/plant", {"name": "other"}).json()["detail"]
    labels = api("put", "environments/plant/labels", {"labels": {"env": "dev"}}).json()["labels"]
    assert labels == [{"key": "csys-obj-type", "value": "environment"}, {"key": "env", "value": "dev"}]
    assert api("post", "environments/plant/probe").json()["state"] == "ready"
    assert api("get", "environments/plant/probes").json()["count"] == 3
    assert api("delete", "environments/plant").status_code == 204
    missing = api("get", "environments/plant")
    assert (missing.status_code, missing.json()["detail"]) == (
        404,
        "There is no environment 'plant' here. Check the spelling.",
    )


def test_many_are_probed_as_a_run(api, double):
    api("post", "environments", body(double))
    api("post", "environments", body(double, name="broken", credential={"token": "ctok-nobody-0"}))
    reply = api("post", "environments/probe-many", {"environments": ["plant", "broken"]})
    assert reply.status_code == 201
    run = drive(Run.objects.get(pk=reply.json()["run"]))
    assert sorted((child.title, child.state, child.cause) for child in run.children.all()) == [
        ("Check broken", "failed", "unreachable"),
        ("Check plant", "succeeded", ""),
    ]
    assert Environment.objects.get(deployment__wire_id="plant").probes.count() == 2
    wrong = api("post", "environments/probe-many", {"environments": ["plant", "nosuch"]})
    assert "There is no environment nosuch here" in wrong.json()["detail"]


def test_environments_are_listed_by_rules_saved_filters_search_site_state_and_order(api, acme, alice):
    london = factories.site(acme, "London")
    factories.environment(acme, "a-1", [("env", "prod"), ("rank", "2")], state="ready", deployment={"site": london})
    factories.environment(acme, "b-2", [("env", "dev"), ("rank", "1")], state="unreachable")
    factories.environment(acme, "c-3", [("env", "prod")], state="degraded", deployment={"display_name": "Third Plant"})
    saved_filters.create_filter(by=actor(alice), tenant=acme, name="production", rules=[RULE])
    assert names(api("get", "environments")) == ["a-1", "b-2", "c-3"]
    assert names(api("get", "environments", filter_rules=json.dumps([RULE]))) == ["a-1", "c-3"]
    assert names(api("get", "environments", filter="production", q="third")) == ["c-3"]
    assert names(api("get", "environments", filter="csys-environment-filter", site="London")) == ["a-1"]
    assert names(api("get", "environments", state=["ready", "degraded"], ordering="-name")) == ["c-3", "a-1"]
    assert names(api("get", "environments", ordering="label:rank")) == ["b-2", "a-1", "c-3"]
    assert names(api("get", "environments", ordering="-label:rank,name")) == ["a-1", "b-2", "c-3"]
    page = api("get", "environments", limit=1, offset=1).json()
    assert (page["count"], [row["name"] for row in page["results"]]) == (3, ["b-2"])
    assert "rungs" not in page["results"][0]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"filter_rules": "env=prod"}, "This is no JSON"),
        (
            {"filter_rules": '["env"]'},
            "The filter rule env is not in the right format. The filter rule is not a dictionary",
        ),
        ({"filter": "nosuch"}, "There is no filter 'nosuch' here"),
        ({"state": "fine"}, "Choose among"),
        ({"ordering": "mood"}, "There is no order by mood"),
    ],
)
def test_a_query_that_cannot_be_read_is_refused(api, query, words):
    reply = api("get", "environments", **query)
    assert reply.status_code == 400
    assert words in reply.json()["detail"]


def test_a_page_of_the_list_costs_the_same_however_long_it_is(api, acme, django_assert_max_num_queries):
    for number in range(30):
        factories.environment(acme, f"e{number}", [("env", "prod"), ("zone", str(number))])
    api("get", "environments")
    with django_assert_max_num_queries(9):
        assert api("get", "environments", filter_rules=json.dumps([RULE])).json()["count"] == 30


def test_filters_are_saved_changed_listed_and_removed(api):
    made = api("post", "filters", {"name": "production", "rules": [RULE, RULE]})
    assert (made.status_code, made.json()["rules"]) == (201, [RULE])
    assert api("post", "filters", {"name": "production", "rules": []}).status_code == 409
    wrong = api("post", "filters", {"name": "wrong", "rules": [RULE | {"operator": "like"}]})
    assert "The operator for filtering by labels must be one of" in wrong.json()["detail"]
    assert api("patch", "filters/production", {"rules": []}).json()["rules"] == []
    assert "csys-environment-filter" in names(api("get", "filters", q="environment"))
    # a system filter belongs to the default tenant: seen here, changed nowhere
    assert api("delete", "filters/csys-environment-filter").status_code == 404
    assert api("delete", "filters/production").status_code == 204


def test_sites_are_changed_and_removed_by_name(api):
    api("post", "sites", {"name": "Tel Aviv", "latitude": 32.07, "longitude": 34.78})
    assert api("patch", "sites/Tel Aviv", {"time_zone": "Asia/Jerusalem"}).json()["time_zone"] == "Asia/Jerusalem"
    wrong = api("patch", "sites/Tel Aviv", {"latitude": 95})
    assert (wrong.status_code, "90" in wrong.json()["detail"]) == (400, True)
    assert api("post", "sites", {"name": "Tel Aviv"}).status_code == 409
    assert api("delete", "sites/Tel Aviv").status_code == 204
    assert names(api("get", "sites")) == []


def test_the_vocabulary_and_the_sub_managers_are_told(api, double):
    api("post", "environments", body(double))
    assert api("get", "labels").json() == {"results": ["csys-obj-type", "env", "zone"]}
    assert api("get", "labels/zone").json() == {"results": ["a", "b"]}
    assert "csys-obj-parent" in api("get", "labels", reserved="true").json()["results"]
    manager = api("get", "sub-managers").json()["results"][0]
    assert (manager["url"], manager["environment_count"], manager["version"]) == (
        f"http://127.0.0.1:{double.port}",
        1,
        "7.1.0.dev1",
    )
    assert (
        api("patch", f"sub-managers/{manager['id']}", {"max_parallel": 3, "endpoint": "elsewhere"}).json()[
            "max_parallel"
        ]
        == 3
    )
    assert api("get", f"sub-managers/{manager['id']}").json()["endpoint"] == "127.0.0.1"


def test_a_viewer_reads_and_changes_nothing(client, api, bob, double):
    api("post", "environments", body(double))
    api("post", "sites", {"name": "London"})
    as_bob = Caller(client, bob)
    assert names(as_bob("get", "environments")) == ["plant"]
    for method, path in [
        ("post", "environments"), ("patch", "environments/plant"), ("delete", "environments/plant"), ("post", "environments/check"),
        ("post", "environments/plant/probe"), ("put", "environments/plant/labels"), ("post", "environments/probe-many"), ("post", "environments/change-labels"),
        ("post", "sites"), ("delete", "sites/London"), ("post", "filters"),
    ]:  # fmt: skip
        assert as_bob(method, path).status_code == 403, (method, path)


def test_another_tenant_sees_nothing_of_it_and_changes_no_global_row(client, api, charlie, admin, double, acme):
    told = api("post", "environments", body(double)).json()
    theirs = Caller(client, charlie, "other")
    for path in ("environments/plant", f"environments/{told['id']}", f"sub-managers/{told['sub_manager']}"):
        assert theirs("get", path).status_code == 404
    assert names(theirs("get", "environments")) == []
    Deployment.objects.filter(wire_id="plant").update(visibility="global")
    assert names(theirs("get", "environments")) == ["plant"]
    assert theirs("patch", "environments/plant", {"display_name": "mine"}).status_code == 404
    assert theirs("put", "environments/plant/labels", {"labels": {}}).status_code == 404
    assert theirs("delete", "environments/plant").status_code == 404


def test_what_stands_on_an_environment_keeps_it(api, double, alice, acme):
    api("post", "environments", body(double))
    parent = Deployment.objects.get(wire_id="plant")
    create_deployment(by=actor(alice), tenant=acme, wire_id="shop", kind=Deployment.Kind.LOCAL, parent=parent)
    reply = api("delete", "environments/plant")
    assert (reply.status_code, reply.json()["detail"]) == (
        409,
        "plant has deployments below it: shop. Remove those first.",
    )
