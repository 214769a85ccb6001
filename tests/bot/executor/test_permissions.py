"""Roles are asked again before anything begins; and nobody is proposed, or decided, what they may not."""

from __future__ import annotations

import ast
import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest
from scripted_world import (
    APPROVER,
    BOTH,
    OPERATOR,
    OTHER,
    POLICY,
    command,
    is_now,
    person,
    reset_plan,
    set_to,
    simple,
    step,
)

from bot.api.actions import ManualStep
from bot.api.command import Role
from bot.api.plan import Gate, GateOutcome, Group, OpenQuestion, Step
from bot.dispatch.authorization import Person
from bot.dispatch.pipeline import Request
from bot.errors import PermissionDenied, RolesUnknown, TicketError
from bot.redaction import Redactor
from bot.tickets.proposal import Origin, draft_proposal

ROOT = Path(__file__).parents[3]
UNKNOWN = RolesUnknown("The members of S1 cannot be read from Slack now.")
GONE = {"requester": OPERATOR, "approver": APPROVER}
WITHOUT = {
    "no role": lambda who: Person(who.id, who.name),
    "a lower role": lambda who: Person(who.id, who.name, {Role.VIEWER: frozenset({"*"})}),
    "the role elsewhere": lambda who: Person(who.id, who.name, dict.fromkeys(Role, frozenset({"branch"}))),
    "a guest by now": lambda who: replace(who, roles={}, barred="A guest of the workspace decides nothing."),
}
STARTED = [("hv03", "set", "yes"), ("hv03", "restart"), ("hv03", "set", "no")]


def loses(bench, who, how="no role"):
    bench.now_are[who.id] = WITHOUT[how](who)


@pytest.mark.parametrize("how", WITHOUT)
@pytest.mark.parametrize("who", GONE.values(), ids=GONE)
async def test_who_lost_the_role_before_the_start_ends_the_ticket_and_is_named(bench, world, who, how):
    ticket = await bench.approved()
    loses(bench, who, how)
    await bench.runs(3)
    assert (world.order, bench.last(ticket).kind) == ([], "voided")
    role = "operator" if who is OPERATOR else "approver"
    says = bench.last(ticket).reason
    assert says.startswith(f"{who.name} ({who.id}), who ")
    assert f"does not hold the role {role} on prod now" in says
    assert len(bench.ledger.entries(kind="proposed")) == 1  # nothing is proposed in anybody's name


STRICTER = {"low": "approval", "high": None}
SAYS = {"low": "now requires another approver for low-risk changes", "high": "can write high under [policy]"}


@pytest.mark.parametrize("risk", STRICTER)
async def test_a_rule_that_became_stricter_holds_for_what_was_proposed_before(benches, world, risk):
    """Settings are read at a start: what the ledger holds by then was proposed under the old ones."""
    line, decides = {"low": ("/tweak hv03", OPERATOR), "high": ("/reset hv03", APPROVER)}[risk]
    bench = benches()
    ticket = (await bench.propose(line)).ticket
    await bench.close()
    bench = benches(policy=POLICY.model_copy(update={risk: STRICTER[risk]}))
    with pytest.raises(PermissionDenied, match=re.escape(SAYS[risk])):
        bench.decisions.approve(bench.press(decides, ticket))
    await bench.runs(2)
    assert (world.order, bench.kinds(ticket)) == ([], ["proposed", "refused"])


@pytest.mark.parametrize("risk", STRICTER)
async def test_a_rule_that_became_stricter_ends_what_was_decided_and_has_not_begun(benches, world, risk):
    line, decides = {"low": ("/tweak hv03", OPERATOR), "high": ("/reset hv03", APPROVER)}[risk]
    bench = benches()
    ticket = await bench.approved(line, approver=decides)
    await bench.close()
    bench = benches(policy=POLICY.model_copy(update={risk: STRICTER[risk]}))
    await bench.runs(2)
    assert (world.order, bench.kinds(ticket)) == ([], ["proposed", "approved", "voided"])
    assert SAYS[risk] in bench.last(ticket).reason


