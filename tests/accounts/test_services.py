"""Users, groups, tenants, memberships and the first administrator."""

import io
import sys

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import CommandError

from accounts import services
from accounts.actors import SYSTEM
from accounts.errors import Conflict
from accounts.models import AuditEntry, Membership, SystemRole, Tenant, User
from tests import factories
from tests.factories import PASSWORD, actor

pytestmark = pytest.mark.django_db


def test_the_default_tenant_exists():
    assert Tenant.objects.filter(name="default_tenant").exists()


def test_passwords_are_kept_with_argon2(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    user = services.create_user(by=SYSTEM, username="zoe", password=PASSWORD)
    assert user.password.startswith("argon2$argon2id$")


@pytest.mark.parametrize(
    ("password", "words"),
    [("short", "at least 10"), ("password1234", "too common"), ("zoe-the-user", "too similar"), ("x" * 300, "256")],
)
def test_weak_passwords_are_refused_in_words(password, words):
    with pytest.raises(ValidationError, match=words):
        services.create_user(by=SYSTEM, username="zoe-the-user", password=password)


def test_a_user_name_is_taken_once(alice):
    with pytest.raises(Conflict, match="alice already"):
        services.create_user(by=SYSTEM, username="alice", password=PASSWORD)


def test_changes_of_a_user_are_audited_with_before_and_after(admin, alice):
    services.change_user(by=actor(admin), user=alice, full_name="Alice A.", email="a@example.com")
    entry = AuditEntry.objects.get(action="user.change")
    assert (entry.actor, entry.chain) == ("admin", "")
    assert entry.before == {"full_name": "", "email": ""}
    assert entry.after == {"full_name": "Alice A.", "email": "a@example.com"}


def test_a_change_that_changes_nothing_is_not_audited(admin, alice):
    services.change_user(by=actor(admin), user=alice, full_name="")
    assert not AuditEntry.objects.filter(action="user.change").exists()


@pytest.mark.parametrize("end", [lambda admin: services.change_user(by=SYSTEM, user=admin, is_active=False),
                                 lambda admin: services.change_user(by=SYSTEM, user=admin, role="default"),
                                 lambda admin: services.delete_user(by=SYSTEM, user=admin)])  # fmt: skip
def test_the_last_administrator_stays(admin, end):
    with pytest.raises(Conflict, match="No system administrator would be left"):
        end(admin)
    admin = User.objects.get(username="admin")
    assert admin.is_active and admin.is_sys_admin
    factories.admin("second")
    end(admin)


def test_a_new_password_ends_the_sessions_made_with_the_old_one(client, alice):
    client.force_login(alice)
    assert client.get("/api/v1/me/").status_code == 200
    services.set_password(by=SYSTEM, user=alice, password="another-long-password")
    assert client.get("/api/v1/me/").status_code == 401


def test_a_tenant_with_contents_is_not_deleted_and_says_what_is_in_it(acme, admin):
    from inventory.models import Site

    Site.objects.create(tenant=acme, name="London")
    factories.secret(acme)
    factories.secret(acme)
    with pytest.raises(Conflict, match="2 secrets") as refused:
        services.delete_tenant(by=actor(admin), tenant=acme)
    assert "1 site" in str(refused.value)


def test_an_empty_tenant_goes_with_its_roles_and_leaves_its_trail(acme, alice, admin):
    entries = AuditEntry.objects.filter(chain="acme").count()
    services.delete_tenant(by=actor(admin), tenant=acme)
    assert not Membership.objects.filter(user=alice).exists()
    assert AuditEntry.objects.filter(chain="acme").count() == entries > 0


def test_the_default_tenant_is_not_deleted(admin):
    with pytest.raises(Conflict, match="always exists"):
        services.delete_tenant(by=actor(admin), tenant=factories.tenant("default_tenant"))


@pytest.mark.parametrize("name", ["users", "user-groups"])
def test_tenants_are_not_named_like_addresses_of_the_wire(name):
    with pytest.raises(ValidationError, match="address"):
        services.create_tenant(by=SYSTEM, name=name)


def test_giving_the_same_role_again_changes_nothing(acme, alice):
    count = AuditEntry.objects.count()
    first = services.set_membership(by=SYSTEM, tenant=acme, user=alice, role="user")
    again = services.set_membership(by=SYSTEM, tenant=acme, user=alice, role="user")
    assert first == again and AuditEntry.objects.count() == count
    services.set_membership(by=SYSTEM, tenant=acme, user=alice, role="viewer")
    assert AuditEntry.objects.filter(chain="acme").first().after == {"role": "viewer"}


def test_a_role_is_given_to_a_user_or_a_group(acme, alice):
    for who in ({}, {"user": alice, "group": factories.group()}):
        with pytest.raises(ValidationError, match="one of the two"):
            services.set_membership(by=SYSTEM, tenant=acme, role="user", **who)
    with pytest.raises(ValidationError, match="manager, user, operations, viewer"):
        services.set_membership(by=SYSTEM, tenant=acme, role="boss", user=alice)


def test_the_first_administrator_gets_a_one_time_password_that_is_printed_once(client, capsys):
    call_command("first_admin")
    told = capsys.readouterr().out
    password = told.split("One-time password:")[1].split()[0]
    user = User.objects.get(username="admin")
    assert user.role == SystemRole.SYS_ADMIN and user.must_change_password and user.check_password(password)
    call_command("first_admin")
    again = capsys.readouterr().out
    assert "nothing was changed" in again and password not in again
    assert password not in str(list(AuditEntry.objects.values()))


def test_the_first_password_may_come_from_standard_input(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("a-password-from-a-script\n"))
    call_command("first_admin", "--password-stdin", "--username", "root")
    user = User.objects.get(username="root")
    assert user.check_password("a-password-from-a-script") and not user.must_change_password
    assert "a-password-from-a-script" not in capsys.readouterr().out


@pytest.mark.parametrize(("given", "words"), [("\n", "empty"), ("short\n", "at least 10")])
def test_a_first_password_that_cannot_be_is_refused(monkeypatch, given, words):
    monkeypatch.setattr(sys, "stdin", io.StringIO(given))
    with pytest.raises(CommandError, match=words):
        call_command("first_admin", "--password-stdin")
    assert not User.objects.exists()


def test_whether_there_is_an_administrator_can_be_asked_without_making_one():
    with pytest.raises(CommandError, match="no system administrator yet"):
        call_command("first_admin", "--check")
    assert not User.objects.exists()
    call_command("first_admin")
    call_command("first_admin", "--check")
