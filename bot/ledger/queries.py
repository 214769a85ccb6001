"""Reading a ledger, or a copy of one: needs no key and can change nothing."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from bot.ledger.anchors import Anchor
from bot.ledger.entries import Stopped, StopShown
from bot.ledger.envelope import Entry, ledger_id, to_timestamp
from bot.ledger.filters import Filter, after_slash, conditions
from bot.ledger.places import open_store
from bot.ledger.proved import replay_ticket
from bot.ledger.store import Store
from bot.ledger.ticket_state import Ticket
from bot.ledger_place import Place

_HEADING = ("name", "command", "undoes", "policy", "places", "plan.title")


@dataclass(frozen=True, slots=True)
class TicketSummary:
    """The head of a proposal.

    Attributes:
        undoes: the ticket that it takes back, or "".
        policy: "approval" by somebody else of the approvers, or "confirm" by the requester.
        places: the clusters, or hosts that stand alone, where a role must hold.
        title: what it does, where the plan says more of that than command and target; else "".
    """

    ticket: str
    state: str
    requester: str
    target: str
    open_until: str
    requester_name: str
    command: str
    undoes: str
    policy: str
    places: tuple[str, ...]
    title: str = ""


def headings(store: Store, state: str, limit: int) -> list[TicketSummary]:
    """The newest tickets of a state, the newest first, in one statement."""
    say = store.dialect
    sql = f"""SELECT ticket.id, ticket.state, ticket.requester, ticket.target, ticket.open_until,
        {say.fields(_HEADING, "entry")}
    FROM (SELECT * FROM ticket WHERE state = ? ORDER BY number DESC LIMIT ?) AS ticket
    {say.joined} entry ON entry.seq = ticket.first_entry ORDER BY ticket.number DESC"""  # noqa: S608 - ours
    found = []
    for ticket, of_state, requester, target, open_until, told in store.rows(sql, (state, say.limit(limit))):
        name, command, undoes, policy, places, title = json.loads(told)
        found.append(
            TicketSummary(
                ticket=ticket,
                state=of_state,
                requester=requester,
                target=target,
                open_until=open_until,
                requester_name=name or requester,
                command=command or "",
                undoes=undoes or "",
                policy=policy or "",
                places=tuple(places or ()),
                title=title or "",
            )
        )
    return found


def audit_rows(store: Store, wanted: Filter, limit: int, skip: int = 0) -> list[Entry]:
    """Entries that begin a row of a review and match, the newest first."""
    where, parameters = _begun(store, wanted)
    order = store.dialect.in_order("number DESC")
    sql = f"SELECT entry.seq, {store.dialect.body('entry')}, entry.previous, entry.mac {where}{order} LIMIT ? OFFSET ?"
    rows = store.rows(sql, (*parameters, store.dialect.limit(limit), skip))
    return sorted((store.entry_from(row) for row in rows), key=lambda entry: -entry.seq)


def count_audit_rows(store: Store, wanted: Filter, limit: int) -> dict[tuple[str, str], int]:
    """How many of each kind and outcome there are among the newest so many of them."""
    where, parameters = _begun(store, wanted)
    outcome, order = conditions(store.dialect).outcome, store.dialect.in_order("number DESC")
    sql = f"""SELECT kind, outcome, count(*) FROM (SELECT kind, {outcome} AS outcome {where}{order} LIMIT ?) AS newest
        GROUP BY kind, outcome"""  # noqa: S608 - ours
    rows = store.rows(sql, (*parameters, store.dialect.limit(limit)))
    return {(kind, str(outcome)): count for kind, outcome, count in rows}


def names_of(store: Store, actors: Collection[str]) -> dict[str, str]:
    """The newest name that the ledger knows for each of these ids; without those that it knows none for."""
    said = conditions(store.dialect)
    sql = f"""SELECT min(actor), {said.name}, max(seq) FROM entry WHERE {said.named} AND actor = ?
        AND {said.name} <> {after_slash(store.dialect, "actor")}
        GROUP BY {said.name} ORDER BY max(seq) DESC LIMIT 1"""  # noqa: S608 - ours
    return {actor: name for one in sorted(set(actors)) for actor, name, _ in store.rows(sql, (one,))}


def _begun(store: Store, wanted: Filter) -> tuple[str, list[Any]]:
    say, said = store.dialect, conditions(store.dialect)
    where, parameters = replace(wanted, since=None, until=None).condition(say)
    told: tuple[str | int, ...]
    if wanted.ticket:
        begins, told = "SELECT seq AS number FROM entry WHERE ticket = ?", (wanted.ticket,)
    else:
        kinds, tickets = wanted.begins(said)
        # By their time, and tickets by whether anything happened to them in that time.
        begins = f"""SELECT seq AS number FROM entry{say.by_index("entry_kind")}
        WHERE kind IN (SELECT value FROM {say.values()}) AND at >= ? AND at < ?
    UNION ALL SELECT first_entry FROM ticket WHERE last_entry >= ? AND first_entry < ? AND {tickets}"""  # noqa: S608 - ours
        told = (json.dumps(kinds), *wanted.bounds, *(_first_since(store, at) for at in wanted.bounds))
    # The limit keeps the order inside, so that the join stops at enough of them and sorts no entry.
    sql = f"""FROM (SELECT number FROM ({begins}) AS begun ORDER BY number DESC {say.everything}) AS beginning
        {say.joined} entry ON entry.seq = number
        WHERE {where} AND ({wanted.rows(said)})"""  # noqa: S608 - our conditions
    return sql, [*told, *parameters]


def _first_since(store: Store, at: str) -> int:
    """The number of the first entry of that time, or the one that comes next. Halves its way: numbers follow time."""
    low, high = 1, store.rows("SELECT coalesce(max(seq), 0) + 1 FROM entry")[0][0]
    while low < high:
        middle = (low + high) // 2
        found = store.rows("SELECT at FROM entry WHERE seq = ?", (middle,))
        low, high = (middle + 1, high) if found and found[0][0] < at else (low, middle)
    return int(low)


def samples_since(store: Store, on: str, what: str, since: datetime) -> list[dict[str, Any]]:
    """The samples that answers and proposals carried about a target since a time: their fields and "at", oldest first.

    Of more than a few answers can hold, the newest: a host chooses how much an answer remembers of it.
    """
    at = to_timestamp(since)
    first, before, read = _first_since(store, at), _BEHIND_ALL, 0
    found: list[list[dict[str, Any]]] = []
    while read < MOST_SAMPLES and (page := store.with_samples(on, what, at, range(first, before), _AT_ONCE)):
        before = page[-1].seq
        for entry in page:
            read += len(entry.fields["samples"])
            own = (
                sample
                for sample in entry.fields["samples"]
                if str(sample.get("on")).lower() == on.lower() and sample.get("what") == what
            )
            found.append([{**(sample.get("fields") or {}), "at": entry.at} for sample in own])
    return [row for rows in reversed(found) for row in rows]


PAGE = 1000  # entries read at once
MOST_SAMPLES = 20_000  # that are looked through for one target; 64 nodes, asked every quarter of an hour for three days
_AT_ONCE = 8  # entries with samples; one can hold thousands
_BEHIND_ALL = 2**62  # a number that no entry reaches


@dataclass(frozen=True, slots=True)
class TicketRow:
    """One ticket in a list. `ending` is the kind of the entry that ended it, or ""; the numbers are of entries."""

    id: str
    state: str
    ending: str
    requester: str
    approver: str
    digest: str
    open_until: str
    start_by: str
    attempt: int
    target: str
    line: str
    first_entry: int
    last_entry: int


class Reader:
    """The reading side. Safe between threads; never waits for a writer."""

    def __init__(self, place: Place) -> None:
        """Open for reading only. Raises LedgerError where there is no ledger."""
        self.place = place
        self._reader = open_store(place, read_only=True)

    def __enter__(self) -> Self:
        """Use as a context manager."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def entry(self, seq: int) -> Entry | None:
        """The entry of that number."""
        return next(iter(self._reader.select("seq = ?", (seq,), 1)), None)

    def has(self, anchor: Anchor) -> bool:
        """Whether the entry that an anchor names is there."""
        entry = self.entry(anchor.seq)
        return entry is not None and entry.mac == anchor.mac

    def head(self) -> Entry | None:
        """The newest entry."""
        return next(iter(self._reader.select("TRUE", (), 1)), None)

    def ledger_id(self, key: bytes) -> str:
        """Which ledger this is; "" while it is empty. Raises LedgerError where its first entry is not of that key."""
        return ledger_id(key, self._reader.link(1))

    def find_answer(self, token: str) -> Entry | None:
        """The `answered` entry of a button's token."""
        found = self._reader.select("kind = 'answered' AND answer = ?", (token,), 1, kinds=("answered",))
        return next((entry for entry in found if entry.fields.get("answer") == token), None)

    def entries(
        self,
        *,
        kind: str | Collection[str] | None = None,
        actor: str | None = None,
        ticket: str | None = None,
        target: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        text: str | None = None,
        before: int | None = None,
        limit: int = 100,
        newest_first: bool = True,
    ) -> list[Entry]:
        """At most `limit` entries that match all that is given (see `Filter`), the newest first unless told."""
        wanted = Filter(kind, actor, ticket, target, since, until, text, before)
        return self.find(wanted, limit, newest_first=newest_first)

    def find(self, wanted: Filter, limit: int = 100, *, newest_first: bool = True) -> list[Entry]:
        """At most `limit` entries that match, the newest first unless told."""
        return self._select(wanted, limit, newest_first=newest_first)

    def every(self, wanted: Filter | None = None) -> Iterator[Entry]:
        """All entries that match, oldest first, page by page: a whole ledger fits into no memory."""
        wanted = wanted or Filter()
        while page := self._select(wanted, PAGE, newest_first=False):
            yield from page
            wanted = replace(wanted, after=page[-1].seq)

    def _select(self, wanted: Filter, limit: int, *, newest_first: bool) -> list[Entry]:
        kinds = (wanted.kind,) if isinstance(wanted.kind, str) else tuple(wanted.kind or ())
        return self._reader.select(
            *wanted.condition(self._reader.dialect), limit, newest_first=newest_first, kinds=kinds, ticket=wanted.ticket
        )

    def begun(self, wanted: Filter, limit: int, skip: int = 0) -> list[Entry]:
        """At most `limit` rows of a review that match, by the entry each begins with, the newest first.

        A ticket counts for a time in which anything happened to it, and is one row: its proposal.
        """
        return audit_rows(self._reader, wanted, limit, skip)

    def count(self, wanted: Filter, most: int) -> dict[tuple[str, str], int]:
        """How many of the newest `most` rows of a review are of which kind and outcome."""
        return count_audit_rows(self._reader, wanted, most)

    def names(self, actors: Collection[str]) -> dict[str, str]:
        """The newest name that is known for each of these ids; without those that none is known for."""
        return names_of(self._reader, actors)

    def tickets(self, states: Collection[str] = ("proposed", "approved", "running", "interrupted")) -> list[str]:
        """The ids of the tickets in those states, oldest first."""
        return self._reader.tickets(states)

    def listed(self, states: Collection[str], limit: int = 100, *, newest_first: bool = True) -> list[TicketRow]:
        """The tickets in those states as the table of tickets shows them, the newest first unless told."""
        return [TicketRow(*row) for row in self._reader.listed(states, limit, newest_first=newest_first)]

    def untold_ends(self) -> list[str]:
        """The tickets whose end nobody has been told, as the entries of the file say, oldest first. Only for delivering it."""
        return self._reader.untold_ends()

    def headings(self, state: str, limit: int) -> list[TicketSummary]:
        """The heads of the newest proposals whose tickets are in that state, without their plans, the newest first."""
        return headings(self._reader, state, limit)

    def with_line(self, line: str) -> list[TicketRow]:
        """The tickets of that very line, the newest first."""
        return [TicketRow(*row) for row in self._reader.with_line(line)]

    def yielding_tickets(self) -> list[str]:
        """The ids of the interrupted tickets that only wait, and gave their locks away for that, oldest first."""
        return self._reader.yielding_tickets()

    def overdue(self, now: datetime) -> list[str]:
        """The ids of the proposals that no one decided in time, oldest first."""
        return self._reader.overdue(to_timestamp(now))

    def expiring_approvals(self, now: datetime) -> list[str]:
        """The ids of the approvals that did not start in time, oldest first."""
        return self._reader.expiring_approvals(to_timestamp(now))

    def counted(self) -> dict[str, int]:
        """How many open tickets are in each state that any is in."""
        return self._reader.counted()

    def locks(self) -> dict[str, str]:
        """Which ticket holds which lock."""
        return self._reader.locks()

    def last_published(self) -> int:
        """The newest entry up to which the audit channel has been told all; 0 before the first."""
        return self._reader.last_published()

    def following(self, kinds: Collection[str], after: int, limit: int) -> list[Entry]:
        """The next entries of some kinds, oldest first; cheap where few entries are newer than `after`."""
        return self._reader.following(kinds, after, limit)

    def is_stopped(self) -> bool:
        """Whether `/hvops stop` is in force."""
        newest = self.newest_switch()
        return newest is not None and newest.kind == Stopped.kind

    def newest_switch(self) -> Entry | None:
        """The newest of the entries stop and go; None before the first."""
        return self._reader.newest_switch()

    def stops_shown(self) -> dict[str, int]:
        """Channel -> the newest stop or go that it was told of."""
        told = [shown for one in self._reader.stops_shown() if (shown := one.read_if(StopShown)) is not None]
        return {one.channel: max(each.entry for each in told if each.channel == one.channel) for one in told}

    def story(self, ticket: str) -> list[Entry]:
        """All entries of a ticket, oldest first."""
        return self._reader.of_ticket(ticket)

    def proposal(self, ticket: str) -> Entry | None:
        """The entry that proposed a ticket; None where there is no such ticket."""
        return next((entry for entry in self.story(ticket) if entry.kind == "proposed"), None)

    def ticket(self, ticket: str) -> Ticket | None:
        """A ticket as its entries say, not as the table does."""
        return replay_ticket(ticket, self.story(ticket))

    def blob(self, sha256: str) -> bytes | None:
        """The bytes of that digest, or None where they have been dropped."""
        return self._reader.blob(sha256)

    def blob_size(self, sha256: str) -> int | None:
        """How many bytes those are, without reading them; None where they have been dropped."""
        return self._reader.blob_size(sha256)

    def recall(self, on: str, what: str, since: datetime) -> list[dict[str, Any]]:
        """The samples that earlier answers and proposals carried about a target: their fields and "at", oldest first."""
        return samples_since(self._reader, on, what, since)