@pytest.mark.parametrize("who", GONE.values(), ids=GONE)
async def test_while_nobody_can_say_the_start_waits_and_then_goes_on(bench, world, clock, who):
    ticket = await bench.approved()
    bench.now_are[who.id] = UNKNOWN
    for _ in range(3):
        await bench.runs()
        clock.forward(seconds=11)
    assert (world.order, bench.kinds(ticket)) == ([], ["proposed", "approved"])
    assert "S1 cannot be read from Slack now" in next(one.says for one in bench.told if one.kind == "roles")
    del bench.now_are[who.id]
    await bench.runs()
    assert (world.order, bench.last(ticket).kind) == (STARTED, "done")


async def test_a_role_that_stays_unknown_lets_the_approval_lapse(bench, world, clock):
    ticket = await bench.approved()
    bench.now_are[APPROVER.id] = replace(APPROVER, roles={}, unknown="the members of S1 cannot be read from Slack now.")
    await bench.runs()
    clock.forward(minutes=16)
    await bench.runs(2)
    assert (world.order, bench.last(ticket).kind) == ([], "lapsed")


@pytest.mark.parametrize("who", GONE.values(), ids=GONE)
async def test_who_loses_the_role_in_a_run_ends_it_before_the_next_group(bench, world, who):
    ticket = await bench.approved()
    world.hooks[1] = lambda: loses(bench, who)
    await bench.runs(3)
    assert world.order == STARTED[:1]
    assert bench.last(ticket).kind == "voided"
    assert who.name in bench.last(ticket).reason


async def test_every_group_is_asked_about_also_one_that_is_not_planned_anew(bench, world):
    def plan(on, facts):
        made = reset_plan(on, {"broken": "yes", "locked": "no"})
        return replace(made, groups=tuple(replace(one, revalidate_before=False) for one in made.groups))

    bench.plans["reset"] = plan
    ticket = await bench.approved()
    world.hooks[2] = lambda: loses(bench, APPROVER)
    await bench.runs(3)
    assert (world.order, bench.last(ticket).kind) == (STARTED[:2], "voided")


async def test_in_a_run_the_next_group_waits_while_nobody_can_say(bench, world, clock):
    ticket = await bench.approved()
    world.hooks[1] = lambda: bench.now_are.update({APPROVER.id: UNKNOWN})
    sleep, waits = clock.sleep, []

    async def sleeps(seconds):
        await sleep(seconds)
        if APPROVER.id in bench.now_are:
            waits.append(list(world.order))
            if len(waits) == 9:
                del bench.now_are[APPROVER.id]

    object.__setattr__(bench.parts, "sleep", sleeps)
    await bench.runs()
    assert waits == [STARTED[:1]] * 9
    assert (world.order, bench.last(ticket).kind) == (STARTED, "done")


HAND = Step("look", "A person looks", ManualStep("Look", "operator"), (), deadline=7200)


def told_to_sleep(bench, then):
    """Each pause of a run, which calls `then` with the number of pauses so far."""
    sleep, pauses = bench.clock.sleep, []

    async def sleeps(seconds):
        pauses.append(seconds)
        then(len(pauses))
        await sleep(seconds)

    object.__setattr__(bench.parts, "sleep", sleeps)


async def test_a_step_by_hand_that_another_bot_let_somebody_confirm_is_not_done(benches, world):
    """There the person holds the role, and here, where the ticket runs, none: what follows waits for somebody who may."""
    strict, lax = (benches(plans={"hand": lambda on, _: simple(on, HAND, step("a", on, a="1"))}) for _ in range(2))
    ticket = await strict.approved("/hand hv03")
    acts = []

    def confirm(pauses):
        if pauses == 2:
            lax.decisions.confirm_manual_step(lax.press(person(5, Role.OPERATOR), ticket))
        if pauses == 9:
            acts.append(list(world.order))
            strict.decisions.confirm_manual_step(strict.press(OPERATOR, ticket))

    told_to_sleep(strict, confirm)
    await strict.runs()
    assert acts == [[]]
    assert any(
        "not confirmed: person 5 (T1/U5), who confirmed it, does not hold the role operator on prod now" in one.says
        for one in strict.told
    )
    assert (world.order, strict.last(ticket).kind) == ([DONE_A], "done")


