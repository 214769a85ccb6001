"""A node is drained: proposed by an operator, decided by an approver beside the whole plan, done, and proved."""

import re
from datetime import timedelta

import pytest

from commands.vss import writer_verdict
from commands.writer_reset import gates
from lab.slack.plain_text import plain_text
from lab.world.drain import DRAIN, UP, pause

from .conftest import until


async def test_a_drain_is_proposed_approved_and_done(play):
    async with play("healthy") as ops:
        await ops.says("/drain-node hv03")
        plan = await ops.sees("Drain node hv03?", channel="hv-ops")
        told = plain_text(plan)
        for fact in (
            "T-1",
            "one of you (not the requester) must approve or reject",
            "*Steps, with the longest time of each:*",
            "Pause hv03 and drain it",
        ):
            assert fact in told
        assert plan in ops.slack.person("viewer").messages("hv-ops")

        await ops.clicks(plan, "Approve")  # the requester
        await ops.sees("so another approver must decide")
        await ops.clicks(plan, "Approve", who="approver")
        await ops.sees("T-1: approved", who="approver")
        done = await ops.slack.person("operator").sees(re.compile("^Done: Drain node hv03"), "hv-ops")
        assert done.ts == plan.ts
        await ops.recorded("done", 1)
        thread = await ops.slack.person("operator").sees("T-1 Done: Drain node hv03", "hv-ops")
        assert thread.thread_ts == plan.ts
        assert "<@U0OPERATOR> <@U0APPROVER>" in thread.text
        kinds = [entry.kind for entry in ops.ledger()]
        assert [kinds.count(one) for one in ("proposed", "approved", "started", "done")] == [1, 1, 1, 1]
        assert kinds.count("intent") == kinds.count("outcome")
        assert kinds.index("clicked") < kinds.index("refused") < kinds.index("approved")
        begins, note = [
            event for event in ops.estate.do(lambda: list(ops.estate.world.node("hv03").events)) if event.custom
        ]
        proposed = next(entry for entry in ops.ledger() if entry.kind == "proposed")
        assert begins.message.startswith("hvops T-1: Pause hv03 and drain it: starting. (note of T-1 plan ")
        for fact in (
            "hvops T-1: Pause hv03 and drain it: done",
            "U0OPERATOR",
            "U0APPROVER",
            proposed.data.digest[:16],
        ):
            assert fact in note.message, "both logs can be matched"


async def test_a_bot_that_was_restarted_still_knows_its_proposal(play):
    async with play("healthy") as ops:
        await ops.says("/drain-node hv04")
        plan = await ops.sees("Drain node hv04?", channel="hv-ops")
        await ops.ends()
        await ops.starts()
        await ops.clicks(plan, "Reject…", who="approver")
        window = await ops.slack.person("approver").sees_view("Reject T-1")
        await ops.slack.person("approver").submits(window, {"Why?": "Not during the backup window."})
        rejected = await ops.slack.person("operator").sees(re.compile("^Rejected: Drain node hv04"), "hv-ops")
        assert rejected.ts == plan.ts
        assert "Not during the backup window." in plain_text(rejected)
        await ops.recorded("rejected", 1)
        assert "started" not in [entry.kind for entry in ops.ledger()]


async def test_no_drain_while_the_cluster_is_being_updated(play):
    async with play("healthy") as ops:
        node = ops.estate.world.node("hv05")
        ops.estate.do(lambda: setattr(node.cluster, "updating_from", node))
        await ops.says("/drain-node hv03")
        answer = await ops.sees("No plan yet for hv03")
        assert "Cluster-Aware Updating is running on prod; let it finish first (reported by hv05)" in plain_text(answer)
        assert "proposed" not in [entry.kind for entry in ops.ledger()]


async def test_locked_guests_are_no_plan_and_what_is_behind_them_is_said(play):
    async with play("stuck-writer") as ops:
        await ops.says("/drain-node hv03")
        told = plain_text(await ops.sees("No plan yet for hv03: 9 of 11 guests are locked, a drain would fail (5960)."))
        for fact in ("event 1137", "Hyper-V VSS Writer LOOKS STUCK", "Suspect: test-tfs-01 (event 10102"):
            assert fact in told, told
        assert "proposed" not in [entry.kind for entry in ops.ledger()]


@pytest.mark.long
async def test_a_drain_that_a_lock_stops_half_way_names_who_is_left_and_the_node_is_resumed(play, hurried, monkeypatch):
    async with play("healthy") as ops:
        late = ops.estate.world.node("hv03").guests[-1]
        act = ops.engine.target_client.invoke

        async def locks_one_first(action, seconds):
            if action.method == "Pause":
                ops.estate.do(lambda: setattr(late, "locked", True))
            return await act(action, seconds)

        monkeypatch.setattr(ops.engine.target_client, "invoke", locks_one_first)
        await ops.says("/drain-node hv03")
        await ops.clicks(await ops.sees("Drain node hv03?", channel="hv-ops"), "Approve", who="approver")
        failed = await ops.slack.person("operator").sees(re.compile("^Failed at step 1: Drain node hv03"), "hv-ops")
        assert f"no guest is left on hv03 (1 row: {late.group}, expected none)" in plain_text(failed)
        ops.estate.do(lambda: setattr(late, "locked", False))

        await ops.says("/resume-node hv03 --failback no")
        plan = await ops.sees("Resume node hv03?", channel="hv-ops")
        assert "its guests stay where they are" in plain_text(plan)
        await ops.clicks(plan, "Confirm")
        await ops.recorded("done", 1)
        state = ops.estate.do(lambda: ops.estate.world.node("hv03"))
        assert (state.state, state.guests) == (0, [late])


