"""The map of environments in a real browser."""

from __future__ import annotations

import pytest

from inventory.doubles import ManagerDouble
from tests.pages.test_in_browser import sign_in

pytestmark = [pytest.mark.e2e]


def test_pins_and_rows_are_selected_both_ways(page, installation, faults_of):
    faults = faults_of(page, installation.url)
    with ManagerDouble() as manager:
        installation.seed(manager, ["lis-1", "lis-2"], site=("Lisbon", 38.7, -9.1))
        installation.seed(manager, ["nbo-1"], site=("Nairobi", -1.3, 36.8))
        sign_in(page, installation.url)
        page.goto(f"{installation.url}/environments/")
        page.get_by_role("button", name="2 environments, Lisbon: 2 ready").click()
        page.click("text=Select 2 on this page")
        assert page.locator("input[name=selected]:checked").count() == 2
        page.wait_for_selector(".mk.on")
        assert page.locator(".mk.on").count() == 1
        page.keyboard.press("Escape")
        page.locator("tr", has_text="nbo-1").locator("input").check()
        assert page.locator(".mk.on").count() == 2
        page.get_by_role("button", name="2 environments, Lisbon: 2 ready").click()
        page.click("text=Show only these 2")
        page.wait_for_url("**/environments/?site=Lisbon")
        assert page.locator("tbody tr").count() == 2
        page.goto(f"{installation.url}/environments/")
        page.wait_for_selector("#map .mk")
        for _ in range(4):
            page.get_by_role("button", name="Zoom in").click()
            page.wait_for_timeout(400)
        page.click("text=Only what is in view")
        page.wait_for_url("**area=**")
        assert page.locator("text=view of the map").count() == 1 and page.locator("text=No environment matches").count()
        page.goto(f"{installation.url}/environments/")
        page.click("text=Hide map")
        page.reload()
        assert page.locator("#map").count() == 0
        page.click("text=Show map")
        page.wait_for_selector("#map .mk")
    assert faults == []
