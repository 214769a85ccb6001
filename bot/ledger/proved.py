"""What proved entries come to: tickets, locks, stop and go. Whatever is decided, is decided from this and nothing else.

The walk that proves the chain feeds it, each body once. Generated columns, indexes, and the tables of tickets and locks
are kept by SQLite from definitions that stand in the file and are under no mac; they make lists quick and decide nothing.
Where such a list and the proved entries differ, nobody knows what else was changed, so nothing is decided at all.

A ticket's entries are read again where they are needed, by the index; a seal over their macs tells whether the index gave
all of them and no other. So a ledger of a million entries needs no more memory than a few hundred bytes for each ticket.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections import ChainMap
from collections.abc import Collection, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bot.api.host_names import HostNames, host_key
from bot.errors import (
    LedgerError,
    LookedTooEarly,
    NoSuchTicket,
    ResumedSince,
    StoppedSince,
    SwitchUnchanged,
    TicketError,
    UnreadableEntry,
)
from bot.formatting import format_time
from bot.ledger.anchors import Anchor
from bot.ledger.entries import (
    RULES_VERSION,
    STOP_REQUEST,
    Clicked,
    Failed,
    Intent,
    Outcome,
    Proposed,
    Refused,
    Released,
    Resumed,
    Started,
    Stopped,
    Voided,
)
from bot.ledger.envelope import FIRST, Entry, EntryDraft, InForce, decode
from bot.ledger.ticket_row import COLUMNS, Row, number_of, row_after
from bot.ledger.ticket_state import (
    CUT_SHORT,
    ENDS,
    MAY_NAME_A_TICKET,
    NOT_STARTED,
    OPEN,
    UNDO_FAILED_STATES,
    Ticket,
    TicketEvent,
    TicketState,
    apply,
    check_locks,
    check_stop,
    replay,
)

# Canonical JSON sorts its keys, so these are the last bytes; inside of a text a quotation mark is escaped.
# The first entry says which ledger it begins.
_ENDS_WITH = re.compile(
    rb'"kind":"([a-z-]+)",(?:"ledger":"[^"\\]{1,100}",)?"seq":[0-9]+,"ticket":(?:null|"([^"\\]+)")\}\Z'
)
_LONGEST_END = 200
_ASKS_FOR_A_STOP = f'"button":"{STOP_REQUEST}"'.encode()
# Since these rules no undo is proposed of a ticket that runs, and it starts only where that has not resumed behind its proposal.
_FOURTH_RULES = 4
TAKES_LOCKS = frozenset({Started.kind, Resumed.kind})
# What a `refused` entry says of somebody who may stop changes, and heard that they are stopped already.
_STOPPED_ALREADY = f'"category":"{SwitchUnchanged.refused_as}"'.encode(), b'"line":"/hvops stop"'
SWITCHES = frozenset({Stopped.kind, Released.kind})
_SHOWN_AS: Mapping[str, str] = {
    "proposed": "proposed",
    "approved": "approved",
    "started": "running",
    "resumed": "running",
    "interrupted": "interrupted",
    **dict.fromkeys(ENDS, "ended"),
}


class RefusedTransition(LedgerError):
    """An entry that the rules of its own time refuse: it was never allowed, so the ledger proves nothing.

    Attributes:
        seq: its number.
    """

    def __init__(self, seq: int, says: str) -> None:
        super().__init__(f"entry {seq} was never allowed: {says}")
        self.seq = seq


@dataclass(frozen=True, slots=True)
class KnownTicket:
    """What is kept of one ticket.

    Attributes:
        seal: SHA-256 over the macs of all entries that name it, each with the seal before it.
        state, ending: what the kinds of its entries come to; what a list may show.
        command: of its proposal; ended: when it ended, as its entry says, "" while it is open.
        ticket: the fold of its entries while it is open; None afterwards, and where there is a doubt.
        doubt: the first of its entries that this version cannot read or judge, and why.
        moves: number and mac of the entries that move it, while it is open: presses and refusals may be very many more.
        row: what the ticket table shows of it while it is open.
        last: the number of the newest entry that moves it.
        locks: that it has ever taken.
        hosts: where its plan works, by the spelling that counts; () for one that does not say it.
        undoes: the ticket that it was proposed to take back, or "".
        resumed: the number of the newest entry by which it resumed; 0 where it never did.
        is_unseen: whether nobody may have seen the end of an action of it: its wait was ended, or its checks were met before it,
            or nobody heard whether they were.
    """

    seal: bytes = FIRST
    state: str = ""
    ending: str = ""
    command: str = ""
    ended: str = ""
    ticket: Ticket | None = None
    doubt: tuple[int, str] | None = None
    moves: tuple[Anchor, ...] = ()
    row: Row | None = None
    last: int = 0
    locks: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    undoes: str = ""
    resumed: int = 0
    is_unseen: bool = False


_UNKNOWN = KnownTicket()
_BEGINNING = Anchor(0, FIRST)
_NOTHING_LISTED = (0, FIRST)


@dataclass(slots=True)
class _Memory:
    """What is kept.

    Attributes:
        counts: how many tickets are shown in each state.
        switch: the newest of the entries stop and go.
        stop_requests: the requests to stop changes since then that were neither done nor refused, by number.
        again: the newest that was refused since then because changes were stopped already: it is in force all the same.
        again_why: the reason that its person gave, where that was written down.
        claims: the tickets that claim each lock, as `move_locks` says; the last one holds it.
        undos: the proposals to take a ticket back, oldest first.
    """

    head: Anchor = _BEGINNING
    switch: Entry | None = None
    stop_requests: dict[int, Entry] = field(default_factory=dict)
    again: Entry | None = None
    again_why: str = ""
    last_number: int = 0
    claims: dict[str, tuple[str, ...]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    tickets: MutableMapping[str, KnownTicket] = field(default_factory=dict)
    undos: MutableMapping[str, tuple[str, ...]] = field(default_factory=dict)


class ProvedState:
    """The fold of all entries up to `head`. Not safe between threads."""

    def __init__(self, memory: _Memory | None = None) -> None:
        """Begin before the first entry."""
        self._memory = memory or _Memory()
        self._owes_a_stop = False
        # Open ticket -> up to where its listing was looked at, and the seal there.
        self._listed: dict[str, tuple[int, bytes]] = {}

    def fork(self, *, is_stopped: bool = False) -> ProvedState:
        """One that goes on from here without changing this one: for a transaction, which may come to nothing.

        Args:
            is_stopped: a stop is in force that no entry says.
        """
        old = self._memory
        made = ProvedState(
            replace(
                old,
                claims=dict(old.claims),
                counts=dict(old.counts),
                tickets=ChainMap({}, old.tickets),
                undos=ChainMap({}, old.undos),
            )
        )
        made._owes_a_stop = is_stopped
        return made

    @property
    def head(self) -> Anchor:
        """The newest entry that was taken in."""
        return self._memory.head

    @property
    def locks(self) -> dict[str, str]:
        """Which ticket holds which lock."""
        return {name: line[-1] for name, line in self._memory.claims.items()}

    @property
    def is_stopped(self) -> bool:
        """Whether `/hvops stop` is in force."""
        return self._owes_a_stop or self._is(Stopped.kind)

    @property
    def switch(self) -> Entry | None:
        """The newest of the entries stop and go; None before the first."""
        return self._memory.switch

    @property
    def asked_last(self) -> Entry | None:
        """The newest entry by which somebody stopped changes, wanted them stopped once more, or let them start again."""
        return self._memory.again or self._memory.switch

    @property
    def stop_requests(self) -> list[Entry]:
        """The requests to stop changes that no later entry answers, oldest first."""
        return list(self._memory.stop_requests.values())

    @property
    def notes(self) -> list[str]:
        """What cannot be read or judged, a sentence for each ticket."""
        doubts = [one.doubt for one in self._memory.tickets.values() if one.doubt is not None]
        return [says for _, says in sorted(doubts)]

    def has_ticket(self, ticket: str) -> bool:
        """Whether there is that ticket."""
        return bool(self._known(ticket).state)

    def ticket(self, ticket: str) -> Ticket | None:
        """A ticket as it stands; of one that has ended no more than how. Raises UnreadableEntry."""
        known = self._known(ticket)
        if known.doubt is not None:
            raise UnreadableEntry(known.doubt[1], known.doubt[0])
        if known.ticket is None and known.state:
            return Ticket(ticket, TicketState.ENDED, "", "", "", second_person=True, end=known.ending)
        return known.ticket

    def take(self, seq: int, body: bytes, mac: bytes) -> Entry | None:
        """Take in the next entry, which has been proved. Returns it where it moves anything. Raises RefusedTransition."""
        entry = None
        found = _ENDS_WITH.search(body, max(0, len(body) - _LONGEST_END))
        kind, ticket = (found[1].decode(), (found[2] or b"").decode()) if found else ("", "")
        if found is None or kind in SWITCHES or (ticket and kind not in MAY_NAME_A_TICKET):
            entry = decode(body, mac)
            self.add(entry)
        elif ticket:  # what only speaks about a ticket, and what is about none, need not be read: most entries are such
            self._name(ticket, mac)
        else:
            self._hear(kind, seq, body, mac)
        self._memory.head = Anchor(seq, mac)
        return entry

    def add(self, entry: Entry) -> None:
        """Take in what an entry says. Raises RefusedTransition."""
        if entry.kind in SWITCHES:
            self._memory.switch, self._owes_a_stop = entry, False
            self._memory.again, self._memory.again_why = None, ""
            after = entry.fields.get("after")
            settles = after if entry.kind == Released.kind and isinstance(after, int) else entry.seq
            requests = self._memory.stop_requests
            self._memory.stop_requests = {seq: one for seq, one in requests.items() if seq > settles}
        if entry.ticket is None:
            return
        if entry.kind in MAY_NAME_A_TICKET:
            self._name(entry.ticket, entry.mac)
            return
        known = self._known(entry.ticket)
        seal = _sealed(known.seal, entry.mac)
        ticket, doubt = self._judged(known, entry)
        state = _SHOWN_AS.get(entry.kind, known.state)
        ending = entry.kind if entry.kind in ENDS else known.ending
        kept = ticket if ticket is not None and ticket.state is not TicketState.ENDED else None
        self._memory.counts[known.state] = self._memory.counts.get(known.state, 0) - 1
        self._memory.counts[state] = self._memory.counts.get(state, 0) + 1
        command = known.command or sys.intern(str(entry.fields.get("command") or ""))
        ended = entry.at if entry.kind in ENDS else known.ended
        moves = () if ending else (*known.moves, Anchor(entry.seq, entry.mac))
        if ending:
            self._listed.pop(entry.ticket, None)
        locks = tuple(dict.fromkeys([*known.locks, *_locks_of(entry)])) if entry.kind in TAKES_LOCKS else known.locks
        hosts = known.hosts if known.state else _hosts_of(entry.fields)
        undoes = known.undoes if known.state else sys.intern(str(entry.fields.get("undoes") or ""))
        resumed = entry.seq if entry.kind == Resumed.kind else known.resumed
        is_unseen = known.is_unseen or _is_unseen(entry)
        row = None if ending else row_after(known.row, entry)
        self._memory.tickets[entry.ticket] = KnownTicket(
            seal,
            state,
            ending,
            command,
            ended,
            kept,
            doubt,
            moves,
            row,
            entry.seq,
            locks,
            hosts,
            undoes,
            resumed,
            is_unseen,
        )
        if not known.state:
            self._memory.last_number = max(self._memory.last_number, number_of(entry.ticket))
        move_locks(self._memory.claims, entry)

    def allow(self, draft: EntryDraft, at: str) -> str:
        """Let a transition pass. Returns the id of its ticket; a proposal gets the next. Raises TicketError, UnreadableEntry."""
        ticket = draft.ticket
        if draft.kind == "proposed" and ticket is None:
            ticket = f"T-{self._memory.last_number + 1}"
        elif ticket is None:
            raise TicketError(f"An entry {draft.kind} belongs to a ticket.")
        elif draft.kind == "proposed" and not self.has_ticket(ticket):
            raise TicketError("A proposal does not choose its number.")
        self._judge(ticket, TicketEvent(draft.actor, at, draft.data))
        return ticket

    def allow_switch(self, draft: EntryDraft, unwritten: int = 0) -> None:
        """Let a stop or a go pass that changes something: of two people at once, one hears of the other.

        A stop that could not be written down is followed by a stop that can, and by a go.

        Args:
            draft: the stop or the go.
            unwritten: how many stops this process could not write down.

        Raises:
            SwitchUnchanged: it is so already.
            StoppedSince: a go was given before changes were stopped, or wanted stopped, the last time.
        """
        kind, newest = draft.kind, self._memory.switch
        if kind == Stopped.kind and newest is not None and self._is(Stopped.kind):
            raise SwitchUnchanged(f"Changes are already stopped, {switch_in_words(newest)}", newest.seq)
        if kind != Stopped.kind and not self.is_stopped:
            since = f" {switch_in_words(newest)}" if newest is not None else ""
            raise SwitchUnchanged(f"Changes are not stopped.{since}", newest.seq if newest is not None else 0)
        if kind != Stopped.kind and draft.given is not None:
            self._must_be_given_since(draft.given, unwritten)

    def _must_be_given_since(self, given: InForce, unwritten: int) -> None:
        """A go ends what its person could know of. Raises StoppedSince."""
        last = self.asked_last
        if given.is_known and given.unwritten >= unwritten and (last is None or given.head >= last.seq):
            return
        if last is not None and last.kind != Released.kind and not (given.is_known and given.head >= last.seq):
            why = self._memory.again_why if last is self._memory.again else last.reason
            how = _by_whom(last, why)
        else:
            how = "on this bot only: that stop could not be written to the ledger."
        if given.is_known:
            says = f"Changes have been stopped since this go was given, {how} Nothing was done."
        else:
            says = f"hvops can't tell whether this go was given before or after changes were stopped, {how} Nothing was done."
        raise StoppedSince(f"{says} To end that stop, type it again.")

    def _is(self, kind: str) -> bool:
        return self._memory.switch is not None and self._memory.switch.kind == kind

    def undos_of(self, ticket: str) -> tuple[str, ...]:
        """The tickets that were proposed to take a ticket back, oldest first."""
        return self._memory.undos.get(ticket, ())

    def ended_tickets(self, command: str, endings: Collection[str], since: str) -> list[str]:
        """The tickets of a command that came to one of those ends at that time or later, and that can be read, as they ended."""
        found = [
            (one.ended, number_of(ticket), ticket)
            for ticket, one in self._memory.tickets.items()
            if one.command == command and one.ending in endings and one.ended >= since and one.doubt is None
        ]
        return [ticket for _, _, ticket in sorted(found)]

    def worked_since(self, seq: int, locks: Collection[str], hosts: Collection[str]) -> list[tuple[str, str]]:
        """The tickets that may have acted behind an entry, under one of these locks and on one of these hosts, the newest first.

        Each with its end or state, whatever undos have undone of them: one that is done may have left what has no undo.
        """
        under, on = frozenset(locks), HostNames(hosts)
        found = [
            (one.last, ticket, one.ending or one.state)
            for ticket, one in self._memory.tickets.items()
            if one.last > seq
            and one.state not in ("proposed", "approved")
            and one.ending not in NOT_STARTED
            and not under.isdisjoint(one.locks)
            and _may_be_on(one, on)
        ]
        return [(ticket, how) for _, ticket, how in sorted(found, reverse=True)]

    def left_unseen(self, since: str, locks: Collection[str], hosts: Collection[str]) -> list[str]:
        """The tickets that ended at that time or later, worked under one of these locks on one of these hosts, and may have left an act.

        The newest first. People ended it, or it failed or was voided half-way, and nobody saw the end of what was sent, such as
        an undo.
        """
        under, on = frozenset(locks), HostNames(hosts)
        found = [
            (one.last, ticket)
            for ticket, one in self._memory.tickets.items()
            if (one.ending in CUT_SHORT or (one.ending in (Failed.kind, Voided.kind) and one.is_unseen))
            and one.ended >= since
            and not under.isdisjoint(one.locks)
            and _may_be_on(one, on)
        ]
        return [ticket for _, ticket in sorted(found, reverse=True)]

    def end_of(self, ticket: str) -> str:
        """The kind of the entry that ended a ticket; "" while it is open."""
        return self._known(ticket).ending

    def has_resumed_since_proposed(self, undo: str) -> bool:
        """Whether the ticket that an open undo takes back has resumed behind the undo's proposal; False for other tickets."""
        known = self._known(undo)
        return bool(known.moves) and self._known(known.undoes).resumed > known.moves[0].seq

    def moved_since(self, seq: int, locks: Collection[str]) -> list[str]:
        """The tickets that have worked under one of these locks and that an entry has moved behind that one."""
        under = frozenset(locks)
        return [
            ticket for ticket, one in self._memory.tickets.items() if one.last > seq and not under.isdisjoint(one.locks)
        ]

    def last_move(self, ticket: str) -> int:
        """The number of the newest entry that moves a ticket; 0 where there is none."""
        return self._known(ticket).last

    def must_have_ticket(self, ticket: str) -> None:
        """An entry about a ticket is about one that there is. Raises TicketError."""
        if not self.has_ticket(ticket):
            raise NoSuchTicket(f"There is no ticket {ticket}.")

    def moves_of(self, ticket: str) -> tuple[Anchor, ...]:
        """Number and mac of the entries that move a ticket, oldest first; () for one that has ended, or that is not there."""
        return self._known(ticket).moves

    def seal_of(self, ticket: str) -> bytes:
        """What `seal_over` makes of the macs of all entries that name a ticket, in their order, and of no other."""
        return self._known(ticket).seal

    def listing_of(self, ticket: str) -> tuple[int, bytes]:
        """Up to which entry the listing of an open ticket was looked at, and the seal there."""
        return self._listed.get(ticket, _NOTHING_LISTED)

    def note_listing(self, ticket: str, last: int, seal: bytes) -> None:
        """The listing of a ticket was looked at up to there; of one that has ended that is not kept."""
        if self.moves_of(ticket):
            self._listed[ticket] = last, seal

    def forget_listing(self, ticket: str) -> None:
        """What was looked at is not as it was: all of it is looked at the next time."""
        self._listed.pop(ticket, None)

    def check_listed(self, states: Collection[str], rows: Sequence[tuple[str, str, str]], *, all_of_them: bool) -> None:
        """Rows of the ticket table (id, state, ending) say what the entries say. Raises LedgerError."""
        for ticket, state, ending in rows:
            known = self._known(ticket)
            if (known.state, known.ending) != (state, ending):
                is_so = known.ending or known.state or "no ticket"
                raise LedgerError(f"the ticket table shows {ticket} as {ending or state}, but its entries say {is_so}")
        there = sum(self._memory.counts.get(state, 0) for state in states)
        shown = len({ticket for ticket, *_ in rows})
        if all_of_them and (shown, len(rows)) != (there, there):
            raise LedgerError(f"the ticket table shows {shown} of {there} tickets that are {' or '.join(states)}")

    def check_open(self, rows: Sequence[Row]) -> None:
        """Rows of the ticket table are those of all open tickets, in each column as the entries have it. Raises LedgerError."""
        self.check_listed(OPEN, [(row[0], row[2], row[3]) for row in rows], all_of_them=True)
        for row in rows:
            wanted = self._known(row[0]).row
            if wanted is not None and tuple(row) != wanted:
                wrong = next(name for name, is_so, shown in zip(COLUMNS, wanted, row, strict=True) if is_so != shown)
                raise LedgerError(f"the ticket table shows {row[0]} with another {wrong} than its entries")

    def check_locks(self, shown: Mapping[str, tuple[str, ...]]) -> None:
        """The lock table shows the claims that the entries make. Raises LedgerError."""
        if shown != self._memory.claims:
            # A table of others may hold what is no text.
            differs = sorted(set(shown.items()) ^ set(self._memory.claims.items()), key=str)
            raise LedgerError(f"the lock table and the entries disagree about {differs[0][0]}")

    def _name(self, ticket: str, mac: bytes) -> None:
        """Take in that an entry speaks about a ticket, which moves nothing."""
        known = self._known(ticket)
        self._memory.tickets[ticket] = replace(known, seal=_sealed(known.seal, mac))

    def _hear(self, kind: str, seq: int, body: bytes, mac: bytes) -> None:
        """Take in what is about no ticket: a request to stop changes, or that one was refused."""
        asked = self._memory.stop_requests
        if kind == Clicked.kind and _ASKS_FOR_A_STOP in body:
            asked[seq] = decode(body, mac)
        elif kind == Refused.kind and (asked or all(words in body for words in _STOPPED_ALREADY)):
            refused = decode(body, mac)
            request = asked.pop(refused.click, None) if refused.click is not None else None
            if all(words in body for words in _STOPPED_ALREADY) and self._is(Stopped.kind):
                self._memory.again, self._memory.again_why = refused, request.reason if request is not None else ""

    def _known(self, ticket: str) -> KnownTicket:
        return self._memory.tickets.get(ticket, _UNKNOWN)

    def _judged(self, known: KnownTicket, entry: Entry) -> tuple[Ticket | None, tuple[int, str] | None]:
        """The ticket after this entry, or the doubt that it leaves. Raises RefusedTransition."""
        assert entry.ticket is not None
        if known.doubt is not None:
            return None, known.doubt
        try:
            ticket = self._judge(entry.ticket, TicketEvent(entry.actor, entry.at, _readable(entry).data))
        except UnreadableEntry as doubt:
            return None, (entry.seq, str(doubt))
        except TicketError as refusal:
            raise RefusedTransition(entry.seq, str(refusal)) from None
        if entry.kind == "proposed" and number_of(entry.ticket) != self._memory.last_number + 1:
            raise RefusedTransition(
                entry.seq, f"{entry.ticket} is not the next ticket after T-{self._memory.last_number}."
            )
        if isinstance(entry.data, Proposed) and entry.data.undoes:
            undoes = entry.data.undoes
            self._memory.undos[undoes] = (*self._memory.undos.get(undoes, ()), entry.ticket)
        return ticket, None

    def _judge(self, ticket_id: str, step: TicketEvent) -> Ticket:
        """The ticket after one more transition. Raises TicketError, UnreadableEntry."""
        before = self.ticket(ticket_id)
        now = apply(ticket_id, before, step)
        if step.kind == "proposed":
            self._must_not_run(step)
            self._must_be_the_only_undo(step)
        if step.kind in ("started", "intent", "resumed"):
            check_stop(ticket_id, step.kind, stopped=self.is_stopped)
        if step.kind == "started":
            self._must_not_have_resumed(ticket_id, step)
            taken = self._taken_over(ticket_id, step)
            check_locks(ticket_id, now.locks, self.locks, taken, undoes=ticket_id in self.undos_of(taken))
        if step.kind == "resumed" and before is not None:
            self._must_have_its_locks(before, step)
        return now

    def _must_not_run(self, step: TicketEvent) -> None:
        """What a ticket did that runs, nobody can say: it may have sent more since it was looked at."""
        proposal = step.read(Proposed)
        state = self._known(proposal.undoes).state
        if proposal.rules_version >= _FOURTH_RULES and state == _SHOWN_AS[Started.kind]:
            raise TicketError(f"{proposal.undoes} is {state}; it can be undone once it has ended or is interrupted.")

    def _must_be_the_only_undo(self, step: TicketEvent) -> None:
        """What was done is taken back once: two undos of one ticket would each do the whole of it."""
        undoes = step.read(Proposed).undoes
        for other in self._memory.undos.get(undoes, ()) if undoes else ():
            known = self._known(other)
            if known.ending not in UNDO_FAILED_STATES:
                raise TicketError(f"{other} already undoes {undoes}: {known.ending or known.state}.")

    def _must_not_have_resumed(self, ticket_id: str, step: TicketEvent) -> None:
        """An undo counts for how its ticket stood when it was proposed. Raises ResumedSince."""
        if step.read(Started).rules_version < _FOURTH_RULES:
            return
        if self.has_resumed_since_proposed(ticket_id):
            raise ResumedSince(f"{self._known(ticket_id).undoes} has resumed since this undo was proposed")

    def _must_have_its_locks(self, ticket: Ticket, step: TicketEvent) -> None:
        """Whoever resumes holds its locks, and names those that others could have meanwhile."""
        held = self.locks
        others = sorted({held[lock] for lock in ticket.locks if held.get(lock, ticket.id) != ticket.id})
        if others and not ticket.yields_locks:
            taken = f"{' and '.join(others)} {'have' if len(others) > 1 else 'has'} taken over its locks"
            raise TicketError(f"{ticket.id} cannot resume: {taken}. Wait for the end, or close it.")
        check_locks(ticket.id, ticket.locks, held)
        named = set(step.read(Resumed).locks)
        if not named <= ticket.locks:
            raise TicketError(f"{ticket.id} cannot take locks that it never had when it resumes.")
        if ticket.yields_locks and not ticket.locks <= named:
            raise TicketError(f"{ticket.id} must name the locks that it released when it resumes.")

    def _taken_over(self, ticket_id: str, step: TicketEvent) -> str:
        """The interrupted ticket whose locks this one takes over: the one that it undoes, or one that gives way; or "".

        Raises LookedTooEarly: whose locks they are is read before the transaction, and that ticket may have moved since.
        """
        other = step.read(Started).takes_over
        if not other:
            return ""
        ticket = self.ticket(other)
        if ticket is None or ticket.state is not TicketState.INTERRUPTED:
            raise LookedTooEarly(f"{other} is not interrupted; its locks cannot be taken over.")
        if not ticket.yields_locks and ticket_id not in self._memory.undos.get(other, ()):
            raise LookedTooEarly(f"{ticket_id} does not undo {other}, which keeps its locks.")
        return other


