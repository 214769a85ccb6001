"""From a typed line to a change that is done, in chat language; and everything that may get in between."""

import asyncio
import re
import threading
from dataclasses import replace
from datetime import timedelta

import newer_version
import pytest
from entry_samples import entry_data

from bot.dispatch.pipeline import Request
from bot.errors import LedgerError
from bot.executor.context import TicketChange
from bot.slack.inbound import builtin_commands
from bot.slack.render.ticket import ticket_message
from bot.slack.tickets import thread_delivery, ticket_messages
from bot.slack.tickets.message_table import MessageRef, button_seal
from lab.slack.plain_text import plain_text

DONE = re.compile("^Done: Repair on hv03")  # the card begins so; its thread names people first


async def test_proposed_by_one_approved_by_another_and_done(bench):
    bench.world.gate.set()
    async with bench.running():
        await bench.operator.types("/repair hv03", "dm")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        told = await bench.operator.sees("T-1 is proposed", "dm")
        assert "open the plan" in told.text
        await bench.approver.clicks(plan, "Approve")
        await bench.approver.sees("T-1: approved")
        await bench.ended("done")
        done = await bench.viewer.sees(DONE, "hv-ops")
        assert done.ts == plan.ts
        thread = [one.text for one in bench.viewer.thread(done)]
        assert "digest" in thread[0]
        assert any("Before: paused no" in one and "After:" in one for one in thread)
        assert any(one.startswith("<@U0OPERATOR> <@U0APPROVER> T-1 Done") for one in thread)
        assert bench.world.acts == [{"paused": "yes"}, {"fixed": "yes"}]


async def test_buttons_carry_the_ticket_and_a_seal_of_it_and_nothing_else(bench):
    async with bench.running():
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        values = {one["value"] for block in plan.blocks if block["type"] == "actions" for one in block["elements"]}
        seal = button_seal(bench.ledger, "T-1", bench.ledger.ticket("T-1").digest, "C0OPS")
        assert values == {f"T-1 {seal}"}
        assert len(seal) == 22


async def test_who_may_not_decide_is_told_and_the_ledger_knows(bench):
    async with bench.running():
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await bench.operator.clicks(plan, "Approve")
        await bench.operator.sees("so another approver must decide")
        await bench.viewer.clicks(plan, "Approve")
        await bench.viewer.sees("This needs the approver role on prod")
        assert bench.kinds().count("refused") == bench.kinds().count("clicked") == 2
        assert "approved" not in bench.kinds()
        assert not bench.world.acts


async def test_fifty_approvals_at_once_are_one_execution_and_fifty_answers(bench):
    bench.world.gate.set()
    crowd = bench.crowd(50)
    async with bench.running():
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await asyncio.gather(*(one.clicks(plan, "Approve") for one in crowd))
        await bench.ended("done")
        for one in crowd:
            await one.sees("T-1")
        await bench.until(lambda: sum(bool(one.ephemerals()) for one in crowd) == len(crowd))
        answers = ["\n".join(plain_text(message) for message in one.ephemerals()) for one in crowd]
        assert sum("approved. Re-checking" in one for one in answers) == 1
        assert sum("Too late: T-1" in one for one in answers) == len(crowd) - 1
        kinds = bench.kinds()
        assert kinds.count("approved") == kinds.count("started") == 1
        assert len(bench.world.acts) == 2


async def test_a_rejection_needs_a_reason_and_shows_it(bench):
    async with bench.running():
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await bench.approver.clicks(plan, "Reject…")
        window = await bench.approver.sees_view("Reject T-1")
        refused = await bench.approver.submits(window, {})
        assert not refused.ok
        await bench.approver.submits(window, {"Why?": "   "})
        await bench.approver.sees("Give a short reason")
        await bench.approver.clicks(plan, "Reject…")
        window = await bench.approver.sees_view("Reject T-1")
        await bench.approver.submits(window, {"Why?": "A backup runs."})
        await bench.approver.sees("T-1: rejected")
        shown = await bench.operator.sees(re.compile("^Rejected: Repair on hv03"), "hv-ops")
        assert "A backup runs." in plain_text(shown)
        rows = [block["elements"] for block in shown.blocks if block["type"] == "actions"]
        assert [one["text"]["text"] for row in rows for one in row] == ["History"]


