"""Who may decide what, who came first, and the sentence for everybody else."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from unittest.mock import AsyncMock, Mock

import pytest
import structlog
from entry_samples import entry_data, entry_data_of
from scripted_world import (
    APPROVER,
    BOTH,
    ELSEWHERE,
    OPERATOR,
    OTHER,
    POLICY,
    STRANGER,
    VIEWER,
    Plan,
    by_hand,
    person,
    reset_plan,
    simple,
    step,
)

from bot.api.actions import ReadBack, TypedField
from bot.api.command import Role
from bot.api.plan import Gate, GateOutcome
from bot.api.report import Remedy
from bot.config.settings import Policy
from bot.dispatch.authorization import Person
from bot.dispatch.pipeline import AnsweredRequest, Request
from bot.errors import (
    AlreadyDecided,
    Expired,
    HvopsError,
    InternalError,
    LedgerError,
    PermissionDenied,
    RolesUnknown,
    SwitchUnchanged,
    TicketError,
    Unanswered,
    UsageError,
    WrongReadBack,
)
from bot.executor import scheduler
from bot.executor.leader_lock import LeaderLock
from bot.executor.scheduler import Scheduler
from bot.ledger.entries import RULES_VERSION, STOP_REQUEST
from bot.tickets.create import Proposed
from bot.tickets.decisions import describe_status
from bot.tickets.plan_digest import digest


async def test_a_proposal_is_written_whole(bench):
    proposed = await bench.propose()
    assert isinstance(proposed, Proposed)
    entry = bench.ledger.entry(proposed.seq)
    assert entry.data.digest == proposed.proposal.digest == bench.ledger.ticket("T-1").digest
    made, until = proposed.proposal.made, entry.data.run_until
    assert entry.data.digest == digest(made.plan, made.risk, made.version, until)  # its last time is signed too
    assert (entry.data.places, entry.data.risk, entry.data.policy) == (("prod",), "high", "approval")
    assert entry.data.open_until == "2026-03-02T14:30:00.000Z"
    assert proposed.proposal.plan == bench.plans["reset"]("hv03", bench.world.hosts["hv03"])
    assert bench.kinds("T-1") == ["proposed"]
    assert [one.kind for one in bench.ledger.every()] == ["asked", "proposed"]


async def test_a_plan_that_a_gate_holds_makes_no_ticket_and_says_what_holds_it(bench, world):
    world.hosts["hv03"] |= {"locked": "yes", "count": "9 of 11 locked"}
    answered = await bench.propose()
    assert isinstance(answered, AnsweredRequest)
    assert answered.report.title == "No plan yet for hv03: This check failed: No guest is locked (9 of 11 locked)"
    held = answered.report.findings[0]
    assert (held.status, held.summary, held.lines) == (
        "BLOCKED",
        "This check failed: No guest is locked (9 of 11 locked).",
        (),
    )
    assert (answered.report.answered, answered.report.did) == (answered.report.asked - 1, "passed")
    assert bench.ledger.tickets() == []
    assert bench.pipeline.find(answered.token).report == answered.report
    again = await bench.pipeline.load_answer(Request(OPERATOR, "x", "button", "C"), answered.token)
    assert again.line == "/reset hv03"


@pytest.mark.parametrize(
    ("because", "title", "found"),
    [
        ("Nothing to reset: it is well.", "Nothing to reset: it is well", []),
        ("Nothing to reset. One more looks odd.", "Nothing to reset", [("ALSO", "One more looks odd.")]),
        ("hv03 knows no reset. By hand: …", "No plan for hv03", [("NO PLAN", "hv03 knows no reset. By hand: …")]),
        ("", "No plan for hv03", [("NO PLAN", "")]),
    ],
)
async def test_a_plan_without_steps_says_why_and_a_refusal_is_never_called_nothing_to_do(bench, because, title, found):
    bench.plans["reset"] = lambda _on, _facts: Plan(because, "", "", (), (), ())
    answered = await bench.propose()
    assert answered.report.title == title
    assert [(finding.status, finding.summary) for finding in answered.report.findings] == found
    assert bench.ledger.tickets() == []


async def test_a_gate_that_only_warns_and_buttons_beside_the_plan(bench):
    gates = (
        Gate("Quorum holds", outcome=GateOutcome.BLOCKED, blocks=False),
        Gate("Memory", outcome=GateOutcome.PASSED),
    )
    bench.plans["reset"] = lambda on, _facts: Plan("w", "", "", ("l",), gates, simple(on, step("a", on, a="1")).groups)
    assert isinstance(await bench.propose(), Proposed)
    remedy = Remedy("Find Full Guests", "/find-full-guests prod")
    bench.plans["reset"] = lambda _on, _facts: Plan("why", "", "", (), gates, (), remedies=(remedy,))
    answered = await bench.propose()
    assert answered.report.remedies == (remedy,)
    assert answered.report.notes == ("Warning: This check failed: Quorum holds",)
    assert answered.report.background == ("Passed: Memory",)


@pytest.mark.parametrize(
    ("who", "line", "error"),
    [
        (VIEWER, "/reset hv03", PermissionDenied),
        (STRANGER, "/reset hv03", PermissionDenied),
        (ELSEWHERE, "/reset hv03", PermissionDenied),
        (OPERATOR, "/reset br01", PermissionDenied),
        (OPERATOR, "/reset nowhere", UsageError),
        (OPERATOR, "/reset", UsageError),
    ],
)
async def test_who_may_not_propose_is_refused_and_nothing_is_asked(bench, world, who, line, error):
    with pytest.raises(error):
        await bench.propose(line, who)
    assert bench.ledger.head().kind == "refused"
    assert bench.ledger.tickets() == []


async def test_a_plan_that_reaches_further_than_its_line_needs_the_role_there_too(bench):
    bench.plans["reset"] = lambda on, _facts: simple(on, step("a", "br01", a="1"))
    with pytest.raises(PermissionDenied, match="on branch"):
        await bench.propose()
    bench.plans["reset"] = lambda on, _facts: simple(on, step("a", "sql01", a="1"))
    with pytest.raises(PermissionDenied, match="on sql01"):
        await bench.propose()
    proposed = await bench.propose(by=BOTH)
    assert proposed.proposal.made.places == ("prod", "sql01")
    with pytest.raises(PermissionDenied, match="on sql01"):
        bench.decisions.approve(bench.press(APPROVER, proposed.ticket))


async def test_a_plan_that_holds_a_secret_is_not_proposed(bench):
    bench.plans["reset"] = lambda on, _facts: simple(on, step("a", on, a="password=hunter22"))
    with pytest.raises(TicketError, match="looks like a secret"):
        await bench.propose()
    bench.plans["reset"] = lambda _on, _facts: 1 / 0
    with pytest.raises(InternalError):
        await bench.propose()
    assert bench.ledger.tickets() == []


HIDES_BETWEEN = [("<password>", "</password>"), ("a pwd:", "b"), ("<x:secret>", "z</x:secret>")]


@pytest.mark.parametrize(("first", "last"), HIDES_BETWEEN)
@pytest.mark.parametrize("where", ["steps", "gates", "evidence"])
async def test_no_two_names_hide_what_stands_between_them_in_a_plan(bench, where, first, last):
    """A host or a guest is called what it likes: alone neither is a secret, and in the plan's text they enclose one."""
    names = (first, "sql-99", last)

    def hiding(on, facts):
        plan = reset_plan(on, facts)
        if where == "evidence":
            return replace(plan, evidence=names)
        if where == "gates":
            return replace(plan, gates=tuple(Gate(f"Room for {one}", GateOutcome.PASSED) for one in names))
        one = plan.groups[0].steps[0]
        steps = tuple(replace(one, key=f"s{at}", description=f"Stop {name}") for at, name in enumerate(names))
        return replace(plan, groups=(replace(plan.groups[0], steps=steps),))

    bench.plans["reset"] = hiding
    with pytest.raises(TicketError, match="looks like a secret"):
        await bench.propose()
    assert bench.ledger.tickets() == []


