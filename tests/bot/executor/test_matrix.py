"""Everybody × every verb × every state × every policy, against a table written from the design's words alone.

    "Confirm is the requester's own second look, for low risk. Approval is another person of the approver role, for the
    rest."  "A higher role may do what a lower one may, except decide for themselves."  "Closed by default."

A role must hold on every cluster that the plan reaches. Whatever is refused leaves the ticket as it was, and an entry.
"""

from __future__ import annotations

import contextlib
from itertools import product

import pytest
from entry_samples import entry_data, entry_data_of
from scripted_world import by_hand, person, simple, step

from bot.api.command import Role
from bot.config.settings import Policy
from bot.dispatch.authorization import Person
from bot.dispatch.line_entries import LineEntries
from bot.dispatch.person_rate import PersonRate
from bot.dispatch.pipeline import Request
from bot.errors import HvopsError, PermissionDenied, SwitchUnchanged, TicketError
from bot.ledger.entries import Released, Stopped

V, O, A = Role.VIEWER, Role.OPERATOR, Role.APPROVER  # noqa: E741 - viewer, operator, approver
HOLDINGS = {  # which role holds where; several rules may name the same person
    "nobody": {},
    "viewer": {V: ["prod"]},
    "viewer everywhere": {V: ["*"]},
    "operator": {O: ["prod"]},
    "operator everywhere": {O: ["*"]},
    "operator elsewhere": {O: ["branch"]},
    "approver": {A: ["prod"]},
    "approver in other letters": {A: ["PROD"]},
    "approver everywhere": {A: ["*"]},
    "approver elsewhere": {A: ["branch"]},
    "approver of nothing": {A: []},
    "operator here, approver elsewhere": {O: ["prod"], A: ["branch"]},
    "operator elsewhere, approver here": {O: ["branch"], A: ["prod"]},
    "operator and approver": {O: ["prod"], A: ["prod"]},
    "both clusters, as operator": {O: ["prod", "branch"]},
    "both clusters, as approver": {A: ["prod", "branch"]},
    "viewer everywhere, approver elsewhere": {V: ["*"], A: ["branch"]},
}
STATES = ("proposed", "approved", "running", "waits for a hand", "interrupted", "done", "rejected")
WHEN = {  # the verbs, and the states in which they mean anything
    "approve": {"proposed"},
    "reject": {"proposed"},
    "withdraw": {"proposed", "approved"},
    "cancel": {"running", "waits for a hand"},
    "confirm_manual_step": {"waits for a hand"},
    "resume": {"interrupted"},
    "close": {"interrupted"},
    "undo": {"interrupted", "done"},
}
WHERE = {"hv03": ("prod",), "hv03 and br01": ("prod", "branch")}


def allowed(verb, state, holding, *, own, policy, places):
    """The table. Independent of the code: nothing of it is imported here."""

    def holds(role):
        return all(
            any(held >= role and (place in {name.lower() for name in names} or "*" in names) for held, names in holding)
            for place in places
        )

    decides = own and holds(O) if policy == "confirm" else not own and holds(A)
    return state in WHEN[verb] and {
        "approve": decides,
        "resume": decides,
        "reject": holds(A),
        "withdraw": own or (state == "approved" and holds(A)),
        "cancel": holds(O),
        "confirm_manual_step": holds(O),
        "close": holds(O),
        "undo": holds(O),
    }[verb]  # fmt: skip


def reaching(where):
    """A plan of one step that can be undone and one by hand, on one cluster or on two."""

    def plan(on, _facts):
        first = step("set", on, x="1")
        first = type(first)(**{name: getattr(first, name) for name in first.__slots__} | _undo(on))
        more = (step("other", "br01", x="1"),) if where == "hv03 and br01" else ()
        return simple(on, first, *more, by_hand(on))

    return plan


def _undo(on):
    back = step("back", on, x="0")
    return {"undo": back.act, "undone": back.done}


class Table:
    """Tickets in any state, one for many: whatever is refused must leave it as it was."""

    def __init__(self, bench, line, where, requester):
        self.bench, self.line, self.requester = bench, line, requester
        bench.plans |= {"tweak": reaching(where), "reset": reaching(where)}
        self.tickets = {}

    async def ticket(self, state):
        """One in that state; made by entries, so that nothing has to run."""
        if state in self.tickets:
            return self.tickets[state]
        ticket = (await self.bench.propose(self.line, self.requester)).ticket
        self.tickets[state] = ticket
        entries, until = (
            self.bench.ledger,
            {"start_by": "2026-03-02T14:10:00Z", "digest": self.bench.ledger.ticket(ticket).digest},
        )
        decided = {"by": "T1/U90", "name": "decider"}
        act = {"round": 1, "attempt": 1}
        if state == "rejected":
            entries.append("T1/U90", entry_data("rejected", decided | {"reason": "no"}), ticket)
        elif state != "proposed":
            by = "T1/U90" if self.bench.ledger.ticket(ticket).second_person else self.requester.id
            entries.append(by, entry_data("approved", decided | until | {"by": by}), ticket)
        if state in ("running", "waits for a hand", "interrupted", "done"):
            entries.append("bot", entry_data("started", {"locks": [f"only:{ticket}"], "attempt": 1}), ticket)
            entries.append("bot", entry_data("intent", act | {"step": "set"}), ticket)
        if state in ("waits for a hand", "done"):
            entries.append("bot", entry_data("outcome", act | {"step": "set", "result": "done"}), ticket)
        if state == "waits for a hand":
            entries.append("bot", entry_data("intent", act | {"step": "look"}), ticket)
        if state in ("interrupted", "done"):
            entries.append("bot", entry_data_of(state, {"step": "set", "reason": "why", "message": "all"}), ticket)
        return ticket

    async def press(self, verb, who, ticket):
        if verb == "undo":
            return await self.bench.proposals.undo(Request(who, f"undo {ticket}", "button", "C"), ticket)
        why = ("because",) if verb in ("reject", "close") else ()
        return getattr(self.bench.decisions, verb)(self.bench.press(who, ticket), *why)


