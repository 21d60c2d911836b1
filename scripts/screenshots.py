"""Makes the pictures in docs/screenshots: an installation of its own over doubles of remote managers, driven through a browser.

    .venv/bin/python scripts/screenshots.py [folder] [--stay]

Needs Chromium, and `make setup-dev`. `--stay` keeps all running until Enter, `COUNT=40` makes fewer environments.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import secrets
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PASSWORD = secrets.token_urlsafe(12)
PLACES = (
    ("London", 51.51, -0.13, "Europe/London", "lon"),
    ("New-York", 40.71, -74.01, "America/New_York", "nyc"),
    ("Tel-Aviv", 32.09, 34.78, "Asia/Jerusalem", "tlv"),
    ("Frankfurt", 50.11, 8.68, "Europe/Berlin", "fra"),
    ("Lisbon", 38.72, -9.14, "Europe/Lisbon", "lis"),
    ("Nairobi", -1.29, 36.82, "Africa/Nairobi", "nbo"),
)
CLUSTER = """
name: west
release: trixie
hosts:
  - {name: n1, private_address: 10.0.0.11, parts: [etcd, database, queue, manager]}
  - {name: n2, private_address: 10.0.0.12, parts: [etcd, database, queue, manager]}
  - {name: n3, private_address: 10.0.0.13, parts: [etcd, database, queue, manager]}
  - {name: lb1, private_address: 10.0.0.50, parts: [balancer]}
"""
COUNT = int(os.environ.get("COUNT", "240"))


@contextlib.contextmanager
def installation(folder: Path) -> Iterator[str]:
    """A portal with embedded workers on a free port; gives its address."""
    os.environ |= {
        "DATA_DIR": str(folder),
        "ENDPOINT_NETWORKS": "127.0.0.1/32",
        "NODE_NAME": "portal-1",
        "EMBEDDED_WORKERS": "4",
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, str(ROOT / "manage.py"), "up", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := re.search(r"is at (\S+)/ ", line):
                yield found[1]
                break
    finally:
        process.terminate()
        process.wait(20)


def seed(double: Any, secure: Any) -> None:
    """People, sites, environments in all states, two services."""
    from accounts.actors import Actor
    from accounts.models import Tenant, User
    from inventory import exposing, sites

    admin = User.objects.get(username="admin")
    admin.set_password(PASSWORD)
    admin.must_change_password = False
    admin.save()
    by, tenant = Actor(user=admin, via="page"), Tenant.objects.get(name=Tenant.DEFAULT)
    for name, latitude, longitude, zone, _ in PLACES:
        sites.create_site(by=by, tenant=tenant, name=name, latitude=latitude, longitude=longitude, time_zone=zone)
    for number, (address, credential) in enumerate(double.add_targets(COUNT)):
        site, *_, code = PLACES[number % len(PLACES)]
        where = {"endpoint": "127.0.0.1", "protocol": "http", "port": double.port, "remote_tenant": address.tenant}
        if number % 60 == 17:
            where["port"] = 9  # nobody listens there
        token = "ctok-expired000-" + "0" * 24 if number % 80 == 34 else credential.token
        labels = [
            ("env", "lab" if number % 8 == 7 else "prod"),
            ("ring", str(1 + number % 3)),
            ("hw", f"r{6 + number % 2}60"),
        ]
        name = f"edge-{code}-{number + 101:04d}"
        exposing.expose(by=by, tenant=tenant, name=name, site=site, labels=labels, token=token, **where)
        double.answers(address.tenant).world.script = plot(number)
    (address, credential), *_ = secure.add_targets(1)
    exposing.expose(
        by=by, tenant=tenant, name="core-lon-0001", site="London", labels=[("env", "prod"), ("tier", "gold")],
        endpoint="127.0.0.1", protocol="https", port=secure.port, remote_tenant=address.tenant,
        trust="ca_bundle", ca_bundle=address.trust.ca_bundle, token=credential.token,
    )  # fmt: skip


def plot(number: int) -> Any:
    """What happens at one manager."""
    from inventory.doubles.script import Script

    chance = random.Random(number)
    error = ""
    if number % 29 == 4:
        error = "Operation install: plugin missing: ansible. Upload it to this manager."
    elif number % 41 == 11:
        error = "Operation start: port 8080 is taken by another process."
    capabilities = {"page": f"https://edge-{number + 101:04d}.example/", "greeting": "Hello from the edge"}
    return Script(install=2 + 5 * chance.random(), install_error=error, capabilities=capabilities)


def archive_of(folder: Path) -> dict[str, Any]:
    """An example service as a browser uploads it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as pack:
        pack.add(folder, arcname=folder.name)
    return {"name": f"{folder.name}.tar.gz", "mimeType": "application/gzip", "buffer": content.getvalue()}


class Photographer:
    """A browser that is signed in, and where its pictures go."""

    def __init__(self, browser: Any, url: str, folder: Path) -> None:
        self.browser, self.url, self.folder = browser, url, folder
        self.page = self.open("light", 1440)
        self.page.goto(f"{url}/login/")
        self.page.fill("#id_username", "admin")
        self.page.fill("#id_password", PASSWORD)
        self.page.click("button[type=submit]")
        self.page.wait_for_url(f"{url}/")

    def open(self, theme: str, width: int, height: int = 900, state: Any = None) -> Any:
        size = {"width": width, "height": height}
        look = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce"}
        page = self.browser.new_context(**look, storage_state=state).new_page()
        page.set_default_timeout(120_000)
        return page

    def other(self, theme: str, width: int, height: int = 900) -> Any:
        """A page of another look in the same session."""
        return self.open(theme, width, height, self.page.context.storage_state())

    def shoot(self, name: str, page: Any = None, path: str = "") -> None:
        page = page or self.page
        if path:
            page.goto(self.url + path)
        page.wait_for_timeout(700)
        file = self.folder / f"{name}.png"
        page.screenshot(path=str(file))
        print(f"{file.name}: {file.stat().st_size // 1024} KB")