PLACES = ((), ("branch",), ("prod",), ("prod", "branch"), ("*",))


@pytest.mark.parametrize("where", ["evidence", "impact", "reason"])
async def test_a_plan_that_nobody_can_read_is_not_proposed(bench, where):
    """A host may call a guest what it likes, at any length; the plan stands in an entry, and is read at each look."""
    named = ", ".join(f"{number:02}{'crm ' * 10_000}" for number in range(40))
    told = (named,) if where == "evidence" else named
    bench.plans["reset"] = lambda on, facts: replace(reset_plan(on, facts), **{where: told})
    with pytest.raises(TicketError, match="over a megabyte"):
        await bench.propose()
    assert [entry.kind for entry in bench.ledger.every()] == ["asked", "refused"]


@pytest.mark.parametrize(
    ("role", "places", "own", "line"),
    list(itertools.product(Role, PLACES, (False, True), ("/reset hv03", "/tweak hv03"))),
)
async def test_the_whole_matrix_of_who_may_approve(bench, role, places, own, line):
    """Roles × places × self-approval × risks: closed unless the rules say so, word for word."""
    # A second, lower rule everywhere must not open what the higher one does not.
    roles = {Role.OPERATOR: frozenset(["*"])} if own else {Role.VIEWER: frozenset(["*"])}
    roles[role] = roles.get(role, frozenset()) | frozenset(places)
    who = Person("T1/U9", "somebody", roles)
    ticket = (await bench.propose(line, who if own else OPERATOR)).ticket
    there = bool({"prod", "*"} & set(places))
    allowed = own if line == "/tweak hv03" else (not own and role is Role.APPROVER and there)
    if allowed:
        bench.decisions.approve(bench.press(who, ticket))
        assert bench.ledger.ticket(ticket).approver == who.id
    else:
        with pytest.raises(PermissionDenied):
            bench.decisions.approve(bench.press(who, ticket))
        assert bench.last(ticket).kind == "refused"
        assert bench.ledger.ticket(ticket).state == "proposed"


@pytest.mark.parametrize("policy", [Policy(), Policy(low="confirm"), Policy(high="approval")])
async def test_a_risk_without_a_rule_is_refused_for_everybody(benches, policy):
    bench = benches(policy=policy)
    for line, rule in (("/tweak hv03", policy.low), ("/reset hv03", policy.high)):
        if rule is None:
            with pytest.raises(PermissionDenied, match="no rule says who decides"):
                await bench.propose(line, BOTH)
        else:
            assert isinstance(await bench.propose(line, BOTH), Proposed)


async def test_low_risk_may_be_set_to_need_somebody_else(benches):
    bench = benches(policy=Policy(low="approval", high="approval"))
    ticket = (await bench.propose("/tweak hv03", BOTH)).ticket
    with pytest.raises(PermissionDenied, match="You requested"):
        bench.decisions.approve(bench.press(BOTH, ticket))
    bench.decisions.approve(bench.press(APPROVER, ticket))


async def test_a_confirmation_is_the_requesters_own(bench):
    ticket = (await bench.propose("/tweak hv03")).ticket
    with pytest.raises(PermissionDenied, match="person 1, who requested it, can confirm it"):
        bench.decisions.approve(bench.press(APPROVER, ticket))
    bench.decisions.approve(bench.press(OPERATOR, ticket))
    await bench.runs()
    assert bench.last(ticket).kind == "done"


async def test_who_is_eligible_is_said_without_an_entry(bench):
    low, high = (await bench.propose("/tweak hv03")).proposal, (await bench.propose()).proposal
    persons = (OPERATOR, APPROVER, OTHER, VIEWER, ELSEWHERE)
    assert [bench.decisions.may_approve(one, low) for one in persons] == [True, False, False, False, False]
    assert [bench.decisions.may_approve(one, high) for one in persons] == [False, True, True, False, False]
    assert bench.ledger.head().kind == "proposed"


async def test_a_role_that_was_taken_away_meanwhile_decides_nothing(bench):
    ticket = (await bench.propose("/tweak hv03")).ticket
    with pytest.raises(PermissionDenied):
        bench.decisions.approve(bench.press(Person(OPERATOR.id, OPERATOR.name), ticket))


async def test_every_click_that_comes_too_late_is_told_who_decided(bench, clock):
    ticket = (await bench.propose()).ticket
    bench.decisions.approve(bench.press(APPROVER, ticket, click=7))
    says = "Too late: T-1 was approved by person 2 at 14:00 UTC on 2026-03-02."
    for act in (bench.decisions.approve, partial(bench.decisions.reject, why="no")):
        with pytest.raises(AlreadyDecided) as late:
            act(bench.press(OTHER, ticket, click=9))
        assert str(late.value) == says
        assert bench.last(ticket).data.reason == says
        assert bench.last(ticket).data.click == 9
    bench.decisions.withdraw(bench.press(OPERATOR, ticket))
    with pytest.raises(AlreadyDecided, match="was withdrawn by person 1"):
        bench.decisions.approve(bench.press(OTHER, ticket))
    ticket = (await bench.propose()).ticket
    bench.decisions.reject(bench.press(APPROVER, ticket), "  not   tonight ")
    with pytest.raises(AlreadyDecided, match=r"was rejected by person 2 at .*: not tonight\."):
        bench.decisions.approve(bench.press(OTHER, ticket))
    ticket = (await bench.propose()).ticket
    clock.forward(minutes=31)
    with pytest.raises(Expired, match="was open until"):
        bench.decisions.approve(bench.press(APPROVER, ticket))
    assert bench.kinds(ticket) == ["proposed", "refused"]