CASES = (("confirm", "hv03"), ("confirm", "hv03 and br01"), ("approval", "hv03"), ("approval", "hv03 and br01"))
EVERYWHERE = ("nobody", "operator everywhere", "approver everywhere")  # for the states in which a verb means nothing


@pytest.mark.parametrize(
    ("kind", "where", "low"), [(*one, "confirm") for one in CASES] + [("approval", "hv03", "approval")]
)
async def test_who_may_do_what_when(benches, kind, where, low):
    """17 holdings, own or not × 8 verbs × 7 states × 3 policies × 2 reaches."""
    bench = benches(policy=Policy(low=low, high="approval"))
    if bench.ledger.store_name == "sqlite":
        bench.ledger._store.write("PRAGMA synchronous=OFF")  # what is asked here is not whether it outlives a power cut
    bench.pipeline.entries = LineEntries(bench.ledger, PersonRate(10_000, 1.0))  # each refusal is written
    asker = person(1, O, on=("*",))
    table = Table(bench, "/tweak hv03" if low == kind else "/reset hv03", where, asker)
    wrong = []
    for name, own in product(HOLDINGS, (False, True)):
        holding = HOLDINGS[name]
        who = Person(asker.id if own else "T1/U50", name, {role: frozenset(on) for role, on in holding.items()})
        for verb, state in product(WHEN, STATES):
            if state not in WHEN[verb] and name not in EVERYWHERE:
                continue
            ticket = await table.ticket(state)
            before = bench.ledger.ticket(ticket)
            expected = allowed(verb, state, holding.items(), own=own, policy=kind, places=WHERE[where])
            try:
                await table.press(verb, who, ticket)
            except HvopsError as refused:
                said, last = refused, bench.ledger.head()
                assert last.kind == "refused", (name, verb, state)
                assert last.data.reason == str(said)
                assert bench.ledger.ticket(ticket) == before
            else:
                said = None
                table.tickets.pop(state)
                assert bench.ledger.head().kind != "refused"
            if (said is None) is not expected:
                wrong.append((name, own, verb, state, str(said)))
    assert not wrong
    assert bench.ledger.verify().holds


ANYWHERE = ("nobody", "viewer everywhere", "operator", "operator elsewhere", "approver", "approver of nothing")


@pytest.mark.parametrize(("stop", "go"), [("operator", "approver"), ("approver", "operator"), ("operator", "operator")])
def test_who_may_stop_and_go(benches, stop, go):
    """The settings say which role; nothing else counts. A role that holds nowhere is none."""
    made = benches(policy=Policy(low="confirm", high="approval", stop=stop, go=go))
    decisions = made.decisions
    for name in ANYWHERE:
        who = Person("T1/U50", name, {role: frozenset(on) for role, on in HOLDINGS[name].items()})
        highest = max((role for role, on in HOLDINGS[name].items() if on), default=Role.NOBODY)
        for needs, act, instead in (
            (stop, lambda who: decisions.stop_changes(who, "why"), Released()),
            (go, decisions.allow_changes, Stopped(reason="why")),
        ):
            with contextlib.suppress(SwitchUnchanged):
                made.ledger.append("T1/U99", instead)
            # A stop is ended by who may everywhere.
            held = who.role_on("prod") if isinstance(instead, Stopped) else highest
            if held >= Role[needs.upper()]:
                act(who)
            else:
                with pytest.raises(PermissionDenied):
                    act(who)


async def test_a_plan_that_names_no_place_takes_a_role_everywhere(bench):
    """Nothing to compare a cluster with: only who holds the role everywhere may decide."""
    ticket = (await bench.propose()).ticket
    story = bench.ledger.story(ticket)[0].fields
    nowhere = bench.ledger.append("T1/U1", entry_data("proposed", story | {"places": []})).ticket
    for holding, may in ((["prod"], False), (["prod", "branch"], False), (["*"], True)):
        who = Person("T1/U50", "x", {A: frozenset(holding)})
        if may:
            bench.decisions.approve(bench.press(who, nowhere))
        else:
            with pytest.raises(PermissionDenied):
                bench.decisions.approve(bench.press(who, nowhere))


async def test_the_ledger_itself_refuses_a_requester_who_approves(bench):
    """The second lock: even an entry written past `ApprovalService` cannot make one person both."""
    ticket = (await bench.propose()).ticket
    with pytest.raises(TicketError, match="You requested"):
        bench.ledger.append(
            "T1/U1", entry_data("approved", {"by": "T1/U1", "start_by": "2026-03-02T14:10:00Z"}), ticket
        )
