"""What has to be so before a service is failed over; every doubt refuses, and the way back is planned from what is so then."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.api.actions import InvokeMethod, ManualStep, ReadBack
from bot.api.arguments import Target
from bot.api.command import AfterRun, StepTimes
from bot.api.continuity import Service
from bot.api.facts import Known, Unknown
from bot.api.plan import GateOutcome, Group, PromisedTime
from bot.tickets.conditions import unmet
from bot.tickets.undo import undo_step
from bot.transport.permitted import why_not_sent
from commands.continuity.facts import HostFacts
from commands.drill import lost
from commands.drill.facts import DrillFacts
from commands.remediations.drill import COMMAND, Args, Part, collect, plan, plan_on
from commands.sources.cluster import Node

VM, OTHER = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002"
NOW = datetime(2026, 11, 22, 22, 41, tzinfo=UTC)
RECENT = "2026-11-22T22:37:00Z"
SERVICE = Service("crm", ("hv01", "dr01"), ("crm-01",), 60, 15)
GONE = Unknown("hv01", "timed out", "no answer in 20 s.")
SAID = Unknown("hv01", "login refused", "user name or password is wrong.")
LIVE, COPY = 1, 2  # ReplicationMode
RUNNING, OFF = "2", "3"


def target(service=SERVICE):
    return Target(service.name, "service", clusters=service.places, services=(service,))


def host(name, mode, state, *, build="17763", version="8.0", last=RECENT, vm=VM, **more):
    """One host with one end of crm-01, as rows; `more` replaces a class, `other` a name's rows."""
    points = {"PrimaryConnectionPoint": "hv01.corp.example", "RecoveryConnectionPoint": "dr01.corp.example"}
    if (name == "hv01") != (mode == LIVE):
        points = dict(zip(points, reversed(points.values()), strict=True))
    instance = f"Microsoft:{vm}\\HVR\\0"
    rows = {
        "Win32_OperatingSystem": [{"BuildNumber": build, "FreePhysicalMemory": "67108864"}],
        "Win32_ComputerSystem": [{"NumberOfLogicalProcessors": "40"}],
        "Win32_ShadowCopy": [],
        "Msvm_ComputerSystem": [
            {"Name": name.upper(), "ElementName": name.upper(), "EnabledState": "2"},
            {
                "Name": vm,
                "ElementName": "crm-01",
                "EnabledState": state,
                "OperationalStatus": ("2",),
                "HealthState": "5",
                "ReplicationMode": str(mode),
            },
        ],
        "Msvm_ReplicationRelationship": [
            {"InstanceID": instance, "ReplicationState": "3", "ReplicationHealth": "1", "LastReplicationTime": last}
        ],
        "Msvm_ReplicationSettingData": [
            {
                "InstanceID": instance,
                "PrimaryHostSystem": points["PrimaryConnectionPoint"],
                "RecoveryHostSystem": points["RecoveryConnectionPoint"],
                "ReplicationInterval": "300",
                "AuthenticationType": "1",
                "CompressionEnabled": "true",
                "AutoResynchronizeEnabled": "true",
                "AutoResynchronizeIntervalStart": "P0DT18H30M0S",
                "AutoResynchronizeIntervalEnd": "P0DT6H0M0S",
                "IncludedDisks": ("C:\\vm\\a & b.vhdx",),
                **points,
            }
        ],
        "Msvm_VirtualSystemSettingData": [{"VirtualSystemIdentifier": vm, "Version": version}],
        "Msvm_ShutdownComponent": [{"SystemName": vm, "DeviceID": f"Microsoft:{vm}\\1", "EnabledState": "2"}],
        "Msvm_SummaryInformation": [
            {"Name": vm, "MemoryUsage": "4096" if state == RUNNING else "0", "NumberOfProcessors": "4"}
        ],
        "replication statistics": [
            {
                "ReplicationSuccessCount": "144",
                "ReplicationLatency": "3024",
                "ReplicationMissCount": "0",
                "LastTestFailoverTime": "2026-10-20T09:00:00Z" if mode == COPY else "1601-01-01T00:00:00Z",
            }
        ],
    } | more
    return {(name, subject): told for subject, told in rows.items()}


def at_home(**more):
    """hv01 runs it, dr01 has the replica. `more`: hv01=rows by class, dr01=rows by class."""
    return host("hv01", LIVE, RUNNING, **more.get("hv01", {})) | host("dr01", COPY, OFF, **more.get("dr01", {}))


def away(**more):
    """After the failover and its reversal."""
    return host("hv01", COPY, OFF, **more.get("hv01", {})) | host("dr01", LIVE, RUNNING, **more.get("dr01", {}))


@pytest.fixture
def planned(scripted):
    async def make(script, only="both", group="", service=SERVICE):
        args = Args(target(service), Part(only))
        facts = await collect(args, scripted(script))
        return plan_on(args, facts, group) if group else plan(args, facts)

    return make


def shape(made):
    """Every step: its group, key, where it acts and how; the hosts that its guards and its end ask."""
    return [
        (
            group.key,
            step.key,
            f"{step.act.on} {step.act.method}" if isinstance(step.act, InvokeMethod) else type(step.act).__name__,
            f"{step.undo.on} {step.undo.method}" if step.undo else "",
            " ".join(dict.fromkeys(check.question.on for check in step.guard)),
            " ".join(dict.fromkeys(check.question.on for check in step.done)),
        )
        for group in made.groups
        for step in group.steps
    ]


