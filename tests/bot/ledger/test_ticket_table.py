"""Tickets in the ledger: a plain model and the real thing do the same, whatever is tried in whatever order."""

from __future__ import annotations

import sqlite3
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import newer_version
import pytest
from entry_samples import entry_data
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pydantic import ValidationError

from bot.errors import ChangesStopped, LedgerError, Locked, ResumedSince, SwitchUnchanged, TicketError
from bot.ledger import EntryDraft, Ledger
from bot.ledger.entries import StopShown
from bot.ledger.ticket_state import UNDO_FAILED_STATES, TicketState

PROPOSAL = {"digest": "d", "policy": "approval", "target": "hv03", "line": "/reset-writer hv03"}


def propose(ledger, clock, **more):
    return ledger.append("U1", entry_data("proposed", PROPOSAL | {"open_until": clock.later(30)} | more)).ticket


def approve(ledger, clock, ticket):
    ledger.append("U2", entry_data("approved", {"by": "U2", "start_by": clock.later(30)}), ticket)


def start(ledger, ticket, *locks, **more):
    return ledger.append("bot", entry_data("started", {"attempt": 1, "locks": list(locks), **more}), ticket)


def running(ledger, clock, *locks, **more):
    ticket = propose(ledger, clock)
    approve(ledger, clock, ticket)
    start(ledger, ticket, *locks, **more)
    return ticket


def test_tickets_are_numbered_by_the_ledger(ledger, clock):
    assert [propose(ledger, clock) for _ in range(3)] == ["T-1", "T-2", "T-3"]
    assert ledger.tickets() == ["T-1", "T-2", "T-3"]
    with pytest.raises(TicketError, match="does not choose its number"):
        ledger.append("U1", entry_data("proposed", PROPOSAL | {"open_until": clock.later(30)}), "T-9")


def test_a_refused_transition_leaves_no_entry(ledger, clock):
    ticket = propose(ledger, clock)
    with pytest.raises(TicketError):
        ledger.append("bot", entry_data("done"), ticket)
    with pytest.raises(TicketError, match="There is no ticket T-7"):
        ledger.append("U2", entry_data("approved"), "T-7")
    with pytest.raises(TicketError, match="belongs to a ticket"):
        ledger.append("U2", entry_data("approved"))
    assert ledger.head().seq == 1


def test_the_ledgers_own_clock_decides_what_is_late(ledger, clock):
    ticket = propose(ledger, clock)
    with pytest.raises(TicketError, match="has not expired"):
        ledger.append("bot", entry_data("expired"), ticket)
    clock.forward(31)
    with pytest.raises(TicketError, match="was open until"):
        approve(ledger, clock, ticket)
    ledger.append("bot", entry_data("expired"), ticket)
    assert ledger.ticket(ticket).end == "expired"
    assert ledger.tickets() == []


def test_voided_and_proposed_afresh_are_one_transaction(ledger, clock):
    ticket = propose(ledger, clock)
    approve(ledger, clock, ticket)
    again = PROPOSAL | {"open_until": clock.later(30), "replaces": ticket}
    with pytest.raises(TicketError):
        ledger.append_together(
            EntryDraft("bot", entry_data("voided"), ticket),
            EntryDraft("U1", entry_data("proposed", {"digest": "other"}), "T-9"),
        )
    assert ledger.ticket(ticket).state is TicketState.APPROVED
    _, fresh = ledger.append_together(
        EntryDraft("bot", entry_data("voided"), ticket), EntryDraft("U1", entry_data("proposed", again))
    )
    assert ledger.tickets() == [fresh.ticket] == ["T-2"]


def test_a_lock_is_held_by_one_ticket(ledger, clock):
    first = running(ledger, clock, "cluster:prod", "job:7")
    second = propose(ledger, clock)
    approve(ledger, clock, second)
    with pytest.raises(Locked, match="T-1 holds cluster:prod"):
        start(ledger, second, "cluster:prod")
    ledger.append("bot", entry_data("done"), first)
    start(ledger, second, "cluster:prod")
    assert ledger.ticket(second).locks == {"cluster:prod"}


