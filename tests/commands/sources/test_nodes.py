"""States, drains and votes of nodes, whatever numbers come."""

import pytest

from bot.api.facts import Unknown
from bot.api.rows import CellError
from commands.sources.nodes import NodeState, Votes, node_states, node_statuses, votes_without, with_statuses


def node(name, state=0, *, votes=True):
    return NodeState(name, state, 0, votes)


def test_rows_become_nodes_in_order():
    rows = [
        {"Name": "hv2", "State": "2", "NodeDrainStatus": "2", "NodeWeight": "1", "DynamicWeight": "0"},
        {"Name": "HV1", "State": "4294967295", "NodeWeight": "0"},
        {"Name": "hv3"},
    ]
    assert node_states("prod").read(rows) == (
        NodeState("HV1", 4294967295, None, votes=False),
        NodeState("hv2", 2, 2, votes=False),
        NodeState("hv3", None, None, votes=None),
    )
    with pytest.raises(CellError):
        node_states("prod").read([{"Name": ""}])


@pytest.mark.parametrize(
    ("state", "drain", "up", "drained", "word"),
    [
        (0, 0, True, False, "up"),
        (1, 0, False, False, "down"),
        (2, 2, False, True, "paused"),
        (2, 3, False, False, "paused"),
        (2, 1, False, False, "paused"),
        (0, 2, True, False, "up"),
        (3, 0, False, False, "joining"),
        (4294967295, 0, False, False, "in the unknown state 4294967295"),
        (None, None, False, False, "in a state that the cluster does not tell"),
    ],
)
def test_states_in_words(state, drain, up, drained, word):
    one = NodeState("hv1", state, drain, votes=True, build=9600)
    assert (one.is_up, one.is_drained, one.word) == (up, drained, word)


@pytest.mark.parametrize(
    ("nodes", "witness", "left", "suffice"),
    [
        ([node("a"), node("b")], False, Votes(1, 2), False),
        ([node("a"), node("b")], True, Votes(2, 3), True),
        ([node("a"), node("b"), node("c")], False, Votes(2, 3), True),
        ([node("a"), node("b"), node("c", 1)], False, Votes(1, 3), False),
        ([node("a"), node("b", 2), node("c")], False, Votes(2, 3), True),
        ([node("a"), node("b"), node("c", 1, votes=False)], True, Votes(2, 3), True),
        ([node("a")], True, Votes(1, 2), False),
    ],
)
def test_half_of_the_votes_is_no_majority(nodes, witness, left, suffice):
    votes = votes_without(nodes, "A", witness=witness)
    assert votes == left
    assert votes.suffice is suffice


@pytest.mark.parametrize(
    "odd",
    [NodeState("b", 0, 0, votes=None), NodeState("b", 4, 0, votes=True), NodeState("b", None, 0, votes=True)],
)
def test_a_vote_that_nobody_told_is_counted_neither_way(odd):
    assert votes_without([node("a"), odd], "a", witness=True) is None


def down(**over):
    return NodeState("hv1", **{"state": 1, "drain": 0, "votes": True, "build": 17763, "status": 0} | over)


@pytest.mark.parametrize(
    ("one", "known", "word"),
    [
        (down(status=1), True, "isolated"),
        (down(status=2), True, "in quarantine"),
        (down(status=3), True, "in quarantine"),
        (down(state=4294967295, status=1), True, "isolated"),
        (down(state=0, status=1), True, "isolated"),
        (down(), True, "down"),
        (down(state=0, status=63 - 3), True, "up"),
        (down(state=0, status=64), False, "up, with the unlisted StatusInformation 64"),
        (down(build=9600, status=None), True, "down"),
        (down(status=None), True, "down, and whether it is isolated was not told"),
        (down(build=None, status=None), True, "down, and whether it is isolated was not told"),
        (down(state=0, status=None), True, "up"),
    ],
)
def test_a_node_that_is_down_may_be_isolated_or_in_quarantine(one, known, word):
    assert (one.is_known, one.word) == (known, word)
    assert one.is_up is (word.startswith("up"))
    assert one.may_be_isolated is ("not told" in word)


def test_flags_are_a_question_of_their_own_since_2012_r2_has_none():
    assert "StatusInformation" not in node_states("prod").query.columns
    told = node_statuses("prod").read([{"Name": "HV1", "StatusInformation": "1"}, {"Name": "hv2"}])
    both = (node("hv1", 1), node("hv2"))
    assert [one.status for one in with_statuses(both, told)] == [1, None]
    assert with_statuses(both, Unknown("prod", "absent", "no such column.")) == both


def test_an_isolated_node_has_no_vote_left():
    assert votes_without([node("a"), node("b"), down(state=0, status=1)], "a", witness=False) == Votes(1, 3)