@pytest.mark.parametrize("ends", ["a lost role", "a cancel", "the last time"])
async def test_what_another_bot_let_somebody_confirm_is_not_done_either_where_a_run_comes_to_rest(benches, world, ends):
    """A run that is taken up without being allowed to go on, cancelled, or late asks once what became of the step."""
    strict, lax = (benches(plans={"hand": lambda on, _: simple(on, HAND, step("a", on, a="1"))}) for _ in range(2))
    ticket = await strict.approved("/hand hv03")

    def confirm(pauses):
        if pauses == 2:
            lax.decisions.confirm_manual_step(lax.press(person(5, Role.OPERATOR), ticket))
            if ends == "a cancel":
                strict.decisions.cancel(strict.press(OPERATOR, ticket))
            if ends == "the last time":
                strict.clock.forward(days=9)
        if pauses == 4 and ends == "a lost role":
            loses(strict, APPROVER)
            raise asyncio.CancelledError

    told_to_sleep(strict, confirm)
    await strict.runs()
    if ends == "a lost role":
        await strict.dies()
        await strict.runs(2)
        strict.now_are.clear()
    outcomes = [one.fields["result"] for one in strict.ledger.story(ticket) if one.kind == "outcome"]
    ended = (["abandoned"], "cancelled") if ends == "a cancel" else ([], "interrupted")
    assert (outcomes, strict.last(ticket).kind) == ended
    assert not world.order


async def test_whether_a_step_by_hand_is_done_waits_while_nobody_can_say_who_confirmed_it(benches, world):
    bench = benches(plans={"hand": lambda on, _: simple(on, HAND, step("a", on, a="1"))})
    ticket = await bench.approved("/hand hv03")
    acts = []

    def confirm(pauses):
        if pauses == 2:
            bench.decisions.confirm_manual_step(bench.press(OPERATOR, ticket))
            bench.now_are[OPERATOR.id] = UNKNOWN
        if pauses == 9:
            acts.append(list(world.order))
            del bench.now_are[OPERATOR.id]

    told_to_sleep(bench, confirm)
    await bench.runs()
    assert acts == [[]]
    assert any("waiting: cannot tell whether person 1" in one.says for one in bench.told)
    assert (world.order, bench.last(ticket).kind) == ([DONE_A], "done")


def sets(*steps, **more):
    """A plan of one group: each step sets a value of its name."""
    return Group("-".join(steps), tuple(step(one, "hv03", deadline=7200, **{one: "1"}) for one in steps), **more)


def in_groups(*groups):
    return replace(simple("hv03", *groups[0].steps), groups=groups)


def stopped_for_a_while(bench, meanwhile=lambda: None):
    """What stops changes; after 25 minutes of waiting, in which something happens, they go on."""
    sleep, waited = bench.clock.sleep, []

    def stop():
        bench.decisions.stop_changes(OPERATOR, "power work")

    async def sleeps(seconds):
        await sleep(seconds)
        if bench.ledger.is_stopped():
            waited.append(seconds)
            if len(waited) == 300:
                meanwhile()
                bench.decisions.allow_changes(BOTH)

    object.__setattr__(bench.parts, "sleep", sleeps)
    return stop


HELD_AT = {"in front of the first group": 0, "in front of the next group": 1}
DONE_A = ("hv03", "set", "1")


@pytest.mark.parametrize("acts", HELD_AT.values(), ids=HELD_AT)
@pytest.mark.parametrize("who", GONE.values(), ids=GONE)
async def test_a_group_that_a_stop_held_back_whole_asks_for_roles_again(bench, world, who, acts):
    bench.plans["reset"] = lambda *_: in_groups(sets("a"), sets("b"))
    ticket = await bench.approved()
    world.logins[acts] = stopped_for_a_while(bench, lambda: loses(bench, who))
    await bench.runs(3)
    assert world.order == [DONE_A] * acts
    assert bench.last(ticket).kind == "voided"
    assert f"{who.name} ({who.id}), who " in bench.last(ticket).reason
    assert bench.kinds(ticket).count("resumed") == 0