def test_an_undo_takes_over_the_locks_of_an_interrupted_ticket_only(ledger, clock):
    first = running(ledger, clock, "cluster:prod")
    with pytest.raises(TicketError, match=f"{first} is running; it can be undone once it has ended or is interrupted"):
        propose(ledger, clock, undoes=first)
    ledger.append("bot", entry_data("interrupted", {"step": "drain", "known": "paused"}), first)
    undo = propose(ledger, clock, undoes=first)
    approve(ledger, clock, undo)
    start(ledger, undo, "cluster:prod", takes_over=first)
    with pytest.raises(TicketError, match=f"{undo} has taken over its locks"):
        ledger.append("U2", entry_data("resumed", {"attempt": 2, "by": "U2"}), first)
    ledger.append("U2", entry_data("closed", {"by": "U2", "reason": "undone"}), first)
    third = propose(ledger, clock)
    approve(ledger, clock, third)
    with pytest.raises(Locked, match=f"{undo} holds cluster:prod"):
        start(ledger, third, "cluster:prod")
    assert ledger.verify().holds


def interrupted(ledger, clock, *locks, **more):
    ticket = running(ledger, clock, *locks, **more)
    ledger.append("bot", entry_data("interrupted", {"step": "drain", "known": ""}), ticket)
    return ticket


def undoing(ledger, clock, undoes, *locks):
    undo = propose(ledger, clock, undoes=undoes)
    approve(ledger, clock, undo)
    start(ledger, undo, *locks, takes_over=undoes)
    return undo


@pytest.mark.parametrize("then", ["running", "done", "interrupted"])
def test_an_undo_does_not_start_where_its_ticket_has_resumed_since_it_was_proposed(ledger, clock, then):
    first = interrupted(ledger, clock, "cluster:prod")
    undo = propose(ledger, clock, undoes=first)
    approve(ledger, clock, undo)
    ledger.append("U2", entry_data("resumed", {"attempt": 2, "by": "U2"}), first)
    if then != "running":
        ledger.append("bot", entry_data(then, {"attempt": 2}), first)
    with pytest.raises(ResumedSince, match=f"{first} has resumed since this undo was proposed"):
        start(ledger, undo, "cluster:prod", takes_over=first if then == "interrupted" else "")
    ledger.append("bot", entry_data("voided"), undo)
    if then == "interrupted":
        assert undoing(ledger, clock, first, "cluster:prod")
    assert ledger.verify().holds


def test_what_older_rules_let_start_holds(ledger, clock):
    """A bot of before may have started an undo whose ticket had resumed, and proposed one of a ticket that ran."""
    first = running(ledger, clock, "cluster:prod")
    older = {"rules_version": 3}
    undo = propose(ledger, clock, undoes=first, **older)
    approve(ledger, clock, undo)
    ledger.append("bot", entry_data("resumed", {"attempt": 2, "by": "bot"}), first)
    ledger.append("bot", entry_data("interrupted", {"attempt": 2}), first)
    with pytest.raises(ResumedSince):
        start(ledger, undo, "cluster:prod", takes_over=first)
    start(ledger, undo, "cluster:prod", takes_over=first, **older)
    agree(ledger, prod=undo)


def agree(ledger, **locks):
    """The lock table, the entries, a rebuilt table and the verification say that these tickets hold these locks."""
    assert ledger.locks() == ledger._reader.locks() == {f"cluster:{name}": ticket for name, ticket in locks.items()}
    claims = ledger._reader.lock_claims()
    assert ledger.verify().holds
    ledger.rebuild()
    assert ledger._reader.lock_claims() == claims
    assert ledger.verify().holds


@pytest.mark.parametrize("end", ["failed", "cancelled", "voided", "closed"])
def test_an_undo_that_did_not_undo_gives_the_locks_back(ledger, clock, end):
    first = interrupted(ledger, clock, "cluster:prod", "cluster:branch")
    undo = undoing(ledger, clock, first, "cluster:prod", "cluster:test")
    if end == "closed":
        ledger.append("bot", entry_data("interrupted", {"step": "drain", "known": ""}), undo)
    agree(ledger, prod=undo, test=undo, branch=first)
    ledger.append("U2", entry_data(end, {"by": "U2"} if end == "closed" else {"attempt": 1}), undo)
    agree(ledger, prod=first, branch=first)
    other = propose(ledger, clock)
    approve(ledger, clock, other)
    with pytest.raises(Locked, match=f"{first} holds cluster:prod"):
        start(ledger, other, "cluster:prod")
    if end != "closed":  # what became of that undo nobody said
        again = undoing(ledger, clock, first, "cluster:prod")
        agree(ledger, prod=again, branch=first)
        ledger.append("bot", entry_data("failed"), again)
    ledger.append("U2", entry_data("resumed", {"attempt": 2, "by": "U2"}), first)
    agree(ledger, prod=first, branch=first)
    ledger.append("bot", entry_data("done", {"attempt": 2}), first)
    agree(ledger)


