"""What came masked before an action and comes masked after it tells nothing: neither that it is the same, nor that it is not."""

from __future__ import annotations

import pytest
from scripted_world import simple, state

from bot.api.actions import RunProgram
from bot.api.plan import Check, CompareToBefore, Step
from bot.redaction import MASKED


@pytest.mark.parametrize("is_masked", [False, True])
async def test_what_may_have_restarted_is_not_restarted_again(bench, world, is_masked):
    new = Check(state("hv03"), (CompareToBefore("restart", ("instance",), same=False),), within=120)
    restart = Step(
        "restart", "Restart vmms", RunProgram("hv03", "restart"), (new,), before=state("hv03"), deadline=30, repeatable=True
    )  # fmt: skip
    bench.plans["reset"] = lambda *_: simple("hv03", restart)
    rows = world.rows
    if is_masked:
        world.rows = lambda on: tuple({**row, "instance": MASKED} for row in rows(on))
    world.faults = ["unanswered"]
    ticket = await bench.approved()
    await bench.runs(2)
    assert len(world.order) == 1
    end = bench.last(ticket)
    assert end.kind == ("interrupted" if is_masked else "done")
    if is_masked:
        assert end.data.effect == "", "nobody saw it take effect, either"
