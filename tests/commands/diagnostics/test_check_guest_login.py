"""`/check-guest-login` from scripted replies to the whole report: one guest is asked for all, and nobody's word is not known."""

import pytest

from bot.api.arguments import Target
from bot.api.facts import Unknown
from bot.api.queries import GuestRegistry, GuestWql
from bot.api.report import Finding, Healthy, Severity
from commands.diagnostics.check_guest_login import COMMAND, Args

PROD = Target("prod", "cluster", "prod")
VMM_HOST = Target("vmm01", "host", services_of=("vmm",))
FIRMWARE, SYSTEMS, KVP = "Win32_ComputerSystemProduct", "Msvm_ComputerSystem", "Msvm_KvpExchangeComponent"


@pytest.fixture
def check(scripted):
    async def run(script, silent=None, target=PROD):
        run.ask = scripted(script, silent)
        report = COMMAND.evaluate(Args(target), await COMMAND.collect(Args(target), run.ask))
        run.guests = [one.on for one in run.ask.asked if isinstance(one, (GuestWql, GuestRegistry))]
        return report

    return run


@pytest.fixture
def running(make):
    """Two guests on each host, which all let hvops in."""
    script = make.space(2)
    told = {on: rows[0]["VirtualMachineId"] for (on, what), rows in script.items() if what == "Parameters"}
    return script | {(on, FIRMWARE): [{"Name": "Virtual Machine", "UUID": vm_id}] for on, vm_id in told.items()}


@pytest.fixture
def guests(running):
    """The names of all, in the order in which they are asked."""
    return sorted(on for on, what in running if what == FIRMWARE)


async def test_one_guest_is_asked_for_all(check, running, guests):
    report = await check(running)
    assert check.guests == guests[:1]
    assert report.title == f"prod: guests let hvops in, {guests[0]} was asked"
    assert report.fine == (Healthy("GUEST LOGIN", (guests[0],), "hvops can log in to a running guest of prod"),)
    assert (report.asked, report.answered, report.findings, report.unanswered) == (1, 1, (), ())


async def test_a_refused_login_is_a_fault_and_no_other_guest_is_asked(check, running, guests):
    report = await check(running, {guests[0]: "login refused"})
    assert check.guests == guests[:1]
    assert report.title == f"prod: {guests[0]} does not let hvops in"
    (finding,) = report.findings
    assert (finding.severity, finding.status, finding.target) == (Severity.FAULT, "GUEST LOGIN", guests[0])
    assert "login refused" not in finding.summary
    assert not report.fine


@pytest.mark.parametrize("kind", ["timed out", "unreachable", "not allowed", "login not checked"])
async def test_a_guest_that_says_nothing_of_the_login_is_followed_by_another(check, running, guests, kind):
    report = await check(running, {guests[0]: kind})
    assert check.guests == guests[:2]
    assert report.fine[0].targets == (guests[1],)


async def test_three_that_are_silent_are_not_known_and_named(check, running, guests):
    report = await check(running, dict.fromkeys(guests, "timed out"))
    assert check.guests == guests[:3]
    assert report.title == "prod: not known whether guests let hvops in"
    (unknown,) = report.unanswered
    assert (unknown.target, unknown.kind) == (guests[2], "timed out")
    assert all(name in unknown.why for name in guests[:2])
    assert (report.fine, report.findings) == ((), ())


async def test_a_rule_of_ours_against_asking_is_a_note(check, running, guests):
    report = await check(running, dict.fromkeys(guests, "not allowed"))
    (finding,) = report.findings
    assert (finding.severity, finding.target) == (Severity.NOTE, "prod")
    assert report.title == "prod: not known whether guests let hvops in"


async def test_no_guest_that_runs_is_not_known_and_said(check, running):
    off = {
        key: [row | {"EnabledState": "3"} if row["Name"] != row["ElementName"] else row for row in rows]
        for key, rows in running.items()
        if key[1] == SYSTEMS
    }
    report = await check(running | off)
    assert report.title == "prod: not known whether guests let hvops in"
    assert report.findings == (
        Finding(Severity.NOTE, "GUEST LOGIN", "prod", "not known: no guest runs that could be asked"),
    )
    assert (report.fine, check.guests) == ((), [])


async def test_hosts_that_do_not_tell_their_guests_are_not_known(check, make):
    report = await check(make.cluster(), dict.fromkeys([f"hv0{number}" for number in range(1, 7)], "timed out"))
    assert report.unanswered[0].target == "hv01"
    assert (report.findings, report.fine) == ((), ())


async def test_a_cluster_that_names_no_nodes(check):
    report = await check({("prod", "MSCluster_Node"): Unknown("prod", "unreachable", "nobody answers.")})
    assert [one.target for one in report.unanswered] == ["prod"]


async def test_another_machine_at_that_name_proves_nothing(check, running, guests):
    other = [{"Name": "Virtual Machine", "UUID": "11111111-2222-4333-8444-555555555555"}]
    report = await check(running | {(guests[0], FIRMWARE): other})
    assert not report.fine
    assert report.unanswered[0].kind == "another machine"


async def test_guests_that_call_themselves_alike_are_not_asked(check, running):
    told = {key: rows for key, rows in running.items() if key[1] == KVP}
    same = next(iter(told.values()))[0]["GuestIntrinsicExchangeItems"]
    alike = {key: [row | {"GuestIntrinsicExchangeItems": same} for row in rows] for key, rows in told.items()}
    report = await check(running | alike)
    assert check.guests == []
    (finding,) = report.findings
    assert finding.severity is Severity.NOTE
    assert "that only it has" in finding.summary


async def test_a_host_of_vmms_service_is_asked_nothing(check):
    report = await check({}, target=VMM_HOST)
    assert check.ask.asked == []
    assert (report.findings, report.unanswered, report.fine) == ((), (), ())
    assert report.title == "vmm01: runs the service of vmm, so no guest was asked"
