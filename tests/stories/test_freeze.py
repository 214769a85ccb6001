"""A freeze is in force: an approver says why a change cannot wait, and nobody else can."""

import re

from lab.slack.plain_text import plain_text

WHY = "hv03 lost a fan and heats up"
BUTTON = "Override Freeze and Approve…"


async def test_an_approver_overrides_a_freeze_with_a_reason(play):
    async with play("freeze") as ops:
        await ops.says("/drain-node hv03")
        plan = await ops.sees("A freeze is in force.", channel="hv-ops")
        told = plain_text(plan)
        assert "freeze “year-end closing” on prod, until " in told

        await ops.clicks(plan, BUTTON)  # the requester
        await ops.sees("so another approver must decide")
        await ops.clicks(plan, BUTTON, who="approver")
        approver = ops.slack.person("approver")
        window = await approver.sees_view("Say why this cannot wait")
        (name,) = [block["label"]["text"] for block in window.blocks if block["type"] == "input"]
        await approver.submits(window, {name: WHY})
        done = await ops.slack.person("operator").sees(re.compile("^Done: Drain node hv03"), "hv-ops")
        assert f"“{WHY}”" in plain_text(done)
        (approved,) = [entry for entry in ops.ledger() if entry.kind == "approved"]
        assert approved.fields["answers"][0]["answer"] == WHY
        await ops.says("/hvops status")
        await ops.sees("freeze “year-end closing” on prod, until ")


async def test_elsewhere_nothing_is_held_and_the_next_window_is_named(play):
    async with play("freeze") as ops:
        await ops.says("/drain-node br02")
        plan = await ops.sees("Drain node br02?", channel="hv-ops")
        assert "Next window: backup “nightly backup” on prod, branch opens " in plain_text(plan)
        assert "Approve" in [
            one["text"]["text"] for block in plan.blocks if block["type"] == "actions" for one in block["elements"]
        ]