async def test_declining_takes_an_approver_and_a_reason(bench):
    ticket = (await bench.propose()).ticket
    for who, why in ((OPERATOR, "no"), (ELSEWHERE, "no"), (VIEWER, "no")):
        with pytest.raises(PermissionDenied):
            bench.decisions.reject(bench.press(who, ticket), why)
    with pytest.raises(TicketError, match="Give a short reason"):
        bench.decisions.reject(bench.press(APPROVER, ticket), "  ")
    assert bench.ledger.ticket(ticket).state == "proposed"


async def test_withdrawing(bench):
    ticket = (await bench.propose()).ticket
    with pytest.raises(PermissionDenied, match="person 1 asked for T-1"):
        bench.decisions.withdraw(bench.press(APPROVER, ticket))
    bench.decisions.withdraw(bench.press(OPERATOR, ticket))
    ticket = await bench.approved()
    with pytest.raises(PermissionDenied):
        bench.decisions.withdraw(bench.press(VIEWER, ticket))
    bench.decisions.withdraw(bench.press(OTHER, ticket))
    await bench.runs()
    assert bench.world.order == []


async def test_withdrawing_what_is_just_found_to_be_another_plan_is_nobodys_fault(bench, monkeypatch):
    """The plan is made afresh, which takes its time: meanwhile the requester withdraws what would be voided."""
    ticket = await bench.approved()
    append_together = bench.ledger.append_together

    def after_withdrawing(*drafts, **how):
        if drafts[0].kind == "voided":
            bench.decisions.withdraw(bench.press(OPERATOR, ticket))
        return append_together(*drafts, **how)

    monkeypatch.setattr(bench.ledger, "append_together", after_withdrawing)
    bench.planner.version = "another"
    with structlog.testing.capture_logs() as logs:
        await bench.runs(2)
    assert bench.last(ticket).kind == "withdrawn"
    assert bench.ledger.ticket("T-2") is None, "nothing replaces what somebody has withdrawn"
    assert not [one for one in logs if one["log_level"] in ("warning", "error")]


async def test_stop_and_go_need_their_roles(bench):
    with pytest.raises(PermissionDenied):
        bench.decisions.stop_changes(VIEWER, "x")
    bench.decisions.stop_changes(OPERATOR, "x")
    with pytest.raises(PermissionDenied):
        bench.decisions.allow_changes(OPERATOR)
    bench.decisions.allow_changes(APPROVER)


async def test_a_stop_takes_a_reason_and_says_what_is_so_before_it_asks_for_one(bench):
    decisions = bench.decisions
    with pytest.raises(UsageError, match="add a short reason") as refused:
        decisions.stop_changes(OPERATOR, " \n ", via="slack", place="C0OPS")
    assert refused.value.usage == "/hvops stop <why>"
    assert not bench.ledger.is_stopped()
    told = bench.ledger.head().fields
    assert (told["line"], told["category"], told["via"], told["place"]) == (
        "/hvops stop",
        "not understood",
        "slack",
        "C0OPS",
    )
    decisions.check_stop(OPERATOR)  # a window may ask
    with pytest.raises(PermissionDenied):
        decisions.check_stop(VIEWER)
    stop = decisions.stop_changes(OPERATOR, "power\n  work", via="slack", place="C0OPS")
    assert stop.fields == {
        "name": OPERATOR.name, "reason": "power work", "click": None, "via": "slack", "place": "C0OPS",
    }  # fmt: skip
    for again in (lambda: decisions.stop_changes(APPROVER, ""), lambda: decisions.check_stop(APPROVER)):
        with pytest.raises(SwitchUnchanged, match=f"already stopped, by {OPERATOR.name} at .*: power work"):
            again()
    decisions.allow_changes(APPROVER)
    with pytest.raises(SwitchUnchanged, match="Changes are not stopped"):
        decisions.allow_changes(APPROVER)


async def test_what_a_proposal_is_not_ready_for_is_refused_to_everybody(bench):
    ticket = (await bench.propose()).ticket
    close = partial(bench.decisions.close, why="why")
    for act in (bench.decisions.cancel, bench.decisions.confirm_manual_step, bench.decisions.resume, close):
        with pytest.raises(TicketError):
            act(bench.press(APPROVER, ticket))
    assert bench.ledger.ticket(ticket).state == "proposed"


def under_way(bench, ticket, *more):
    """As the runner would have left it: begun, with a step by hand in flight."""
    bench.ledger.append("bot", entry_data("started", {"locks": ["node:hv03"], "attempt": 1}), ticket)
    bench.ledger.append(
        "bot", entry_data("intent", {"step": "look", "round": 1, "attempt": 1, "description": ""}), ticket
    )
    for kind in more:
        bench.ledger.append("bot", entry_data_of(kind, {"step": "look", "reason": "reason"}), ticket)


@pytest.mark.parametrize("who", [VIEWER, STRANGER, ELSEWHERE])
@pytest.mark.parametrize(
    ("verb", "state", "least"),
    [
        ("cancel", (), OPERATOR),
        ("confirm_manual_step", (), OPERATOR),
        ("close", ("interrupted",), OPERATOR),
        ("resume", ("interrupted",), APPROVER),
    ],
)
async def test_what_runs_is_moved_only_by_who_has_the_role_there(bench, who, verb, state, least):
    """In the state in which the verb works, so that only the role can be what refuses: the least role then passes."""
    bench.plans["reset"] = lambda on, _facts: simple(on, by_hand(on))
    ticket = await bench.approved()
    under_way(bench, ticket, *state)
    before, more = bench.ledger.ticket(ticket), ("why",) if verb == "close" else ()
    press = getattr(bench.decisions, verb)
    with pytest.raises(PermissionDenied, match="You have no role" if who is STRANGER else r"This needs the \w+ role"):
        press(bench.press(who, ticket), *more)
    assert (bench.ledger.ticket(ticket), bench.last(ticket).fields["category"]) == (before, "not allowed")
    press(bench.press(least, ticket), *more)
    assert bench.last(ticket).actor == least.id


