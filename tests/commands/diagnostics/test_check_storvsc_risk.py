"""`/check-storvsc-risk` from scripted replies to the whole report."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.api.arguments import Target
from bot.api.facts import Unknown
from bot.api.report import Severity
from commands.diagnostics.check_storvsc_risk import COMMAND, Args
from commands.sources.bugchecks import read_stop_code
from commands.sources.guest_drivers import Branch, FileVersion
from commands.sources.rules import storvsc_rule
from commands.storvsc.ranking import has_fix

PROD = Target("prod", "cluster", "prod")
IDS = {name: f"{number:08d}-0000-4000-8000-000000000000" for number, name in enumerate("abcdef", start=1)}
WORKER = "wevtutil query events Microsoft-Windows-Hyper-V-Worker-Admin"
WER, POWER = "Microsoft-Windows-WER-SystemErrorReporting", "Microsoft-Windows-Kernel-Power"
HOTFIX = [{"HotFixID": "KB2636573"}]
GDR, LDR = "6.1.7601.17514", "6.1.7601.21680"
D1 = "0x000000d1 (0x0, 0x2, 0x0, 0xfffff88000f1e2d3)"


def event(number, provider, *values, at="2026-11-20T10:00:00Z"):
    return {"EventCode": str(number), "SourceName": provider, "TimeGenerated": at, "InsertionStrings": values}


class Guest:
    def __init__(self, name, scsi=1, growing=0, *, events=(), version=GDR, updates=(), system="Windows Server 2008 R2"):
        self.name, self.id, self.scsi, self.growing = name, IDS[name], scsi, growing
        self.events, self.version, self.updates, self.system = events, version, updates, system

    def disks(self):
        path = (
            f'\\\\HV01\\root\\virtualization:Msvm_ResourceAllocationSettingData.InstanceID="Microsoft:{self.id}\\\\scsi'
        )
        own = f"Microsoft:{self.id}\\scsi"
        yield {"InstanceID": own, "ResourceSubType": "Microsoft Synthetic SCSI Controller"}
        for at in range(self.scsi):
            file = f"C:\\ClusterStorage\\Volume1\\{self.name}-{at}.{'AVHD' if at < self.growing else 'vhd'}"
            yield {
                "InstanceID": f"{own}\\{at}\\D",
                "ResourceSubType": "Microsoft Synthetic Disk Drive",
                "Parent": path + '"',
            }
            yield {
                "InstanceID": f"{own}\\{at}\\L",
                "ResourceSubType": "Microsoft Virtual Hard Disk",
                "Parent": f'{path}\\\\{at}\\\\D"',
                "Connection": file,
            }


@pytest.fixture
def check(scripted, make):
    async def run(*guests, updates=(), worker=(), build=7601, silent=None, **over):
        script = {
            ("prod", "MSCluster_Node"): [make.node_row("hv01", build=build)],
            ("hv01", "Msvm_ComputerSystem"): [
                {"Name": one.id, "ElementName": one.name, "EnabledState": "2", "OperationalStatus": "2"}
                for one in guests
            ],
            ("hv01", "Msvm_KvpExchangeComponent"): [
                {"SystemName": one.id, "GuestIntrinsicExchangeItems": make.kvp(one.name, one.system)} for one in guests
            ],
            ("hv01", "Msvm_VirtualSystemSettingData"): [
                {"SystemName": one.id, "BIOSGUID": f"{{{one.id}}}"} for one in guests
            ],
            ("hv01", "Msvm_ResourceAllocationSettingData"): [row for one in guests for row in one.disks()],
            ("hv01", "Win32_QuickFixEngineering"): list(updates),
            ("hv01", WORKER): list(worker),
        }
        for one in guests:
            script |= {
                (one.name, "Win32_OperatingSystem"): [
                    {"BuildNumber": "7601", "SystemDirectory": "C:\\Windows\\system32"}
                ],
                (one.name, "Win32_QuickFixEngineering"): list(one.updates),
                (one.name, "Win32_NTLogEvent"): list(one.events),
                (one.name, "CIM_DataFile"): [{"Name": "c:\\windows", "Version": one.version}],
                (one.name, "Parameters"): [{"VirtualMachineId": None}],
                (one.name, "Win32_ComputerSystemProduct"): [{"UUID": one.id.upper()}],
            }
        script |= {(key.partition(":")[0], key.partition(":")[2]): rows for key, rows in over.items()}
        run.ask = scripted(script, silent)
        args = Args(PROD)
        return COMMAND.evaluate(args, await COMMAND.collect(args, run.ask))

    return run


def said(report):
    return {(one.status, one.target): one for one in report.findings}


def rows(report):
    return {
        row[0]: dict(zip((one.name for one in report.table.columns), row, strict=True)) for row in report.table.rows
    }


async def test_hosts_of_other_windows_are_not_asked(check):
    report = await check(Guest("a"), build=9600)
    assert report.title == "prod: KB2636573 does not apply, no host runs 2008 R2"
    assert len(check.ask.asked) == 1
    assert not report.has_findings


async def test_a_host_whose_windows_is_unknown_is_never_called_unaffected(check, scripted, make):
    report = await check(Guest("a"), build=None, **{"prod:MSCluster_Node": [{"Name": "hv01", "State": "0"}]})
    assert report.title == "prod: not known whether KB2636573 matters, 1 unknown"
    assert not report.fine


async def test_guests_at_risk_are_ranked_by_growing_disks_then_by_their_number(check):
    report = await check(Guest("a", 1), Guest("b", 4), Guest("c", 2, 1))
    assert report.title == "prod: 3 guests at risk of a storvsc bugcheck"
    (finding,) = report.findings
    assert (finding.severity, finding.status, finding.target) == (Severity.WARNING, "AT RISK", "3 guests")
    assert finding.summary == "c (2 SCSI, 1 growing), b (4 SCSI), a (1 SCSI)."
    assert (
        "KB2636573 is not listed on hv01. A later update may contain it: hvops cannot tell."
        in dict(finding.lines)["Because"]
    )
    assert "cannot tell, the fixed version is not public" in dict(finding.lines)["Because"]
    assert [row[0] for row in report.table.rows] == ["c", "b", "a"]


async def test_questions_to_a_host_do_not_grow_with_its_guests(check):
    await check(Guest("a", 0))
    few = [one for one in check.ask.asked if one.on == "hv01"]
    await check(*(Guest(name) for name in "abcdef"))
    assert len([one for one in check.ask.asked if one.on == "hv01"]) == len(few) == 6


async def test_a_listed_hotfix_ends_the_risk(check):
    report = await check(Guest("a"), updates=HOTFIX)
    assert report.title == "prod: no guest is at risk of a storvsc bugcheck"
    assert report.findings == ()
    assert [(one.word, one.targets) for one in report.fine] == [("HOTFIX LISTED", ("a",))]


async def test_guests_without_scsi_disks_and_linux_are_not_asked(check):
    report = await check(Guest("a", 0), Guest("b", system="Ubuntu"))
    assert {one.on for one in check.ask.asked} == {"prod", "hv01"}
    assert {name: row["Risk"] for name, row in rows(report).items()} == {"a": "no SCSI disk", "b": "not Windows"}


@pytest.mark.parametrize(
    "one",
    [
        event(1001, "BugCheck", D1, "C:\\dumps\\a.dmp"),
        event(1001, WER, D1, "C:\\dumps\\a.dmp", "id"),
        event(41, POWER, "209", "0"),
    ],
)
async def test_a_stop_with_the_number_of_the_rule(check, one):
    report = await check(Guest("a", 2, events=[one]))
    assert report.title == "prod: a stopped with 0xD1 (209)"
    finding = said(report)["STOPPED", "a"]
    assert finding.severity is Severity.FAULT
    assert finding.summary.startswith("Stop 0xD1 (209), 20 Nov 10:00 UTC")
    assert "no event names the driver" in dict(finding.lines)["Means"]
    assert "!analyze -v" in dict(finding.lines)["By hand"]
    if one["EventCode"] == "1001":
        assert "C:\\dumps\\a.dmp" in dict(finding.lines)["By hand"]


async def test_what_is_no_stop_is_none(check):
    guests = (
        Guest("a", events=[event(1001, "Windows Error Reporting", "", "0", "APPCRASH", "w3wp.exe")]),
        Guest("b", events=[event(41, POWER, "0", "0")]),
        Guest("c", events=[event(1001, WER, "0x0000007e (0x0)", "C:\\x.dmp")]),
    )
    report = await check(*guests)
    assert "STOPPED" not in {one.status for one in report.findings}
    other = said(report)["OTHER BUGCHECKS", "2 guests"]
    assert "b lost power or was turned off, no bugcheck" in other.summary
    assert "c stop 0x7E (126)" in other.summary
    assert rows(report)["a"]["Last stop"] == ""


async def test_the_hosts_log_names_a_guest_that_stopped(check):
    data = {"VmName": "a", "VmId": IDS["a"].upper(), "VmErrorCode0": "0xd1", "VmErrorCode1": "0x0"}
    told = {
        "event_id": "18590",
        "at": "2026-11-20T10:00:00Z",
        "data": data,
        "provider": "Microsoft-Windows-Hyper-V-Worker",
    }
    fault = told | {"event_id": "18560", "data": {"VmName": "b", "VmId": IDS["b"]}}
    report = await check(Guest("a"), Guest("b"), worker=[told, fault])
    assert "(event 18590)" in said(report)["STOPPED", "a"].summary
    assert "reset after a triple fault" in said(report)["OTHER BUGCHECKS", "b"].summary


async def test_the_same_stop_without_scsi_disks_is_another_fault(check):
    data = {"VmName": "a", "VmId": IDS["a"], "VmErrorCode0": "0xd1"}
    told = {
        "event_id": "18590",
        "at": "2026-11-20T10:00:00Z",
        "data": data,
        "provider": "Microsoft-Windows-Hyper-V-Worker",
    }
    report = await check(Guest("a", 0), worker=[told])
    assert [one.status for one in report.findings] == ["OTHER BUGCHECKS"]


async def test_a_stop_beside_a_listed_hotfix_points_elsewhere(check):
    report = await check(Guest("a", events=[event(1001, WER, D1)]), updates=HOTFIX)
    finding = said(report)["STOPPED", "a"]
    assert finding.severity is Severity.WARNING
    assert "before the hotfix, or for another reason" in dict(finding.lines)["Means"]


async def test_versions_of_two_branches_are_shown_and_not_compared(check):
    report = await check(Guest("a", version=GDR), Guest("b", version=LDR))
    because = dict(said(report)["AT RISK", "2 guests"].lines)["Because"]
    assert f"GDR {GDR}; LDR {LDR}: cannot tell" in because
    assert {name: row["Branch"] for name, row in rows(report).items()} == {"a": "GDR", "b": "LDR"}


async def test_a_host_that_does_not_tell_its_updates_cannot_be_judged(check):
    refused = Unknown("hv01", "refused", "access is denied.")
    report = await check(Guest("a"), **{"hv01:Win32_QuickFixEngineering": refused})
    assert report.title == "prod: cannot tell of 1 guest, 1 unknown"
    assert [(one.target, one.kind) for one in report.unanswered] == [("hv01", "refused")]


async def test_another_machine_of_that_name_counts_for_nothing(check):
    guest = Guest("a", events=[event(1001, WER, D1)])
    report = await check(guest, **{"a:Win32_ComputerSystemProduct": [{"UUID": IDS["f"]}]})
    assert "STOPPED" not in {one.status for one in report.findings}
    assert [(one.target, one.kind) for one in report.unanswered] == [("a", "wrong machine")]


async def test_a_guest_that_is_silent_stays_at_risk(check):
    report = await check(Guest("a"), silent={"a": "timed out"})
    assert report.title == "prod: 1 guest at risk of a storvsc bugcheck, 1 unknown"
    assert (report.asked, report.answered) == (1, 0)


async def test_damaged_events_are_counted_and_spoil_no_other(check):
    events = [
        event(1001, WER, D1),
        event("x", WER, D1),
        event(1001, WER),
        event(41, POWER, "nonsense"),
        {"EventCode": "41"},
    ]
    report = await check(Guest("a", events=events))
    assert ("STOPPED", "a") in said(report)
    assert "Some events could not be read in a." in report.notes


def test_the_fixed_version_is_not_known():
    assert storvsc_rule().fixed == {}
    assert has_fix(FileVersion((6, 1, 7601, 99999)), storvsc_rule()) is None


def test_a_known_fixed_version_decides_within_its_branch_only():
    rule = replace(storvsc_rule(), fixed={"LDR": "6.1.7601.21840"})
    assert has_fix(FileVersion((6, 1, 7601, 21840)), rule) is True
    assert has_fix(FileVersion((6, 1, 7601, 21000)), rule) is False
    assert has_fix(FileVersion((6, 1, 7601, 18000)), rule) is None
    assert has_fix(FileVersion((6, 1, 7600, 21900)), rule) is None
    assert has_fix(None, rule) is None


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_files_of_two_branches_never_compare(one, other):
    first, second = FileVersion((6, 1, 7601, one)), FileVersion((6, 1, 7601, other))
    known = first.is_at_least(second)
    assert (known is None) == (first.branch is not second.branch)
    assert first.branch in Branch
    assert FileVersion((10, 0, 14393, one)).branch is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (D1, 0xD1),
        ("0xd1", 0xD1),
        ("209", 0xD1),
        ("0x100000D1 (0x0)", 0xD1),
        ("0xC0000218 (0x0)", 0xC0000218),
        ("0", 0),
        ("", None),
        ("APPCRASH", None),
        ("٢٠٩", None),
        ("9" * 40, None),
    ],
)
def test_the_number_of_a_stop(text, code):
    assert read_stop_code(text) == code


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_number_or_none(text):
    code = read_stop_code(text)
    assert code is None or 0 <= code < 2**32
