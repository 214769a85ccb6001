"""Which guests move live, and where they may go, out of rows that nobody has captured."""

import pytest

from bot.api.facts import Unknown
from bot.api.rows import CellError
from commands.sources.placement import (
    find_possible_owners,
    move_threshold,
    move_threshold_of_hive,
    possible_owners,
)


@pytest.mark.parametrize(
    ("rows", "threshold"),
    [
        ([{"PrivateProperties": {"MoveTypeThreshold": "2000"}}], 2000),
        ([{"PrivateProperties": {"movetypethreshold": "0"}}], 0),
        ([{"PrivateProperties": {"Other": "1"}}], None),
        ([{"PrivateProperties": None}], None),
        ([{"PrivateProperties": "text"}], None),
        ([], None),
    ],
)
def test_the_threshold(rows, threshold):
    assert move_threshold("prod").read(rows) == threshold


def test_the_threshold_of_the_hive():
    assert move_threshold_of_hive("hv03").read([{"MoveTypeThreshold": "1000"}]) == 1000
    assert move_threshold_of_hive("hv03").read([{"MoveTypeThreshold": None}]) is None
    assert move_threshold_of_hive("hv03").read([]) is None


def test_possible_owners_by_lower_case_names():
    rows = [
        {"GroupComponent": {"__CLASS": "MSCluster_Resource", "Name": "VM A"}, "PartComponent": {"Name": "HV1"}},
        {"GroupComponent": {"name": "vm a"}, "PartComponent": {"name": "hv2"}},
    ]
    assert possible_owners("prod").read(rows) == {"vm a": frozenset({"hv1", "hv2"})}


@pytest.mark.parametrize("end", [None, "", 5, {}, {"Id": "x"}, {"Name": ("a", "b")}, {"Name": ""}])
@pytest.mark.parametrize("column", ["GroupComponent", "PartComponent"])
def test_an_end_that_names_nothing_is_never_dropped(column, end):
    """Without that row, HV2 would be a node where the machine may not run."""
    rows = [{"GroupComponent": {"Name": "VM A"}, "PartComponent": {"Name": node}} for node in ("HV1", "HV2")]
    with pytest.raises(CellError):
        possible_owners("prod").read([rows[0], rows[1] | {column: end}])


OWNERS = ("prod", "MSCluster_ResourceToPossibleOwner")
EVERY = [
    {"GroupComponent": {"Name": f"VM {number}"}, "PartComponent": {"Name": node}}
    for number in range(100)
    for node in ("HV1", "HV2")
]


def asking(scripted, narrow, whole=EVERY):
    """Answers a question without a condition with the whole table, others with what `narrow` makes of their paths."""

    class Asking(scripted):
        def _answer(self, question, read):
            (term,) = question.where or (None,)
            self.script[OWNERS] = whole if term is None else narrow(term.value)
            return super()._answer(question, read)

    return Asking({})


def as_asked(paths):
    return [row for row in EVERY if f'MSCluster_Resource.Name="{row["GroupComponent"]["Name"]}"' in paths]


async def test_only_the_resources_that_matter_are_asked_for_in_slices(scripted):
    ask = asking(scripted, as_asked)
    names = [f"VM {number}" for number in range(90)]
    found = await find_possible_owners("prod", names, ask)
    assert found == {name.casefold(): frozenset({"hv1", "hv2"}) for name in names}
    assert [len(question.where[0].value) for question in ask.asked] == [40, 40, 10]
    assert ask.rounds == 1


async def test_nothing_is_asked_where_nothing_moves(scripted):
    ask = asking(scripted, as_asked)
    assert (await find_possible_owners("prod", [], ask), ask.asked) == ({}, [])


@pytest.mark.parametrize(
    "narrow",
    [
        lambda _: Unknown("prod", "absent", "it does not know one of the columns asked for."),
        lambda _: Unknown("prod", "refused", "the WMI provider there failed."),
        lambda _: [{"GroupComponent": 5}],
        lambda _: [],
        lambda paths: as_asked(paths)[:4],
        lambda paths: as_asked(paths) if len(paths) == 40 else Unknown("prod", "refused", "too many."),
    ],
)
async def test_the_whole_table_is_read_where_the_condition_does_not_do(scripted, narrow):
    ask = asking(scripted, narrow)
    found = await find_possible_owners("prod", [f"VM {number}" for number in range(50)], ask)
    assert found == possible_owners("prod").read(EVERY)
    assert [len(question.where) for question in ask.asked] == [1, 1, 0]


@pytest.mark.parametrize("kind", ["timed out", "unreachable", "not asked", "out of time", "login refused", "too busy"])
async def test_who_is_silent_is_not_asked_for_more(scripted, kind):
    silent = Unknown("prod", kind, "no answer.")
    ask = asking(scripted, lambda _: silent)
    assert await find_possible_owners("prod", ["VM 1"], ask) is silent
    assert len(ask.asked) == 1


async def test_owners_are_not_known_where_the_whole_table_cannot_be_read_either(scripted):
    odd = [*EVERY, {"GroupComponent": {"Name": "VM 1"}, "PartComponent": None}]
    found = await find_possible_owners("prod", ["VM 1"], asking(scripted, lambda _: odd, whole=odd))
    assert isinstance(found, Unknown)
    assert found.kind == "bad reply"


async def test_unknown_stays_unknown_where_the_whole_table_is_refused_as_well(scripted):
    refused = Unknown("prod", "refused", "the WMI provider there failed.")
    ask = asking(scripted, lambda _: refused, whole=refused)
    assert await find_possible_owners("prod", ["VM 1"], ask) is refused