@pytest.mark.parametrize("acts", HELD_AT.values(), ids=HELD_AT)
async def test_a_group_that_a_stop_held_back_whole_is_planned_anew(bench, world, acts):
    """Also where the wait is only the plan's own: its first step is no act."""

    def plan(on, facts):
        if facts.get("locked") == "yes":
            raise TicketError("hv03 is locked")
        waits = Step("wait", "Wait", None, (is_now(on, locked="no"),))
        first, last = sets("a"), sets("b")
        return in_groups(*(first,) * acts, replace(last, steps=(waits, *last.steps)))

    bench.plans["reset"] = plan
    ticket = await bench.approved()
    world.logins[acts] = stopped_for_a_while(bench, lambda: world.hosts["hv03"].update(locked="yes"))
    await bench.runs(3)
    assert world.order == [DONE_A] * acts
    assert bench.last(ticket).kind == "voided"
    assert "hv03 is locked" in bench.last(ticket).reason


def waits_first(on, facts):
    """Two groups, and the first step of all only waits."""
    if facts.get("locked") == "yes":
        raise TicketError("hv03 is locked")
    waits = Step("wait", "Wait", None, (is_now(on, paused="no"),))
    last = sets("b")
    return in_groups(replace(last, steps=(waits, *last.steps)), sets("c"))


async def dies_behind_its_wait(bench, ticket, how):
    """The bot is killed before it does what comes after a wait; with a stop, in that."""
    stands, tell = asyncio.Event(), bench.parts.tell

    def tells(told):
        tell(told)
        last = bench.last(ticket)
        if last.kind == "outcome" and last.data.step == "wait" and not stands.is_set():
            if how == "a stop":
                bench.decisions.stop_changes(OPERATOR, "power work")
            stands.set()

    object.__setattr__(bench.parts, "tell", tells)
    await bench.runner.tick()
    async with asyncio.timeout(20):
        await stands.wait()
    await bench.dies()


@pytest.mark.parametrize("what", ["a gate", "the version", "a role", "nothing"])
@pytest.mark.parametrize("how", ["a stop", "a crash"])
@pytest.mark.parametrize("acts", HELD_AT.values(), ids=HELD_AT)
async def test_a_group_of_which_nothing_was_sent_is_planned_anew_after_a_restart(benches, world, acts, how, what):
    """Whoever knew that it was held back is gone; hours may have passed."""

    def plan(on, facts):
        made = waits_first(on, facts)
        return in_groups(*(sets("a"),) * acts, *made.groups)

    first = benches(plans={"reset": plan})
    ticket = await first.approved()
    await dies_behind_its_wait(first, ticket, how)
    assert world.order == [DONE_A] * acts
    second = benches(plans={"reset": plan}, version="another" if what == "the version" else "test")
    if what == "a gate":
        world.hosts["hv03"]["locked"] = "yes"
    if what == "a role":
        loses(second, APPROVER)
    if how == "a stop":
        second.decisions.allow_changes(APPROVER)
    await second.runs(3)
    if what == "nothing":
        assert (second.last(ticket).kind, len(world.order)) == ("done", acts + 2)
        return
    assert world.order == [DONE_A] * acts
    assert second.last(ticket).kind == ("interrupted" if what == "a role" else "voided")


async def test_a_group_of_which_an_act_was_sent_is_not_planned_anew_after_a_restart(bench, world):
    """It goes on by its guards, as without the restart."""

    def plan(on, facts):
        if facts.get("locked") == "yes":
            raise TicketError("hv03 is locked")
        waits = Step("wait", "Wait", None, (is_now(on, paused="no"),))
        first, last = sets("a"), sets("b")
        return in_groups(replace(first, steps=(*first.steps, waits, *last.steps)))

    bench.plans["reset"] = plan
    ticket = await bench.approved()
    await dies_behind_its_wait(bench, ticket, "a stop")
    world.hosts["hv03"]["locked"] = "yes"
    bench.decisions.allow_changes(APPROVER)
    await bench.runs(3)
    assert (bench.last(ticket).kind, len(world.order)) == ("done", 2)


