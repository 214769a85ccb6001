"""What an approver answered stands for what was missing then, by name, and for nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from scripted_world import (
    APPROVER,
    BOTH,
    OPERATOR,
    OTHER,
    POLICY,
    is_now,
    person,
    reset_plan,
    set_to,
    state,
    step,
)

from bot.api.actions import ManualStep
from bot.api.command import Role
from bot.api.plan import Expect, Gate, GateOutcome, Group, OpenQuestion, Step
from bot.api.queries import Predicate
from bot.dispatch.pipeline import AnsweredRequest, Request
from bot.errors import Expired, PermissionDenied, RolesUnknown, Unanswered, UnreadableEntry
from bot.ledger.entries import Voided
from bot.tickets.plan_digest import digest, digest_as_approved
from bot.tickets.planner import Planner
from bot.tickets.proposal import proposal_from

ROOM, BACKUP = "Every guest has room", "No backup runs"
CRM, SQL = "free space of crm-03", "free space of sql-07"
SAID = ("I looked in the guest, 40 GB free", "sql-07 is switched off")


def gate(says=ROOM, *names, outcome=GateOutcome.NOT_KNOWN, **more):
    return Gate(says, outcome, "measured", unknowns=tuple(OpenQuestion(name, "timed out") for name in names), **more)


PASSED, BLOCKED = gate(outcome=GateOutcome.PASSED), gate(outcome=GateOutcome.BLOCKED)


class Gates:
    """The gates that the next look finds; the rest of the plan stays."""

    def __init__(self, bench, *gates):
        self.now = gates
        for name in ("reset", "tweak"):
            bench.plans[name] = self.plan

    def plan(self, on, _facts):
        return replace(reset_plan(on, {"broken": "yes", "locked": "no"}), gates=self.now)


async def answered(bench, *said, line="/reset hv03"):
    ticket = (await bench.propose(line)).ticket
    bench.decisions.approve(bench.press(APPROVER, ticket), said)
    return ticket


@pytest.mark.parametrize(
    "held",
    [
        (gate(ROOM, CRM), gate(BACKUP, outcome=GateOutcome.BLOCKED)),
        (gate(ROOM, CRM), gate(BACKUP, "locks of prod", answerable=False)),
    ],
)
async def test_an_unknown_beside_a_gate_that_holds_makes_no_ticket(bench, held):
    Gates(bench, *held)
    found = await bench.propose()
    assert isinstance(found, AnsweredRequest)
    assert [one.status for one in found.report.findings] == ["BLOCKED", "BLOCKED"]
    assert ("Not known", f"{CRM}: no answer (timed out).") in found.report.findings[0].lines


async def test_unknowns_that_the_settings_refuse_make_no_ticket(bench):
    Gates(bench, gate(ROOM, CRM))
    bench.proposals._planner = Planner(
        bench.pipeline.registry, bench.planner._inventory, bench.ledger, look=bench.look, version="test",
        clock=bench.clock, unknown="refuse",
    )  # fmt: skip
    found = await bench.propose()
    assert isinstance(found, AnsweredRequest)
    assert found.report.title == f"No plan yet for hv03: It is not known whether this check passes: {ROOM} (measured)"


async def test_answers_that_the_settings_refuse_by_now_start_nothing(benches, world):
    first = benches()
    Gates(first, gate(ROOM, CRM))
    ticket = await answered(first, *SAID[:1])
    await first.close()
    bench = benches(policy=POLICY.model_copy(update={"unknown": "refuse"}))
    Gates(bench, gate(ROOM, CRM))
    await bench.runs(2)
    assert (world.order, bench.last(ticket).kind) == ([], "voided")
    assert 'unknown = "refuse"' in bench.last(ticket).reason


async def test_a_gate_that_names_nothing_is_one_question(bench):
    Gates(bench, gate())
    ticket = (await bench.propose()).ticket
    assert bench.ledger.ticket(ticket).questions == (ROOM,)


async def test_two_gates_that_miss_the_same_fact_ask_once(bench):
    Gates(bench, gate(ROOM, CRM), gate(BACKUP, CRM, SQL))
    ticket = (await bench.propose()).ticket
    assert bench.ledger.ticket(ticket).questions == (CRM, SQL)


async def test_nobody_confirms_an_unknown_alone(bench):
    Gates(bench, gate(ROOM, CRM))
    proposed = await bench.propose("/tweak hv03", BOTH)
    assert (proposed.proposal.made.risk, proposed.proposal.policy) == ("low", "approval")
    with pytest.raises(PermissionDenied, match="You requested"):
        bench.decisions.approve(bench.press(BOTH, proposed.ticket), SAID[:1])
    other_team = replace(BOTH, id="T2/U7")
    with pytest.raises(PermissionDenied, match="You requested"):
        bench.decisions.approve(bench.press(other_team, proposed.ticket), SAID[:1])
    with pytest.raises(PermissionDenied, match="approver"):
        bench.decisions.approve(bench.press(person(9, Role.OPERATOR), proposed.ticket), SAID[:1])
    bench.decisions.approve(bench.press(OTHER, proposed.ticket), SAID[:1])


@pytest.mark.parametrize("said", [(), SAID[:1], (*SAID, "more"), ("", ""), (SAID[0], " ")])
async def test_an_approval_answers_all_of_them(bench, said):
    Gates(bench, gate(ROOM, CRM, SQL))
    ticket = (await bench.propose()).ticket
    with pytest.raises(Unanswered, match="2 unknowns must be answered"):
        bench.decisions.approve(bench.press(APPROVER, ticket), said)
    assert bench.kinds(ticket) == ["proposed", "refused"]


async def test_the_terminal_says_who_decides_and_what_they_answer(bench):
    Gates(bench, gate(ROOM, CRM))
    shown = await bench.proposals.preview(Request(OPERATOR, "/tweak hv03", "terminal", "host"))
    assert shown.decides.startswith(
        "Decision: 1 unknown, so an approver on prod other than the requester must approve it "
    )
    assert shown.decides.endswith(", and say of each how they know.")
    assert [one.status for one in shown.answered.report.findings] == ["NOT KNOWN"]


STILL_HOLDS = {
    "the same": (gate(ROOM, CRM, SQL),),
    "the same, in another order": (gate(ROOM, SQL, CRM),),
    "one of them is known by now": (gate(ROOM, SQL),),
    "all of it is known, and so": (PASSED,),
}
HOLDS_NO_MORE = {
    "known, and not so": (
        (BLOCKED,),
        f"what was not known is known now, and blocks: This check failed: {ROOM} (measured)",
    ),
    "a new one": (
        (gate(ROOM, CRM, SQL, "free space of x"),),
        "not known now, and no approver answered for it: free space of x",
    ),
    "another one": (
        (gate(ROOM, "free space of x"),),
        "not known now, and no approver answered for it: free space of x",
    ),
    "not told what any more": ((gate(),), f"not known now, and no approver answered for it: {ROOM}"),
    "no answer counts any more": (
        (gate(ROOM, CRM, answerable=False),),
        f"a check does not pass now: It is not known whether this check passes: {ROOM} (measured)",
    ),
    "it takes time now": (
        (gate(ROOM, outcome=GateOutcome.BLOCKED, passes_at="2026-03-02T14:01:00Z"),),
        "the recalculated plan is not the one that was approved",
    ),
    "the same name, missed by another gate": (
        (gate(ROOM, CRM, SQL), gate(BACKUP, CRM)),
        f"a check does not pass now: It is not known whether this check passes: {BACKUP} (measured)",
    ),
    "a gate is gone": ((), f"the plan no longer includes a check that was approved: {ROOM}"),
}


@pytest.mark.parametrize("case", STILL_HOLDS)
async def test_before_the_start_less_may_be_missing(bench, case):
    gates = Gates(bench, gate(ROOM, CRM, SQL))
    ticket = await answered(bench, *SAID)
    gates.now = STILL_HOLDS[case]
    await bench.runs()
    assert bench.last(ticket).kind == "done"


@pytest.mark.parametrize("case", HOLDS_NO_MORE)
async def test_before_the_start_nothing_else_may_be(bench, world, case):
    gates = Gates(bench, gate(ROOM, CRM, SQL))
    ticket = await answered(bench, *SAID)
    gates.now, why = HOLDS_NO_MORE[case]
    await bench.runs()
    voided = next(one for one in bench.ledger.story(ticket) if one.kind == "voided")
    assert voided.reason == why
    assert voided.read(Voided).difference
    assert world.order == []


async def test_what_replaces_it_asks_for_the_new_unknown_too(bench):
    gates = Gates(bench, gate(ROOM, CRM))
    await answered(bench, SAID[0])
    gates.now = (gate(ROOM, CRM, SQL),)
    await bench.runs()
    assert bench.ledger.ticket("T-2").questions == (CRM, SQL)


@pytest.mark.parametrize("case", STILL_HOLDS)
async def test_between_the_groups_less_may_be_missing(bench, world, case):
    gates = Gates(bench, gate(ROOM, CRM, SQL))
    world.hooks[1] = lambda: setattr(gates, "now", STILL_HOLDS[case])
    ticket = await answered(bench, *SAID)
    await bench.runs()
    assert bench.last(ticket).kind == "done"


@pytest.mark.parametrize("case", ["known, and not so", "a new one", "no answer counts any more", "a gate is gone"])
async def test_between_the_groups_nothing_else_may_be(bench, world, case):
    gates = Gates(bench, gate(ROOM, CRM, SQL))
    world.hooks[1] = lambda: setattr(gates, "now", HOLDS_NO_MORE[case][0])
    ticket = await answered(bench, *SAID)
    await bench.runs()
    voided = next(one for one in bench.ledger.story(ticket) if one.kind == "voided")
    assert voided.reason == HOLDS_NO_MORE[case][1]
    assert len(world.order) == 1


def test_a_digest_covers_exactly_the_names_that_were_answered():
    approved = replace(reset_plan("hv03", {"broken": "yes", "locked": "no"}), gates=(gate(ROOM, CRM, SQL),))
    signed = digest(approved, "high", "1")

    def same(gates, names):
        return digest_as_approved(replace(approved, gates=gates), approved, names, "high", "1") == signed

    for gates in STILL_HOLDS.values():
        assert same(gates, {CRM, SQL})
        assert same(gates, {CRM}) is (gates == approved.gates), "not all was answered: nothing is looked past"
    for gates, _ in HOLDS_NO_MORE.values():
        assert not same(gates, {CRM, SQL, "free space of x", ROOM})


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        (gate(ROOM, SQL, blocks=False), "done"),
        (gate(outcome=GateOutcome.PASSED, blocks=False), "done"),
        (gate(outcome=GateOutcome.BLOCKED, blocks=False), "voided"),
        (gate(ROOM, CRM), "voided"),
    ],
)
async def test_a_warning_asks_nobody_and_may_miss_something_else_by_then(bench, now, ends):
    gates = Gates(bench, gate(ROOM, CRM, blocks=False))
    ticket = await answered(bench)
    gates.now = (now,)
    await bench.runs()
    assert ends in bench.kinds(ticket)


async def test_an_entry_that_hides_what_its_plan_leaves_open_cannot_be_read(bench):
    Gates(bench, gate(ROOM, CRM))
    await bench.propose()
    entry = bench.ledger.story("T-1")[0]
    for other in ({"open_questions": ()}, {"open_questions": (CRM, SQL)}, {"policy": "confirm"}):
        forged = replace(entry, fields={**entry.fields, **other})
        with pytest.raises(UnreadableEntry, match="leaves open"):
            proposal_from(forged)


async def test_no_action_is_sent_on_an_answer_that_has_expired_behind_a_step_by_hand(bench, world, clock):
    """What somebody saw in the evening is no basis for a restart at night, in the same group either."""
    wait = Step("wait", "Look", ManualStep("Look", "operator"), (is_now("hv03", seen="yes"),), deadline=8 * 3600)

    def plan(on, _facts):
        made = reset_plan(on, {"broken": "yes", "locked": "no"})
        return replace(
            made,
            gates=(gate(ROOM, CRM),),
            groups=(Group("record", (wait, *made.groups[0].steps)), *made.groups[1:]),
        )

    bench.plans["reset"] = plan
    ticket = await answered(bench, SAID[0])
    world.hosts["hv03"]["seen"] = "yes"
    sleep, pressed = bench.parts.sleep, []

    async def late(seconds):
        await sleep(seconds)
        if not pressed and bench.ledger.ticket(ticket).intent:
            clock.forward(hours=7)
            pressed.append(bench.decisions.confirm_manual_step(bench.press(OPERATOR, ticket)))

    object.__setattr__(bench.parts, "sleep", late)
    await bench.runs()
    assert pressed
    assert (world.order, bench.last(ticket).kind) == ([], "voided")
    assert bench.last(ticket).reason.startswith("the approver's answer has expired")


# A group that has begun


UNTIL_THEN = {"hours": 6}
SENT_A, SENT_B = ("hv03", "set", "1"), ("hv03", "set", "2")
GOES_BACK = ("hv03", "set", "0")
EXPIRED = f"the approver's answer to “{CRM}” has expired"


def steps():
    first = replace(step("a", "hv03", a="1"), undo=set_to("hv03", a="0"), undone=(is_now("hv03", 60, a="0"),))
    return first, step("b", "hv03", b="2")


class Groups:
    """A plan of these groups, whose gate leaves something open until a test says otherwise."""

    def __init__(self, bench, *groups, gates=()):
        self.gates = gates or (gate(ROOM, CRM),)
        self._groups = groups or (Group("both", steps()),)
        bench.plans["reset"] = self.plan

    def plan(self, on, _facts):
        made = reset_plan(on, {"broken": "yes", "locked": "no"})
        # Its deadline is later than that of any answer.
        return replace(made, gates=self.gates, groups=self._groups, soak_seconds=86400)


def forwards(bench, clock, when, *, then=lambda: None, **how):
    """The next time it waits, and `when` holds, these hours go by at once."""
    sleep, gone = bench.parts.sleep, []

    async def late(seconds):
        await sleep(seconds)
        if not gone and when():
            gone.append(clock.forward(**(how or UNTIL_THEN)))
            then()

    object.__setattr__(bench.parts, "sleep", late)
    return gone


def stopped_after(bench, world, acts):
    """Changes are stopped while that act is under way."""
    world.hooks[acts] = lambda: bench.decisions.stop_changes(OPERATOR, "storage")


def is_stopped(bench):
    return bool(bench.ledger.why_blocked())


async def behind_a_stop(bench, world, clock, ticket):
    stopped_after(bench, world, 1)
    gone = forwards(bench, clock, lambda: is_stopped(bench), then=lambda: bench.decisions.allow_changes(APPROVER))
    await bench.runs()
    assert gone


async def while_nobody_can_say_who_holds_which_role(bench, world, clock, ticket):
    stopped_after(bench, world, 1)

    def go():
        bench.now_are[APPROVER.id] = RolesUnknown("Slack does not answer")
        bench.decisions.allow_changes(APPROVER)

    forwards(bench, clock, lambda: is_stopped(bench), then=go, seconds=1)
    gone = forwards(bench, clock, lambda: bench.now_are, then=bench.now_are.clear)
    await bench.runs()
    assert gone


async def behind_a_restart(bench, world, clock, ticket):
    world.faults, under_way, real = [("slow", 5)], asyncio.Event(), world.change

    async def change(action, seconds):
        await real(action, seconds)
        world.change = real
        under_way.set()
        await asyncio.Event().wait()

    world.change = change
    await bench.runner.tick()
    await under_way.wait()
    await bench.dies()
    clock.forward(**UNTIL_THEN)
    await bench.runs(2)


async def behind_an_interruption(bench, world, clock, ticket):
    world.faults = ["unanswered"]
    world.silent.add("hv03")
    real = world.answer

    async def answer(question, seconds=20.0):
        if not world.order:
            world.silent.clear()
        else:
            world.silent.add("hv03")
        return await real(question, seconds)

    world.answer = answer
    await bench.runs()
    assert bench.last(ticket).kind == "interrupted"
    world.answer = real
    world.silent.clear()
    clock.forward(**UNTIL_THEN)
    bench.decisions.resume(bench.press(APPROVER, ticket))
    await bench.runs()


async def in_the_login(bench, world, clock, ticket):
    world.logins[1] = lambda: clock.forward(minutes=30)
    await bench.runs()


@pytest.mark.parametrize(
    "hours_pass",
    [
        behind_a_stop,
        while_nobody_can_say_who_holds_which_role,
        behind_a_restart,
        behind_an_interruption,
        in_the_login,
    ],
)
async def test_of_a_group_that_has_begun_nothing_more_is_sent_on_an_answer_that_has_expired(
    bench, world, clock, hours_pass
):
    Groups(bench)
    ticket = await answered(bench, SAID[0])
    await hours_pass(bench, world, clock, ticket)
    assert world.order == [SENT_A]
    assert bench.last(ticket).kind == "interrupted"
    assert bench.last(ticket).reason.startswith(f"not started: b hv03: {EXPIRED}: it was valid until ")
    with pytest.raises(Expired, match=r"T-1 cannot go on: the approver's answer to .* Undo it or close it"):
        bench.decisions.resume(bench.press(APPROVER, ticket))
    await bench.runs(2)
    assert world.order == [SENT_A]
    undo = await bench.proposals.undo(Request(OPERATOR, f"undo {ticket}", "button", "C"), ticket)
    bench.decisions.approve(bench.press(APPROVER, undo.ticket), SAID[:1])
    await bench.runs()
    assert world.order == [SENT_A, GOES_BACK]
    assert bench.last(ticket).kind == "closed"


async def test_an_action_that_did_not_happen_is_not_sent_again_on_an_answer_that_has_expired(bench, world, clock):
    again = replace(step("a", "hv03", a="1"), before=state("hv03"), repeatable=True)
    Groups(bench, Group("both", (again, step("b", "hv03", b="2"))))
    ticket = await answered(bench, SAID[0])
    world.faults = ["never"]
    real = world.change

    async def change(action, seconds):
        world.change = real
        try:
            return await real(action, seconds)
        finally:
            bench.decisions.stop_changes(OPERATOR, "storage")

    world.change = change
    gone = forwards(
        bench,
        clock,
        lambda: is_stopped(bench) and "resumed" in bench.kinds(ticket),
        then=lambda: bench.decisions.allow_changes(APPROVER),
    )
    await bench.runs()
    assert gone
    assert world.order == [SENT_A]
    assert bench.last(ticket).kind == "interrupted"
    assert EXPIRED in bench.last(ticket).reason


async def test_where_only_people_have_acted_in_a_group_it_is_checked_without_an_answer_that_has_expired(
    bench, world, clock
):
    hand = Step("look", "Look", ManualStep("Look", "operator"), (is_now("hv03", seen="yes"),), deadline=3600)
    Groups(bench, Group("both", (hand, *steps())))
    ticket = await answered(bench, SAID[0])
    world.hosts["hv03"]["seen"] = "yes"
    done = []

    def press():
        if bench.ledger.ticket(ticket).intent and not done:
            done.append(bench.decisions.confirm_manual_step(bench.press(OPERATOR, ticket)))
            bench.decisions.stop_changes(OPERATOR, "storage")
        return is_stopped(bench) and any(entry.kind == "outcome" for entry in bench.ledger.story(ticket))

    gone = forwards(bench, clock, press, then=lambda: bench.decisions.allow_changes(APPROVER))
    await bench.runs()
    assert gone
    assert world.order == []
    assert bench.last(ticket).kind == "voided"
    assert bench.last(ticket).reason.startswith(f"the approver's answer has expired: {CRM}")


async def test_a_group_that_finishes_another_one_begins_on_no_answer_that_has_expired(bench, world, clock):
    first, second = steps()
    Groups(bench, Group("first", (first,)), Group("second", (second,), revalidate_before=False))
    ticket = await answered(bench, SAID[0])
    await behind_a_stop(bench, world, clock, ticket)
    assert world.order == [SENT_A]
    assert bench.last(ticket).kind == "voided"
    assert bench.last(ticket).reason.startswith(f"the approver's answer has expired: {CRM}")


@pytest.mark.parametrize("dies", [False, True])
async def test_a_group_that_was_checked_without_the_answer_rests_on_none(bench, world, clock, dies):
    """What was missing is known by then: the rest of the group needs nobody's word."""
    first, second = steps()
    third = step("c", "hv03", c="3")
    plan = Groups(bench, Group("first", (first,)), Group("second", (second, third)))
    ticket = await answered(bench, SAID[0])

    def known():
        plan.gates = (PASSED,)
        bench.decisions.allow_changes(APPROVER)

    stopped_after(bench, world, 1)
    forwards(bench, clock, lambda: is_stopped(bench), then=known)
    if dies:
        under_way, real = asyncio.Event(), world.change

        async def change(action, seconds):
            answer = await real(action, seconds)
            if len(world.order) == 2 and not under_way.is_set():
                under_way.set()
                await asyncio.Event().wait()
            return answer

        world.change = change
        await bench.runner.tick()
        await under_way.wait()
        await bench.dies()
    await bench.runs(2)
    assert world.order == [SENT_A, SENT_B, ("hv03", "set", "3")]
    assert bench.last(ticket).kind == "done"


