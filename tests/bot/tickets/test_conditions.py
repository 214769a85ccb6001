"""What an answer must say for a check to hold."""

import pytest

from bot.api.plan import Bits, Check, Expect, Versus
from bot.api.queries import Read, Term
from bot.api.rows import Unreadable
from bot.tickets.conditions import gives_up, how_far, matches, misses, same_rows

ASK = Read("hv03", "vssadmin list writers")
NODE = {"Name": "hv03", "State": "2", "Draining": "TRUE", "Flags": "5", "Owner": None, "Big": "18446744073709551615"}


@pytest.mark.parametrize(
    ("term", "holds"),
    [
        (Term("Name", "=", "HV03"), True),
        (Term("Name", "!=", "hv04"), True),
        (Term("Name", "=", "hv04"), False),
        (Term("State", "=", 2), True),
        (Term("State", ">=", 3), False),
        (Term("State", "<", 3), True),
        (Term("Big", ">", "9007199254740993"), True),
        (Term("Draining", "=", True), True),
        (Term("Draining", "=", False), False),
        (Term("Name", "in", ("hv01", "hv03")), True),
        (Term("State", "in", (1, 4)), False),
        (Term("Name", "like", "hv%"), True),
        (Term("Name", "like", "hv_[0-2]"), False),
        (Term("Name", "like", "hv[^1-2]_"), True),
        (Term("Name", "like", "h.0_"), False),
        (Term("Owner", "is null"), True),
        (Term("Owner", "is not null"), False),
        (Term("Owner", "=", "x"), False),
        (Term("Owner", "!=", "x"), False),
        (Term("Absent", "is null"), True),
        (Bits("Flags", 1), True),
        (Bits("Flags", 2), False),
        (Bits("Flags", 2, are_set=False), True),
        (Bits("Flags", 5), True),
        (Bits("Flags", 7), False),
        (Bits("Owner", 1, are_set=False), False),
    ],
)
def test_a_term(term, holds):
    assert matches(NODE, (term,)) is holds


@pytest.mark.parametrize("term", [Term("Name", "=", 3), Term("Name", "=", True), Bits("Name", 1)])
def test_a_cell_of_another_kind_is_no_answer(term):
    with pytest.raises(Unreadable):
        matches(NODE, (term,))
    with pytest.raises(Unreadable):
        matches({"Name": ("a", "b")}, (Term("Name", "=", "a"),))


ROWS = ({"n": "a", "s": "1"}, {"n": "b", "s": "1"}, {"n": "c", "s": "5"})


@pytest.mark.parametrize(
    ("expected", "says"),
    [
        (Expect(), ""),
        (Expect((Term("n", "=", "a"),), (Term("s", "=", 1),), 1, 1), ""),
        (Expect((Term("n", "=", "z"),)), "no row with n = z, at least 1 expected"),
        (Expect((Term("s", "=", 1),), at_most=1), "2 rows with s = 1, at most 1 expected"),
        (Expect((), (Term("s", "=", 1),)), "s is 5, not 1"),
        (Expect((), (Term("s", "in", (2, 5)),)), "2 rows without s in 2, 5"),
        (Expect((), (Term("n", "<", "c"), Bits("s", 8))), "3 rows without n < c, s has flag 8"),
        (
            Expect((Term("n", "=", "c"),), (Term("x", "=", 1), Bits("s", 2))),
            "x is empty, not 1, it is not so that s has flag 2",
        ),
        (Expect(at_least=0, at_most=0), "3 rows, none expected"),
        (Expect((Bits("s", 4),), at_least=2), "1 row with s has flag 4, at least 2 expected"),
    ],
)
def test_counts_and_each(expected, says):
    assert misses(Check(ASK, (expected,)), ROWS, {}) == ((says,) if says else ())


BEFORE = {"restart": [{"n": "a", "id": "1"}, {"n": "b", "id": "2"}]}  # as JSON brings it back


@pytest.mark.parametrize(
    ("versus", "now", "holds"),
    [
        (Versus("restart"), ({"id": "2", "n": "b"}, {"n": "a", "id": 1}), True),
        (Versus("restart"), ({"n": "a", "id": "1"},), False),
        (Versus("restart", ("n",)), ({"n": "b", "id": "8"}, {"n": "a", "id": "9"}), True),
        (Versus("restart", ("id",), same=False), ({"n": "a", "id": "9"},), True),
        (Versus("restart", ("id",), same=False), ({"n": "a", "id": "9"}, {"n": "b", "id": "2"}), False),
        (Versus("restart", ("id",), same=False), (), False),
        (
            Versus("restart", ("id",), False, (Term("n", "=", "a"),)),
            ({"n": "a", "id": "2"}, {"n": "b", "id": "2"}),
            True,
        ),
        (Versus("never"), ({"n": "a"},), False),
    ],
)
def test_compared_with_a_before_image(versus, now, holds):
    assert (not misses(Check(ASK, (versus,)), now, BEFORE)) is holds


def test_giving_up_is_its_own_expectation():
    check = Check(ASK, (Expect((Term("s", "=", 7),)),), give_up=Expect((Term("s", "=", 5),)))
    assert gives_up(check, ROWS)
    assert not gives_up(check, ROWS[:2])
    assert not gives_up(Check(ASK, (Expect(),)), ROWS)


def test_rows_out_of_json_are_the_same_rows():
    assert same_rows(({"a": ("1", "2"), "b": {"c": None}},), [{"b": {"c": None}, "a": ["1", "2"]}])
    assert not same_rows(({"a": None},), ({"a": ""},))


def test_one_row_says_what_it_says_instead():
    drained = Check(ASK, (Expect((Term("State", "=", 2), Term("NodeDrainStatus", "=", 2))),))
    assert misses(drained, ({"State": "2", "NodeDrainStatus": "3"},), {}) == ("NodeDrainStatus is 3, not 2",)
    either = Check(ASK, (Expect((Term("status", "in", ("Running", "Completed")),)),))
    assert misses(either, ({"status": " Pending\n"},), {}) == ("status is Pending, not Running or Completed",)


def test_rows_that_should_not_be_there_are_named():
    none = Check(ASK, (Expect(at_least=0, at_most=0),))
    rows = tuple({"Name": f"crm-0{one}"} for one in range(7))
    assert misses(none, rows, {}) == ("7 rows: crm-00, crm-01, crm-02, crm-03, crm-04 and 2 more, none expected",)
    assert misses(none, ({"Name": ("a",)},), {}) == ("1 row, none expected",)


@pytest.mark.parametrize(
    ("expected", "says"),
    [
        (Expect(at_least=0, at_most=0), "2 left"),
        (Expect(), ""),
        (Versus("drain", ("Name",)), "1 of 3"),
        (Versus("drain", ("Name",), same=False), ""),
        (Versus("another"), ""),
    ],
)
def test_how_far_it_is_is_told_where_a_count_tells(expected, says):
    before = [{"Name": name, "Since": "1"} for name in ("crm-02", "crm-03", "sql-07")]
    now = [{"Name": "crm-02", "Since": "2"}, {"Name": "new-01", "Since": "2"}]
    assert how_far(Check(ASK, (expected,)), now, {"drain": before}) == says