def test_what_was_closed_or_undone_gets_no_locks_back(ledger, clock):
    first = interrupted(ledger, clock, "cluster:prod")
    undo = undoing(ledger, clock, first, "cluster:prod")
    ledger.append("U2", entry_data("closed", {"by": "U2"}), first)
    agree(ledger, prod=undo)
    ledger.append("bot", entry_data("failed"), undo)
    agree(ledger)
    second = interrupted(ledger, clock, "cluster:prod")
    undo = undoing(ledger, clock, second, "cluster:prod")
    ledger.append_together(
        EntryDraft("bot", entry_data("done"), undo), EntryDraft("bot", entry_data("closed", {"by": "bot"}), second)
    )
    agree(ledger)


@pytest.mark.parametrize("closed_first", [True, False])
def test_locks_go_back_through_an_undo_that_was_undone_itself(ledger, clock, closed_first):
    first = interrupted(ledger, clock, "cluster:prod")
    undo = undoing(ledger, clock, first, "cluster:prod")
    ledger.append("bot", entry_data("interrupted", {"step": "drain", "known": ""}), undo)
    again = undoing(ledger, clock, undo, "cluster:prod")
    agree(ledger, prod=again)
    if closed_first:
        ledger.append("U2", entry_data("closed", {"by": "U2"}), undo)
        ledger.append("bot", entry_data("failed"), again)
    else:
        ledger.append("bot", entry_data("failed"), again)
        agree(ledger, prod=undo)
        ledger.append("U2", entry_data("closed", {"by": "U2"}), undo)
    agree(ledger, prod=first)
    ledger.append("U2", entry_data("closed", {"by": "U2"}), first)
    agree(ledger)


def test_nobody_takes_locks_over_but_an_undo_of_their_ticket(ledger, clock):
    first, second = interrupted(ledger, clock, "cluster:prod"), interrupted(ledger, clock, "cluster:branch")
    for undoes in ("", second):
        ticket = propose(ledger, clock, undoes=undoes)
        approve(ledger, clock, ticket)
        with pytest.raises(TicketError, match=f"{ticket} does not undo {first}, which keeps its locks"):
            start(ledger, ticket, "cluster:prod", takes_over=first)
    agree(ledger, prod=first, branch=second)


@pytest.mark.sqlite
def test_the_database_too_gives_a_lock_to_nobody_but_who_takes_over_from_its_holder(ledger, clock, monkeypatch):
    """With the fold switched off, what others hold is still refused."""
    first = interrupted(ledger, clock, "cluster:prod")
    undo = undoing(ledger, clock, first, "cluster:prod")
    other = propose(ledger, clock)
    approve(ledger, clock, other)
    monkeypatch.setattr("bot.ledger.proved.ProvedState.allow", lambda _state, draft, _at: draft.ticket)
    for ticket, kind, data in (
        (other, "started", {"attempt": 1, "locks": ["cluster:prod"]}),
        (other, "started", {"attempt": 1, "locks": ["cluster:prod"], "takes_over": first}),
        (first, "resumed", {"attempt": 2, "by": "U2", "locks": ["cluster:prod"]}),
    ):
        with pytest.raises(LedgerError, match="refuses this"):
            ledger.append("bot", entry_data(kind, data), ticket)
        ledger._refused = ""
    assert ledger.locks() == {"cluster:prod": undo}


def test_who_resumes_takes_no_lock_that_it_never_had(ledger, clock):
    first = running(ledger, clock, "cluster:prod")
    ledger.append("bot", entry_data("interrupted", {"step": "soak", "known": ""}), first)
    foreign = {"attempt": 2, "by": "U2", "locks": ["cluster:prod", "cluster:branch"]}
    with pytest.raises(TicketError, match="cannot take locks"):
        ledger.append("bot", entry_data("resumed", foreign), first)
    assert ledger.locks() == {"cluster:prod": first}