async def test_an_unknown_ticket_resolves_nothing(bench):
    for act in (bench.decisions.approve, bench.decisions.withdraw, bench.decisions.resume):
        with pytest.raises(TicketError, match="There is no ticket T-99"):
            act(bench.press(APPROVER, "T-99"))
        written = bench.ledger.head()
        assert (written.kind, written.actor, written.ticket) == ("refused", APPROVER.id, None)
        assert written.data.line.endswith(" T-99")
    with pytest.raises(TicketError):
        await bench.proposals.undo(Request(OPERATOR, "undo", "button", "C"), "T-99")
    assert bench.ledger.head().kind == "refused"
    assert bench.ledger.head().ticket is None


async def test_undo_is_proposed_once_and_only_of_what_has_happened(bench, world):
    ask = Request(OPERATOR, "undo T-1", "button", "C")
    ticket = (await bench.propose()).ticket
    with pytest.raises(TicketError, match="is proposed; it can be undone once"):
        await bench.proposals.undo(ask, ticket)
    bench.decisions.reject(bench.press(APPROVER, ticket), "no")
    with pytest.raises(TicketError, match="Nothing that T-1 did can be undone"):
        await bench.proposals.undo(ask, ticket)
    ticket = await bench.approved()
    await bench.runs()
    with pytest.raises(PermissionDenied):
        await bench.proposals.undo(Request(VIEWER, "undo", "button", "C"), ticket)
    undo = await bench.proposals.undo(ask, ticket)
    with pytest.raises(TicketError, match=f"{undo.ticket} already undoes"):
        await bench.proposals.undo(ask, ticket)


async def test_two_undos_at_once_are_one(benches, world):
    """Two people press Undo in two processes: each would take back the whole of it."""
    bench, other = benches(), benches()
    ticket = await bench.approved()
    await bench.runs()

    async def undo(one):
        try:
            return (await one.proposals.undo(Request(OPERATOR, f"undo {ticket}", "button", "C"), ticket)).ticket
        except TicketError as late:
            return str(late)

    async def process(one):
        return await asyncio.gather(*(undo(one) for _ in range(12)))

    with ThreadPoolExecutor(2) as pool:
        said = [each for told in pool.map(lambda one: asyncio.run(process(one)), [bench, other]) for each in told]
    assert sorted(set(said)) == ["T-2", "T-2 already undoes T-1: proposed."]
    assert said.count("T-2") == 1
    assert bench.ledger.tickets() == ["T-2"]
    assert len(bench.ledger.entries(kind="refused")) == 23


async def test_fifty_at_once_make_one_decision_and_one_run(bench, world):
    ticket = (await bench.propose()).ticket
    crowd = [person(100 + number, Role.APPROVER) for number in range(50)]

    def press(who):
        try:
            return bench.decisions.approve(bench.press(who, ticket))
        except AlreadyDecided as late:
            return str(late)

    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(press, crowd))
    (winner,) = [one for one in said if not isinstance(one, str)]
    assert {one for one in said if isinstance(one, str)} == {f"Too late: {bench.decisions.describe_status(ticket)}"}
    assert winner.data.name in bench.decisions.describe_status(ticket)
    await bench.runs(3)
    assert len(world.order) == 3
    assert bench.kinds(ticket).count("started") == 1
    assert bench.kinds(ticket).count("refused") == 49


@pytest.mark.parametrize("round_", range(6))
async def test_approve_against_reject_withdraw_expire_and_plan_change(benches, clock, world, round_):
    """All at once, from two processes: one decision stands, and what runs is what was decided."""
    bench, other = benches(), benches()
    ticket = (await bench.propose()).ticket
    clock.forward(minutes=30)  # the last moment: now it may be approved, and be called expired
    if round_ % 2:
        bench.plans["reset"] = lambda on, _facts: simple(on, step("x", on, x="1"))
    acts = [
        partial(bench.decisions.approve, bench.press(APPROVER, ticket)),
        partial(other.decisions.approve, other.press(OTHER, ticket)),
        partial(bench.decisions.reject, bench.press(OTHER, ticket), "no"),
        partial(other.decisions.withdraw, other.press(OPERATOR, ticket)),
        partial(bench.ledger.append, "bot", entry_data("expired"), ticket),
    ]
    acts = acts[round_ % 5 :] + acts[: round_ % 5]
    results = await asyncio.gather(
        *(asyncio.to_thread(act) for act in acts), bench.runner.tick(), other.runner.tick(), return_exceptions=True
    )
    assert not [one for one in results if isinstance(one, Exception) and not isinstance(one, HvopsError)]
    await bench.runs(2)
    await other.runs(2)
    kinds = bench.kinds(ticket)
    assert sum(kinds.count(kind) for kind in ("approved", "rejected", "expired")) <= 1
    ends = [kind for kind in kinds if kind in ("rejected", "withdrawn", "expired", "voided", "done")]
    assert len(ends) == 1
    assert len(world.order) == (3 if ends == ["done"] else 0)
    assert bench.ledger.verify().holds


async def test_two_processes_on_one_store_run_a_ticket_once_and_one_takes_over_from_the_other(benches, world):
    first, second = benches(), benches()
    ticket = await first.approved()
    await asyncio.gather(first.runner.tick(), second.runner.tick())
    assert (first.runner.is_leader, second.runner.is_leader) in ((True, False), (False, True))
    await asyncio.gather(first.runner.wait_idle(), second.runner.wait_idle())
    assert first.last(ticket).kind == "done"
    assert len(world.order) == 3
    one, standby = (first, second) if first.runner.is_leader else (second, first)
    ticket = await one.approved()
    await one.runner.close()
    await standby.runs()
    assert standby.last(ticket).kind == "done"


async def test_a_click_that_nobody_answered_is_made_up_for_once(bench):
    ticket = (await bench.propose()).ticket
    answered = bench.ledger.append(APPROVER.id, entry_data("clicked", {"button": "approve"}), ticket)
    bench.decisions.approve(bench.press(APPROVER, ticket, click=answered.seq))
    lost = bench.ledger.append(OTHER.id, entry_data("clicked", {"button": "approve"}), ticket)
    bench.ledger.append(OTHER.id, entry_data("clicked", {"button": "evidence"}))
    await bench.runs(2)
    assert bench.missed == [lost.seq]


