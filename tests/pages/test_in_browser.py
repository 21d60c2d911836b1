"""The main job as a person does it: a running installation, a real browser, a double of a remote manager."""

from __future__ import annotations

import re
import time

import pytest

from inventory.doubles import ManagerDouble
from tests import factories

pytestmark = [pytest.mark.e2e]


@pytest.fixture(scope="module")
def manager():
    with ManagerDouble() as running:
        yield running


def sign_in(page, url, name="alice", password=factories.PASSWORD):
    page.goto(f"{url}/login/")
    page.fill("#id_username", name)
    page.fill("#id_password", password)
    page.click("button[type=submit]")
    page.wait_for_url(f"{url}/")


def start_rollout(page, url, service, **pace):
    """From the form over the review to the live page of what is labelled with its name."""
    page.goto(f"{url}/services/add/")
    page.fill("#id_name", service)
    page.click("text=Already at the managers")
    page.fill("#id_remote_blueprint", f"{service}-blueprint")
    page.click("main button[type=submit]")
    page.wait_for_url(re.compile(r"/services/\d+/$"))
    number = page.url.rstrip("/").split("/")[-1]
    page.goto(f"{url}/rollouts/new/?service={number}&label=group%3D{service}")
    for field, value in pace.items():
        page.fill(f"#id_{field}", str(value))
    page.click("main .actions button[type=submit]")
    page.wait_for_url(re.compile(r"/rollouts/new/\w{64}/"))
    page.click("button:has-text('Start: create')")
    page.wait_for_url(re.compile(r"/rollouts/\d+/$"))


