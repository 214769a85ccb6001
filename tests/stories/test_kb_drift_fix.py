"""Nodes that lack an update are fixed one after the other: emptied, changed, restarted, proved, and given back."""

import re

import pytest

from bot.transport.windows.faults import from_code
from commands.sources import restarts
from lab.scenarios.kb_drift_fix import BLOCKED, BLOCKER, RULE, path
from lab.slack.plain_text import plain_text
from lab.world import servicing
from lab.world.model import Update
from tests.stories.conftest import taken_with_a_fault, until

LINE = f"/fix-kb-drift prod {RULE}"
PER_NODE = 16  # steps of one node: two that hold updates, a drain, three changes of three steps each, four to give back


@pytest.fixture
def quick(monkeypatch, hurried):
    """Restarts take moments."""
    monkeypatch.setattr("lab.world.servicing.SHUTDOWN_SECONDS", 0.1)
    monkeypatch.setattr("lab.world.servicing.START_SECONDS", 0.4)
    monkeypatch.setattr(restarts, "EVERY", 1)


async def only_hv02(ops):
    """hv05 is well."""
    hv05 = node(ops, "hv05")
    ops.estate.do(lambda: hv05.updates.append(Update(BLOCKED, hv05.booted)))


def updates(ops, node):
    return ops.estate.do(lambda: {one.kb for one in ops.estate.world.node(node).updates})


def node(ops, name):
    return ops.estate.world.node(name)


def told(ops, kind, ticket="T-1"):
    return [entry.data for entry in ops.ledger() if entry.ticket == ticket and entry.kind == kind]


async def approved(ops, line=LINE, title=r"Fix updates of prod"):
    await ops.says(line)
    plan = await ops.sees(re.compile(f"{title}.*[?]"), channel="hv-ops")
    await ops.clicks(plan, "Approve", who="approver")
    return plan


def ended(ops):
    """How the run ended, or stopped; "" while it goes on."""
    return next((kind for kind in ("done", "failed", "interrupted", "voided", "cancelled") if told(ops, kind)), "")


async def until_ended(ops):
    """Wait until the run has ended, or is waiting for a manual step; each step has its own patience."""
    for number in range(1, 100):
        await until(lambda number=number: len(told(ops, "outcome")) >= number or ended(ops))
        if ended(ops):
            return


async def outcomes(ops, count):
    """Wait until so many steps have ended; each has its own patience."""
    for number in range(1, count + 1):
        await until(lambda number=number: len(told(ops, "outcome")) >= number or ended(ops))


async def reaches(ops, start):
    return await ops.slack.person("operator").sees(re.compile(f"^{start}"), "hv-ops")


@pytest.mark.long
async def test_a_drain_moves_no_more_than_was_signed_however_long_its_group_has_waited(play, quick, monkeypatch):
    """The first act of the group is sent, changes are stopped, and others bring their guests to the node meanwhile."""
    monkeypatch.setattr("lab.world.services.STOPPING_SECONDS", 3)
    async with play("kb-drift-fix") as ops:
        await only_hv02(ops)
        hv02, world = node(ops, "hv02"), ops.estate.world
        ops.estate.do(lambda: setattr(hv02.service("wuauserv"), "state", "Running"))
        plan = await approved(ops)
        text = await ops.whole_plan(plan)
        assert "Limit: moves no more than 24 guests and other roles" in text
        assert "only if: no more than 24 guests and other roles are on hv02" in text
        await until(lambda: ops.estate.do(lambda: bool(world.asked)))
        await ops.says("/hvops stop something is odd")
        await ops.recorded("outcome", 1)
        there = ops.estate.do(lambda: [*world.clusters["prod"].guests])
        ops.estate.do(lambda: [setattr(guest, "node", hv02) for guest in there])
        await ops.says("/hvops go", who="approver")
        await until(lambda: ended(ops))
        assert ended(ops) == "failed"
        says = told(ops, "failed")[0].reason
        assert "not started: not met: no more than 24 guests and other roles are on hv02" in says
        assert f"({len(there) + 1} rows" in says  # with the shared volume that it coordinates
        asked = ops.estate.do(lambda: [*world.asked])
        assert not [one for one in asked if "Pause" in one]
        assert ops.estate.do(lambda: len(hv02.guests)) == len(there)
        assert ops.estate.do(lambda: hv02.service("wuauserv").start) == "Manual"  # what was held is given back