async def test_a_ticket_waits_for_the_presses_on_it_that_were_recorded_before_a_crash(bench):
    """A withdrawal that was recorded just before a crash is heard before anything of the ticket starts."""
    ticket, other = await bench.approved(), await bench.approved("/reset hv04")
    click = bench.ledger.append(OPERATOR.id, entry_data("clicked", {"button": "withdraw"}), ticket)
    heard = asyncio.Event()

    async def answer(missed):
        await heard.wait()
        bench.decisions.withdraw(bench.press(OPERATOR, ticket, click=missed.seq))

    bench.runner = Scheduler(bench.parts, answer)
    for _ in range(3):
        await bench.runner.tick()
    assert ticket not in bench.runner._tasks
    assert other in bench.runner._tasks
    heard.set()
    await bench.runs(2)
    assert bench.last(ticket).kind == "withdrawn"
    assert bench.last(ticket).click == click.seq
    assert bench.last(other).kind == "done"


async def test_presses_that_cannot_be_read_now_hold_everything_and_are_read_again(bench, world, monkeypatch):
    ticket = await bench.approved()
    click = bench.ledger.append(OPERATOR.id, entry_data("clicked", {"button": "withdraw"}), ticket)
    read = scheduler.missed_clicks
    monkeypatch.setattr(scheduler, "missed_clicks", Mock(side_effect=[LedgerError("busy"), LedgerError("busy")]))
    await bench.runs(2)
    assert (world.order, bench.missed) == ([], [])
    monkeypatch.setattr(scheduler, "missed_clicks", read)
    await bench.runs(2)
    assert bench.missed == [click.seq]
    assert bench.last(ticket).kind == "done"  # this handler withdraws nothing


async def test_who_gave_way_is_not_let_go_on_before_a_press_on_it_was_heard(bench, world):
    """Somebody had closed it when the bot died: its locks are free, and it must not take them back first."""
    ticket = await bench.approved()
    bench.ledger.append("bot", entry_data("started", {"attempt": 1, "locks": ["node:hv03"]}), ticket)
    bench.ledger.append("bot", entry_data("interrupted", {"reason": "gave way", "yields_locks": True}), ticket)
    bench.ledger.append(OPERATOR.id, entry_data("clicked", {"button": "close"}), ticket)
    heard = asyncio.Event()

    async def answer(missed):
        await heard.wait()
        bench.decisions.close(bench.press(OPERATOR, ticket, click=missed.seq), "enough")

    bench.runner = Scheduler(bench.parts, answer)
    for _ in range(3):
        await bench.runner.tick()
    heard.set()
    await bench.runs(2)
    assert (world.order, bench.last(ticket).kind) == ([], "closed")


def waits_long(on, _facts):
    return simple(on, *(step(key, on, within=4 * 3600, **{key: "1"}) for key in ("a", "b")))


def withdraws_and_cancels(bench):
    async def answer(click):
        press = bench.press(OPERATOR, click.ticket, click=click.seq)
        (bench.decisions.withdraw if click.data.button == "withdraw" else bench.decisions.cancel)(press)

    return answer


async def test_a_press_that_a_second_process_took_before_it_was_killed_is_made_up_for(benches, world, monkeypatch):
    """Slack heard that it was taken. The process that runs has never seen it, and goes on living."""
    monkeypatch.setattr(scheduler, "CATCH_UP_SECONDS", 0.0)
    first, second = (benches(plans={"long": waits_long}) for _ in range(2))
    first.runner = Scheduler(first.parts, withdraws_and_cancels(first))
    await first.runs()
    await second.runner.tick()
    assert (first.runner.is_leader, second.runner.is_leader) == (True, False)
    running, waiting = await first.approved("/long hv03"), await first.approved("/long hv03", approver=OTHER)

    def pressed():
        for ticket, button in ((running, "stop"), (waiting, "withdraw")):
            second.ledger.append(OPERATOR.id, entry_data("clicked", {"button": button}), ticket)
        second.runner._only.close()

    world.faults, world.hooks = [("slow", 600)], {1: pressed}
    await first.runner.tick()
    while first.last(running).kind != "cancelled":
        await first.runner.tick()
        await asyncio.sleep(0)
    await first.runs(2)
    assert len(world.order) == 1
    assert first.last(waiting).kind == "withdrawn"


async def test_who_asked_for_an_end_is_heard_however_long_the_bot_was_away(bench, world, clock):
    bench.plans["reset"] = waits_long
    running = await bench.approved()
    world.faults = ["never"]
    await bench.runner.tick()
    while not world.order:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    bench.ledger.append(OPERATOR.id, entry_data("clicked", {"button": "stop"}), running)
    await bench.dies()
    clock.forward(hours=2)
    bench.runner = Scheduler(bench.parts, withdraws_and_cancels(bench))
    world.hosts["hv03"]["a"] = "1"
    await bench.runs(3)
    assert len(world.order) == 1
    assert bench.last(running).kind == "cancelled"


async def test_a_press_whose_answer_fails_holds_its_ticket_no_longer(bench):
    ticket = await bench.approved()
    bench.ledger.append(OPERATOR.id, entry_data("clicked", {"button": "withdraw"}), ticket)
    bench.runner = Scheduler(bench.parts, AsyncMock(side_effect=[RuntimeError("our bug")]))
    await bench.runs(2)
    assert bench.last(ticket).kind == "done"


async def test_a_press_whose_answer_hangs_holds_its_ticket_for_a_while_and_no_other(bench):
    """Slack does not say who that is. The press decides nothing after that time, so the ticket goes on."""
    ticket, other = await bench.approved(), await bench.approved("/reset hv04")
    hangs = bench.ledger.append(OPERATOR.id, entry_data("clicked", {"button": "withdraw"}), ticket)
    click = bench.ledger.append(OPERATOR.id, entry_data("clicked", {"button": "withdraw"}), other)

    async def answer(missed):
        if missed.seq == hangs.seq:
            await asyncio.Event().wait()
        bench.decisions.withdraw(bench.press(OPERATOR, other, click=missed.seq))

    bench.runner = Scheduler(bench.parts, answer)
    bench.runner.answer_seconds = 0.05
    async with asyncio.timeout(20):
        await bench.runs(3)
    assert bench.last(other).click == click.seq
    assert bench.last(ticket).kind == "done"
    await bench.runner.close()


def stops(bench):
    async def answer(missed):
        bench.decisions.stop_changes(OPERATOR, "it burns", missed.seq)

    return answer


