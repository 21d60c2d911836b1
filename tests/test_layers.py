"""The arrows of docs/architecture.md: who may import whom, imports inside functions included."""

import ast
import re

import pytest

from tests.source import FLOORS, ROOT, modules_in, product

RUNNER = "orchestration.runner"
RUNNER_ONLY = {"cloudify", "cloudify_rest_client", "dsl_parser"}
# Top-level module -> the only places of the product that may import it, and why.
CONFINED = {
    "paramiko": ({"inventory.connectors.ssh"}, "it is the one place that pins host keys and hides secrets in commands"),
    "requests": (
        {"inventory.connectors", "portal"},
        "connectors check the address before they connect; the demo is a client like any other",
    ),
    "cloudify": ({RUNNER}, "it lives in the runner's own environment"),
    "cloudify_rest_client": ({RUNNER}, "it lives in the runner's own environment"),
    "dsl_parser": ({RUNNER}, "it lives in the runner's own environment"),
}


def is_in(name, places):
    return any(name == place or name.startswith(f"{place}.") for place in places)


def may_import(importer, imported):
    """Whether the arrows of the house allow one app to import another."""
    return importer == imported or FLOORS[imported] < FLOORS[importer]


def climbing_imports(modules):
    return [
        f"{module.where}:{found.line}: {module.app} must not import {found.target}"
        for module in modules
        for found in module.imports()
        if (app := found.target.split(".", 1)[0]) in FLOORS and not may_import(module.app, app)
    ]


def climbing_names(modules):
    """Models and modules named in a string ("deployon.Rollout" in a ForeignKey, get_model("deployon", ...)): an import by another name."""
    dotted = re.compile(rf"({'|'.join(FLOORS)})\.[A-Z]\w*")
    found = []
    for module in modules:
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and (match := dotted.fullmatch(node.value))
            ):
                if not may_import(module.app, match[1]):
                    found.append(f"{module.where}:{node.lineno}: {module.app} must not lean on {node.value}")
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("get_model") and node.args:
                app = node.args[0].value.split(".")[0] if isinstance(node.args[0], ast.Constant) else ""
                if app in FLOORS and not may_import(module.app, app):
                    found.append(f"{module.where}:{node.lineno}: {module.app} must not lean on {app}")
    return found


def climbing_migrations(modules):
    found = []
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Assign) and any(
                getattr(target, "id", "") == "dependencies" for target in node.targets
            ):
                for app in re.findall(r"\('(\w+)', '\w+'\)", ast.unparse(node.value)):
                    if app in FLOORS and not may_import(module.app, app):
                        found.append(f"{module.where}: the migration of {module.app} depends on {app}")
    return found


def test_no_app_imports_one_of_its_own_floor_or_above():
    assert climbing_imports(product()) == []


def test_no_model_points_at_one_of_its_own_floor_or_above():
    assert climbing_names(product()) == []


def test_no_migration_waits_for_one_of_its_own_floor_or_above():
    assert climbing_migrations([module for module in product() if module.is_migration]) == []


@pytest.mark.parametrize("library", CONFINED)
def test_a_confined_library_is_imported_only_where_it_belongs(library):
    places, why = CONFINED[library]
    offenders = [
        f"{module.where}:{found.line}: {library} belongs to {', '.join(sorted(places))} alone: {why}"
        for module in product()
        for found in module.imports()
        if found.target.split(".", 1)[0] == library and not is_in(module.name, places)
    ]
    assert offenders == []


def test_the_runner_imports_nothing_of_the_portal():
    offenders = [
        f"{module.where}:{found.line}: the runner has no {found.target} in its environment"
        for module in product()
        if is_in(module.name, {RUNNER})
        for found in module.imports()
        if found.target.split(".", 1)[0] in {*FLOORS, "django", "rest_framework", "celery"}
        and not is_in(found.target, {RUNNER})
    ]
    assert offenders == []


def test_doubles_are_imported_only_by_tests_and_the_bench():
    offenders = [
        f"{module.where}:{found.line}"
        for module in product()  # scripts/ is for maintainers: its pictures are of doubles
        for found in module.imports()
        if is_in(found.target, {"inventory.doubles", "tests", "bench"})
        and not is_in(module.name, {"inventory.doubles"})
    ]
    assert offenders == []


