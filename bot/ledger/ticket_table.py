"""Tickets in the ledger: the check of every transition inside its transaction, and what the tables should say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bot.errors import LedgerError, TicketError
from bot.ledger.entries import Proposed, Resumed, Started
from bot.ledger.envelope import Entry, EntryDraft
from bot.ledger.store import Store
from bot.ledger.ticket_state import (
    MAY_NAME_A_TICKET,
    UNDO_FAILED_STATES,
    Ticket,
    TicketEvent,
    TicketState,
    apply,
    check_locks,
    check_stop,
    replay,
)


def check(store: Store, draft: EntryDraft, at: str) -> str:
    """Let a transition pass. Returns the id of the ticket; a proposal without one gets the next. Raises TicketError."""
    step = TicketEvent(draft.actor, at, draft.data)
    if draft.kind == "proposed" and draft.ticket is None:
        ticket_id = store.next_ticket()
        apply(ticket_id, None, step)
        _must_be_the_only_undo(store, draft)
        return ticket_id
    if draft.ticket is None:
        raise TicketError(f"An entry {draft.kind} belongs to a ticket.")
    before = current(store, draft.ticket)
    if draft.kind == "proposed" and before is None:
        raise TicketError("A proposal does not choose its number.")
    now = apply(draft.ticket, before, step)
    if draft.kind in ("started", "intent", "resumed"):
        check_stop(draft.ticket, draft.kind, stopped=is_stopped(store))
    if draft.kind == "started":
        check_locks(draft.ticket, now.locks, store.locks(), _taken_over(store, step))
    if draft.kind == "resumed" and before is not None:
        _must_have_its_locks(store, before, step)
    return draft.ticket


def must_exist(store: Store, ticket_id: str) -> None:
    """An entry about a ticket is about one that there is. Raises TicketError."""
    if not store.has_ticket(ticket_id):
        raise TicketError(f"There is no ticket {ticket_id}.")


def current(store: Store, ticket_id: str) -> Ticket | None:
    """The ticket as its entries say, not as the table does."""
    return replay_ticket(ticket_id, store.of_ticket(ticket_id))


def replay_ticket(ticket_id: str, entries: Iterable[Entry]) -> Ticket | None:
    """Fold the entries of one ticket; those that only speak about it move nothing."""
    moves = (entry for entry in entries if entry.kind not in MAY_NAME_A_TICKET)
    return replay(ticket_id, (TicketEvent(entry.actor, entry.at, entry.data) for entry in moves))


def is_stopped(store: Store) -> bool:
    """Whether `/hvops stop` is in force."""
    return store.last_switch() == "stop"


def _must_be_the_only_undo(store: Store, draft: EntryDraft) -> None:
    """What was done is taken back once: two undos of one ticket would each do the whole of it."""
    proposal = draft.data
    if not isinstance(proposal, Proposed) or not proposal.undoes:
        return
    for row in store.with_line(proposal.line):
        other, state, ending = row[:3]
        if ending not in UNDO_FAILED_STATES:
            raise TicketError(f"{other} is already there to take {proposal.undoes} back: {ending or state}.")


def _must_have_its_locks(store: Store, ticket: Ticket, step: TicketEvent) -> None:
    """Whoever resumes still holds its locks, or gave way and takes back what is free again."""
    held = store.locks()
    missing = {lock for lock in ticket.locks if held.get(lock) != ticket.id}
    if not missing:
        return
    if not ticket.yields_locks:
        raise TicketError(f"{ticket.id} cannot resume: another ticket has taken over its locks. Close it.")
    check_locks(ticket.id, missing, held)
    if not missing <= set(step.read(Resumed).locks):
        raise TicketError(f"{ticket.id}: whoever gave its locks away names them when it resumes.")


def _taken_over(store: Store, step: TicketEvent) -> str:
    """The interrupted ticket whose locks an undo takes over, or ""."""
    other = step.read(Started).takes_over
    if not other:
        return ""
    ticket = current(store, other)
    if ticket is None or ticket.state is not TicketState.INTERRUPTED:
        raise TicketError(f"{other} is not interrupted; its locks cannot be taken over.")
    return other


class Derived:
    """The `ticket` and `lock` tables as the entries make them, entry by entry; what the triggers should have kept."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.locks: dict[str, str] = {}
        self.notes: list[str] = []
        self._open: dict[str, Ticket] = {}

    def add(self, entry: Entry) -> None:
        """Take in the next entry of any ticket."""
        if entry.ticket is None or entry.kind in MAY_NAME_A_TICKET:
            return
        try:
            step = TicketEvent(entry.actor, entry.at, entry.data)
            ticket = apply(entry.ticket, self._open.get(entry.ticket), step)
        except (TicketError, LedgerError) as error:
            # Rules may have become stricter since. The chain still holds, so this is worth a note and no more.
            self.notes.append(f"Entry {entry.seq} would be refused today: {error}")
            return
        self._keep(ticket, entry)
        self._move_locks(ticket, entry)

    def _keep(self, ticket: Ticket, entry: Entry) -> None:
        self._open[ticket.id] = ticket
        first = self.rows.get(ticket.id) or _first_row(entry)
        self.rows[ticket.id] = first | {
            "state": str(ticket.state),
            "ending": ticket.end,
            "approver": ticket.approver,
            "start_by": ticket.start_by,
            "attempt": ticket.attempt,
            "last_entry": entry.seq,
        }

    def _move_locks(self, ticket: Ticket, entry: Entry) -> None:
        if ticket.state is TicketState.ENDED:
            self.locks = {lock: by for lock, by in self.locks.items() if by != ticket.id}
        elif isinstance(entry.data, (Started, Resumed)):
            self.locks |= dict.fromkeys(entry.data.locks, ticket.id)


def derived(store: Store) -> Derived:
    """Read what the derived tables should say out of all entries that move a ticket."""
    tables = Derived()
    for entry in store.of_all_tickets():
        tables.add(entry)
    return tables


def _first_row(entry: Entry) -> dict[str, Any]:
    proposal = entry.read(Proposed)
    assert entry.ticket is not None
    return {
        "id": entry.ticket,
        "number": int(entry.ticket.removeprefix("T-")),
        "requester": entry.actor,
        "digest": proposal.digest,
        "open_until": proposal.open_until,
        "target": proposal.target,
        "line": proposal.line,
        "first_entry": entry.seq,
    }
