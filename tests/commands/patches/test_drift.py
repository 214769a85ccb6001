"""Who differs, and which trap that springs."""

import pytest

from bot.api.facts import Unknown
from commands.patches.drift import drifts, needing_disks, triggered_issues
from commands.patches.levels import by_release, in_rolling_upgrade, usual_build, with_unknown_track
from commands.sources.updates import Build, NodeUpdates

SP1 = Build(7601, None)
BOTH = ("KB2607712", "KB2616676", "KB2636573")


def node(*kbs, build=SP1):
    return NodeUpdates(build, frozenset(kbs), ())


def test_nodes_without_what_most_list_differ_and_so_does_one_with_what_few_list():
    nodes = {"a": node("KB1", "KB2"), "b": node("KB1"), "c": node("KB1", "KB3"), "d": node("KB3")}
    assert {one.kb: one.odd_ones for one in drifts(nodes)} == {"KB1": ("d",), "KB2": ("a",), "KB3": ("a", "b")}


def test_of_two_nodes_the_one_without_it_differs():
    assert [one.odd_ones for one in drifts({"a": node("KB1"), "b": node()})] == [("b",)]


def test_updates_come_by_number():
    assert [one.kb for one in drifts({"a": node("KB10000", "KB9999", "KB9999-v2"), "b": node()})] == [
        "KB9999",
        "KB9999-v2",
        "KB10000",
    ]


def test_asked_for_updates_are_said_even_where_no_node_lists_them():
    (here, nowhere) = drifts({"a": node("KB1"), "b": node()}, ["KB7", "KB1"])
    assert (here.kb, here.lacking) == ("KB1", ("b",))
    assert (nowhere.kb, nowhere.having, nowhere.lacking) == ("KB7", (), ("a", "b"))
    assert drifts({"a": node("KB1")}, ["KB1"]) == ()
    assert drifts({}, ["KB1"]) == ()


def test_the_usual_build_is_that_of_most_and_of_two_the_newer_one():
    assert usual_build({}) is None
    assert usual_build({"a": node(), "b": node(build=Build(7600, None)), "c": node()}) == SP1
    assert usual_build({"a": node(build=Build(14393, 9)), "b": node(build=Build(14393, 10))}) == Build(14393, 10)


@pytest.mark.parametrize(
    ("number", "hotpatched", "comparable"),
    [
        (9600, {}, True),
        (14393, {}, True),
        (17763, {}, True),
        (20348, {}, False),
        (26100, {"a": True}, False),
        (26100, {"a": True, "b": None}, False),
        (26100, {"a": True, "b": True}, True),
        (29999, {}, False),
    ],
)
def test_revisions_compare_on_one_track_only(number, hotpatched, comparable):
    nodes = {"a": node(build=Build(number, 1)), "b": node(build=Build(number, 2))}
    (release,) = by_release(nodes, hotpatched)
    assert release.is_comparable is comparable
    assert release.odd == (("a",) if comparable else ())
    assert with_unknown_track(nodes) == (("a", "b") if number >= 20348 else ())


def test_nodes_at_one_revision_compare_whatever_their_track():
    nodes = {"a": node(build=Build(26100, 7)), "b": node(build=Build(26100, 7))}
    assert by_release(nodes)[0].is_comparable
    assert with_unknown_track(nodes) == ()


def test_nodes_of_two_windows_are_two_releases_each_with_its_own_usual_build():
    nodes = {
        "a": node(build=Build(14393, 1)),
        "b": node(build=Build(14393, 2)),
        "c": node(build=Build(14393, 2)),
        "d": node(build=Build(17763, 9)),
    }
    old, new = by_release(nodes)
    assert (old.usual, old.odd, tuple(new.nodes), new.odd) == (Build(14393, 2), ("a",), ("d",), ())
    assert in_rolling_upgrade((old, new))
    assert not in_rolling_upgrade(by_release({"a": node(), "b": node(build=Build(9600, 1))}))


@pytest.mark.parametrize(
    ("one", "springs"),
    [
        (node("KB2616676", "KB2636573"), True),
        (node("KB2616676", "KB2636573", build=Build(7600, None)), True),
        (node(*BOTH), False),
        (node("KB2636573"), False),
        (node("KB2616676", "KB2616676-v2", "KB2636573"), False),
        (node("KB2616676", build=Build(9200, None)), False),
        (node("KB2616676", build=Build(6002, None)), False),
        (node("KB2616676", build=Build(20348, 1)), False),
    ],
)
def test_the_superseded_update_springs_only_where_it_applies(one, springs):
    found = triggered_issues({"hv02": one}, {})
    assert [trap.trap.key for trap in found] == (["KB2616676"] if springs else [])
    if springs:
        assert found[0].nodes == ("hv02",)
        assert found[0].trap.by_hand == ("remove KB2616676", "install KB2607712", "reinstall KB2616676")


def test_the_storvsc_trap_needs_guests_with_scsi_disks():
    nodes = {"hv01": node(*BOTH), "hv02": node(*BOTH[:2]), "hv03": node(*BOTH[:2]), "hv04": node(build=Build(9600, 1))}
    assert list(needing_disks(nodes)) == ["hv02", "hv03"]
    (trap,) = triggered_issues(nodes, {"hv02": ("sql-01",), "hv03": ()})
    assert (trap.trap.key, trap.nodes, trap.guests) == ("KB2636573", ("hv02",), ("sql-01",))
    silent = Unknown("hv02", "timed out", "no answer.")
    assert triggered_issues(nodes, {"hv02": silent, "hv03": ()}) == ()
