"""What an answer must say for a check to hold."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.api.plan import Check, CompareToBefore, Expect, FlagPredicate, ListPredicate, Meaning
from bot.api.queries import Predicate, RunReader
from bot.api.rows import CellError
from bot.redaction import MASKED
from bot.tickets import conditions
from bot.tickets.conditions import is_terminal_failure, matches, meaning, progress_text, same_rows, unmet

ASK = RunReader("hv03", "vssadmin list writers")
NODE = {"Name": "hv03", "State": "2", "Draining": "TRUE", "Flags": "5", "Owner": None, "Big": "18446744073709551615"}
NODE |= {"Lines": "one\ntwo", "Path": r"C:\x[y]", "Ten": "10"}


@pytest.mark.parametrize(
    ("term", "holds"),
    [
        (Predicate("Name", "=", "HV03"), True),
        (Predicate("Name", "!=", "hv04"), True),
        (Predicate("Name", "=", "hv04"), False),
        (Predicate("State", "=", 2), True),
        (Predicate("State", ">=", 3), False),
        (Predicate("State", "<", 3), True),
        (Predicate("Big", ">", "9007199254740993"), True),
        (Predicate("Draining", "=", True), True),
        (Predicate("Draining", "=", False), False),
        (Predicate("Name", "in", ("hv01", "hv03")), True),
        (Predicate("State", "in", (1, 4)), False),
        (Predicate("Name", "like", "hv%"), True),
        (Predicate("Name", "like", "hv_[0-2]"), False),
        (Predicate("Name", "like", "hv[^1-2]_"), True),
        (Predicate("Name", "like", "h.0_"), False),
        (Predicate("Name", "like", "HV0_"), True),
        (Predicate("Name", "like", "hv"), False),
        (Predicate("Name", "like", "%3"), True),
        (Predicate("Lines", "like", "one%two"), True),
        (Predicate("Lines", "like", "one_two"), True),
        (Predicate("Path", "like", r"c:[\]x[[]y]"), True),
        (Predicate("Path", "like", r"c:[^\]x%"), False),
        (Predicate("Owner", "like", "%"), False),
        (Predicate("State", "<=", 2), True),
        (Predicate("State", ">", 2), False),
        (Predicate("State", "<", 2), False),
        (Predicate("State", ">=", 2), True),
        (Predicate("Ten", ">", "9"), True),  # as numbers
        (Predicate("Ten", ">", "9x"), False),  # as texts
        (Predicate("Name", ">", "9"), True),
        (Predicate("Ten", "=", "010"), False),  # a text is itself
        (Predicate("Ten", "=", "10"), True),
        (Predicate("Name", "=", None), False),
        (Predicate("Draining", "!=", False), True),
        (Predicate("Name", "is null"), False),
        (Predicate("Name", "is not null"), True),
        (Predicate("Owner", "is null"), True),
        (Predicate("Owner", "is not null"), False),
        (Predicate("Owner", "=", "x"), False),
        (Predicate("Owner", "!=", "x"), False),
        (Predicate("Absent", "is null"), True),
        (FlagPredicate("Flags", 1), True),
        (FlagPredicate("Flags", 2), False),
        (FlagPredicate("Flags", 2, are_set=False), True),
        (FlagPredicate("Flags", 5), True),
        (FlagPredicate("Flags", 7), False),
        (FlagPredicate("Owner", 1, are_set=False), False),
    ],
)
def test_a_term(term, holds):
    assert matches(NODE, (term,)) is holds


@pytest.mark.parametrize("op", ["is null", "is not null"])
def test_an_empty_cell_is_neither_null_nor_told(op):
    """As a number it tells nothing: what must be told, or must not be there, is not known by it."""
    with pytest.raises(CellError):
        matches({"StatusInformation": ""}, (Predicate("StatusInformation", op),))


@pytest.mark.parametrize("term", [Predicate("Name", "=", 3), Predicate("Name", "=", True), FlagPredicate("Name", 1)])
def test_a_cell_of_another_kind_is_no_answer(term):
    with pytest.raises(CellError):
        matches(NODE, (term,))
    with pytest.raises(CellError):
        matches({"Name": ("a", "b")}, (Predicate("Name", "=", "a"),))


@pytest.mark.parametrize("cell", [("a", "b"), ["a"], {"a": 1}])
def test_a_cell_of_many_parts_is_compared_with_no_text(cell):
    for term in (Predicate("n", "=", "a"), Predicate("n", "like", "a%"), Predicate("n", "in", ("a", "b"))):
        with pytest.raises(CellError):
            matches({"n": cell}, (term,))


def test_a_comparison_takes_one_value():
    with pytest.raises(ValueError, match="Name > takes one value"):
        matches(NODE, (Predicate("Name", ">", ("a", "b")),))


def test_all_terms_must_hold():
    assert matches(NODE, (Predicate("State", "=", 2), FlagPredicate("Flags", 1)))
    assert not matches(NODE, (Predicate("State", "=", 2), FlagPredicate("Flags", 2)))
    assert not matches(NODE, (Predicate("State", "=", 3), FlagPredicate("Flags", 1)))
    assert matches(NODE, ())


ROWS = ({"n": "a", "s": "1"}, {"n": "b", "s": "1"}, {"n": "c", "s": "5"})


@pytest.mark.parametrize(
    ("expected", "says"),
    [
        (Expect(), ""),
        (Expect((Predicate("n", "=", "a"),), (Predicate("s", "=", 1),), 1, 1), ""),
        (Expect((Predicate("n", "=", "z"),)), "no row with n = z, expected at least 1"),
        (Expect((Predicate("s", "=", 1),), at_most=1), "2 rows with s = 1, expected at most 1"),
        (Expect((), (Predicate("s", "=", 1),)), "s is 5, not 1"),
        (Expect((), (Predicate("s", "in", (2, 5)),)), "2 rows without s in 2, 5"),
        (Expect((), (Predicate("n", "<", "c"), FlagPredicate("s", 8))), "3 rows without n < c, flag 8 set in s"),
        (
            Expect((Predicate("n", "=", "c"),), (Predicate("x", "=", 1), FlagPredicate("s", 2))),
            "x is empty, not 1, flag 2 is not set in s",
        ),
        (Expect(at_least=0, at_most=0), "3 rows, expected none"),
        (Expect((Predicate("n", "=", "z"),), at_least=0, at_most=0), ""),
        (Expect(at_least=3, at_most=3), ""),
        (Expect(at_least=4), "3 rows, expected at least 4"),
        (Expect((Predicate("s", "=", 5),), at_least=0, at_most=0), "1 row with s = 5, expected none"),
        (Expect((Predicate("s", "=", 1),), (Predicate("n", "is null"),)), "2 rows with s = 1 without n is null"),
        (Expect((Predicate("n", "in", ("y", "z")),), at_least=2), "no row with n in y, z, expected at least 2"),
        (
            Expect((FlagPredicate("s", 8, are_set=False),), at_most=1),
            "3 rows with flag 8 not set in s, expected at most 1",
        ),
        (Expect((Predicate("s", "=", 5),), (Predicate("n", "is null"),)), "not met: n is null"),
        (Expect((Predicate("s", "=", 5),), (Predicate("n", "like", "z%"),)), "not met: n like z%"),
        (Expect((FlagPredicate("s", 4),), at_least=2), "1 row with flag 4 set in s, expected at least 2"),
    ],
)
def test_counts_and_each(expected, says):
    assert unmet(Check(ASK, (expected,)), ROWS, {}) == ((says,) if says else ())


BEFORE = {"restart": [{"n": "a", "id": "1"}, {"n": "b", "id": "2"}]}  # as JSON brings it back


@pytest.mark.parametrize(
    ("versus", "now", "holds"),
    [
        (CompareToBefore("restart"), ({"id": "2", "n": "b"}, {"n": "a", "id": 1}), True),
        (CompareToBefore("restart"), ({"n": "a", "id": "1"},), False),
        (CompareToBefore("restart", ("n",)), ({"n": "b", "id": "8"}, {"n": "a", "id": "9"}), True),
        (CompareToBefore("restart", ("id",), same=False), ({"n": "a", "id": "9"},), True),
        (CompareToBefore("restart", ("id",), same=False), ({"n": "a", "id": "9"}, {"n": "b", "id": "2"}), False),
        (CompareToBefore("restart", ("id",), same=False), (), False),
        (
            CompareToBefore("restart", ("id",), False, (Predicate("n", "=", "a"),)),
            ({"n": "a", "id": "2"}, {"n": "b", "id": "2"}),
            True,
        ),
        (CompareToBefore("never"), ({"n": "a"},), False),
    ],
)
def test_compared_with_a_before_image(versus, now, holds):
    assert (not unmet(Check(ASK, (versus,)), now, BEFORE)) is holds


@pytest.mark.parametrize(
    ("versus", "now", "says"),
    [
        (CompareToBefore("never"), ({"n": "a"},), "how it was before is not recorded"),
        (CompareToBefore("restart"), ({"n": "a"},), "the answer is not as it was before"),
        (CompareToBefore("restart", ("n", "id")), ({"n": "a"},), "n, id is not as it was before"),
        (CompareToBefore("restart", ("id",), same=False), (), "there is no such row now to compare"),
        (CompareToBefore("restart", ("id",), same=False), ({"id": "2"},), "id is still as it was before"),
    ],
)
def test_how_it_differs_from_a_before_image_is_said(versus, now, says):
    assert unmet(Check(ASK, (versus,)), now, BEFORE) == (says,)


def test_of_several_expectations_each_says_why():
    check = Check(ASK, (Expect(at_least=4), Expect(), CompareToBefore("never")))
    assert unmet(check, ROWS, BEFORE) == ("3 rows, expected at least 4", "how it was before is not recorded")


def test_the_only_row_says_what_it_says_instead_only_where_one_was_expected():
    one, two = ({"s": "5"},), ({"s": "5"}, {"s": "6"})
    where = (Predicate("s", "=", 1),)
    assert unmet(Check(ASK, (Expect(where),)), one, {}) == ("s is 5, not 1",)
    assert unmet(Check(ASK, (Expect(where),)), two, {}) == ("no row with s = 1, expected at least 1",)
    assert unmet(Check(ASK, (Expect(where, at_least=2),)), two, {}) == ("no row with s = 1, expected at least 2",)
    assert unmet(Check(ASK, (Expect(where, at_least=2),)), one, {}) == ("no row with s = 1, expected at least 2",)


def test_giving_up_is_its_own_expectation():
    check = Check(ASK, (Expect((Predicate("s", "=", 7),)),), give_up=Expect((Predicate("s", "=", 5),)))
    assert is_terminal_failure(check, ROWS, {})
    assert not is_terminal_failure(check, ROWS[:2], {})
    assert not is_terminal_failure(Check(ASK, (Expect(),)), ROWS, {})


def test_rows_out_of_json_are_the_same_rows():
    assert same_rows(({"a": ("1", "2"), "b": {"c": None}},), [{"b": {"c": None}, "a": ["1", "2"]}])
    assert not same_rows(({"a": None},), ({"a": ""},))
    assert not same_rows(({"a": {"b": "1"}},), ({"a": {"b": "2"}},))
    assert not same_rows(({"a": ("1", "2")},), ({"a": ("2", "1")},))
    assert same_rows(({"a": {"b": 1, "c": 2}},), ({"a": {"c": "2", "b": "1"}},))


def test_one_row_says_what_it_says_instead():
    drained = Check(ASK, (Expect((Predicate("State", "=", 2), Predicate("NodeDrainStatus", "=", 2))),))
    assert unmet(drained, ({"State": "2", "NodeDrainStatus": "3"},), {}) == ("NodeDrainStatus is 3, not 2",)
    either = Check(ASK, (Expect((Predicate("status", "in", ("Running", "Completed")),)),))
    assert unmet(either, ({"status": " Pending\n"},), {}) == ("status is Pending, not Running or Completed",)


def test_rows_that_should_not_be_there_are_named():
    none = Check(ASK, (Expect(at_least=0, at_most=0),))
    rows = tuple({"Name": f"crm-0{one}"} for one in range(7))
    assert unmet(none, rows, {}) == ("7 rows: crm-00, crm-01, crm-02, crm-03, crm-04 and 2 more, expected none",)
    assert unmet(none, rows[:6], {}) == ("6 rows: crm-00, crm-01, crm-02, crm-03, crm-04 and 1 more, expected none",)
    assert unmet(none, rows[:5], {}) == ("5 rows: crm-00, crm-01, crm-02, crm-03, crm-04, expected none",)
    assert unmet(none, ({"Name": "x" * 99},), {}) == (f"1 row: {'x' * 80}, expected none",)
    assert unmet(none, ({"Name": None}, {"Name": "a\n b"}), {}) == ("2 rows: a b, expected none",)
    assert unmet(none, ({"Name": ("a",)},), {}) == ("1 row, expected none",)


@pytest.mark.parametrize(
    ("expected", "says"),
    [
        (Expect((Predicate("State", "=", 1),), at_least=0, at_most=0), "State of csv-1 is unknown"),
        (Expect((FlagPredicate("State", 4),), at_least=0, at_most=0), "State of csv-1 is unknown"),
        (Expect((Predicate("State", "!=", 3),), at_least=0, at_most=0), "State of csv-1 is unknown"),
        (Expect((ListPredicate("State", (5,)),), at_least=0, at_most=0), "State of csv-1 is unknown"),
        (
            Expect((Predicate("Name", "like", "csv%"), Predicate("Embedded.State", "=", 1)), at_least=0, at_most=0),
            "Embedded.State of csv-1 is unknown",
        ),
        (Expect((Predicate("Name", "=", "csv-2"), Predicate("State", "=", 1)), at_least=0, at_most=0), ""),
        (Expect((Predicate("State", "is not null"),), at_least=0, at_most=0), ""),
        (Expect((Predicate("State", "=", 1),), at_least=0, at_most=1), ""),
        (
            Expect((Predicate("State", "=", 1),), (Predicate("Owner", "=", "hv03"),), at_least=0),
            "Owner is hv01, not hv03",
        ),
        (Expect((Predicate("State", "=", 1),)), "State is empty, not 1"),
    ],
)
def test_what_is_null_may_be_one_of_those_that_must_not_be(expected, says):
    """A shared volume that does not say whether it is in backup is not taken for one that is not."""
    rows = ({"Name": "csv-1", "State": None, "Owner": "hv01"},)
    assert unmet(Check(ASK, (expected,)), rows, {}) == ((says,) if says else ())


@pytest.mark.parametrize(
    ("term", "cell"),
    [
        (Predicate("State", "=", 1), ""),
        (Predicate("State", "in", (1, 2)), ""),
        (Predicate("State", ">", "9007199254740993"), ""),
        (FlagPredicate("State", 4), ""),
        (ListPredicate("State", (5,)), ()),
    ],
)
def test_what_is_empty_where_a_number_is_asked_for_may_be_one_too(term, cell):
    none = Check(ASK, (Expect((term,), at_least=0, at_most=0),))
    assert unmet(none, ({"Name": "csv-1", "State": cell},), {}) == ("State of csv-1 is unknown",)
    assert unmet(none, ({"Name": "csv-1", "State": "0"},), {}) == () or isinstance(term, ListPredicate)


NEVER = "1601-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        ("7", None, "id is unknown"),
        ("7", "", "id is unknown"),
        ("2026-11-20T10:00:00Z", NEVER, "id is unknown"),
        (None, "7", "id was unknown before"),
        ("", "7", "id was unknown before"),
        (None, None, "id is still as it was before"),
        (NEVER, "2026-11-20T10:00:00Z", ""),
        ("7", "8", ""),
    ],
)
def test_what_is_not_told_is_no_other_value_than_before(was, now, says):
    """A service that names no process has no new one, an event without a number is no new start."""
    other = Check(ASK, (CompareToBefore("b", ("id",), same=False),))
    assert unmet(other, ({"id": now},), {"b": [{"id": was}]}) == ((says,) if says else ())


def test_what_is_not_told_is_nothing_new_where_there_was_nothing():
    other = Check(ASK, (CompareToBefore("b", ("id",), same=False),))
    assert unmet(other, ({"id": ""},), {"b": []}) == ("id is unknown",)
    assert unmet(other, ({"id": "1"},), {"b": []}) == ()


@pytest.mark.parametrize(
    ("now", "says"),
    [
        ({"state": "5", "why": None}, ""),
        ({"state": "4", "why": None}, "why is unknown"),
        ({"state": None, "why": "9"}, ""),
        ({"state": None, "why": None}, "state and why is unknown"),
    ],
)
def test_of_several_columns_one_that_is_told_and_differs_is_enough(now, says):
    other = Check(ASK, (CompareToBefore("b", ("state", "why"), same=False),))
    assert unmet(other, (now,), {"b": [{"state": "4", "why": "7"}]}) == ((says,) if says else ())


def test_what_is_not_told_is_not_as_it_was_before_and_no_time_that_has_moved():
    for was, now in ((None, None), (NEVER, NEVER), (None, "2026-11-20T10:00:00Z"), ("2026-11-20T10:00:00Z", None)):
        for same in (True, False):
            check = Check(ASK, (CompareToBefore("b", ("at",), tolerance=300, same=same),))
            assert unmet(check, ({"at": now},), {"b": [{"at": was}]}), (was, now, same)
    same_names = Check(ASK, (CompareToBefore("b", ("n",)),))
    assert unmet(same_names, ({"n": None},), {"b": [{"n": None}]}) == ("n is unknown",)
    whole = Check(ASK, (CompareToBefore("b"),))
    assert unmet(whole, ({"n": None},), {"b": [{"n": None}]}) == ()


def test_what_is_not_told_may_be_new_and_is_not_surely_so():
    before = {"b": [{"id": ""}, {"id": "1"}]}
    nothing = CompareToBefore("b", ("id",), nothing_new=True)
    something = CompareToBefore("b", ("id",), nothing_new=True, same=False)
    assert unmet(Check(ASK, (nothing,)), ({"id": ""}, {"id": "1"}), before) == ("unknown whether 1 row is new",)
    assert unmet(Check(ASK, (something,)), ({"id": None}, {"id": "1"}), before)
    assert unmet(Check(ASK, (something,)), ({"id": "2"},), before), "what was not told may have been that one"
    assert unmet(Check(ASK, (something,)), ({"id": None}, {"id": "2"}), {"b": [{"id": "1"}]}) == ()


def test_what_may_be_compared_is_not_as_it_was_before_and_may_be_as_one_was():
    """A writer whose id was not told before may be the one that runs now."""
    where = (Predicate("w", "=", "vss"),)
    other, same = (CompareToBefore("b", ("id",), same=one, where=where) for one in (False, True))
    mine, hers = {"w": "vss", "id": "1"}, {"w": None, "id": "1"}
    assert unmet(Check(ASK, (other,)), (mine,), {"b": [hers]}) == ("id is still as it was before",)
    assert unmet(Check(ASK, (other,)), (mine | {"id": "2"}, hers), {"b": [mine]}) == ("id is still as it was before",)
    assert unmet(Check(ASK, (other,)), (mine | {"id": "2"},), {"b": [hers]}) == ()
    assert unmet(Check(ASK, (same,)), (mine, hers), {"b": [mine]}) == ("unknown whether 1 row counts",)
    assert unmet(Check(ASK, (same,)), (mine,), {"b": [mine, hers]}) == ("unknown whether 1 row counted before",)
    assert unmet(Check(ASK, (same,)), (mine,), {"b": [mine]}) == ()


def test_of_thousands_of_rows_that_tell_little_none_is_compared_with_all(monkeypatch):
    many, made = 1_000, []
    real = conditions.comparable
    monkeypatch.setattr(conditions, "comparable", lambda row, columns: made.append(row) or real(row, columns))
    check = Check(ASK, (CompareToBefore("b", ("a", "b"), same=False),))
    before = {"b": [{"a": f"x{one}", "b": None} for one in range(many)]}
    assert unmet(check, [{"a": f"y{one}", "b": f"{one}"} for one in range(many)], before) == ()
    assert len(made) < 10 * many


@pytest.mark.parametrize(
    ("expected", "says"),
    [
        (Expect(at_least=0, at_most=0), "2 left"),
        (Expect(), ""),
        (CompareToBefore("drain", ("Name",)), "1 of 3"),
        (CompareToBefore("drain", ("Name",), same=False), ""),
        (CompareToBefore("another"), ""),
    ],
)
def test_how_far_it_is_is_told_where_a_count_tells(expected, says):
    before = [{"Name": name, "Since": "1"} for name in ("crm-02", "crm-03", "sql-07")]
    now = [{"Name": "crm-02", "Since": "2"}, {"Name": "new-01", "Since": "2"}]
    assert progress_text(Check(ASK, (expected,)), now, {"drain": before}) == says


@pytest.mark.parametrize("op", ["=", "!=", "<", "<=", ">", ">="])
def test_what_is_empty_compares_with_no_number(op):
    """As NULL does in WQL."""
    assert not matches({"State": ""}, (Predicate("State", op, 2),))


PRIVATE = {
    "Name": "vm",
    "PrivateProperties": {"MigrationState": "5", "Reason": "-2147024726"},
    "Status": ["2", "32768"],
}
OLD = {"move": [{"PrivateProperties": {"migrationstate": "5"}}]}


def test_a_column_may_be_one_of_an_embedded_instance():
    assert matches(PRIVATE, (Predicate("PrivateProperties.migrationstate", "=", 5),))
    assert not matches(PRIVATE, (Predicate("PrivateProperties.Progress", "=", 0),))
    assert not matches({"PrivateProperties": None}, (Predicate("PrivateProperties.Progress", "!=", 0),))
    check = Check(ASK, (Expect((Predicate("PrivateProperties.MigrationState", "=", 0),)),))
    assert unmet(check, [PRIVATE], {}) == ("PrivateProperties.MigrationState is 5, not 0",)


def test_a_list_holds_none_of_some_numbers_or_is_no_answer():
    assert matches(PRIVATE, (ListPredicate("Status", (32776, 32772)),))
    assert not matches(PRIVATE, (ListPredicate("Status", (32768,)),))
    assert not matches({"Status": None}, (ListPredicate("Status", (1,)),))
    with pytest.raises(CellError):
        matches({"Status": ("two",)}, (ListPredicate("Status", (1,)),))


def test_giving_up_needs_a_change_since_it_was_begun():
    failed = Expect((Predicate("PrivateProperties.MigrationState", "in", (4, 5)),))
    changed = CompareToBefore("move", ("PrivateProperties.MigrationState",), same=False)
    check = Check(ASK, (Expect((Predicate("Name", "=", "x"),)),), give_up=(failed, changed))
    assert not is_terminal_failure(check, [PRIVATE], OLD), "it was so before"
    assert is_terminal_failure(check, [PRIVATE], {"move": [{"PrivateProperties": {"MigrationState": "0"}}]})
    assert not is_terminal_failure(check, [PRIVATE], {}), "nobody knows how it was before"


def test_why_there_is_nothing_to_wait_for_is_told_by_number():
    column = "PrivateProperties.Reason"
    meanings = (Meaning(column, (2147942570, -2147024726), "busy"), Meaning(column, (), "not listed"))
    check = Check(ASK, (Expect(),), meanings=meanings)
    assert meaning(check, [PRIVATE]) == "busy"
    assert meaning(check, [{"PrivateProperties": {"Reason": "7"}}]) == "not listed (7)"
    assert meaning(check, [{"PrivateProperties": {"Reason": "0"}}]) == ""


def test_nothing_new_bears_what_has_gone_and_nothing_that_has_come():
    before = {"b": [{"id": "1"}, {"id": "2"}]}
    nothing = CompareToBefore("b", ("id",), nothing_new=True)
    something = CompareToBefore("b", ("id",), nothing_new=True, same=False)
    for rows, new in (([], False), ([{"id": 2}], False), ([{"id": 2}, {"id": 3}], True)):
        assert bool(unmet(Check(ASK, (nothing,)), rows, before)) is new
        assert bool(unmet(Check(ASK, (something,)), rows, before)) is not new


def test_a_time_may_move_a_little_with_the_clock():
    before = {"b": [{"at": "2026-11-20T10:00:00Z"}]}
    same = CompareToBefore("b", ("at",), tolerance=300)
    for told, is_same in (
        ("2026-11-20T10:04:59Z", True),
        ("2026-11-20T09:55:01Z", True),
        ("2026-11-20T10:06:00Z", False),
    ):
        assert (unmet(Check(ASK, (same,)), [{"at": told}], before) == ()) is is_same
    other = CompareToBefore("b", ("at",), tolerance=300, same=False)
    assert unmet(Check(ASK, (other,)), [{"at": "2026-11-20T10:01:00Z"}], before)
    assert not unmet(Check(ASK, (other,)), [{"at": "2026-11-22T10:01:00Z"}], before)
    with pytest.raises(CellError):
        unmet(Check(ASK, (same,)), [{"at": "yesterday"}], before)


class _Time(datetime):
    """A time that counts how often any is taken from another."""

    taken = 0

    def __sub__(self, other):
        _Time.taken += 1
        return super().__sub__(other)


def test_of_thousands_of_times_each_is_looked_up_and_not_compared_with_all(monkeypatch):
    """A guest answers for its own start as many rows as it likes; all with all took minutes, at each look."""
    many = 1_000
    first = _Time(2026, 11, 20, tzinfo=UTC)
    monkeypatch.setattr(conditions, "get_datetime", lambda row, _: first + timedelta(hours=row["at"]))
    rows = [{"at": number} for number in range(many)]
    check = Check(ASK, (CompareToBefore("b", ("at",), tolerance=300),))
    assert unmet(check, rows[::-1], {"b": rows}) == ()
    assert unmet(check, [{"at": number + many} for number in range(many)], {"b": rows})
    assert _Time.taken < 20 * many


def test_each_of_several_times_reads_like_the_nearest_before():
    before = {"b": [{"at": "2026-11-20T10:00:00Z"}, {"at": "2026-11-20T10:04:00Z"}]}
    same = CompareToBefore("b", ("at",), tolerance=300)
    moved = [{"at": "2026-11-20T10:03:50Z"}, {"at": "2026-11-20T09:59:50Z"}]
    assert not unmet(Check(ASK, (same,)), moved, before)
    assert unmet(Check(ASK, (same,)), moved[:1], before)
    assert unmet(Check(ASK, (same,)), [*moved, {"at": None}], before)


@pytest.mark.parametrize(
    "compared",
    [
        CompareToBefore("b", ("id",), same=False),
        CompareToBefore("b", ("id",)),
        CompareToBefore("b", (), same=False),
        CompareToBefore("b", ("id",), same=False, nothing_new=True),
        CompareToBefore("b", ("id",), nothing_new=True),
        CompareToBefore("b", ("Name",), where=(Predicate("id", "=", "471147"),), same=False),
        CompareToBefore("b", ("Embedded.id",), same=False),
    ],
)
@pytest.mark.parametrize("was", [MASKED, f"process {MASKED}", (MASKED, "2"), {"id": MASKED}])
def test_what_was_recorded_only_masked_is_neither_the_same_nor_another(compared, was):
    """A secret of digits may be the number of a process: the mask in its place proves no new process, and no old one."""
    row, now = {"Name": "a", "id": was, "Embedded": {"id": was}}, {"Name": "a", "id": "471147", "Embedded": {"id": "1"}}
    check = Check(ASK, (compared,))
    for rows in ((now,), (row,)):
        assert unmet(check, rows, {"b": [row]}) == ("how it was before is recorded only masked",)


def test_a_mask_in_what_is_not_compared_hides_nothing():
    check = Check(ASK, (CompareToBefore("b", ("id",), same=False),))
    assert unmet(check, ({"id": "2"},), {"b": [{"id": "1", "Note": MASKED}]}) == ()


@pytest.mark.parametrize(
    ("term", "must_not"),
    [
        (Predicate("Package", "=", "KB1"), "Package of b is unknown"),
        (Predicate("Package", "like", "KB%"), "Package of b is unknown"),
        (Predicate("Package", "!=", "KB2"), "Package of b is unknown"),
        (Predicate("Package", "in", ("KB1", "KB3")), "Package of b is unknown"),
    ],
)
def test_what_came_masked_is_none_that_has_to_be_there_and_may_be_one_that_must_not(term, must_not):
    """A site's worker masks what a service there calls its token: the id of a package is not gone for that."""
    rows = [{"Name": "b", "Package": MASKED}]
    assert unmet(Check(ASK, (Expect((term,), at_least=0, at_most=0),)), rows, {}) == (must_not,)
    for has_to in (Expect((term,)), Expect((), (term,)), Expect((term,), at_least=2)):
        assert unmet(Check(ASK, (has_to,)), rows, {})


@pytest.mark.parametrize(
    "compared",
    [
        CompareToBefore("b", ("id",), same=False),
        CompareToBefore("b", ("id",)),
        CompareToBefore("b", (), same=False),
        CompareToBefore("b", ("id",), same=False, nothing_new=True),
        CompareToBefore("b", ("id",), nothing_new=True),
    ],
)
def test_what_came_masked_is_no_other_than_before_and_not_the_same(compared):
    check = Check(ASK, (compared,))
    assert unmet(check, [{"id": MASKED}], {"b": [{"id": "1"}]}) == ("how it is now is told only masked",)
