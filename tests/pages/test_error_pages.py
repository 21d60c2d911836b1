"""Error pages: in our own look, with a remedy, and never more trouble than there was."""

from __future__ import annotations

import pytest
from django.test import Client, RequestFactory

from portal import error_pages

pytestmark = pytest.mark.django_db


def test_not_found_says_what_to_do(signed_in, alice):
    reply = signed_in(alice).get("/nosuch/")
    assert reply.status_code == 404 and "choose the tenant at the top" in reply.text and "Environments" in reply.text


def test_a_visitor_gets_the_page_without_navigation(client):
    reply = client.get("/nosuch/")
    assert reply.status_code == 404 and "Not found" in reply.text and "on-rail" not in reply.text


def test_forbidden_names_what_is_missing(signed_in, bob):
    reply = signed_in(bob).get("/rollouts/new/")
    assert reply.status_code == 403 and "rollout.start" in reply.text and "Nothing was changed" in reply.text


def test_an_address_that_only_takes_forms_says_so_when_it_is_opened(signed_in, alice):
    reply = signed_in(alice).get("/environments/1/labels/")
    assert reply.status_code == 405 and reply["Allow"] == "POST"
    assert "Go back to the page with the form" in reply.text and "on-rail" in reply.text
    assert "Content-Security-Policy" in reply.headers


def test_a_form_without_its_token_is_told_to_reload(alice):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    reply = client.post("/logout/")
    assert reply.status_code == 403 and "reload the page, and send the form again" in reply.text


def test_a_strange_host_is_told_in_words(client, settings):
    reply = client.get("/login/", headers={"host": "evil.example"})
    assert reply.status_code == 400 and "does not answer under that name" in reply.text


def test_an_error_that_nobody_foresaw_shows_no_inside(alice, monkeypatch):
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    monkeypatch.setattr("portal.views.failed_rollouts", lambda tenant: 1 / 0)
    reply = client.get("/")
    assert reply.status_code == 500 and "the log has the cause" in reply.text
    assert "ZeroDivisionError" not in reply.text and "Traceback" not in reply.text


def test_an_error_page_needs_neither_session_nor_database(django_db_blocker):
    request = RequestFactory().get("/")
    with django_db_blocker.block():
        reply = error_pages.server_error(request)
    assert reply.status_code == 500 and b"An error in DeployOn" in reply.content


def test_an_address_of_the_api_gets_problem_details(signed_in, alice):
    reply = signed_in(alice).get("/api/v1/nosuch/")
    assert reply.status_code == 404 and reply["Content-Type"] == "application/problem+json"
    assert reply.json()["status"] == 404


def test_every_page_forbids_foreign_scripts(client):
    policy = client.get("/login/")["Content-Security-Policy"]
    assert "script-src 'self' 'nonce-" in policy and "unsafe-eval" not in policy
    assert "script-src 'self' 'unsafe-inline'" not in policy


def test_no_page_shares_its_name_with_an_address_of_the_api():
    from tests.access import routes

    pages = {route.name for route in routes() if route.name and not route.is_api and not route.is_admin}
    assert pages & {route.name for route in routes() if route.is_api} == set()
