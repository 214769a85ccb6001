"""What has to be so just before a package is changed or a node restarts."""

import pytest

from bot.api.rows import CellError
from bot.api.updates import UpdateStep
from bot.tickets.conditions import unmet
from commands.drain.facts import DrainFacts
from commands.patch_fix.facts import NodeFacts
from commands.patch_fix.needs import Change, Need, NodeNeed
from commands.patch_fix.steps import groups_of
from commands.sources.cluster import Cluster, Node
from commands.sources.packages import PackageFile
from commands.sources.updates import Build, NodeUpdates

KB, IDENTITY = "KB3063843", "Package_for_KB3063843~31bf3856ad364e35~amd64~~6.3.1.0"
HOST = {"Name": "HV02", "ElementName": "HV02", "EnabledState": "2"}
GUEST = "11743591-F14D-5833-B66A-C1ECB5E81B39"


@pytest.fixture
def empty():
    """The check of a restart that asks the host itself for what it runs."""
    node = Node("hv02", 9600)
    facts = NodeFacts(
        node,
        {KB: PackageFile(IDENTITY, applies=True)},
        None,
        NodeUpdates(Build(9600, 1), frozenset(), ()),
        None,
        renames=False,
        drain=DrainFacts("hv02", 9600, Cluster("prod", (node,))),
        old=None,
        blocked=None,
    )
    need = NodeNeed("hv02", Need.FIX, f"lacks {KB}", (Change(UpdateStep("add", KB)),))
    first, _ = groups_of("prod", need, facts, (node,), {(KB, 9600): "C:\\x.cab"})
    restart = next(step for step in first.steps if step.key.startswith("restart"))
    return next(check for check in restart.guard if check.description == "no virtual machine runs on hv02")


@pytest.mark.parametrize("state", ["2", "9", None, ""])
def test_a_node_is_not_restarted_over_a_machine_that_does_not_say_that_it_is_off(empty, state):
    try:
        assert unmet(empty, (HOST, {"Name": GUEST, "ElementName": "left behind", "EnabledState": state}), {})
    except CellError:  # that is no answer
        assert state == ""


def test_a_node_is_not_restarted_over_a_machine_whose_id_is_not_told(empty):
    assert unmet(empty, (HOST, {"Name": None, "ElementName": "left behind", "EnabledState": "2"}), {})


def test_a_node_that_lists_not_even_itself_is_not_taken_for_empty(empty):
    """An account without the right sees an empty namespace."""
    assert unmet(empty, (), {}) == ("no row, expected at least 1",)
    assert not unmet(empty, (HOST,), {})


def test_what_is_off_and_the_host_itself_hold_no_restart(empty):
    assert not unmet(empty, (HOST, {"Name": GUEST, "ElementName": "off", "EnabledState": "3"}), {})
    assert not unmet(empty, ({**HOST, "EnabledState": None},), {})
