"""Roles of one anti-affinity class take a node each where the rule is enforced; where it is a wish, a drain only says so."""

import pytest

from bot.api.facts import Unknown
from bot.api.plan import GateOutcome
from commands.drain.apart import allowed_nodes, roles_are_kept_apart
from commands.sources.cluster import Group, Resource
from commands.sources.nodes import NodeState
from commands.sources.quorum import ClusterSettings
from tests.support.counted import CountedList

SILENT = Unknown("prod", "timed out", "no answer in 20 s.")
ENFORCED, WISH, UNTOLD = (ClusterSettings(1, keeps_apart) for keeps_apart in (True, False, None))
BLOCKED, PASSED, NOT_KNOWN = GateOutcome.BLOCKED, GateOutcome.PASSED, GateOutcome.NOT_KNOWN


def role(name, owner, *apart, state=0):
    return Group(name, owner, locked=False, is_guest=True, state=state, apart=apart)


def node(name, state=0):
    return NodeState(name, state, 0, votes=True, build=17763, status=0)


DC1, DC2, DC3 = role("dc-01", "n1", "DC"), role("dc-02", "N2", "dc"), role("dc-03", "n3", "DC", "spare")
PLAIN = role("app", "n1")
OTHERS = (node("n2"), node("n3"))


def judge(groups, others=OTHERS, settings=ENFORCED, allowed=None):
    return roles_are_kept_apart("N1", groups, others, settings, {} if allowed is None else allowed)


FULL = (DC1, DC2, DC3, PLAIN)
MET = "dc-01 would meet dc-02 on n2, dc-03 on n3"
CASES = {
    "every node is taken": (FULL, OTHERS, {}, BLOCKED, MET),
    "one is free": ((DC1, DC2, PLAIN), OTHERS, {}, PASSED, ""),
    "the free one is paused": ((DC1, DC2), (node("n2"), node("n3", 2)), {}, BLOCKED, "dc-01 would meet dc-02 on n2"),
    "the role may not be on the free one": (
        (DC1, DC2),
        OTHERS,
        {"dc-01": frozenset({"n2"})},
        BLOCKED,
        "dc-01 would meet dc-02 on n2",
    ),
    "another class": ((DC1, role("w", "n2", "WEB"), role("x", "n3", "WEB")), OTHERS, {}, PASSED, ""),
    "no class on the node": ((PLAIN, DC2, DC3), OTHERS, {}, PASSED, "no role has such a class"),
    "a role that is offline": ((role("dc-01", "n1", "DC", state=1), DC2, DC3), OTHERS, {}, PASSED, None),
    "two of one class, two free nodes": ((DC1, role("dc-04", "n1", "DC")), OTHERS, {}, PASSED, ""),
    "two of one class, one of them bound": (
        (DC1, role("dc-04", "n1", "DC")),
        OTHERS,
        {"dc-04": frozenset({"n2"})},
        PASSED,
        "",
    ),
    "three of one class, two free nodes": (
        (DC1, role("dc-04", "n1", "DC"), role("dc-05", "n1", "DC")),
        OTHERS,
        {},
        BLOCKED,
        "dc-05 has no node left",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_where_the_rule_is_enforced(case):
    groups, others, allowed, outcome, told = CASES[case]
    found = judge(groups, others, allowed=allowed)
    assert (found.outcome, found.blocks) == (outcome, True)
    assert told is None or found.measured.removeprefix("the rule is enforced: ") == told


def test_a_wish_only_warns():
    found = judge(FULL, settings=WISH)
    assert (found.outcome, found.blocks_plan, found.measured) == (BLOCKED, False, f"a wish that is not enforced: {MET}")


@pytest.mark.parametrize("settings", [UNTOLD, SILENT])
def test_a_rule_that_nobody_told_is_asked_by_name_where_it_matters(settings):
    found = judge(FULL, settings=settings)
    assert (found.outcome, found.is_open) == (NOT_KNOWN, True)
    assert [one.what for one in found.unknowns] == ["whether the cluster enforces anti-affinity"]
    assert judge((DC1, DC2), settings=settings).passed


def test_silence_never_passes():
    assert judge(SILENT).outcome is NOT_KNOWN
    assert judge((DC1, DC2), SILENT).outcome is NOT_KNOWN
    open_ = judge((DC1, DC2), allowed=SILENT)
    assert (open_.outcome, [one.what for one in open_.unknowns]) == (NOT_KNOWN, ["possible owners of prod"])
    assert judge(FULL, allowed=SILENT).outcome is BLOCKED


def test_a_role_may_be_where_all_of_its_resources_may_be():
    resources = [Resource(name, name, "Dc-01", "n1", locked=False) for name in ("a", "B", "c")]
    owners = {"a": frozenset({"n1", "n2"}), "b": frozenset({"n2", "n3"})}
    assert allowed_nodes(resources, owners) == {"dc-01": frozenset({"n2"})}
    assert allowed_nodes(SILENT, owners) is SILENT
    assert allowed_nodes(resources, SILENT) is SILENT


@pytest.mark.parametrize("shared", [False, True])
def test_of_thousands_of_roles_each_is_looked_up_and_not_compared_with_all(shared):
    """A cluster can tell tens of thousands of them, each with a class of its own, or all with the same."""
    many = 2_000
    groups = [
        Group(
            f"role-{at}", "n1", locked=False, is_guest=True, state=0, apart=CountedList(("dc" if shared else f"c{at}",))
        )
        for at in range(many)
    ]
    CountedList.times = 0
    found = judge(groups)
    assert found.outcome is (BLOCKED if shared else PASSED)
    assert CountedList.times < 20 * many


def test_who_sits_where_another_may_go_alone_makes_room():
    """The first takes the node that only the second may have, and moves on."""
    groups = (DC1, role("dc-04", "n1", "DC"), role("dc-05", "n1", "DC"))
    others = (*OTHERS, node("n4"))
    allowed = {"dc-04": frozenset({"n2", "n3"}), "dc-05": frozenset({"n2"})}
    assert judge(groups, others, allowed=allowed).outcome is PASSED
    allowed["dc-01"] = frozenset({"n3", "n2"})
    assert judge(groups, others, allowed=allowed).outcome is BLOCKED
