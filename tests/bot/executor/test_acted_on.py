"""Whether the ledger saw a node: only what was done there counts, and only in that cluster alone."""

from __future__ import annotations

from bot.api.plan import GateOutcome
from bot.dispatch.inventory import Doubt
from bot.tickets.proposal import has_acted_on


async def test_a_node_was_seen_where_a_run_on_it_came_to_its_end(bench):
    assert not has_acted_on(bench.ledger, "prod", "hv03")
    ticket = await bench.approved()
    assert not has_acted_on(bench.ledger, "prod", "hv03")  # proposed and approved: whoever claims a host gets that far
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    assert has_acted_on(bench.ledger, "Prod", "HV03")
    assert not has_acted_on(bench.ledger, "branch", "hv03")
    assert not has_acted_on(bench.ledger, "prod", "hv04")


async def test_what_was_refused_shows_nothing(bench, world):
    world.faults += ["refused"] * 9
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "failed"
    assert not has_acted_on(bench.ledger, "prod", "hv03")


async def test_a_plan_on_a_node_that_is_only_claimed_is_not_known_and_nothing_is_sent(bench, world):
    doubt = Doubt("prod", "only prod says so, and branch did not answer since hvops started.", "Ask again.")

    async def doubted(host):
        return doubt if host == "hv03" else None

    bench.planner._doubt = doubted
    answered = await bench.propose()
    text = str(answered.report)
    assert "hv03 is a node of prod" in text
    assert "branch did not answer since hvops started" in text
    assert bench.ledger.tickets() == []
    plan = await bench.planner._with_doubts(bench._plan("reset", "hv03", {"broken": "yes", "locked": "no"}))
    assert plan.gates[-1].outcome is GateOutcome.NOT_KNOWN
    assert not plan.gates[-1].is_open  # nobody's word represents it


async def test_a_doubt_that_comes_after_the_approval_holds_the_start(bench, world):
    ticket = await bench.approved()

    async def doubted(host):
        return Doubt("prod", "only prod says so.", "Ask again.")

    bench.planner._doubt = doubted
    await bench.runs()
    assert world.order == []
    assert bench.last(ticket).kind != "done"
