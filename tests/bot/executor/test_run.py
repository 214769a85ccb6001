"""What is approved runs exactly so, once, and what is not known is said."""

from __future__ import annotations

import asyncio
import json
import math
import re
import shutil
import threading
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

import pytest
from entry_samples import entry_data, entry_data_of
from scripted_world import (
    APPROVER,
    BOTH,
    ELSEWHERE,
    OPERATOR,
    Group,
    Plan,
    Step,
    by_hand,
    command,
    is_now,
    reset_plan,
    set_to,
    simple,
    state,
    step,
)
from structlog.testing import capture_logs

from bot.api.actions import RowTransaction, Update
from bot.api.command import Risk
from bot.api.plan import Check, CompareToBefore, Expect, bound
from bot.api.queries import Predicate, make_params
from bot.audit.ticket_history import story_of as history_of
from bot.dispatch.person_rate import PersonRate
from bot.dispatch.pipeline import Request
from bot.errors import (
    LedgerError,
    MovedOn,
    OutcomeUnknown,
    PermissionDenied,
    RolesUnknown,
    TicketError,
    UnreadableEntry,
)
from bot.executor import scheduler, ticket_run
from bot.executor.run import Run
from bot.ledger.entries import STOP_REQUEST
from bot.serialization import evidence_from_bytes
from bot.slack.render.running import half_done
from bot.slack.render.ticket import ticket_message
from bot.slack.render.ticket_buttons import STOP_STEP
from bot.slack.render.ticket_thread import entry_message
from bot.slack.tickets.message_table import read_card
from bot.tickets.plan_text import plan_lines
from bot.tickets.proposal import proposal_from, proposal_of
from bot.tickets.undo import undo_step

REACHED = [("hv03", "set", "yes"), ("hv03", "restart"), ("hv03", "set", "no")]


async def test_from_proposal_to_proof(bench, world):
    ticket = await bench.approved()
    await bench.runs()
    pair = ["intent", "outcome"]
    assert bench.kinds(ticket) == ["proposed", "approved", "started", *pair * 3, "done"]
    assert world.order == REACHED
    assert world.hosts["hv03"]["paused"] == "no"
    outcome = bench.ledger.entries(ticket=ticket, kind="outcome", newest_first=False)[1].data
    assert outcome.after[0]["instance"] == "2"
    assert bench.ledger.blob(outcome.evidence)
    intent = bench.ledger.entries(ticket=ticket, kind="intent", newest_first=False)[1].data
    assert intent.before[0]["instance"] == "1"
    assert bench.ledger.locks() == {}
    assert bench.ledger.verify().holds
    steps = [(one.kind, one.step, one.of) for one in bench.told if one.kind in ("intent", "done")]
    assert steps == [("intent", 1, 3), ("intent", 2, 3), ("intent", 3, 3), ("done", 3, 3)]


async def test_each_act_is_noted_in_the_hosts_own_log_and_a_refusal_is_only_noted(bench, world):
    ticket = await bench.approved()
    world.hooks[1] = lambda: world.silent.add("no-notes")
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    noted = [entry.data.event_log_note for entry in bench.ledger.entries(ticket=ticket, kind="outcome")]
    assert all("not noted in its event log: hv03: access denied" in one for one in noted)
    world.silent.clear()
    await bench.approved()
    await bench.runs()
    assert len(world.notes) == 3
    for word in ("T-2: Pause hv03: done", "person 1 (T1/U1)", "person 2 (T1/U2)"):
        assert word in world.notes[0][1]


async def test_what_was_approved_is_what_runs_even_if_the_file_says_otherwise_later(bench, world):
    """The plan is read from the ledger: a later definition can only void it."""
    ticket = await bench.approved()
    bench.plans["reset"] = lambda on, _facts: simple(on, step("format", on, disk="gone"))
    await bench.runs()
    assert bench.kinds(ticket) == ["proposed", "approved", "voided"]
    assert world.order == []


async def test_a_changed_plan_is_void_with_its_difference_and_its_replacement(bench, world):
    ticket = await bench.approved()
    bench.plans["reset"] = lambda on, facts: reset_plan(on, {**facts, "since": "later"})  # measured: not signed
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    again = await bench.approved()
    bench.plans["reset"] = lambda on, facts: Plan(**{**vars_of(reset_plan(on, facts)), "rollback": "none at all"})
    await bench.runs()
    voided, proposed = bench.last(again), bench.ledger.head()
    assert voided.data.difference == ("- Way back: Resume hv03", "+ Way back: none at all")
    assert (proposed.kind, proposed.actor, proposed.data.replaces) == ("proposed", OPERATOR.id, again)
    assert proposed.seq == voided.seq + 1
    assert len(world.order) == 3


def vars_of(plan):
    return {name: getattr(plan, name) for name in plan.__slots__}


async def test_a_plan_that_a_gate_holds_now_is_void_without_a_replacement(bench, world):
    ticket = await bench.approved()
    world.hosts["hv03"]["locked"] = "yes"
    await bench.runs()
    assert "No guest is locked" in bench.last(ticket).data.reason
    assert bench.ledger.head() == bench.last(ticket)
    assert world.order == []


@pytest.mark.parametrize("name", ["nowhere", "error", "bug"])
async def test_a_plan_that_cannot_be_made_afresh_is_void(bench, world, name):
    ticket = await bench.approved()
    if name == "bug":
        bench.plans["reset"] = lambda _on, _facts: 1 / 0
    elif name == "error":
        world.silent.add("hv03")
    else:
        bench.planner._registry.commands.pop("reset")
    await bench.runs()
    assert bench.kinds(ticket)[-1] == "voided"
    assert world.order == []


def counting(**moved):
    """The plan of reset, with a bound of how many guests move."""
    return lambda on, facts: replace(reset_plan(on, facts), at_most=bound(moved["guests"]))


@pytest.mark.parametrize(("now", "runs"), [(0, True), (1, True), (4, True), (5, False), (400, False)])
async def test_an_approval_holds_for_twice_as_many_guests_as_were_shown(bench, world, now, runs):
    bench.plans["reset"] = counting(guests=2)
    ticket = await bench.approved()
    bench.plans["reset"] = counting(guests=now)
    await bench.runs()
    assert bool(world.order) is runs
    assert (bench.last(ticket).kind == "done") is runs
    if not runs:
        voided = bench.last(ticket).data
        assert "it would now move more guests and other roles than the 4 that were approved" in voided.reason
        assert f"+ Limit: moves no more than {2 * now} guests and other roles" in voided.difference


async def test_the_bound_holds_half_way_too_and_cannot_be_left_out(bench, world):
    bench.plans["reset"] = counting(guests=2)
    ticket = await bench.approved()
    world.hooks[1] = lambda: bench.plans.update(reset=counting(guests=9))
    await bench.runs()
    assert bench.kinds(ticket)[-1] == "voided"
    assert world.order == REACHED[:1]
    bench.plans["reset"] = reset_plan  # counts nothing, and is approved so
    other = await bench.approved("/reset hv04")
    bench.plans["reset"] = counting(guests=1)
    await bench.runs()
    assert bench.last(other).kind == "voided"


def limited(on, *, times=1):
    """Two acts of one group; before the second, no more of what it moves may be there than the plan says."""
    there = Check(state(on), (Expect((Predicate("locked", "=", "yes"),), at_least=0),)).described_as(f"are on {on}")
    steps = step("a", on, a="1"), replace(step("b", on, b="1"), moves=there)
    return replace(simple(on, *steps, at_most=0), groups=(Group("all", steps, times=times),))


@pytest.mark.parametrize("way", ["at once", "after a stop", "in a later round", "after an interruption"])
async def test_what_an_act_moves_is_counted_just_before_it_however_it_comes_to_begin(bench, world, way):
    """The plan is made afresh before a group alone; hours may pass between the first act of one and the act that moves."""
    bench.plans["reset"] = lambda on, _facts: limited(on, times=2 if way == "in a later round" else 1)
    ticket = await bench.approved()
    assert "   only if: no more than 0 guests and other roles are on hv03: " in "\n".join(
        plan_lines(proposal_of(bench.ledger, ticket).plan, Risk.HIGH, "1")
    )
    acts = 3 if way == "in a later round" else 1
    more = {"locked": "yes"}
    if way == "after a stop":
        world.hooks[acts] = lambda: bench.decisions.stop_changes(OPERATOR, "power work")
        sleep = bench.clock.sleep

        async def sleep_and_go(seconds):
            await sleep(seconds)
            if bench.ledger.is_stopped():
                world.hosts["hv03"].update(more)
                bench.decisions.allow_changes(APPROVER)

        object.__setattr__(bench.parts, "sleep", sleep_and_go)
    elif way == "after an interruption":
        world.faults = ["never"]
        await bench.runs()
        assert bench.last(ticket).kind == "interrupted"
        world.hosts["hv03"].update(more, a="1")  # people did it by hand
        bench.decisions.resume(bench.press(APPROVER, ticket))
    else:
        world.hooks[acts] = lambda: world.hosts["hv03"].update(more)
    await bench.runs()
    assert bench.last(ticket).kind == "failed"
    says = bench.last(ticket).data.reason
    assert "not started: not met: no more than 0 guests and other roles are on hv03" in says
    assert len(world.order) == acts


async def test_half_way_the_plan_is_made_afresh_before_each_group(bench, world):
    ticket = await bench.approved()
    world.hooks[1] = lambda: world.hosts["hv03"].update(locked="yes")
    await bench.runs()
    assert bench.kinds(ticket) == ["proposed", "approved", "started", "intent", "outcome", "voided"]
    assert world.order == REACHED[:1]
    assert bench.ledger.locks() == {}


async def test_another_code_version_voids_what_was_approved_before(benches, world):
    old = benches(version="1")
    ticket = await old.approved()
    new = benches(version="2")
    await new.runs()
    assert new.last(ticket).data.difference == ("- Code: 1", "+ Code: 2")
    assert new.ledger.head().kind == "proposed"
    assert world.order == []


async def test_a_guard_is_asked_just_before_the_act(bench, world):
    guarded = Step("b", "B", set_to("hv03", b="1"), (is_now("hv03", b="1"),), guard=(is_now("hv03", locked="no"),))
    bench.plans["reset"] = lambda on, _facts: simple(on, step("a", on, a="1"), guarded)
    world.hooks[1] = lambda: world.hosts["hv03"].update(locked="yes")
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "failed"
    assert "not started: locked is yes, not no" in bench.last(ticket).data.reason
    assert [one[-1] for one in world.order] == ["1"]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_image_that_no_ledger_should_hold_is_not_noted(bench, world, when):
    """A host that lists twenty thousand things: each look at the ticket would read them all again."""
    ticket = await bench.approved()
    answer, rebuild = world.answer, bench.planner.rebuild

    async def endless(question, seconds=20.0):
        found = await answer(question, seconds)
        rows = tuple({**found.rows[0], "name": f"{number:0400}"} for number in range(20_000))
        lies = len(world.order) == 2 if when == "after" else planned and not world.order
        return replace(found, rows=rows) if lies and getattr(question, "what", "") == "state" else found

    async def plans(proposal, group=""):
        made = await rebuild(proposal, group)
        planned.append(made)
        return made

    planned = []
    world.answer, bench.planner.rebuild = endless, plans
    await bench.runs()
    entries = bench.ledger.story(ticket)
    assert max(len(str(entry.fields)) for entry in entries) < 20_000
    if when == "before":
        assert (world.order, entries[-1].kind) == ([], "failed")
        assert "its answer (20,000 rows) is too long to record" in entries[-1].reason
    else:
        assert (len(world.order), entries[-1].kind) == (3, "done")


async def test_what_was_answered_is_kept_beside_the_loop(bench, monkeypatch):
    """Megabytes of a host are searched for secrets; meanwhile everybody else is answered."""
    keep, kept = bench.ledger.put_blob, []

    def noted(data):
        kept.append(threading.current_thread() is threading.main_thread())
        return keep(data)

    monkeypatch.setattr(bench.ledger, "put_blob", noted)
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    assert kept == [False] * 3


@pytest.fixture
def long_answers(world, monkeypatch):
    """What a host says beside its rows, at length."""
    answer = world.answer

    async def at_length(question, seconds=20.0):
        return replace(await answer(question, seconds), raw="x" * 2**16)

    monkeypatch.setattr(world, "answer", at_length)


