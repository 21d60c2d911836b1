"""The same pages as a viewer and as somebody of another tenant sees them: nothing to act with, nothing of others, every refusal in words."""

from __future__ import annotations

import pytest

from inventory.doubles import ManagerDouble
from tests.pages.test_in_browser import have_blueprint, sign_in, start_rollout

pytestmark = [pytest.mark.e2e]
LISTS = (
    "/", "/environments/", "/deployments/", "/deployments/?every=1", "/blueprints/", "/execution-groups/", "/deployment-groups/", "/schedules/", "/filters/", "/sites/", "/services/",
    "/services/matrix/", "/services/drift/", "/services/orphans/", "/rollouts/", "/runs/", "/clusters/", "/secrets/", "/tokens/", "/password/",
)  # fmt: skip
ROWS = ("/environments/1/", "/services/1/", "/rollouts/1/", "/runs/1/", "/clusters/1/")
OF_ADMINISTRATORS = ("/users/", "/tenants/", "/permissions/")
OF_USERS = (
    "/environments/add/",
    "/environments/import/",
    "/rollouts/new/",
    "/services/add/",
    "/filters/new/",
    "/blueprints/upload/",
)
OWN = ("/logout/", "/switch-tenant/", "/tokens/", "/password/")  # what everybody may do


@pytest.fixture(scope="module")
def filled(installation, browser):
    """An environment with a service in acme, put there by alice."""
    with ManagerDouble() as manager:
        installation.seed(manager, ["edge-1", "edge-2"], "only")
        have_blueprint(manager, "only", ["edge-1", "edge-2"])
        page = browser.new_context().new_page()
        sign_in(page, installation.url)
        start_rollout(page, installation.url, "only")
        page.wait_for_selector("#pill.ok", timeout=60_000)
        page.context.close()
        yield installation


def acts(page):
    """Addresses at which buttons of the page would change something."""
    buttons = "form[method=post] button:not([type=button])"
    found = page.eval_on_selector_all(
        buttons,
        "buttons => buttons.map(button => button.hasAttribute('formaction') ? button.formAction : button.form.action)",
    )
    return sorted({address.split("?")[0] for address in found})


def test_a_viewer_looks_at_everything_and_has_nothing_to_change_it_with(page, filled, faults_of):
    sign_in(page, filled.url, "bob")
    faults = faults_of(page, filled.url)
    offered = {}
    for path in LISTS + ROWS:
        assert page.goto(f"{filled.url}{path}").status == 200, path
        allowed = {f"{filled.url}{own}" for own in OWN}
        if others := [one for one in acts(page) if one not in allowed and "/revoke/" not in one]:
            offered[path] = others
        assert page.locator("main").inner_text().strip(), path
    assert offered == {} and faults == []
    page.goto(f"{filled.url}/environments/")
    assert "edge-1" in page.inner_text("main") and page.locator("input[name=selected]").count() == 0


@pytest.mark.parametrize("path", OF_ADMINISTRATORS + OF_USERS)
def test_what_a_viewer_may_not_is_refused_in_words(page, filled, path):
    sign_in(page, filled.url, "bob")
    assert page.goto(f"{filled.url}{path}").status == 403
    said = page.inner_text("main")
    assert "may not" in said or "role" in said, said


def test_somebody_of_another_tenant_sees_nothing_of_it(page, filled, faults_of):
    sign_in(page, filled.url, "charlie")
    faults = faults_of(page, filled.url)
    for path in LISTS:
        assert page.goto(f"{filled.url}{path}").status == 200, path
        said = page.inner_text("main")
        assert "edge-1" not in said and "R-1" not in said, path
    assert faults == []
    for path in ROWS:
        assert page.goto(f"{filled.url}{path}").status == 404, path
        assert "edge-1" not in page.inner_text("body") and page.locator("h1").count() == 1