WAY_BACK = [
    ("back-over", "stop-back-crm-01", "dr01 InitiateShutdown", "dr01 RequestStateChange", "dr01", "dr01"),
    ("back-over", "send-back-crm-01", "dr01 RequestReplicationStateChange", "dr01 RequestReplicationStateChange", "dr01", "dr01"),
    ("back-over", "over-back-crm-01", "hv01 InitiateFailover", "hv01 RevertFailover", "dr01 hv01", "hv01"),
    ("back-start", "start-back-crm-01", "hv01 RequestStateChange", "", "dr01 hv01", "hv01"),
    ("back-start", "check-back", "ManualStep", "", "", ""),
    ("back-reverse", "reverse-back-crm-01", "hv01 ReverseReplicationRelationship", "", "dr01 hv01", "hv01 dr01"),
    ("as-before", "as-before", "NoneType", "", "", "hv01 dr01"),
]  # fmt: skip


async def test_the_steps_there_and_back(planned):
    made = await planned(at_home())
    assert {gate.outcome for gate in made.gates} == {GateOutcome.PASSED}
    assert shape(made) == [
        ("out-over", "stop-out-crm-01", "hv01 InitiateShutdown", "hv01 RequestStateChange", "hv01", "hv01"),
        ("out-over", "send-out-crm-01", "hv01 RequestReplicationStateChange", "hv01 RequestReplicationStateChange", "hv01", "hv01"),
        ("out-over", "over-out-crm-01", "dr01 InitiateFailover", "dr01 RevertFailover", "hv01 dr01", "dr01"),
        ("out-start", "start-out-crm-01", "dr01 RequestStateChange", "", "hv01 dr01", "dr01"),
        ("out-start", "check-out", "ManualStep", "", "", ""),
        ("out-reverse", "reverse-out-crm-01", "dr01 ReverseReplicationRelationship", "", "hv01 dr01", "dr01 hv01"),
        *WAY_BACK,
    ]  # fmt: skip
    assert [(group.key, group.on_failure, group.revalidate_before) for group in made.groups] == [
        ("out-over", "undo", True),
        ("out-start", "stop", False),
        ("out-reverse", "stop", False),
        ("back-over", "undo", True),
        ("back-start", "stop", False),
        ("back-reverse", "stop", False),
        ("as-before", "stop", False),
    ]
    assert made.locks == ("host:dr01", "host:hv01")
    assert made.promises == (PromisedTime("RTO", 60), PromisedTime("RPO", 15))
    assert not any(step.repeatable for step in made.steps)  # a failover whose fate is unknown is never sent again
    assert not [why for step in made.steps for act in (step.act, step.undo) if act and (why := why_not_sent(act))]


@pytest.mark.parametrize(
    ("last", "is_met"),
    [("1601-01-01T00:00:00Z", False), (None, False), ("", False), ("2026-11-22T22:30:00Z", True)],
)
async def test_what_was_never_sent_the_other_way_is_not_taken_for_a_new_time(planned, last, is_met):
    (step,) = (step for step in (await planned(at_home())).steps if step.key == "reverse-out-crm-01")
    (sent,) = (check for check in step.done if "sent the other way" in check.description)
    before = {step.key: ({"LastReplicationTime": "2026-11-22T22:00:00Z"},)}
    assert (not unmet(sent, ({"LastReplicationTime": last},), before)) is is_met


CONNECTED = Service("crm", ("hv01", "dr01"), ("crm-01",), 60, 15, connects=("crm.corp.example:443", "10.1.0.60:1433"))
OPEN = ({"milliseconds": "1.0", "address": "10.1.0.60", "port": 443},)


async def test_each_part_is_said_in_words_for_the_message_of_a_plan_so_long(planned):
    made = await planned(at_home())
    assert [group.title for group in made.groups] == [
        "To dr01: shut down crm-01, send the last changes, fail over",
        "In dr01: start crm-01, an operator checks crm by hand",
        "Reverse the replication",
        "To hv01: shut down crm-01, send the last changes, fail over",
        "In hv01: start crm-01, an operator checks crm by hand",
        "Reverse the replication",
        "Check that all is as it was before",
    ]


async def test_the_service_is_connected_to_on_either_side_before_people_are_asked(planned):
    doors = {("crm.corp.example", "connect to service"): OPEN, ("10.1.0.60", "connect to service"): OPEN}
    made = await planned(at_home() | doors, service=CONNECTED)
    keys = [step.key for step in made.steps]
    for way, place in (("out", "dr01"), ("back", "hv01")):
        at = keys.index(f"connect-{way}")
        assert keys[at - 1 : at + 2] == [f"start-{way}-crm-01", f"connect-{way}", f"check-{way}"]
        step = made.steps[at]
        assert step.act is None
        assert step.description == f"Connect to crm in {place}: crm.corp.example:443, 10.1.0.60:1433"
        assert [dict(check.question.params) for check in step.done] == [{"port": 443}, {"port": 1433}]
        assert not [why for check in step.done if (why := why_not_sent(check.question))]
    assert all(gate.passed for gate in made.gates)
    assert (await planned(away() | doors, group="back-over", service=CONNECTED)).groups == made.groups[3:]


async def test_a_service_that_takes_no_connection_is_not_failed_over_but_comes_home(planned):
    closed = Unknown("crm.corp.example", "not listening", "10.1.0.60:443 refuses the connection.")
    doors = {("crm.corp.example", "connect to service"): closed, ("10.1.0.60", "connect to service"): OPEN}
    made = await planned(at_home() | doors, service=CONNECTED)
    assert not made.groups
    (gate,) = [one for one in made.gates if "takes connections" in one.description]
    assert gate.outcome is GateOutcome.BLOCKED
    assert gate.measured == "crm.corp.example:443: 10.1.0.60:443 refuses the connection"
    assert (await planned(away() | doors, only="back", service=CONNECTED)).groups