async def test_what_undoes_a_group_that_failed_waits_for_no_answer(bench, world, clock):
    """Undoing restores: an answer that has expired meanwhile does not keep it from that."""
    first, _ = steps()
    failing = Step("b", "Fail", set_to("hv03", b="2"), (is_now("hv03", within=30, b="never"),), deadline=30)
    failing = replace(failing, done=(replace(failing.done[0], give_up=Expect((Predicate("b", "=", "2"),))),))
    Groups(bench, Group("both", (first, failing), on_failure="undo"))
    ticket = await answered(bench, SAID[0])
    stopped_after(bench, world, 2)
    gone = forwards(bench, clock, lambda: is_stopped(bench), then=lambda: bench.decisions.allow_changes(APPROVER))
    await bench.runs()
    assert gone
    assert world.order == [SENT_A, SENT_B, GOES_BACK]
    assert bench.last(ticket).kind == "failed"


async def test_a_freeze_that_an_approver_overrode_holds_nothing_of_a_group_that_has_begun(bench, world, clock):
    freeze = OpenQuestion("freeze until Friday", "nothing starts inside it", is_override=True)
    asked = Gate("No change freeze", GateOutcome.NOT_KNOWN, guards="worth", unknowns=(freeze,))
    Groups(bench, gates=(asked,))
    ticket = await answered(bench, "it cannot wait")
    await behind_a_stop(bench, world, clock, ticket)
    assert world.order == [SENT_A, SENT_B]
    assert bench.last(ticket).kind == "done"
