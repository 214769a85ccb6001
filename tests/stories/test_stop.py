"""Changes are stopped: with a reason, before everybody's eyes, and from the machine's own terminal while Slack is away."""

import asyncio
import re
import sys

import pytest

from lab.slack.plain_text import plain_text

DONE = re.compile("^Done: Drain node hv03")


async def hvops(ops, *words):
    """Run `hvops …` beside the bot, as a person at its machine does. Returns its exit code and what it printed."""
    command = (sys.executable, "-m", "bot", words[0], "--settings", str(ops.estate.settings_path), *words[1:])
    pipe = asyncio.subprocess.PIPE
    ran = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    printed, _ = await ran.communicate()
    return ran.returncode, " ".join(printed.decode().split())


async def test_stopped_in_slack_nothing_starts_until_an_approver_says_go(play):
    async with play("healthy") as ops:
        await ops.says("/hvops stop")
        window = await ops.slack.person("operator").sees_view("Stop Changes")
        await ops.slack.person("operator").submits(window, {"Why?": "vendor is on the phone"})
        notice = await ops.slack.person("viewer").sees("stopped all changes", "hv-ops")
        assert "<@U0OPERATOR>" in plain_text(notice)
        assert "vendor is on the phone" in plain_text(notice)
        await ops.says("/hvops stop me too", who="approver")
        await ops.sees("Changes are already stopped by <@U0OPERATOR>", who="approver")
        await ops.says("/hvops status", who="viewer")
        status = await ops.sees("*You:* viewer", who="viewer")
        assert plain_text(status).startswith("*Changes are stopped* by <@U0OPERATOR>")

        await ops.says("/drain-node hv03")
        plan = await ops.sees("Drain node hv03?", channel="hv-ops")
        assert plain_text(plan).startswith("*Changes are stopped* by <@U0OPERATOR>")
        await ops.clicks(plan, "Approve", who="approver")
        await ops.sees("T-1: approved", who="approver")
        assert "started" not in [entry.kind for entry in ops.ledger()]
        await ops.says("/hvops go", who="approver")
        await ops.sees("<@U0APPROVER> allowed changes again", channel="hv-ops")
        done = await ops.slack.person("operator").sees(DONE, "hv-ops")
        assert "Changes are stopped" not in plain_text(done)
        await ops.recorded("done", 1)


@pytest.mark.long
async def test_stopped_at_the_terminal_while_slack_is_down_it_holds_and_is_posted_later(play):
    async with play("healthy") as ops:
        await ops.says("/drain-node hv03")
        plan = await ops.sees("Drain node hv03?", channel="hv-ops")
        await ops.sees("The full plan of T-1", channel="hv-ops")
        ops.slack.faults.add("chat.postMessage", "500", 1_000)
        code, printed = await hvops(ops, "stop", "Slack", "is", "down")
        assert (code, "Changes are stopped." in printed) == (0, True), printed
        code, printed = await hvops(ops, "runs")
        assert (code, "Slack is down" in printed, "T-1 proposed" in printed) == (0, True, True), printed
        code, printed = await hvops(ops, "go")  # the account that the bot runs as
        assert (code, "The bot runs as this account" in printed) == (2, True), printed
        await ops.clicks(plan, "Approve", who="approver")
        await ops.recorded("approved", 1)
        ops.slack.faults.waiting.clear()
        notice = await ops.sees("(at a terminal) stopped all changes", channel="hv-ops")
        assert "Slack is down" in plain_text(notice)
        assert "started" not in [entry.kind for entry in ops.ledger()]
        await ops.says("/hvops go", who="approver")
        await ops.slack.person("operator").sees(DONE, "hv-ops")
        await ops.recorded("done", 1)