@pytest.mark.long
async def test_the_end_of_a_resume_says_how_many_guests_came_back_and_who_did_not_and_why(play, hurried):
    async with play("healthy") as ops:
        node = ops.estate.world.node("hv03")
        there = [guest.group for guest in node.guests]
        stays = node.guests[0]
        await ops.says("/drain-node hv03")
        await ops.clicks(await ops.sees("Drain node hv03?", channel="hv-ops"), "Approve", who="approver")
        await ops.recorded("done", 1)
        ops.estate.do(lambda: setattr(stays, "locked", True))  # a locked guest does not come back
        await ops.says("/resume-node hv03")
        await ops.clicks(await ops.sees("Resume node hv03?", channel="hv-ops"), "Confirm")
        await ops.recorded("done", 2)
        told = plain_text(
            await ops.slack.person("operator").sees(
                re.compile("(?s)^Finished, check the result: Resume node hv03.*Took:"), "hv-ops"
            )
        )
        assert f"{len(there) - 1} of {len(there)} guests that hv03 had before T-1 drained it are on hv03" in told
        away = ops.estate.do(lambda: stays.node.name)
        assert f"Not back: {stays.group} (on {away}, locked: a locked guest does not move)" in told
        came = told.partition("Wait until no guest is moving, then record the guests on hv03:")[2].partition("Took:")[0]
        back = ops.estate.do(lambda: [guest.group for guest in node.guests])
        assert [name for name in there if name in came] == [name for name in there if name in back], told
        assert stays.group not in back


async def test_2008_r2_knows_no_drain_and_the_way_by_hand_is_said(play):
    async with play("patch-drift") as ops:
        await ops.says("/drain-node hv03")
        told = plain_text(await ops.sees("Windows Server 2008 R2, which can pause a node but has no drain"))
        assert "By hand:" in told
        await ops.says("/resume-node hv03")
        assert "By hand:" in plain_text(
            await ops.sees("Windows Server 2008 R2, which does not show whether guests come back")
        )
        assert "proposed" not in [entry.kind for entry in ops.ledger()]


async def test_a_drain_that_others_repeated_on_purpose_is_not_ended_by_the_undo_of_an_older_one(play, hurried):
    """T-2 has ended the drain of T-1, and T-3 has emptied the node again, for people who work on it."""

    async def done(line, number, button="Approve", who="approver"):
        await ops.says(line)
        plan = await ops.sees(f"*T-{number}* · requested by", channel="hv-ops")
        await ops.clicks(plan, button, who=who)
        await ops.recorded("done", number)
        return plan

    async with play("healthy") as ops:
        first = await done("/drain-node hv03", 1)
        await done("/resume-node hv03", 2, "Confirm", "operator")
        await done("/drain-node hv03", 3)
        await ops.slack.person("operator").sees(re.compile("^Done: Drain node hv03"), "hv-ops")
        await ops.clicks(first, "Undo…")
        await ops.sees("hvops has changed hv03 since: T-2 (/resume-node hv03, done), T-3 (/drain-node hv03, done)")
        assert [entry.kind for entry in ops.ledger()].count("proposed") == 3
        assert ops.estate.do(lambda: ops.estate.world.node("hv03").guests) == []


async def test_a_reset_that_resumed_a_drained_node_keeps_the_undo_of_the_older_drain_back(play, hurried, monkeypatch):
    """T-2 had no drain of its own: it has ended that of T-1, and people have emptied the node again to work on it."""
    for module in (writer_verdict, gates):
        monkeypatch.setattr(module, "APART", timedelta(seconds=1))

    async with play("stuck-writer-job-dead") as ops:
        node = ops.estate.world.node("hv03")
        plans = []
        for number, (line, ends) in enumerate(
            (("/drain-node hv03", "Drain node"), ("/reset-writer hv03", "Reset writer on")), 1
        ):
            await ops.says(line)
            plans.append(await ops.sees(f"*T-{number}* · requested by", channel="hv-ops"))
            await ops.clicks(plans[-1], "Approve", who="approver")
            await ops.recorded("done", number)
            await ops.slack.person("operator").sees(re.compile(f"^Done: {ends} hv03"), "hv-ops")
        assert ops.estate.do(lambda: node.state) == UP
        ops.estate.do(lambda: pause(ops.estate.world, node, DRAIN))
        await until(lambda: ops.estate.do(lambda: not node.guests and node.draining is None))
        await ops.clicks(plans[0], "Undo…")
        await ops.sees("hvops has changed hv03 since: T-2 (/reset-writer hv03, done)")
        assert [entry.kind for entry in ops.ledger()].count("proposed") == 2
        assert ops.estate.do(lambda: node.guests) == []