async def test_before_the_way_back_the_same_steps_are_made_from_what_is_so_then(planned):
    """The machine is away by then: whoever moved nothing finds the groups that were approved, byte by byte."""
    approved = await planned(at_home())
    fresh = await planned(away(), group="back-over")
    assert shape(fresh) == WAY_BACK
    assert fresh.groups == approved.groups[3:]
    assert {gate.description for gate in approved.gates if gate.blocks} <= {gate.description for gate in fresh.gates}
    assert all(gate.passed for gate in fresh.gates if gate.blocks)
    assert (await planned(away(), only="back")).groups == fresh.groups


async def test_a_reversal_goes_towards_the_side_that_was_left_and_keeps_all_other_settings(planned):
    made = await planned(at_home())
    out, back = (
        dict(step.act.params)["ReplicationSettingData"] for step in made.steps if step.key.startswith("reverse-")
    )
    point = '<PROPERTY NAME="RecoveryConnectionPoint" TYPE="string"><VALUE>{}</VALUE></PROPERTY></INSTANCE>'
    assert out.endswith(point.format("hv01.corp.example"))
    assert back.endswith(point.format("dr01.corp.example"))
    for settings in (out, back):
        assert '<PROPERTY NAME="CompressionEnabled" TYPE="boolean"><VALUE>TRUE</VALUE></PROPERTY>' in settings
        assert "<VALUE>C:\\vm\\a &amp; b.vhdx</VALUE>" in settings


def relationship(**more):
    return [
        {
            "InstanceID": f"Microsoft:{VM}\\HVR\\0",
            "ReplicationState": "3",
            "ReplicationHealth": "1",
            "LastReplicationTime": RECENT,
        }
        | more
    ]


def machine(**more):
    return [
        {"Name": "HV01", "ElementName": "HV01"},
        {"Name": VM, "ElementName": "crm-01", "EnabledState": RUNNING, "OperationalStatus": ("2",), "ReplicationMode": "1"}
        | more,
    ]  # fmt: skip


def certificate(until, *, version=True, before=()):
    """A certificate as the registry has it: elements of a store, and DER of which only the validity is told."""

    def part(tag, content):
        size = len(content)
        head = bytes([tag, size]) if size < 128 else bytes([tag, 0x82]) + size.to_bytes(2, "big")
        return head + content

    times = part(0x17, b"250101000000Z") + part(0x17, until.strftime("%y%m%d%H%M%SZ").encode())
    signed = (part(0xA0, part(0x02, b"\x02")) if version else b"") + part(0x02, b"\x07") + part(0x30, b"") * 2
    der = part(0x30, part(0x30, signed + part(0x30, times) + part(0x30, b"x" * 200)))
    elements = [(3, b"\0" * 20), *before, (32, der)]
    return b"".join(
        kind.to_bytes(4, "little") + b"\1\0\0\0" + len(data).to_bytes(4, "little") + data for kind, data in elements
    ).hex()


HOME, AWAY = "AA" * 20, "BB" * 20
LATE = NOW + timedelta(days=300)


def by_certificates(home=LATE, away=LATE, *, own_home=HOME, blob=None):
    """Both ends replicate by certificates; each host has its own in its store."""

    def one(name, mode, state, own, until):
        rows = host(name, mode, state)
        settings = rows[name, "Msvm_ReplicationSettingData"][0]
        rows[name, "Msvm_ReplicationSettingData"] = [
            settings | {"AuthenticationType": "2", "CertificateThumbPrint": own}
        ]
        rows[name, "Msvm_ReplicationServiceSettingData"] = [
            {"AllowedAuthenticationType": "2", "CertificateThumbPrint": own}
        ]
        rows[name, own] = [{"Blob": certificate(until) if blob is None else blob}]
        return rows

    return one("hv01", LIVE, RUNNING, own_home, home) | one("dr01", COPY, OFF, AWAY, away)


async def test_with_certificates_people_reverse_and_hvops_looks(planned):
    made = await planned(by_certificates())
    assert made.groups
    (gate,) = [one for one in made.gates if one.description.startswith("The certificates")]
    assert gate.measured == f"hv01: until {LATE:%-d %b %Y} (AAAAAAAA…); dr01: until {LATE:%-d %b %Y} (BBBBBBBB…)"
    reversals = [step for step in made.steps if step.key.startswith("reverse-")]
    assert [type(step.act) for step in reversals] == [ManualStep, ManualStep]
    out, back = reversals
    assert (
        f"hv01.corp.example, authentication by certificate, with the certificate of dr01, thumbprint {AWAY}"
        in out.act.instruction
    )
    assert (
        f"dr01.corp.example, authentication by certificate, with the certificate of hv01, thumbprint {HOME}"
        in back.act.instruction
    )
    assert [check.description for check in out.done][-1] == "changes have been sent the other way"
    assert out.deadline == 8 * 3600


