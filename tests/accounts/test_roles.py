"""The matrix of roles and actions, from the genuine manager."""

import pytest

from accounts import services
from accounts.actors import SYSTEM
from accounts.models import SystemRole
from accounts.roles import (
    ACTIONS,
    OPEN_ACTIONS,
    first_tenant,
    may,
    read_access,
    remember_access,
    tenant_named,
    tenants_of,
)
from tests import factories

pytestmark = pytest.mark.django_db

# action: who may besides a system administrator, of m(anager), u(ser), o(perations), v(iewer).
MATRIX = {
    # list and get
    "deployment.view": "muov",
    "environment.view": "muov",
    "site.view": "muov",
    "cluster.view": "muov",
    "filter.view": "muov",
    "service.view": "muov",
    "rollout.view": "muov",
    "run.view": "muov",
    "blueprint.view": "muov",
    "execution.view": "muov",
    "secret.view": "muov",
    # deployments, executions, filters
    "deployment.change": "muo",
    "execution.start": "muo",
    "rollout.start": "muo",
    "run.control": "muo",
    "filter.change": "muo",
    "environment.probe": "muo",
    # blueprints, secrets, sites, and what stores credentials
    "blueprint.change": "mu",
    "service.change": "mu",
    "secret.change": "mu",
    "site.change": "mu",
    "environment.change": "mu",
    # becoming root on hosts
    "cluster.change": "m",
    # others' private rows, hidden values
    "private.see": "m",
    "secret.see_hidden": "m",
    "secret.read_value": "m",
    "audit.view": "m",
    "membership.view": "m",
    # system administrators
    "membership.change": "",
    "user.manage": "",
    "tenant.manage": "",
    "global.create": "",
    "permission.manage": "",
    "installation.manage": "",
}
ROLES = {"m": "manager", "u": "user", "o": "operations", "v": "viewer"}


def test_the_matrix_speaks_of_every_action():
    assert set(MATRIX) == set(ACTIONS)


@pytest.mark.parametrize("action", MATRIX)
def test_each_role_may_what_the_matrix_says_and_nothing_else(action, acme, other, admin):
    allowed = set()
    for letter, role in ROLES.items():
        person = factories.user(f"a-{role}")
        factories.member(person, acme, role)
        if may(person, action, acme):
            allowed.add(letter)
        assert not may(person, action, other), "a role ends where its tenant ends"
        assert not may(person, action, None)
    assert allowed == set(MATRIX[action])
    assert may(admin, action, acme) and may(admin, action, None)


@pytest.mark.parametrize("action", sorted(OPEN_ACTIONS))
def test_who_is_signed_in_may_the_open_actions_without_any_role(action):
    assert may(factories.user(), action, None)


def test_roles_through_groups_add_up(acme):
    person = factories.user("gina")
    factories.member(person, acme, "viewer")
    team = factories.group("team", users=[person])
    assert not may(person, "rollout.start", acme)
    services.set_membership(by=SYSTEM, tenant=acme, group=team, role="operations")
    assert may(person, "rollout.start", acme)
    assert not may(person, "secret.change", acme)


def test_a_group_may_make_system_administrators(acme):
    person = factories.user("gina")
    factories.group("root", role=SystemRole.SYS_ADMIN, users=[person])
    assert may(person, "user.manage") and tenants_of(person)[0] is not None


def test_who_is_switched_off_may_nothing(alice, acme, admin):
    services.change_user(by=SYSTEM, user=alice, is_active=False)
    assert not may(alice, "deployment.view", acme) and not may(alice, "installation.view")


def test_a_misspelt_action_is_an_error_and_not_a_refusal(alice, acme):
    with pytest.raises(KeyError, match=r"deployment\.veiw"):
        may(alice, "deployment.veiw", acme)


def test_access_is_read_in_three_queries_whatever_the_number_of_tenants(alice, django_assert_num_queries):
    for n in range(20):
        factories.member(alice, factories.tenant(f"t{n}"), "viewer")
    with django_assert_num_queries(3):
        access = read_access(alice)
    assert len(access.tenants) == 21


def test_what_is_remembered_for_a_request_asks_the_database_no_more(alice, acme, django_assert_num_queries):
    remember_access(alice)
    with django_assert_num_queries(0):
        assert (
            may(alice, "deployment.view", acme) and tenants_of(alice) == [acme] and tenant_named(alice, "acme") == acme
        )


def test_the_first_tenant_is_the_default_one_where_it_is_ones_own(alice, acme):
    assert first_tenant(alice) == acme
    default = factories.tenant("default_tenant")
    factories.member(alice, default, "viewer")
    assert first_tenant(alice) == default
    assert first_tenant(factories.user()) is None