def test_who_gave_way_takes_its_locks_back_once_they_are_free(ledger, clock):
    first = running(ledger, clock, "cluster:prod")
    ledger.append("bot", entry_data("interrupted", {"step": "soak", "known": "", "yields_locks": True}), first)
    second = propose(ledger, clock)
    approve(ledger, clock, second)
    start(ledger, second, "cluster:prod", takes_over=first)
    again = {"attempt": 2, "by": "bot", "locks": ["cluster:prod"]}
    with pytest.raises(Locked, match=f"{second} holds"):
        ledger.append("bot", entry_data("resumed", again), first)
    ledger.append("bot", entry_data("done"), second)
    with pytest.raises(TicketError, match="must name the locks"):
        ledger.append("bot", entry_data("resumed", {"attempt": 2, "by": "bot"}), first)
    ledger.append("bot", entry_data("resumed", again), first)
    assert ledger.locks() == {"cluster:prod": first}
    assert ledger.verify().holds
    ledger.rebuild()
    assert ledger.verify().holds
    assert ledger.locks() == {"cluster:prod": first}


@pytest.mark.sqlite
def test_a_ledger_with_an_entry_that_nobody_here_can_read_is_not_rebuilt(ledger, clock):
    """Without that ticket its locks would be free, and its number given to another one."""
    first = propose(ledger, clock)
    approve(ledger, clock, first)
    start(ledger, first, "cluster:prod")
    newer_version.add_field(ledger, ledger.story(first)[0])
    with pytest.raises(LedgerError, match=r"was not rebuilt: Entry 1 .*Use the version of hvops that wrote it"):
        ledger.rebuild()
    assert ledger.locks() == {"cluster:prod": first}
    assert ledger.tickets() == [first]


def test_an_entry_that_its_writer_tries_again_is_appended_once(ledger, clock):
    draft = EntryDraft("U1", entry_data("proposed", PROPOSAL | {"open_until": clock.later(30)}))
    (entry,) = ledger.append_together(draft)
    assert entry.id == draft.id
    with pytest.raises(LedgerError, match="refuses this"):
        ledger.append_together(draft)
    assert ledger.head() == entry


def test_lists_read_the_table_and_know_what_is_overdue(ledger, clock):
    first, second = propose(ledger, clock), propose(ledger, clock)
    approve(ledger, clock, second)
    assert [(one.id, one.state, one.target) for one in ledger.listed(("proposed", "approved"))] == [
        (second, "approved", "hv03"),
        (first, "proposed", "hv03"),
    ]
    assert ledger.overdue(clock()) == []
    clock.forward(31)
    assert ledger.overdue(clock()) == [first]
    assert [entry.kind for entry in ledger.story(second)] == ["proposed", "approved"]


def test_stop_and_go(ledger, clock):
    ticket = running(ledger, clock)
    ledger.append("U2", entry_data("stop", {"reason": "power work"}))
    act = {"step": "drain", "round": 1, "attempt": 1}
    with pytest.raises(ChangesStopped):
        ledger.append("bot", entry_data("intent", act), ticket)
    ledger.append("U2", entry_data("go"))
    ledger.append("bot", entry_data("intent", act), ticket)
    ledger.append("U2", entry_data("stop"))
    ledger.append("bot", entry_data("outcome", act), ticket)


def test_who_switches_what_is_so_already_hears_who_did_and_writes_nothing(ledger):
    with pytest.raises(SwitchUnchanged, match=r"^Changes are not stopped\.$"):
        ledger.append("U3", entry_data("go"))
    stop = ledger.append("U2", entry_data("stop", {"name": "anna", "reason": "power work"}))
    assert ledger.newest_switch() == stop
    with pytest.raises(SwitchUnchanged) as same:
        ledger.append("U3", entry_data("stop", {"reason": "me too"}))
    assert (str(same.value), same.value.seq) == (
        "Changes are already stopped, by anna at 14:00 UTC on 2026-03-02: power work.",
        stop.seq,
    )
    go = ledger.append("U3", entry_data("go", {"name": "bea"}))
    with pytest.raises(SwitchUnchanged) as same:
        ledger.append("U4", entry_data("go"))
    assert str(same.value) == "Changes are not stopped. bea allowed changes again at 14:00 UTC on 2026-03-02."
    assert ledger.head() == go
    assert ledger.newest_switch() == go
    ledger.append("U2", entry_data("stop"))
    assert ledger.is_stopped()