@pytest.mark.long
async def test_both_nodes_are_fixed_one_after_the_other(play, quick):
    async with play("kb-drift-fix") as ops:
        homes = ops.estate.do(lambda: {name: {one.name for one in node(ops, name).guests} for name in ("hv02", "hv05")})
        booted = ops.estate.do(lambda: node(ops, "hv02").booted)
        await ops.says(LINE)
        plan = await ops.sees(re.compile(r"Fix updates of prod.*[?]"), channel="hv-ops")
        text = plain_text(plan) + await ops.whole_plan(plan)
        for fact in (
            f"hv02 lacks {BLOCKED}; hv05 lacks {BLOCKED}",
            "wusa.exe and the Windows Update Agent do not install over WinRM",
            "run cluster validation again",
            "Clients and other servers",
            "restarts in all",
        ):
            assert fact in text, fact
        await ops.clicks(plan, "Approve", who="approver")
        await outcomes(ops, 2 * PER_NODE)
        await reaches(ops, "Done: Fix updates of prod")
        assert told(ops, "done")
        asked = [one for one in ops.estate.world.asked if "wuauserv" not in one]
        assert [one.partition(": ")[2].partition(" ")[2] or one for one in asked] == [
            step
            for name in ("hv02", "hv05")
            for step in (
                f"{name}: MSCluster_Node.Pause",
                "/Remove-Package Package_for_KB3102429~31bf3856ad364e35~amd64~~6.3.1.0",
                f"{name}: Win32_OperatingSystem.Reboot",
                f"/Add-Package {path(BLOCKED)}",
                f"{name}: Win32_OperatingSystem.Reboot",
                f"/Add-Package {path(BLOCKER)}",
                f"{name}: Win32_OperatingSystem.Reboot",
                f"{name}: MSCluster_Node.Resume",
            )
        ]
        for name in ("hv02", "hv05"):
            assert {BLOCKED, BLOCKER} <= updates(ops, name)
            assert ops.estate.do(lambda name=name: node(ops, name).service("wuauserv").start) == "Manual"
            assert ops.estate.do(lambda name=name: node(ops, name).state) == 0
            assert ops.estate.do(lambda name=name: {one.name for one in node(ops, name).guests}) == homes[name]
        assert ops.estate.do(lambda: node(ops, "hv02").booted) > booted
        assert {one.result for one in told(ops, "outcome")} == {"done"}
        await ops.says(LINE)
        await ops.sees("Nothing to fix on prod")


ERRORS = {
    "not applicable": (BLOCKED, 0x800F081E, "0x800F081E, which has three meanings and does not tell which"),
    "permanent": (BLOCKER, 0x800F0825, "0x800F0825: Windows cannot remove the package. It is permanent, or"),
    "unknown name": (BLOCKER, 0x800F0805, "0x800F0805: Windows knows no package of that name"),
    "servicing stack": (BLOCKED, 0x800F0823, "0x800F0823: the package needs a newer servicing stack, or earlier"),
}


@pytest.mark.long
@pytest.mark.parametrize("name", ERRORS)
async def test_each_error_stops_in_its_own_words_and_the_node_is_given_back(play, quick, name):
    kb, code, words = ERRORS[name]
    async with play("kb-drift-fix") as ops:
        await only_hv02(ops)
        ops.estate.do(lambda: node(ops, "hv02").servicing_fails.update({kb: code}))
        await approved(ops)
        await until_ended(ops)
        assert ended(ops) == "failed"
        (failed,) = told(ops, "failed")
        assert words in failed.reason
        assert "The other steps of its group were undone. Not undone: Stop Automatic Updates" in failed.reason
        assert not failed.rolled_back
        hv02 = node(ops, "hv02")
        assert ops.estate.do(lambda: (hv02.state, hv02.service("wuauserv").start)) == (0, "Manual")
        came_back = {"Installed", "Install Pending"}
        assert ops.estate.do(lambda: servicing.state_of(hv02, BLOCKER)) in came_back
        assert "hv05: MSCluster_Node.Pause" not in ops.estate.world.asked