@pytest.mark.parametrize(
    ("script", "outcome", "says"),
    [
        (by_certificates(home=NOW - timedelta(days=3)), "BLOCKED", f"hv01: ended on {NOW - timedelta(days=3):%-d %b %Y}"),
        (by_certificates(away=NOW + timedelta(hours=30)), "BLOCKED", f"dr01: ends on {NOW + timedelta(hours=30):%-d %b %Y}"),
        (by_certificates(own_home=""), "BLOCKED", "hv01: it has no certificate with which it receives replicas"),
        (by_certificates(own_home="no thumbprint"), "NOT_KNOWN", "hv01: no thumbprint is no thumbprint of a certificate"),
        (by_certificates(blob=""), "NOT_KNOWN", "its store has no certificate with that thumbprint"),
        (by_certificates(blob="zz"), "NOT_KNOWN", "hv01"),
        (by_certificates(blob="20000000010000000400000030823082"), "NOT_KNOWN", "breaks off"),
        (by_certificates(blob="00" * 70_000), "NOT_KNOWN", "too long for a certificate"),
    ],
)  # fmt: skip
async def test_a_certificate_that_does_not_last_or_is_not_known_makes_no_drill(planned, script, outcome, says):
    made = await planned(script)
    assert not made.groups
    (gate,) = [one for one in made.gates if one.description.startswith("The certificates")]
    assert (gate.outcome.name, says in gate.measured) == (outcome, True), gate.measured


def resyncing(begins, ends, *, on="true"):
    rows = host("hv01", LIVE, RUNNING)["hv01", "Msvm_ReplicationSettingData"][0]
    more = {
        "AutoResynchronizeEnabled": on,
        "AutoResynchronizeIntervalStart": begins,
        "AutoResynchronizeIntervalEnd": ends,
    }
    return at_home(hv01={"Msvm_ReplicationSettingData": [rows | more]})


@pytest.mark.parametrize(
    ("script", "passed", "says"),
    [
        (resyncing("P0DT18H30M0S", "P0DT6H0M0S"), True, "hv01: from 18:30 to 06:00; dr01: from 18:30 to 06:00"),
        (resyncing("00000000210000.000000:000", "PT5H"), True, "hv01: from 21:00 to 05:00"),
        (resyncing("PT0S", "PT23H59M59S"), True, "hv01: at any hour"),
        (resyncing("P0DT18H30M0S", "P0DT6H0M0S", on="false"), True, "hv01: off"),
        (resyncing("P1DT1H", "PT5H"), False, "hv01: on, at hours that hvops cannot read"),
        (resyncing("PT25H", "PT5H"), False, "cannot read"),
        (resyncing("PT٥H", "PT5H"), False, "cannot read"),
        (resyncing(None, None, on=None), False, "hv01: not told"),
    ],
)
async def test_when_it_resynchronises_is_seen_and_taken_over(planned, script, passed, says):
    made = await planned(script)
    assert made.groups, "it is a warning"
    (gate,) = [one for one in made.gates if "automatic resynchronization schedule" in one.description]
    assert (gate.passed, says in gate.measured) == (passed, True), gate.measured
    assert passed or "18:30 to 06:00: look at it after the drill" in gate.measured


async def test_a_reversal_takes_the_hours_over(planned):
    made = await planned(resyncing("PT21H", "PT5H"))
    back = next(step for step in made.steps if step.key == "reverse-back-crm-01")
    settings = dict(back.act.params)["ReplicationSettingData"]
    for name, value in (("Start", "00000000210000.000000:000"), ("End", "00000000050000.000000:000")):
        assert (
            f'<PROPERTY NAME="AutoResynchronizeInterval{name}" TYPE="datetime"><VALUE>{value}</VALUE></PROPERTY>'
            in settings
        )