async def test_a_second_click_is_told_who_was_first(bench):
    async with bench.running():
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await bench.operator.clicks(plan, "Withdraw")
        await bench.operator.sees("T-1: withdrawn")
        await bench.slack.person("approver").clicks(plan, "Approve")
        await bench.approver.sees("Too late: T-1 was withdrawn by operator")


async def test_who_asks_again_gets_the_ticket_that_waits_already(bench):
    """Sixty times the same line would bury every other plan in the channel."""
    async with bench.running():
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await bench.operator.sees("T-1 is proposed")
        for _ in range(5):
            await bench.operator.types("/repair hv03")
        told = await bench.operator.sees("T-1 already requests this and is waiting for a decision")
        assert "open the plan" in told.text
        await bench.until(lambda: bench.kinds().count("refused") == 5)
        assert bench.ledger.tickets() == ["T-1"]
        assert [one.ts for one in bench.viewer.messages("hv-ops") if "hv03?" in plain_text(one)] == [plan.ts]
        repeated = bench.ledger.entries(kind="refused")
        asked = {one.seq for one in bench.ledger.entries(kind="asked")}
        assert {one.data.asked for one in repeated} < asked
        assert {one.reason for one in repeated} == {"T-1 already requests this and is waiting for a decision."}
        bench.world.values["changed"] = "yes"  # another plan
        await bench.operator.types("/repair hv03")
        await bench.operator.sees("T-2 is proposed")
        bench.slack.workspace.groups["S0OPERATORS"].users.append("U0APPROVER")  # who decides need not ask
        await bench.approver.types("/repair hv03")
        await bench.approver.sees("T-2 already requests this")
        await bench.operator.types("/tweak hv03")  # what one person confirms waits for nobody else
        await bench.operator.sees("T-3 is proposed")
        await bench.approver.types("/tweak hv03")
        await bench.approver.sees("T-4 is proposed")
        await bench.operator.clicks(plan, "Withdraw")
        await bench.ended("withdrawn")
        bench.world.values["changed"] = "no"
        await bench.operator.types("/repair hv03")
        await bench.operator.sees("T-5 is proposed")
        assert bench.ledger.verify().holds


async def test_low_risk_is_confirmed_by_its_requester_only(bench):
    bench.world.gate.set()
    async with bench.running():
        await bench.operator.types("/tweak hv03")
        plan = await bench.viewer.sees("Tweak on hv03?", "hv-ops")
        await bench.approver.clicks(plan, "Confirm")
        await bench.approver.sees("who requested it, can confirm it")
        await bench.operator.clicks(plan, "Confirm")
        await bench.ended("done")


async def test_a_gate_that_holds_makes_no_ticket(bench):
    bench.world.values["locked"] = "yes"
    async with bench.running():
        await bench.operator.types("/repair hv03")
        answer = await bench.operator.sees("No plan yet for hv03")
        assert answer.only_for == bench.operator.id
        assert bench.ledger.ticket("T-1") is None


async def test_a_run_stops_after_the_step_that_is_being_done(bench):
    async with bench.running():
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await bench.approver.clicks(plan, "Approve")
        runs = await bench.viewer.sees("T-1 hv03: step 1 of 2", "hv-ops")
        await bench.operator.clicks(runs, "Stop After Step")
        await bench.operator.sees("T-1: asked to stop. The step in progress will finish; nothing else starts.")
        await bench.until(lambda: "cancel-asked" in bench.kinds())
        bench.world.gate.set()
        await bench.ended("cancelled")
        stopped = await bench.viewer.sees(re.compile("^Stopped at step 2"), "hv-ops")
        assert len(bench.world.acts) == 1
        await bench.operator.clicks(stopped, "Undo…")
        await bench.viewer.sees("Undo T-1 on hv03?", "hv-ops")


async def test_who_stops_a_run_is_told_that_its_group_is_undone_where_the_step_fails(bench):
    bench.world.values["on_failure"] = "undo"
    async with bench.running():
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await bench.approver.clicks(plan, "Approve")
        runs = await bench.viewer.sees("T-1 hv03: step 1 of 2", "hv-ops")
        await bench.operator.clicks(runs, "Stop After Step")
        await bench.operator.sees("nothing else starts, unless it fails: then its group is undone.")


