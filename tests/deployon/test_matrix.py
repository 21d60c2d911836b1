"""What runs where: by page, by API and as a file, for whoever may look."""

from __future__ import annotations

import csv
import io

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from deployon.models import Placement
from inventory.models import Deployment
from tests import factories
from tests.deployon import factories as make
from tests.inventory import factories as inventory

pytestmark = pytest.mark.django_db


def stand(service, environment, state="deployed", **more):
    deployment = Deployment.objects.create(
        tenant=environment.deployment.tenant, wire_id=f"p{factories.number()}", display_name="p", kind="placement",
        parent=environment.deployment,
    )  # fmt: skip
    version = service.versions.first()
    values = {"state": state, "desired_version": version, "deployment": deployment} | more
    return Placement.objects.create(service=service, environment=environment, **values)


@pytest.fixture
def fleet(acme):
    """hello v2 on london, failed on paris; other on london; nothing on oslo."""
    make.version(acme, "hello", "1")
    hello, other = make.version(acme, "hello", "2").service, make.version(acme, "other").service
    rows = {
        name: inventory.environment(
            acme, name, [("env", env)], state="ready", deployment={"site": inventory.site(acme, name.title())}
        )
        for name, env in (("london", "prod"), ("paris", "prod"), ("oslo", "test"))
    }
    stand(hello, rows["london"])
    stand(hello, rows["paris"], "failed", why="=It broke.")
    stand(other, rows["london"])
    stand(other, rows["oslo"], "absent")
    return rows


def test_the_api_tells_each_environment_with_what_stands_on_it(api_of, alice, fleet):
    told = api_of(alice).get("/api/v1/matrix/").json()
    assert told["count"] == 3
    rows = {row["name"]: row for row in told["results"]}
    assert set(rows["london"]["services"]) == {"hello", "other"}
    cell = rows["london"]["services"]["hello"]
    assert (cell["version"], cell["state"], rows["london"]["site"]) == (2, "deployed", "London")
    assert rows["oslo"]["services"] == {}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"site": "Paris"}, {"paris"}),
        ({"standing": "failed"}, {"paris"}),
        ({"standing": "deployed", "service": "other"}, {"london"}),
        ({"standing": "none"}, {"oslo"}),
        ({"q": "lon"}, {"london"}),
    ],
)
def test_the_matrix_is_chosen_by_site_state_and_text(api_of, alice, fleet, query, expected):
    rows = api_of(alice).get("/api/v1/matrix/", query).json()["results"]
    assert {row["name"] for row in rows} == expected


def test_a_wrong_choice_is_told(api_of, alice, fleet):
    assert api_of(alice).get("/api/v1/matrix/", {"standing": "odd"}).status_code == 400
    assert api_of(alice).get("/api/v1/matrix/", {"as": "xml"}).status_code == 400


def test_files_hold_all_that_is_chosen_and_no_formula(signed_in, api_of, alice, fleet):
    client = signed_in(alice)
    reply = client.get("/services/matrix/export/", {"as": "csv", "label": "env=prod"})
    assert reply["Content-Disposition"].endswith('.csv"')
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    found = {(row["environment"], row["service"], row["version"]) for row in rows}
    assert found == {("london", "hello", "2"), ("london", "other", "1"), ("paris", "hello", "2")}
    assert [row["why"] for row in rows if row["state"] == "failed"] == ["'=It broke."]
    told = client.get("/services/matrix/export/?as=json").json()
    assert {row["name"]: sorted(row["services"]) for row in told} == {
        "london": ["hello", "other"], "paris": ["hello"], "oslo": [],
    }  # fmt: skip
    assert api_of(alice).get("/api/v1/matrix/", {"as": "json"}).json() == sorted(told, key=lambda row: row["name"])


def test_the_page_shows_versions_and_the_cause_to_a_viewer_and_nothing_to_an_outsider(
    signed_in, api_of, bob, charlie, fleet
):
    page = signed_in(bob).get("/services/matrix/")
    assert page.status_code == 200
    for words in ("london", "paris", "oslo", "v2", "Failed", "=It broke.", "hello", "other"):
        assert words in page.text
    outside = signed_in(charlie).get("/services/matrix/").text
    assert "london" not in outside and "hello" not in outside
    assert api_of(charlie).get("/api/v1/matrix/").json()["count"] == 0


def test_a_thousand_environments_by_twenty_services_ask_as_often_as_three(signed_in, alice, acme, fleet):
    client = signed_in(alice)
    client.get("/services/matrix/")
    with CaptureQueriesContext(connection) as few:
        client.get("/services/matrix/")
    services = [make.version(acme, f"service{number}").service for number in range(25)]
    rows = [
        inventory.environment(acme, f"edge{number:04d}", state="ready", sub_manager=fleet["london"].sub_manager)
        for number in range(100)
    ]
    for row in rows[:60]:
        for service in services[:18]:
            stand(service, row)
    with CaptureQueriesContext(connection) as many:
        page = client.get("/services/matrix/")
    assert len(many) == len(few)
    assert "1–50 of 103" in page.text and "Services 1–20 of 27" in page.text
    assert page.text.count('<th scope="row">') == 50
    assert "Services 21–27 of 27" in client.get("/services/matrix/?services=2").text
