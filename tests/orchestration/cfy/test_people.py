"""Tenants, users, groups and tokens by `cfy`: premium in the old system, part of the product here."""

from __future__ import annotations

from tests.orchestration.running import PASSWORD


def named(rows, key, name):
    return next(row for row in rows if row[key] == name)


def test_tenants_and_who_is_in_them(cfy, cfy_of):
    cfy("tenants create", "blue")
    cfy.refused("tenants create", "blue", words="already exists")
    assert cfy.table("tenants list") == ["name", "groups", "users"]
    cfy("tenants add-user", "bob", "-t", "blue", "-r", "viewer")
    assert "already associated" in cfy("tenants add-user", "bob", "-t", "blue", "-r", "user").words
    cfy("tenants update-user", "bob", "-t", "blue", "-r", "operations")
    cfy("user-groups create", "painters")
    cfy("user-groups add-user", "vera", "-g", "painters")
    cfy("tenants add-user-group", "painters", "-t", "blue", "-r", "user")
    cfy("tenants update-user-group", "painters", "-t", "blue", "-r", "manager")
    told = cfy.one("tenants get", "blue", "--get-data")
    assert told["direct users"] == "'bob': 'operations'" and told["groups"] == "'painters': 'manager'"
    assert "'vera'" in told["group users"]
    assert {"name": "blue", "groups": 1, "users": 1} in cfy.rows("tenants list", "-s", "50")
    assert {row["name"] for row in cfy_of("bob").rows("tenants list")} == {"default_tenant", "t2", "blue"}
    cfy_of("bob").refused("tenants create", "green", words="not permitted")
    cfy_of("bob").refused("tenants get", "empty", words="was not found")
    cfy("tenants remove-user", "bob", "-t", "blue")
    assert "is not associated" in cfy("tenants remove-user", "bob", "-t", "blue").words
    cfy("tenants remove-user-group", "painters", "-t", "blue")
    cfy("user-groups delete", "painters")
    cfy("tenants delete", "blue")
    cfy.refused("tenants get", "blue", words="was not found")


def test_users(cfy, cfy_of):
    cfy("users create", "uwe", "-p", PASSWORD, "-r", "default", "-t", "default_tenant", "-l", "user")
    cfy.refused("users create", "uwe", "-p", PASSWORD, words="already exists")
    cfy.refused("users create", "short", "-p", "abc", words="too short")
    columns = ["username", "groups", "system wide role", "system wide roles via groups", "active", "last_login_at"]
    assert cfy.table("users list") == [*columns, "is_locked", "tenants"]
    assert named(cfy.rows("users list"), "username", "uwe")["tenants"] == 1
    cfy("users set-role", "uwe", "-r", "sys_admin")
    assert cfy.one("users get", "uwe", "--get-data")["user_tenants"] == "'default_tenant': 'user'"
    cfy("users set-role", "uwe", "-r", "default")
    cfy("users set-password", "uwe", "-p", "another-" + PASSWORD)
    assert "already active" in cfy("users activate", "uwe").words
    cfy("users deactivate", "uwe")
    assert named(cfy.rows("users list"), "username", "uwe")["active"] is False
    cfy("users activate", "uwe")
    assert "already unlocked" in cfy("users unlock", "uwe").words
    cfy_of("bob").refused("users list", words="not permitted")
    cfy_of("bob").refused("users get", "admin", words="was not found")
    assert cfy_of("bob").one("users get", "bob")["username"] == "bob"
    cfy("users delete", "uwe")
    cfy.refused("users get", "uwe", words="was not found")


def test_groups_of_users(cfy):
    cfy("user-groups create", "crew", "-r", "default")
    cfy("user-groups add-user", "nora", "-g", "crew")
    assert "already associated" in cfy("user-groups add-user", "nora", "-g", "crew").words
    cfy("user-groups set-role", "crew", "-r", "sys_admin")
    assert cfy.table("user-groups list") == ["name", "role", "tenants", "users"]
    assert cfy.one("user-groups get", "crew", "--get-data") == {
        "name": "crew", "role": "sys_admin", "tenants": "", "users": ["nora"],
    }  # fmt: skip
    assert cfy.one("users get", "nora")["system wide roles via groups"] == {"sys_admin": ["crew"]}
    cfy.refused("user-groups create", "far", "-l", "cn=far,dc=example", words="LDAP")
    cfy("user-groups remove-user", "nora", "-g", "crew")
    cfy("user-groups delete", "crew")


def test_tokens(cfy):
    token = cfy.one("tokens create", "-d", "for a script", "-e", "+2h")
    assert token["value"].startswith("ctok-") and token["expiration_date"]
    assert cfy.one("tokens get", token["id"])["description"] == "for a script"
    assert set(cfy.table("tokens list")) >= {"id", "role", "description", "expiration_date", "last_used"}
    cfy.refused("tokens create", "-e", "2001-01-01 00:00", words="in the past")
    cfy("tokens delete", token["id"])
    cfy.refused("tokens get", token["id"], words="was not found")
