"""A Done counts for what its person saw: this step, while nobody else had what the ticket needs."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from entry_samples import entry_data
from scripted_world import (
    APPROVER,
    BOTH,
    OPERATOR,
    OTHER,
    POLICY,
    VIEWER,
    Group,
    Plan,
    Step,
    by_hand,
    is_now,
    moves,
    step,
)

from bot.api.actions import ManualStep, ReadBack, TypedField
from bot.api.plan import Gate, GateOutcome
from bot.errors import MovedOn, PermissionDenied, RecordUnavailable, RolesUnknown
from bot.ledger.entries import Interrupted
from bot.slack.render.ticket import ticket_message
from bot.slack.render.ticket_thread import entry_message
from bot.slack.tickets.message_table import read_card
from bot.tickets.run_history import story_of

TYPED = ReadBack("See that it is off", "operator", (TypedField("Its state", "text", "POWERED OFF"),))
# What is asked of a person: what a machine can be asked about and says at once, what only they can see, what they type.
HANDS = {
    "checked": by_hand("hv03"),
    "seen": replace(by_hand("hv03"), done=()),
    "typed": replace(by_hand("hv03"), act=TYPED, done=()),
}


def shared(*steps):
    """A plan of one group that needs what the other ticket needs."""
    return Plan("why", "none", "none", ("vmm",), (), (Group("all", steps),))


async def until(bench, ticket, holds):
    """Sweep until that is so of a ticket, which has not ended before."""
    for _ in range(2_000):
        has_ended = (
            bench.ledger.ticket(ticket).state == "ended"
        )  # before it is asked: it may end in between, as it should
        if holds():
            return
        assert not has_ended, bench.last(ticket)
        await bench.runner.tick()
        await asyncio.sleep(0.001)
    pytest.fail(f"It is {bench.ledger.ticket(ticket).state}: {bench.last(ticket)}")


async def waits_by_hand(bench, world, hand):
    """A ticket that waits for its person, and then sends an act; and what another one does that needs the same."""
    world.hosts["hv03"]["seen"] = "yes"
    bench.plans["reset"] = lambda on, _facts: shared(hand, step("after", on, after="1"))
    bench.plans["tweak"] = lambda on, _facts: shared(step("other", on, seen="started again"))
    ticket = await bench.approved()
    await until(bench, ticket, lambda: bench.ledger.ticket(ticket).intent is not None)
    return ticket


async def other_ticket_ends(bench, waiting):
    """Another ticket needs the same, gets it, and ends; the one that gave way goes on, once it is known who may what."""
    other = await bench.approved("/tweak hv03", BOTH, BOTH)
    await until(bench, waiting, lambda: bench.kinds(other)[-1] == "done")
    bench.now_are.clear()
    bench.clock.forward(minutes=2)
    await until(bench, waiting, lambda: "resumed" in bench.kinds(waiting))


def done(bench, ticket, hand, shown=None):
    said = ("POWERED OFF",) if hand.act is TYPED else ()
    return bench.decisions.confirm_manual_step(replace(bench.press(OPERATOR, ticket), shown=shown), said)


def shown_on_card(bench, ticket):
    """What the Done of the card stands for."""
    card = json.dumps(ticket_message(read_card(bench.ledger, ticket)).blocks)
    (shown,) = re.findall(r'"hvops:t-(?:hand|read-back):(\d+)"', card)
    return int(shown)


async def looked_again(bench, ticket):
    """Wait until the run that goes on has looked for a Done a few times."""
    seen = len(bench.told)
    sleeps, sleep = [], bench.parts.sleep

    async def counted(seconds):
        sleeps.append(seconds)
        await sleep(seconds)

    object.__setattr__(bench.parts, "sleep", counted)
    await until(bench, ticket, lambda: len(sleeps) > 3)
    return [one.says for one in bench.told[seen:] if one.ticket == ticket]


@pytest.mark.parametrize("hand", HANDS.values(), ids=HANDS)
@pytest.mark.parametrize("when", ["nobody says who pressed", "as it gives way"])
async def test_a_done_from_before_another_ticket_had_the_locks_counts_no_more(bench, world, monkeypatch, hand, when):
    ticket = await waits_by_hand(bench, world, hand)
    if when == "as it gives way":
        append_together = bench.ledger.append_together

        def after_a_press(*drafts, **how):
            if drafts[0].kind == "interrupted":
                done(bench, ticket, hand)
            return append_together(*drafts, **how)

        monkeypatch.setattr(bench.ledger, "append_together", after_a_press)
    else:
        bench.now_are[OPERATOR.id] = RolesUnknown("Slack does not answer")
        done(bench, ticket, hand)
    await other_ticket_ends(bench, ticket)
    world.hosts["hv03"]["seen"] = "yes"
    await looked_again(bench, ticket)
    (gave_way,) = bench.ledger.entries(ticket=ticket, kind="interrupted")
    assert when == "as it gives way" or "press Done again once it resumes" in gave_way.reason
    assert (bench.ledger.ticket(ticket).intent or ("",))[0] == "look"
    assert ("hv03", "set", "1") not in world.order
    done(bench, ticket, hand)
    await bench.runs(2)
    assert bench.last(ticket).kind == "done"
    assert bench.kinds(ticket).count("step-confirmed") == 2
    outcome = next(one for one in bench.ledger.entries(ticket=ticket, kind="outcome", newest_first=False))
    assert outcome.data.basis == "statement"


def on_its_node(on, _facts):
    return replace(shared(by_hand(on)), locks=(f"node:{on}",))


def on_both_nodes(_on, _facts):
    return replace(shared(step("both", "hv03", both="1")), locks=("node:hv03", "node:hv04"))


async def two_wait_by_hand(benches):
    """Two tickets that wait for people, each on a node of its own; a drill needs the locks of both."""
    policy = POLICY.model_copy(update={"start_minutes": 1440})  # waits go by the clock of the world, which runs fast
    bench = benches(plans={"reset": on_its_node, "drill": on_both_nodes}, policy=policy)
    bench.plans["tweak"] = lambda on, _facts: replace(shared(step("other", on, other="1")), locks=(f"node:{on}",))
    tickets = [await bench.approved(f"/reset {on}") for on in ("hv03", "hv04")]
    for ticket in tickets:
        await until(bench, ticket, lambda ticket=ticket: bench.ledger.ticket(ticket).intent is not None)
    return bench, *tickets


async def until_resumed(bench, ticket):
    bench.now_are.clear()
    bench.clock.forward(minutes=2)
    await until(bench, ticket, lambda: "resumed" in bench.kinds(ticket))


def states(bench, *tickets):
    return [bench.ledger.ticket(one).state for one in tickets]


async def test_nobody_gives_way_to_who_needs_what_two_others_have(benches, world):
    """A start takes over from one ticket: it would wait for the other one, and keep both from going on, until it lapses."""
    bench, first, second = await two_wait_by_hand(benches)
    third = await bench.approved("/drill hv03")
    says = f"{third} waits for {first} and {second}, which hold what it needs. It can take over from one ticket"
    await until(bench, third, lambda: any(one.ticket == third and one.says.startswith(says) for one in bench.told))
    await looked_again(bench, first)
    assert states(bench, first, second, third) == ["running", "running", "approved"]
    world.hosts["hv03"]["seen"] = "yes"
    done(bench, first, by_hand("hv03"))
    await until(bench, third, lambda: bench.kinds(third)[-1] == "done")
    assert (bench.kinds(first)[-1], "interrupted" in bench.kinds(first)) == ("done", False)
    await until_resumed(bench, second)
    assert bench.ledger.locks() == {"node:hv04": second}
    await bench.runner.tick()
    assert not {first, third} & bench.runner._waiting.keys(), "of what has ended nothing is kept"


async def test_who_gave_way_goes_on_though_somebody_waits_for_its_locks_and_anothers(benches):
    bench, first, second = await two_wait_by_hand(benches)
    other = await bench.approved("/tweak hv03", BOTH, BOTH)
    third = await bench.approved("/drill hv03")
    await until(bench, first, lambda: bench.kinds(other)[-1] == "done")
    await until_resumed(bench, first)
    assert states(bench, first, second, third) == ["running", "running", "approved"]


async def test_a_bot_that_leads_no_more_gives_way_to_nobody_who_needs_what_two_others_have(benches):
    bench, first, second = await two_wait_by_hand(benches)
    await bench.approved("/drill hv03")
    await bench.runner._give_way_to_others()
    assert not any(bench.runner._runs[one].preempt_requested for one in (first, second))


UNKNOWN = RolesUnknown("Slack does not answer")


class Channel:
    """The audit channel: it has seen nothing yet, or is silent."""

    is_silent = False

    async def __call__(self, *, to_post=False):
        if self.is_silent:
            raise RecordUnavailable("no answer from Slack in 20 s")


def not_before(bench, ripe):
    """The plan of the other ticket has a gate that only takes time."""
    waits = Gate("Seen twice", GateOutcome.BLOCKED, "once", passes_at=ripe.isoformat())

    def plan(on, _facts):
        gate = waits if bench.clock() < ripe else Gate("Seen twice", GateOutcome.PASSED)
        return replace(shared(step("other", on, seen="started again")), gates=(gate,))

    bench.plans["drill"] = plan


def needs_time(bench):
    not_before(bench, bench.clock() + timedelta(minutes=14))
    return "ripening", lambda: bench.clock.forward(minutes=14)


def needs_people(bench):
    bench.now_are[OTHER.id] = UNKNOWN

    def known():
        bench.now_are.clear()
        bench.clock.forward(minutes=1)

    return "roles", known


def needs_records(bench):
    bench.channel.is_silent = True
    bench.world.silent.add("no-logs")
    # What it said before stands for a minute.
    bench.clock.forward(minutes=2)

    def answers():
        bench.channel.is_silent = False
        bench.world.silent.clear()
        bench.clock.forward(minutes=1)

    return "stopped", answers


HELD_UP = {"time": needs_time, "people": needs_people, "records": needs_records}


async def settled(bench, *tickets):
    """Sweep, while the clock stands, until nobody is looked at and nothing more is told of these."""
    quiet, seen = 0, -1
    while quiet < 20:
        await bench.runner.tick()
        await asyncio.sleep(0.001)
        now = sum(one.ticket in tickets for one in bench.told)
        quiet = quiet + 1 if now == seen and not bench.runner._looking else 0
        seen = now


async def beside_one_that_waits(benches, world):
    """A ticket that waits for its person; the clock stands from then on, so that the wait itself does not go by."""
    channel = Channel()
    policy = POLICY.model_copy(update={"start_minutes": 1440})
    bench = benches(
        plans={"drill": lambda on, _facts: shared(step("other", on, other="1"))},
        outside=channel,
        anchor_minutes=1,
        policy=policy,
    )
    bench.channel = channel
    ticket = await waits_by_hand(bench, world, HANDS["seen"])
    bench.clock.is_held = True
    return bench, ticket


async def approved_beside(bench):
    """Another one is approved, by somebody who has no say in the first, while the clock goes on standing."""
    other = await bench.approved("/drill hv03", BOTH, OTHER)
    bench.clock.is_held = True
    return other


def let_it_pause(bench):
    """A run that is asked to gives way at its next pause."""
    bench.clock.is_held = False


@pytest.mark.parametrize("hinders", HELD_UP.values(), ids=HELD_UP)
async def test_nobody_gives_way_to_one_that_could_not_start(benches, world, hinders):
    """Its person may confirm the step as long as the other one waits for what is not the locks; then it gives way."""
    bench, ticket = await beside_one_that_waits(benches, world)
    kind, passes = hinders(bench)
    other = await approved_beside(bench)
    await settled(bench, ticket, other)
    assert [one.kind for one in bench.told if one.ticket == other and one.kind != "approved"][:2] == ["locked", kind]
    assert not bench.runner._runs[ticket].preempt_requested
    assert states(bench, ticket, other) == ["running", "approved"]
    passes()
    let_it_pause(bench)
    await until(bench, ticket, lambda: bench.kinds(other)[-1] == "done")
    assert "interrupted" in bench.kinds(ticket)


async def test_a_done_is_taken_while_another_ticket_that_needs_the_same_is_not_due(benches, world):
    bench, ticket = await beside_one_that_waits(benches, world)
    needs_time(bench)
    other = await approved_beside(bench)
    await settled(bench, ticket, other)
    done(bench, ticket, HANDS["seen"])
    let_it_pause(bench)
    await until(bench, other, lambda: bench.kinds(ticket)[-1] == "done")
    assert "interrupted" not in bench.kinds(ticket)


async def test_who_gave_way_goes_on_at_once_where_the_other_one_turns_out_to_wait(benches, world, monkeypatch):
    """Slack names its people when it is asked for, and no more when it is to start."""
    bench, ticket = await beside_one_that_waits(benches, world)
    append_together = bench.ledger.append_together

    def as_it_gives_way(*drafts, **how):
        if drafts[0].kind == "interrupted":
            bench.now_are[OTHER.id] = UNKNOWN
            bench.clock.is_held = True
        return append_together(*drafts, **how)

    monkeypatch.setattr(bench.ledger, "append_together", as_it_gives_way)
    other = await approved_beside(bench)
    let_it_pause(bench)
    await until(bench, ticket, lambda: "resumed" in bench.kinds(ticket))
    assert states(bench, ticket, other) == ["running", "approved"]
    await until(bench, ticket, lambda: bench.ledger.ticket(ticket).intent is not None)
    await settled(bench, ticket, other)
    assert states(bench, ticket, other) == ["running", "approved"], "it is not asked again for nothing"
    done(bench, ticket, HANDS["seen"])
    let_it_pause(bench)
    await until(bench, other, lambda: bench.kinds(ticket)[-1] == "done")


async def test_who_gave_way_goes_on_where_everything_is_stopped_before_the_other_one_starts(
    benches, world, monkeypatch
):
    bench, ticket = await beside_one_that_waits(benches, world)
    append_together = bench.ledger.append_together

    def as_it_gives_way(*drafts, **how):
        if drafts[0].kind == "interrupted":
            bench.decisions.stop_changes(APPROVER, "power work")
            bench.clock.is_held = True
        return append_together(*drafts, **how)

    monkeypatch.setattr(bench.ledger, "append_together", as_it_gives_way)
    other = await approved_beside(bench)
    let_it_pause(bench)
    await until(bench, ticket, lambda: "resumed" in bench.kinds(ticket))
    assert states(bench, ticket, other) == ["running", "approved"]


async def test_nobody_gives_way_any_more_once_the_other_one_is_withdrawn(benches, world):
    bench, ticket = await beside_one_that_waits(benches, world)
    other = await approved_beside(bench)
    await until(bench, other, lambda: bench.runner._runs[ticket].preempt_requested)
    bench.decisions.withdraw(bench.press(BOTH, other))
    await settled(bench, ticket, other)
    assert not bench.runner._runs[ticket].preempt_requested


async def test_one_whose_people_lost_their_role_ends_and_nobody_gives_way_to_it(benches, world):
    bench, ticket = await beside_one_that_waits(benches, world)
    bench.now_are[OTHER.id] = replace(OTHER, roles={})
    other = await approved_beside(bench)
    await until(bench, ticket, lambda: bench.kinds(other)[-1] == "voided")
    assert not bench.runner._runs[ticket].preempt_requested
    assert states(bench, ticket) == ["running"]


async def test_one_whose_plan_is_another_one_now_ends_and_who_gave_way_goes_on(benches, world):
    """Whoever has the locks may be what makes it another one, so that is judged when they are free."""
    bench, ticket = await beside_one_that_waits(benches, world)
    other = await approved_beside(bench)
    bench.plans["drill"] = lambda on, _facts: shared(step("another", on, other="2"))
    let_it_pause(bench)
    await until(bench, ticket, lambda: bench.kinds(other)[-1] == "voided")
    await until(bench, ticket, lambda: "resumed" in bench.kinds(ticket))
    assert ("hv03", "set", "2") not in world.order


@pytest.mark.parametrize("hinders", [*HELD_UP.values(), None], ids=[*HELD_UP, "a stop"])
async def test_a_bot_that_leads_no_more_gives_way_to_nobody_who_could_not_start(benches, world, hinders):
    bench, ticket = await beside_one_that_waits(benches, world)
    if hinders is not None:
        hinders(bench)
    other = await approved_beside(bench)
    if hinders is None:
        bench.decisions.stop_changes(APPROVER, "power work")
    for _ in range(20):
        await bench.runner._give_way_to_others()
        await asyncio.gather(*bench.runner._looking.values())
        assert not bench.runner._runs[ticket].preempt_requested
    assert states(bench, ticket, other) == ["running", "approved"]


async def test_a_bot_that_leads_no_more_gives_way_to_one_that_could_start(benches, world):
    bench, ticket = await beside_one_that_waits(benches, world)
    await approved_beside(bench)
    for _ in range(2):
        await bench.runner._give_way_to_others()
        await asyncio.gather(*bench.runner._looking.values())
    assert bench.runner._runs[ticket].preempt_requested


@pytest.mark.parametrize("hand", HANDS.values(), ids=HANDS)
async def test_a_button_from_before_another_ticket_had_the_locks_confirms_nothing(bench, world, hand):
    """Its person did it before, and somebody else has changed it since: the card asks anew."""
    ticket = await waits_by_hand(bench, world, hand)
    old = shown_on_card(bench, ticket)
    await other_ticket_ends(bench, ticket)
    with pytest.raises(MovedOn, match=r"moved on.*it gave way or was interrupted, and it waits for step 1 now"):
        done(bench, ticket, hand, old)
    if hand.act is TYPED:
        with pytest.raises(MovedOn):
            bench.decisions.must_read_back(replace(bench.press(OPERATOR, ticket), shown=old))
    world.hosts["hv03"]["seen"] = "yes"
    done(bench, ticket, hand, shown_on_card(bench, ticket))
    await bench.runs(2)
    assert bench.last(ticket).kind == "done"


async def test_what_another_ticket_may_have_changed_is_not_taken_for_what_a_person_did(bench, world):
    """The check was not met before the step; by now the other ticket may have done that."""
    hand = HANDS["checked"]
    world.hosts["hv03"]["seen"] = "no"
    bench.plans["reset"] = lambda on, _facts: shared(hand)
    bench.plans["tweak"] = lambda on, _facts: shared(step("other", on, seen="yes"))
    ticket = await bench.approved()
    await until(bench, ticket, lambda: bench.ledger.ticket(ticket).intent is not None)
    await other_ticket_ends(bench, ticket)
    done(bench, ticket, hand)
    await bench.runs(2)
    assert bench.last(ticket).kind == "done"
    (outcome,) = bench.ledger.entries(ticket=ticket, kind="outcome")
    assert outcome.data.basis == "statement"


async def test_a_done_counts_for_the_interruption_that_a_person_ended_and_for_none_before(bench, world):
    hand = HANDS["seen"]
    ticket = await waits_by_hand(bench, world, hand)
    assert done(bench, ticket, hand).data.attempt == 1, "the ledger refuses it in any later attempt"
    await bench.dies()
    bench.ledger.append("bot", Interrupted(attempt=1, step="look", reason="a reason"), ticket)
    bench.decisions.resume(bench.press(APPROVER, ticket))
    await looked_again(bench, ticket)
    assert (bench.ledger.ticket(ticket).intent or ("",))[0] == "look"


@pytest.mark.parametrize("hand", HANDS.values(), ids=HANDS)
async def test_a_done_counts_after_a_crash_of_the_bot_which_gives_no_lock_away(bench, world, hand):
    ticket = await waits_by_hand(bench, world, hand)
    bench.now_are[OPERATOR.id] = RolesUnknown("Slack does not answer")
    shown = shown_on_card(bench, ticket)
    done(bench, ticket, hand, shown)
    await bench.dies()
    bench.now_are.clear()
    assert shown_on_card(bench, ticket) == shown
    await bench.runs(2)
    assert bench.last(ticket).kind == "done"
    assert bench.kinds(ticket).count("step-confirmed") == 1


async def test_a_done_counts_no_more_once_its_host_is_in_another_place(bench, world):
    """Nobody who decided it has a role there, and nobody is told how the host stands."""
    ticket = await waits_by_hand(bench, world, HANDS["checked"])
    moves(bench)
    done(bench, ticket, HANDS["checked"])
    await until(bench, ticket, lambda: any("not confirmed: hv03 is in branch now" in one.says for one in bench.told))
    assert bench.kinds(ticket).count("outcome") == 0


STARTS = ManualStep("Start the service again", "operator")
READS = ReadBack("Start the service again", "operator", (TypedField("Its state", "text", "POWERED OFF"),))


def stopped_by_hand(back):
    """A person stops a service; what hvops does next is refused; a person has to start the service again."""
    undone = (is_now("hv03", seen="back"),) if back is STARTS else ()
    return Step(
        "look", "Stop the service", ManualStep("Stop it", "operator"), (), deadline=7200,
        undo=back, undone=undone or (is_now("hv03", broken="yes"),), undo_says="Start the service again",
    )  # fmt: skip


async def undone_by_hand(bench, world, back=STARTS):
    """A ticket that waits for a person who undoes by hand what they did by hand."""
    world.faults = ["refused"]
    groups = (Group("all", (stopped_by_hand(back), step("row", "hv03", a="1")), on_failure="undo"),)
    bench.plans["reset"] = lambda _on, _facts: Plan("why", "none", "none", ("vmm",), (), groups)
    bench.plans["tweak"] = lambda on, _facts: shared(step("other", on, b="1"))
    ticket = await bench.approved()
    await until(bench, ticket, lambda: bench.ledger.ticket(ticket).intent is not None)
    shown = shown_on_card(bench, ticket)
    bench.decisions.confirm_manual_step(replace(bench.press(OPERATOR, ticket), shown=shown))
    await until(bench, ticket, lambda: (bench.ledger.ticket(ticket).intent or ("",))[0] == "undo-look")
    return ticket, shown


@pytest.mark.parametrize("back", [STARTS, READS], ids=["checked", "typed"])
async def test_what_was_done_by_hand_is_undone_by_hand_as_its_card_says(bench, world, back):
    ticket, old = await undone_by_hand(bench, world, back)
    card = read_card(bench.ledger, ticket)
    assert card.waits_for_a_person.step.act == back
    text = json.dumps(ticket_message(card).blocks)
    assert "Manual step to undo step 1, for an operator:* Start the service again" in text
    assert "T-1 hv03: undoing step 1 of 2" in text
    with pytest.raises(MovedOn):  # pressed twice for what was done: nobody has undone it
        bench.decisions.confirm_manual_step(replace(bench.press(OPERATOR, ticket), shown=old))
    with pytest.raises(PermissionDenied):
        bench.decisions.confirm_manual_step(bench.press(VIEWER, ticket))
    world.hosts["hv03"]["seen"] = "back"
    press = replace(bench.press(OPERATOR, ticket), shown=shown_on_card(bench, ticket))
    if back is READS:
        assert bench.decisions.must_read_back(press).step.act == READS
    bench.decisions.confirm_manual_step(press, ("POWERED OFF",) if back is READS else ())
    await bench.runs(2)
    assert (bench.last(ticket).kind, bench.last(ticket).fields["rolled_back"]) == ("failed", True)
    assert bench.ledger.locks() == {}
    card = read_card(bench.ledger, ticket)
    told = [message.text for one in card.entries if (message := entry_message(card, one)) is not None]
    assert any("confirmed the undo of step 1." in line for line in told)


async def test_a_done_is_checked_on_the_way_back_too(bench, world):
    ticket, _ = await undone_by_hand(bench, world)
    world.hosts["hv03"]["seen"] = "not yet"
    bench.decisions.confirm_manual_step(bench.press(OPERATOR, ticket))
    assert any("not done yet: seen is not yet" in says for says in await looked_again(bench, ticket))
    assert bench.ledger.ticket(ticket).intent[0] == "undo-look"


async def test_a_way_back_by_hand_gives_its_locks_to_nobody(bench, world):
    ticket, _ = await undone_by_hand(bench, world)
    other = await bench.approved("/tweak hv04", BOTH, BOTH)
    await until(bench, ticket, lambda: bench.runner._runs[ticket].preempt_requested)
    await looked_again(bench, ticket)
    assert bench.ledger.ticket(ticket).state == "running"
    assert "interrupted" not in bench.kinds(ticket)
    world.hosts["hv03"]["seen"] = "back"
    bench.decisions.confirm_manual_step(bench.press(OPERATOR, ticket))
    await bench.runs(3)
    assert (bench.last(ticket).kind, bench.last(other).kind) == ("failed", "done")


async def test_a_way_back_by_hand_waits_on_after_a_crash(bench, world):
    ticket, _ = await undone_by_hand(bench, world)
    await bench.dies()
    other = await bench.approved("/tweak hv04", BOTH, BOTH)
    await looked_again(bench, ticket)
    assert bench.ledger.ticket(ticket).state == "running"
    world.hosts["hv03"]["seen"] = "back"
    bench.decisions.confirm_manual_step(replace(bench.press(OPERATOR, ticket), shown=shown_on_card(bench, ticket)))
    await bench.runs(3)
    assert (bench.last(ticket).kind, bench.last(other).kind) == ("failed", "done")


async def test_a_way_back_that_nobody_did_in_time_can_be_gone_on_with(bench, world):
    ticket, _ = await undone_by_hand(bench, world)
    bench.clock.forward(hours=3)
    await bench.runs()
    assert (bench.last(ticket).kind, bench.ledger.locks()) == ("interrupted", {"vmm": ticket})
    bench.decisions.resume(bench.press(APPROVER, ticket))
    await looked_again(bench, ticket)
    world.hosts["hv03"]["seen"] = "back"
    bench.decisions.confirm_manual_step(replace(bench.press(OPERATOR, ticket), shown=shown_on_card(bench, ticket)))
    await bench.runs(2)
    assert (bench.last(ticket).kind, bench.last(ticket).fields["rolled_back"]) == ("failed", True)


@pytest.mark.parametrize("back", [STARTS, READS], ids=["checked", "typed"])
async def test_a_done_that_did_not_count_in_time_does_not_count_for_the_wait_after_go_on(bench, world, back):
    """A way back by hand that nobody did in time has an outcome before a person decides: its next wait is another one."""
    ticket, _ = await undone_by_hand(bench, world, back)
    world.hosts["hv03"]["seen"] = "back"
    bench.now_are[OPERATOR.id] = RolesUnknown("Slack does not answer")
    said = ("POWERED OFF",) if back is READS else ()
    old = shown_on_card(bench, ticket)
    bench.decisions.confirm_manual_step(replace(bench.press(OPERATOR, ticket), shown=old), said)
    await until(bench, ticket, lambda: any("who confirmed it, still may" in one.says for one in bench.told))
    bench.clock.forward(hours=3)
    await until(bench, ticket, lambda: bench.last(ticket).kind == "interrupted")
    bench.now_are.clear()
    bench.clock.forward(hours=5)
    bench.decisions.resume(bench.press(APPROVER, ticket))
    await until(bench, ticket, lambda: bench.kinds(ticket).count("intent") == 4)
    await looked_again(bench, ticket)
    assert (bench.ledger.ticket(ticket).intent or ("",))[0] == "undo-look"
    new = shown_on_card(bench, ticket)
    with pytest.raises(MovedOn, match=r"moved on.*it gave way or was interrupted, and it waits for step 1 now"):
        bench.decisions.confirm_manual_step(replace(bench.press(OPERATOR, ticket), shown=old), said)
    bench.decisions.confirm_manual_step(replace(bench.press(OPERATOR, ticket), shown=new), said)
    await bench.runs(2)
    assert (bench.last(ticket).kind, bench.last(ticket).fields["rolled_back"]) == ("failed", True)
    assert bench.ledger.locks() == {}


async def test_a_done_that_was_under_way_while_its_step_was_held_back_counts_for_no_later_wait(bench, world):
    """The press was judged while the step waited, and written down when it did no more: nobody has seen the next wait."""
    ticket = await waits_by_hand(bench, world, HANDS["seen"])
    await bench.dies()
    place = {"step": "look", "round": 1}
    bench.ledger.append("bot", entry_data("outcome", place | {"attempt": 1, "result": "not sent"}), ticket)
    said = place | {"attempt": 1, "by": OPERATOR.id}
    bench.ledger.append(OPERATOR.id, entry_data("step-confirmed", said), ticket)
    bench.ledger.append("bot", entry_data("resumed", {"attempt": 2, "by": "bot"}), ticket)
    bench.ledger.append("bot", entry_data("intent", place | {"attempt": 2}), ticket)
    story = story_of(bench.ledger.story(ticket))
    assert (story.in_flight, story.confirmations, story.confirmer) == (("look", 1), {}, {})