async def test_a_stop_right_behind_the_start_holds_back_as_well(bench, world, monkeypatch):
    """Nothing was begun, so the ledger knows of no step that was held back."""
    ticket = await bench.approved()
    answer, stop = world.answer, stopped_for_a_while(bench, lambda: loses(bench, APPROVER))

    async def stops(*asked):
        if bench.kinds(ticket)[-1] == "started" and bench.ledger.newest_switch() is None:
            stop()
        return await answer(*asked)

    monkeypatch.setattr(world, "answer", stops)
    await bench.runs(3)
    assert (world.order, bench.kinds(ticket)[2:]) == ([], ["started", "voided"])


@pytest.mark.parametrize("held", ["before its intent", "at the login"])
@pytest.mark.parametrize("who", GONE.values(), ids=GONE)
async def test_in_a_group_that_has_begun_a_person_decides_who_lost_the_role_in_a_stop(bench, world, who, held):
    bench.plans["reset"] = lambda *_: in_groups(sets("a", "b"))
    ticket = await bench.approved()
    stop = stopped_for_a_while(bench, lambda: loses(bench, who))
    (world.hooks if held == "before its intent" else world.logins)[1] = stop
    await bench.runs(3)
    assert world.order == [DONE_A]
    assert bench.last(ticket).kind == "interrupted"
    assert f"not started: b hv03: {who.name} ({who.id}), who " in bench.last(ticket).reason
    assert bench.ledger.locks() == {"node:hv03": ticket}
    bench.now_are.clear()
    bench.decisions.resume(bench.press(APPROVER, ticket))
    await bench.runs(2)
    assert (world.order, bench.last(ticket).kind) == ([DONE_A] * 2, "done")


async def test_what_failed_is_taken_back_after_a_stop_only_while_its_people_may(bench, world):
    def plan(on, facts):
        one, two = (
            replace(each, undo=set_to(on, taken=each.key), undone=(is_now(on, taken=each.key),))
            for each in sets("a", "b").steps
        )
        return in_groups(Group("both", (one, two), on_failure="undo"))

    bench.plans["reset"] = plan
    ticket = await bench.approved()
    world.faults = [None, "refused"]
    world.logins[1] = lambda: world.logins.update({1: stopped_for_a_while(bench, lambda: loses(bench, APPROVER))})
    await bench.runs(3)
    assert world.order == [DONE_A]
    assert bench.last(ticket).kind == "interrupted"
    assert bench.last(ticket).reason.startswith("the undo did not finish: ")
    assert f"{APPROVER.name} ({APPROVER.id}), who approved it, " in bench.last(ticket).reason


async def test_what_did_not_happen_is_sent_again_only_while_its_people_may(bench, world):
    """Nothing was stopped: to find that out took as long as its act may take."""
    ticket = await bench.approved()
    world.faults = ["lost"]
    world.logins[0] = lambda: loses(bench, APPROVER)
    await bench.runs(3)
    assert (world.order, bench.last(ticket).kind) == ([], "interrupted")
    assert f"{APPROVER.name} ({APPROVER.id}), who approved it, " in bench.last(ticket).reason
    assert bench.kinds(ticket).count("resumed") == 0


@pytest.mark.parametrize("acts", [0, 1, 2])
async def test_who_still_may_has_it_done_once_after_the_stop(bench, world, acts):
    bench.plans["reset"] = lambda *_: in_groups(sets("a", "b"), sets("c"))
    ticket = await bench.approved()
    world.logins[acts] = stopped_for_a_while(bench)
    await bench.runs()
    assert (world.order, bench.last(ticket).kind) == ([DONE_A] * 3, "done")
    (resumed,) = (entry for entry in bench.ledger.story(ticket) if entry.kind == "resumed")
    assert resumed.seq > bench.ledger.newest_switch().seq
    assert bench.ledger.verify().holds