EXTENDED = {"InstanceID": f"Microsoft:{VM}\\HVR\\1", "ReplicationState": "3", "ReplicationHealth": "1"}
REFUSED = [
    # health, lag and age
    ("hv01", {"Msvm_ReplicationRelationship": relationship(ReplicationHealth="3")}, "Replication of crm-01", "BLOCKED", "critical"),
    ("hv01", {"Msvm_ReplicationRelationship": relationship(ReplicationHealth="2")}, "Replication of crm-01", "NOT_KNOWN", "Windows warns"),
    ("hv01", {"Msvm_ReplicationRelationship": relationship(ReplicationHealth="0")}, "Replication of crm-01", "NOT_KNOWN", "not known (0)"),
    ("hv01", {"Msvm_ReplicationRelationship": relationship(ReplicationState="7")}, "Replication of crm-01", "NOT_KNOWN", "suspended"),
    ("hv01", {"Msvm_ReplicationRelationship": relationship(LastReplicationTime="2026-11-22T20:00:00Z")}, "Replication of crm-01", "BLOCKED", "2 h ago"),
    ("hv01", {"Msvm_ReplicationRelationship": relationship(LastReplicationTime="1601-01-01T00:00:00Z")}, "Replication of crm-01", "NOT_KNOWN", "never replicated"),
    ("hv01", {"Msvm_ReplicationRelationship": []}, "Replication of crm-01", "BLOCKED", "no relationship"),
    ("dr01", {"Msvm_ReplicationRelationship": relationship(ReplicationHealth="3")}, "Replication of crm-01", "BLOCKED", "on dr01"),
    ("hv01", {"replication statistics": [{"ReplicationSuccessCount": "2", "ReplicationLatency": "7200"}]}, "Replication of crm-01", "BLOCKED", "of work is lost"),
    ("hv01", {"replication statistics": [{"ReplicationSuccessCount": "0", "ReplicationLatency": "0"}]}, "Replication of crm-01", "NOT_KNOWN", "no cycle has succeeded"),
    ("hv01", {"Msvm_ReplicationRelationship": [{"InstanceID": "nonsense"}]}, "Replication of crm-01", "NOT_KNOWN", "no InstanceID"),
    # where it is, and what is done to it
    ("hv01", {"Msvm_ComputerSystem": machine(EnabledState=OFF)}, "runs on the side to fail over from", "BLOCKED", "off on hv01"),
    ("hv01", {"Msvm_ComputerSystem": machine(EnabledState="99")}, "runs on the side to fail over from", "NOT_KNOWN", "unknown state"),
    ("hv01", {"Msvm_ComputerSystem": machine(ReplicationMode="0")}, "runs on the side", "BLOCKED", "does not call it the primary"),
    ("hv01", {"Msvm_ComputerSystem": machine(ReplicationMode="77")}, "runs on the side", "NOT_KNOWN", "does not tell which end"),
    ("hv01", {"Msvm_ComputerSystem": machine(OperationalStatus=("2", "32776"))}, "No other operation", "BLOCKED", "a backup holds it"),
    ("hv01", {"Msvm_ComputerSystem": machine(OperationalStatus=("2", "32774"))}, "No other operation", "BLOCKED", "migrated"),
    ("hv01", {"Msvm_ComputerSystem": machine(OperationalStatus=None)}, "No other operation", "NOT_KNOWN", "hv01"),
    ("dr01", {"Msvm_ReplicationRelationship": [*relationship(), EXTENDED]}, "no extended replica", "BLOCKED", r"…\HVR\1"),
    # the way back
    ("hv01", {"build": "9200"}, "can come back", "BLOCKED", "failover goes, failback does not: hv01 (2012) is older than dr01 (2019)"),
    ("hv01", {"build": "9600"}, "can come back", "BLOCKED", "configuration version 8.0 cannot return to any host before 2016"),
    ("hv01", {"Msvm_VirtualSystemSettingData": []}, "can come back", "PASSED", "8.0"),  # the other end tells it
    ("dr01", {"version": "12.0"}, "can come back", "BLOCKED", "dr01 (2019) does not run configuration version 12.0"),
    # what the steps need
    ("dr01", {"Msvm_ShutdownComponent": []}, "can shut down crm-01", "NOT_KNOWN", "dr01"),
    ("dr01", {"Msvm_ShutdownComponent": SAID}, "can shut down crm-01", "NOT_KNOWN", "its shutdown service"),
    ("hv01", {"Msvm_ReplicationSettingData": []}, "can shut down crm-01", "NOT_KNOWN", "replication settings"),
    ("dr01", {"Win32_ComputerSystem": [{"NumberOfLogicalProcessors": "2"}]}, "memory and processors", "BLOCKED", "dr01 only 2"),
    ("dr01", {"Win32_OperatingSystem": [{"BuildNumber": "17763", "FreePhysicalMemory": "4300000"}]}, "memory and processors", "BLOCKED", "stay free"),
    ("hv01", {"Msvm_SummaryInformation": GONE}, "memory and processors", "NOT_KNOWN", "hv01"),
    ("hv01", {"Msvm_SummaryInformation": [{"Name": VM, "MemoryUsage": "-4096", "NumberOfProcessors": "4"}]}, "memory and processors", "NOT_KNOWN", "hv01"),
    ("hv01", {"Msvm_SummaryInformation": [{"Name": VM, "MemoryUsage": "4096", "NumberOfProcessors": "-4"}]}, "memory and processors", "NOT_KNOWN", "hv01"),
    ("hv01", {"Win32_ShadowCopy": GONE}, "No backup is running on hv01", "NOT_KNOWN", ""),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=[f"{case[2]}: {case[4]}" for case in REFUSED])
async def test_every_doubt_refuses_and_nobodys_word_lifts_it(planned, case):
    on, rows, gate, outcome, measured = case
    made = await planned(at_home(**{on: rows}))
    found = [one for one in made.gates if gate in one.description]
    assert [one.outcome.name for one in found] == [outcome]
    assert measured in found[0].measured
    assert not found[0].answerable
    assert bool(made.groups) == (outcome == "PASSED")


async def test_a_silent_side_is_never_taken_for_off(planned):
    made = await planned(at_home(hv01={"Msvm_ComputerSystem": GONE}))
    assert not made.groups
    assert "hv01 does not answer, and a side that does not answer is never assumed to be off" in made.reason
    assert "/drill crm --only lost" in made.reason


async def test_a_service_that_is_on_the_wrong_side_is_not_drilled_from_there(planned):
    made = await planned(away())
    assert not made.groups
    assert "it is used on dr01, not on hv01" in made.reason


@pytest.mark.parametrize("name", ["crm-01\u202e<!channel>", "CRM_01; rm -rf", "\u0441rm-01", "x" * 300])
async def test_a_hostile_name_makes_keys_and_no_harm(planned, name):
    script = at_home()
    for on in ("hv01", "dr01"):
        script[on, "Msvm_ComputerSystem"] = [
            row | ({"ElementName": name} if row["Name"] == VM else {}) for row in script[on, "Msvm_ComputerSystem"]
        ]
    made = await planned(script, service=replace(SERVICE, guests=(name,)))
    assert len(made.steps) == 13
    assert all(len(step.key) <= 80 for step in made.steps)


async def test_two_machines_that_clean_to_one_key_are_kept_apart(planned):
    script = at_home()
    for on, mode, state in (("hv01", LIVE, RUNNING), ("dr01", COPY, OFF)):
        second = host(on, mode, state, vm=OTHER)
        for key in list(script):
            if key[0] == on and key[1].startswith("Msvm_"):
                extra = [row for row in second[key] if OTHER in str(row)]
                script[key] = [*script[key], *extra]
        script[on, "Msvm_ComputerSystem"][-1]["ElementName"] = "crm_01"
    made = await planned(script, service=replace(SERVICE, guests=("crm-01", "crm_01")))
    assert len({step.key for step in made.steps}) == 23


