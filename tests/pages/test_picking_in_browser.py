"""The place of a site, picked on the map in a real browser."""

from __future__ import annotations

import re

import pytest

from tests.pages.conftest import PHONE
from tests.pages.test_in_browser import sign_in

pytestmark = [pytest.mark.e2e]


@pytest.fixture(scope="module")
def seeded(installation):
    installation.seed(None, [])
    return installation


def place_of(page):
    return float(page.input_value("#id_latitude") or "nan"), float(page.input_value("#id_longitude") or "nan")


def open_sites(page, url, path="/sites/"):
    page.goto(f"{url}{path}")
    page.wait_for_selector(".pickmap [data-ready], .pickmap .on-map[data-ready]")


def save(page, url):
    page.click("main button:has-text(' site')[type=submit]:visible")
    page.wait_for_url(f"{url}/sites/")


def test_a_click_a_drag_and_the_keys_pick_a_place_and_typing_moves_the_mark(page, seeded, faults_of):
    url, faults = seeded.url, faults_of(page, seeded.url)
    sign_in(page, url)
    open_sites(page, url)
    page.fill("#id_name", "Clicked")
    box = page.locator(".pickmap").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.4)
    north, east = place_of(page)
    assert 0 < north < 70 and -130 < east < -20, "a quarter from the left and above the middle is the western Atlantic"
    page.get_by_text(re.compile(r"Picked: latitude [\d.]+, longitude -[\d.]+")).wait_for()
    mark = page.locator(".picked").bounding_box()
    page.mouse.move(mark["x"] + 15, mark["y"] + 15)
    page.mouse.down()
    page.mouse.move(mark["x"] + 115, mark["y"] + 45, steps=5)
    page.mouse.up()
    assert place_of(page)[1] > east + 20 and place_of(page)[0] < north
    dragged = place_of(page)
    save(page, url)
    assert f"{dragged[0]}, {dragged[1]}" in page.text_content("main table")

    page.click("tr:has-text('Clicked') a:has-text('Change')")
    page.wait_for_selector(".pickmap .on-map[data-ready]")
    assert place_of(page) == dragged and page.locator(".picked").count() == 1
    page.locator(".pickmap .on-map").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
        page.wait_for_timeout(400)
    page.keyboard.press("Enter")
    assert place_of(page)[1] > dragged[1] and place_of(page)[0] > dragged[0]
    assert page.url.rstrip("/").split("/")[-1].isdigit(), "Enter on the map sends no form"
    page.fill("#id_latitude", "-33.9")
    page.fill("#id_longitude", "18.4")
    assert page.locator(".picked").count() == 1
    page.fill("#id_longitude", "")
    assert page.locator(".picked").count() == 0
    page.fill("#id_longitude", "18.4")
    save(page, url)
    assert "-33.9, 18.4" in page.text_content("main table")
    page.set_viewport_size(PHONE)
    open_sites(page, url)
    assert page.locator(".pickmap").bounding_box()["width"] > 250
    assert page.locator(".pickmap .known").count() == 1
    assert faults == []


def test_without_scripts_the_place_is_typed_and_no_map_is_promised(browser, seeded):
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        sign_in(page, seeded.url)
        page.goto(f"{seeded.url}/sites/")
        assert not page.locator("[data-pick]").is_visible()
        page.fill("#id_name", "Typed")
        page.fill("#id_latitude", "1.5")
        page.fill("#id_longitude", "2.5")
        save(page, seeded.url)
        assert "1.5, 2.5" in page.text_content("main table")
    finally:
        context.close()


def test_a_viewer_sees_sites_and_nothing_to_pick_with(page, seeded):
    sign_in(page, seeded.url, "bob")
    page.goto(f"{seeded.url}/sites/")
    assert page.locator("[data-pick], #id_latitude").count() == 0
