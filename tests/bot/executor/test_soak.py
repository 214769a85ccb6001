"""A group that is repeated many times: counted, left alone between its steps, and never begun twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest
from kill_shapes import LOCKS, moves, rest, soak
from scripted_world import APPROVER, OPERATOR, POLICY, command, is_now

from bot.api.plan import KEPT, Group
from bot.dispatch.authorization import Person
from bot.errors import Locked, RolesUnknown, TicketError
from bot.executor import outcome, step
from bot.executor.run import Run
from bot.ledger import EntryDraft
from bot.ledger.entries import Started
from bot.ledger.ticket_state import TicketState
from bot.tickets.proposal import answers_until, latest_end, longest_seconds
from bot.tickets.run_history import story_of
from bot.transport.bounds import weigh


@pytest.fixture
def soaking(bench, world):
    """The host is at `a`, and the command /soak moves it."""
    world.hosts["hv03"] |= {"owner": "a", "state": "well"}
    bench.plans["soak"] = soak
    bench.planner._registry.commands["soak"] = command("soak", partial(bench._plan, "soak"))
    return bench


def owners(world):
    return [act[2] for act in world.order if act[1] == "set" and act[2] in ("a", "b")]


async def turns(condition, bench=None):
    """Let others go on until it is so."""
    async with asyncio.timeout(20):
        while not condition():
            if bench is not None:
                await bench.runner.tick()
            await asyncio.sleep(0.001)


def asks(bench, may_start_now):
    """Let the runner ask that before it moves."""
    bench.parts = replace(bench.parts, may_start_now=may_start_now)
    bench.runner._only.close()
    bench.runner = bench.new_runner()


async def waiting(bench):
    """A ticket whose rounds wait before the first move."""
    asks(bench, lambda _proposal, _now: "a freeze")
    ticket = await bench.approved("/soak hv03")
    await bench.runner.tick()
    await turns(lambda: any("waiting: a freeze" in one.says for one in bench.told))
    return ticket


def begins(bench, ticket):
    return [entry.data for entry in bench.ledger.story(ticket) if entry.kind == "intent"]


async def test_the_rounds_are_signed_as_a_number_and_not_written_out(soaking, world):
    ticket = await soaking.approved("/soak hv03")
    proposal = soaking.ledger.proposal(ticket)
    assert len(proposal.data.plan["groups"]) == 3
    assert proposal.data.plan["groups"][1]["times"] == 3
    await soaking.runs()
    assert soaking.last(ticket).kind == "done"
    assert owners(world) == ["b", "a"] * 3
    told = [(one.step, one.round) for one in begins(soaking, ticket) if one.step in ("there", "back")]
    assert told == [(step, number) for number in (1, 2, 3) for step in ("there", "back")]


async def test_each_round_is_judged_by_how_it_was_before_that_round(soaking, world):
    """A failure of last month is there before the first move; one of the third move is its own."""
    world.hosts["hv03"]["state"] = "failed"
    world.hooks[2] = lambda: world.hosts["hv03"].update(state="well")
    world.hooks[4] = lambda: world.hosts["hv03"].update(state="well")
    world.faults = [None, None, None, None, ("slow", 3600)]
    world.hooks[5] = lambda: world.hosts["hv03"].update(state="failed")
    ticket = await soaking.approved("/soak hv03")
    await soaking.runs()
    assert soaking.last(ticket).kind == "failed"
    assert (soaking.last(ticket).data.step, soaking.last(ticket).data.number) == ("there", 11)
    noted = {one.round: one.before[0]["state"] for one in begins(soaking, ticket) if one.step == "there"}
    assert noted == {1: "failed", 2: "well", 3: "well"}
    story = story_of(soaking.ledger.story(ticket))
    assert story.images["there"][0]["state"] == "failed"
    assert [key for key in story.round_images if key[0] == "there"] == [("there", 3)]
    assert len(owners(world)) == 5


async def test_it_ends_as_soon_as_what_is_watched_has_changed(soaking, world):
    world.hooks[3] = lambda: world.hosts["hv03"].update(instance="2")
    ticket = await soaking.approved("/soak hv03")
    await soaking.runs()
    assert soaking.last(ticket).kind == "failed"
    assert "it has restarted" in soaking.last(ticket).data.reason
    assert owners(world) == ["b", "a", "b"]


async def test_a_cancel_waits_until_what_was_begun_has_ended(soaking, world, clock):
    world.faults = [None, ("slow", 40)]
    ticket = await soaking.approved("/soak hv03")
    world.hooks[2] = lambda: soaking.decisions.cancel(soaking.press(OPERATOR, ticket))
    await soaking.runs()
    assert soaking.last(ticket).kind == "cancelled"
    assert owners(world) == ["b", "a"]
    results = [entry.data.result for entry in soaking.ledger.story(ticket) if entry.kind == "outcome"]
    assert set(results) == {"done"}
    assert world.rows("hv03")[0]["owner"] == "a"


async def test_a_cancel_waits_over_a_restart_too(soaking, world, clock):
    world.faults = [("slow", 3)]
    ticket = await soaking.approved("/soak hv03")
    gone = asyncio.Event()
    world.hooks[1] = gone.set
    await soaking.runner.tick()
    await gone.wait()
    await soaking.dies()
    soaking.decisions.cancel(soaking.press(OPERATOR, ticket))
    await soaking.runs()
    assert soaking.last(ticket).kind == "cancelled"
    assert owners(world) == ["b"]
    outcome = [entry.data for entry in soaking.ledger.story(ticket) if entry.kind == "outcome"][-1]
    assert (outcome.step, outcome.result) == ("there", "done")


async def test_a_cancel_before_it_was_sent_keeps_it_from_being_sent(soaking, world):
    ticket = await soaking.approved("/soak hv03")
    world.logins[1] = lambda: soaking.decisions.cancel(soaking.press(OPERATOR, ticket))
    await soaking.runs()
    assert soaking.last(ticket).kind == "cancelled"
    assert owners(world) == ["b"]


async def test_a_bot_that_dies_goes_on_counting(soaking, world):
    ticket = await soaking.approved("/soak hv03")
    gone = asyncio.Event()
    world.hooks[3] = gone.set
    await soaking.runner.tick()
    await gone.wait()
    await soaking.dies()
    await soaking.runs()
    assert soaking.last(ticket).kind == "done"
    assert owners(world) == ["b", "a"] * 3


async def test_nothing_moves_while_a_window_is_open_and_others_have_the_locks_meanwhile(soaking, world, clock):
    opens, asked = {2: "the nightly backup runs until 06:00"}, []
    bench = soaking

    def may_start_now(proposal, now):
        asked.append((proposal.ticket, len(owners(world))))
        return opens.get(len(owners(world)), "")

    asks(bench, may_start_now)
    ticket = await bench.approved("/soak hv03")
    await bench.runner.tick()
    await turns(lambda: any("waiting: the nightly backup" in one.says for one in bench.told))
    assert owners(world) == ["b", "a"]
    other = await bench.approved()
    await turns(lambda: bench.ledger.ticket(other).state == "ended", bench)
    assert bench.last(other).kind == "done"
    assert "interrupted" in bench.kinds(ticket)
    assert owners(world) == ["b", "a"]
    opens.clear()
    world.hosts["hv03"]["instance"] = "1"
    await turns(lambda: bench.ledger.ticket(ticket).state is TicketState.ENDED, bench)
    assert bench.last(ticket).kind == "done"
    assert owners(world) == ["b", "a"] * 3
    assert {number for _, number in asked} == {0, 1, 2, 3, 4, 5}, "asked before each move"


class Opening:
    """A window that a test opens, and shuts again after the move has been held."""

    def __init__(self, bench):
        self.bench, self.is_open, self.held = bench, False, 0
        asks(bench, lambda _proposal, _now: self._answer())

    def _answer(self):
        self.held += self.is_open
        return "a freeze" if self.is_open else ""

    async def holds(self, world, ticket, moves):
        """Nothing has moved since it opened; once it is shut, all the rest does."""
        await turns(lambda: self.held > 2 or len(owners(world)) > moves, self.bench)
        assert len(owners(world)) == moves
        assert any("waiting: a freeze" in one.says for one in self.bench.told)
        self.is_open = False
        await turns(lambda: self.bench.ledger.ticket(ticket).state is TicketState.ENDED, self.bench)
        assert self.bench.last(ticket).kind == "done"
        assert owners(world) == ["b", "a"] * 3
        assert self.bench.ledger.verify().holds


async def test_a_stop_that_ends_inside_of_a_window_lets_nothing_move_in_it(soaking, world):
    opening, ticket = Opening(soaking), await soaking.approved("/soak hv03")

    def stops(told):
        if (told.kind, told.step) == ("outcome", 4):  # between the look and the move
            soaking.decisions.stop_changes(APPROVER, "the power fails")

    soaking.parts = replace(soaking.parts, tell=lambda told: (soaking.told.append(told), stops(told)))
    soaking.runner._only.close()
    soaking.runner = soaking.new_runner()
    await turns(lambda: any(one.kind == "stopped" for one in soaking.told), soaking)
    opening.is_open = True
    soaking.decisions.allow_changes(APPROVER)
    await opening.holds(world, ticket, 1)


async def test_what_did_not_happen_is_not_sent_again_inside_of_a_window(soaking, world, monkeypatch):
    opening, ticket = Opening(soaking), await soaking.approved("/soak hv03")
    change, died = world.change, asyncio.Event()

    async def dies_before_it_is_sent(action, seconds):
        if action.what == "set" and len(owners(world)) == 1:
            died.set()
            await asyncio.Event().wait()
        return await change(action, seconds)

    monkeypatch.setattr(world, "change", dies_before_it_is_sent)
    await soaking.runner.tick()
    await died.wait()
    await soaking.dies()
    monkeypatch.setattr(world, "change", change)
    opening.is_open = True
    await opening.holds(world, ticket, 1)


async def test_who_waits_to_send_it_again_can_still_be_cancelled(soaking, world, monkeypatch):
    opening, ticket = Opening(soaking), await soaking.approved("/soak hv03")
    change, died = world.change, asyncio.Event()

    async def dies_before_it_is_sent(action, seconds):
        if action.what == "set":
            died.set()
            await asyncio.Event().wait()
        return await change(action, seconds)

    monkeypatch.setattr(world, "change", dies_before_it_is_sent)
    await soaking.runner.tick()
    await died.wait()
    await soaking.dies()
    monkeypatch.setattr(world, "change", change)
    opening.is_open = True
    await turns(lambda: opening.held > 2, soaking)
    soaking.decisions.cancel(soaking.press(OPERATOR, ticket))
    await turns(lambda: soaking.ledger.ticket(ticket).state is TicketState.ENDED, soaking)
    assert (soaking.last(ticket).kind, owners(world)) == ("cancelled", [])


async def test_a_host_that_takes_its_time_for_the_login_until_a_window_opens_moves_nothing(soaking, world):
    opening, ticket = Opening(soaking), await soaking.approved("/soak hv03")
    world.logins[1] = lambda: setattr(opening, "is_open", True)
    await soaking.runner.tick()
    await turns(lambda: opening.is_open)
    await opening.holds(world, ticket, 1)
    results = [entry.data.result for entry in soaking.ledger.story(ticket) if entry.kind == "outcome"]
    assert results.count("not sent") == 1


async def test_a_move_that_is_sent_after_a_window_is_not_judged_by_what_failed_in_it(soaking, world):
    """Somebody moved it by hand meanwhile, which failed: that is no failure of the move that was just sent."""
    opening, ticket = Opening(soaking), await soaking.approved("/soak hv03")

    def opens():
        opening.is_open = True
        world.hosts["hv03"]["state"] = "failed"
        world.faults = [("slow", 30)]

    world.logins[1] = opens
    await soaking.runner.tick()
    await turns(lambda: opening.is_open)
    await opening.holds(world, ticket, 1)
    noted = [one.before[0]["state"] for one in begins(soaking, ticket) if (one.step, one.round) == ("back", 1)]
    assert noted == ["well", "failed"]


def at_the_look(bench, do):
    """Something happens between the look in front of the second move and that move."""
    done = []

    def tell(told):
        bench.told.append(told)
        if (told.kind, told.step) == ("outcome", 4) and not done:
            done.append(told)
            do()

    bench.parts = replace(bench.parts, tell=tell)
    bench.runner._only.close()
    bench.runner = bench.new_runner()


def says(bench, words):
    return lambda: any(words in one.says for one in bench.told)


async def in_a_window(bench, world, restarts):
    opening = Opening(bench)
    at_the_look(bench, lambda: setattr(opening, "is_open", True))
    await turns(says(bench, "waiting: a freeze"), bench)
    restarts()
    opening.is_open = False


async def in_a_window_that_opens_during_the_login(bench, world, restarts):
    opening = Opening(bench)
    world.logins[1] = lambda: setattr(opening, "is_open", True)
    await turns(says(bench, "waiting: a freeze"), bench)
    restarts()
    opening.is_open = False


async def in_a_stop(bench, world, restarts):
    at_the_look(bench, lambda: bench.decisions.stop_changes(APPROVER, "the power fails"))
    await turns(lambda: any(one.kind == "stopped" for one in bench.told), bench)
    restarts()
    bench.decisions.allow_changes(APPROVER)


async def while_another_ticket_has_its_locks(bench, world, restarts):
    opening = Opening(bench)
    at_the_look(bench, lambda: setattr(opening, "is_open", True))
    await turns(says(bench, "waiting: a freeze"), bench)
    other = await bench.approved()
    await turns(lambda: bench.ledger.ticket(other).state == "ended", bench)
    restarts()
    opening.is_open = False


async def while_no_bot_runs(bench, world, restarts):
    opening = Opening(bench)
    at_the_look(bench, lambda: setattr(opening, "is_open", True))
    await turns(says(bench, "waiting: a freeze"), bench)
    await bench.dies()
    restarts()
    opening.is_open = False


async def while_nobody_can_say_who_may(bench, world, restarts):
    at_the_look(bench, lambda: bench.now_are.update({APPROVER.id: RolesUnknown("Slack does not answer.")}))
    await turns(says(bench, "cannot tell whether"), bench)
    restarts()
    bench.now_are.clear()


async def while_its_guard_waits(bench, world, restarts):
    def guarded(on, facts):
        plan = soak(on, facts)
        locked = is_now("hv04", 600, locked="no")
        steps = [replace(one, guard=(*one.guard, locked)) if one.act else one for one in plan.groups[1].steps]
        return replace(plan, groups=(plan.groups[0], replace(plan.groups[1], steps=tuple(steps)), plan.groups[2]))

    bench.plans["soak"] = guarded
    at_the_look(bench, lambda: world.hosts["hv04"].update(locked="yes"))
    ticket = await bench.approved("/soak hv03")
    await turns(says(bench, "locked is yes"), bench)
    restarts()
    world.hosts["hv04"]["locked"] = "no"
    return ticket


WAITS = (
    in_a_window,
    in_a_window_that_opens_during_the_login,
    in_a_stop,
    while_another_ticket_has_its_locks,
    while_no_bot_runs,
    while_nobody_can_say_who_may,
    while_its_guard_waits,
)


@pytest.mark.parametrize("waits", WAITS, ids=[one.__name__ for one in WAITS])
async def test_what_restarts_between_the_look_and_the_move_is_not_moved(soaking, world, waits):
    """The guard of the move does not ask that: after a wait, all that the look saw is looked at once more."""
    ticket = None if waits is while_its_guard_waits else await soaking.approved("/soak hv03")
    ticket = await waits(soaking, world, lambda: world.hosts["hv03"].update(instance="7")) or ticket
    await turns(lambda: soaking.ledger.ticket(ticket).state is TicketState.ENDED, soaking)
    assert owners(world) == ["b"]
    assert soaking.last(ticket).kind == "failed"
    assert "back hv03: not started: it has restarted" in soaking.last(ticket).data.reason


async def test_what_was_looked_at_just_now_is_not_looked_at_again(soaking, world, monkeypatch):
    """Of thousands of moves each would ask twice."""
    asked, wait_for = [], step.wait_for

    async def counting(parts, checks, *more, **how):
        asked.append(len(checks))
        return await wait_for(parts, checks, *more, **how)

    monkeypatch.setattr(step, "wait_for", counting)
    ticket = await soaking.approved("/soak hv03")
    await soaking.runs()
    assert soaking.last(ticket).kind == "done"
    assert asked == [1] * 6, "the guard of each move"


async def test_two_of_them_are_never_under_way_however_the_other_locks_are_given_away(soaking, world):
    bench = soaking
    first = await waiting(bench)
    bench.plans["soak"] = lambda on, facts: replace(soak(on, facts), locks=("node:other", f"{KEPT}soak"))
    second = await bench.approved("/soak hv03")
    await bench.runner.tick()
    assert bench.ledger.ticket(second).state == "approved"
    assert any(one.ticket == second and f"waits for {first}" in one.says for one in bench.told)


async def test_the_ledger_itself_keeps_a_kept_lock(soaking, world):
    bench = soaking
    first = await waiting(bench)
    other = await bench.approved()
    await turns(lambda: bench.ledger.ticket(other).state is not TicketState.APPROVED, bench)
    assert bench.ledger.ticket(first).state is TicketState.INTERRUPTED
    taken = await bench.approved("/soak hv03")
    with pytest.raises(Locked, match="kept:soak"):
        bench.ledger.append_together(
            EntryDraft("bot", Started(attempt=1, locks=(f"{KEPT}soak",), takes_over=first), taken)
        )
    with pytest.raises(TicketError):
        bench.ledger.append_together(EntryDraft("bot", Started(attempt=1, locks=(f"{KEPT}soak",)), taken))


async def test_its_time_is_what_all_rounds_together_may_take(soaking, clock):
    plan = soak("hv03", {})
    many = replace(plan, groups=(plan.groups[0], replace(plan.groups[1], times=2_000), plan.groups[2]))
    assert longest_seconds(many) == longest_seconds(plan) == 0 + 600 + 600
    start = timedelta(minutes=POLICY.open_minutes + POLICY.start_minutes)
    assert latest_end(many, POLICY, clock()) == clock() + start + timedelta(seconds=1200 + 3600)
    ticket = await soaking.approved("/soak hv03")
    from bot.tickets.proposal import proposal_of  # noqa: PLC0415 - beside its use

    proposal = proposal_of(soaking.ledger, ticket)
    start_by = soaking.ledger.ticket(ticket).start_by
    assert answers_until(proposal, start_by) == datetime.fromisoformat(start_by) + timedelta(seconds=1200)


async def test_no_step_starts_after_its_deadline_and_the_one_in_flight_ends(soaking, world, clock):
    world.faults = [None, None, ("slow", 30)]
    ticket = await soaking.approved("/soak hv03")
    world.hooks[3] = lambda: clock.forward(days=2)
    await soaking.runs()
    assert soaking.last(ticket).kind == "interrupted"
    assert "the deadline" in soaking.last(ticket).data.reason
    assert owners(world) == ["b", "a", "b"]
    outcome = [entry.data for entry in soaking.ledger.story(ticket) if entry.kind == "outcome"][-1]
    assert (outcome.step, outcome.round, outcome.result) == ("there", 2, "done")


def test_only_what_is_counted_gives_way_between():
    steps = moves("hv03")
    assert Group("g", steps, times=2).gives_way_between
    assert Group("g", steps, unit="move").gives_way_between
    assert not Group("g", steps).gives_way_between
    assert not Group("g", (steps[1], steps[3]), times=2).gives_way_between
    assert rest("hv03", "x").yields_locks
    assert LOCKS
    assert APPROVER


async def test_thousands_of_rounds_note_no_more_than_there_is_memory_for(soaking, world, monkeypatch):
    """A cluster may tell a megabyte before each of them, and whatever reads the ticket reads them all."""
    rows = world.rows
    world.rows = lambda on: (*rows(on), *({"name": f"junk-{number}", "instance": "1"} for number in range(50)))
    each = weigh(world.rows("hv03"))
    for module in (step, outcome):
        monkeypatch.setattr(module, "LARGEST_IMAGES", 5 * each + each // 2)
    ticket = await soaking.approved("/soak hv03")
    await soaking.runs()
    assert soaking.last(ticket).kind == "failed"
    assert "are too long to record all of them" in soaking.last(ticket).data.reason
    assert owners(world) == ["b", "a"]
    story = story_of(soaking.ledger.story(ticket))
    assert story.weight <= 6 * each
    assert sum("after" in entry.data.fields for entry in soaking.ledger.story(ticket) if entry.kind == "outcome") == 2


async def test_a_run_keeps_what_was_noted_in_its_first_and_its_newest_round_alone(soaking, world, monkeypatch):
    runs = []
    refresh = Run.refresh

    def noting(run):
        found = refresh(run)
        runs.append(run)
        return found

    monkeypatch.setattr(Run, "refresh", noting)
    ticket = await soaking.approved("/soak hv03")
    await soaking.runs()
    assert soaking.last(ticket).kind == "done"
    story = runs[-1].story
    ends = [entry.data for entry in soaking.ledger.story(ticket) if entry.kind == "outcome"]
    noted = [*(one.before for one in begins(soaking, ticket)), *(one.after for one in ends)]
    assert story.weight == sum(weigh(rows) for rows in noted if rows is not None)
    assert any(one.after is not None and one.round > 1 for one in ends)
    assert not any(one.after for (_, number), one in story.outcomes.items() if number > 1)
    assert sorted(story.round_images) == [("back", 3), ("baseline", 1), ("there", 3)]
    assert {key for key, one in story.intents.items() if one.before is not None} == set(story.round_images)
    assert not any(entry.fields for entry in runs[-1]._entries if entry.kind in ("intent", "outcome"))


@pytest.mark.parametrize("who", [OPERATOR, APPROVER], ids=["requester", "approver"])
@pytest.mark.parametrize("moved", [1, 2, 3])
async def test_who_loses_the_role_in_a_round_has_nothing_moved_any_more(soaking, world, who, moved):
    """A round is there and back, and between the two it waits for hours where a backup runs."""
    ticket = await soaking.approved("/soak hv03")
    world.hooks[moved] = lambda: soaking.now_are.update({who.id: Person(who.id, who.name)})
    await soaking.runs()
    assert len(owners(world)) == moved
    assert soaking.last(ticket).kind == "voided"
    assert "does not hold the role" in soaking.last(ticket).reason


async def test_between_the_moves_of_a_round_nothing_moves_while_nobody_can_say_who_may(soaking, world):
    unknown = RolesUnknown("The members of S1 cannot be read from Slack now.")
    ticket = await soaking.approved("/soak hv03")
    world.hooks[1] = lambda: soaking.now_are.update({APPROVER.id: unknown})
    await soaking.runner.tick()
    await turns(lambda: len(owners(world)) > 1 or any("cannot tell whether" in one.says for one in soaking.told))
    assert owners(world) == ["b"]
    del soaking.now_are[APPROVER.id]
    await soaking.runs()
    assert soaking.last(ticket).kind == "done"
    assert owners(world) == ["b", "a"] * 3