async def test_a_step_by_hand_waits_for_done_and_is_looked_at(bench):
    async with bench.running():
        await bench.operator.types("/reopen hv03")
        plan = await bench.viewer.sees("Reopen on hv03?", "hv-ops")
        await bench.approver.clicks(plan, "Approve")
        hand = await bench.viewer.sees("Manual step, for an operator:", "hv-ops")
        await bench.operator.clicks(hand, "Done")
        await bench.viewer.sees("not done yet", "hv-ops")
        bench.world.values["wizard"] = "yes"
        await bench.operator.clicks(hand, "Done")
        await bench.ended("done")


async def test_a_restart_in_the_middle_finds_the_message_again(bench):
    async with bench.running():
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
    bench.world.gate = asyncio.Event()
    async with bench.running():
        await bench.approver.clicks(plan, "Approve")
        await bench.viewer.sees("T-1 hv03: step 1 of 2", "hv-ops")
    async with bench.running():
        await bench.ended("done")
        done = await bench.viewer.sees(DONE, "hv-ops")
        assert done.ts == plan.ts
        assert [one["paused"] for one in bench.world.acts if "paused" in one] == ["yes"]


async def test_a_stop_between_the_post_and_its_entry_posts_nothing_twice(bench):
    """The post is under way, its answer is not here yet, and the bot is told to stop."""
    async with bench.running() as bot:
        bot.hold_answers("post", until=bot.board)
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        assert "shown" not in bench.kinds()
    assert bench.kinds()[:2] == ["proposed", "shown"]
    async with bench.running():
        await bench.approver.clicks(plan, "Reject…")
        window = await bench.approver.sees_view("Reject T-1")
        await bench.approver.submits(window, {"Why?": "no"})
        await bench.ended("rejected")
        assert (await bench.viewer.sees(re.compile("^Rejected"), "hv-ops")).ts == plan.ts
        assert (
            len([one for one in bench.viewer.messages("hv-ops") if one.ts == one.thread_ts or not one.thread_ts]) == 1
        )


async def test_a_copy_that_a_killed_bot_left_works_and_becomes_a_pointer(bench):
    bench.world.gate.set()
    async with bench.running() as bot:
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        card = await bot.board.card("T-1")
        await bot.outbox.post("C0OPS", ticket_message(card))
        copy = next(
            one for one in bench.viewer.messages("hv-ops") if "Repair on hv03?" in plain_text(one) and one.ts != plan.ts
        )
        await bench.approver.clicks(copy, "Approve")
        await bench.approver.sees("T-1: approved")
        await bench.ended("done")
        pointer = await bench.viewer.sees("this is only a copy of it", "hv-ops")
        assert pointer.ts == copy.ts
        assert f"/p{plan.ts.replace('.', '')}|" in pointer.text
        assert not [block for block in pointer.blocks if block["type"] == "actions"]
        assert (await bench.viewer.sees(DONE, "hv-ops")).ts == plan.ts


async def test_a_card_that_a_killed_bot_had_not_written_down_is_known_by_its_click(bench):
    async with bench.running() as bot:
        found = await bot.changes.proposals.propose(
            Request(await bot.people.person("T0PRACTICE", "U0OPERATOR", "op"), "/repair hv03", "slack", "C0OPS")
        )
        card = await bot.board.card(found.ticket)
        ts = await bot.outbox.post("C0OPS", ticket_message(card))
        await bot.board.reconcile_duplicate(found.ticket, MessageRef("C0OPS", ts))
        assert await bot.board.refresh(found.ticket) == MessageRef("C0OPS", ts)


async def test_a_click_that_a_dying_bot_wrote_down_is_made_up_for(bench):
    bench.world.gate.set()
    async with bench.running():
        await bench.operator.types("/repair hv03")
        await bench.viewer.sees("Repair on hv03?", "hv-ops")
    data = {"button": "t-approve", "answer": "T-1", "place": "C0OPS", "deliveries": []}
    bench.ledger.append("T0PRACTICE/U0APPROVER", entry_data("clicked", data), "T-1")
    async with bench.running():
        await bench.ended("done")
        await bench.approver.sees("T-1: approved")


async def test_a_message_that_somebody_deleted_is_posted_anew(bench):
    async with bench.running():
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await bench.until(lambda: bench.kinds().count("shown") >= 2)
        bench.slack.workspace.delete(plan)
        await bench.approver.clicks(plan, "Approve")
        anew = await bench.viewer.sees("T-1 hv03: step 1 of 2", "hv-ops")
        assert anew.ts != plan.ts


