"""Every page in a real browser: nothing from outside, no error in its console, no sideways scroll, light and dark, wide and narrow."""

from __future__ import annotations

import pytest

from inventory.doubles import ManagerDouble
from tests.pages.conftest import PHONE
from tests.pages.test_in_browser import have_blueprint, sign_in, start_rollout

pytestmark = [pytest.mark.e2e]
PAGES = (
    "/", "/environments/", "/environments/add/", "/environments/import/", "/environments/discover/", "/environments/probe/?q=e", "/environments/1/", "/environments/1/change/", "/blueprints/", "/blueprints/upload/", "/sites/", "/services/", "/services/1/",
    "/services/add/", "/rollouts/", "/rollouts/1/", "/rollouts/new/", "/runs/", "/runs/1/", "/runs/2/", "/clusters/", "/clusters/1/", "/clusters/1/plan/install/", "/clusters/1/plan/uninstall/", "/secrets/", "/tokens/", "/password/",
)  # fmt: skip
ADMINISTRATORS = (
    "/clusters/new/",
    "/clusters/import/",
    "/clusters/2/",
    "/clusters/2/plan/install/",
    "/clusters/2/plan/uninstall/",
    "/audit/",
    "/tenants/",
    "/tenants/1/",
    "/users/",
    "/permissions/",
    "/admin/",
    "/admin/inventory/environment/",
)
LOOKS = {
    "dark-390": ("dark", PHONE),
    "light-768": ("light", {"width": 768, "height": 900}),
    "dark-2560": ("dark", {"width": 2560, "height": 1200}),
}


@pytest.fixture(scope="module")
def filled(installation, browser):
    """An installation with an environment, long names, and a rollout."""
    long = "edge-with-a-name-that-somebody-must-have-been-paid-by-the-letter-for-0001"
    with ManagerDouble() as manager:
        installation.seed(manager, [long, "edge-2"], "only")
        have_blueprint(manager, "only", [long, "edge-2"])
        page = browser.new_context().new_page()
        sign_in(page, installation.url)
        start_rollout(page, installation.url, "only")
        page.wait_for_selector("#pill.ok", timeout=60_000)
        state = page.context.storage_state()
        page.context.close()
        yield state


@pytest.mark.parametrize("look", LOOKS)
def test_pages_hold_in_every_look(installation, browser, filled, faults_of, look):
    theme, size = LOOKS[look]
    context = browser.new_context(color_scheme=theme, viewport=size, storage_state=filled)
    page = context.new_page()
    faults = faults_of(page, installation.url)
    wide = []
    for path in PAGES:
        assert page.goto(f"{installation.url}{path}").status == 200, path
        page.wait_for_load_state("load")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > size["width"]:
            wide.append((path, width))
        assert page.evaluate("document.documentElement.dataset.bsTheme") == theme
        assert page.locator("h1").count() == 1, path
        assert page.locator(".bt.p:visible").count() <= 1, f"{path} has more than one filled button"
    context.close()
    assert wide == [] and faults == []


def test_pages_of_administrators_and_the_api_documentation_load_nothing_from_outside(
    installation, browser, filled, faults_of
):
    import re

    password = re.search(r"One-time password[^:]*: *(\S+)", installation.log())[1]
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    faults = faults_of(page, installation.url)
    page.goto(f"{installation.url}/login/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", password)
    page.click("button[type=submit]")
    page.wait_for_url("**/password/")
    for field, value in (("old", password), ("new", "another-long-password"), ("again", "another-long-password")):
        page.fill(f"#id_{field}", value)
    page.click("text=Change password >> nth=-1")
    page.wait_for_url(f"{installation.url}/")
    for path in ADMINISTRATORS:
        assert page.goto(f"{installation.url}{path}").status == 200, path
    page.goto(f"{installation.url}/api/v1/docs/")
    page.wait_for_selector(".swagger-ui .opblock", timeout=60_000)
    context.close()
    assert faults == []


def test_the_keyboard_reaches_search_and_content_first(installation, browser, filled):
    context = browser.new_context(storage_state=filled)
    page = context.new_page()
    page.goto(f"{installation.url}/environments/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") != "q"
    page.check("[data-select-all]")
    said = " ".join(page.inner_text(".bulk").split())
    assert said.startswith("2 selected") and "Deploy to 2" in said
    page.locator("input[name=selected]").first.uncheck()
    assert page.evaluate("document.querySelector('[data-select-all]').indeterminate")
    context.close()


def test_what_is_wrong_with_a_form_below_a_list_is_in_view_and_has_the_focus(installation, browser, filled):
    context = browser.new_context(viewport=PHONE, storage_state=filled)
    page = context.new_page()
    page.goto(f"{installation.url}/sites/")
    for number in range(14):  # a list that is longer than the screen
        page.fill("#id_name", f"site-{number}")
        page.click("text=Create site")
        page.wait_for_load_state("load")
    page.fill("#id_name", 'a "quoted" name')
    page.click("text=Create site")
    page.wait_for_selector("main [aria-invalid=true]")
    assert page.evaluate("document.activeElement.getAttribute('aria-invalid')") == "true"
    place = page.evaluate(
        "(() => { const r = document.activeElement.getBoundingClientRect(); return [r.top, r.bottom]; })()"
    )
    assert place[0] > 0 and place[1] < PHONE["height"] - 60
    described = page.evaluate(
        "document.activeElement.getAttribute('aria-describedby').split(' ').every(id => document.getElementById(id))"
    )
    assert described
    context.close()


def test_names_and_buttons_of_lists_beside_a_form_are_whole(installation, browser, filled):
    context = browser.new_context(viewport={"width": 1280, "height": 800}, storage_state=filled)
    page = context.new_page()
    page.goto(f"{installation.url}/sites/")
    sizes = page.evaluate(
        "(() => { const t = document.querySelector('main .tw'); return [t.scrollWidth, t.clientWidth]; })()"
    )
    assert sizes[0] <= sizes[1] + 1
    page.goto(f"{installation.url}/environments/")
    page.locator("input[name=selected]").first.check()
    assert "Check 1…" in page.inner_text(".bulk")
    context.close()