async def test_who_asked_for_a_stop_is_heard_however_long_the_bot_was_away(benches, world, clock):
    bench = benches(policy=POLICY.model_copy(update={"start_minutes": 2880}))
    ticket = await bench.approved()
    bench.ledger.append(OPERATOR.id, entry_data("clicked", {"button": STOP_REQUEST}))
    await bench.dies()
    clock.forward(hours=25)
    bench.runner = Scheduler(bench.parts, stops(bench))
    await bench.runs(3)
    assert bench.ledger.is_stopped()
    assert (world.order, bench.last(ticket).kind) == ([], "approved")


async def stop_is_heeded(bench, world, clock, answer):
    """A stop that another process took, and an approved ticket, which does not start before it is in force."""
    bench.runner = Scheduler(bench.parts, answer)
    await bench.runner.tick()
    bench.ledger.append(OPERATOR.id, entry_data("clicked", {"button": STOP_REQUEST}))
    ticket = await bench.approved()
    clock.forward(seconds=25)
    async with asyncio.timeout(20):
        while not bench.ledger.is_stopped():
            await bench.runner.tick()
            await asyncio.gather(*bench.runner._stopping.values())
    assert (world.order, bench.last(ticket).kind) == ([], "approved")


async def test_a_request_to_stop_is_heeded_while_the_answer_to_another_press_hangs(bench, world, clock):
    """Slack does not say who pressed that; a second process took the stop, told Slack so, and was killed."""
    other = (await bench.propose("/tweak hv03")).ticket
    bench.ledger.append(OPERATOR.id, entry_data("clicked", {"button": "t-withdraw"}), other)
    hangs = asyncio.Event()

    async def answer(missed):
        if missed.ticket is not None:
            await hangs.wait()
            return
        await stops(bench)(missed)

    await stop_is_heeded(bench, world, clock, answer)
    hangs.set()
    await bench.runner.close()


async def test_a_stop_that_was_taken_and_not_carried_out_is_tried_until_it_is(bench, world, clock, monkeypatch):
    """Its person was told that nothing was done: the next entry could not be written, and the process lives on."""
    monkeypatch.setattr(scheduler, "CATCH_UP_SECONDS", 0.0)
    tries = []

    async def answer(missed):
        tries.append(missed.seq)
        if len(tries) > 2:
            await stops(bench)(missed)

    await stop_is_heeded(bench, world, clock, answer)
    assert len(tries) == 3
    await bench.runner.close()


async def test_nothing_starts_while_the_answer_to_a_request_to_stop_hangs(bench, world, clock, monkeypatch):
    monkeypatch.setattr(scheduler, "CATCH_UP_SECONDS", 0.0)
    ticket = await bench.approved()
    bench.ledger.append(OPERATOR.id, entry_data("clicked", {"button": STOP_REQUEST}))
    tries = []

    async def answer(missed):
        tries.append(missed.seq)
        if len(tries) == 1:
            await asyncio.Event().wait()
        if len(tries) == 2:
            raise RolesUnknown("Slack does not say who that is.")
        await stops(bench)(missed)

    bench.runner = Scheduler(bench.parts, answer)
    bench.runner.answer_seconds = 0.05
    async with asyncio.timeout(20):
        while not bench.ledger.is_stopped():
            assert (world.order, bench.last(ticket).kind) == ([], "approved")
            await bench.runs()
            clock.forward(minutes=1)
    await bench.runs(2)
    assert (len(tries), world.order) == (3, [])
    await bench.runner.close()


def test_a_standing_of_nothing_is_refused():
    with pytest.raises(TicketError):
        describe_status("T-1", [])


async def test_how_a_ticket_stands_is_said_by_the_last_thing_that_moved_it(bench, clock):
    bench.plans["reset"] = lambda on, _facts: simple(on, by_hand(on))
    ticket, says = (await bench.propose()).ticket, bench.decisions.describe_status
    assert says(ticket) == "T-1 is open until 14:30 UTC on 2026-03-02."
    bench.decisions.approve(bench.press(APPROVER, ticket))
    clock.forward(minutes=1)
    assert says(ticket) == "T-1 was approved by person 2 at 14:00 UTC on 2026-03-02."
    under_way(bench, ticket)
    clock.forward(minutes=1)
    assert says(ticket) == "T-1 runs since 14:01 UTC on 2026-03-02."
    bench.ledger.append("bot", entry_data("interrupted", {"step": "look", "reason": "reason"}), ticket)
    clock.forward(minutes=1)
    assert says(ticket) == "T-1 is interrupted since 14:02 UTC on 2026-03-02."
    bench.decisions.resume(bench.press(APPROVER, ticket))
    assert says(ticket) == "T-1 runs since 14:03 UTC on 2026-03-02."
    bench.decisions.cancel(bench.press(OPERATOR, ticket))
    assert says(ticket) == "T-1 runs since 14:03 UTC on 2026-03-02."
    bench.ledger.append("bot", entry_data("interrupted", {"attempt": 2, "step": "look", "reason": "reason"}), ticket)
    bench.decisions.close(bench.press(OPERATOR, ticket), "seen to.")
    assert says(ticket) == "T-1 was closed by person 1 at 14:03 UTC on 2026-03-02: seen to."
    with pytest.raises(TicketError, match="There is no ticket T-9"):
        says("T-9")
    for data, by in (
        (entry_data("expired", reason="late"), "bot"),
        (entry_data("rejected", by="T1/U8", name="Ann", reason="late"), "Ann"),
        (entry_data("rejected", by="T1/U8", reason="late"), "bot"),
    ):
        told = replace(bench.last(ticket), kind=data.kind, actor="bot", fields=data.fields)
        assert describe_status("T-1", [told]) == f"T-1 was {data.kind} by {by} at 14:03 UTC on 2026-03-02: late."


async def test_what_a_decision_writes(bench):
    ticket = (await bench.propose()).ticket
    entry = bench.decisions.approve(replace(bench.press(APPROVER, ticket, click=7), place="C0OPS"))
    assert entry.fields == {
        "rules_version": RULES_VERSION,
        "start_by": "2026-03-02T14:15:00.000Z",
        "digest": bench.ledger.ticket(ticket).digest,
        "by": APPROVER.id,
        "name": APPROVER.name,
        "via": "button",
        "place": "C0OPS",
        "click": 7,
    }
    ticket = (await bench.propose()).ticket
    assert bench.decisions.reject(bench.press(APPROVER, ticket), "x" * 600).fields["reason"] == "x" * 500
    assert bench.decisions.stop_changes(OPERATOR, "y" * 600, 3).fields == {
        "name": "person 1",
        "reason": "y" * 500,
        "click": 3,
    }
    before = bench.ledger.head().seq
    assert bench.decisions.allow_changes(APPROVER, 4).fields == {"name": "person 2", "click": 4, "after": before}


