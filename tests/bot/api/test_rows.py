"""Cells that a host, or a guest, can make up."""

import pytest

from bot.api.rows import (
    CellError,
    get_bool,
    get_build,
    get_datetime,
    get_int,
    get_ints,
    get_reference_name,
    get_str,
    get_strs,
)
from bot.redaction import MASKED


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "2026-13-01", "now"])
def test_a_time_that_has_no_name_in_utc_is_unreadable_and_nothing_worse(at):
    with pytest.raises(CellError):
        get_datetime({"At": at}, "At")


@pytest.mark.parametrize("cell", ["9" * 400, str(2**64), str(-(2**63) - 1), 2**64, "1" * 5000])
def test_a_number_that_cim_cannot_hold_is_unreadable(cell):
    """A guest with a volume of 10**400 bytes would otherwise end in an OverflowError of the whole request."""
    with pytest.raises(CellError):
        get_int({"Capacity": cell}, "Capacity")
    with pytest.raises(CellError):
        get_ints({"Capacity": (str(cell), "1")}, "Capacity")


@pytest.mark.parametrize("cell", ["1_0", "\u0661", "1e3", "0x10", "9" * 5_000, "\uff11"])
def test_what_only_python_reads_as_a_number_is_none(cell):
    with pytest.raises(CellError):
        get_int({"State": cell}, "State")
    with pytest.raises(CellError):
        get_ints({"State": (cell,)}, "State")


def test_the_largest_and_the_smallest_number_of_cim():
    assert get_int({"a": str(2**64 - 1)}, "a") == 2**64 - 1
    assert get_ints({"a": (str(-(2**63)), "0")}, "a") == (-(2**63), 0)


@pytest.mark.parametrize("end", [None, "hv03", {}, {"Id": "x"}, {"Name": ("a", "b")}, {"Name": ""}, {"Name": None}])
def test_an_end_of_an_association_without_a_name_is_unreadable(end):
    with pytest.raises(CellError):
        get_reference_name({"Antecedent": end}, "Antecedent")
    assert get_reference_name({"Antecedent": {"__CLASS": "Win32_Service", "name": "RpcSs"}}, "Antecedent") == "RpcSs"


@pytest.mark.parametrize(
    ("end", "name"),
    [
        ({"__CLASS": "A", "Antecedent": {"__CLASS": "Win32_Service", "Name": "RpcSs"}}, "RpcSs"),
        ({"__CLASS": "A", "Of": {"__CLASS": "B", "In": {"__CLASS": "C", "name": "deep"}}, "Id": "7"}, "deep"),
        ({"__CLASS": "A", "Name": "own", "Of": {"Name": "inner"}}, "own"),
        ({"__CLASS": "A", "Antecedent": {"Name": "one"}, "Dependent": {"Name": "two"}}, None),
        ({"__CLASS": "A", "Antecedent": {"Name": "same"}, "Dependent": {"Name": "same"}}, None),
        ({"__CLASS": "A", "Antecedent": {"Id": "7"}}, None),
    ],
)
def test_an_end_whose_key_is_a_reference_has_that_ones_name_where_there_is_one(end, name):
    if name is not None:
        assert get_reference_name({"End": end}, "End") == name
        return
    with pytest.raises(CellError):
        get_reference_name({"End": end}, "End")


@pytest.mark.parametrize("cell", ["-1", "0", str(2**31), "many"])
def test_what_is_no_build_is_not_known(cell):
    with pytest.raises(CellError):
        get_build({"BuildNumber": cell})
    assert get_build({"BuildNumber": "9600"}) == 9600
    assert get_build({}) is None


@pytest.mark.parametrize("cell", [MASKED, f"C:\\{MASKED}", (MASKED, "b"), {"Name": MASKED}])
@pytest.mark.parametrize("read", [get_str, get_strs, get_int, get_ints, get_bool, get_datetime, get_reference_name])
def test_what_came_masked_is_read_by_nobody(read, cell):
    """It is known to be something, and not what: a name that is masked is no name."""
    with pytest.raises(CellError):
        read({"a": cell}, "a")
