"""Day 2 of many deployments in a real browser: chosen in the list, previewed, run, followed, updated and deleted."""

from __future__ import annotations

import os
import re

import pytest
import requests

from tests import factories
from tests.orchestration import archives
from tests.pages.conftest import PHONE
from tests.pages.test_in_browser import sign_in

pytestmark = [pytest.mark.e2e]
BLUEPRINT = (
    archives.HEAD
    + """
inputs:
  word: {type: string, default: hello, description: What it says}
  fail: {type: boolean, default: false}
node_types:
  demo.Speaker:
    derived_from: cloudify.nodes.Root
    properties:
      word: {default: none}
node_templates:
  speaker:
    type: demo.Speaker
    properties: {word: {get_input: word}}
    interfaces:
      cloudify.interfaces.lifecycle:
        create:
          implementation: scripts/create.sh
          inputs: {fail: {get_input: fail}}
"""
)
TELLER = (
    archives.HEAD
    + """
description: One node that says a word
inputs:
  word: {type: string, description: What it says}
node_templates:
  teller:
    type: cloudify.nodes.Root
capabilities:
  word: {description: What was said, value: {get_input: word}}
"""
)
CREATE = """#!/bin/bash
if [ "$fail" = "True" ] || [ "$fail" = "true" ]; then ctx abort-operation "no room left at the site"; fi
ctx logger info "created"
"""
PICTURES = os.environ.get("PICTURES", "")  # a folder: then each page is kept there, as people see it


def v31(installation, method, path, headers=None, **more):
    reply = requests.request(
        method, f"{installation.url}/api/v3.1{path}", headers={"Tenant": "acme", **(headers or {})}, timeout=60,
        auth=("alice", factories.PASSWORD), **more,
    )  # fmt: skip
    assert reply.status_code < 300, reply.text
    return reply.json() if reply.content else None


@pytest.fixture(scope="module")
def fleet(installation):
    """Six deployments of one blueprint, the last of which cannot be installed."""
    installation.seed(None, [])
    content = archives.packed({"blueprint.yaml": BLUEPRINT, "scripts/create.sh": CREATE})
    for name in ("speaker", "speaker-2"):
        path = f"/blueprints/{name}?application_file_name=blueprint.yaml"
        v31(installation, "PUT", path, data=content, headers={"Content-Type": "application/octet-stream"})
    names = [f"lisbon-{n}" for n in range(1, 6)] + [
        "lisbon-6-with-a-name-that-is-longer-than-anybody-would-like-to-read"
    ]
    for name in names:
        body = {"blueprint_id": "speaker", "inputs": {"fail": "6" in name}}
        v31(installation, "PUT", f"/deployments/{name}", json=body)
    return names


def kept(page, name):
    """Nothing is wider than the screen of a phone, and a picture where they are asked for."""
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)
    page.set_viewport_size(PHONE)
    width = page.locator("html").evaluate("html => html.scrollWidth")
    assert width <= PHONE["width"], f"{name} is {width} wide"
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}-phone.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 800})


def test_a_blueprint_is_uploaded_by_page_read_deployed_and_installed(page, installation, fleet, faults_of, tmp_path):
    faults = faults_of(page, installation.url)
    sign_in(page, installation.url)
    page.goto(f"{installation.url}/deployments/")
    page.get_by_role("link", name="Blueprints").click()
    kept(page, "blueprints")
    page.get_by_role("link", name="Upload blueprint").click()
    assert page.locator("#id_url").is_hidden()
    page.fill("#id_wire_id", "teller")
    wrong, right = tmp_path / "teller.yaml", tmp_path / "mended.yaml"
    wrong.write_text(TELLER.replace("Root", "Rot"))
    right.write_text(TELLER)
    page.set_input_files("#id_archive", wrong)
    kept(page, "blueprint-upload")
    page.get_by_role("button", name="Upload").click()
    page.wait_for_selector("text=It cannot be used.")
    kept(page, "blueprint-refused")
    page.get_by_role("link", name="Upload it again").click()
    assert page.input_value("#id_wire_id") == "teller"
    page.set_input_files("#id_archive", right)
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("link", name="Deploy here").click()
    page.fill("#id_wire_id", "teller-1")
    kept(page, "blueprint-deploy")
    page.get_by_role("button", name="Deploy").click()
    page.wait_for_selector("[id='id_value:word'][aria-invalid=true]")
    page.fill("[id='id_value:word']", "good evening")
    page.get_by_role("button", name="Deploy").click()
    page.wait_for_url(re.compile(r"/deployments/\d+/executions/"))
    page.wait_for_selector("h1:has-text('install')")
    page.wait_for_selector(".st.ok, .pill.ok", timeout=60_000)
    page.goto(f"{installation.url}/blueprints/?q=teller")
    page.click("a.nm:has-text('teller')")
    assert "good evening" not in page.inner_text("main") and "Deployments (1)" in page.inner_text("main")
    kept(page, "blueprint")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "teller.zip"
    page.get_by_role("button", name="Remove…").click()
    page.get_by_role("button", name="Remove blueprint").click()
    assert "There exist deployments" in page.inner_text("main")
    assert [one for one in faults if "400 (Bad Request)" not in one] == []  # the form that lacked an input


