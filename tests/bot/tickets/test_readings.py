"""What an answer said, in words: only what was read, and a description only where it held."""

import pytest

from bot.api.plan import Check, CompareToBefore, Expect, FlagPredicate, exists, not_exists
from bot.api.queries import Predicate, Wql
from bot.tickets import readings
from bot.tickets.readings import compare_rows, describe_reading, rows_in_words

NODE = Wql("prod", "root/MSCluster", "MSCluster_Node")
PAUSED = Predicate("State", "=", 2)
ROW = {"Name": "hv03", "State": "2", "NodeDrainStatus": "2", "Id": "3"}
SERVICE = {"Name": "vmms", "State": "Running", "ProcessId": "1756"}


@pytest.mark.parametrize(
    ("check", "rows", "says"),
    [
        (
            exists(NODE, PAUSED, Predicate("NodeDrainStatus", "=", 2)).described_as("hv03 is drained"),
            (ROW,),
            "hv03 is drained (Name hv03: State 2, NodeDrainStatus 2)",
        ),
        (exists(NODE, PAUSED), (ROW,), "Name hv03: State 2"),
        (exists(NODE), ({"a": None, "b": ("x", "y"), "c": {"d": "1"}},), "a empty, b x, y, c d 1"),
        (
            exists(NODE, PAUSED).described_as("hv03 is paused"),
            ({**ROW, "State": "0"},),
            "not met: hv03 is paused (State is 0, not 2)",
        ),
        (exists(NODE, PAUSED), (), "not as expected (no row with State = 2, expected at least 1)"),
        (not_exists(NODE, PAUSED).described_as("no node is paused"), (), "no node is paused (none listed)"),
        (not_exists(NODE, PAUSED), ({"State": "0"}, {"State": "0"}), "none of 2 with State = 2"),
        (
            not_exists(NODE, FlagPredicate("StatusInformation", 4)).described_as("no guest waits to be moved"),
            ({"StatusInformation": "0"}, {"StatusInformation": "1"}),
            "no guest waits to be moved (none of 2)",
        ),
        (not_exists(NODE, FlagPredicate("s", 4)), ({"s": "0"},), "none of 1 with flag 4 set in s"),
        (
            not_exists(NODE, PAUSED).described_as("no node is paused"),
            ({"Name": "hv03", "State": None}, {"State": "0"}),
            "not met: no node is paused (State of hv03 is unknown)",
        ),
        (not_exists(NODE, PAUSED), (ROW,), "not as expected (1 row with State = 2: hv03, expected none)"),
    ],
)
def test_a_reading_says_what_was_read_and_whether_it_holds(check, rows, says):
    assert describe_reading(check, rows, {}) == says


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (SERVICE, "all is as before (unchanged: Name vmms, State Running, ProcessId 1756)"),
        (
            {**SERVICE, "ProcessId": "9948"},
            "prod: unchanged: Name vmms, State Running; changed: ProcessId was 1756, is 9948",
        ),
        (
            {**SERVICE, "ProcessId": None},
            "prod: unchanged: Name vmms, State Running; changed: ProcessId was 1756, is empty",
        ),
    ],
)
def test_a_comparison_names_the_columns_that_are_back_and_those_that_are_not(now, says):
    check = Check(NODE, (CompareToBefore("stop"),), description="all is as before")
    assert describe_reading(check, (now,), {"stop": (SERVICE,)}) == says


def test_rows_that_are_missing_and_rows_that_are_new_are_named():
    before = [{"Name": name, "OwnerNode": "hv03"} for name in ("crm-01", "crm-02", "sql-07")]
    now = [before[0], {"Name": "web-03", "OwnerNode": "hv03"}]
    assert compare_rows(now, before) == (
        "1 of 3 rows as before; missing: crm-02; sql-07; new: Name web-03: OwnerNode hv03"
    )
    assert compare_rows([], before, ("Name",)).startswith("0 of 3 rows as before; missing: Name crm-01")


MACHINE = "1A2B3C4D-0000-4111-8222-123456789ABC"


def test_beside_words_no_guid_is_shown_unless_there_is_nothing_else():
    """A person reads it at night; which machine it is stands in the words, and whole in the question."""
    running = exists(NODE, Predicate("Name", "=", MACHINE), Predicate("State", "=", 2))
    rows = ({"Name": MACHINE, "State": "2"},)
    assert describe_reading(running.described_as("crm-01 is running"), rows, {}) == "crm-01 is running (State 2)"
    assert MACHINE in describe_reading(running, rows, {})
    only = exists(NODE, Predicate("Name", "=", MACHINE)).described_as("crm-01 is there")
    assert MACHINE in describe_reading(only, rows, {})


def test_what_has_to_be_new_is_shown_as_it_is():
    new = Check(NODE, (CompareToBefore("stop", ("ProcessId",), same=False),))
    assert describe_reading(new, ({**SERVICE, "ProcessId": "2"},), {"stop": (SERVICE,)}).endswith("ProcessId 2")
    assert "is still as it was before" in describe_reading(new, (SERVICE,), {"stop": (SERVICE,)})
    assert "how it was before is not recorded" in describe_reading(new, (SERVICE,), {})


def test_an_id_that_has_to_be_new_is_left_to_the_words_of_the_check():
    new = CompareToBefore("restart", ("instance_id",), same=False)
    check = Check(NODE, (exists(NODE, Predicate("error_text", "=", "")).holds[0], new)).described_as(
        "a new instance is stable"
    )
    row = {"name": "Writer", "error_text": "", "instance_id": "571ba421-9f57-5fdd-826f-7f28842c7203"}
    before = {**row, "instance_id": "66841cd4-6ded-4f4b-8f17-fd23f8ddc3de"}
    assert (
        describe_reading(check, (row,), {"restart": (before,)})
        == "a new instance is stable (name Writer: error text empty)"
    )
    assert "571ba421" in describe_reading(Check(NODE, (new,)), (row,), {"restart": (before,)})


def test_no_answer_makes_a_reading_long():
    rows = [{"Name": f"vm-{number}" * 90, "State": "2"} for number in range(400)]
    assert len(describe_reading(exists(NODE, PAUSED), rows, {})) <= 400
    few = rows_in_words([{"Name": f"vm-{number}"} for number in range(7)])
    assert few == "Name vm-0; Name vm-1; Name vm-2; Name vm-3; Name vm-4 and 2 more"
    assert describe_reading(Check(NODE, (Expect(at_least=0),)), (), {}) == "none"


class _Key(str):
    """A row as text that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other):
        _Key.compared += 1
        return super().__eq__(other)

    __hash__ = str.__hash__


def test_of_thousands_of_rows_each_is_looked_up_and_not_compared_with_all(monkeypatch):
    monkeypatch.setattr(readings, "comparable", lambda row, _: _Key(row["Name"]))
    many = 1_000
    before = [{"Name": f"crm-{number}"} for number in range(many)]
    now = [{"Name": f"crm-{number}"} for number in range(many // 2, many + many // 2)]
    assert compare_rows(now, before, ("Name",)).startswith("500 of 1,000 rows as before; missing: Name crm-0; ")
    assert _Key.compared < 20 * many