async def test_slack_may_be_down_while_it_runs(bench):
    async with bench.running():
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await bench.approver.clicks(plan, "Approve")
        await bench.until(lambda: bool(bench.world.acts))
        bench.slack.faults.add("chat.update", "500", 5)
        bench.world.gate.set()
        await bench.until(lambda: "done" in bench.kinds())
        await bench.ended("done")
        assert (await bench.viewer.sees(DONE, "hv-ops")).ts == plan.ts


async def test_nobody_who_could_decide_is_said_at_once(bench):
    bench.slack.workspace.groups["S0APPROVERS"].users[:] = ["U0OPERATOR"]
    async with bench.running():
        await bench.operator.types("/repair hv03")
        await bench.viewer.sees("Nobody but the requester holds the role approver on prod", "hv-ops")


async def test_a_channel_without_the_bot_is_said_with_the_invitation(bench):
    bench.slack.workspace.channels["C0OPS"].members.remove("U0BOT")
    async with bench.running():
        await bench.operator.types("/repair hv03", "dm")
        told = await bench.operator.sees("/invite @hvops", "dm")
        bench.slack.workspace.channels["C0OPS"].members.append("U0BOT")
        await bench.operator.clicks(told, "Show Plan")
        await bench.viewer.sees("Repair on hv03?", "hv-ops")


async def test_stop_go_and_runs(bench):
    bench.world.gate.set()
    async with bench.running():
        await bench.operator.types("/hvops stop the storage is on fire")
        await bench.operator.sees("Changes are stopped. Steps in progress will finish")
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await bench.approver.clicks(plan, "Approve")
        await bench.approver.sees("T-1: approved. After /hvops go it is re-checked, then starts.")
        await bench.operator.types("/hvops runs")
        runs = await bench.operator.sees("1 open ticket")
        assert plain_text(runs).startswith("*Changes are stopped* by <@U0OPERATOR> since ")
        assert ": the storage is on fire. Nothing starts until /hvops go, which <!subteam^S0APPROVERS> can run." in (
            plain_text(runs)
        )
        assert "approved, waiting for /hvops go, no step starts after" in plain_text(runs)
        assert not bench.world.acts
        await bench.operator.types("/hvops go")
        await bench.operator.sees("This needs the approver role")
        await bench.approver.types("/hvops go")
        await bench.ended("done")
        stop = next(one for one in bench.ledger.entries(kind="stop"))
        assert stop.data.reason == "the storage is on fire"


async def test_home_says_what_waits_for_whom_with_a_link_and_no_decision(bench):
    async with bench.running():
        await bench.operator.types("/repair hv03")
        await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await bench.operator.sees("T-1 is proposed")
        await bench.approver.opens_home()
        home = await bench.approver.sees_home("1 to decide")
        labels = [
            one["text"]["text"] for block in home.blocks if block["type"] == "actions" for one in block["elements"]
        ]
        assert "Open Plan" in labels
        assert "Approve" not in labels
        await bench.operator.opens_home()
        await bench.operator.sees_home("Nothing to decide")


async def test_an_interrupted_run_is_looked_at_and_goes_on(bench, interrupted):
    assert "UNKNOWN: 1 Fix hv03" in plain_text(interrupted)
    await bench.operator.clicks(interrupted, "Check Again")
    await bench.viewer.sees("Step 1, Fix hv03: not done", "hv-ops")
    bench.world.values.update(silent="no", fixed="yes")
    await bench.operator.clicks(interrupted, "Go On…")
    await bench.operator.sees("so another approver must decide")
    await bench.approver.clicks(interrupted, "Go On…")
    await bench.ended("done")
    assert len(bench.world.acts) == 1


async def test_an_interrupted_run_is_not_looked_at_where_its_node_is_now(bench, interrupted, monkeypatch):
    """Whoever may see the old cluster would be told how a machine of the new one stands."""
    names = bench.bot.changes.run.planner._inventory
    find = names.find

    async def moved(name):
        return replace(await find(name), cluster="branch")

    monkeypatch.setattr(names, "find", moved)
    await bench.operator.clicks(interrupted, "Check Again")
    await bench.operator.sees("T-1 cannot be checked: hv03 is in branch now")


