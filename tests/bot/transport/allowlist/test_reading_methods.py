"""Methods that only read: the statistics of Hyper-V Replica, well-formed, damaged and hostile."""

import pytest

from bot.transport.allowlist.definitions import BadOutput
from bot.transport.allowlist.reading_methods import METHODS, iso_time, parse_statistics

ROW = METHODS["replication statistics"]
VM = "11111111-0000-4000-8000-00000000000a"
ONE = (
    '<INSTANCE CLASSNAME="Msvm_ReplicationStatistics">'
    '<PROPERTY NAME="LastTestFailoverTime" TYPE="datetime"><VALUE>20260512091500.000000+120</VALUE></PROPERTY>'
    '<PROPERTY NAME="ReplicationSuccessCount" TYPE="uint32"><VALUE>144</VALUE></PROPERTY>'
    '<PROPERTY NAME="Caption" TYPE="string"></PROPERTY></INSTANCE>'
)


def test_a_machine_is_referred_to_by_its_id():
    assert ROW.bound_keys((("vm_id", VM),)) == (("CreationClassName", "Msvm_ComputerSystem"), ("Name", VM.upper()))


@pytest.mark.parametrize("vm_id", ["", "crm-01", f"{{{VM}}}", f'{VM}" or 1', None, 7])
def test_anything_else_is_no_machine(vm_id):
    with pytest.raises(ValueError, match="id of a virtual machine"):
        ROW.bound_keys((("vm_id", vm_id),))


def test_statistics_are_read_with_times_that_everybody_reads():
    (row,) = parse_statistics({"ReturnValue": "0", "ReplicationStatistics": ONE})
    assert row["LastTestFailoverTime"] == "2026-05-12T09:15:00.000000+02:00"
    assert row["ReplicationSuccessCount"] == "144"
    assert row["Caption"] is None


def test_no_statistics_are_an_answer_too():
    assert parse_statistics({"ReturnValue": "0"}) == ()


@pytest.mark.parametrize(
    "out",
    [
        {"ReturnValue": "32779"},
        {"ReturnValue": "4096", "ReplicationStatistics": ONE},
        {"ReplicationStatistics": ONE},
        {"ReturnValue": "0", "ReplicationStatistics": ONE[:-5]},
        {"ReturnValue": "0", "ReplicationStatistics": ONE.replace("Msvm_ReplicationStatistics", "Msvm_Other")},
        {"ReturnValue": "0", "ReplicationStatistics": f'<!DOCTYPE x [<!ENTITY a "b">]>{ONE}'},
        {"ReturnValue": "0", "ReplicationStatistics": ONE.replace("+120", "+12")},
        {"ReturnValue": "0", "ReplicationStatistics": tuple([ONE] * 17)},
        {"ReturnValue": "0", "ReplicationStatistics": ONE.replace("144", "1" * 60_000)},
    ],
)
def test_what_is_damaged_is_no_answer(out):
    with pytest.raises(BadOutput):
        parse_statistics(out)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (None, None),
        ("", None),
        ("16010101000000.000000-000", "1601-01-01T00:00:00.000000-00:00"),
        ("20260512091500.******-300", "2026-05-12T09:15:00.000000-05:00"),
    ],
)
def test_times_of_cim(told, expected):
    assert iso_time(told) == expected
