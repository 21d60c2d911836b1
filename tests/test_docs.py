"""What the product offers is written down, and what is written down is the product's alone."""

import ast
import re
import subprocess

from tests.source import ROOT, modules_in, product

# Put together here, so that this file does not hold what it looks for.
MACHINE_PATHS = ["/" + "root/", "/" + "work/", "/" + "opt/pypi", "/tmp/" + "brief"]
REGISTRY_HOSTS = [
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "registry.npmjs" + ".org",
    "registry.yarnpkg" + ".com",
    "deb.debian" + ".org",
]
MAKERS = [
    "clau" + "de",
    "anthro" + "pic",
    "chat" + "gpt",
    "open" + "ai",
    "copi" + "lot",
    "co-authored" + "-by",
    "farm" + "-studio",
    "language" + " model",
]


def read(node):
    """First argument of a call, where it is a plain string."""
    return (
        node.args[0].value
        if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
        else ""
    )


def settings_read():
    """Names asked of the environment in the settings: env("X"), env.str("X"), ..."""
    return {
        read(node)
        for module in modules_in("portal")
        if module.name.startswith("portal.settings")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and re.match(r"env(\.\w+)?$", ast.unparse(node.func)) and read(node).isupper()
    }


def settings_documented():
    """{name: the comment above it} of .env.example."""
    found, comment = {}, []
    for line in (ROOT / ".env.example").read_text().splitlines():
        if match := re.match(r"#?([A-Z][A-Z0-9_]+)=", line):
            found[match[1]] = " ".join(comment)
            comment = []
        elif line.startswith("# "):
            comment.append(line[2:])
        else:
            comment = []
    return found


def documentation():
    return "\n".join(path.read_text() for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_every_setting_is_in_the_example_and_the_reverse():
    assert settings_read() == set(settings_documented())


def test_every_setting_has_a_line_that_says_why():
    assert [name for name, comment in settings_documented().items() if len(comment) < 20] == []


def test_every_management_command_is_documented():
    commands = {module.name.rpartition(".")[2] for module in product() if ".management.commands." in module.name}
    text = documentation()
    assert {command for command in commands if not re.search(rf"(manage\.py |`){command}\b", text)} == set()


def test_every_operation_is_documented():
    keys = {
        read(decorator)
        for module in product()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).rpartition(".")[2] == "operation"
    }
    text = documentation()
    assert {key for key in keys if f"`{key}`" not in text} == set()


def test_every_link_between_documents_leads_somewhere():
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", path.read_text())
        if not (path.parent / target).exists()
    ]
    assert broken == []


def committed_texts():
    """(path, text) of every text file that is in the repository or about to be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        path = ROOT / name
        if name and path.is_file() and not name.startswith("static/vendor/"):
            try:
                yield name, path.read_text()
            except UnicodeDecodeError:
                continue  # a picture or an archive


def test_no_file_names_a_path_of_one_machine_a_registry_or_its_makers():
    patterns = re.compile(
        "|".join(
            [rf"(?<![\w.]){re.escape(path)}" for path in MACHINE_PATHS]
            + [re.escape(host) for host in REGISTRY_HOSTS + MAKERS]
        ),
        re.I,
    )
    found = [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in committed_texts()
        for number, line in enumerate(text.splitlines(), 1)
        if patterns.search(line)
    ]
    assert found == []


def test_the_locks_name_no_place_to_fetch_from_and_pin_everything_with_a_digest():
    for path in ROOT.glob("requirements*.txt"):
        text = path.read_text()
        assert not re.search(r"^--|@ |https?://|file:", text, re.M), f"{path.name} names a place to fetch from"
        pins = re.findall(r"^[a-zA-Z0-9][^\n]*", text, re.M)
        assert pins and all("==" in pin for pin in pins), f"{path.name} leaves a version open"
        assert len(re.findall(r"^[a-zA-Z0-9][^\n]*\\\n    --hash=sha256:", text, re.M)) == len(pins), (
            f"{path.name} leaves a digest out"
        )
