"""A freeze keeps a plan from starting; an approver overrides it with a reason, for this freeze alone, and never who asked."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from scripted_world import (
    APPROVER,
    BOTH,
    OPERATOR,
    POLICY,
    Group,
    Plan,
    Step,
    by_hand,
    is_now,
    person,
    set_to,
    simple,
    step,
)

from bot.api.command import Role
from bot.api.windows import Window, WindowKind
from bot.dispatch.pipeline import Request
from bot.errors import NoPlan, NotBegun, PermissionDenied, PolicyViolation, RolesUnknown, TicketError, Unanswered
from bot.slack.render.ticket import ticket_message
from bot.slack.render.ticket_thread import entry_message
from bot.slack.tickets.message_table import read_card
from bot.tickets.freezes import why_not_begun, why_repeated_moves_wait
from bot.tickets.planner import Planner

WHY = ("The array fails tonight",)
KIND = WindowKind.FREEZE


def stretch(bench, begins, ends, name="year-end", *, kind=KIND, scope=("prod",)):
    """A window that is there once, from so many minutes from now on."""
    first, last = (bench.clock() + timedelta(minutes=minutes) for minutes in (begins, ends))
    return Window(
        name, kind, "UTC", first.time().replace(second=0), last.time().replace(second=0), scope, ", ".join(scope),
        frozenset(), first.date(), last.date(),
    )  # fmt: skip


def told(bench, *windows):
    bench.planner._windows = windows


async def test_inside_of_a_freeze_an_approver_says_why_it_cannot_wait(bench, world):
    told(bench, stretch(bench, -60, 300))
    proposed = await bench.propose()
    plan = proposed.proposal.plan
    (question,) = plan.open_questions
    assert question.what.startswith("freeze “year-end” on prod, until ")
    assert question.is_override
    with pytest.raises(
        Unanswered,
        match=r"a freeze must be overridden .* Press Override Freeze and Approve… and say why it cannot wait",
    ):
        bench.decisions.approve(bench.press(APPROVER, proposed.ticket))
    with pytest.raises(PermissionDenied, match="You requested"):
        bench.decisions.approve(bench.press(OPERATOR, proposed.ticket), WHY)
    with pytest.raises(PermissionDenied, match="approver"):
        bench.decisions.approve(bench.press(person(9, Role.OPERATOR), proposed.ticket), WHY)
    with pytest.raises(Unanswered):
        bench.decisions.approve(bench.press(APPROVER, proposed.ticket), (" ",))
    bench.decisions.approve(bench.press(APPROVER, proposed.ticket), WHY)
    await bench.runs(2)
    assert bench.last(proposed.ticket).kind == "done"
    approved = next(one for one in bench.ledger.story(proposed.ticket) if one.kind == "approved")
    assert approved.fields["answers"] == [{"what": question.what, "answer": WHY[0]}]
    assert bench.ledger.verify().holds


async def test_a_change_of_low_risk_takes_somebody_else_inside_of_a_freeze(bench):
    told(bench, stretch(bench, -60, 300))
    proposed = await bench.propose("/tweak hv03", BOTH)
    assert (proposed.proposal.made.risk, proposed.proposal.policy) == ("low", "approval")
    with pytest.raises(PermissionDenied, match="You requested"):
        bench.decisions.approve(bench.press(BOTH, proposed.ticket), WHY)


async def test_what_was_approved_before_a_freeze_waits_for_its_end(bench, world):
    told(bench, stretch(bench, 2, 10))
    ticket = (await bench.propose()).ticket
    bench.clock.forward(minutes=3)
    bench.decisions.approve(bench.press(APPROVER, ticket))
    await bench.runs(3)
    assert (world.order, bench.kinds(ticket)[-1]) == ([], "approved")
    assert "freeze “year-end” on prod, until" in next(one.says for one in bench.told if one.kind == "ripening")
    bench.clock.forward(minutes=8)
    await bench.runs(2)
    assert bench.last(ticket).kind == "done"


async def test_it_does_not_start_when_the_freeze_outlasts_its_approval(bench, world):
    told(bench, stretch(bench, 2, 300))
    ticket = (await bench.propose()).ticket
    bench.clock.forward(minutes=3)
    bench.decisions.approve(bench.press(APPROVER, ticket))
    await bench.runs(2)
    bench.clock.forward(minutes=POLICY.start_minutes + 1)
    await bench.runs(2)
    assert (world.order, bench.last(ticket).kind) == ([], "lapsed")


async def test_a_restart_while_it_waits_starts_nothing_either(bench, world):
    told(bench, stretch(bench, 2, 10))
    ticket = (await bench.propose()).ticket
    bench.clock.forward(minutes=3)
    bench.decisions.approve(bench.press(APPROVER, ticket))
    await bench.runs()
    await bench.dies()
    await bench.runs(2)
    assert (world.order, bench.kinds(ticket)[-1]) == ([], "approved")


async def test_what_replaces_a_void_plan_inside_of_a_freeze_waits_for_its_end_too(bench, world):
    told(bench, stretch(bench, 2, 10))
    ticket = (await bench.propose()).ticket
    bench.clock.forward(minutes=3)
    bench.decisions.approve(bench.press(APPROVER, ticket))
    plain = bench.plans["reset"]
    bench.plans["reset"] = lambda on, facts: replace(plain(on, facts), rollback="Another way back.")
    await bench.runs(2)
    assert bench.last(ticket).kind == "voided"
    bench.decisions.approve(bench.press(APPROVER, "T-2"))
    await bench.runs(2)
    assert (world.order, bench.kinds("T-2")[-1]) == ([], "approved")
    bench.clock.forward(minutes=8)
    await bench.runs(2)
    assert bench.last("T-2").kind == "done"


async def test_an_override_holds_for_its_own_freeze_and_its_end_alone(bench, world):
    told(bench, stretch(bench, -60, 300))
    ticket = (await bench.propose()).ticket
    bench.decisions.approve(bench.press(APPROVER, ticket), WHY)
    told(bench, stretch(bench, -60, 360))  # somebody prolonged it meanwhile
    await bench.runs(2)
    assert (world.order, bench.last(ticket).kind) == ([], "voided")
    assert "no approver answered for it: freeze “year-end”" in bench.last(ticket).reason


async def test_an_override_of_a_freeze_that_has_ended_by_now_keeps_nothing(bench):
    told(bench, stretch(bench, -60, 2))
    ticket = (await bench.propose()).ticket
    bench.clock.forward(minutes=5)
    bench.decisions.approve(bench.press(APPROVER, ticket), WHY)
    await bench.runs(2)
    assert bench.last(ticket).kind == "done"


async def test_the_setting_that_refuses_unknowns_refuses_no_override(bench):
    planner = Planner(
        bench.pipeline.registry, bench.planner._inventory, bench.ledger, look=bench.look, version="test",
        clock=bench.clock, unknown="refuse", windows=(stretch(bench, -60, 300),),
    )  # fmt: skip
    bench.proposals._planner, bench.parts.planner.__dict__["_windows"] = planner, planner._windows
    policy = POLICY.model_copy(update={"unknown": "refuse"})
    bench.decisions._policy = policy
    ticket = (await bench.propose()).ticket
    bench.decisions.approve(bench.press(APPROVER, ticket), WHY)
    assert bench.kinds(ticket)[-1] == "approved"


@pytest.mark.parametrize("scope", [("branch",), ("prod",)])
async def test_a_freeze_elsewhere_and_a_backup_hold_nothing(bench, scope):
    kind = KIND if scope == ("branch",) else WindowKind.BACKUP
    told(bench, stretch(bench, -60, 300, kind=kind, scope=scope))
    ticket = await bench.approved()
    await bench.runs(2)
    assert bench.last(ticket).kind == "done"


async def test_a_plan_says_which_window_is_open_and_which_opens_next(bench):
    backup, freeze = stretch(bench, -60, 60, "nightly", kind=WindowKind.BACKUP), stretch(bench, 120, 300)
    told(bench, backup, freeze)
    plan = (await bench.propose()).proposal.plan
    open_now, ahead = plan.evidence[-2:]
    assert open_now.startswith("Open now: backup “nightly” on prod, until ")
    assert ahead.startswith("Next window: freeze “year-end” on prod opens ")
    assert plan.gates[-1].description == "No change freeze is in force on prod"


async def test_what_has_begun_is_finished(bench, world):
    """The freeze begins between its two groups."""
    ticket = await bench.approved()
    fresh = bench.planner.rebuild

    async def rebuild(proposal, group=""):
        if group:
            told(bench, stretch(bench, -1, 300))
        return await fresh(proposal, group)

    bench.planner.rebuild = rebuild
    await bench.runs(2)
    assert bench.last(ticket).kind == "done"


def asks_before_it_sends(bench):
    """As the engine does."""
    bench.parts = replace(
        bench.parts,
        may_begin_now=lambda proposal, answered, now, undoes_half_done: why_not_begun(
            proposal.plan, bench.planner._windows, proposal.places, now, answered, undoes_half_done=undoes_half_done
        ),
    )
    bench.runner._only.close()
    bench.runner = bench.new_runner()


async def test_a_freeze_that_begins_while_a_host_takes_its_time_holds_the_first_act(bench, world):
    """Its window was looked for, and then the guard waited, or the login; nothing of it was sent."""
    told(bench, stretch(bench, 2, 10))
    asks_before_it_sends(bench)
    ticket = await bench.approved()
    world.logins[0] = lambda: bench.clock.forward(minutes=3)
    await bench.runs(2)
    assert (world.order, bench.last(ticket).kind) == ([], "voided")
    assert "freeze “year-end” on prod, until " in bench.last(ticket).reason


async def test_a_freeze_that_begins_after_the_first_act_holds_nothing(bench, world):
    told(bench, stretch(bench, 2, 300))
    asks_before_it_sends(bench)
    ticket = await bench.approved()
    world.logins[1] = lambda: bench.clock.forward(minutes=3)
    await bench.runs(2)
    assert bench.last(ticket).kind == "done"


async def test_an_overridden_freeze_does_not_hold_the_first_act_and_another_one_does(bench, world):
    told(bench, stretch(bench, -60, 300))
    asks_before_it_sends(bench)
    for line in ("/reset hv03", "/reset hv04"):
        ticket = (await bench.propose(line)).ticket
        bench.decisions.approve(bench.press(APPROVER, ticket), WHY)
        await bench.runs()
        world.logins[3] = lambda: told(bench, *bench.planner._windows, stretch(bench, -1, 400, "another"))
    assert (bench.last("T-1").kind, bench.last("T-2").kind) == ("done", "voided")
    assert not [act for act in world.order if act[0] == "hv04"]


WAIT = Step("wait", "Wait until hv03 is ready", None, (is_now("hv03", 3600, ready="yes"),))
HAND = by_hand("hv03")  # its check is met as soon as its person has done it


def one_group(*steps):
    return (Group("all", steps),)


def a_group_each(*steps):
    return tuple(Group(one.key, (one,)) for one in steps)


async def frozen_later(bench, groups, *, minutes=5):
    """A ticket that starts now, and a freeze that begins in some minutes."""
    bench.plans["reset"] = lambda on, _facts: Plan("why", "none", "none", (f"node:{on}",), (), groups)
    told(bench, stretch(bench, minutes, 300))
    asks_before_it_sends(bench)
    return await bench.approved()


def meanwhile(bench, does):
    """Whatever happens while the run waits."""
    sleep = bench.parts.sleep

    async def sleeps(seconds):
        await sleep(seconds)
        does()

    object.__setattr__(bench.parts, "sleep", sleeps)


def becomes_ready(bench, world, minutes):
    ready = bench.clock() + timedelta(minutes=minutes)
    meanwhile(bench, lambda: bench.clock() >= ready and world.hosts["hv03"].update(ready="yes", seen="yes"))


def says_done(bench, ticket, minutes=0):
    """Its person does it as soon as it is asked for, but not before so many minutes from now, and says so once."""
    at, said = bench.clock() + timedelta(minutes=minutes), []

    def do():
        if not said and bench.clock() >= at and (bench.ledger.ticket(ticket).intent or ("",))[0] == "look":
            said.append(bench.clock())
            bench.world.hosts["hv03"]["seen"] = "yes"
            bench.decisions.confirm_manual_step(bench.press(OPERATOR, ticket))

    meanwhile(bench, do)
    return said


@pytest.mark.parametrize("grouped", [one_group, a_group_each])
async def test_a_wait_is_no_first_act(bench, world, grouped):
    ticket = await frozen_later(bench, grouped(WAIT, step("act", "hv03", a="1")))
    becomes_ready(bench, world, 20)
    await bench.runs(2)
    assert (world.order, bench.last(ticket).kind) == ([], "voided")
    assert "freeze “year-end” on prod, until " in bench.last(ticket).reason
    assert bench.ledger.locks() == {}


@pytest.mark.parametrize("grouped", [one_group, a_group_each])
@pytest.mark.parametrize("by_person", [False, True])
async def test_a_freeze_that_is_written_into_the_inventory_meanwhile_holds_the_first_act(
    bench, world, grouped, by_person
):
    """The plan has no gate of a freeze: none was known when it was proposed, and hvops was restarted to know this one."""
    first = HAND if by_person else WAIT
    bench.plans["reset"] = lambda on, _facts: Plan(
        "why", "none", "none", (f"node:{on}",), (), grouped(first, step("act", on, a="1"))
    )
    asks_before_it_sends(bench)
    ticket = await bench.approved()
    await bench.runner.tick()
    await until_waits(bench, ticket)
    await bench.dies()
    told(bench, stretch(bench, -1, 300, "emergency"))
    if by_person:
        says_done(bench, ticket, 10)
    else:
        becomes_ready(bench, world, 10)
    await bench.runs(2)
    assert (world.order, bench.last(ticket).kind) == ([], "voided")
    assert "emergency" in bench.last(ticket).reason


async def until_waits(bench, ticket):
    while bench.ledger.ticket(ticket).intent is None:
        await bench.clock.sleep(0)


@pytest.mark.parametrize("grouped", [one_group, a_group_each])
async def test_a_stop_behind_a_wait_opens_no_way_into_a_freeze(bench, world, grouped):
    world.hosts["hv03"]["ready"] = "yes"
    ticket = await frozen_later(bench, grouped(WAIT, step("act", "hv03", a="1")))
    world.logins[0] = lambda: bench.decisions.stop_changes(OPERATOR, "power work")
    over = bench.clock() + timedelta(minutes=30)
    meanwhile(
        bench, lambda: bench.clock() >= over and bench.ledger.is_stopped() and bench.decisions.allow_changes(BOTH)
    )
    await bench.runs(2)
    assert (world.order, bench.last(ticket).kind) == ([], "voided")
    assert "freeze “year-end” on prod, until " in bench.last(ticket).reason


@pytest.mark.parametrize("grouped", [one_group, a_group_each])
async def test_behind_a_wait_nobody_is_asked_to_begin_inside_a_freeze(bench, world, grouped):
    ticket = await frozen_later(bench, grouped(WAIT, HAND))
    becomes_ready(bench, world, 20)
    await bench.runs(2)
    assert bench.last(ticket).kind == "voided"
    assert [one.data.step for one in bench.ledger.entries(ticket=ticket, kind="intent")] == ["wait"]


@pytest.mark.parametrize("grouped", [one_group, a_group_each])
@pytest.mark.parametrize("away", [False, True])
async def test_what_nobody_has_confirmed_when_a_freeze_begins_is_void_and_asks_nobody_any_more(
    bench, world, grouped, away
):
    ticket = await frozen_later(bench, grouped(HAND, step("act", "hv03", a="1")))
    said = says_done(bench, ticket, 60)
    if away:
        await bench.runner.tick()
        while "intent" not in bench.kinds(ticket):
            await bench.clock.sleep(0)
        await bench.dies()
        bench.clock.forward(minutes=20)
    await bench.runs(2)
    assert (world.order, said, bench.last(ticket).kind) == ([], [], "voided")
    assert "freeze “year-end” on prod, until " in bench.last(ticket).reason
    assert "someone may have begun step 1 by hand, A person looks" in bench.last(ticket).reason
    with pytest.raises(TicketError):
        bench.decisions.confirm_manual_step(bench.press(OPERATOR, ticket))
    card = read_card(bench.ledger, ticket)
    assert "hvops did nothing." in json.dumps(ticket_message(card).blocks)
    told_in_thread = [line.text for one in card.entries if (line := entry_message(card, one)) is not None]
    assert any("Step 1 of 2, A person looks: NOT CONFIRMED" in line for line in told_in_thread)
    assert bench.ledger.verify().holds


@pytest.mark.parametrize("grouped", [one_group, a_group_each])
@pytest.mark.parametrize("silent", [False, True])
async def test_what_a_person_has_changed_by_hand_before_a_freeze_is_finished_inside_it(bench, world, grouped, silent):
    """It is half done; also where Slack says only inside the freeze that who pressed may."""
    ticket = await frozen_later(bench, grouped(HAND, step("act", "hv03", a="1")))
    says_done(bench, ticket)
    begins = bench.clock() + timedelta(minutes=5)
    if silent:
        bench.known[OPERATOR.id] = OPERATOR
        until = begins + timedelta(minutes=10)

        def silence():
            waits = bench.ledger.ticket(ticket).intent is not None and bench.clock() < until
            bench.now_are = {OPERATOR.id: RolesUnknown("Slack does not answer")} if waits else {}

        meanwhile(bench, silence)
    else:
        world.logins[0] = lambda: bench.clock.forward(minutes=10)
    await bench.runs(2)
    assert (world.order, bench.last(ticket).kind) == ([("hv03", "set", "1")], "done")
    assert bench.clock() > begins


async def test_a_done_that_does_not_count_begins_nothing(bench, world):
    """Its person has lost the role since they pressed, so nobody has begun when the freeze begins."""
    ticket = await frozen_later(bench, one_group(HAND, step("act", "hv03", a="1")))
    person_7 = replace(BOTH, roles={Role.OPERATOR: frozenset(["prod"])})

    def press():
        if "step-confirmed" not in bench.kinds(ticket) and bench.ledger.ticket(ticket).intent:
            bench.decisions.confirm_manual_step(bench.press(person_7, ticket))
            bench.now_are[BOTH.id] = replace(BOTH, roles={})

    meanwhile(bench, press)
    await bench.runs(2)
    assert (world.order, bench.last(ticket).kind) == ([], "voided")


async def undone(bench, ticket, by):
    return (await bench.proposals.undo(Request(by, f"undo {ticket}", "slack", "C0OPS"), ticket)).ticket


async def test_what_failed_is_taken_back_inside_of_a_freeze(bench, world):
    world.faults = [None, "refused"]
    ticket = await bench.approved()
    await bench.runs(2)
    assert bench.last(ticket).kind == "failed"
    told(bench, stretch(bench, -60, 300))
    back = await undone(bench, ticket, OPERATOR)
    bench.decisions.approve(bench.press(APPROVER, back))
    await bench.runs(2)
    assert bench.last(back).kind == "done"


def undoable(on, _facts):
    made = step("tweak", on, tweaked="yes")
    return simple(on, replace(made, undo=set_to(on, tweaked="no"), undone=(is_now(on, 60, tweaked="no"),)))


async def test_what_is_done_is_taken_back_inside_of_a_freeze_only_where_an_approver_overrides_it(bench, world):
    """It is whole, so its undo is a change like any other, also of low risk, which otherwise who asks confirms."""
    bench.plans["tweak"] = undoable
    ticket = (await bench.propose("/tweak hv03", BOTH)).ticket
    bench.decisions.approve(bench.press(BOTH, ticket))
    await bench.runs(2)
    assert bench.last(ticket).kind == "done"
    told(bench, stretch(bench, -60, 300))
    back = await undone(bench, ticket, BOTH)
    with pytest.raises(PermissionDenied, match="You requested"):
        bench.decisions.approve(bench.press(BOTH, back), WHY)
    with pytest.raises(Unanswered):
        bench.decisions.approve(bench.press(APPROVER, back))
    await bench.runs(2)
    assert world.hosts["hv03"]["tweaked"] == "yes"
    bench.decisions.approve(bench.press(APPROVER, back), WHY)
    await bench.runs(2)
    assert (bench.last(back).kind, world.rows("hv03")[0]["tweaked"]) == ("done", "no")


async def test_what_hvops_has_done_to_its_end_is_whole_however_the_ticket_ended(bench, world):
    """What was left waits only for people, so nothing is half done that a freeze had to be passed over for."""
    tweak = undoable("hv03", {}).steps[0]
    bench.plans["reset"] = lambda on, _facts: Plan(
        "why", "none", "none", (f"node:{on}",), (), (Group("all", (tweak, HAND)),)
    )
    ticket = await bench.approved()

    def stops():
        if (bench.ledger.ticket(ticket).intent or ("",))[0] == "look" and not bench.ledger.ticket(ticket).cancel_asked:
            bench.decisions.cancel(bench.press(APPROVER, ticket))

    meanwhile(bench, stops)
    await bench.runs(2)
    assert bench.last(ticket).kind == "cancelled"
    told(bench, stretch(bench, -60, 300))
    (question,) = (await bench.planner.undo(ticket)).plan.open_questions
    assert question.is_override


async def test_what_was_sent_and_is_waited_for_no_more_is_whole_as_well(bench, world):
    """A drain goes on by itself once its wait was ended by *Stop After Step*: its undo would move every guest."""
    tweak = replace(undoable("hv03", {}).steps[0], done=(is_now("hv03", 600, empty="yes"),))
    bench.plans["reset"] = lambda on, _facts: Plan(
        "why", "none", "none", (f"node:{on}",), (), (Group("all", (tweak,)),)
    )
    ticket = await bench.approved()

    def stops():
        if world.order and not bench.ledger.ticket(ticket).cancel_asked:
            bench.decisions.cancel(bench.press(APPROVER, ticket))

    meanwhile(bench, stops)
    await bench.runs(2)
    assert (bench.last(ticket).kind, bench.kinds(ticket)[-2]) == ("cancelled", "outcome")
    told(bench, stretch(bench, -60, 300))
    (question,) = (await bench.planner.undo(ticket)).plan.open_questions
    assert question.is_override


@pytest.mark.parametrize("confirms", [False, True])
async def test_what_nobody_has_begun_is_not_half_done(bench, world, confirms):
    """A person was asked to begin; while nobody says that they did, its undo is a change like any other inside a freeze."""
    hand = replace(HAND, undo=set_to("hv03", seen="no"), undone=(is_now("hv03", 60, seen="no"),))
    wait = replace(WAIT, done=(is_now("hv03", 3600, ready="yes"),))
    bench.plans["reset"] = lambda on, _facts: Plan(
        "why", "none", "none", (f"node:{on}",), (), one_group(hand, wait, step("act", on, a="1"))
    )
    ticket = await bench.approved()
    if confirms:
        says_done(bench, ticket)

    def stops():
        intent = bench.ledger.ticket(ticket).intent or ("",)
        if intent[0] == ("wait" if confirms else "look") and not bench.ledger.ticket(ticket).cancel_asked:
            bench.decisions.cancel(bench.press(APPROVER, ticket))

    meanwhile(bench, stops)
    await bench.runs(2)
    assert (bench.last(ticket).kind, world.order) == ("cancelled", [])
    told(bench, stretch(bench, -60, 300))
    undo = (await bench.planner.undo(ticket)).plan
    assert [one.key for one in undo.steps] == ["undo-look"]
    assert [question.is_override for question in undo.open_questions] == ([] if confirms else [True])


@pytest.mark.parametrize("unsent", [NotBegun, PolicyViolation])
async def test_of_a_ticket_that_never_sent_anything_nothing_changes_a_host_inside_of_a_freeze(bench, world, unsent):
    """However its step failed, and whoever has done the same by hand since."""
    bench.plans["tweak"] = undoable
    ticket = (await bench.propose("/tweak hv03", BOTH)).ticket
    bench.decisions.approve(bench.press(BOTH, ticket))
    world.faults = [unsent("hv03", "nothing was sent.")]
    await bench.runs(2)
    assert bench.last(ticket).kind == "failed"
    told(bench, stretch(bench, -60, 300))
    world.hosts["hv03"]["tweaked"] = "yes"
    with pytest.raises(NoPlan, match="can be undone"):
        await undone(bench, ticket, BOTH)


@pytest.mark.parametrize("fault", ["refused", "never"])
async def test_a_single_act_that_may_have_begun_is_undone_inside_of_a_freeze(bench, world, fault):
    """It may be half done, also where its host says that it has refused it: that may be a lie."""
    bench.plans["tweak"] = undoable
    ticket = (await bench.propose("/tweak hv03", BOTH)).ticket
    bench.decisions.approve(bench.press(BOTH, ticket))
    world.faults = [fault]
    await bench.runs(2)
    assert bench.last(ticket).kind in {"failed", "interrupted"}
    told(bench, stretch(bench, -60, 300))
    undo = (await bench.planner.undo(ticket)).plan
    assert [one.key for one in undo.steps] == ["undo-tweak"]
    assert undo.open_questions == ()


async def test_what_never_went_out_is_no_first_act(bench, world):
    """Its check is met all the same, so the run goes on: what it would send next is the first that it changes."""
    told(bench, stretch(bench, 2, 300))
    bench.plans["reset"] = lambda on, _facts: simple(on, step("a", on, a="1"), step("b", on, b="1"))
    asks_before_it_sends(bench)
    ticket = await bench.approved()

    def someone_does_it():
        world.hosts["hv03"]["a"] = "1"
        world.logins[0] = lambda: bench.clock.forward(minutes=3)  # of the second act: nothing has reached the host

    world.logins[0] = someone_does_it
    world.faults = [NotBegun("hv03", "nothing was sent.")]
    await bench.runs(2)
    outcomes = bench.ledger.entries(ticket=ticket, kind="outcome", newest_first=False)
    assert [(one.data.step, one.data.result) for one in outcomes] == [("a", "done"), ("b", "not sent")]
    assert (world.order, bench.last(ticket).kind) == ([], "voided")


async def test_an_undo_that_was_approved_before_a_freeze_waits_for_its_end(bench, world):
    bench.plans["tweak"] = undoable
    ticket = (await bench.propose("/tweak hv03", BOTH)).ticket
    bench.decisions.approve(bench.press(BOTH, ticket))
    await bench.runs(2)
    told(bench, stretch(bench, 2, 10))
    back = await undone(bench, ticket, BOTH)
    bench.clock.forward(minutes=3)
    bench.decisions.approve(bench.press(BOTH, back))
    await bench.runs(2)
    assert (bench.last(back).kind, world.hosts["hv03"]["tweaked"]) == ("approved", "yes")
    bench.clock.forward(minutes=8)
    await bench.runs(2)
    assert bench.last(back).kind == "done"


async def test_a_clock_that_is_set_back_ends_no_freeze(bench, world):
    told(bench, stretch(bench, 2, 600))
    ticket = (await bench.propose()).ticket
    bench.clock.forward(minutes=3)
    bench.decisions.approve(bench.press(APPROVER, ticket))
    await bench.runs()
    bench.clock.forward(minutes=-3)
    await bench.dies()
    await bench.runs(2)
    assert (world.order, bench.kinds(ticket)[-1]) == ([], "approved")
    assert (await bench.propose("/tweak hv04", BOTH)).proposal.policy == "approval"


def test_repeated_moves_wait_for_backups_and_freezes_and_not_for_maintenance(bench):
    now, places = bench.clock(), ("prod",)
    windows = [stretch(bench, -60, 60, kind=kind) for kind in WindowKind]
    assert why_repeated_moves_wait(windows[:1], places, now).startswith("backup “year-end” on prod, until ")
    assert why_repeated_moves_wait(windows[1:2], places, now).startswith("freeze ")
    assert why_repeated_moves_wait(windows[2:], places, now) == ""
    assert why_repeated_moves_wait(windows, ("branch",), now) == ""
    assert why_repeated_moves_wait([replace(windows[0], scope=())], ("branch",), now)


async def test_an_undo_says_of_windows_what_is_so_when_it_is_asked_for(bench):
    """Weeks later its card said that a backup window was open until a day long past."""
    told(bench, stretch(bench, -60, 300, "nightly", kind=WindowKind.BACKUP))
    ticket = await bench.approved()
    await bench.runs()
    assert (
        bench.ledger.story(ticket)[0].fields["plan"]["impact"].startswith("11 guests move Open now: backup “nightly”")
    )
    bench.clock.forward(days=20)
    told(bench, stretch(bench, -60, 300, "weekly", kind=WindowKind.MAINTENANCE))
    impact = (await bench.planner.undo(ticket)).plan.impact
    assert "nightly" not in impact
    assert "was: 11 guests move Open now: maintenance “weekly” on prod, until " in impact
