"""What `cfy` made is removed by page, and what the page made is removed by `cfy`: both see the same thing at once."""

from __future__ import annotations

import re
import time

import pytest
import requests

from tests.orchestration import archives
from tests.orchestration.running import PASSWORD


class Browser:
    """A session of a person at the pages, without a script."""

    def __init__(self, url: str, user: str) -> None:
        self.url, self.session = url, requests.Session()
        assert "/login/" not in self.post("/login/", username=user, password=PASSWORD).url

    def get(self, path: str) -> requests.Response:
        return self.session.get(self.url + path, timeout=60)

    def post(self, path: str, **fields: str) -> requests.Response:
        if "csrftoken" not in self.session.cookies:
            self.get("/login/")
        sent = fields | {"csrfmiddlewaretoken": self.session.cookies["csrftoken"]}
        return self.session.post(self.url + path, data=sent, headers={"Referer": self.url}, timeout=60)


@pytest.fixture
def browser(manager):
    return Browser(manager.url, "admin")


def wait_until(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.1)


def names(cfy):
    return {row["id"] for row in cfy.rows("deployments list")}


def test_a_service_made_by_the_command_line_is_removed_by_page(cfy, manager, browser, tmp_path):
    (tmp_path / "blueprint.yaml").write_text(archives.APP)
    cfy("install", str(tmp_path / "blueprint.yaml"), "-b", "by-cfy", "-d", "by-cfy", "-i", "name=by-cfy")
    link = re.search(r'href="(/deployments/\d+/)"[^>]*>(?:<[^>]*>)*by-cfy', browser.get("/deployments/?q=by-cfy").text)
    assert link, "the page lists it at once"
    page = link[1]

    refused = browser.post(f"{page}delete/")
    assert "live nodes" in refused.text and "by-cfy" in names(cfy), "what is installed stays"
    browser.post(f"{page}start/", workflow="uninstall")
    manager.await_("/deployments/by-cfy", lambda row: row["installation_status"] == "inactive")
    manager.await_("/deployments/by-cfy", lambda row: row["latest_execution_status"] == "completed")
    assert "is being deleted" in browser.post(f"{page}delete/").text

    wait_until(lambda: "by-cfy" not in names(cfy))
    assert browser.get(page).status_code == 404
    cfy("deployments create", "by-cfy", "-b", "by-cfy", "-i", "name=again")  # the id is free again
    cfy("deployments delete", "by-cfy")
    wait_until(lambda: "by-cfy" not in names(cfy))


def test_an_environment_made_by_page_is_removed_by_the_command_line(cfy, manager, browser):
    """Its own portal serves as the remote manager."""
    port = manager.url.rpartition(":")[2]
    made = browser.post(
        "/environments/add/", name="by-page", protocol="http", endpoint="127.0.0.1", port=port, remote_tenant="empty",
        trust="system", method="password", username="admin", password=PASSWORD, labels="made=page",
    )  # fmt: skip
    assert "by-page is" in made.text
    page = re.search(r"/environments/\d+/", made.url)[0]
    assert [row["id"] for row in cfy.rows("deployments list", "-lr", "made=page")] == ["by-page"]

    cfy.refused("uninstall", "by-page", words="by-page")
    cfy("deployments delete", "by-page")

    wait_until(lambda: "by-page" not in names(cfy))
    assert browser.get(page).status_code == 404