def test_many_are_run_followed_run_again_updated_and_deleted(page, installation, fleet, faults_of):
    faults = faults_of(page, installation.url)
    sign_in(page, installation.url)
    page.goto(f"{installation.url}/deployments/?q=lisbon")
    assert page.locator(".bulk").is_hidden()
    page.get_by_label("Choose all on this page").check()
    assert page.get_by_role("button", name=re.compile("Run a workflow on 6")).is_visible()
    kept(page, "list")
    page.get_by_role("button", name=re.compile("Run a workflow on 6")).click()
    page.wait_for_url("**/deployments/workflow/?deployments=*")
    page.select_option("#workflow", "install")  # goes on by itself
    page.wait_for_url("**&workflow=install")
    page.click("text=Preview…")
    page.wait_for_selector("#preview")
    kept(page, "workflow")
    page.get_by_role("button", name="Start install on 6").click()
    page.wait_for_url(re.compile(r"/execution-groups/[\w-]{36}/"))
    kept(page, "group-begins")
    page.wait_for_selector("text=6 of 6 ended", timeout=90_000)
    rows = page.locator("tbody tr")
    assert "no room left at the site" in rows.first.inner_text() and "Failed" in rows.first.inner_text()
    assert page.locator(".strip a").first.inner_text().split() == ["1", "Failed"]
    kept(page, "group")
    page.click("text=Run again on the 1 that failed…")
    page.wait_for_url("**state=failed**")
    page.click("text=Preview…")
    assert "Start install on 1" in page.inner_text(".actions >> nth=-1")

    page.goto(f"{installation.url}/deployments/?q=lisbon")
    for row in ("lisbon-1", "lisbon-2", "lisbon-6"):
        page.get_by_label(re.compile(f"Choose {row}")).check()
    page.get_by_role("button", name=re.compile("Update 3")).click()
    page.wait_for_selector("[id='id_value:word']")
    page.fill("[id='id_value:word']", "good evening")
    page.click("text=Preview…")
    page.wait_for_selector("#preview")
    assert "installed anew: speaker" in page.inner_text("#preview")
    kept(page, "bulk-update")
    page.get_by_role("button", name="Start the update of 3").click()
    page.wait_for_url(re.compile(r"/execution-groups/[\w-]{36}/"))
    page.wait_for_selector("text=3 of 3 ended", timeout=90_000)
    page.click("a:has-text('lisbon-1')")
    page.wait_for_selector("h2:has-text('Updates')")
    kept(page, "deployment")
    page.click("text=same blueprint")
    page.wait_for_selector("text=Change property word of node speaker")
    kept(page, "update")
    page.goto(page.url.split("/updates/")[0] + "/update/?blueprint_id=speaker-2")
    page.click("text=Preview…")
    page.wait_for_selector("#preview")
    kept(page, "update-one")

    page.goto(f"{installation.url}/deployments/?q=lisbon")
    page.get_by_label("Choose all on this page").check()
    page.get_by_role("button", name=re.compile("Group 6")).click()
    page.fill("#id_name", "lisbon")
    page.click("text=Put them into the group")
    page.wait_for_selector("text=6 deployments in group lisbon.")
    kept(page, "deployment-group")
    page.click("a.nm:has-text('lisbon-2')")
    page.click("text=Schedules >> nth=-1")
    page.fill("#id_name", "nightly")
    page.select_option("#id_workflow", "check_status")
    page.fill("#id_since", "2040-01-01T02:00")
    page.fill("#id_recurrence", "1 day")
    page.click("button:has-text('Schedule')")
    page.wait_for_selector("text=every 1 day")
    kept(page, "schedules")

    page.goto(f"{installation.url}/deployments/?q=lisbon")
    page.get_by_label("Choose all on this page").check()
    page.get_by_role("button", name=re.compile("Delete 6")).click()
    page.wait_for_selector("text=It is installed")
    kept(page, "delete-refused")
    page.click("text=Uninstall first…")
    page.wait_for_url("**/deployments/uninstall/**")
    kept(page, "uninstall")
    page.get_by_role("button", name="Uninstall 6").click()
    page.wait_for_selector("text=6 of 6 ended", timeout=90_000)
    page.click("text=that are uninstalled…")
    page.wait_for_url("**/deployments/delete/?executions=**")
    page.get_by_role("button", name="Delete 6").click()
    page.wait_for_selector("text=6 deleted", timeout=90_000)
    kept(page, "deleted")
    page.goto(f"{installation.url}/execution-groups/")
    assert page.locator("tbody tr").count() == 4
    kept(page, "groups")
    assert faults == []
