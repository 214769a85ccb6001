"""Machines are named to do harm, and a node with them on it is drained: the plan shows them, and they do nothing else."""

import asyncio
import re

from lab.slack.blockkit_walk import pings
from lab.slack.plain_text import plain_text

HOSTILE = [
    "<!channel>",
    "' OR Name LIKE '%",
    "<https://evil.example|crm-02>",
    "x\u2019; Stop-Service vmms; \u2018",
    "{ticket} $(calc) `calc` %COMSPEC% & calc | calc",
    "\u202egnp.exe",
    "<@U0APPROVER> *b* _i_ ~s~",
]


def marked_up(node):
    """Every text in which Slack looks for mentions and links; in preformatted text it looks for nothing."""
    if isinstance(node, list):
        for one in node:
            yield from marked_up(one)
    elif isinstance(node, dict):
        if node.get("type") == "mrkdwn":
            yield node["text"]
        for one in node.values():
            yield from marked_up(one)


async def test_a_drain_of_hostile_names_shows_them_harmless_and_moves_them(play):
    async with play("healthy") as ops:
        world = ops.estate.world

        def rename():
            guests = [guest for guest in world.clusters["prod"].guests if guest.node.name == "hv03"]
            for guest, name in zip(guests, HOSTILE, strict=False):
                guest.name = guest.group = name

        await asyncio.to_thread(ops.estate.do, rename)
        await ops.says("/drain-node hv03")
        plan = await ops.sees("Drain node hv03?", channel="hv-ops")
        await ops.clicks(plan, "Approve", who="approver")
        operator = ops.slack.person("operator")
        async with asyncio.timeout(60):
            while not world.asked:  # noqa: ASYNC110 - a host in another thread tells nobody here
                await asyncio.sleep(0.02)
        await asyncio.to_thread(ops.estate.do, lambda: world.skip(120))  # the guests have moved meanwhile
        done = await operator.sees(re.compile("^Done: Drain node hv03"), "hv-ops")
        await ops.recorded("done", 1)
        for message in [plan, done, *operator.thread(done)]:
            told = message.text + "".join(marked_up(message.blocks))
            assert "<!channel>" not in told
            assert "<https://evil" not in told
            assert "\u202e" not in f"{told}{message.blocks}"
            called = set(pings(message.text, message.blocks)) - {"S0APPROVERS"}
            assert called <= {"U0OPERATOR", "U0APPROVER"}
        whole = await ops.whole_plan(plan)
        for name in ("!channel", "OR Name LIKE", "Stop-Service", "{ticket} $(calc)"):
            assert name in whole
        assert world.asked == ["hv03: MSCluster_Node.Pause"]
        left = [guest.name for guest in world.clusters["prod"].guests if guest.node.name == "hv03"]
        assert left == []
        entries = {entry.kind: entry for entry in ops.ledger()}
        assert HOSTILE[0] in str(entries["proposed"].data.plan)  # the ledger keeps what was really said


async def test_a_load_balancers_hostile_names_are_shown_harmless(play):
    """Nicknames and servers' names are somebody else's words, in the answer, the plan and its end."""
    hostile = "<!channel> <@U0APPROVER> <https://evil.example|web> \u202egnp.exe\u200b *b* `" + "x" * 200
    async with play("host-header-check") as ops:

        def rename():
            made = ops.estate.world.load_balancers["lm01"]
            made.interval, made.timeout, made.retries = 2, 1, 1
            made.services[1].settings["NickName"] = hostile

        await asyncio.to_thread(ops.estate.do, rename)
        await ops.says("/check-virtual-service lm01 1 --host ntrip.surveyor.example")
        answer = await ops.sees("lm01: 2 real servers marked down by the wrong health check")
        await ops.says("/fix-health-check lm01 1 --host ntrip.surveyor.example")
        plan = await ops.sees("set the health check to HTTP/1.1, Host", channel="hv-ops")
        await ops.clicks(plan, "Approve", who="approver")
        operator = ops.slack.person("operator")
        done = await operator.sees(re.compile("^Done: Fix health check"), "hv-ops")
        for message in [answer, plan, done, *operator.thread(done)]:
            told = message.text + "".join(marked_up(message.blocks))
            assert "<!channel>" not in told
            assert "<https://evil" not in told
            for unseen in "\u202e\u200b":
                assert unseen not in f"{told}{message.blocks}"
            assert set(pings(message.text, message.blocks)) - {"S0APPROVERS"} <= {"U0OPERATOR", "U0APPROVER"}
        assert "!channel" in plain_text(plan)