async def test_what_a_refusal_writes(bench):
    ticket = (await bench.propose()).ticket
    told = {"name": "person 4", "via": "button", "place": "C0OPS", "click": 7}
    with pytest.raises(PermissionDenied) as refused:
        bench.decisions.approve(bench.press(VIEWER, ticket, click=7))
    assert (bench.ledger.head().actor, bench.ledger.head().ticket) == (VIEWER.id, ticket)
    assert bench.ledger.head().fields == told | {
        "line": f"approve {ticket}", "reason": str(refused.value), "category": "not allowed"
    }  # fmt: skip
    with pytest.raises(TicketError) as refused:
        bench.decisions.close(bench.press(OPERATOR, ticket), "because")
    assert (bench.last(ticket).kind, bench.last(ticket).fields["category"]) == ("refused", "blocked")
    with pytest.raises(PermissionDenied) as refused:
        bench.decisions.stop_changes(VIEWER, "x")
    head = bench.ledger.head()
    assert (head.ticket, head.fields["line"], head.fields["category"]) == (None, "/hvops stop", "not allowed")


async def test_a_second_cancel_is_told_that_the_first_one_counts(bench):
    bench.plans["reset"] = lambda on, _facts: simple(on, by_hand(on))
    ticket = await bench.approved()
    under_way(bench, ticket)
    bench.decisions.cancel(bench.press(OPERATOR, ticket))
    with pytest.raises(TicketError, match="has already been asked to stop"):
        bench.decisions.cancel(bench.press(APPROVER, ticket))
    assert bench.kinds(ticket).count("cancel-asked") == 1


@pytest.mark.parametrize("gives_way", [True, False])
async def test_who_lets_a_wait_go_on_that_gave_way_takes_its_locks_again(bench, gives_way):
    bench.plans["reset"] = lambda on, _facts: simple(on, by_hand(on))
    ticket = await bench.approved()
    under_way(bench, ticket)
    bench.ledger.append(
        "bot", entry_data("interrupted", {"step": "look", "reason": "reason", "yields_locks": gives_way}), ticket
    )
    entry = bench.decisions.resume(bench.press(APPROVER, ticket))
    assert entry.fields["attempt"] == 2
    assert entry.fields.get("locks") == (["node:hv03"] if gives_way else [])
    with pytest.raises(TicketError, match="It is not interrupted: T-1 runs since"):
        bench.decisions.resume(bench.press(APPROVER, ticket))


async def test_a_step_by_hand_asks_for_the_role_that_it_names(bench):
    careful = replace(by_hand("hv03"), act=replace(by_hand("hv03").act, role="approver"))
    bench.plans["reset"] = lambda on, _facts: simple(on, careful)
    ticket = await bench.approved()
    with pytest.raises(TicketError, match="is not waiting for a manual step now"):
        bench.decisions.confirm_manual_step(bench.press(APPROVER, ticket))
    under_way(bench, ticket)
    with pytest.raises(PermissionDenied, match="approver role"):
        bench.decisions.confirm_manual_step(bench.press(OPERATOR, ticket))
    said = bench.decisions.confirm_manual_step(bench.press(APPROVER, ticket)).data
    assert (said.step, said.round) == ("look", 1)


def reads_back(bench, **more):
    """A ticket that waits for what a person reads off a machine, and that no machine can be asked about."""
    fields = (TypedField("Serial number", "text", "SN-1"), TypedField("Size", "size", str(278 * 2**30), "278 GB"))
    act = ReadBack("Read it", more.pop("role", "operator"), fields, "Load the driver.")
    bench.plans["reset"] = lambda on, _facts: simple(on, replace(by_hand("hv03"), act=act, done=(), **more))


async def test_what_was_read_back_is_compared_and_stands_signed(bench):
    reads_back(bench)
    ticket = await bench.approved()
    under_way(bench, ticket)
    press = bench.press(OPERATOR, ticket)
    for said in ((), ("SN-1",), ("SN-1", " ")):
        with pytest.raises(Unanswered, match=r"Press Done… and type what you read: Serial number; Size"):
            bench.decisions.confirm_manual_step(press, said)
    with pytest.raises(WrongReadBack, match=r"stops at step 1: Size: “14 GB” was typed, .* 278 GB.*Load the driver"):
        bench.decisions.confirm_manual_step(press, ("SN-1", "14 GB"))
    assert not bench.ledger.entries(kind="step-confirmed")
    refused = bench.ledger.entries(kind="refused")
    assert [one.data.category for one in refused] == ["blocked", *["not understood"] * 3]
    assert "14 GB" in refused[0].data.reason
    said = bench.decisions.confirm_manual_step(press, ("sn 1", "278GB"))
    assert [(one.what, one.answer) for one in said.data.answers] == [("Serial number", "sn 1"), ("Size", "278GB")]
    assert "answers" in said.fields


async def test_nobody_is_asked_who_may_not_say_it(bench):
    reads_back(bench, role="approver")
    ticket = await bench.approved()
    with pytest.raises(TicketError, match="is not waiting for a manual step now"):
        bench.decisions.must_read_back(bench.press(APPROVER, ticket))
    under_way(bench, ticket)
    with pytest.raises(PermissionDenied, match="approver role"):
        bench.decisions.must_read_back(bench.press(OPERATOR, ticket))
    with pytest.raises(TicketError, match="moved on"):
        bench.decisions.must_read_back(replace(bench.press(APPROVER, ticket), shown=2))
    assert bench.decisions.must_read_back(bench.press(APPROVER, ticket)).number == 1


async def test_a_step_that_no_machine_can_be_asked_about_counts_on_a_persons_word(bench, world):
    reads_back(bench)
    ticket = await bench.approved()
    sleep, pressed = bench.clock.sleep, []

    async def sleep_and_press(seconds):
        await sleep(seconds)
        if not pressed and bench.ledger.ticket(ticket).intent:
            pressed.append(bench.decisions.confirm_manual_step(bench.press(OPERATOR, ticket), ("SN-1", "278 GB")))

    object.__setattr__(bench.parts, "sleep", sleep_and_press)
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    (outcome,) = bench.ledger.entries(kind="outcome")
    assert outcome.data.basis == "statement"
    assert "no machine can be queried, so it is not verified" in outcome.data.message