def handles_vault_keys(module):
    """Whether code reads the setting or names the file of the keys; a message to a person may speak of both."""
    return any(
        (isinstance(node, ast.Attribute) and node.attr == "VAULT_KEYS")
        or (isinstance(node, ast.Name) and node.id == "VAULT_KEYS")
        or (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.search(r"^VAULT_KEYS$|^\S*vault\.keys$", node.value)
        )
        for node in ast.walk(module.tree)
    )


def test_the_keys_of_the_vault_are_handled_only_by_the_vault_and_the_settings():
    offenders = [
        f"{module.where} handles the keys of the vault; ask accounts.vault instead"
        for module in product()
        if handles_vault_keys(module)
        # The last one writes the settings of an installation that it builds, whose keys are secrets here.
        and module.name not in ("accounts.vault", "portal.settings", "installs.rendering.management")
    ]
    assert offenders == []


def test_no_modules_import_each_other_in_a_circle():
    assert circles(product()) == []


def circles(modules):
    """Groups of modules that need each other while they are being imported."""
    names = {module.name for module in modules}
    graph = {
        module.name: {
            target
            for found in module.imports()
            if found.at_import
            if (target := owner(found.target, names)) and target != module.name
        }
        for module in modules
    }

    def reached(start):
        seen, todo = set(), [start]
        while todo:
            for target in graph[todo.pop()] - seen:
                seen.add(target)
                todo.append(target)
        return seen

    return sorted(
        {
            tuple(sorted({name} | {other for other in reached(name) if name in reached(other)}))
            for name in graph
            if name in reached(name)
        }
    )


def owner(target, names):
    """The module that an import statement's target lies in: "a.b.c" may be module a.b.c or the name c of a.b."""
    while target and target not in names:
        target = target.rpartition(".")[0]
    return target


# --- the tests of this file can fail -----------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path):
    """Modules of a small house, written as {path: text}."""

    def build(files):
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return modules_in(*{path.split("/")[0] for path in files}, root=tmp_path)

    return build


@pytest.mark.parametrize(
    "text",
    [
        "import inventory.models",
        "from inventory import models",
        "def later():\n    from inventory.models import Site",
        "import importlib\nimportlib.import_module('portal.settings')",
        "async def later():\n    import runs.plans as plans",
    ],
)
def test_a_climbing_import_is_found_however_it_is_written(house, text):
    assert len(climbing_imports(house({"accounts/services.py": text}))) == 1


def test_neighbours_on_one_floor_are_told_apart_from_floors_below(house):
    modules = house({"deployon/plans.py": "import installs.models\nimport inventory.models\nfrom . import models"})
    assert climbing_imports(modules) == [f"{modules[0].path}:1: deployon must not import installs.models"]


def test_a_foreign_key_that_climbs_is_found(house):
    modules = house(
        {
            "runs/models.py": "x = ForeignKey('deployon.Target')\ny = ForeignKey('accounts.Tenant')\napps.get_model('installs', 'A')"
        }
    )
    assert len(climbing_names(modules)) == 2


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("keys = settings.VAULT_KEYS", True),
        ("keys = getattr(settings, 'VAULT_KEYS')", True),
        ("path = DATA_DIR / 'vault.keys'", True),
        ("raise CommandError('Put the new key first in VAULT_KEYS, then run this again.')", False),
    ],
)
def test_a_module_that_handles_the_keys_of_the_vault_is_found(house, text, is_found):
    assert [handles_vault_keys(module) for module in house({"runs/engine.py": text})] == [is_found]


def test_a_migration_that_climbs_is_found(house):
    text = "class Migration:\n    dependencies = [('accounts', '0001_initial'), ('inventory', '0001_initial')]"
    assert len(climbing_migrations(house({"runs/migrations/0001_initial.py": text}))) == 1


def test_a_circle_is_found_and_a_late_import_is_none(house):
    modules = house(
        {
            "runs/__init__.py": "",
            "runs/a.py": "from runs import b",
            "runs/b.py": "from runs.a import name",
            "runs/c.py": "from runs import d",
            "runs/d.py": "def later():\n    from runs import c",
        }
    )
    assert circles(modules) == [("runs.a", "runs.b")]


def test_the_apps_of_the_house_are_all_there_and_no_others():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert packages == set(FLOORS)
