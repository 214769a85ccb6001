"""A service of a node is restarted: asked for by one person, approved by another, done and proved, or taken back."""

import re

import pytest

from bot.transport.windows.faults import from_return
from commands.sources import services
from lab.slack.plain_text import plain_text
from tests.stories.conftest import taken_with_a_fault

NODE = "hv03"
STARTED = ["proposed", "approved", "started"]
PAIR = ["intent", "outcome"]


def told(ops, ticket="T-1") -> list[str]:
    """What the ledger tells of a ticket's run, without clicks and posts."""
    kinds = [entry.kind for entry in ops.ledger() if entry.ticket == ticket]
    return [kind for kind in kinds if kind not in ("clicked", "shown", "refused")]


def of(ops, name):
    """State and process of a service of the node."""
    service = ops.estate.world.node(NODE).service(name)
    return ops.estate.do(lambda: (service.state, service.pid))


async def reaches(ops, start: str):
    """Wait until the ticket's message begins so."""
    return await ops.slack.person("operator").sees(re.compile(f"^{start}"), "hv-ops")


async def proposed(ops, name):
    await ops.says(f"/restart-service {NODE} {name}")
    return await ops.sees(re.compile(rf"Restart .+ on {NODE}[?]"), channel="hv-ops")


async def test_asked_by_one_approved_by_another_done_and_proved(play, hurried):
    async with play("healthy") as ops:
        before = of(ops, "EventSystem"), of(ops, "SENS")
        plan = await proposed(ops, "COM+ Event System")
        text = plain_text(plan)
        for fact in (
            "one of you (not the requester) must approve or reject",
            "Someone asked for a restart of COM+ Event System (EventSystem), which is running on hv03.",
            "together with System Event Notification Service (SENS)",
            "After a successful restart there is nothing to undo.",
        ):
            assert fact in text, fact
        whole = await ops.whole_plan(plan)
        for fact in (
            "The services that depend on EventSystem are known",
            "Win32_Service[Name='SENS'].StopService()",
            "Win32_Service[Name='EventSystem'].StopService()",
        ):
            assert fact in whole, fact  # checks that passed, and what is sent, stand in the thread
        await ops.clicks(plan, "Approve")
        await ops.sees("so another approver must decide")
        await ops.clicks(plan, "Approve", who="approver")
        done = await reaches(ops, rf"Done: Restart COM\+ Event System \(EventSystem\) on {NODE}")
        assert done.ts == plan.ts

        assert told(ops) == [*STARTED, *PAIR * 5, "done"]
        steps = ["stop-sens", "stop-eventsystem", "start-eventsystem", "proof-eventsystem", "start-sens"]
        run = [entry for entry in ops.ledger() if entry.kind in PAIR]
        assert [(entry.data.step, entry.kind) for entry in run] == [(key, kind) for key in steps for kind in PAIR]
        assert {entry.data.result for entry in run[1::2]} == {"done"}
        for name, (state, pid) in zip(("EventSystem", "SENS"), before, strict=True):
            now, anew = of(ops, name)
            assert (state, now) == ("Running", "Running")
            assert anew != pid
        assert "Undo…" not in plain_text(done)


@pytest.mark.long
async def test_a_service_that_is_slow_to_start_is_waited_for_and_started_once(play, hurried, monkeypatch):
    """StartService returns 7 then, "did not respond in time": it has been asked to start, and comes up all the same."""
    monkeypatch.setattr("lab.world.services.STARTING_SECONDS", 3.0)
    async with play("healthy") as ops:
        taken_with_a_fault(
            ops, monkeypatch, "StartService", lambda: from_return(NODE, "Win32_Service", "StartService", 7)
        )
        plan = await proposed(ops, "W32Time")
        await ops.clicks(plan, "Approve", who="approver")
        await reaches(ops, rf"Done: Restart Windows Time \(W32Time\) on {NODE}")
        sent = ops.estate.do(lambda: [one for one in ops.estate.world.asked if "service" in one.casefold()])
        assert sent == [f"{NODE}: W32Time.stopservice", f"{NODE}: W32Time.startservice"]
        started = next(
            entry.data for entry in ops.ledger() if entry.kind == "outcome" and entry.data.step == "start-w32time"
        )
        assert (started.result, "returned 7" in started.reply) == ("done", True)


@pytest.mark.long
async def test_one_that_depends_on_it_comes_up_again_and_what_was_stopped_is_started(play, hurried, monkeypatch):
    """Windows refuses the stop with 3 then: nothing of it is left half done."""
    async with play("healthy") as ops:
        act = ops.engine.target_client.invoke

        async def wakes_another(action, seconds):
            if action.method == "StopService" and ("Name", "EventSystem") in action.path:
                ops.estate.do(lambda: setattr(ops.estate.world.node(NODE).service("VSS"), "state", "Running"))
            return await act(action, seconds)

        monkeypatch.setattr(ops.engine.target_client, "invoke", wakes_another)
        pid, sens = of(ops, "EventSystem")[1], of(ops, "SENS")[1]
        plan = await proposed(ops, "EventSystem")
        await ops.clicks(plan, "Approve", who="approver")
        failed = await reaches(ops, "Failed at step 2")
        text = plain_text(failed)
        assert "Win32_Service.StopService returned 3: other services that run depend on it" in text
        assert "hvops undid the steps of this group." in text
        assert "Undo…" not in text
        assert of(ops, "EventSystem") == ("Running", pid)
        assert of(ops, "SENS") == ("Running", sens + 4096)  # stopped, and started again
        assert told(ops) == [*STARTED, *PAIR * 4, "failed"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Spooler", "Nothing to restart on hv03: Print Spooler (Spooler) is stopped and its startup type is Disabled"),
        ("ClusSvc", "No plan for Cluster Service (ClusSvc) on hv03: hvops never restarts it"),
        ("vmms", "hv03 is not empty and drained"),
        ("EventSys", "No plan for hv03: there is no service called “EventSys” on it"),
    ],
)
async def test_what_is_not_restarted_proposes_nothing(play, name, says):
    async with play("healthy") as ops:
        await ops.says(f"/restart-service {NODE} {name}")
        await ops.sees(says)
        assert "proposed" not in [entry.kind for entry in ops.ledger()]


async def test_a_service_that_hangs_is_looked_at_by_a_person(play, hurried, monkeypatch):
    monkeypatch.setattr(services, "WAIT", 3)
    async with play("healthy") as ops:
        hanging = ops.estate.world.node(NODE).service("W32Time")
        ops.estate.do(lambda: setattr(hanging, "hangs", True))
        plan = await proposed(ops, "W32Time")
        await ops.clicks(plan, "Approve", who="approver")
        stopped = await reaches(ops, "Interrupted at step 1: someone must decide")
        assert "step 1, Stop the service W32Time on hv03, started" in plain_text(stopped)
        assert of(ops, "W32Time")[0] == "Stop Pending"
