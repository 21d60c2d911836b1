"""The example service, run for real in the runner."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlparse

from tests.orchestration.runner.cases import Case
from tests.orchestration.runner.conftest import host, runner_settings  # noqa: F401 - fixtures

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "hello-edge"


def test_hello_edge_writes_a_page_that_a_person_can_open_and_takes_it_away_again(host, tmp_path) -> None:  # noqa: F811
    files = {str(path.relative_to(FOLDER)): path.read_text() for path in FOLDER.rglob("*.sh")}
    case = Case(
        host,
        tmp_path,
        (FOLDER / "blueprint.yaml").read_text(),
        files,
        inputs={"greeting": "Grüß <Gott>", "colour": "indigo"},
    )

    outcome = case.run("install")
    assert outcome.status == "terminated", case.messages
    properties = case.runtime["page"]
    assert properties["greeting"] == "Grüß <Gott>"
    page = Path(urlparse(properties["address"]).path)
    text = page.read_text()
    assert "<h1>Grüß &lt;Gott&gt;</h1>" in text
    assert "indigo" in text
    assert page.stat().st_mode & 0o004, "others may read it"

    assert case.run("uninstall").status == "terminated", case.messages
    assert not page.parent.exists()
