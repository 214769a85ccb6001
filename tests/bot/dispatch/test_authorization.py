"""Closed by default, and open exactly where the settings say so."""

import itertools

import pytest

from bot.api.command import Role
from bot.dispatch.authorization import Accounts, Person, require_role
from bot.errors import PermissionDenied


def person(**roles) -> Person:
    return Person("T1/U1", "somebody", {Role[name.upper()]: frozenset(places) for name, places in roles.items()})


def test_nobody_may_do_anything():
    for role, place in itertools.product(Role, ["prod", None]):
        with pytest.raises(PermissionDenied):
            require_role(Person("T1/U9", "nobody"), role, place)


def test_an_empty_rule_refuses():
    with pytest.raises(PermissionDenied, match=r"You have no role in hvops\. Ask your hvops administrator"):
        require_role(person(viewer=[]), Role.VIEWER)


def test_a_stranger_is_told_whom_to_ask_and_no_place():
    stranger = Person("T1/U9", "nobody", contact="#it-oncall")
    with pytest.raises(PermissionDenied) as refused:
        require_role(stranger, Role.OPERATOR, "prod")
    assert str(refused.value) == "You have no role in hvops. Ask #it-oncall if you need one."
    barred = Person("T1/U9", "nobody", barred="This account is deactivated in Slack.")
    with pytest.raises(PermissionDenied) as refused:
        require_role(barred, Role.OPERATOR, "prod")
    assert "prod" not in str(refused.value)
    assert "This account is deactivated in Slack." in str(refused.value)


@pytest.mark.parametrize("needed", [Role.VIEWER, Role.OPERATOR, Role.APPROVER])
@pytest.mark.parametrize("held", ["viewer", "operator", "approver"])
def test_a_higher_role_may_what_a_lower_one_may(held, needed):
    somebody = person(**{held: ["prod"]})
    if Role[held.upper()] >= needed:
        require_role(somebody, needed, "prod")
    else:
        with pytest.raises(
            PermissionDenied, match=rf"needs the {needed.name.lower()} role on prod; you are an? {held} on prod"
        ):
            require_role(somebody, needed, "prod")


def test_a_role_holds_only_where_it_was_given():
    somebody = person(approver=["branch"], viewer=["*"])
    require_role(somebody, Role.VIEWER, "prod")
    require_role(somebody, Role.APPROVER, "BRANCH")
    with pytest.raises(PermissionDenied, match=r"\[roles\.operator\]"):
        require_role(somebody, Role.OPERATOR, "prod")


def test_overlapping_rules_add_up_and_never_widen():
    somebody = person(viewer=["prod"], operator=["branch"])
    assert somebody.role_on("prod") is Role.VIEWER
    assert somebody.role_on("branch") is Role.OPERATOR
    assert somebody.role_on("elsewhere") is Role.NOBODY


def test_asking_for_no_role_is_no_way_in():
    with pytest.raises(PermissionDenied):
        require_role(person(approver=["*"]), Role.NOBODY, "prod")


def test_accounts_that_share_one_are_one_persons():
    known = Accounts([("U1", "U9"), ("U3", "U4"), ("os:anna", "U9")])
    assert known.others("T1/U1") == ("U9", "os:anna")
    assert known.are_one("T1/U1", "os:anna")
    assert known.are_one("os:anna", "T5/U9")
    assert known.are_one("T1/U5", "T2/U5")  # a member of several workspaces has one id in all of them
    assert not known.are_one("T1/U1", "T1/U3")
    assert not known.are_one("os:U1", "U1")
    assert known.others("T1/U5") == ()
