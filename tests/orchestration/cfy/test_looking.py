"""What a manager says of itself, by `cfy`: status, configuration, permissions, audit, license."""

from __future__ import annotations

import json


def test_status(cfy):
    assert cfy.table("status") == ["service", "status"]
    assert cfy.one("status")["status"] == "OK"
    assert cfy.one("cluster status")["status"] == "OK"
    assert "deactivated" in cfy("maintenance-mode status").words
    cfy.refused("maintenance-mode activate", words="There is no maintenance mode")
    cfy.refused("maintenance-mode deactivate", words="There is no maintenance mode")


def test_configuration_is_read_and_not_changed(cfy):
    assert cfy.table("config list") == ["name", "value", "scope", "updated_at", "is_editable", "admin_only"]
    cfy.refused("config update", "{'task_retries': 3}", words="a setting of this installation")


def test_permissions_are_read_and_changed_at_once(cfy, cfy_of):
    rows = {row["permission"]: row["roles"] for row in cfy.rows("permissions list")}
    assert rows["tenant.manage"] == ["sys_admin"] and "viewer" in rows["deployment.view"]
    assert {row["permission"] for row in cfy.rows("permissions list", "--role", "viewer")} < set(rows)
    vera = cfy_of("vera")
    vera.refused("secrets create", "veras", "-s", "x", words="not permitted")
    cfy("permissions allow", "--role", "viewer", "--permission", "secret.change")
    vera("secrets create", "veras", "-s", "x")
    cfy("permissions disallow", "--role", "viewer", "--permission", "secret.change")
    vera.refused("secrets delete", "veras", words="not permitted")
    cfy("secrets delete", "veras")
    cfy.refused("permissions disallow", "--role", "sys_admin", "--permission", "secret.view", words="locked out")
    cfy.refused("permissions allow", "--role", "viewer", "--permission", "user.manage", words="beyond one tenant")
    vera.refused("permissions allow", "--role", "viewer", "--permission", "secret.change", words="not permitted")


def test_no_license_is_needed(cfy, tmp_path):
    assert "Manager is licensed" in cfy("license check").words
    assert cfy.rows("license list") == []
    file = tmp_path / "license.yaml"
    file.write_text("license: {}")
    cfy.refused("license upload", str(file), words="needs no license")
    cfy.refused("license remove", words="needs no license")
    assert cfy.rows("license environments list") == []
    assert "count: 0" in cfy("license environments count").words


def test_the_audit_trail(cfy, cfy_of, manager):
    cfy("sites create", "audited")
    cfy("sites delete", "audited")
    assert cfy.table("auditlog list") == ["operation", "ref_object", "creator_name", "execution_id", "created_at"]
    assert {row["creator_name"] for row in cfy.rows("auditlog list", "-c", "admin")} == {"admin"}
    cfy_of("vera").refused("auditlog list", words="not permitted")
    follow_the_trail(cfy, manager)
    cfy.refused("auditlog truncate", "-b", "now", words="cannot be cut")


def test_who_signs_in_how(cfy):
    assert "local" in cfy("idp get").words
    assert "disabled" in cfy("ldap status").words
    cfy.refused("ldap set", "-s", "ldap://nowhere", "-d", "example", words="asks no LDAP server")


def test_members_of_a_cluster_are_listed_and_changed_elsewhere(cfy):
    assert isinstance(cfy.rows("cluster managers list"), list)
    assert isinstance(cfy.rows("cluster brokers list"), list)
    assert isinstance(cfy.rows("cluster db-nodes list"), list)
    assert isinstance(cfy.rows("managers list"), list)
    assert isinstance(cfy.rows("db-nodes list"), list)
    cfy("cluster update-profile")
    cfy.refused("cluster brokers get", "b1", words="is not a broker in the cluster")
    cfy.refused("cluster brokers remove", "b1", words="is not a broker in the cluster")
    cfy.refused("cluster remove", "m1", words="is not a manager in the cluster")
    cfy.refused("cluster brokers add", "b1", "10.0.0.1", words="Members of a cluster are added")
    cfy.refused("cluster brokers update", "b1", "-n", "{}", words="is not a broker in the cluster")
    cfy.refused("cluster db-nodes update", words="Members of a cluster are added")
    cfy.refused("db-nodes update", words="Members of a cluster are added")


def follow_the_trail(cfy, manager):
    """What is done while somebody follows is told to them at once; others are told why they may not."""
    path = "/audit/stream?creator_name=admin"
    with manager.call("GET", path, stream=True) as reply:
        assert reply.status_code == 200 and reply.headers["Content-Type"] == "text/event-stream"
        told = (json.loads(line) for line in reply.iter_lines() if line.strip())
        manager.call("PUT", "/sites/followed", json={})
        assert next(row for row in told if row["ref_identifier"]["id"] == "followed")["operation"] == "create"
    assert manager.call("GET", path, user="vera").status_code == 403
    said = cfy.say("auditlog list", "--follow", "--since", "1h", "--timeout", "5")
    assert "user admin CREATED" in said.words and "followed" not in said.err
    manager.call("DELETE", "/sites/followed")
