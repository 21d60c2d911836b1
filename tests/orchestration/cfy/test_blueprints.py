"""Blueprints by `cfy`."""

from __future__ import annotations

import http.server
import threading

import pytest

from tests.orchestration import archives

COLUMNS = ["id", "description", "main_file_name", "created_at", "updated_at", "visibility", "tenant_name", "created_by"]


@pytest.fixture
def folder(tmp_path):
    """A blueprint as an operator has it: files in a folder."""
    (tmp_path / "bp").mkdir()
    (tmp_path / "bp" / "blueprint.yaml").write_text(archives.APP)
    return tmp_path / "bp"


@pytest.fixture
def web():
    """A web server with an archive, on this machine: its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/moved.tar.gz":
                self.send_response(302)
                self.send_header("Location", "/app.tar.gz")
                self.end_headers()
                return
            found = self.path == "/app.tar.gz"
            body = archives.app() if found else b"no"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_blueprint_from_a_file_to_its_end(cfy, cfy_of, folder, tmp_path):
    alone = tmp_path / "alone.yaml"  # it is read by the program itself, which has no types of a manager
    alone.write_text(
        "tosca_definitions_version: cloudify_dsl_1_5\nnode_types: {t: {}}\nnode_templates: {a: {type: t}}\n"
    )
    cfy("blueprints validate", str(alone))
    cfy("blueprints create-requirements", str(alone), "-o", str(tmp_path / "requirements.txt"))
    cfy("blueprints package", str(folder / "blueprint.yaml"), "-o", str(tmp_path / "packed"))
    cfy("blueprints upload", str(folder / "blueprint.yaml"), "-b", "app", "--labels", "kind:demo", "-l", "private")
    cfy("blueprints set-visibility", "app", "-l", "tenant")
    cfy.refused("blueprints upload", str(folder / "blueprint.yaml"), "-b", "app", words="already exists")
    cfy_of("vera").refused("blueprints upload", str(folder / "blueprint.yaml"), "-b", "v", words="not permitted")
    assert set(cfy.table("blueprints list")) >= set(COLUMNS)
    assert {row["id"]: row["state"] for row in cfy.rows("blueprints list")}["app"] == "uploaded"
    assert cfy.one("blueprints get", "app")["description"] == "trivial blueprint"
    inputs = cfy.rows("blueprints inputs", "app")
    assert {row["name"]: row["default"] for row in inputs} == {"size": 3, "region": "eu", "name": "-"}
    cfy("blueprints download", "app", "-o", str(tmp_path / "app.tar.gz"))
    assert (tmp_path / "app.tar.gz").stat().st_size > 100
    cfy("blueprints labels add", "team:red", "app")
    cfy("blueprints labels delete", "kind", "app")
    labels = cfy.one("blueprints labels list", "app")
    assert "kind" not in labels and "red" in labels["team"]
    assert [row["id"] for row in cfy.rows("blueprints list", "-lr", "team=red")] == ["app"]
    assert {row["tenant_name"] for row in cfy.rows("blueprints summary", "tenant_name")} == {"default_tenant"}
    cfy.refused("blueprints set-owner", "app", "-s", "bob", words="creator")
    icon = tmp_path / "icon.png"
    icon.write_bytes(b"\x89PNG\r\n\x1a\n")
    cfy.refused("blueprints set-icon", "app", "--icon-path", str(icon), words="has no", ends_with_zero=True)
    cfy("blueprints set-global", "app")
    assert cfy.one("blueprints get", "app")["visibility"] == "global"
    cfy.refused("blueprints set-visibility", "app", "-l", "tenant", words="only widen", ends_with_zero=True)
    cfy("blueprints delete", "app")
    cfy.refused("blueprints get", "app", words="was not found")


def test_what_is_wrong_with_a_blueprint_is_said(cfy, folder):
    (folder / "blueprint.yaml").write_text(archives.BAD_TYPE)
    cfy.refused("blueprints upload", str(folder / "blueprint.yaml"), "-b", "bad", words="Could not locate node type")
    assert {row["id"]: row["state"] for row in cfy.rows("blueprints list")}["bad"] == "invalid"
    cfy("blueprints delete", "bad")


def test_a_blueprint_is_fetched_by_its_url(cfy, web):
    cfy("blueprints upload", f"{web}/moved.tar.gz", "-b", "far", "-n", "blueprint.yaml")
    assert cfy.one("blueprints get", "far")["state"] == "uploaded"
    cfy.refused("blueprints upload", f"{web}/none.zip", "-b", "none", "-n", "blueprint.yaml", words="File not found")
    cfy.refused(
        "blueprints upload", "http://169.254.169.254/x.zip", "-b", "meta", "-n", "b.yaml", words="must not call"
    )
    for name in ("far", "none", "meta"):
        cfy("blueprints delete", name)


def test_saved_filters_of_blueprints(cfy, manager):
    for name, colour in (("fb1", "blue"), ("fb2", "red")):
        assert manager.upload(name, archives.app()).status_code == 201
        cfy("blueprints labels add", f"colour:{colour}", name)
    cfy("blueprints filters create", "blue", "-lr", "colour=blue")
    cfy.refused("blueprints filters create", "blue", "-lr", "colour=blue", words="already exists")
    assert set(cfy.table("blueprints filters list")) >= {"id", "labels_filter_rules", "attrs_filter_rules"}
    assert [row["id"] for row in cfy.rows("blueprints list", "--filter-id", "blue")] == ["fb1"]
    cfy("blueprints filters update", "blue", "-lr", "colour=red")
    assert "red" in cfy("blueprints filters get", "blue").text
    assert [row["id"] for row in cfy.rows("blueprints list", "--filter-id", "blue")] == ["fb2"]
    cfy.refused("blueprints list", "--filter-id", "nosuch", words="was not found")
    cfy("blueprints filters delete", "blue")
    assert "was not found" in cfy("blueprints filters get", "blue").words