async def test_an_interrupted_run_is_closed_with_a_reason(bench, interrupted):
    await bench.approver.opens_home()
    await bench.approver.sees_home("1 needs attention")
    await bench.operator.clicks(interrupted, "Close…")
    window = await bench.operator.sees_view("Close T-1")
    await bench.operator.submits(window, {"Why?": "Fixed by hand."})
    await bench.ended("closed")
    assert "Fixed by hand." in plain_text(await bench.viewer.sees(re.compile("^Closed as it is"), "hv-ops"))


async def test_the_window_to_close_counts_for_the_interruption_that_it_was_opened_for(bench, interrupted):
    """Meanwhile somebody let it go on, and it was interrupted again: nobody who wrote the reason has seen that."""
    await bench.operator.clicks(interrupted, "Close…")
    window = await bench.operator.sees_view("Close T-1")
    await bench.approver.clicks(interrupted, "Go On…")
    await bench.until(lambda: bench.kinds().count("interrupted") == 2)
    await bench.operator.submits(window, {"Why?": "Nothing was sent."})
    await bench.operator.sees("it resumed and was interrupted again")
    assert bench.ledger.ticket("T-1").state == "interrupted"
    assert bench.ledger.locks()
    await bench.until(lambda: any("t-close:2" in str(one.blocks) for one in bench.viewer.messages("hv-ops")))
    (again,) = [one for one in bench.viewer.messages("hv-ops") if "t-close:2" in str(one.blocks)]
    await bench.operator.clicks(again, "Close…")
    await bench.operator.submits(await bench.operator.sees_view("Close T-1"), {"Why?": "Fixed by hand."})
    await bench.ended("closed")


async def test_a_plan_that_changed_is_void_and_links_to_the_one_that_is_so_now(bench):
    bench.world.gate.set()
    async with bench.running():
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        bench.world.values["changed"] = "yes"
        await bench.approver.clicks(plan, "Approve")
        await bench.ended("voided")
        void = await bench.viewer.sees(re.compile("^Void, the plan changed"), "hv-ops")
        assert void.ts == plan.ts
        assert "+ 3 More on hv03" in plain_text(void)
        anew = await bench.viewer.sees("replaces T-1", "hv-ops")
        link = f"/p{anew.ts.replace('.', '')}|T-2>"
        await bench.viewer.sees(link, "hv-ops")
        assert not bench.world.acts


async def test_half_of_the_time_over_is_said_once(bench):
    async with bench.running(ahead=timedelta(minutes=16)):
        await bench.operator.types("/repair hv03")
        await bench.viewer.sees("T-1 is still pending a decision", "hv-ops")
        await bench.until(lambda: any(one.fields.get("what") == "reminder" for one in bench.ledger.story("T-1")))
    async with bench.running(ahead=timedelta(minutes=16)):
        await bench.operator.types("/hvops runs")
        await bench.operator.sees("1 open ticket")
        said = [one for one in bench.viewer.messages("hv-ops") if "is still pending a decision" in one.text]
        assert len(said) == 1


@pytest.mark.parametrize("error", [LedgerError("The database is away."), RuntimeError("ours")])
async def test_one_look_at_the_ledger_that_fails_as_the_bot_begins_ends_no_delivery(bench, monkeypatch, error):
    """What went wrong in the first one ended all: no card was caught up with any more, and nobody was told so."""
    async with bench.running():
        await bench.operator.types("/repair hv03")
        await bench.viewer.sees("T-1: Repair on hv03?", "hv-ops")
        await bench.until(lambda: "shown" in bench.kinds("T-1"))
    behind, failed = ticket_messages.TicketMessages._behind, []

    def fails_once(*args, **told):
        if not failed:
            failed.append(error)
            raise error
        return behind(*args, **told)

    monkeypatch.setattr(ticket_messages.TicketMessages, "_behind", fails_once)
    async with bench.running(ahead=timedelta(minutes=16)):
        await bench.viewer.sees("T-1 is still pending a decision", "hv-ops")
    assert failed


