"""States, drains and votes of nodes, whatever numbers come."""

import pytest

from bot.api.rows import CellError
from commands.sources.nodes import NodeState, Votes, node_states, quorum_witness, votes_without


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
    one = NodeState("hv1", state, drain, votes=True)
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


@pytest.mark.parametrize(("kind", "votes"), [("1", False), ("2", True), ("3", True), ("4", False)])
def test_the_witness(kind, votes):
    assert quorum_witness("prod").read([{"QuorumTypeValue": kind}]) is votes


@pytest.mark.parametrize("rows", [[], *([{"QuorumTypeValue": kind}] for kind in (None, "0", "5", "4294967295"))])
def test_a_witness_of_an_unlisted_kind_is_not_no_witness(rows):
    with pytest.raises(ValueError, match="whether a witness votes is open"):
        quorum_witness("prod").read(rows)