async def test_a_run_that_waits_for_roles_can_be_cancelled(bench, world, clock):
    ticket = await bench.approved()
    world.hooks[1] = lambda: bench.now_are.update({APPROVER.id: UNKNOWN})
    sleep = clock.sleep

    async def sleeps(seconds):
        await sleep(seconds)
        if APPROVER.id in bench.now_are and not bench.ledger.ticket(ticket).cancel_asked:
            bench.decisions.cancel(bench.press(OPERATOR, ticket))

    object.__setattr__(bench.parts, "sleep", sleeps)
    await bench.runs()
    assert (world.order, bench.last(ticket).kind) == (STARTED[:1], "cancelled")


async def test_a_run_that_waits_for_roles_before_a_soak_gives_way(bench, world):
    soak = Step("soak", "Soak", None, (is_now("hv03", 3600, broken="no"),), preemptible=True)
    bench.plans["reset"] = lambda on, _facts: replace(
        simple(on, step("first", on, a="1")), groups=(Group("one", (step("first", on, a="1"),)), Group("two", (soak,)))
    )
    ticket = await bench.approved()

    def wanted_by_another():
        bench.now_are[APPROVER.id] = UNKNOWN
        bench.runner._runs[ticket].preempt_requested = True

    world.hooks[1] = wanted_by_another
    await bench.runs()
    assert bench.last(ticket).kind == "interrupted"
    assert bench.last(ticket).data.yields_locks
    assert bench.last(ticket).reason == "waiting: Soak"


async def died_in_the_first_step(bench, world, ticket):
    """The bot is gone while the first act is under way; the act has reached its host."""
    sleep = bench.parts.sleep

    async def never(_seconds):
        raise AssertionError("it is gone by then")

    world.faults.append("unanswered")
    object.__setattr__(bench.parts, "sleep", never)
    world.hosts["hv03"]["paused"] = "no"
    await bench.runner.tick()
    while "intent" not in bench.kinds(ticket) or not world.order:  # noqa: ASYNC110 - another task does it
        await asyncio.sleep(0)
    await bench.dies()
    object.__setattr__(bench.parts, "sleep", sleep)


@pytest.mark.parametrize("who", GONE.values(), ids=GONE)
async def test_after_a_restart_the_step_in_flight_is_asked_about_and_a_person_decides(bench, world, who):
    ticket = await bench.approved()
    await died_in_the_first_step(bench, world, ticket)
    loses(bench, who)
    await bench.runs(3)
    assert world.order == STARTED[:1]
    assert bench.kinds(ticket)[-2:] == ["outcome", "interrupted"]
    assert "resumed" not in bench.kinds(ticket)
    assert who.name in bench.last(ticket).reason


async def test_a_person_who_lets_it_go_on_does_not_stand_for_those_who_lost_the_role(bench, world):
    ticket = await bench.approved()
    await died_in_the_first_step(bench, world, ticket)
    loses(bench, OPERATOR)
    await bench.runs()
    bench.decisions.resume(bench.press(OTHER, ticket))
    await bench.runs(3)
    assert world.order == STARTED[:1]
    assert bench.last(ticket).kind == "interrupted"
    del bench.now_are[OPERATOR.id]
    loses(bench, OTHER)
    bench.decisions.resume(bench.press(APPROVER, ticket))
    await bench.runs(3)
    assert world.order == STARTED[:1]
    assert f"{OTHER.name} ({OTHER.id}), who resumed it, does not hold" in bench.last(ticket).reason


async def test_who_gave_way_goes_on_by_itself_only_while_its_people_may(bench, world, clock):
    soak = Step("soak", "Soak", None, (is_now("hv03", 5 * 86400, broken="no"),), preemptible=True)
    bench.plans["soak"] = lambda on, _facts: simple(on, soak, step("after", on, after="1"))
    bench.planner._registry.commands["soak"] = command("soak", bench.plans["soak"])
    waiting = await bench.approved("/soak hv03", approver=OTHER)
    await bench.runner.tick()
    while "intent" not in bench.kinds(waiting):  # noqa: ASYNC110 - another task writes it
        await asyncio.sleep(0.001)
    urgent = await bench.approved()
    bench.now_are[OTHER.id] = UNKNOWN
    while bench.ledger.ticket(urgent).state != "ended":
        await bench.runner.tick()
        await asyncio.sleep(0.001)
    world.hosts["hv03"]["broken"] = "no"
    await bench.runs(3)
    assert bench.last(waiting).kind == "interrupted"
    assert any(one.ticket == waiting and "does not resume by itself" in one.says for one in bench.told)
    clock.forward(minutes=2)
    loses(bench, OTHER)
    await bench.runs(3)
    assert bench.last(waiting).kind == "interrupted"
    clock.forward(minutes=2)
    del bench.now_are[OTHER.id]
    await bench.runs(3)
    assert bench.last(waiting).kind == "done"