@pytest.mark.parametrize(
    ("only", "says"),
    [("both", "crm-01, crm-02 are one machine there"), ("lost", "dr01 lists it by another name as well")],
)
async def test_one_machine_that_is_listed_by_two_names_is_not_failed_over_twice(planned, only, says):
    """Both names led to steps of one key, and the whole answer was a bug."""
    script = at_home()
    for on in ("hv01", "dr01"):
        rows = script[on, "Msvm_ComputerSystem"]
        script[on, "Msvm_ComputerSystem"] = [*rows, rows[-1] | {"ElementName": "crm-02"}]
    if only == "lost":
        script = {key: GONE if key[0] == "hv01" else rows for key, rows in script.items()} | {
            ("hv01", "tcp connect"): GONE
        }
    made = await planned(script, only, service=replace(SERVICE, guests=("crm-01", "crm-02")))
    assert not made.groups
    assert says in made.reason


async def test_an_inventory_that_names_one_place_or_no_guests_makes_no_drill(planned):
    assert "needs two places" in (await planned(at_home(), service=replace(SERVICE, places=("hv01",)))).reason
    three = await planned(at_home(), service=replace(SERVICE, places=("hv01", "dr01", "west")))
    assert "cannot tell which of dr01, west is meant" in three.reason
    assert "such as [service.crm-dr01] with places hv01 and dr01" in three.reason
    assert "names no guests" in (await planned(at_home(), service=replace(SERVICE, guests=()))).reason


TAKES = [{"milliseconds": "0.4"}]
REFUSES = Unknown("hv01", "connection refused", "no connection to port 5985: Connection refused.")
NO_WORKER = Unknown("hv01", "not asked", "no worker of north is there: none was started today.", "Start one.")


def lost_home(connect=GONE, **but):
    """hv01 answers nothing, but for these classes; `connect`: what a connection to it comes to."""
    silent = {subject: but.get(subject, GONE) for _, subject in host("hv01", LIVE, RUNNING)}
    return at_home(hv01=silent | {"tcp connect": connect})


def primary_on(name):
    """The rows of the replica that names this host as the one it was copied from, and what that one takes."""
    (settings,) = host("dr01", COPY, OFF)["dr01", "Msvm_ReplicationSettingData"]
    return {"dr01": {"Msvm_ReplicationSettingData": [settings | {"PrimaryHostSystem": f"{name}.corp.example"}]}}


async def test_the_runbook_for_a_lost_place_changes_nothing_by_itself(planned):
    script = lost_home()
    made = await planned(script, only="lost")
    assert all(isinstance(step.act, ManualStep) for step in made.steps)
    first = made.steps[0].act
    assert isinstance(first, ReadBack)
    assert first.role == "approver"
    assert [(one.compare, one.expected) for one in first.typed] == [("text", "hv01"), ("text", "powered off")]
    assert "4 min ago" in made.reason


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (at_home(hv01={"tcp connect": TAKES}), "hv01 answered"),
        # A refused login is no silence; nor does it matter what is asked over a connection that is taken.
        (at_home(hv01={"Msvm_ComputerSystem": SAID, "tcp connect": TAKES}), "hv01 answered"),
        # Hyper-V's provider is stuck: the host still answers, and its machines work.
        (lost_home(TAKES), "hv01 answered"),
        # A reset is an answer: something there is alive.
        (lost_home(REFUSES), "hv01 answered (connection refused, so switched on"),
        (lost_home() | host("dr01", COPY, OFF, Msvm_ComputerSystem=[{"Name": "DR01"}]), "no host"),
        (lost_home() | host("dr01", COPY, RUNNING), "running on dr01"),
    ],
)
async def test_a_lost_place_is_refused_where_it_answers_or_the_replica_is_not_one(planned, script, says):
    made = await planned(script, only="lost")
    assert not made.groups
    assert says in made.reason


async def test_a_place_that_answers_is_said_with_what_it_runs_and_what_would_unblock_it(planned):
    made = await planned(at_home(hv01={"tcp connect": TAKES}), only="lost")
    assert "crm-01 runs on hv01: do not start its replica" in made.reason
    assert "Plan the failover instead (/drill crm)" in made.reason
    assert "switched off or unplugged first" in made.reason


@pytest.mark.parametrize(
    "why",
    [
        NO_WORKER,
        Unknown("hv01", "not asked", "its name is not known to DNS."),
        Unknown("hv01", "out of time", "no answer within the 60 s of the whole question."),
        Unknown("hv01", "not allowed", "no login is set for it ([credentials.reader])."),
        Unknown("hv01", "too busy", "nothing was sent: it was busy with other questions from hvops for 20 s."),
        Unknown("hv01", "a kind of later", "nobody knows."),
    ],
    ids=lambda why: why.kind,
)
async def test_what_keeps_hvops_from_asking_is_not_the_silence_of_the_place(planned, why):
    made = await planned(lost_home(why), only="lost")
    assert not made.groups
    assert "It is not known whether hosts in hv01 answer (hv01: " in made.reason
    assert why.why.rstrip(".") in made.reason
    assert "No statement can replace this check" in made.reason
    assert made.is_held


@pytest.fixture
def planned_of_cluster(scripted):
    """The runbook for "prod", a cluster, whose entry host hv01 is silent; hvops knows these nodes of it."""

    class Asked(scripted):
        nodes = ("hv01", "hv02")

        async def find_host(self, name):
            return Target(name, "cluster", name, nodes=self.nodes) if name == "prod" else await super().find_host(name)

    async def make(script, group=""):
        args = Args(target(replace(SERVICE, places=("prod", "dr01"))), Part("lost"))
        ask = Asked(script)
        facts = await collect(args, ask)
        made = plan_on(args, facts, group) if group else plan(args, facts)
        return made, sorted(one.on for one in ask.asked if getattr(one, "what", "") == "tcp connect")

    return make