def test_the_ledger_knows_which_channel_heard_of_which_stop(ledger):
    stop = ledger.append("U2", entry_data("stop"))
    ledger.append("bot", StopShown(entry=stop.seq, channel="C1", ts="1.1"))
    ledger.append("bot", StopShown(entry=stop.seq, channel="C2", ts="1.2"))
    go = ledger.append("U2", entry_data("go"))
    ledger.append("bot", StopShown(entry=go.seq, channel="C2", ts="1.3"))
    assert ledger.stops_shown() == {"C1": stop.seq, "C2": go.seq}


def test_what_is_said_about_a_ticket_moves_nothing(ledger, clock):
    ticket = propose(ledger, clock)
    ledger.append("bot", entry_data("shown", {"channel": "C1", "ts": "1.2"}), ticket)
    ledger.append("U2", entry_data("clicked", {"button": "approve"}), ticket)
    assert ledger.ticket(ticket).state is TicketState.PROPOSED
    assert [entry.kind for entry in ledger.entries(ticket=ticket)] == ["clicked", "shown", "proposed"]
    with pytest.raises(TicketError, match="There is no ticket T-2"):
        ledger.append("bot", entry_data("shown", {"channel": "C1"}), "T-2")
    assert ledger.verify().holds


@pytest.mark.sqlite
def test_the_unique_indexes_are_a_second_lock(ledger, clock, monkeypatch):
    """With the fold switched off, the database still refuses a second decision and a second end."""
    ticket = propose(ledger, clock)
    approve(ledger, clock, ticket)
    monkeypatch.setattr("bot.ledger.proved.ProvedState.allow", lambda _state, draft, _at: draft.ticket)
    for kind, data in (("approved", {"by": "U3", "start_by": clock.later(1)}), ("rejected", {"by": "U3"})):
        with pytest.raises(LedgerError, match="refuses this"):
            ledger.append("U3", entry_data(kind, data), ticket)
        ledger._refused = ""  # else nothing would be decided here any more
    start(ledger, ticket, "cluster:prod")
    intent = {"step": "drain", "round": 1, "attempt": 1}
    ledger.append("bot", entry_data("intent", intent), ticket)
    for kind, data in (("started", {"attempt": 1, "locks": []}), ("intent", intent)):
        with pytest.raises(LedgerError, match="refuses this"):
            ledger.append("bot", entry_data(kind, data), ticket)
        ledger._refused = ""
    ledger.append("bot", entry_data("outcome", intent), ticket)
    ledger.append("bot", entry_data("done"), ticket)
    with pytest.raises(LedgerError, match="refuses this"):
        ledger.append("bot", entry_data("failed"), ticket)


@pytest.mark.sqlite
def test_a_thousand_open_tickets_among_ten_thousand_entries_are_listed_at_once(ledger, clock):
    drafts = [EntryDraft("U1", entry_data("proposed", PROPOSAL | {"open_until": clock.later(30)})) for _ in range(1000)]
    ledger.append_together(*drafts)
    ledger.append_together(
        *(EntryDraft("U2", entry_data("rejected", {"by": "U2"}), f"T-{n}") for n in range(1, 1001, 2))
    )
    assert len(ledger.tickets()) == 500
    plan = ledger._reader.rows("EXPLAIN QUERY PLAN SELECT id FROM ticket WHERE state IN ('proposed') ORDER BY number")
    assert "ticket_state" in plan[0][3]


class Model:
    """What a ticket should be, said as plainly as possible."""

    def __init__(self) -> None:
        self.state, self.attempt, self.act, self.done_acts = "proposed", 0, None, set()
        self.locks: set[str] = set()
        self.undoes, self.end, self.yields = "", "", False
        self.proposed, self.resumed = 0, 0  # the numbers of its proposal, and of the newest entry by which it resumed


LOCKS = ("cluster:prod", "cluster:branch")
ENDS = {
    "proposed": ("rejected", "withdrawn"),
    "approved": ("withdrawn", "voided"),
    "running": ("done", "failed", "cancelled", "voided"),
    "interrupted": ("closed",),
}
ALL_ENDS = sorted({end for ends in ENDS.values() for end in ends})


