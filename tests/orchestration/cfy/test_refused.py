"""What this product does in another way, or not: `cfy` is told why, and what to do instead."""

from __future__ import annotations

import zipfile

import pytest


def test_lists_of_what_there_is_none_of_are_empty(cfy):
    assert cfy.rows("plugins list") == []
    assert cfy.rows("plugins history") == []
    assert cfy.rows("snapshots list") == []
    assert cfy.rows("log-bundles list") == []
    assert cfy.rows("agents list") == []
    assert "No snapshot is currently being restored" in cfy("snapshots status").words


@pytest.fixture
def wagon(tmp_path):
    """Something that looks like a plugin."""
    file = tmp_path / "plugin.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("plugin.wgn", "wagon")
        archive.writestr("plugin.yaml", "plugins: {}")
    return file


def test_plugins_are_not_installed(cfy, wagon):
    words = "Plugins are not installed on this manager"
    yaml = wagon.with_name("plugin.yaml")
    yaml.write_text("plugins:\n  some: {executor: host_agent}\n")
    cfy.refused("plugins upload", str(wagon), "-y", str(yaml), words=words)
    cfy.refused("plugins bundle-upload", "-p", str(wagon), words=words)
    cfy.refused("plugins get", "some", words=words)
    cfy.refused("plugins delete", "some", words=words)
    cfy.refused("plugins download", "some", "-o", str(wagon.with_name("down")), words=words)
    cfy.refused("plugins download_yaml", "some", "-o", str(wagon.with_name("down.yaml")), words=words)
    cfy.refused("plugins install", "some", "--manager-hostname", "m1", words=words)
    cfy.refused("plugins set-global", "some", words=words, ends_with_zero=True)
    cfy.refused("plugins set-visibility", "some", "-l", "tenant", words=words, ends_with_zero=True)
    cfy.refused("plugins set-owner", "some", "-s", "bob", words=words)
    assert "blueprint_id" in cfy.table("plugins list_updates")
    cfy.refused("plugins update", "somebp", words="none is updated")
    cfy.refused("plugins get-update", "some", words="Plugins are not installed on this manager")
    cfy.refused("plugins deployment-labels list", "some", words=words)
    cfy.refused("plugins deployment-labels add", "a:b", "some", words=words)
    cfy.refused("plugins deployment-labels delete", "a", "some", words=words)
    cfy.refused("plugins blueprint-labels list", "some", words=words)
    cfy.refused("plugins blueprint-labels add", "a:b", "some", words=words)
    cfy.refused("plugins blueprint-labels delete", "a", "some", words=words)
    cfy.refused("plugins resource-tags list", "some", words=words)
    cfy.refused("plugins resource-tags add", "a:b", "some", words=words)
    cfy.refused("plugins resource-tags delete", "a", "some", words=words)


def test_snapshots_and_log_bundles_are_not_made(cfy, tmp_path):
    words, bundles = "back up its database", "Log bundles are not made"
    file = tmp_path / "snapshot.zip"
    file.write_bytes(b"PK")
    cfy.refused("snapshots create", "s1", words=words)
    cfy.refused("snapshots delete", "s1", words=words)
    cfy.refused("snapshots download", "s1", "-o", str(tmp_path / "s1.zip"), words=words)
    cfy.refused("snapshots restore", "s1", words=words)
    cfy.refused("snapshots upload", str(file), "-s", "s1", words=words)
    cfy.refused("log-bundles create", "l1", words=bundles)
    cfy.refused("log-bundles delete", "l1", words=bundles)
    cfy.refused("log-bundles download", "l1", "-o", str(tmp_path / "l1.zip"), words=bundles)


def test_nothing_is_registered(cfy):
    person = ("-f", "A", "-l", "B", "-e", "a@example.com", "-p", "1", "--accept-eula")
    cfy.refused("community register", *person, words="There is nothing to register")


def test_events_and_executions_go_with_their_deployment(cfy):
    cfy.refused("executions delete", "--keep-last", "1", words="delete the deployment instead")


def test_there_are_no_agents(cfy):
    # The program looks for deployments first, and starts a workflow that none has.
    cfy.refused("agents install", words="")
    cfy.refused("agents validate", words="")
