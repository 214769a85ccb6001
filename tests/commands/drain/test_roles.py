"""Roles of a node that are no virtual machines."""

from commands.drain.roles import other_roles
from commands.sources.cluster import Group, RoleResource


class Name(str):
    """A name that counts how often it is compared without its case."""

    __slots__ = ()
    times = 0

    def casefold(self):
        Name.times += 1
        return super().casefold()


def test_of_thousands_of_roles_each_has_its_resources_looked_up_and_not_compared_with_all():
    many = 2_000
    groups = [Group(Name(f"Role-{at}"), "n1", locked=False, is_guest=False) for at in range(many)]
    held = [RoleResource(f"r-{at}", "Generic Service", Name(f"role-{at}")) for at in range(many)]
    Name.times = 0
    found = other_roles(groups, "n1", held)
    assert [role.resources for role in found] == [(one,) for one in held]
    assert Name.times <= 3 * many
