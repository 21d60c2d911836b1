"""Secrets by `cfy`, also moved in a file."""

from __future__ import annotations

import json

PASSPHRASE = "open-sesame-please"
COLUMNS = ["key", "created_at", "updated_at", "visibility", "tenant_name", "created_by", "is_hidden_value"]


def test_secrets(cfy, cfy_of):
    cfy("secrets create", "db", "-s", "s3cret")
    cfy.refused("secrets create", "db", "-s", "other", words="already exists")
    cfy("secrets create", "db", "-s", "s3cret2", "--update-if-exists")
    assert cfy.table("secrets list") == [*COLUMNS, "provider_name"]
    assert cfy.one("secrets get", "db")["value"] == "s3cret2"
    assert cfy_of("vera").one("secrets get", "db")["value"] in ("", None)
    cfy("secrets update", "db", "-s", "s3cret3", "--hidden-value")
    assert "s3cret3" not in cfy_of("bob")("secrets get", "db").text
    cfy("secrets set-visibility", "db", "-l", "global")
    assert [row["visibility"] for row in cfy.rows("secrets list") if row["key"] == "db"] == ["global"]
    cfy("secrets create", "wide", "-s", "x")
    cfy("secrets set-global", "wide")
    cfy.refused("secrets set-owner", "wide", "-s", "bob", words="creator")
    cfy_of("vera").refused("secrets create", "mine", "-s", "x", words="not permitted")
    cfy("secrets delete", "db")
    cfy("secrets delete", "wide")
    cfy.refused("secrets get", "db", words="was not found", ends_with_zero=True)


def test_secrets_move_in_a_file_that_a_passphrase_closes(cfy, cfy_of, tmp_path):
    cfy("secrets create", "one", "-s", "first value")
    cfy("secrets create", "two", "-s", "zweiter Wért")
    file = tmp_path / "secrets.json"
    cfy("secrets export", "-p", PASSPHRASE, "-o", str(file))
    entries = {entry["key"]: entry for entry in json.loads(file.read_text())}
    assert {"one", "two"} <= entries.keys() and entries["one"]["encrypted"] is True
    assert "first value" not in file.read_text()
    assert "collided" in cfy("secrets import", "-p", PASSPHRASE, "-i", str(file)).words
    cfy("secrets delete", "one")
    cfy("secrets update", "two", "-s", "changed")
    cfy("secrets import", "-p", PASSPHRASE, "-i", str(file), "--override-collisions")
    assert cfy.one("secrets get", "one")["value"] == "first value"
    assert cfy.one("secrets get", "two")["value"] == "zweiter Wért"
    tenants = tmp_path / "tenants.json"
    tenants.write_text(json.dumps({"default_tenant": "t2"}))
    said = cfy("secrets import", "-p", "wrong-passphrase", "-i", str(file), "-m", str(tenants))
    assert "does not open this secret" in said.words
    cfy("secrets import", "-p", PASSPHRASE, "-i", str(file), "-m", str(tenants))
    assert cfy_of("admin", "t2").one("secrets get", "two")["value"] == "zweiter Wért"
    plain = tmp_path / "plain.json"
    cfy("secrets export", "--non-encrypted", "-o", str(plain))
    assert "first value" in plain.read_text()
    cfy_of("bob")("secrets export", "--non-encrypted", "-o", str(plain))
    assert json.loads(plain.read_text()) == []  # values are for their creator and the tenant's managers
    for key in ("one", "two"):
        cfy("secrets delete", key)


def test_secrets_providers_are_refused_in_words(cfy):
    assert cfy.rows("secrets providers list") == []
    create = ("vault", "-y", "vault", "-c", "{host: nowhere}")
    cfy.refused("secrets providers create", *create, words="seals the values itself")
    cfy.refused("secrets providers get", "vault", words="seals the values itself")
    cfy.refused("secrets providers update", "vault", "-y", "vault", words="seals the values itself")
    cfy.refused("secrets providers test", *create, words="seals the values itself")
    cfy.refused("secrets providers delete", "vault", words="seals the values itself")