def play(camera: Photographer, double: Any) -> None:
    """The main job by hand, with a picture at each turn."""
    page, url = camera.page, camera.url
    page.goto(f"{url}/services/add/")
    page.fill("#id_name", "hello-edge")
    page.set_input_files("#id_archive", archive_of(ROOT / "examples" / "hello-edge"))
    page.click("main button[type=submit]")
    page.wait_for_url(re.compile(r"/services/\d+/"))
    camera.shoot("environments-light-1440", path="/environments/")
    camera.shoot("environments-dark-1440", camera.other("dark", 1440), "/environments/")
    camera.shoot("environments-light-390", camera.other("light", 390, 844), "/environments/")
    add_environment(camera, double)
    page.goto(f"{url}/rollouts/new/?label=env%3Dprod")
    page.fill("[name='input:greeting']", "Good morning from the edge")
    page.fill("#id_max_parallel", "24")
    page.fill("#id_failure_budget", "20")
    page.click("main .actions button[type=submit]")
    page.wait_for_url(re.compile(r"/rollouts/new/\w{64}/"))
    camera.shoot("review-light-1440")
    page.click("text=Start: create")
    page.wait_for_url(re.compile(r"/rollouts/\d+/$"))
    address = page.url.removeprefix(url)
    dark = camera.other("dark", 1440)
    dark.goto(page.url)
    wait_for_percent(page, 45)
    camera.shoot("rollout-light-1440")
    camera.shoot("rollout-dark-1440", dark)
    camera.shoot("overview-light-1440", path="/")
    camera.shoot("rollout-light-390", camera.other("light", 390, 844), address)
    page.goto(url + address)
    page.wait_for_selector("#act-retry", timeout=240_000)
    run = page.locator(".fail a").first.get_attribute("href")
    camera.shoot("run-light-1440", path=run or "")
    camera.shoot("matrix-light-1440", path="/services/matrix/")
    look_around(camera)


def look_around(camera: Photographer) -> None:
    """An environment, a blueprint, and a cluster that is described and not built yet."""
    page, url = camera.page, camera.url
    page.goto(f"{url}/environments/?q=core-lon")
    page.click("a.nm:has-text('core-lon-0001')")
    page.wait_for_url(re.compile(r"/environments/\d+/"))
    camera.shoot("environment-light-1440")
    page.goto(f"{url}/blueprints/upload/")
    page.fill("#id_wire_id", "hello-edge")
    page.set_input_files("#id_archive", archive_of(ROOT / "examples" / "hello-edge"))
    page.click("main button[type=submit]")
    page.wait_for_selector("text=Deploy here")
    camera.shoot("blueprint-light-1440")
    page.goto(f"{url}/clusters/import/")
    page.fill("#id_text", CLUSTER + f"ssh: {{ssh_user: root, password: {PASSWORD}}}\n")
    page.click("text=Check the file")
    page.click("text=Import 4 hosts")
    page.wait_for_url(re.compile(r"/clusters/\d+/"))
    camera.shoot("cluster-light-1440")


def wait_for_percent(page: Any, wanted: float, seconds: int = 240) -> None:
    """Until the live page shows that much; asked from here, as the page's policy allows no evaluated code."""
    for _ in range(seconds * 4):
        if float(page.text_content("#percent") or 0) >= wanted:
            return
        page.wait_for_timeout(250)
    raise SystemExit(f"The rollout did not get to {wanted} percent within {seconds} s.")


def add_environment(camera: Photographer, double: Any) -> None:
    """The form with a ladder that stops: the token is of another tenant."""
    (_, theirs), *_ = double.add_targets(1)
    page = camera.page
    page.goto(f"{camera.url}/environments/add/")
    page.fill("#id_name", "edge-fra-1311")
    page.click("text=http >> nth=1")
    page.fill("#id_endpoint", "127.0.0.1")
    page.fill("#id_port", str(double.port))
    page.fill("#id_remote_tenant", "retail-de")
    page.fill("#id_token", theirs.token)
    page.select_option("#id_site", label="Frankfurt")
    page.fill("#id_labels", "env=prod\nring=3")
    page.click("#check")
    page.wait_for_selector(".ladder .remedy")
    camera.shoot("add-environment-light-1440")


def main() -> None:
    """Everything, in a folder that is thrown away."""
    folder = Path(next((word for word in sys.argv[1:] if not word.startswith("-")), ROOT / "docs" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, installation(Path(data)) as url:
        import django

        os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
        django.setup()
        from inventory.doubles import ManagerDouble
        from tests.services import chromium

        with ManagerDouble() as double, ManagerDouble.secure() as secure, chromium.running() as browser:
            os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # the browser's event loop is in this thread
            seed(double, secure)
            if "--stay" in sys.argv:
                told = {
                    "url": url,
                    "password": PASSWORD,
                    "port": double.port,
                    "tls": secure.port,
                    "token": secure.add_targets(1)[0][1].token,
                }
                print(json.dumps(told), flush=True)
                input()
            else:
                play(Photographer(browser, url, folder), double)


if __name__ == "__main__":
    main()