def until(page, condition, seconds=90):
    """Asked from here: the page's policy allows no evaluated code."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, (
            f"it never came to that: {page.text_content('#finished')}, {page.text_content('#pill')}"
        )
        page.wait_for_timeout(100)


def percent(page):
    return float(page.text_content("#percent"))


def has_ended(page):
    return page.locator("#pill").inner_text() in ("Succeeded", "Failed", "Cancelled")


def shown_events(page):
    return set(page.eval_on_selector_all("#tail [data-id]", "items => items.map(item => Number(item.dataset.id))"))


def states(page):
    return page.eval_on_selector_all(".wall a", "cells => cells.map(cell => cell.className)")


def have_blueprint(manager, service, names):
    """What the operator says is there already."""
    from inventory.doubles.world import BlueprintRow

    for name in names:
        world = manager.answers(f"tenant-of-{name}").world
        world.blueprints[f"{service}-blueprint"] = BlueprintRow(f"{service}-blueprint", "uploaded", "", 0.0, 1)


def test_the_first_administrator_chooses_a_password_before_anything_opens(page, installation, faults_of):
    faults = faults_of(page, installation.url)
    password = re.search(r"One-time password[^:]*: *(\S+)", installation.log())[1]
    page.goto(f"{installation.url}/environments/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", password)
    page.click("button[type=submit]")
    page.wait_for_url("**/password/")
    page.fill("#id_old", password)
    page.fill("#id_new", factories.PASSWORD)
    page.fill("#id_again", factories.PASSWORD)
    page.click("text=Change password >> nth=-1")
    page.wait_for_url(f"{installation.url}/")
    assert "Welcome to DeployOn" in page.inner_text("h1")
    assert faults == []


def test_an_environment_is_added_rung_by_rung(page, installation, faults_of):
    installation.seed(None, [])
    faults = faults_of(page, installation.url)
    with ManagerDouble.secure() as secure:
        sign_in(page, installation.url)
        page.goto(f"{installation.url}/environments/add/")
        page.click("#check")
        page.wait_for_selector("text=Nothing was looked at yet.")
        page.fill("#id_endpoint", "127.0.0.1")
        page.fill("#id_port", str(secure.port))
        page.fill("#id_remote_tenant", "acme")
        page.fill("#id_token", "ctok-alice-0123456789")
        page.click("#check")
        page.click("[data-pin]")
        assert page.is_checked("input[name=trust][value=fingerprint]")
        assert len(page.input_value("#id_fingerprint")) == 95
        page.click("#check")
        page.wait_for_selector(".ladder li:nth-child(8) .g.ok")
        page.fill("#id_name", "core-1")
        page.click("main .actions button[type=submit]")
        page.wait_for_url(re.compile(r"/environments/\d+/$"))
        assert page.inner_text("main .pill") == "Ready"
        page.click("text=Remove…")
        assert page.evaluate("document.activeElement.textContent") == "Cancel"
        page.keyboard.press("Escape")
        page.click("text=Remove…")
        page.click("dialog[open] button.danger")
        page.wait_for_selector("text=core-1 is removed from here")
    assert faults == []


def test_a_rollout_goes_from_the_form_to_a_finished_live_page(page, installation, manager, faults_of):
    names = [f"form-{n}" for n in range(5)]
    installation.seed(manager, names, "first", install=1.0)
    manager.answers("tenant-of-form-3").world.script.install_error = "plugin missing: ansible"
    have_blueprint(manager, "first", names)
    faults = faults_of(page, installation.url)
    sign_in(page, installation.url)
    start_rollout(page, installation.url, "first", max_parallel=3)
    assert len(states(page)) == 5
    until(page, lambda: has_ended(page))
    page.wait_for_selector("text=Retry 1")
    assert percent(page) == 100 and sorted(states(page)) == ["c-failed"] + ["c-succeeded"] * 4
    assert "1 failed, 1 cause" in page.inner_text("#causes") and "ansible" in page.inner_text("#causes")
    assert "hello" in page.inner_text("#targets")
    live = states(page)
    page.reload()
    assert states(page) == live and percent(page) == 100
    page.focus(".wall a")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == page.locator(".wall a").nth(1).get_attribute("id")
    manager.answers("tenant-of-form-3").world.script.install_error = ""
    page.click("text=Retry 1")
    until(page, lambda: page.locator("#pill").inner_text() == "Succeeded")
    assert faults == []


def test_the_live_page_misses_nothing_when_its_connection_is_cut(page, installation, manager):
    names = [f"cut-{n}" for n in range(8)]
    installation.seed(manager, names, "second", install=1.5)
    have_blueprint(manager, "second", names)
    lines = []

    def route(line):
        server = line.connect_to_server()
        lines.append((line, server))

    page.route_web_socket(re.compile(r"/ws/runs/"), route)
    sign_in(page, installation.url)
    start_rollout(page, installation.url, "second", max_parallel=2)
    for part in (10, 40, 70):
        until(page, lambda wanted=part: percent(page) >= wanted)
        line, server = lines[-1]
        server.close()
        line.close(code=1012)
        known = len(lines)
        until(page, lambda known=known: len(lines) > known)
    until(page, lambda: has_ended(page))
    page.wait_for_timeout(1000)
    assert len(lines) >= 4
    followed, cells = shown_events(page), states(page)
    page.reload()
    assert shown_events(page) - followed == set() and states(page) == cells
    assert "c-failed" not in cells


def test_the_live_page_goes_on_after_the_portal_was_killed(page, installation, manager):
    names = [f"kill-{n}" for n in range(6)]
    installation.seed(manager, names, "third", install=2.0)
    have_blueprint(manager, "third", names)
    sign_in(page, installation.url)
    start_rollout(page, installation.url, "third", max_parallel=2)
    until(page, lambda: percent(page) >= 10)
    installation.kill()
    page.wait_for_selector("#stale.on")
    assert "retrying" in page.inner_text("#stale")
    installation.start(90)
    until(page, lambda: has_ended(page))
    until(page, lambda: not page.is_visible("#stale"))
    page.wait_for_timeout(1000)
    assert page.locator("#pill").inner_text() == "Succeeded" and percent(page) == 100
    followed = shown_events(page)
    page.reload()
    assert shown_events(page) - followed == set()
