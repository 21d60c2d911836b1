"""A built cluster becomes an environment: against a portal that runs as a cluster's manager does, over https by the cluster's CA."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.test import Client

from accounts.errors import Conflict
from accounts.models import AuditEntry, Secret
from installs import installing, offering
from installs.models import Certificate
from inventory import exposing
from inventory.cluster_secrets import keep_secret
from inventory.clusters import delete_cluster
from inventory.doubles import refused_port
from inventory.models import Cluster, Environment, SubManager
from runs.models import Run
from runs.operations import REGISTRY, OperationError
from tests.installs import authorities
from tests.installs.serving import CA
from tests.orchestration.running import PASSWORD

pytestmark = pytest.mark.django_db


def tokens(manager) -> list[str]:
    """Ids of the tokens that portals made at a manager."""
    rows = manager.call("GET", "/tokens?_size=1000").json()["items"]
    return [row["id"] for row in rows if (row["description"] or "").startswith("DeployOn ")]


def refusal(mara, cluster, **more) -> str:
    with pytest.raises(Conflict) as caught:
        offering.expose_cluster(by=mara, cluster=cluster, **more)
    assert not Environment.objects.exists() and PASSWORD not in str(caught.value)
    return str(caught.value)


# --- the good day ---


def test_a_ready_cluster_becomes_an_environment_with_a_token_of_its_own(mara, ready, real):
    before = tokens(real)
    environment = offering.expose_cluster(by=mara, cluster=ready, labels=[("ring", "1")])
    assert (environment.state, environment.why) == ("ready", "")
    assert environment.cluster == ready and environment.remote_tenant == "default_tenant"
    deployment, manager = environment.deployment, environment.sub_manager
    assert (deployment.wire_id, deployment.site.name) == ("solo", "Vienna")
    assert {("cluster", "solo"), ("ring", "1")} <= set(deployment.labels.values_list("key", "value"))
    assert (manager.endpoint, manager.trust, manager.version) == ("127.0.0.1", "ca_bundle", "7.1.0")
    assert environment.credential.kind == "token" and environment.credential.token.purpose == "credential"
    (made,) = set(tokens(real)) - set(before)
    told = real.call("GET", f"/tokens/{made}").json()
    assert (told["description"], told["username"]) == ("DeployOn https://portal.example.org", "admin")
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"cluster.expose", "environment.create", "secret.send"} <= actions


def test_a_second_call_gives_the_environment_that_is_there_and_looks_at_it_again(mara, ready, real):
    first = offering.expose_cluster(by=mara, cluster=ready)
    before = tokens(real)
    Environment.objects.filter(pk=first.pk).update(state="unknown")
    again = offering.expose_cluster(by=mara, cluster=ready, name="other")
    assert again == first and again.state == "ready" and again.probes.count() == 2
    assert tokens(real) == before and Environment.objects.count() == 1


def test_it_is_removed_like_others_and_can_be_exposed_again(mara, ready, real):
    exposing.hide(by=mara, environment=offering.expose_cluster(by=mara, cluster=ready))
    assert not SubManager.objects.exists() and not Secret.objects.filter(name="solo-token").exists()
    assert offering.expose_cluster(by=mara, cluster=ready).state == "ready"


def test_an_environment_outlives_the_description_of_its_cluster(mara, ready, real):
    environment = offering.expose_cluster(by=mara, cluster=ready)
    delete_cluster(by=mara, cluster=ready, is_forced=True)
    environment.refresh_from_db()
    assert environment.cluster is None and environment.state == "ready"


def test_an_environment_that_is_pointed_elsewhere_is_not_the_clusters_any_more(mara, ready, real):
    environment = offering.expose_cluster(by=mara, cluster=ready)
    exposing.update_environment(by=mara, environment=environment, endpoint="127.0.0.1", port=refused_port())
    assert offering.environment_of(ready) is None


# --- bad days ---


@pytest.mark.parametrize("state", ["planned", "installing", "failed", "degraded", "removing"])
def test_a_cluster_that_is_not_ready_is_refused_before_anything_is_sent(mara, ready, at, state):
    at(refused_port())
    Cluster.objects.filter(pk=ready.pk).update(state=state)
    assert "only a ready cluster can be used as an environment" in refusal(mara, ready)
    assert not AuditEntry.objects.filter(action="secret.send").exists()


def test_a_password_that_was_changed_there_is_told_with_the_way_round(mara, ready, real):
    keep_secret(by=mara, cluster=ready, purpose="admin", value="not-the-password-any-more")
    said = refusal(mara, ready)
    assert (
        "does not accept the password that the install gave to admin" in said
        and "Set a new administrator password" in said
    )
    assert "not-the-password-any-more" not in said


def test_an_address_that_must_not_be_called_names_the_setting(mara, ready, real, settings):
    settings.ENDPOINT_NETWORKS = []
    assert "ENDPOINT_NETWORKS" in refusal(mara, ready)


def test_a_cluster_that_does_not_answer_is_told(mara, ready, at):
    at(refused_port())
    assert "solo cannot be used as an environment yet" in refusal(mara, ready)


def test_a_certificate_of_another_authority_is_not_trusted(mara, ready, real):
    before = tokens(real)
    ready.certificates.update(pem=authorities.make("another CA", ca=True).certificate)
    assert "certificate" in refusal(mara, ready)
    assert tokens(real) == before


def test_users_who_are_shown_another_certificate_have_its_ca_trusted_as_well(mara, ready, real):
    ready.certificates.update(pem=authorities.make("another CA", ca=True).certificate)
    Certificate.objects.create(cluster=ready, kind="entrance", owner="entrance", pem=CA.certificate)
    assert offering.expose_cluster(by=mara, cluster=ready).state == "ready"


def test_what_is_missing_of_the_cluster_is_named(mara, ready, at):
    at(refused_port())
    ready.cluster_secrets.all().delete()
    assert "password of admin at solo is not stored here" in refusal(mara, ready)
    ready.certificates.all().delete()
    assert "has no CA here" in refusal(mara, ready)
    ready.nodes.all().delete()
    assert "has no entrance" in refusal(mara, Cluster.objects.get(pk=ready.pk))


def test_a_name_in_use_is_a_conflict_and_leaves_no_token_behind(mara, ready, real, acme):
    before = tokens(real)
    exposing.expose(
        by=mara, tenant=acme, name="solo", endpoint="127.0.0.1", port=refused_port(), protocol="http", token="t0ken"
    )
    with pytest.raises(Conflict, match="solo exists already"):
        offering.expose_cluster(by=mara, cluster=ready)
    assert tokens(real) == before
    assert offering.expose_cluster(by=mara, cluster=ready, name="solo-2").deployment.wire_id == "solo-2"


def test_whoever_is_second_gets_the_environment_of_the_first_and_its_token_is_revoked(mara, ready, real, monkeypatch):
    before, genuine = tokens(real), exposing.expose

    def overtaken(**fields):
        """Between token and row, another click is through."""
        monkeypatch.setattr(offering, "expose", genuine)
        offering.expose_cluster(by=mara, cluster=ready)
        return genuine(**fields | {"name": "late"})

    monkeypatch.setattr(offering, "expose", overtaken)
    found = offering.expose_cluster(by=mara, cluster=ready)
    assert found.deployment.wire_id == "solo" and Environment.objects.count() == 1
    assert len(tokens(real)) == len(before) + 1


# --- API and pages ---


def test_one_request_exposes_and_the_same_again_gives_what_is_there(ready, real, ask):
    body = {"labels": {"ring": "2"}, "name": "edge"}
    reply = ask("solo", body, **{"Idempotency-Key": "k1"})
    assert reply.status_code == 201 and reply.json()["state"] == "ready", reply.content
    told = reply.json()
    assert (told["name"], told["site"], told["trust"]) == ("edge", "Vienna", "ca_bundle")
    assert {"key": "cluster", "value": "solo"} in told["labels"] and {"key": "ring", "value": "2"} in told["labels"]
    again = ask("solo", body, **{"Idempotency-Key": "k1"})
    assert again.status_code == 200 and again.json()["id"] == told["id"]
    assert PASSWORD not in reply.text + again.text and "ctok-" not in reply.text


def test_the_api_says_why_not(ready, at, ask):
    at(refused_port())
    assert ask("solo").status_code == 409
    assert ask("solo", {"nmae": "x"}).status_code == 400


def test_one_click_leads_to_the_environment_and_both_pages_lead_to_each_other(ready, real, browser):
    page = f"/clusters/{ready.pk}/"
    shown = browser.get(page).text
    assert "Use as environment" in shown and "cfy profiles use 127.0.0.1 -u admin" in shown and PASSWORD not in shown
    reply = browser.post(f"{page}expose/", {"name": "solo"})
    environment = Environment.objects.get()
    assert reply["Location"] == f"/environments/{environment.pk}/"
    there = browser.get(reply["Location"]).text
    assert "every rung of the connection holds" in there and f'href="{page}"' in there
    shown = browser.get(page).text
    assert f'href="/environments/{environment.pk}/"' in shown and "Use as environment" not in shown


def test_a_click_that_fails_says_why_on_the_page_of_the_cluster(ready, at, browser):
    at(refused_port())
    reply = browser.post(f"/clusters/{ready.pk}/expose/", {"name": "solo"}, follow=True)
    assert "solo cannot be used as an environment yet" in reply.text


def test_before_it_is_built_nothing_is_offered(ready, browser):
    Cluster.objects.filter(pk=ready.pk).update(state="planned")
    shown = browser.get(f"/clusters/{ready.pk}/").text
    assert "Use as environment" not in shown and "cfy profiles" not in shown


def test_a_viewer_and_a_plain_user_cannot_expose_it(ready, at, alice, bob):
    for person in (alice, bob):
        client = Client()
        client.force_login(person)
        assert client.post(f"/clusters/{ready.pk}/expose/").status_code == 403
        assert "Use as environment" not in client.get(f"/clusters/{ready.pk}/").text
    assert not Environment.objects.exists()


# --- as the last step of an install ---


def step_of(mara, cluster):
    """The operation, and what the engine lends it in a run that mara started."""
    planned = installing.plan_work(by=mara, cluster=cluster, kind="install", is_exposed=True)
    run = Run.objects.create(title="Install", tenant=cluster.tenant, started_by=mara.user)
    said = []
    context = SimpleNamespace(run_id=run.pk, say=lambda text, **_: said.append(text))
    last = planned.stages[-1]["lanes"][-1]["operations"][-1]
    return REGISTRY[last["key"]](**last["args"]), context, said


def test_an_install_that_was_asked_to_ends_with_the_environment(mara, ready, real):
    step, context, said = step_of(mara, ready)
    assert step.check(context) is False
    assert step.apply(context) is None and step.check(context) is True
    assert Environment.objects.get().cluster == ready and "solo" in said[0]
    assert AuditEntry.objects.filter(action="cluster.expose", actor=mara.user.username).exists()


def test_an_install_that_was_not_asked_to_makes_none(mara, ready):
    planned = installing.plan_work(by=mara, cluster=ready, kind="install")
    assert "cluster.expose" not in str(planned.stages)
    asked = installing.read_plan(ready, "install", is_exposed=True)
    assert asked.digest != planned.digest and asked.steps == planned.steps + 1
    assert (
        installing.read_plan(ready, "uninstall", is_exposed=True).digest
        == installing.read_plan(ready, "uninstall").digest
    )


def test_a_cluster_that_cannot_be_signed_in_to_fails_the_step_with_what_to_do(mara, ready, at):
    at(refused_port())
    step, context, _ = step_of(mara, ready)
    with pytest.raises(OperationError, match="The cluster itself is ready"):
        step.apply(context)


def test_the_api_plans_and_starts_it_by_that_digest(mara, ready, ask):
    plan = ask("solo", {"kind": "install", "expose": True}, "plan").json()
    assert plan["stages"][-1]["lanes"][0]["operations"][-1]["key"] == "cluster.expose"
    assert plan["digest"] != ask("solo", {"kind": "install"}, "plan").json()["digest"]


def test_the_page_of_the_plan_offers_it(browser, ready):
    plain = browser.get(f"/clusters/{ready.pk}/plan/install/").content.decode()
    assert "?expose=1" in plain and 'name="expose"' not in plain
    asked = browser.get(f"/clusters/{ready.pk}/plan/install/?expose=1").content.decode()
    assert 'name="expose" value="1"' in asked and "Use the cluster as an environment" in asked