# One maker of proposals


def wider(bench):
    """The plan made afresh reaches another cluster than the one that was proposed."""
    bench.plans["reset"] = lambda on, facts: replace(
        reset_plan(on, facts), groups=(*reset_plan(on, facts).groups, Group("more", (step("more", "br01", more="1"),)))
    )


async def test_no_replacement_is_proposed_for_somebody_who_may_not_propose_it(bench, world):
    ticket = await bench.approved(approver=person(3, Role.APPROVER, on=("prod", "branch")))
    wider(bench)
    await bench.runs(2)
    assert (world.order, bench.last(ticket).kind) == ([], "voided")
    assert [one.ticket for one in bench.ledger.entries(kind="proposed")] == [ticket]
    assert "does not hold the role operator on branch" in bench.last(ticket).reason
    with pytest.raises(PermissionDenied, match="operator role on branch"):
        await bench.propose()


async def test_no_replacement_is_proposed_while_nobody_can_say_whether_they_may(bench):
    ticket = await bench.approved()
    plan, looked = bench.plans["reset"], []

    def changes(on, facts):
        looked.append(on)
        bench.now_are[OPERATOR.id] = UNKNOWN
        return replace(plan(on, facts), rollback="another one")

    bench.plans["reset"] = changes
    await bench.runs(2)
    assert looked
    assert bench.last(ticket).kind == "voided"
    assert "no replacement was proposed: The members of S1 cannot be read" in bench.last(ticket).reason


async def test_whoever_may_propose_it_gets_the_replacement(bench):
    both = person(1, Role.OPERATOR, on=("prod", "branch"))
    ticket = await bench.approved(by=both)
    wider(bench)
    await bench.runs(2)
    newest = bench.ledger.entries(kind="proposed", limit=1)[0]
    assert (newest.data.replaces, newest.actor, set(newest.places)) == (ticket, both.id, {"prod", "branch"})


async def test_the_very_same_plan_is_void_where_it_reaches_another_cluster_by_now(bench, world):
    ticket = await bench.approved()
    find = bench.planner._inventory.find

    async def moved(name):
        return replace(await find(name), cluster="branch")

    bench.planner._inventory.find = moved
    await bench.runs(2)
    assert (world.order, bench.last(ticket).kind) == ([], "voided")
    assert "it now affects branch, which nobody approved" in bench.last(ticket).reason


@pytest.mark.parametrize("places", [("prod", "branch"), ("branch",), ()])
async def test_the_maker_itself_refuses_who_may_not(bench, places):
    made = replace((await bench.propose()).proposal.made, places=places)
    with pytest.raises(PermissionDenied):
        draft_proposal(made, OPERATOR, bench.policy, now=bench.clock(), mask=Redactor(), origin=Origin())


def test_no_other_place_makes_a_proposal():
    """Whatever makes a `proposed` entry goes through the one function that asks who may."""
    makers = set()
    for file in sorted((*ROOT.glob("bot/**/*.py"), *ROOT.glob("commands/**/*.py"))):
        tree = ast.parse(file.read_text())
        names = {
            one.asname or one.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "bot.ledger.entries"
            for one in node.names
            if one.name == "Proposed"
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            made = node.func
            of = made.value if isinstance(made, ast.Attribute) else made  # Proposed(…), Proposed.model_construct(…)
            by_module = isinstance(made, ast.Attribute) and made.attr == "Proposed"
            if by_module or (isinstance(of, ast.Name) and of.id in names):
                makers.add(str(file.relative_to(ROOT)))
    assert makers == {"bot/tickets/proposal.py"}
    (maker,) = [
        node
        for node in ast.walk(ast.parse((ROOT / "bot/tickets/proposal.py").read_text()))
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(one, ast.Call) and getattr(one.func, "id", "") == "Proposed" for one in ast.walk(node))
    ]
    assert maker.name == "draft_proposal"
    assert ast.unparse(maker.body[1]).startswith("require_everywhere(by, Role.OPERATOR, made.places)")


