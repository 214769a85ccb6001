"""Roles of a node that are no virtual machines."""

from commands.drain.roles import other_roles
from commands.sources.cluster import Group, RoleResource
from tests.support.counted import CountedName


def test_of_thousands_of_roles_each_has_its_resources_looked_up_and_not_compared_with_all():
    many = 2_000
    groups = [Group(CountedName(f"Role-{at}"), "n1", locked=False, is_guest=False) for at in range(many)]
    held = [RoleResource(f"r-{at}", "Generic Service", CountedName(f"role-{at}")) for at in range(many)]
    CountedName.times = 0
    found = other_roles(groups, "n1", held)
    assert [role.resources for role in found] == [(one,) for one in held]
    assert CountedName.times <= 3 * many