def switch_in_words(entry: Entry) -> str:
    """Who stopped changes, or let them start again, when and why, as a sentence: "by anna at 23:53 UTC on …: power work."."""
    if entry.kind != Stopped.kind:
        return f"{entry.name or entry.actor} allowed changes again at {format_time(entry.at)}."
    return _by_whom(entry, entry.reason)


def _by_whom(entry: Entry, reason: str) -> str:
    why = f": {reason.rstrip('.')}" if reason else ""
    return f"by {entry.name or entry.actor} at {format_time(entry.at)}{why}."


def replay_ticket(ticket_id: str, entries: Iterable[Entry]) -> Ticket | None:
    """Fold the entries of one ticket; those that only speak about it move nothing."""
    moves = (_readable(entry) for entry in entries if entry.kind not in MAY_NAME_A_TICKET)
    return replay(ticket_id, (TicketEvent(entry.actor, entry.at, entry.data) for entry in moves))


def move_locks(claims: dict[str, tuple[str, ...]], entry: Entry) -> None:
    """Take and release what an entry says, by its bare fields: what a newer version has locked is locked.

    A claim stays until its ticket ends. Whoever takes a lock over stands behind the claim that was there, so at its end, if
    that was not the end of both, the interrupted ticket holds the lock again.

    Args:
        claims: lock -> the tickets that claim it; the last one holds it.
        entry: the next one of any ticket.
    """
    if entry.ticket is None:
        return
    if entry.kind in ENDS:
        for name in [name for name, line in claims.items() if entry.ticket in line]:
            left = tuple(one for one in claims.pop(name) if one != entry.ticket)
            claims |= {name: left} if left else {}
    elif entry.kind in TAKES_LOCKS:
        for name in _locks_of(entry):
            line = claims.get(name, ())
            claims[name] = line if line[-1:] == (entry.ticket,) else (*line, entry.ticket)