@pytest.mark.usefixtures("long_answers")
async def test_with_little_room_on_the_disk_outcomes_are_written_without_what_was_answered(bench, monkeypatch):
    """The disk's rest is for entries: a change may have thousands of rounds, each judged by what a host answers."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 * 2**20))
    ticket = await bench.approved()
    await bench.runs()
    pair = ["intent", "outcome"]
    assert bench.kinds(ticket) == ["proposed", "approved", "started", *pair * 3, "done"]
    for entry in bench.ledger.entries(ticket=ticket, kind="outcome"):
        evidence = evidence_from_bytes(bench.ledger.blob(entry.data.evidence))
        assert [one.raw for one in evidence] == ["[not stored: the ledger's disk has only 100 MB free.]"]
        assert evidence[0].query
        assert entry.data.measured  # what it was judged by stands in the entry
    verdict = bench.ledger.verify()
    assert (verdict.holds, verdict.notes) == (True, ())


@pytest.mark.usefixtures("long_answers")
async def test_what_steps_of_one_person_keep_is_bounded(bench, monkeypatch):
    monkeypatch.setattr(bench.parts.evidence_limits, "_room", PersonRate(2 * 2**16, math.inf))
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    outcomes = bench.ledger.entries(ticket=ticket, kind="outcome", newest_first=False)
    raw = [one.raw for entry in outcomes for one in evidence_from_bytes(bench.ledger.blob(entry.data.evidence))]
    why = "the requester's storage quota for the evidence of steps is used up; some 120 MB of it is free again after an hour"
    assert raw == ["x" * 2**16, f"[not stored: {why}.]", f"[not stored: {why}.]"]


async def test_a_silent_guard_or_before_image_does_not_begin(bench, world):
    for change in ({"guard": (is_now("hv04"),)}, {"before": state("hv04")}):
        one = Step("a", "A", set_to("hv03", a="1"), (is_now("hv03", a="1"),), **change)
        bench.plans["reset"] = lambda on, _facts, one=one: simple(on, one)
        ticket = await bench.approved()
        world.silent.add("hv04")
        await bench.runs()
        assert bench.kinds(ticket)[-2:] == ["started", "failed"]
        assert "no answer in 20 s" in bench.last(ticket).data.reason
        world.silent.clear()
    assert world.order == []


async def test_a_refusal_is_judged_by_the_state(bench, world):
    world.faults = ["refused"]
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "failed"
    assert "5960" in bench.last(ticket).data.reason
    world.faults = ["refused"]
    world.hosts["hv03"]["paused"] = "yes"  # said no, and yet it is so
    bench.plans["reset"] = lambda on, _facts: simple(on, step("pause", on, paused="yes"))
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "done"


async def test_an_act_whose_answer_is_lost_is_not_sent_again(bench, world):
    world.faults = [None, "unanswered"]
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    assert world.order == REACHED


async def test_an_act_that_may_or_may_not_come_leaves_it_to_a_person(bench, world):
    world.faults = [None, "never"]
    ticket = await bench.approved()
    await bench.runs()
    last = bench.last(ticket)
    assert last.kind == "interrupted"
    assert last.data.step == "restart"
    assert "no answer in time; instance is still as it was before" in last.data.known
    assert bench.ledger.locks() == {"node:hv03": ticket}
    await bench.runs(3)
    assert bench.last(ticket) == last  # nothing goes on by itself
    world.hosts["hv03"]["instance"] = "9"  # somebody restarted it by hand
    bench.decisions.resume(bench.press(APPROVER, ticket))
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    assert world.order == REACHED


@pytest.mark.parametrize("cell", [None, ""])
async def test_a_host_that_does_not_tell_what_has_to_be_new_has_not_done_it(bench, world, cell):
    """It names no instance any more, which is another text than before, and no new instance."""
    ticket = await bench.approved()
    world.faults = [None, "never"]
    world.logins[1] = lambda: world.hosts["hv03"].update(instance=cell)
    await bench.runs()
    assert bench.last(ticket).kind == "interrupted"
    assert "instance is unknown" in bench.last(ticket).reason
    assert world.order == REACHED[:2]


async def test_untouched_and_repeatable_is_done_again_a_few_times(bench, world):
    world.faults = ["lost"]
    ticket = await bench.approved()
    await bench.runs()
    assert bench.kinds(ticket)[2:7] == ["started", "intent", "resumed", "intent", "outcome"]
    assert bench.last(ticket).kind == "done"
    world.faults = ["lost"] * 9
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "interrupted"
    assert bench.kinds(ticket).count("intent") == 3


async def test_what_says_itself_that_it_failed_has_failed(bench, world):
    world.faults = [("late", 10_000)]
    ticket = await bench.approved()
    world.hosts["hv03"]["drain"] = "failed"
    await bench.runs()
    assert bench.kinds(ticket)[-2:] == ["outcome", "failed"]


async def test_late_but_within_its_time_is_done(bench, world, clock):
    world.faults = [("slow", 500)]
    before = clock()
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    assert 500 <= (clock() - before).total_seconds() < 700
    assert any(one.kind == "progress" and "paused is no, not yes" in one.says for one in bench.told)


async def test_a_failed_group_is_taken_back_where_the_plan_says_so(bench, world):
    last = Step("c", "c", set_to("hv03", c="1"), (is_now("hv03", c="2", give_up=Expect()),))
    steps = (taken_back("a"), taken_back("b"), last)
    plan = Plan("why", "", "", ("node:hv03",), (), (Group("all", steps, on_failure="undo"),))
    bench.plans["reset"] = lambda _on, _facts: plan
    ticket = await bench.approved()
    await bench.runs()
    assert [value for *_, value in world.order] == ["1", "1", "1", "0", "0"]
    assert {name: world.hosts["hv03"][name] for name in "abc"} == {"a": "0", "b": "0", "c": "1"}
    assert bench.last(ticket).data.rolled_back is True
    steps = [entry.data.step for entry in bench.ledger.entries(ticket=ticket, kind="intent", newest_first=False)]
    assert steps == ["a", "b", "c", "undo-b", "undo-a"]


async def test_taking_back_waits_for_go_and_says_so(bench, world, monkeypatch):
    """Nothing starts while changes are stopped: what puts back by itself is a start, too."""
    last = Step("c", "c", set_to("hv03", c="1"), (is_now("hv03", c="2", give_up=Expect()),))
    plan = Plan("why", "", "", ("node:hv03",), (), (Group("all", (taken_back("a"), last), on_failure="undo"),))
    bench.plans["reset"] = lambda _on, _facts: plan
    ticket = await bench.approved()
    world.hooks[2] = lambda: bench.decisions.stop_changes(OPERATOR, "power work")
    sleep, waits = bench.clock.sleep, []

    async def sleep_and_go(seconds):
        await sleep(seconds)
        if bench.ledger.is_stopped():
            waits.append(world.hosts["hv03"]["a"])
            if len(waits) == 5:
                bench.decisions.allow_changes(APPROVER)

    object.__setattr__(bench.parts, "sleep", sleep_and_go)
    await bench.runs()
    assert waits == ["1"] * 5
    assert world.hosts["hv03"]["a"] == "0"
    assert bench.last(ticket).data.rolled_back is True
    said = [one.says for one in bench.told if one.kind == "stopped"]
    assert said == ["/hvops stop is in force; what failed is not undone until /hvops go."]


def taken_back(key, act=None):
    return Step(
        key, key, act or set_to("hv03", **{key: "1"}), (is_now("hv03", **{key: "1"}),),
        undo=set_to("hv03", **{key: "0"}), undone=(is_now("hv03", **{key: "0"}),),
    )  # fmt: skip


async def test_only_the_group_that_failed_is_taken_back(bench, world):
    last = Step("b", "b", set_to("hv03", b="1"), (is_now("hv03", b="2", give_up=Expect()),))
    groups = Group("one", (taken_back("a"),)), Group("two", (last, taken_back("c")), on_failure="undo")
    bench.plans["reset"] = lambda _on, _facts: Plan("why", "", "", ("node:hv03",), (), groups)
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).data.rolled_back is True
    assert [entry.data.step for entry in bench.ledger.entries(ticket=ticket, kind="intent")] == ["b", "a"]
    assert world.hosts["hv03"]["a"] == "1"


async def test_a_transaction_that_was_refused_has_nothing_to_take_back(bench, world):
    row = RowTransaction("hv03", "db", (Update("t", make_params(id="1"), make_params(b="0"), make_params(b="1")),))
    steps = (taken_back("a"), taken_back("b", row))
    plan = Plan("why", "", "", ("node:hv03",), (), (Group("all", steps, on_failure="undo"),))
    bench.plans["reset"] = lambda _on, _facts: plan
    world.faults = [None, "refused"]
    ticket = await bench.approved()
    await bench.runs()
    outcomes = [entry.data for entry in bench.ledger.entries(ticket=ticket, kind="outcome", newest_first=False)]
    assert [(one.step, one.result, one.not_executed) for one in outcomes] == [
        ("a", "done", False), ("b", "failed", True), ("undo-a", "done", False),
    ]  # fmt: skip
    assert bench.last(ticket).kind == "failed"
    assert world.hosts["hv03"]["a"] == "0"


async def test_what_was_taken_back_is_not_offered_to_be_undone(bench, world):
    last = Step("c", "c", set_to("hv03", c="1"), (is_now("hv03", c="2", give_up=Expect()),))
    plan = Plan("why", "", "", ("node:hv03",), (), (Group("all", (taken_back("a"), last), on_failure="undo"),))
    bench.plans["reset"] = lambda _on, _facts: plan
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).data.rolled_back is True
    assert (await bench.planner.undo(ticket)).plan.groups == ()


async def test_a_group_that_finishes_another_is_not_planned_afresh(bench, world):
    """The first group has ended what the plan was made from: made afresh, there would be nothing to do."""
    groups = (
        Group("one", (step("a", "hv03", broken="no"),)),
        Group("two", (step("b", "hv03", b="1"),), revalidate_before=False),
    )
    plan = Plan("why", "", "", ("node:hv03",), (), groups)
    gone = Plan("nothing to mend", "", "", (), (), ())
    bench.plans["reset"] = lambda _on, facts: plan if facts.get("broken") == "yes" else gone
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    world.hosts["hv03"]["broken"] = "yes"
    told = [line for line in plan_lines(plan, Risk.HIGH, "x") if line.startswith("Group")]
    assert told == [
        "Group one, on failure: stop",
        "Group two, on failure: stop, the plan is not re-checked before it starts",
    ]
    again = replace(plan, groups=(groups[0], replace(groups[1], revalidate_before=True)))
    bench.plans["reset"] = lambda _on, facts: again if facts.get("broken") == "yes" else gone
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "voided"


async def test_a_group_runs_as_often_as_it_says(bench, world):
    plan = Plan("", "", "", ("l",), (), (Group("all", (step("a", "hv03", a="1"), step("b", "hv03", a="0")), times=3),))
    bench.plans["reset"] = lambda _on, _facts: plan
    ticket = await bench.approved()
    await bench.runs()
    assert [value for *_, value in world.order] == ["1", "0"] * 3
    assert bench.last(ticket).data.message == "all 6 steps are done"


async def test_cancel_ends_before_the_next_act_and_abandons_a_wait(bench, world):
    ticket = await bench.approved()
    world.hooks[1] = lambda: bench.decisions.cancel(bench.press(OPERATOR, ticket))
    await bench.runs()
    assert bench.kinds(ticket)[-2:] == ["outcome", "cancelled"]
    assert world.order == REACHED[:1]
    assert bench.ledger.locks() == {}
    waiting = Step("a", "A", set_to("hv03", a="1"), (is_now("hv03", within=3600, b="1"),))
    bench.plans["reset"] = lambda on, _facts: simple(on, waiting)
    ticket = await bench.approved()
    world.hooks[2] = lambda: bench.decisions.cancel(bench.press(OPERATOR, ticket))
    await bench.runs()
    assert bench.ledger.entries(ticket=ticket, kind="outcome")[0].data.result == "abandoned"
    assert "b is empty, not 1" in bench.last(ticket).data.reason


async def test_cancelled_while_nobody_knows_is_interrupted(bench, world):
    world.faults = [None, ("late", 10_000)]
    ticket = await bench.approved()
    sleep = bench.clock.sleep

    async def sleep_and_cancel(seconds):
        await sleep(seconds)
        if bench.kinds(ticket).count("intent") == 2 and not bench.ledger.ticket(ticket).cancel_asked:
            bench.decisions.cancel(bench.press(OPERATOR, ticket))

    object.__setattr__(bench.parts, "sleep", sleep_and_cancel)
    await bench.runs()
    assert bench.last(ticket).kind == "interrupted"
    assert "cancelled while its outcome is unknown" in bench.last(ticket).data.known
    world.hosts["hv03"]["instance"] = "2"
    bench.decisions.resume(bench.press(APPROVER, ticket))  # who lets it go on means it
    await bench.runs()
    assert bench.last(ticket).kind == "done"


async def test_stop_begins_nothing_and_go_goes_on(bench, world):
    ticket = await bench.approved()
    bench.decisions.stop_changes(OPERATOR, "power work")
    await bench.runs(2)
    assert bench.kinds(ticket) == ["proposed", "approved"]
    bench.decisions.allow_changes(APPROVER)
    world.hooks[1] = lambda: bench.decisions.stop_changes(OPERATOR, "again")
    sleeps = 0
    sleep = bench.clock.sleep

    async def sleep_and_go(seconds):
        nonlocal sleeps
        sleeps += 1
        await sleep(seconds)
        if sleeps == 5:
            assert bench.kinds(ticket).count("intent") == 1
            bench.decisions.allow_changes(APPROVER)

    object.__setattr__(bench.parts, "sleep", sleep_and_go)
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    assert any(one.kind == "stopped" for one in bench.told)


async def test_who_may_stop_anywhere_may_not_end_a_stop_that_holds_elsewhere_too(bench, world):
    ticket = await bench.approved()
    bench.decisions.stop_changes(ELSEWHERE, "fire in the room")
    with pytest.raises(PermissionDenied, match=r"only someone with the role approver everywhere .*not have it on prod"):
        bench.decisions.allow_changes(ELSEWHERE)
    await bench.runs(2)
    assert bench.kinds(ticket) == ["proposed", "approved"]
    assert bench.ledger.head().kind == "refused"
    bench.decisions.allow_changes(APPROVER)
    await bench.runs()
    assert bench.last(ticket).kind == "done"


@pytest.mark.parametrize("answer", ["refused", "stop"])
@pytest.mark.parametrize("way", ["between steps", "at the login"])
async def test_a_request_to_stop_that_nobody_has_answered_holds_a_run_under_way(bench, world, way, answer):
    """The process that took it was killed, and Slack does not say who asked."""
    ticket = await bench.approved()
    reached, asked = [], []

    def ask():
        asked.append(bench.ledger.append(OPERATOR.id, entry_data("clicked", {"button": STOP_REQUEST})))

    (world.hooks if way == "between steps" else world.logins)[1] = ask

    def answer_after_a_while():
        if not asked:
            return
        reached.append(list(world.order))
        if len(reached) == 4 and answer == "refused":
            refusal = {"click": asked[0].seq, "line": "/hvops stop", "category": "not allowed", "reason": "No role."}
            bench.ledger.append(OPERATOR.id, entry_data("refused", refusal))
        elif len(reached) == 4:
            bench.decisions.stop_changes(OPERATOR, "it burns", asked[0].seq)
        elif len(reached) == 8 and answer == "stop":
            bench.decisions.allow_changes(APPROVER)

    sleeping(bench, answer_after_a_while)
    await bench.runs()
    assert reached[:4] == [reached[0]] * 4
    assert len(reached[0]) < len(REACHED)
    assert answer == "refused" or reached[:8] == [reached[0]] * 8
    assert world.order == REACHED
    assert bench.last(ticket).kind == "done"
    said = [one.says for one in bench.told if one.kind == "stopped"]
    assert said[0] == "A request to stop changes is pending; nothing starts until it is answered."
    assert said[1:] == (["/hvops stop is in force; nothing starts until /hvops go."] if answer == "stop" else [])


def stopped_at_the_login(bench, world):
    world.logins[0] = lambda: bench.decisions.stop_changes(OPERATOR, "now")


async def test_a_stop_that_comes_while_a_host_takes_its_time_for_the_login_keeps_the_act_from_being_sent(bench, world):
    """It stands in the ledger as not sent, and is sent once after go."""
    ticket = await bench.approved()
    stopped_at_the_login(bench, world)
    waited = []

    def go_after_a_while():
        waited.append(list(world.order))
        if len(waited) == 3:
            bench.decisions.allow_changes(APPROVER)

    sleeping(bench, go_after_a_while)
    await bench.runs()
    assert waited[:3] == [[]] * 3
    assert world.order == REACHED
    assert bench.last(ticket).kind == "done"
    first = bench.ledger.entries(ticket=ticket, kind="outcome", newest_first=False)[0].data
    assert (first.result, first.not_executed) == ("not sent", True)
    assert "nothing was sent: changes are stopped" in first.message


async def test_what_was_held_back_at_the_login_is_known_not_to_have_happened_after_a_crash(bench, world):
    """The restart, which may not be repeated, would be left to a person if nobody knew what became of it."""
    ticket = await bench.approved()
    world.logins[1] = lambda: bench.decisions.stop_changes(OPERATOR, "now")
    began = asyncio.Event()

    async def hold(_seconds):
        if bench.ledger.is_stopped():
            began.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)

    sleep = bench.parts.sleep
    object.__setattr__(bench.parts, "sleep", hold)
    await bench.runner.tick()
    async with asyncio.timeout(20):
        await began.wait()
    await bench.dies()
    object.__setattr__(bench.parts, "sleep", sleep)
    bench.decisions.allow_changes(APPROVER)
    await bench.runs(2)
    assert world.order == REACHED
    assert bench.last(ticket).kind == "done"


@pytest.mark.parametrize("what", ["late", "cancelled"])
async def test_what_ends_while_a_host_takes_its_time_for_the_login_is_not_sent(bench, world, clock, what):
    ticket = await bench.approved()

    def ends():
        if what == "late":
            clock.forward(days=2)
        else:
            bench.decisions.cancel(bench.press(OPERATOR, ticket))

    world.logins[0] = ends
    await bench.runs(2)
    assert world.order == []
    assert bench.ledger.entries(ticket=ticket, kind="outcome")[0].data.result == "not sent"
    assert bench.last(ticket).kind == {"late": "interrupted", "cancelled": "cancelled"}[what]


async def test_two_tickets_that_need_one_lock_run_one_after_the_other(bench, world):
    first, second = await bench.approved(), await bench.approved()
    await bench.runner.tick()
    await bench.runner.tick()
    await bench.runner.wait_idle()
    assert "voided" not in bench.kinds(second)
    await bench.runs()
    assert [bench.last(one).kind for one in (first, second)] == ["done", "done"]
    assert bench.last(first).seq < bench.ledger.entries(ticket=second, kind="started")[0].seq
    assert world.order == REACHED * 2


async def test_tickets_with_other_locks_run_at_once(bench, world):
    tickets = [await bench.approved(), await bench.approved("/reset hv04")]
    await bench.runs()
    assert [bench.last(one).kind for one in tickets] == ["done", "done"]
    first, second = (bench.ledger.entries(ticket=one, kind="started")[0].seq for one in tickets)
    assert second < bench.last(tickets[0]).seq
    assert first < bench.last(tickets[1]).seq


async def test_the_two_clocks(bench, clock, world):
    ticket = (await bench.propose()).ticket
    clock.forward(minutes=31)
    await bench.runs()
    assert bench.last(ticket).kind == "expired"
    ticket = await bench.approved()
    clock.forward(minutes=16)
    await bench.runs()
    assert bench.last(ticket).kind == "lapsed"
    assert world.order == []
    assert {"expired", "lapsed"} <= {one.kind for one in bench.told}


async def test_a_step_by_hand_waits_for_a_person_and_looks_for_itself(bench, world, clock):
    bench.plans["reset"] = lambda on, _facts: simple(on, by_hand(on), step("after", on, after="1"))
    ticket = await bench.approved()
    presses = []
    sleep = clock.sleep

    async def person(seconds):
        await sleep(seconds)
        if len(presses) < 2 and bench.ledger.ticket(ticket).intent and clock().second % 20 == 0:
            world.hosts["hv03"]["seen"] = "yes" if presses else "no"
            presses.append(bench.decisions.confirm_manual_step(bench.press(OPERATOR, ticket)))

    object.__setattr__(bench.parts, "sleep", person)
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    assert any("not done yet: seen is no, not yes" in one.says for one in bench.told)
    assert bench.kinds(ticket).count("step-confirmed") == 2


@pytest.mark.parametrize(("said", "ends"), [(False, "cancelled"), (True, "done")])
async def test_who_cancels_a_step_by_hand_says_that_it_was_not_done(bench, world, said, ends):
    """Its check holds from the start, as where only a person can see whether something helped."""
    world.hosts["hv03"]["seen"] = "yes"
    bench.plans["reset"] = lambda on, _facts: simple(on, by_hand(on))
    ticket = await bench.approved()
    sleep = bench.clock.sleep

    async def sleep_and_cancel(seconds):
        await sleep(seconds)
        if bench.kinds(ticket)[-1] == "intent":
            if said:
                bench.decisions.confirm_manual_step(bench.press(OPERATOR, ticket))
            bench.decisions.cancel(bench.press(OPERATOR, ticket))

    object.__setattr__(bench.parts, "sleep", sleep_and_cancel)
    await bench.runs()
    assert bench.last(ticket).kind == ends
    (outcome,) = bench.ledger.entries(ticket=ticket, kind="outcome")
    assert outcome.data.result == ("done" if said else "abandoned")


async def test_nobody_does_it_by_hand_in_time(bench):
    bench.plans["reset"] = lambda on, _facts: simple(on, by_hand(on, deadline=60))
    ticket = await bench.approved()
    await bench.runs()
    assert "no one did it in time" in bench.last(ticket).data.reason


async def test_a_wait_of_days_gives_its_locks_to_who_needs_them_and_takes_them_back(bench, world, clock):
    soak = Step("soak", "Soak", None, (is_now("hv03", 5 * 86400, broken="no"),), preemptible=True)
    bench.plans["soak"] = lambda on, _facts: simple(on, soak)
    bench.planner._registry.commands["soak"] = command("soak", partial(bench._plan, "soak"))
    waiting = await bench.approved("/soak hv03")
    await bench.runner.tick()
    while "intent" not in bench.kinds(waiting):  # noqa: ASYNC110 - another task writes it
        await asyncio.sleep(0.001)
    urgent = await bench.approved()
    while bench.ledger.ticket(urgent).state != "ended":
        await bench.runner.tick()
        await asyncio.sleep(0.001)
    assert bench.last(urgent).kind == "done"
    assert "interrupted" in bench.kinds(waiting)
    world.hosts["hv03"]["broken"] = "no"
    await bench.runs(2)
    assert bench.kinds(waiting)[-4:] == ["interrupted", "resumed", "outcome", "done"]
    (resumed,) = bench.ledger.entries(ticket=waiting, kind="resumed")
    assert (resumed.actor, resumed.reason) == ("bot", "its locks are free again")
    assert bench.kinds(waiting).count("intent") == 1
    assert bench.ledger.verify().holds


async def test_a_run_that_stood_still_does_not_say_that_the_bot_was_down(bench, world, monkeypatch):
    """The ledger could not be used for a moment: the bot was there all the time, and goes on with a new attempt."""
    ticket = await bench.approved()
    write, failed = Run.write, []

    async def fails_once(run, transition, **how):
        if transition.kind == "outcome" and not failed:
            failed.append(transition)
            raise LedgerError("the disk is full.")
        return await write(run, transition, **how)

    monkeypatch.setattr(Run, "write", fails_once)
    await bench.runs()
    bench.runner._trouble.clear()
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    (resumed,) = bench.ledger.entries(ticket=ticket, kind="resumed")
    assert resumed.reason == "hvops had stopped working on it"
    first = bench.ledger.entries(ticket=ticket, kind="outcome", newest_first=False)[0]
    assert first.data.reply == "hvops did not see how the action ended"
    assert world.order == REACHED


async def test_what_was_cancelled_as_it_gave_its_locks_away_does_not_go_on_by_itself(bench, world, monkeypatch):
    """The press counted, since the ticket ran; a moment later the run wrote down that it gives way."""
    soak = Step("soak", "Soak", None, (is_now("hv03", 5 * 86400, broken="no"),), preemptible=True)
    bench.plans["soak"] = lambda on, _facts: simple(on, soak, step("tweak", on, tweaked="yes"))
    bench.planner._registry.commands["soak"] = command("soak", partial(bench._plan, "soak"))
    waiting = await bench.approved("/soak hv03")
    append_together = bench.ledger.append_together

    def after_a_press(*drafts, **how):
        if drafts[0].kind == "interrupted":
            bench.decisions.cancel(bench.press(OPERATOR, waiting))
        return append_together(*drafts, **how)

    monkeypatch.setattr(bench.ledger, "append_together", after_a_press)
    await bench.runner.tick()
    while "intent" not in bench.kinds(waiting):  # noqa: ASYNC110 - another task writes it
        await asyncio.sleep(0.001)
    urgent = await bench.approved()
    while bench.ledger.ticket(urgent).state != "ended":
        await bench.runner.tick()
        await asyncio.sleep(0.001)
    kinds = bench.kinds(waiting)
    assert kinds[kinds.index("interrupted") - 1] == "cancel-asked"  # the bot may have let it go on by now
    world.hosts["hv03"]["broken"] = "no"
    await bench.runs(2)
    assert bench.ledger.ticket(waiting).state == "ended"
    assert ("hv03", "set", "yes") not in world.order[len(REACHED) :]
    assert bench.last(waiting).kind == "cancelled"


async def test_undo_of_an_interrupted_ticket_takes_over_its_locks_and_closes_it(bench, world, clock):
    world.faults = [None, "never"]
    ticket = await bench.approved()
    await bench.runs()
    clock.forward(seconds=120)  # what was sent cannot be under way any longer
    undo = await bench.proposals.undo(Request(BOTH, f"undo {ticket}", "button", "C0OPS"), ticket)
    assert undo.proposal.made.line == f"undo {ticket}"
    assert "Not undone: Restart vmms on hv03" in undo.proposal.plan.reason
    bench.decisions.approve(bench.press(APPROVER, undo.ticket))
    await bench.runs()
    assert bench.last(undo.ticket).kind == "done"
    assert bench.last(ticket).kind == "closed"
    assert bench.last(ticket).data.reason == f"undone by {undo.ticket}"
    assert world.hosts["hv03"]["paused"] == "no"
    assert bench.ledger.locks() == {}


@pytest.mark.parametrize("end", ["failed", "cancelled"])
async def test_an_undo_that_ends_otherwise_gives_the_lock_back_to_what_is_half_done(bench, world, clock, end):
    world.faults = [None, "never"]
    ticket = await bench.approved()
    await bench.runs()
    waiting = await bench.approved("/tweak hv03", approver=OPERATOR)
    clock.forward(seconds=120)  # what was sent cannot be under way any longer
    undo = (await bench.proposals.undo(Request(BOTH, f"undo {ticket}", "button", "C0OPS"), ticket)).ticket
    bench.decisions.approve(bench.press(APPROVER, undo))
    if end == "failed":
        world.faults = ["refused"]
    else:
        world.logins[len(world.order)] = lambda: bench.decisions.cancel(bench.press(OPERATOR, undo))
    await bench.runs()
    assert bench.last(undo).kind == end
    assert bench.ledger.locks() == {"node:hv03": ticket}
    await bench.runs(3)
    assert bench.kinds(waiting)[-1] == "approved"  # it waits on
    assert bench.ledger.verify().holds
    if end == "failed":  # an act of the undo went out, and nobody knows what a refused one has done
        with pytest.raises(TicketError, match=rf"{ticket} cannot go on: {undo} has begun to take it back"):
            bench.decisions.resume(bench.press(APPROVER, ticket))
    else:
        bench.decisions.resume(bench.press(APPROVER, ticket))
        await bench.runs()
    assert bench.kinds(ticket).count("resumed") == (end == "cancelled")
    bench.decisions.close(bench.press(OPERATOR, ticket), "checked by hand")
    assert bench.ledger.locks() == {}
    await bench.runs(2)
    assert bench.last(waiting).kind == "done"


async def test_a_ticket_of_which_a_part_was_taken_back_does_not_go_on(bench, world, clock):
    """It would do its later steps where the earlier ones do not stand any more, and say that all are done."""
    steps = (taken_back("a"), taken_back("b"), step("c", "hv03", c="1"))
    bench.plans["reset"] = lambda on, _facts: simple(on, *steps)
    world.faults = [None, None, "never"]
    ticket = await bench.approved()
    await bench.runs()
    clock.forward(seconds=120)  # what was sent cannot be under way any longer
    undo = (await bench.proposals.undo(Request(BOTH, f"undo {ticket}", "button", "C0OPS"), ticket)).ticket
    bench.decisions.approve(bench.press(APPROVER, undo))
    world.hooks[len(world.order) + 1] = lambda: bench.decisions.cancel(bench.press(OPERATOR, undo))
    await bench.runs(2)
    assert bench.last(undo).kind == "cancelled"
    assert [world.hosts["hv03"][name] for name in "ab"] == ["1", "0"]
    with pytest.raises(TicketError, match=rf"{ticket} cannot go on: {undo} has begun to take it back"):
        bench.decisions.resume(bench.press(APPROVER, ticket))
    again = (await bench.proposals.undo(Request(BOTH, f"undo {ticket}", "button", "C0OPS"), ticket)).ticket
    bench.decisions.approve(bench.press(APPROVER, again))
    await bench.runs(2)
    assert (bench.last(again).kind, bench.last(ticket).kind) == ("done", "closed")
    assert [world.hosts["hv03"][name] for name in "ab"] == ["0", "0"]


async def test_the_bot_lets_nothing_go_on_of_which_a_part_was_taken_back(bench, world):
    soak = Step("soak", "Soak", None, (is_now("hv03", 5 * 86400, calm="yes"),), preemptible=True)
    steps = (taken_back("a"), taken_back("b"), soak, step("d", "hv03", d="1"))
    bench.plans["soak"] = lambda on, _facts: simple(on, *steps)
    bench.planner._registry.commands["soak"] = command("soak", partial(bench._plan, "soak"))
    bench.plans["tweak"] = lambda on, _facts: simple(on, step("tweak", "hv04", tweaked="yes"))

    async def sweep(ticket, state):
        while bench.ledger.ticket(ticket).state != state:
            await bench.runner.tick()
            await asyncio.sleep(0.001)

    waiting = await bench.approved("/soak hv03")
    await bench.runner.tick()
    while bench.kinds(waiting).count("intent") < 3:  # noqa: ASYNC110 - another task writes it
        await asyncio.sleep(0.001)
    world.faults = ["never"]
    urgent = await bench.approved("/tweak hv03", approver=OPERATOR)
    await sweep(urgent, "interrupted")
    undo = (await bench.proposals.undo(Request(BOTH, f"undo {waiting}", "button", "C0OPS"), waiting)).ticket
    bench.decisions.approve(bench.press(APPROVER, undo))
    bench.decisions.close(bench.press(OPERATOR, urgent), "so be it")
    world.hooks[len(world.order) + 1] = lambda: bench.decisions.cancel(bench.press(OPERATOR, undo))
    await sweep(undo, "ended")
    world.hosts["hv03"]["calm"] = "yes"
    await bench.runs(3)
    assert bench.last(waiting).kind == "interrupted"
    assert world.hosts["hv03"].get("d") is None
    assert any(one.ticket == waiting and f"{undo} has begun to take it back" in one.says for one in bench.told)


@pytest.mark.parametrize("keys", ["b", "ab"])
async def test_what_was_sent_once_is_taken_back_although_it_was_held_back_when_it_was_begun_again(
    bench, world, clock, keys
):
    """It did not show in time, and came later: whether it did, its undo finds out."""
    world.hosts["hv03"] |= dict.fromkeys(keys, "0")
    steps = [replace(taken_back(key), before=state("hv03"), repeatable=True) for key in keys]
    bench.plans["reset"] = lambda on, _facts: simple(on, *steps)
    world.faults = [None] * (len(keys) - 1) + [("late", 600)]
    world.logins[len(keys)] = lambda: bench.decisions.cancel(bench.press(OPERATOR, "T-1"))
    ticket = await bench.approved()
    await bench.runs()
    story = bench.ledger.story(ticket)
    told = [one.data.result for one in story if one.kind == "outcome" and one.data.step == "b"]
    assert (told, story[-1].kind) == (["not sent", "abandoned"], "cancelled")
    assert any("*Sent, effect not seen:* b" in line for line in half_done(read_card(bench.ledger, ticket)))
    clock.forward(seconds=900)
    assert world.rows("hv03")[0]["b"] == "1"
    undo = await bench.planner.undo(ticket)
    assert [one.key for one in undo.plan.steps] == [f"undo-{key}" for key in reversed(keys)]


@pytest.mark.parametrize("second", ["refused", "lost", "not ready"])
async def test_a_transaction_that_was_sent_once_is_taken_back_although_it_was_refused_the_second_time(
    bench, world, clock, second
):
    """The answer to its commit was lost, it did not show in time, and it came later."""
    row = RowTransaction("hv03", "db", (Update("t", make_params(id="1"), make_params(b="0"), make_params(b="1")),))
    more = {"before": state("hv03"), "guard": (is_now("hv04", ready="yes"),), "repeatable": True}
    bench.plans["reset"] = lambda on, _facts: simple(on, replace(taken_back("b", row), **more))
    world.add("hv04")
    world.hosts["hv03"] |= {"b": "0"}
    world.hosts["hv04"] |= {"ready": "yes"}
    world.faults = [OutcomeUnknown("hv03", "the connection ended while it was committed."), second]

    def cut_off():
        world.later.append((clock() + timedelta(seconds=600), "hv03", {"b": "1"}))
        if second == "not ready":
            world.hosts["hv04"]["ready"] = "no"

    world.logins[0] = cut_off
    ticket = await bench.approved()
    await bench.runs()
    (outcome,) = [entry.data for entry in bench.ledger.entries(ticket=ticket, kind="outcome")]
    assert (outcome.result, outcome.not_executed) == ("failed", False)
    clock.forward(seconds=900)
    assert world.rows("hv03")[0]["b"] == "1"
    undo = await bench.planner.undo(ticket)
    assert [one.key for one in undo.plan.steps] == ["undo-b"]


async def test_undo_of_what_is_done_compares_with_the_image_from_before(bench, world):
    def changed(on, _facts):
        one = Step(
            "set",
            "Set",
            set_to(on, instance="7"),
            (is_now(on, instance="7"),),
            before=state(on),
            undo=set_to(on, instance="1"),
        )
        return simple(on, one)

    bench.plans["reset"] = changed
    ticket = await bench.approved()
    await bench.runs()
    undo = await bench.proposals.undo(Request(OPERATOR, f"undo {ticket}", "button", "C0OPS"), ticket)
    assert undo.proposal.plan.steps[0].done[0].holds == (CompareToBefore("set"),)
    bench.decisions.approve(bench.press(APPROVER, undo.ticket))
    await bench.runs()
    assert bench.last(undo.ticket).kind == "done"
    assert world.hosts["hv03"]["instance"] == "1"


def sleeping(bench, do):
    """Call something after each piece of waiting."""
    sleep = bench.clock.sleep

    async def sleep_and_do(seconds):
        await sleep(seconds)
        do()

    object.__setattr__(bench.parts, "sleep", sleep_and_do)


@pytest.mark.parametrize("seen_late", [False, True])
async def test_what_is_begun_again_waits_for_go_and_is_begun_once(bench, world, monkeypatch, seen_late):
    """Stop comes while it is found out that a step has not happened; or between the last glance and the intent."""
    ticket = await bench.approved()
    change, stopped, blocked, waited = world.change, bench.ledger.is_stopped, bench.ledger.why_blocked, []

    async def lost_and_stopped(action, seconds):
        if not world.order and not waited and not stopped():
            bench.decisions.stop_changes(OPERATOR, "power work")
            world.faults = ["lost"]
        return await change(action, seconds)

    def glance():
        if seen_late and bench.kinds(ticket).count("resumed") == 1:
            return ""
        return blocked()

    def go_after_a_while():
        if stopped() and bench.kinds(ticket)[-1] == "resumed":
            waited.append(bench.kinds(ticket).count("resumed"))
            if len(waited) == 3:
                bench.decisions.allow_changes(APPROVER)

    monkeypatch.setattr(world, "change", lost_and_stopped)
    monkeypatch.setattr(bench.ledger, "why_blocked", glance)
    sleeping(bench, go_after_a_while)
    async with asyncio.timeout(20):
        await bench.runs()
    assert bench.last(ticket).kind == "done"
    assert waited == [1 + seen_late] * 3
    assert bench.kinds(ticket).count("resumed") == 1 + seen_late
    assert world.order == REACHED


async def test_a_cancel_while_what_is_begun_again_waits_for_go_leaves_it_undone(bench, world, monkeypatch):
    ticket, change = await bench.approved(), world.change

    async def lost_and_stopped(action, seconds):
        if action.what == "set" and not bench.ledger.is_stopped():
            bench.decisions.stop_changes(OPERATOR, "power work")
            world.faults = ["lost"]
        return await change(action, seconds)

    def cancel():
        if bench.kinds(ticket)[-1] == "resumed":
            bench.decisions.cancel(bench.press(OPERATOR, ticket))

    monkeypatch.setattr(world, "change", lost_and_stopped)
    sleeping(bench, cancel)
    async with asyncio.timeout(20):
        await bench.runs()
    assert bench.kinds(ticket)[-2:] == ["outcome", "cancelled"]
    (outcome,) = bench.ledger.entries(ticket=ticket, kind="outcome")
    assert outcome.data.result == "abandoned"
    assert world.order == []


async def test_a_stop_between_the_last_glance_and_the_intent_begins_nothing_and_go_goes_on(bench, world, monkeypatch):
    ticket, answer, waits = await bench.approved(), world.answer, []

    async def answer_and_stop(*told):
        if bench.kinds(ticket)[-1] == "started" and not waits and not bench.ledger.is_stopped():
            bench.decisions.stop_changes(OPERATOR, "power work")  # while the guard is asked
        return await answer(*told)

    def go_after_a_while():
        waits.append(bench.kinds(ticket)[-1])
        if len(waits) == 3:
            bench.decisions.allow_changes(APPROVER)

    monkeypatch.setattr(world, "answer", answer_and_stop)
    sleeping(bench, go_after_a_while)
    await bench.runs()
    assert waits[:3] == ["started"] * 3
    assert bench.last(ticket).kind == "done"
    assert world.order == REACHED


async def test_the_host_of_an_act_is_found_before_it_is_acted_on(bench, world, monkeypatch):
    """After a restart nobody has asked the cluster yet which nodes it has, and the plan is not made afresh."""
    found = []

    async def resolve(*hosts):
        found.extend((host, len(world.order)) for host in hosts)
        return ()

    far = Step("it", "It", set_to("hv04", a="1"), (is_now("hv03", locked="no"),))
    bench.plans["reset"] = lambda on, _facts: simple(on, far)
    ticket = await bench.approved()
    monkeypatch.setattr(bench.planner, "resolve_hosts", resolve)
    left(bench, ticket)
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    assert ("hv04", 0) in found


@pytest.mark.parametrize("comes", [40, 200])
async def test_a_guard_is_waited_for_as_long_as_it_says(bench, world, clock, comes):
    guarded = replace(step("a", "hv03", a="1"), guard=(is_now("hv03", 100, locked="no"),))
    bench.plans["reset"] = lambda on, _facts: simple(on, guarded)
    ticket, began = await bench.approved(), clock()
    world.hosts["hv03"]["locked"] = "yes"
    world.later = [(began + timedelta(seconds=comes), "hv03", {"locked": "no"})]
    await bench.runs()
    assert bench.last(ticket).kind == ("done" if comes < 100 else "failed")
    assert (clock() - began).total_seconds() == min(comes, 100)
    assert len(world.order) == (comes < 100)


async def test_cancelled_between_two_steps_of_a_group_writes_nothing_of_the_second(bench, world):
    bench.plans["reset"] = lambda on, _facts: simple(on, step("a", on, a="1"), step("b", on, b="1"))
    ticket = await bench.approved()
    world.hooks[1] = lambda: bench.decisions.cancel(bench.press(OPERATOR, ticket))
    await bench.runs()
    assert bench.kinds(ticket)[-4:] == ["intent", "cancel-asked", "outcome", "cancelled"]
    assert bench.last(ticket).fields["reason"] == "cancelled at step 2, before: b hv03"
    assert bench.last(ticket).fields["number"] == 2


@pytest.mark.parametrize("end", ["done", "interrupted"])
async def test_an_actor_has_its_deadline_and_a_little_more(bench, world, monkeypatch, end):
    change = world.change
    hangs, grace = {"done": (0.1, 5), "interrupted": (30, 0.1)}[end]

    async def slow(action, seconds):
        if action.what == "set":
            await asyncio.sleep(hangs)
        return await change(action, seconds)

    monkeypatch.setattr(world, "change", slow)
    monkeypatch.setattr("bot.executor.step._GRACE", grace)
    bench.plans["reset"] = lambda on, _facts: simple(on, step("a", on, deadline=1, within=0, a="1"))
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == end
    if end == "interrupted":
        assert "no answer in 1 s" in bench.last(ticket).fields["reason"]


async def test_a_bot_that_leaves_waits_for_an_act_and_for_nothing_else(bench, world):
    bench.plans["reset"] = lambda on, _facts: simple(on, step("a", on, within=3600, b="1"))
    world.faults = [("slow", 60)]
    ticket, idle = await bench.approved(), []
    world.hooks[1] = lambda: idle.append(("acts", bench.runner._runs[ticket].idle.is_set()))
    sleeping(bench, lambda: idle.append(("waits", bench.runner._runs[ticket].idle.is_set())))
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    assert idle[0] == ("acts", False)
    assert set(idle[1:]) == {("waits", True)}


ROW = RowTransaction("hv03", "db", (Update("t", make_params(id="1"), make_params(a="0"), make_params(a="1")),))
HELD = (is_now("hv03", a="1"),)
NEVER = (is_now("hv03", b="1", give_up=Expect()),)


@pytest.mark.parametrize(
    ("one", "fault", "result", "more"),
    [
        (Step("it", "It", set_to("hv03", a="1"), HELD), None, "done", {"event_log_note", "measured", "basis"}),
        (
            Step("it", "It", set_to("hv03", a="1"), HELD, before=state("hv03")),
            None,
            "done",
            {"event_log_note", "after", "measured", "basis"},
        ),
        (Step("it", "It", set_to("hv03", a="1"), NEVER), None, "failed", {"event_log_note", "measured"}),
        (Step("it", "It", set_to("hv03", a="1"), HELD), "refused", "failed", {"measured"}),
        (Step("it", "It", None, (is_now("hv03", a=""),)), None, "failed", {"measured"}),
        (Step("it", "It", None, (is_now("hv03", locked="no"),)), None, "done", {"measured"}),
        (Step("it", "It", ROW, HELD), None, "done", {"event_log_note", "measured", "basis"}),
        (Step("it", "It", ROW, NEVER), None, "failed", {"event_log_note", "measured"}),
        (Step("it", "It", ROW, HELD), "refused", "failed", {"not_executed", "measured"}),
    ],
)
async def test_what_an_outcome_says_beside_its_result(bench, world, one, fault, result, more):  # noqa: PLR0917
    """Only what was sent is noted over there, and only a refused transaction has surely touched nothing."""
    bench.plans["reset"] = lambda on, _facts: simple(on, one)
    world.faults = [fault]
    ticket = await bench.approved()
    await bench.runs()
    (outcome,) = bench.ledger.entries(ticket=ticket, kind="outcome")
    always = {"rules_version", "step", "round", "attempt", "result", "message", "reply", "evidence"}
    assert outcome.fields["result"] == result
    assert outcome.fields.keys() - always == more
    assert outcome.fields.get("not_executed", True) is True


async def test_a_reply_is_repeated_up_to_a_length(bench, world, monkeypatch):
    change = world.change

    async def talkative(action, seconds):
        return replace(await change(action, seconds), raw="x" * 3_000)

    monkeypatch.setattr(world, "change", talkative)
    bench.plans["reset"] = lambda on, _facts: simple(on, step("a", on, a="1"))
    ticket = await bench.approved()
    await bench.runs()
    (outcome,) = bench.ledger.entries(ticket=ticket, kind="outcome")
    assert outcome.fields["reply"] == "x" * 2_000


def repeatable(**values):
    return replace(step("it", "hv03", **values), before=state("hv03"), repeatable=True)


async def test_what_a_life_before_has_done_is_neither_noted_nor_begun_again(bench, world):
    bench.plans["reset"] = lambda on, _facts: simple(on, repeatable(a="1"))
    ticket = await bench.approved()
    bench.ledger.append("bot", entry_data("started", {"locks": ["node:hv03"], "attempt": 1}), ticket)
    before = [dict(world.hosts["hv03"])]
    bench.ledger.append("bot", entry_data("intent", {"step": "it", "round": 1, "attempt": 1, "before": before}), ticket)
    world.hosts["hv03"]["a"] = "1"
    await bench.runs()
    (outcome,) = bench.ledger.entries(ticket=ticket, kind="outcome")
    assert (bench.last(ticket).kind, outcome.fields["result"]) == ("done", "done")
    assert "event_log_note" not in outcome.fields
    assert (world.order, world.notes) == ([], [])


async def test_what_holds_is_not_begun_again_though_all_is_as_it_was_before(bench, world):
    world.hosts["hv03"]["a"] = "1"
    world.faults = ["lost"]
    bench.plans["reset"] = lambda on, _facts: simple(on, repeatable(a="1"))
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    assert bench.kinds(ticket).count("intent") == 1


async def test_what_is_neither_done_nor_as_it_was_before_is_not_begun_again(bench, world):
    """It may be half done: only what was surely not touched is begun again."""
    bench.plans["reset"] = lambda on, _facts: simple(on, repeatable(a="1"))
    ticket = await bench.approved()
    before = [dict(world.hosts["hv03"])]
    bench.ledger.append("bot", entry_data("started", {"locks": ["node:hv03"], "attempt": 1}), ticket)
    bench.ledger.append("bot", entry_data("intent", {"step": "it", "round": 1, "attempt": 1, "before": before}), ticket)
    world.hosts["hv03"]["a"] = "half"
    await bench.runs()
    assert (bench.last(ticket).kind, world.order) == ("interrupted", [])
    assert bench.kinds(ticket).count("intent") == 1


async def test_what_has_no_before_image_in_the_ledger_is_not_begun_again(bench, world):
    bench.plans["reset"] = lambda on, _facts: simple(on, repeatable(a="1"))
    ticket = await bench.approved()
    bench.ledger.append("bot", entry_data("started", {"locks": ["node:hv03"], "attempt": 1}), ticket)
    bench.ledger.append(
        "bot", entry_data("intent", {"step": "it", "round": 1, "attempt": 1, "description": ""}), ticket
    )
    await bench.runs()
    last = bench.last(ticket)
    assert (last.kind, last.fields["known"]) == (
        "interrupted",
        "hvops did not see how the action ended; a is empty, not 1",
    )
    assert world.order == []


def left(bench, ticket, *moves):
    """As a killed bot left it: ("intent", step), ("outcome", step, result) and so on, in its first attempt."""
    bench.ledger.append("bot", entry_data("started", {"locks": ["node:hv03"], "attempt": 1}), ticket)
    for kind, key, *result in moves:
        more = {"result": result[0], "message": "it said so"} if result else {}
        bench.ledger.append("bot", entry_data_of(kind, {"step": key, "round": 1, "attempt": 1, **more}), ticket)


async def killed(bench, *moves, on_failure="stop"):
    """A ticket of three steps, each with a way back, left so; and then taken up."""
    steps = tuple(taken_back(key) for key in "abc")
    plan = Plan("why", "", "", ("node:hv03",), (), (Group("all", steps, on_failure=on_failure),))
    bench.plans["reset"] = lambda _on, _facts: plan
    ticket = await bench.approved()
    left(bench, ticket, *moves)
    await bench.runs()
    return bench.last(ticket)


A_DONE = (("intent", "a"), ("outcome", "a", "done"))


@pytest.mark.parametrize(
    ("result", "kind", "why"),
    [
        ("failed", "failed", "step 2, b: it said so"),
        ("abandoned", "cancelled", "cancelled at step 2, it said so"),
    ],
)
async def test_what_had_ended_before_a_crash_ends_the_ticket_after_it(bench, world, result, kind, why):
    last = await killed(bench, *A_DONE, ("intent", "b"), ("outcome", "b", result))
    assert (last.kind, last.fields["reason"], last.fields["step"], last.fields["number"]) == (kind, why, "b", 2)
    assert world.order == []


async def test_what_was_done_before_a_crash_is_not_done_again(bench, world):
    last = await killed(bench, *A_DONE)
    assert (last.kind, last.fields["message"]) == ("done", "all 3 steps are done")
    assert [value for *_, value in world.order] == ["1", "1"]
    kinds = bench.kinds("T-1")
    assert kinds[3:6] == ["intent", "outcome", "resumed"]
    (resumed,) = bench.ledger.entries(ticket="T-1", kind="resumed")
    assert (resumed.fields["attempt"], resumed.fields["reason"]) == (2, "hvops had stopped working on it")


async def test_what_a_person_lets_go_on_is_that_attempt_and_no_other(bench, world):
    steps = tuple(taken_back(key) for key in "ab")
    bench.plans["reset"] = lambda _on, _facts: Plan("why", "", "", ("node:hv03",), (), (Group("all", steps),))
    ticket = await bench.approved()
    left(bench, ticket, *A_DONE)
    bench.ledger.append("bot", entry_data("interrupted", {"step": "b", "reason": "reason"}), ticket)
    bench.decisions.resume(bench.press(APPROVER, ticket))
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    assert bench.kinds(ticket).count("resumed") == 1
    assert {one.fields["attempt"] for one in bench.ledger.entries(ticket=ticket, kind="intent")} == {1, 2}


TAKING_BACK = (*A_DONE, ("intent", "b"), ("outcome", "b", "failed"))
BACK = "step 2, b: it said so. The steps of its group were undone"


@pytest.mark.parametrize(
    ("more", "undone"),
    [
        ((), ["b", "a"]),
        ((("intent", "undo-b"), ("outcome", "undo-b", "done")), ["a"]),
        (
            (("intent", "undo-b"), ("outcome", "undo-b", "done"), ("intent", "undo-a"), ("outcome", "undo-a", "done")),
            [],
        ),
    ],
)
async def test_what_was_being_taken_back_at_a_crash_is_taken_back_to_its_end(bench, world, more, undone):
    world.hosts["hv03"] |= {"a": "1", "b": "1"}
    last = await killed(bench, *TAKING_BACK, *more, on_failure="undo")
    assert (last.kind, last.fields["reason"], last.fields["number"], last.fields["rolled_back"]) == (
        "failed",
        BACK,
        2,
        True,
    )
    assert [dict(one[2]) for one in world.acts] == [{key: "0"} for key in undone]
    assert bench.ledger.locks() == {}


async def test_what_cannot_be_taken_back_is_left_to_a_person_with_its_locks(bench, world):
    world.hosts["hv03"] |= {"a": "1", "b": "1"}
    world.faults = ["refused"]
    last = await killed(bench, *TAKING_BACK, on_failure="undo")
    assert (last.kind, last.fields["yields_locks"]) == ("interrupted", False)
    assert last.fields["reason"].startswith("the undo did not finish: Undo: b: ")
    assert bench.ledger.locks() == {"node:hv03": "T-1"}
    assert world.order == []


async def test_an_undo_that_failed_and_was_begun_again_is_asked_about_after_a_crash_and_not_sent_a_third_time(
    bench, world
):
    """It has happened by then, and nobody wrote that down."""
    world.hosts["hv03"] |= {"a": "1", "b": "0"}
    groups = (Group("all", (taken_back("a"), taken_back("b")), on_failure="undo"),)
    bench.plans["reset"] = lambda _on, _facts: Plan("why", "", "", ("node:hv03",), (), groups)
    ticket = await bench.approved()
    left(bench, ticket, *TAKING_BACK, ("intent", "undo-b"), ("outcome", "undo-b", "failed"))
    bench.ledger.append("bot", entry_data("interrupted", {"step": "undo-b", "reason": "reason"}), ticket)
    bench.decisions.resume(bench.press(APPROVER, ticket))
    bench.ledger.append("bot", entry_data_of("intent", {"step": "undo-b", "round": 1, "attempt": 2}), ticket)
    await bench.runs()
    assert (bench.last(ticket).kind, bench.last(ticket).fields["reason"]) == ("failed", BACK)
    assert [dict(one[2]) for one in world.acts] == [{"a": "0"}]


def fails_undone(on, _facts):
    """The undo of its first step says itself that it failed, once it is sent."""
    failed = Expect((Predicate("drain", "=", "failed"),))
    undone = (is_now(on, 30, failed, a="0"),)
    first = replace(taken_back("a"), undo=set_to(on, drain="failed"), undone=undone)
    return Plan("why", "", "", ("node:hv03",), (), (Group("all", (first, step("b", on, b="1")), on_failure="undo"),))


@pytest.mark.parametrize("dies", ["before the interruption", "before the interruption, three times", "as it leaves"])
async def test_an_undo_that_was_sent_and_failed_is_sent_again_by_a_persons_decision_alone(
    bench, world, monkeypatch, dies
):
    bench.plans["reset"] = fails_undone
    ticket = await bench.approved()
    world.faults = [None, "refused"]
    append, killed, loop = bench.ledger.append_together, [], asyncio.get_running_loop()
    lives = 3 if "three" in dies else 1

    def leaves():
        bench.runner._tasks[ticket].cancel()
        killed[0].set()

    def writes(*drafts, **how):
        if drafts[0].kind == "interrupted" and len(killed) < lives:
            killed.append(threading.Event())
            raise LedgerError("the process is killed here")
        if dies == "as it leaves" and drafts[0].kind == "outcome" and drafts[0].data.step == "undo-a" and not killed:
            killed.append(threading.Event())
            loop.call_soon_threadsafe(leaves)
            assert killed[0].wait(10)
        return append(*drafts, **how)

    monkeypatch.setattr(bench.ledger, "append_together", writes)
    for _ in range(lives):
        await bench.runs()
        assert bench.kinds(ticket)[-1] != "interrupted"
        await bench.dies()
    await bench.runs(2)
    last = bench.last(ticket)
    assert (last.kind, last.data.step) == ("interrupted", "undo-a")
    assert last.reason.startswith("the undo did not finish: Undo: a: ")
    assert len(world.order) == 2, "a, and its undo once"
    for sent in (3, 4):  # someone lets it go on: it is sent once more for each of that, also where the bot dies again
        world.hosts["hv03"]["drain"] = ""
        bench.decisions.resume(bench.press(APPROVER, ticket))
        await bench.dies()
        await bench.runs(2)
        assert (bench.last(ticket).kind, len(world.order)) == ("interrupted", sent)


async def test_an_undo_that_someone_let_go_on_and_that_was_held_back_is_sent_after_go(bench, world):
    bench.plans["reset"] = fails_undone
    ticket = await bench.approved()
    world.faults = [None, "refused"]
    await bench.runs(2)
    assert (bench.last(ticket).kind, len(world.order)) == ("interrupted", 2)
    world.hosts["hv03"] |= {"drain": "", "a": "1"}
    world.logins[2] = lambda: bench.decisions.stop_changes(OPERATOR, "power work")
    bench.decisions.resume(bench.press(APPROVER, ticket))
    await dies_once(bench, ticket, "outcome", "undo-a")
    assert bench.last(ticket).data.result == "not sent"
    bench.decisions.allow_changes(APPROVER)
    await bench.runs(2)
    assert (bench.last(ticket).kind, len(world.order)) == ("interrupted", 3)


async def dies_once(bench, ticket, kind, key):
    """The bot is killed as soon as that entry stands; then it is begun anew."""
    stands, tell = asyncio.Event(), bench.parts.tell

    def tells(told):
        tell(told)
        last = bench.last(ticket)
        if (last.kind, last.fields.get("step")) == (kind, key):
            stands.set()

    object.__setattr__(bench.parts, "tell", tells)
    await bench.runner.tick()
    async with asyncio.timeout(20):
        await stands.wait()
    await bench.dies()
    object.__setattr__(bench.parts, "tell", tell)


@pytest.mark.parametrize("kind", ["intent", "outcome"])
@pytest.mark.parametrize("key", ["undo-b", "undo-a"])
async def test_which_step_failed_and_why_is_known_after_a_crash_too(bench, world, kind, key):
    """Its guard failed: it was not begun, so no outcome of it tells anything."""
    last = replace(taken_back("c"), guard=(is_now("hv03", locked="never"),))
    groups = (Group("all", (taken_back("a"), taken_back("b"), last), on_failure="undo"),)
    bench.plans["reset"] = lambda _on, _facts: Plan("why", "", "", ("node:hv03",), (), groups)
    ticket = await bench.approved()
    await dies_once(bench, ticket, kind, key)
    world.hosts["hv03"][key.removeprefix("undo-")] = "0"  # it went out in the very moment
    await bench.runs(2)
    ended = bench.last(ticket).data
    assert (ended.step, ended.number, ended.rolled_back) == ("c", 3, True)
    assert ended.reason == "step 3, c: not started: locked is no, not never. The steps of its group were undone"
    assert {name: world.hosts["hv03"][name] for name in "ab"} == {"a": "0", "b": "0"}
    (why, *_) = [
        line for one in history_of(bench.ledger.story(ticket)) for line in one.lines if line[0] == "Undone because"
    ]
    assert why == ("Undone because", "not started: locked is no, not never")


def without_undo(key, on="hv03"):
    return step(key, on, **{key: "1"})


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("undoes", [True, False])
async def test_what_has_no_undo_and_stays_is_named(bench, world, undoes, dies):
    """A package that was added, a service that was stopped: whoever reads it does not believe that all is as it was."""
    first = taken_back("a") if undoes else without_undo("a")
    wait = Step("wait", "Wait", None, (is_now("hv03", locked="no"),))
    steps = (first, wait, without_undo("b"), taken_back("c"))
    bench.plans["reset"] = lambda _on, _facts: Plan(
        "why", "", "", ("node:hv03",), (), (Group("all", steps, on_failure="undo"),)
    )
    ticket = await bench.approved()
    world.faults = [None, None, "refused"]
    if dies:
        await dies_once(bench, ticket, "outcome", "undo-c")
    await bench.runs(2)
    ended = bench.last(ticket).data
    stays = ("b hv03",) if undoes else ("a hv03", "b hv03")
    assert (ended.kind, ended.rolled_back, ended.not_undone) == ("failed", False, stays)
    assert ended.reason.endswith(f". The other steps of its group were undone. Not undone: {'; '.join(stays)}")
    assert world.hosts["hv03"]["a"] == ("0" if undoes else "1")
    card = json.dumps(ticket_message(read_card(bench.ledger, ticket)).blocks)
    assert f"*Not undone:* {'; '.join(stays)}" in card
    assert "undid the steps" not in card


async def test_where_nothing_has_an_undo_nothing_is_called_undone(bench, world):
    steps = (without_undo("a"), replace(without_undo("b"), guard=(is_now("hv03", locked="yes"),)))
    bench.plans["reset"] = lambda _on, _facts: Plan(
        "why", "", "", ("node:hv03",), (), (Group("all", steps, on_failure="undo"),)
    )
    ticket = await bench.approved()
    await bench.runs()
    ended = bench.last(ticket).data
    assert (ended.kind, ended.rolled_back, ended.not_undone) == ("failed", False, ("a hv03",))
    assert ended.reason == "step 2, b hv03: not started: locked is no, not yes. Not undone: a hv03"


async def test_what_a_later_step_has_put_back_is_not_called_left(bench, world):
    back = replace(without_undo("b"), reverts=("a",))
    last = replace(taken_back("c"), guard=(is_now("hv03", locked="yes"),))
    bench.plans["reset"] = lambda _on, _facts: Plan(
        "why", "", "", ("node:hv03",), (), (Group("all", (taken_back("a"), back, last), on_failure="undo"),)
    )
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).data.not_undone == ("b hv03",)


def guarded_group(on, _facts):
    """The second step of a group has a guard, and another group follows."""
    groups = (
        Group("all", (taken_back("a"), replace(taken_back("b"), guard=(is_now(on, locked="no"),))), on_failure="undo"),
        Group("more", (step("d", on, d="1"),)),
    )
    return Plan("why", "", "", ("node:hv03",), (), groups)


GUARD_FAILED = "step 2, b: not started: locked is yes, not no. The steps of its group were undone"


def locks_after(bench, world, ticket, key):
    """Somebody locks a guest once a step is done."""
    tell = bench.parts.tell

    def tells(told):
        tell(told)
        last = bench.last(ticket)
        if last.kind == "outcome" and (last.data.step, last.data.result) == (key, "done"):
            world.hosts["hv03"]["locked"] = "yes"

    object.__setattr__(bench.parts, "tell", tells)


@pytest.mark.parametrize("asks_to_stop", [False, True])
@pytest.mark.parametrize("dies", [False, True])
async def test_a_group_whose_guard_failed_is_undone_after_go_whatever_came_in_between(bench, world, dies, asks_to_stop):
    """The stop comes as its guard is read; what it says is no more by then."""
    bench.plans["reset"] = guarded_group
    ticket = await bench.approved()
    locks_after(bench, world, ticket, "a")
    answer, told, tell = world.answer, asyncio.Event(), bench.parts.tell

    async def answers(question, seconds=20.0):
        found = await answer(question, seconds)
        if found.rows[0].get("locked") == "yes" and not told.is_set() and not bench.ledger.is_stopped():
            bench.decisions.stop_changes(OPERATOR, "power work")
        return found

    def tells(change):
        tell(change)
        if "what failed is not undone until /hvops go" in change.says:
            told.set()

    world.answer = answers
    object.__setattr__(bench.parts, "tell", tells)
    bench.clock.is_held = True
    await bench.runner.tick()
    async with asyncio.timeout(20):
        await told.wait()
    if dies:
        await bench.dies()
    bench.clock.is_held = False
    world.hosts["hv03"]["locked"] = "no"
    assert STOP_STEP not in buttons_of(bench, ticket)
    if asks_to_stop:
        with pytest.raises(MovedOn, match=r"T-1 is undoing what failed, and finishes that"):
            bench.decisions.cancel(bench.press(OPERATOR, ticket))
    bench.decisions.allow_changes(APPROVER)
    await bench.runs(2)
    assert (bench.last(ticket).kind, bench.last(ticket).reason) == ("failed", GUARD_FAILED)
    assert (world.hosts["hv03"]["a"], len(world.order)) == ("0", 2)


async def test_a_group_whose_guard_failed_is_undone_when_someone_lets_it_go_on(bench, world):
    """Its first undo did not start; nothing of its group goes on forward once that can."""

    def plan(on, facts):
        made = guarded_group(on, facts)
        first, second = made.groups[0].steps
        first = replace(first, undo_guard=(is_now(on, free="yes"),))
        return replace(made, groups=(replace(made.groups[0], steps=(first, second)), made.groups[1]))

    bench.plans["reset"] = plan
    ticket = await bench.approved()
    locks_after(bench, world, ticket, "a")
    await bench.runs(2)
    assert (bench.last(ticket).kind, bench.last(ticket).data.step) == ("interrupted", "undo-a")
    world.hosts["hv03"] |= {"locked": "no", "free": "yes"}
    bench.decisions.resume(bench.press(APPROVER, ticket))
    await bench.runs(2)
    assert (bench.last(ticket).kind, bench.last(ticket).reason) == ("failed", GUARD_FAILED)
    assert (world.hosts["hv03"]["a"], len(world.order)) == ("0", 2)


async def test_a_group_is_undone_after_a_crash_too_where_its_first_undo_was_held_back(bench, world):
    bench.plans["reset"] = guarded_group
    ticket = await bench.approved()
    locks_after(bench, world, ticket, "a")
    world.logins[1] = lambda: bench.decisions.stop_changes(OPERATOR, "power work")
    await dies_once(bench, ticket, "outcome", "undo-a")
    assert bench.last(ticket).data.result == "not sent"
    world.hosts["hv03"]["locked"] = "no"
    bench.decisions.allow_changes(APPROVER)
    await bench.runs(2)
    assert (bench.last(ticket).kind, bench.last(ticket).reason) == ("failed", GUARD_FAILED)
    assert (world.hosts["hv03"]["a"], len(world.order)) == ("0", 2)


async def test_a_step_that_failed_before_it_was_begun_is_told_so(bench, world):
    bench.plans["reset"] = guarded_group
    ticket = await bench.approved()
    locks_after(bench, world, ticket, "a")
    await bench.runs(2)
    (told,) = [one for one in bench.ledger.story(ticket) if one.kind == "outcome" and one.data.step == "b"]
    assert (told.data.result, told.data.not_executed) == ("failed", True)
    message = entry_message(read_card(bench.ledger, ticket), told)
    assert "*Step 2 of 3, b: FAILED*.\\nnot started: locked is yes, not no" in json.dumps(message.blocks)
    assert "step 2, b: failed" in [one.says for one in history_of(bench.ledger.story(ticket))]
    assert (await bench.planner.undo(ticket)).plan.steps == ()


@pytest.mark.parametrize("more", ["newer record", "none"])
async def test_what_is_to_be_undone_waits_for_someone_where_an_external_record_knows_more(
    bench, world, monkeypatch, more
):
    """The last step of the plan failed: nothing is left to begin but the undo."""
    world.hosts["hv03"] |= {"a": "1", "b": "1"}
    groups = (Group("all", (taken_back("a"), taken_back("b")), on_failure="undo"),)
    bench.plans["reset"] = lambda _on, _facts: Plan("why", "", "", ("node:hv03",), (), groups)
    ticket = await bench.approved()
    left(bench, ticket, *TAKING_BACK)
    records = ticket_run.check_records

    async def knows(run, places):
        return replace(await records(run, places), more="the channel knows more" if more == "newer record" else "")

    monkeypatch.setattr(ticket_run, "check_records", knows)
    await bench.runs()
    if more == "none":
        assert (bench.last(ticket).kind, len(world.order)) == ("failed", 2)
    else:
        assert (bench.last(ticket).kind, bench.last(ticket).data.step, world.order) == ("interrupted", "b", [])


async def test_what_was_sent_once_is_taken_back_after_a_crash_too_where_its_guard_failed(bench, world):
    """It did not show, was begun again and held back, and then its guard failed: it may come late."""
    guarded = (is_now("hv04", locked="no"),)
    last = replace(taken_back("c"), guard=guarded, before=state("hv03"), repeatable=True)
    groups = (Group("all", (taken_back("a"), last), on_failure="undo"),)
    bench.plans["reset"] = lambda _on, _facts: Plan("why", "", "", ("node:hv03",), (), groups)
    ticket = await bench.approved()
    world.faults = [None, "lost"]

    def stops():
        bench.decisions.stop_changes(OPERATOR, "power work")
        world.hosts["hv04"]["locked"] = "yes"

    world.logins[1] = lambda: world.logins.update({1: stops})
    sleeping(bench, lambda: bench.ledger.is_stopped() and bench.decisions.allow_changes(APPROVER))
    await dies_once(bench, ticket, "outcome", "undo-c")
    await bench.runs(2)
    ended = bench.last(ticket).data
    assert (ended.step, ended.number, ended.rolled_back) == ("c", 2, True)
    assert "c: not started again: locked is yes, not no" in ended.reason
    undone = [
        one.data.step for one in bench.ledger.story(ticket) if one.kind == "outcome" and one.data.result == "done"
    ]
    assert undone == ["a", "undo-c", "undo-a"]


async def test_a_cancel_does_not_end_what_is_being_taken_back(bench, world):
    world.hosts["hv03"] |= {"a": "1", "b": "1"}
    bench.plans["reset"] = lambda _on, _facts: Plan(
        "why", "", "", ("node:hv03",), (), (Group("all", (taken_back("a"), taken_back("b")), on_failure="undo"),)
    )
    ticket = await bench.approved()
    left(bench, ticket, *TAKING_BACK)
    bench.ledger.append(OPERATOR.id, entry_data("cancel-asked", {"by": OPERATOR.id}), ticket)  # before it failed
    await bench.runs()
    assert (bench.last(ticket).kind, bench.last(ticket).fields["reason"]) == ("failed", BACK)


@pytest.mark.parametrize("loses_the_role", [False, True])
@pytest.mark.parametrize(
    "more",
    [(), (("intent", "undo-b"),), (("intent", "undo-b"), ("outcome", "undo-b", "done"))],
    ids=["owed", "in flight", "half done"],
)
async def test_a_cancel_does_not_end_what_is_left_to_take_back_after_a_crash(bench, world, more, loses_the_role):
    """Slack does not say for a moment who asked for it; and then that they may, or that they may not any more."""
    world.hosts["hv03"] |= {"a": "1", "b": "0" if more else "1"}
    steps = (taken_back("a"), taken_back("b"))
    groups = (Group("all", steps, on_failure="undo"), Group("more", (step("d", "hv03", d="1"),)))
    bench.plans["reset"] = lambda _on, _facts: Plan("why", "", "", ("node:hv03",), (), groups)
    ticket = await bench.approved()
    left(bench, ticket, *TAKING_BACK, *more)
    bench.ledger.append(OPERATOR.id, entry_data("cancel-asked", {"by": OPERATOR.id}), ticket)
    bench.now_are[OPERATOR.id] = RolesUnknown("Slack does not answer")
    waits = []

    def answers():
        waits.append(1)
        if len(waits) == 3:
            bench.now_are = {OPERATOR.id: replace(OPERATOR, roles={})} if loses_the_role else {}

    sleeping(bench, answers)
    await bench.runs()
    last = bench.last(ticket)
    if loses_the_role:
        assert (last.kind, bench.ledger.locks()) == ("interrupted", {"node:hv03": ticket})
        assert last.fields["step"] == ("undo-b" if len(more) == 1 else "b")
        assert world.order == []
    else:
        assert (last.kind, last.fields["reason"], last.fields["rolled_back"]) == ("failed", BACK, True)
        assert bench.world.rows("hv03")[0]["a"] == "0"
    assert len(waits) >= 3


@pytest.mark.parametrize("asked_before", [False, True])
@pytest.mark.parametrize(
    "more",
    [(), (("intent", "undo-b"),), (("intent", "undo-b"), ("outcome", "undo-b", "done"))],
    ids=["owed", "in flight", "half done"],
)
async def test_while_what_failed_is_undone_no_stop_is_offered_and_an_old_press_is_told_so(
    bench, world, more, asked_before
):
    groups = (Group("all", (taken_back("a"), taken_back("b")), on_failure="undo"),)
    bench.plans["reset"] = lambda _on, _facts: Plan("why", "", "", ("node:hv03",), (), groups)
    ticket = await bench.approved()
    left(bench, ticket, *TAKING_BACK[:3])
    assert STOP_STEP in buttons_of(bench, ticket)
    if asked_before:
        bench.decisions.cancel(bench.press(OPERATOR, ticket))
    for kind, key, *result in (*TAKING_BACK[3:], *more):
        told = {"result": result[0], "message": "it said so"} if result else {}
        bench.ledger.append("bot", entry_data_of(kind, {"step": key, "round": 1, "attempt": 1, **told}), ticket)
    card = ticket_message(read_card(bench.ledger, ticket))
    assert STOP_STEP not in buttons_of(bench, ticket)
    assert "it stops before its next action" not in json.dumps(card.blocks)
    with pytest.raises(MovedOn, match=r"T-1 is undoing what failed, and finishes that.*/hvops stop delays it"):
        bench.decisions.cancel(bench.press(OPERATOR, ticket))
    assert bench.kinds(ticket).count("cancel-asked") == asked_before
    world.hosts["hv03"] |= {"a": "1", "b": "0"}
    await bench.runs()
    assert (bench.last(ticket).kind, bench.last(ticket).fields["reason"]) == ("failed", BACK)


def buttons_of(bench, ticket):
    """The verbs that its card offers."""
    return re.findall(r'"hvops:([a-z-]+)', json.dumps(ticket_message(read_card(bench.ledger, ticket)).blocks))


async def test_a_plan_is_made_afresh_once_for_each_group(bench, world):
    made = []
    bench.plans["reset"] = lambda on, facts: made.append(len(world.order)) or reset_plan(on, facts)
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    assert made == [0, 0, 1, 2]  # to propose it, to start it, and before each group but the first


@pytest.mark.parametrize("how", ["cancel", "stop"])
async def test_between_two_groups_it_heeds_cancel_and_stop_before_it_looks_again(bench, world, how):
    ticket, made = await bench.approved(), []
    bench.plans["reset"] = lambda on, facts: made.append(bench.ledger.is_stopped()) or reset_plan(on, facts)

    def intervene():
        if how == "cancel":
            bench.decisions.cancel(bench.press(OPERATOR, ticket))
        else:
            bench.decisions.stop_changes(OPERATOR, "power work")

    world.hooks[1] = intervene
    waits = []
    sleeping(bench, lambda: waits.append(1) or (len(waits) == 3 and bench.decisions.allow_changes(APPROVER)))
    await bench.runs()
    if how == "cancel":
        assert bench.last(ticket).fields["reason"] == "cancelled at step 2, before any of it started"
        assert made == [False]
    else:
        assert bench.last(ticket).kind == "done"
        assert made == [False] * 3


async def test_the_only_step_is_called_so(bench):
    ticket = await bench.approved("/tweak hv03", approver=OPERATOR)
    await bench.runs()
    assert bench.last(ticket).fields["message"] == "the step is done"


BOUNDED = {  # what a killed bot had begun, and what its ticket ends as when it never becomes so
    "an act": (Step("it", "It", set_to("hv03", a="1"), (is_now("hv03", 120, b="1"),), deadline=30), 150, "interrupted"),
    "a wait": (Step("it", "It", None, (is_now("hv03", 120, b="1"),)), 120, "failed"),
    "a hand": (replace(by_hand("hv03", deadline=140), key="it"), 140, "failed"),
}


@pytest.mark.parametrize("away", [100, 1000])
@pytest.mark.parametrize("shape", BOUNDED)
async def test_after_a_crash_a_wait_counts_from_its_intent_not_from_the_restart(bench, world, clock, shape, away):
    """A bot that is restarted again and again would otherwise wait for ever."""
    one, patience, end = BOUNDED[shape]
    bench.plans["reset"] = lambda on, _facts: simple(on, one)
    ticket = await bench.approved()
    bench.ledger.append("bot", entry_data("started", {"locks": ["node:hv03"], "attempt": 1}), ticket)
    begun = clock()
    bench.ledger.append(
        "bot", entry_data("intent", {"step": "it", "round": 1, "attempt": 1, "description": ""}), ticket
    )
    clock.forward(seconds=away)
    await bench.runs()
    assert bench.last(ticket).kind == end
    assert (clock() - begun).total_seconds() == max(away, patience)
    # Nothing else was.
    assert ("did not see how the action ended" in str(bench.last(ticket).fields)) == (shape == "an act")
    assert world.order == []


async def test_a_bug_in_a_run_leaves_it_interrupted(bench, world, monkeypatch):
    async def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("bot.executor.ticket_run.do_step", broken)
    ticket = await bench.approved()
    await bench.runs(2)
    assert bench.kinds(ticket) == ["proposed", "approved", "started", "interrupted"]
    assert "something went wrong inside hvops" in bench.last(ticket).data.reason


async def test_an_expected_silence_is_waited_out_and_an_unexpected_one_is_unknown(bench, world, clock):
    def rebooting(silence):
        done = Check(state("hv04"), (Expect((Predicate("up", "=", "1"),)),), within=300, silence=silence)
        return Step("boot", "Boot", set_to("hv03", a="1"), (done,))

    for silence, kind in (("wait", "interrupted"), ("unknown", "interrupted")):
        bench.plans["reset"] = lambda on, _facts, silence=silence: simple(on, rebooting(silence))
        ticket = await bench.approved()
        world.silent.add("hv04")
        await bench.runs()
        assert bench.last(ticket).kind == kind
        bench.decisions.close(bench.press(OPERATOR, ticket), "seen to")
        clock.forward(seconds=120)  # what it sent can come until then, and the next one would wait
        world.silent.clear()
    bench.plans["reset"] = lambda on, _facts: simple(on, rebooting("wait"))
    ticket = await bench.approved()
    world.silent.add("hv04")
    world.hosts["hv04"]["up"] = "1"
    sleep = clock.sleep

    async def wakes(seconds):
        await sleep(seconds)
        world.silent.clear()

    object.__setattr__(bench.parts, "sleep", wakes)
    await bench.runs()
    assert bench.last(ticket).kind == "done"


async def test_a_ticket_that_cannot_be_read_does_not_keep_others_from_running(bench, monkeypatch):
    broken, sound = await bench.approved(), await bench.approved("/reset hv04")
    read = scheduler.proposal_of

    def unreadable(ledger, ticket):
        if ticket == broken:
            raise UnreadableEntry("not the plan that its digest signs", 1)
        return read(ledger, ticket)

    monkeypatch.setattr(scheduler, "proposal_of", unreadable)
    await bench.runs()
    assert bench.last(sound).kind == "done"
    assert bench.kinds(broken) == ["proposed", "approved"]


async def test_a_plan_that_is_not_what_its_digest_signs_is_never_run(bench, world):
    ticket = await bench.approved()
    entry = bench.ledger.story(ticket)[0]
    forged = {**entry.fields, "plan": {**entry.data.plan, "rollback": "forged"}}
    with pytest.raises(LedgerError, match="is not the one that its digest"):
        proposal_from(replace(entry, fields=forged))


async def test_tickets_that_want_the_same_begin_one_after_the_other(bench):
    first, second, third = [await bench.approved() for _ in range(3)]
    await bench.runner.tick()
    assert list(bench.runner._runs) == [first]
    await bench.runner.tick()
    assert {one.ticket for one in bench.told if one.kind == "locked"} == {second, third}
    await bench.runner.wait_idle()
    assert bench.last(first).kind == "done"


async def test_a_lock_that_another_one_takes_while_it_looks_again_keeps_a_ticket_from_beginning(
    bench, world, monkeypatch
):
    ticket, other = await bench.approved(), await bench.approved()
    answer = world.answer

    async def while_it_looks(question, seconds=20.0):
        if bench.ledger.ticket(other).state == "approved":
            bench.ledger.append("bot", entry_data("started", {"locks": ["node:hv03"]}), other)
        return await answer(question, seconds)

    monkeypatch.setattr(world, "answer", while_it_looks)
    await bench.runner.tick()
    await bench.runner._tasks[ticket]  # which ends, and does not fail
    assert (bench.kinds(ticket), world.order) == (["proposed", "approved"], [])
    said = next(one.says for one in bench.told if (one.ticket, one.kind) == (ticket, "locked"))
    assert other in said


@pytest.mark.parametrize(("what", "ends"), [("stopped", "done"), ("lapses", "lapsed"), ("withdrawn", "withdrawn")])
async def test_what_comes_in_between_while_a_ticket_looks_again_keeps_it_back(bench, world, monkeypatch, what, ends):
    ticket = await bench.approved()
    answer, happens = world.answer, {
        "stopped": lambda: bench.decisions.stop_changes(OPERATOR, "wait"),
        "lapses": lambda: bench.clock.forward(minutes=16),
        "withdrawn": lambda: bench.decisions.withdraw(bench.press(OPERATOR, ticket)),
    }  # fmt: skip

    async def while_it_looks(question, seconds=20.0):
        if happen := happens.pop(what, None):
            happen()
        return await answer(question, seconds)

    monkeypatch.setattr(world, "answer", while_it_looks)
    with capture_logs() as logs:
        await bench.runner.tick()
        await bench.runner._tasks[ticket]
    assert [one["event"] for one in logs if one["log_level"] == "error"] == []  # it is nobody's fault
    assert world.order == []
    assert "started" not in bench.kinds(ticket)
    first = bench.told[0]
    assert (first.ticket, first.kind, first.of) == (ticket, "looking", 3)
    if what == "stopped":
        bench.decisions.allow_changes(APPROVER)
    await bench.runs()  # at once: that it could not begin was no trouble
    assert bench.last(ticket).kind == ends


async def test_a_sweep_asks_the_ledger_as_little_however_many_wait_for_a_lock(bench, world, monkeypatch):
    world.faults = [None, "never"]
    holder = await bench.approved()
    await bench.runs()
    assert bench.ledger.locks() == {"node:hv03": holder}  # it is interrupted

    statements = []
    for store in (bench.ledger._reader, bench.ledger._store):
        rows = store.rows
        monkeypatch.setattr(store, "rows", lambda sql, told=(), rows=rows: statements.append(sql) or rows(sql, told))

    async def asked(more):
        for _ in range(more):
            proposed = bench.ledger.story(holder)[0].data
            waiting = bench.ledger.append("T1/U1", proposed).ticket
            start_by = (bench.clock() + timedelta(minutes=15)).isoformat()
            approval = {"by": "T1/U2", "start_by": start_by, "digest": proposed.digest}
            bench.ledger.append("T1/U2", entry_data("approved", approval), waiting)
        await bench.runner.tick()  # reads once what each new one needs
        statements.clear()
        await bench.runner.tick()
        assert not bench.runner._tasks
        return len(statements)

    few = await asked(1)
    assert await asked(20) == few


async def test_what_a_check_means_is_said_first_and_its_undo_in_its_own_words(bench, world):
    stop = set_to("hv03", a="1")
    drained = replace(is_now("hv03", within=30, a="2"), give_up=Expect((Predicate("a", "=", "1"),)))
    step_ = replace(
        Step("a", "Start it", stop, (drained.described_as("it has started", never="it will not start"),)),
        undo=set_to("hv03", a="0"),
        undone=(is_now("hv03", a="0"),),
        undo_says="Stop it again",
    )
    bench.plans["reset"] = lambda on, _facts: simple(on, step_)
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).data.reason == "step 1, Start it: it will not start (a is 1, not 2)"
    assert undo_step(step_).description == "Undo: Stop it again"


async def test_a_bug_in_one_sweep_does_not_end_all_of_them(bench, monkeypatch):
    monkeypatch.setattr("bot.executor.scheduler.TICK_SECONDS", 0.01)
    overdue, failed = bench.ledger.overdue, []

    def once(now):
        if not failed:
            failed.append(now)
            raise KeyError("a damaged entry")
        return overdue(now)

    monkeypatch.setattr(bench.ledger, "overdue", once)
    ticket, stop = await bench.approved(), asyncio.Event()
    running = asyncio.create_task(bench.runner.run(stop))
    async with asyncio.timeout(20):
        while bench.last(ticket).kind != "done" and not running.done():  # noqa: ASYNC110 - nothing tells of an entry
            await asyncio.sleep(0.01)
    stop.set()
    await running
    assert (len(failed), bench.last(ticket).kind) == (1, "done")


async def killed_behind_its_first_action(bench, world):
    """A ticket whose first action was sent, and nobody wrote down what it came to."""
    ticket = await bench.approved()

    def killed():
        raise asyncio.CancelledError

    world.hooks[1] = killed
    await bench.runner.tick()
    await bench.runner.wait_idle()
    await bench.dies()
    return ticket


@pytest.mark.parametrize(("minutes", "times"), [(1, 2), (10, 1)])
async def test_what_is_as_before_after_a_long_absence_is_not_sent_again(bench, world, clock, minutes, times):
    """It was done, and its people undid it on purpose, while hvops was away: as before does not mean that it did not happen."""
    ticket = await killed_behind_its_first_action(bench, world)
    clock.forward(minutes=minutes)
    world.rows("hv03")
    assert world.hosts["hv03"]["paused"] == "yes"
    world.hosts["hv03"]["paused"] = "no"
    await bench.runs(3)
    assert world.order.count(("hv03", "set", "yes")) == times
    if times == 1:
        assert bench.last(ticket).kind == "interrupted"
        assert "it is not known whether the step was done and then undone" in bench.last(ticket).reason
        bench.decisions.resume(bench.press(APPROVER, ticket))
        await bench.runs(3)
        assert bench.last(ticket).kind == "done", "someone who looked lets it go on"
        assert world.order.count(("hv03", "set", "yes")) == 2


@pytest.mark.parametrize("shows_in", ["image", "untouched"])
async def test_what_was_seen_to_take_effect_and_is_as_before_is_not_sent_again(bench, world, clock, shows_in):
    """Its reply was lost, each look saw the node paused, and then someone put it back on purpose: that is no "did not happen"."""

    def drain(on, _facts):
        act, done = set_to(on, paused="yes", drain="under way"), is_now(on, 1800, paused="yes", drain="done")
        image, untouched = state(on), (is_now(on, paused="no"),)
        if shows_in == "image":
            untouched = ()
        else:
            image = state("br01")
        return simple(
            on, Step("drain", f"Drain {on}", act, (done,), before=image, repeatable=True, untouched=untouched)
        )

    bench.plans["reset"] = drain
    world.faults.append("unanswered")
    ticket = await bench.approved()
    sleep, began = clock.sleep, clock()

    async def resumed_after_half_a_minute(seconds):
        await sleep(seconds)
        if clock() - began > timedelta(seconds=30) and not world.later:
            world.later.append((clock(), "hv03", {"paused": "no", "drain": ""}))

    object.__setattr__(bench.parts, "sleep", resumed_after_half_a_minute)
    await bench.runs()
    assert len(world.order) == 1
    assert bench.last(ticket).kind == "interrupted"
    assert "was seen to take effect, and now everything is as it was before it" in bench.last(ticket).reason


async def test_an_absence_after_someone_let_it_go_on_counts_as_well(bench, world, clock):
    """They had looked, and it was done; then hvops was away, and its people undid it."""
    ticket = await killed_behind_its_first_action(bench, world)
    world.silent.add("hv03")
    await bench.runs(3)
    assert bench.last(ticket).kind == "interrupted"
    world.silent.clear()
    bench.decisions.resume(bench.press(APPROVER, ticket))
    await bench.dies()
    clock.forward(minutes=25)
    world.rows("hv03")
    world.hosts["hv03"]["paused"] = "no"
    await bench.runs(3)
    assert world.order.count(("hv03", "set", "yes")) == 1
    assert "it is not known whether the step was done and then undone" in bench.last(ticket).reason
