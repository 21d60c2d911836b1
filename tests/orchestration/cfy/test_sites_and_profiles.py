"""Pointing `cfy` at this portal, and its sites."""

from __future__ import annotations

import pytest

from tests.orchestration.cfy.commandline import Cfy
from tests.orchestration.running import PASSWORD

PROFILE = ["name", "manager_ip", "manager_username", "manager_tenant", "rest_port", "rest_protocol"]


def test_a_profile_by_user_and_password(cfy, manager):
    assert "127.0.0.1" in cfy("profiles show-current").text
    rows = cfy.rows("profiles list")
    assert [[row[name] for name in PROFILE] for row in rows] == [
        ["*127.0.0.1", "127.0.0.1", "admin", "default_tenant", manager.process.port, "http"]
    ]


def test_a_profile_by_token_sees_what_its_user_sees(cfy, manager, tmp_path):
    value = cfy.one("tokens create", "--description", "for a profile")["value"]
    other = Cfy(tmp_path / "token")
    other.use(manager.url, token=value)
    assert other.rows("tenants list") == cfy.rows("tenants list")
    assert value not in other("profiles show-current").text


@pytest.mark.parametrize(
    ("login", "words"),
    [
        ({"password": "wrong"}, "wrong credentials or locked account"),
        ({"user": "nobody"}, "wrong credentials or locked account"),
        ({"token": "ctok-1234567890-" + "x" * 43}, "unauthorized"),
        ({"tenant": "nosuch"}, "invalid tenant name"),
    ],
)
def test_a_wrong_login_is_refused_at_once(manager, tmp_path, login, words):
    other = Cfy(tmp_path / "wrong")
    with pytest.raises(AssertionError) as told:
        other.use(manager.url, **login)
    assert words in " ".join(str(told.value).lower().split())


def test_profiles_are_changed_exported_and_deleted(manager, tmp_path):
    other = Cfy(tmp_path / "other")
    other.use(manager.url)
    other("profiles set", "-t", "t2", "--skip-credentials-validation")
    assert other.rows("profiles list")[0]["manager_tenant"] == "t2"
    other("profiles set", "-u", "bob", "-p", PASSWORD)
    other("profiles unset", "-t", "--skip-credentials-validation")
    other("profiles export", "-o", str(tmp_path / "profiles.tar.gz"))
    other("profiles delete", "127.0.0.1")
    other("profiles import", str(tmp_path / "profiles.tar.gz"))
    assert [row["manager_username"] for row in other.rows("profiles list")] == ["bob"]
    other.refused("profiles set-cluster", "nosuch", "--ssh-user", "x", words="")
    other("init", "-r")


def test_sites(cfy):
    cfy("sites create", "london", "--location", "51.5, -0.12")
    cfy("sites create", "hidden", "-l", "private")
    assert cfy.table("sites list") == [
        "name", "location", "visibility", "tenant_name", "created_at", "created_by",
    ]  # fmt: skip
    assert {row["name"]: row["location"] for row in cfy.rows("sites list")}["london"] == "51.5, -0.12"
    cfy("sites update", "london", "--location", "48.1,11.5", "--new-name", "munich")
    assert cfy.one("sites get", "munich")["location"] == "48.1, 11.5"
    cfy.refused("sites create", "munich", words="already exists")
    cfy.refused("sites create", "nowhere", "--location", "100,200", words="Invalid latitude")
    cfy("sites delete", "munich")
    cfy("sites delete", "hidden")
    cfy.refused("sites get", "munich", words="was not found", ends_with_zero=True)