SILENT_PROD = {
    ("hv01", "tcp connect"): GONE,
    ("hv02", "tcp connect"): Unknown("hv02", "unreachable", "No route to host."),
    ("hv05", "tcp connect"): Unknown("hv05", "timed out", "no connection to port 5985 in 20 s."),
    ("prod", "MSCluster_Node"): GONE,
}


async def test_every_host_that_hvops_knows_of_a_place_is_asked_before_it_counts_as_lost(planned_of_cluster):
    """The nodes that it has named, or the inventory writes; and the one that the replica was copied from."""
    made, asked = await planned_of_cluster(at_home(**primary_on("hv05")) | SILENT_PROD)
    assert asked == ["hv01", "hv02", "hv05"]
    assert made.groups
    assert "asked for a connection: hv01, hv02, hv05" in made.gates[0].measured


@pytest.mark.parametrize("name", ["hv02", "hv05"])
async def test_one_host_that_answers_keeps_a_place_from_being_lost(planned_of_cluster, name):
    """Whichever it is: hvops asks hv01 first, and the machine runs on hv05."""
    script = at_home(**primary_on("hv05")) | SILENT_PROD | {(name, "tcp connect"): TAKES}
    made, _ = await planned_of_cluster(script)
    assert not made.groups
    assert f"{name} answered (connection taken): so the site is not lost" in made.reason


async def test_a_primary_that_the_inventory_does_not_name_is_not_taken_for_silent(planned_of_cluster):
    stranger = Unknown(
        "hv05", "not allowed", "it is not in the inventory.", "Add it to the inventory, or to its cluster."
    )
    made, _ = await planned_of_cluster(
        at_home(**primary_on("hv05")) | SILENT_PROD | {("hv05", "tcp connect"): stranger}
    )
    assert not made.groups
    assert "hv05: it is not in the inventory" in made.reason
    assert "add hosts that the inventory does not list to nodes of prod" in made.reason


async def test_before_each_machine_of_a_lost_place_it_is_asked_again(planned):
    """The first one is failed over, which the plan made anew takes as it is; what answers by then holds the next one."""
    made = await planned(lost_home(), only="lost")
    assert [(group.key, group.revalidate_before) for group in made.groups] == [
        ("lost-state", True),
        ("lost-over-crm-01", True),
        ("lost-check", False),
    ]
    over = [
        {
            "InstanceID": f"Microsoft:{VM}\\HVR\\0",
            "ReplicationState": "5",
            "ReplicationHealth": "1",
            "LastReplicationTime": RECENT,
        }
    ]
    done = host("dr01", COPY, RUNNING, Msvm_ReplicationRelationship=over)
    again = await planned(lost_home() | done, only="lost", group="lost-over-crm-01")
    assert [gate.description for gate in again.gates] == [gate.description for gate in made.gates]
    assert again.groups == made.groups
    back = at_home(hv01={"tcp connect": TAKES}) | done
    held = await planned(back, only="lost", group="lost-over-crm-01")
    assert not held.groups
    assert "crm-01 runs twice, on hv01, dr01: decide at once which one counts" in held.reason
    assert "Nothing to fail over by hand" in (await planned(lost_home() | done, only="lost")).reason


def times(**ended):
    """Step -> when, in minutes after 22:00: (began, ended)."""
    base = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)
    return {
        step.replace("_", "-"): StepTimes(base + timedelta(minutes=began), base + timedelta(minutes=end))
        for step, (began, end) in ended.items()
    }


BEFORE = {"stop-out-crm-01": ({"LastReplicationTime": "2026-11-22T21:56:00Z"},)}
PROMISED = (PromisedTime("RTO", 60), PromisedTime("RPO", 15))


def test_times_are_said_against_what_is_promised():
    done = times(stop_out_crm_01=(0, 2), check_out=(5, 42), stop_back_crm_01=(50, 52), check_back=(60, 120))
    assert COMMAND.describe_after(AfterRun("crm", BEFORE, (), done, PROMISED)) == (
        "failover took 42 min, RTO 60 min: kept",
        "failback took 70 min, RTO 60 min: broken",
        "last replication 4 min before the planned stop, RPO 15 min: kept",
    )


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ({"stop-out-crm-01": ({"LastReplicationTime": "2026-11-22T21:30:00Z"},)}, "last replication 30 min before the planned stop, RPO 15 min: broken"),
        ({"stop-out-crm-01": ({"LastReplicationTime": "2026-11-22T23:30:00Z"},)}, "last replication of crm-01 before the planned stop: not known"),
        ({"stop-out-crm-01": ({"LastReplicationTime": "yesterday"},)}, "last replication of crm-01 before the planned stop: not known"),
        ({"stop-out-crm-01": ({"LastReplicationTime": "1601-01-01T00:00:00Z"},)}, "last replication of crm-01 before the planned stop: not known"),
        ({}, "last replication of crm-01 before the planned stop: not known"),
    ],
)  # fmt: skip
def test_work_that_would_have_been_lost_is_known_or_said_to_be_unknown(before, says):
    done = times(stop_out_crm_01=(0, 2), check_out=(5, 42))
    assert says in COMMAND.describe_after(AfterRun("crm", before, (), done, PROMISED))