def _locks_of(entry: Entry) -> list[str]:
    """The locks that an entry takes, by its bare fields."""
    wanted: Any = entry.fields.get("locks") or ()
    return [sys.intern(str(name)) for name in wanted]


def _may_be_on(one: KnownTicket, hosts: HostNames) -> bool:
    """Whether a ticket works on one of these hosts, however its name is written, or does not say where it works."""
    return not one.hosts or any(name in hosts for name in one.hosts)


def _is_unseen(entry: Entry) -> bool:
    """Whether an entry may say that nobody saw the end of an action. Whoever asks reads the run itself."""
    fields = entry.fields
    if entry.kind == Intent.kind:
        return fields.get("held_before") == "not known"
    return entry.kind == Outcome.kind and _says_unseen(fields)


def _says_unseen(fields: Mapping[str, Any]) -> bool:
    return fields.get("result") == "abandoned" or (
        fields.get("basis") == "already so" and fields.get("not_executed") is not True
    )


def _hosts_of(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Where a proposal works, by its bare fields; () where they do not say it, which may be anywhere."""
    try:
        plan = fields["plan"]
        steps = [step for group in plan["groups"] for step in group["steps"]]
        acts = [act for step in steps for act in (step["act"], step["undo"]) if act is not None]
        # What a person does has no address.
        told = [fields["target"], *plan["touches"], *(act["on"] for act in acts if "on" in act)]
        return tuple(sorted({sys.intern(host_key(str(name))) for name in told if name}))
    except (AttributeError, KeyError, TypeError):
        return ()


def _readable(entry: Entry) -> Entry:
    """The entry, whose rules are known. Raises UnreadableEntry for one of a newer version."""
    rules = entry.fields.get("rules_version", RULES_VERSION)
    if isinstance(rules, int) and rules > RULES_VERSION:
        why = f"Entry {entry.seq} cannot be read by this version of hvops: it follows newer rules ({rules})."
        raise UnreadableEntry(why, entry.seq)
    return entry


def seal_over(macs: Iterable[bytes], seal: bytes = FIRST) -> bytes:
    """A seal that goes on from another one over these macs, in their order."""
    for mac in macs:
        seal = _sealed(seal, mac)
    return seal


def _sealed(seal: bytes, mac: bytes) -> bytes:
    return hashlib.sha256(seal + mac).digest()