@pytest.mark.long
async def test_a_rule_that_blocks_dism_is_said_and_never_worked_around(play, quick):
    async with play("kb-drift-fix") as ops:
        await only_hv02(ops)
        ops.estate.do(lambda: setattr(node(ops, "hv02"), "attack_surface_blocks", True))
        await approved(ops)
        await until_ended(ops)
        (failed,) = told(ops, "failed")
        assert "access denied (error 5): an attack surface reduction rule (event 1121" in failed.reason
        assert "hvops tries no other way around it" in failed.reason
        asked = [one for one in ops.estate.world.asked if "dism" in one]
        assert asked == [
            "hv02: dism /Remove-Package Package_for_KB3102429~31bf3856ad364e35~amd64~~6.3.1.0",
            f"hv02: dism /Add-Package {path(BLOCKER)}",  # the way back, which finds it there
        ]


@pytest.mark.long
async def test_a_restart_that_does_not_come_back_waits_for_a_person(play, quick, monkeypatch):
    monkeypatch.setattr(restarts, "LONGEST", 3)
    async with play("kb-drift-fix") as ops:
        await only_hv02(ops)
        hv02 = node(ops, "hv02")
        ops.estate.do(lambda: setattr(hv02, "stays_down", True))
        await approved(ops)
        await until_ended(ops)
        assert ended(ops) == "interrupted"
        stopped = await reaches(ops, "Interrupted at step 5")
        text = plain_text(stopped)
        assert "Restart hv02" in text
        assert ops.estate.do(lambda: hv02.service("wuauserv").start) == "Disabled"  # nothing was taken back meanwhile
        ops.estate.do(lambda: setattr(hv02, "stays_down", False))
        await ops.guest_admin("Start hv02")
        await ops.clicks(stopped, "Go On…", who="approver")
        await until(lambda: any(one.step == "settled-1-hv02" for one in told(ops, "outcome")))
        proved = next(one for one in told(ops, "outcome") if one.step == "restart-1-hv02")
        assert proved.result == "done"
        assert BLOCKER not in updates(ops, "hv02")
        asked = [one for one in ops.estate.world.asked if one.endswith("Reboot")]
        assert asked == ["hv02: Win32_OperatingSystem.Reboot"]  # looked at again, and not begun again


@pytest.mark.long
async def test_a_restart_that_is_taken_and_answered_with_a_fault_is_waited_for(play, quick, monkeypatch):
    """As where somebody else restarts it, too: the shutdown goes on, and nothing is sent into it."""
    async with play("kb-drift-fix") as ops:
        await only_hv02(ops)
        taken_with_a_fault(ops, monkeypatch, "Reboot", lambda: from_code("hv02", 0x8007045B))
        await approved(ops)
        await until_ended(ops)
        assert ended(ops) == "done"
        assert {one.result for one in told(ops, "outcome")} == {"done"}
        asked = [one for one in ops.estate.world.asked if one.endswith("Reboot")]
        assert asked == ["hv02: Win32_OperatingSystem.Reboot"] * 3  # one for each change
        assert BLOCKED in updates(ops, "hv02")


@pytest.mark.long
async def test_changes_can_be_stopped_between_two_nodes(play, quick):
    async with play("kb-drift-fix") as ops:
        await approved(ops)
        await outcomes(ops, PER_NODE - 3)
        await ops.says("/hvops stop the switch room is on fire", who="approver")
        await ops.recorded("stop", 1)
        last = len(told(ops, "outcome"))
        await ops.says("/hvops status", who="viewer")
        await ops.sees("*You:* viewer", who="viewer")
        assert len(told(ops, "outcome")) <= max(last + 1, PER_NODE)
        assert "hv05: MSCluster_Node.Pause" not in ops.estate.world.asked
        await ops.says("/hvops go", who="approver")
        await outcomes(ops, PER_NODE + 3)
        assert "hv05: MSCluster_Node.Pause" in ops.estate.world.asked


