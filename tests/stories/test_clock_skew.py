"""Clocks that differ: one node's, two nodes', the bot's own."""

import re
from datetime import timedelta

from lab.slack.plain_text import plain_text


def _set(ops, seconds, *names):
    for name in names:
        node = ops.estate.world.node(name)
        ops.estate.do(lambda node=node: setattr(node, "clock_ahead", timedelta(seconds=seconds)))


async def test_the_worst_pair_is_named_until_the_clocks_are_set(play):
    async with play("clock-skew") as ops:
        await ops.says("/check-time-skew prod")
        told = plain_text(
            await ops.sees(re.compile(r"prod: hv04 is 52\d(\.\d)? s ahead of hv06, over the Kerberos limit"))
        )
        assert told.index("SKEWED hv04 and hv06") < told.index("SKEWED hv04:*") < told.index("SKEWED hv06:*")
        assert "4 nodes and the bot agree" in told
        assert "On hv04, run w32tm /query /status" in told
        _set(ops, 0, "hv04", "hv06")
        await ops.says("/check-time-skew prod")
        assert "SKEWED" not in plain_text(await ops.sees("prod: 6 nodes agree within"))


async def test_a_silent_node_is_never_counted_as_good(play):
    async with play("healthy") as ops:
        ops.estate.do(lambda: ops.estate.world.trouble("hv02", "refuse", on=True))
        await ops.says("/check-time-skew prod")
        told = plain_text(await ops.sees("5 nodes agree within"))
        assert "1 unknown" in told
        assert "UNKNOWN hv02" in told


async def test_the_bots_own_clock_is_called_off_where_all_nodes_agree(play):
    async with play("healthy") as ops:
        _set(ops, 400, "br01", "br02", "br03", "br04")
        await ops.says("/check-time-skew branch")
        told = plain_text(await ops.sees("the bot's own clock is 40"))
        assert "s behind, over the Kerberos limit; 4 nodes agree with each other" in told
        assert "SKEWED the bot:*" in told
        assert "SKEWED br" not in told