def test_nothing_is_kept_where_nothing_is_promised():
    done = times(stop_out_crm_01=(0, 2), check_out=(5, 42))
    told = COMMAND.describe_after(AfterRun("crm", BEFORE, (Known((), NOW, NOW), GONE), done))
    assert told == (
        "failover took 42 min, no RTO is set",
        "last replication 4 min before the planned stop, no RPO is set",
        "not known how it stands now: hv01 did not answer",
    )


def unreversed():
    """Failed over and working on dr01; only the reversal is missing."""
    left = host("hv01", LIVE, OFF, Msvm_ReplicationRelationship=relationship(ReplicationState="4"))
    return left | host("dr01", COPY, RUNNING, Msvm_ReplicationRelationship=relationship(ReplicationState="5"))


async def test_what_was_stopped_before_its_reversal_is_reversed_first(planned):
    made = await planned(unreversed(), only="back")
    assert shape(made) == [
        ("out-reverse", "reverse-out-crm-01", "dr01 ReverseReplicationRelationship", "", "hv01 dr01", "dr01 hv01"),
        *WAY_BACK,
    ]
    assert not made.self_reverting, "it brings home what an earlier drill has failed over"
    fresh = await planned(away(), only="back", group="back-over")
    assert fresh.groups == made.groups[1:]
    asked = {gate.description for gate in fresh.gates}
    assert not [one for one in made.gates if one.blocks and one.guards == "safety" and one.description not in asked]
    again = await planned(unreversed())
    assert not again.groups
    assert [one.line for one in again.remedies] == ["/drill crm --only back", "/check-continuity crm"]


async def test_before_the_way_back_a_reversal_that_is_missing_is_no_reason_to_go(planned):
    assert not (await planned(unreversed(), only="back", group="back-over")).groups


@pytest.mark.parametrize(
    ("script", "undone", "outcome"),
    [
        (unreversed(), "over-out-crm-01", GateOutcome.BLOCKED),
        (at_home(), "over-out-crm-01", GateOutcome.NOT_KNOWN),
        (at_home(), "over-back-crm-01", GateOutcome.BLOCKED),
        (at_home(), "send-out-crm-01", GateOutcome.PASSED),
    ],
)
async def test_a_failover_is_cancelled_only_where_its_machine_is_known_not_to_have_run_since(
    scripted, planned, script, undone, outcome
):
    """One that is off now may have run meanwhile: whoever approves has to have looked."""
    args = Args(target(), Part("both"))
    made = await planned(at_home())
    step = next(one for one in made.steps if one.key == undone)
    back = replace(made, groups=(Group("undo", (undo_step(step),)),))
    known, started = COMMAND.undo_gates(args, await collect(args, scripted(script)), back)
    assert (known.outcome, started.outcome) == (GateOutcome.PASSED, outcome)
    asked = [one.what for one in started.unknowns]
    assert asked == (["whether crm-01 has run on dr01 since its failover"] if outcome is GateOutcome.NOT_KNOWN else [])


async def test_the_failover_of_a_machine_that_is_not_known_any_more_is_not_cancelled(scripted, planned):
    """The inventory names another one by now: a list without it tells nothing of it, and nobody can state it."""
    args = Args(target(), Part("both"))
    made = await planned(at_home())
    step = next(one for one in made.steps if one.key == "over-out-crm-01")
    back = replace(made, groups=(Group("undo", (undo_step(replace(step, key="over-out-crm-07")),)),))
    *_, started = COMMAND.undo_gates(args, await collect(args, scripted(at_home())), back)
    assert (started.outcome, started.answerable) == (GateOutcome.NOT_KNOWN, False)
    assert "no machine of crm in the inventory fits" in started.measured


async def test_no_step_starts_a_machine_beside_one_that_may_run(planned):
    """Just before, the side that was left has to say that its machine is off; on either way."""
    made = await planned(at_home())
    guards = {step.key: [check.description for check in step.guard] for step in made.steps}
    for way, left, taken in (("out", "hv01", "dr01"), ("back", "dr01", "hv01")):
        off = f"crm-01 is off on {left}"
        assert guards[f"send-{way}-crm-01"] == [off]
        assert guards[f"over-{way}-crm-01"] == [off, f"{left} has sent all changes", f"crm-01 is off on {taken}"]
        stands = f"the planned failover of crm-01 still stands on {left}"  # else it may have run there since
        assert guards[f"start-{way}-crm-01"][:2] == [off, stands]
        assert guards[f"reverse-{way}-crm-01"] == [off, stands, f"crm-01 runs on {taken}"]
    undone = {step.key: [check.description for check in step.undo_guard] for step in made.steps if step.undo}
    assert undone["stop-out-crm-01"][0] == "crm-01 is off on dr01"
    assert undone["over-out-crm-01"] == ["crm-01 is off on dr01"]
    for step in made.steps:  # silence fulfils none of them
        assert all(check.silence == "unknown" and all(one.at_least for one in check.holds) for check in step.guard)


@pytest.mark.parametrize(("clusters", "outcome"), [((), GateOutcome.PASSED), (("hv01",), GateOutcome.BLOCKED)])
def test_a_cluster_that_has_just_named_its_nodes_is_no_lost_place(clusters, outcome):
    nodes = tuple(HostFacts(Node(name, None), GONE, GONE, GONE) for name in ("hv01", "hv02"))
    facts = DrillFacts({"hv01": nodes}, (), NOW, clusters=frozenset(clusters), reached={"hv02": GONE})
    gate = lost._is_silent(SERVICE, facts)
    assert gate.outcome is outcome
    assert ("hv01 answered" if clusters else "hv02") in gate.measured