async def test_a_step_that_nobody_confirms_fails_though_nothing_is_looked_at(bench):
    reads_back(bench, deadline=3600)
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "failed"


def test_a_step_of_hvops_own_must_be_judged():
    with pytest.raises(ValueError, match="does not say when it is done"):
        replace(step("one", "hv03", seen="yes"), done=())


def test_the_practice_policy_is_the_strict_one():
    assert (POLICY.low, POLICY.high) == ("confirm", "approval")


async def test_done_counts_for_the_step_it_was_shown_for_and_for_no_later_one(bench, world):
    """Two people press Done for the same step, and the next one is by hand too: nobody has done that."""
    world.hosts["hv03"]["seen"] = "yes"  # as where only a person can see whether something is done
    looks = [replace(by_hand("hv03"), key=f"look-{number}") for number in (1, 2)]
    bench.plans["reset"] = lambda on, _facts: simple(on, *looks)
    ticket = await bench.approved()
    waited = Counter()
    sleep = bench.clock.sleep

    async def sleep_and_press(seconds):
        await sleep(seconds)
        step = (bench.ledger.ticket(ticket).intent or ("",))[0]
        waited[step] += 1
        if (step, waited[step]) == ("look-1", 1):
            bench.decisions.confirm_manual_step(replace(bench.press(OPERATOR, ticket), shown=1))
        elif (step, waited[step]) == ("look-2", 1):
            with pytest.raises(TicketError, match=r"moved on.*it waits for step 2 now, A person looks"):
                bench.decisions.confirm_manual_step(replace(bench.press(APPROVER, ticket), shown=1))
        elif (step, waited[step]) == ("look-2", 3):
            bench.decisions.confirm_manual_step(replace(bench.press(APPROVER, ticket), shown=2))

    object.__setattr__(bench.parts, "sleep", sleep_and_press)
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    assert [(one.data.step, one.actor) for one in bench.ledger.entries(kind="step-confirmed", newest_first=False)] == [
        ("look-1", OPERATOR.id),
        ("look-2", APPROVER.id),
    ]


async def test_going_on_counts_for_the_interruption_it_was_shown_for(bench, world):
    world.faults += ["never"] * 9
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "interrupted"
    seen = replace(bench.press(APPROVER, ticket), shown=bench.ledger.ticket(ticket).attempt)
    bench.decisions.resume(seen)
    await bench.runs()
    assert bench.last(ticket).kind == "interrupted"
    with pytest.raises(TicketError, match="it resumed and was interrupted again"):
        bench.decisions.resume(seen)
    assert bench.last(ticket).kind == "refused"


async def test_a_close_that_was_held_up_frees_no_lock_of_a_later_interruption(bench, world):
    """Its process stood still behind the look at what was shown, or its commit was of unknown fate for a while."""
    bench.plans["reset"] = lambda on, _facts: simple(on, step("a", on, a="1"), step("b", on, b="1"))
    world.faults = ["never"]
    ticket = await bench.approved()
    await bench.runs()
    seen = replace(bench.press(OPERATOR, ticket), shown=bench.ledger.ticket(ticket).attempt)
    stands, goes_on, append = threading.Event(), threading.Event(), bench.ledger.append

    def held_up(actor, data, about=None):
        if data.kind == "closed":
            stands.set()
            assert goes_on.wait(60)
        return append(actor, data, about)

    bench.ledger.append = held_up
    closing = asyncio.create_task(asyncio.to_thread(bench.decisions.close, seen, "nothing was sent"))
    await asyncio.to_thread(stands.wait, 60)
    world.hosts["hv03"]["a"], world.faults = "1", ["never"]
    bench.decisions.resume(bench.press(APPROVER, ticket))
    await bench.runs()
    assert (bench.ledger.ticket(ticket).state, bench.ledger.ticket(ticket).intent[0]) == ("interrupted", "b")
    goes_on.set()
    with pytest.raises(TicketError, match="attempt 1 is over"):
        await closing
    assert bench.ledger.locks() == {"node:hv03": ticket}


async def test_closing_counts_for_the_interruption_it_was_shown_for(bench, world):
    """Its window was opened when nothing had happened yet; by now another step is in doubt."""
    bench.plans["reset"] = lambda on, _facts: simple(on, step("a", on, a="1"), step("b", on, b="1"))
    world.faults = ["never"]
    ticket = await bench.approved()
    await bench.runs()
    seen = replace(bench.press(OPERATOR, ticket), shown=bench.ledger.ticket(ticket).attempt)
    bench.decisions.must_explain(seen, "close")
    world.hosts["hv03"]["a"], world.faults = "1", ["never"]
    bench.decisions.resume(bench.press(APPROVER, ticket))
    await bench.runs()
    assert (bench.ledger.ticket(ticket).state, bench.ledger.ticket(ticket).intent[0]) == ("interrupted", "b")
    for refused in (
        partial(bench.decisions.close, why="nothing was sent"),
        partial(bench.decisions.must_explain, verb="close"),
    ):
        with pytest.raises(TicketError, match="it resumed and was interrupted again"):
            refused(seen)
    assert bench.ledger.locks() == {"node:hv03": ticket}
    bench.decisions.close(replace(seen, shown=bench.ledger.ticket(ticket).attempt), "seen to")
    assert (bench.last(ticket).kind, bench.ledger.locks()) == ("closed", {})


async def test_one_human_in_two_workspaces_of_an_organisation_is_no_second_person(bench):
    ticket = (await bench.propose()).ticket
    elsewhere = Person(OPERATOR.id.replace("T1/", "T2/"), "the same", {Role.APPROVER: frozenset(["*"])})
    assert elsewhere.id != OPERATOR.id
    with pytest.raises(PermissionDenied, match="another approver must decide"):
        bench.decisions.approve(bench.press(elsewhere, ticket))
    with pytest.raises(TicketError, match="another approver must decide"):
        bench.ledger.append(
            elsewhere.id, entry_data("approved", {"by": elsewhere.id, "start_by": "2100-01-01T00:00:00Z"}), ticket
        )


def test_one_lock_by_whatever_link_a_process_knows_the_ledger(tmp_path):
    (tmp_path / "ledger.db").touch()
    (tmp_path / "link.db").symlink_to(tmp_path / "ledger.db")
    first, second = LeaderLock(tmp_path / "ledger.db"), LeaderLock(tmp_path / "link.db")
    assert (first.acquire(), second.acquire()) == (True, False)
    first.close()
    assert second.acquire()
    second.close()