# One person, two accounts


TWO = Person("T1/U9", "operator two", {Role.OPERATOR: frozenset({"prod"}), Role.APPROVER: frozenset({"prod"})})
LINKED = ((OPERATOR.id, "os:anna"), ("U9", "os:anna"))


@pytest.fixture
def linked(benches):
    return benches(same_person=LINKED)


async def test_the_other_account_of_who_asked_does_not_approve(linked):
    ticket = (await linked.propose()).ticket
    with pytest.raises(PermissionDenied, match="so another approver must decide"):
        linked.decisions.approve(linked.press(TWO, ticket))
    assert not linked.decisions.may_approve(TWO, (await linked.propose("/reset hv04")).proposal)
    linked.decisions.approve(linked.press(OTHER, ticket))


async def test_the_other_account_of_who_asked_does_not_answer(linked):
    missing = Gate("Every guest has room", GateOutcome.NOT_KNOWN, unknowns=(OpenQuestion("free space of crm-03"),))
    linked.plans["reset"] = lambda on, facts: replace(reset_plan(on, facts), gates=(missing,))
    ticket = (await linked.propose()).ticket
    for press in (linked.decisions.must_answer, lambda one: linked.decisions.approve(one, ("I looked.",))):
        with pytest.raises(PermissionDenied, match="You requested"):
            press(linked.press(TWO, ticket))


async def test_the_other_account_of_who_asked_does_not_let_it_go_on(linked, world):
    ticket = await linked.approved()
    world.faults = [None, "never"]
    await linked.runs()
    assert linked.last(ticket).kind == "interrupted"
    with pytest.raises(PermissionDenied, match="You requested"):
        linked.decisions.resume(linked.press(TWO, ticket))


async def test_the_ledger_itself_refuses_the_other_account(linked, benches):
    """What was declared when it was proposed stands in the entry: no later bot that knows less can go past it."""
    ticket = (await linked.propose()).ticket
    assert linked.ledger.entry(1 + linked.ledger.head().seq - 1).data.same_person == ("U9", "os:anna")
    forgetful = benches()
    with pytest.raises(TicketError, match="so another approver must decide"):
        forgetful.decisions.approve(forgetful.press(TWO, ticket))


async def test_accounts_that_are_declared_after_the_approval_end_the_ticket(bench, benches, world):
    ticket = await bench.approved(approver=TWO)
    await bench.close()
    later = benches(same_person=LINKED)
    later.known[TWO.id] = TWO
    await later.runs(2)
    assert (world.order, later.last(ticket).kind) == ([], "voided")
    assert "are accounts of the same person" in later.last(ticket).reason


async def test_an_undo_is_proposed_by_who_may_and_approved_by_another_person(linked, world):
    ticket = await linked.approved()
    world.hooks[1] = lambda: linked.decisions.cancel(linked.press(OPERATOR, ticket))
    await linked.runs()
    with pytest.raises(PermissionDenied):
        await linked.proposals.undo(Request(person(4, Role.VIEWER), f"undo {ticket}", "button", "C"), ticket)
    back = (await linked.proposals.undo(Request(TWO, f"undo {ticket}", "button", "C"), ticket)).ticket
    linked.known[TWO.id] = TWO
    with pytest.raises(PermissionDenied, match="You requested"):
        linked.decisions.approve(linked.press(replace(OPERATOR, roles=TWO.roles), back))
    linked.decisions.approve(linked.press(OTHER, back))
    linked.now_are[TWO.id] = Person(TWO.id, TWO.name)
    before = list(world.order)
    await linked.runs(2)
    assert (world.order, linked.last(back).kind) == (before, "voided")
