"""Which guests move live, and where they may go, out of rows that nobody has captured."""

import pytest

from commands.know.moves import read_possible_owners, read_threshold, read_threshold_of_hive


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
    assert read_threshold(rows) == threshold


def test_the_threshold_of_the_hive():
    assert read_threshold_of_hive([{"MoveTypeThreshold": "1000"}]) == 1000
    assert read_threshold_of_hive([{"MoveTypeThreshold": None}]) is None
    assert read_threshold_of_hive([]) is None


def test_possible_owners_by_lower_case_names():
    rows = [
        {"GroupComponent": {"__CLASS": "MSCluster_Resource", "Name": "VM A"}, "PartComponent": {"Name": "HV1"}},
        {"GroupComponent": {"name": "vm a"}, "PartComponent": {"name": "hv2"}},
        {"GroupComponent": None, "PartComponent": {"Name": "hv2"}},
        {"GroupComponent": {"Id": "x"}, "PartComponent": {"Name": "hv2"}},
        {"GroupComponent": {"Name": ("a", "b")}, "PartComponent": {"Name": "hv2"}},
    ]
    assert read_possible_owners(rows) == {"vm a": frozenset({"hv1", "hv2"})}
