"""All tenants of a manager in a real browser: what was typed stays while one looks, and is used for what is ticked."""

from __future__ import annotations

import re

import pytest

from inventory.doubles import Account, ManagerDouble
from tests.pages.test_in_browser import sign_in

pytestmark = [pytest.mark.e2e]
TOKEN = "ctok-eve-0123456789"


def test_tenants_are_looked_for_beside_the_form_and_the_ticked_ones_exposed(page, installation, faults_of):
    faults, url = faults_of(page, installation.url), installation.url
    installation.seed(None, [])
    with ManagerDouble() as manager:
        manager.add_account(
            Account("eve", "eve-password", {"east": "user", "west": "user", "north": "user"}, token=TOKEN)
        )
        sign_in(page, url)
        page.goto(f"{url}/environments/discover/")
        page.locator("label:has(input[name=protocol][value=http])").click()
        page.fill("#id_endpoint", "127.0.0.1")
        page.fill("#id_port", str(manager.port))
        page.fill("#id_token", "ctok-nosuch0000-0")
        page.click("text=Look for tenants")
        page.get_by_role("alert").get_by_text("does not know this token").wait_for()
        page.fill("#id_token", TOKEN)
        page.click("text=Look for tenants")
        page.wait_for_selector("#found table")
        assert page.locator("input[name=selected]:checked").count() == 3
        page.get_by_label("Select all that can be exposed").uncheck()
        assert page.locator("input[name=selected]:checked").count() == 0
        page.get_by_label("east").check()
        page.get_by_label("north").check()
        page.fill("#id_name_template", "lis-{tenant}")
        page.click("text=Expose the ticked tenants")
        page.wait_for_url(re.compile(r"/runs/\d+/$"))
        assert page.get_by_text("2 tenants exposed.").count() == 1
        page.goto(f"{url}/environments/")
        names = page.locator("tbody td.name a").all_text_contents()
        assert sorted(names) == ["lis-east", "lis-north"]
    assert [fault for fault in faults if "status of 400" not in fault] == []
