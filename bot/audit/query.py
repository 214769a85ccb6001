"""A review of the ledger: finds rows, counts them, tells a ticket's story; and only to those who may see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.audit.filter_syntax import USAGE, AuditQuery
from bot.audit.rows import CHANGE, KINDS, NOW, QUESTION, REFUSAL, SWITCH, TURNS, Row, name_in, row_of
from bot.audit.visibility import can_view, require_viewer, visibility_of
from bot.dispatch.argument_parser import quoted, suggest
from bot.dispatch.authorization import Person
from bot.errors import UsageError
from bot.ledger import Entry, Filter, Reader

PAGE = 20  # rows that somebody looks at at once
COUNTED = 1_000  # rows that the headline counts; more are "more than"
_ENDED = "ended"
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A page of rows, the newest first.

    Attributes:
        number: from 0.
        older: whether there are more behind it.
        counts: of all pages: kind of row -> how many.
        outcomes: of all pages: outcome, in words -> how many, the most frequent first.
        at_least: the counts stop there; there are more.
        hint: that the place is no name of the inventory, and which look like it; "" where it is one, or there are rows.
    """

    rows: tuple[Row, ...]
    number: int
    older: bool
    counts: Mapping[str, int]
    outcomes: Mapping[str, int]
    at_least: bool
    hint: str = ""


class Review:
    """Reads the ledger for people. Blocking; on a connection of its own, so that nobody waits for a long search."""

    def __init__(self, reader: Reader, places_of: Callable[[], Mapping[str, tuple[str, ...]]]) -> None:
        """Take a reader of one's own, and what tells where each known name belongs."""
        self._reader = reader
        self._places_of = places_of

    def page(
        self, person: Person, wanted: AuditQuery, now: datetime, before: int | None = None, number: int = 0
    ) -> AuditPage:
        """One page.

        Args:
            person: who asks.
            wanted: which rows.
            now: from when a stretch of time counts back.
            before: only what began before that entry: later pages must not move while one turns them.
            number: of the page, from 0.

        Raises:
            PermissionDenied: not there, or nowhere.
            UsageError: it is about a ticket that is not there, or not for this person.
        """
        told = self._filter(person, wanted, now, before)
        if wanted.ticket:
            self.must_exist(person, wanted.ticket)
        found = self._reader.begun(told, PAGE + 1, number * PAGE)
        counted = self._reader.count(told, COUNTED + 1)
        counts = dict.fromkeys(_IN_ORDER, 0)
        outcomes: Counter[str] = Counter()
        for (kind, outcome), count in counted.items():
            counts[KINDS[kind]] += count
            outcomes[NOW.get(outcome, outcome)] += count
        rows = self._rows(found[:PAGE])
        more = sum(counts.values()) > COUNTED
        hint = "" if rows or not wanted.place else self._hint(wanted.place)
        return AuditPage(rows, number, len(found) > PAGE, counts, dict(outcomes.most_common()), more, hint)

    def iter_all(self, person: Person, wanted: AuditQuery, now: datetime, before: int | None = None) -> Iterator[Row]:
        """All rows, the newest first. Raises PermissionDenied."""
        told = self._filter(person, wanted, now, before)
        while found := self._reader.begun(told, _AT_ONCE):
            yield from self._rows(found)
            told = replace(told, before=found[-1].seq)

    def recently_ended(self, person: Person, most: int) -> tuple[Row, ...]:
        """The tickets proposed last that have ended, of those that this person may see. Raises PermissionDenied."""
        visibility_of(person, {})
        found: list[Entry] = []
        for one in self._reader.listed((_ENDED,), _AT_ONCE):
            proposal = self._reader.entry(one.first_entry)
            if proposal is not None and can_view(person, proposal.places):
                found.append(proposal)
            if len(found) == most:
                break
        return self._rows(found)

    def last_answers(self, person: Person, most: int) -> list[Entry]:
        """The newest answers that this person got, the newest first, whatever they may see by now."""
        return self._reader.entries(kind="answered", actor=person.id, limit=most)

    def story(self, person: Person, ticket: str) -> tuple[Entry, ...]:
        """All entries of a ticket, oldest first.

        Raises:
            UsageError: there is no such ticket, or none that this person may see: they are not told which.
            PermissionDenied: they may see nothing at all.
        """
        self.must_exist(person, ticket)
        return tuple(self._reader.story(ticket))

    def must_exist(self, person: Person, ticket: str) -> None:
        """Let this person pass if there is such a ticket, where they may see it.

        Whether there is one that they may not see, and where it works, is not given away: the sentence is the same, and
        so is what the ledger says of it, for they can read what was refused to themselves.

        Raises:
            UsageError: there is none, or none that this person may see.
            PermissionDenied: they may see nothing at all.
        """
        for_them = "" if visibility_of(person, {}) is None else " that you may see"
        found = self._reader.entries(ticket=ticket, kind="proposed", limit=1)
        if not found or not can_view(person, found[0].places):
            raise UsageError(f"There is no ticket {quoted(ticket)}{for_them}.", USAGE)

    def places(self, wanted: AuditQuery) -> tuple[str, ...]:
        """The clusters, and hosts that stand alone, that a review is about; () for all."""
        return _where(wanted.place, self._places_of()) if wanted.place else ()

    def _filter(self, person: Person, wanted: AuditQuery, now: datetime, before: int | None) -> Filter:
        places = self._places_of()
        sight = visibility_of(person, places)
        if wanted.place:
            require_viewer(person, _where(wanted.place, places))
        names = [name for name, at in places.items() if wanted.place.casefold() in (one.casefold() for one in at)]
        return replace(wanted.filter(now, names, sight), before=before)

    def names(self, entries: Iterable[Entry]) -> Mapping[str, str]:
        """The names of those who wrote these entries, where an entry tells none and another one of that person does."""
        return self._reader.names({entry.actor for entry in entries if not name_in(entry)})

    def _rows(self, entries: Sequence[Entry]) -> tuple[Row, ...]:
        told = [(entry, self._turns(entry)) for entry in entries]
        names = self.names(one for entry, turns in told for one in (entry, *turns))
        return tuple(row_of(entry, turns, names) for entry, turns in told)

    def _turns(self, entry: Entry) -> Sequence[Entry]:
        is_ticket = entry.kind == "proposed" and entry.ticket
        return self._reader.entries(ticket=entry.ticket, kind=TURNS, newest_first=False) if is_ticket else ()

    def _hint(self, place: str) -> str:
        known = self._places_of()
        if place.casefold() in known:
            return ""
        near = ", ".join(suggest(place, known))
        return f"There is no {quoted(place)} in the inventory.{f' Did you mean {near}?' if near else ''}"


_IN_ORDER = (CHANGE, REFUSAL, QUESTION, SWITCH)


def _where(place: str, places_of: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Where a role must hold for a name: its cluster; for a name that nobody knows, itself."""
    return places_of.get(place.casefold()) or (place,)