async def test_what_a_newer_version_wrote_about_one_ticket_keeps_no_other_from_being_shown(bench):
    async with bench.running():
        for number in (1, 2):
            await bench.operator.types("/repair hv03")
            await bench.viewer.sees(re.compile(f"T-{number}: Repair on hv03[?]"), "hv-ops")
            bench.world.values["changed"] = "yes"  # another plan: the very same one would be T-1 again
        await bench.until(lambda: all("shown" in bench.kinds(ticket) for ticket in ("T-1", "T-2")))
    newer_version.add_field(bench.ledger, bench.ledger.story("T-1")[0])
    newer_version.write(bench.ledger, "shown", {"what": "novel"}, "T-2")
    newer_version.write(bench.ledger, "shown", {"what": "novel"}, "T-1")
    async with bench.running(ahead=timedelta(minutes=16)):
        await bench.viewer.sees("T-2 is still pending a decision", "hv-ops")
        assert len([one for one in bench.viewer.messages("hv-ops") if "T-2: Repair on hv03?" in one.text]) == 1
        plan = await bench.viewer.sees("T-2: Repair on hv03?", "hv-ops")
        await bench.approver.clicks(plan, "Approve")
        bench.world.gate.set()
        await bench.ended("done", "T-2")


async def test_a_ticket_that_ended_is_forgotten(bench):
    bench.world.gate.set()
    async with bench.running() as bot:
        for number in (1, 2):
            await bench.operator.types("/repair hv03")
            plan = await bench.viewer.sees(re.compile(f"T-{number}: Repair on hv03[?]"), "hv-ops")
            await bench.until(bench.ledger.tickets)
            await bench.approver.clicks(plan, "Reject…")
            window = await bench.approver.sees_view(f"Reject T-{number}")
            await bench.approver.submits(window, {"Why?": "no"})
            await bench.ended("rejected", f"T-{number}")
        await bench.until(lambda: len(bot.board._keeping) == 0)
        assert await bot.board.refresh("T-1")
        assert len(bot.board._keeping) == 0


async def test_what_somebody_decides_is_shown_at_once_while_progress_waits(bench):
    async with bench.running(progress=3_600):
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await bench.approver.clicks(plan, "Approve")
        runs = await bench.viewer.sees("T-1 hv03: step 1 of 2", "hv-ops")
        bench.bot.board.notify(TicketChange("T-1", "progress", 1, 2, "one"))
        await bench.operator.clicks(runs, "Stop After Step")
        await bench.viewer.sees("asked it to stop; it stops before its next action", "hv-ops")


async def test_a_proposal_whose_blocks_slack_refuses_keeps_its_buttons_and_its_plan(bench):
    bench.slack.faults.add("chat.postMessage", "invalid_blocks")
    bench.world.gate.set()
    async with bench.running():
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("All of the plan is in plan.txt", "hv-ops")
        digest = bench.ledger.story("T-1")[0].data.digest
        assert digest in plain_text(plan)
        file = await bench.until_file(plan, "plan.txt")
        assert digest.encode() in file
        assert b"Pause hv03" in file
        bench.slack.faults.add("chat.update", "invalid_blocks", 2)
        await bench.approver.clicks(plan, "Approve")
        await bench.ended("done")
        assert (await bench.viewer.sees("T-1 DONE: Repair on hv03", "hv-ops")).ts == plan.ts


async def test_what_grows_with_a_plan_or_with_what_a_host_told_is_drawn_beside_the_loop(bench, monkeypatch):
    """A plan may be a megabyte long, and so may be how it was before and after a step: either took up to a second to draw."""
    loop, drawn = threading.get_ident(), []
    drawing = (
        (ticket_messages, "ticket_message"),
        (thread_delivery, "entry_message"),
        (builtin_commands, "ticket_message"),
    )
    for module, name in drawing:
        real = getattr(module, name)

        def draw(*given, module=module, name=name, real=real):
            drawn.append(((module, name), threading.get_ident() == loop))
            return real(*given)

        monkeypatch.setattr(module, name, draw)
    async with bench.running():
        await bench.operator.types("/repair hv03")
        await bench.approver.clicks(await bench.viewer.sees("Repair on hv03?", "hv-ops"), "Approve")
        await bench.until(lambda: "started" in bench.kinds())
        await bench.approver.opens_home()
        await bench.approver.sees_home("T-1")
        await bench.until(lambda: any(module is builtin_commands for (module, _), _ in drawn))
        bench.world.gate.set()
        await bench.ended("done")
    assert {one for one, _ in drawn} == set(drawing)
    assert not [name for name, is_on_the_loop in drawn if is_on_the_loop]