class Machine(RuleBasedStateMachine):
    """Any operation at any time: it succeeds exactly when the model says so, and the ledger always holds."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = datetime(2026, 3, 2, tzinfo=UTC)
        self.ledger = self.opened()
        self.tickets: dict[str, Model] = {}
        self.claims: dict[str, list[str]] = {lock: [] for lock in LOCKS}
        self.length, self.stopped = 0, False

    def opened(self) -> Ledger:
        folder = Path(self.folder.name)
        return Ledger(folder / "l.db", folder / "l.key", folder / "anchors", clock=lambda: self.now)

    def teardown(self) -> None:
        assert self.ledger.verify().holds
        self.ledger.rebuild()
        assert self.ledger.verify().holds
        self.ledger.close()
        self.folder.cleanup()

    def attempt(self, allowed, kind, ticket=None, **data) -> bool:
        before = self.ledger.head()
        try:
            entry = self.ledger.append("U2", entry_data(kind, data), ticket)
        except (TicketError, ValidationError):
            assert not allowed, f"{kind} was refused"
            assert self.ledger.head() == before
            return False
        assert allowed, f"{kind} was accepted"
        self.length += 1
        assert entry.seq == self.length
        return True

    def pick(self, number) -> tuple[str, Model]:
        name = sorted(self.tickets)[number % len(self.tickets)]
        return name, self.tickets[name]

    def newest(self) -> int:
        return sorted(self.tickets).index(f"T-{len(self.tickets)}")

    @rule()
    def propose(self):
        data = PROPOSAL | {"open_until": (self.now + timedelta(minutes=1)).isoformat()}
        entry = self.ledger.append("U1", entry_data("proposed", data))
        self.length += 1
        self.tickets[entry.ticket] = Model()

    @precondition(lambda self: self.tickets)
    @rule(number=st.integers(0, 9))
    def propose_an_undo(self, number):
        undoes, _ = self.pick(number)
        undos = [other for other in self.tickets.values() if other.undoes == undoes]
        allowed = self.tickets[undoes].state != "running" and all(other.end in UNDO_FAILED_STATES for other in undos)
        data = PROPOSAL | {"open_until": (self.now + timedelta(minutes=1)).isoformat(), "undoes": undoes}
        try:
            entry = self.ledger.append("U1", entry_data("proposed", data))
        except TicketError:
            assert not allowed
            return
        assert allowed
        self.length += 1
        self.tickets[entry.ticket] = Model()
        self.tickets[entry.ticket].undoes, self.tickets[entry.ticket].proposed = undoes, self.length

    @rule()
    def ask(self):
        self.attempt(True, "asked", line="/x")

    @rule(stop=st.booleans())
    def switch(self, stop):
        self.attempt(stop != self.stopped, "stop" if stop else "go")
        self.stopped = stop

    @rule()
    def restart(self):
        self.ledger.close()
        self.ledger = self.opened()

    @precondition(lambda self: self.tickets)
    @rule(number=st.integers(0, 9))
    def approve(self, number):
        name, model = self.pick(number)
        start_by = (self.now + timedelta(minutes=1)).isoformat()
        if self.attempt(model.state == "proposed", "approved", name, by="U2", start_by=start_by):
            model.state = "approved"

    @precondition(lambda self: self.tickets)
    @rule(number=st.integers(0, 9), locks=st.sets(st.sampled_from(LOCKS)), takes=st.booleans())
    def start(self, number, locks, takes):
        name, model = self.pick(number)
        held = sorted({self.claims[lock][-1] for lock in locks if self.claims[lock]} | ({model.undoes} - {""}))
        over = (model.undoes or held[0]) if takes and held else ""
        other = self.tickets.get(over)
        gives = other is None or (other.state == "interrupted" and (other.yields or model.undoes == over))
        free = all(self.claims[lock][-1:] in ([], [over]) for lock in locks)
        resumed = self.tickets[model.undoes].resumed if model.undoes else 0
        allowed = model.state == "approved" and gives and free and not self.stopped and resumed <= model.proposed
        if self.attempt(allowed, "started", name, attempt=1, locks=sorted(locks), takes_over=over):
            model.state, model.attempt, model.locks = "running", 1, locks
            for lock in locks:
                self.claims[lock].append(name)

    @precondition(lambda self: not self.stopped)
    @rule(locks=st.sets(st.sampled_from(LOCKS), min_size=1), yields=st.booleans())
    def leave_one_interrupted(self, locks, yields):
        self.propose()
        self.approve(self.newest())
        self.start(self.newest(), locks, takes=False)
        self.interrupt(self.newest(), yields)

    @precondition(lambda self: not self.stopped and any(one.state == "interrupted" for one in self.tickets.values()))
    @rule(number=st.integers(0, 9), more=st.sets(st.sampled_from(LOCKS)))
    def begin_an_undo(self, number, more):
        interrupted = [name for name, one in sorted(self.tickets.items()) if one.state == "interrupted"]
        name = interrupted[number % len(interrupted)]
        before = len(self.tickets)
        self.propose_an_undo(sorted(self.tickets).index(name))
        if len(self.tickets) > before:
            self.approve(self.newest())
            self.start(self.newest(), self.tickets[name].locks | more, takes=True)

    @precondition(lambda self: self.tickets)
    @rule(number=st.integers(0, 9), step=st.sampled_from("ab"), behind=st.integers(0, 1))
    def intend(self, number, step, behind):
        name, model = self.pick(number)
        act = (step, model.attempt - behind)
        free = model.act is None or (model.act[0] == step and model.act[1] < model.attempt)
        allowed = model.state == "running" and not behind and free and act not in model.done_acts and not self.stopped
        if self.attempt(allowed, "intent", name, step=step, round=1, attempt=act[1]):
            model.act = act
            model.done_acts.add(act)

    @precondition(lambda self: self.tickets)
    @rule(number=st.integers(0, 9), step=st.sampled_from("ab"))
    def outcome(self, number, step):
        name, model = self.pick(number)
        allowed = model.state == "running" and model.act is not None and model.act[0] == step
        if self.attempt(allowed, "outcome", name, step=step, round=1, attempt=model.attempt):
            model.act = None

    @precondition(lambda self: self.tickets)
    @rule(number=st.integers(0, 9), yields=st.booleans())
    def interrupt(self, number, yields):
        name, model = self.pick(number)
        told = {"attempt": model.attempt, "step": "a", "known": "", "yields_locks": yields}
        if self.attempt(model.state == "running", "interrupted", name, **told):
            model.state, model.yields = "interrupted", yields

    @precondition(lambda self: self.tickets)
    @rule(number=st.integers(0, 9), ahead=st.integers(0, 2), by=st.sampled_from(("bot", "U2")))
    def resume(self, number, ahead, by):
        name, model = self.pick(number)
        holds = all(self.claims[lock][-1] == name for lock in model.locks)
        waits = model.state == "interrupted" and (by != "bot" or model.yields)  # else a person decides
        allowed = (model.state == "running" or waits) and ahead == 1 and holds
        named = {"locks": sorted(model.locks)} if model.yields else {}
        if self.attempt(allowed, "resumed", name, attempt=model.attempt + ahead, by=by, **named):
            model.state, model.attempt, model.yields = "running", model.attempt + 1, False
            model.resumed = self.length

    @precondition(lambda self: self.tickets)
    @rule(number=st.integers(0, 9), end=st.sampled_from(ALL_ENDS))
    def end(self, number, end):
        name, model = self.pick(number)
        allowed = end in ENDS.get(model.state, ()) and (model.state != "running" or model.act is None)
        told = {"attempt": model.attempt} if end in ("voided", "done", "failed", "cancelled", "closed") else {}
        if self.attempt(allowed, end, name, **told):
            model.state, model.locks, model.end = "ended", set(), end
            self.claims = {lock: [one for one in line if one != name] for lock, line in self.claims.items()}

    @invariant()
    def tables_say_what_the_model_says(self):
        shown = dict(self.ledger._reader.rows("SELECT id, state FROM ticket"))
        assert shown == {name: model.state for name, model in self.tickets.items()}
        assert self.ledger._reader.lock_claims() == {lock: tuple(line) for lock, line in self.claims.items() if line}
        assert self.ledger.locks() == {lock: line[-1] for lock, line in self.claims.items() if line}


Machine.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestMachine = Machine.TestCase


@pytest.mark.sqlite
def test_the_file_opens_read_only_for_others_meanwhile(ledger, clock, tmp_path):
    propose(ledger, clock)
    database = sqlite3.connect(f"{(tmp_path / 'ledger.db').as_uri()}?mode=ro", uri=True)
    assert database.execute("SELECT id, state, target FROM ticket").fetchall() == [("T-1", "proposed", "hv03")]
    database.close()
