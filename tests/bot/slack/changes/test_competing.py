"""Tickets that need the same lock name each other, on their messages and to whoever asks, as long as both are open."""

import re

from bot.slack.render.competing import CompetingTicket, competing_text
from lab.slack.plain_text import plain_text


def read(message):
    """What people read: no marks, and of a link its words."""
    return re.sub(r"<[^|>]*\|([^>]*)>", r"\1", plain_text(message)).replace("*", "")


async def card(bench, title):
    """The message of a ticket as it stands now."""
    message = await bench.viewer.sees(title, "hv-ops")
    return lambda: read(next(one for one in bench.viewer.messages("hv-ops") if one.ts == message.ts))


async def test_two_proposals_on_one_lock_name_each_other_until_one_ends(bench):
    async with bench.running():
        await bench.operator.types("/repair hv03")
        first = await card(bench, "Repair on hv03?")
        assert "Same lock" not in first()
        await bench.operator.types("/reopen hv03")
        second = await card(bench, "Reopen on hv03?")
        assert "Same lock (node hv03): T-1 (pending a decision). Only one runs at a time." in second()
        await bench.until(lambda: "Same lock (node hv03): T-2 (pending a decision)." in first())
        answer = await bench.operator.sees("T-2 is proposed", "hv-ops")
        assert "Same lock (node hv03): T-1" in read(answer)
        (link,) = {one["text"]["text"].split("<")[1].split("|")[0] for one in answer.blocks if "Same lock" in str(one)}
        assert "/archives/C0OPS/p" in link
        await bench.operator.clicks(await bench.viewer.sees("Repair on hv03?", "hv-ops"), "Withdraw")
        await bench.until(lambda: "Same lock" not in second())


async def test_the_one_that_waits_says_for_whom_and_the_one_that_runs_says_who_waits(bench):
    async with bench.running():
        await bench.operator.types("/repair hv03")
        running = await card(bench, "Repair on hv03?")
        await bench.approver.clicks(await bench.viewer.sees("Repair on hv03?", "hv-ops"), "Approve")
        await bench.until(lambda: "started" in bench.kinds("T-1"))
        await bench.operator.types("/reopen hv03")
        waiting = await card(bench, "Reopen on hv03?")
        await bench.until(lambda: "Same lock (node hv03): T-1 (running)" in waiting())
        await bench.approver.clicks(await bench.viewer.sees("Reopen on hv03?", "hv-ops"), "Approve")
        await bench.until(lambda: "T-2 waits for T-1, which holds what it needs." in waiting())
        await bench.until(lambda: "Same lock (node hv03): T-2 (approved)" in running())


def test_many_are_counted_and_links_are_left_out_where_there_are_none():
    competing = [CompetingTicket(f"T-{number}", "proposed", frozenset({"cluster:prod"})) for number in range(1, 9)]
    says = competing_text([*competing])
    assert says.startswith("*Same lock (cluster prod):* T-1 (pending a decision), T-2")
    assert "T-5 (pending a decision) and 3 more." in says
    assert "T-6" not in says
    assert competing_text([]) == ""