async def test_without_files_people_do_it_through_wsus_and_the_lists_are_read(play, quick):
    async with play("patch-drift") as ops:
        await ops.says("/fix-kb-drift prod kb2616676")
        plan = await ops.sees(re.compile(r"Fix updates of prod.*through WSUS.*[?]"), channel="hv-ops")
        text = plain_text(plan)
        assert "The inventory names no file of these updates" in text
        whole = await ops.whole_plan(plan)
        for fact in ("In WSUS approve KB2616676 for removal", "wusa.exe"):  # what people do stands in the thread
            assert fact in whole, fact


async def test_a_trap_whose_drain_would_do_the_harm_is_left_to_people(play):
    async with play("patch-drift") as ops:
        await ops.says("/fix-kb-drift prod KB2636573")
        told_ = plain_text(await ops.sees("No plan for prod"))
        assert "That is done by people, not by hvops" in told_
        assert "don't live-migrate them" in told_


async def test_a_word_that_is_no_rule_asks_no_machine(play):
    async with play("kb-drift-fix") as ops:
        await ops.says("/fix-kb-drift prod everything")
        await ops.sees("there is no rule “everything”")


async def until_hv02_is_to_be_emptied(ops):
    """Propose and approve the fix of a node of 2008 R2: how hvops asks people to empty it."""
    await ops.says("/fix-kb-drift prod KB2616676")
    plan = await ops.sees(re.compile(r"Fix updates of prod.*[?]"), channel="hv-ops")
    assert "whether every node but hv02 has a vote" in plain_text(plan)
    person = ops.slack.person("approver")
    await ops.clicks(plan, "Approve With 1 Unknown…", who="approver")
    window = await person.sees_view("Approve T-1")
    await person.submits(window, {"whether every node but hv02 has a vote": "cluster.exe shows six votes."})
    return await ops.slack.person("operator").sees(
        re.compile("is waiting for a manual step: Pause hv02 and move"), "hv-ops"
    )


async def empties_hv02(ops, waits):
    await ops.guest_admin("Pause hv02 and move its guests away")
    await until(lambda: ops.estate.do(lambda: not node(ops, "hv02").guests))
    await ops.clicks(waits, "Done")


@pytest.mark.long
async def test_people_empty_a_node_of_2008_r2_and_hvops_does_the_rest(play, quick):
    async with play("kb-drift-2008-r2") as ops:
        waits = await until_hv02_is_to_be_emptied(ops)
        assert not [one for one in ops.estate.world.asked if "hv02" in one]  # nothing is held before it is empty
        await empties_hv02(ops, waits)
        await until_ended(ops)
        assert ended(ops) == "done"
        assert {"KB2607712", "KB2616676"} <= updates(ops, "hv02")
        assert ops.estate.do(lambda: (node(ops, "hv02").state, node(ops, "hv02").service("wuauserv").start)) == (
            0,
            "Manual",
        )


@pytest.mark.long
async def test_a_startup_type_that_someone_changed_since_it_was_planned_is_left_as_it_is(play, quick):
    """People empty the node for hours: what the plan would restore afterwards may be wanted no more by then."""
    async with play("kb-drift-2008-r2") as ops:
        waits = await until_hv02_is_to_be_emptied(ops)
        ops.estate.do(lambda: setattr(node(ops, "hv02").service("wuauserv"), "start", "Disabled"))
        await empties_hv02(ops, waits)
        await until_ended(ops)
        assert ended(ops) == "interrupted"
        says = told(ops, "interrupted")[0].reason
        assert "not started: not met: the startup type of wuauserv on hv02 is Manual" in says
        # Whether somebody else is at work on a node that people empty is never checked: an approver says so for its undo.
        assert "Its group is not undone automatically: It is not known whether" in says
        assert ops.estate.do(lambda: node(ops, "hv02").service("wuauserv").start) == "Disabled"
        assert not [one for one in ops.estate.do(lambda: [*ops.estate.world.asked]) if "wuauserv" in one]
        assert ops.estate.do(lambda: node(ops, "hv02").state) != 0
