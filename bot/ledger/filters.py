"""What a reader of the ledger looks for, as a condition of ours and values as parameters."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from bot.errors import Refusal
from bot.ledger.envelope import to_timestamp
from bot.ledger.ticket_state import ENDS


def as_typed(outcome: str) -> str:
    """An outcome as one word, as people type it: "not-allowed"."""
    return outcome.strip().casefold().replace(" ", "-")


FOREVER = "9999"  # sorts behind every time
_OPEN = ("proposed", "approved", "running", "interrupted")  # states of a ticket
_TICKET_IS = "EXISTS (SELECT 1 FROM ticket WHERE ticket.id = entry.ticket AND {})"
# The result of a question names it, and comes soon after it.
_UNANSWERED = """kind = 'asked' AND json_extract(body, '$.data.command') IS NOT 'hvops' AND NOT EXISTS (
    SELECT 1 FROM entry AS later WHERE later.seq > entry.seq AND later.seq < entry.seq + 1000
    AND json_extract(later.body, '$.data.asked') = entry.seq)"""
_NO_PLAN = "json_extract(body, '$.data.no_plan') IS 1"
_CATEGORY = "json_extract(body, '$.data.category')"
_OF_REFUSALS = [one for one in get_args(Refusal) if one != "no plan"]
# A word, the kinds that can begin a row of it, and its condition.
_OF_ENTRIES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "answered": (("answered",), f"kind = 'answered' AND NOT {_NO_PLAN}"),
    "no-plan": (
        ("answered", "refused"),
        f"kind = 'answered' AND {_NO_PLAN} OR kind = 'refused' AND {_CATEGORY} = 'no plan'",
    ),
    "unanswered": (("asked",), _UNANSWERED),
    "refused": (("refused",), "kind = 'refused'"),
    **{as_typed(one): (("refused",), f"kind = 'refused' AND {_CATEGORY} = '{one}'") for one in _OF_REFUSALS},
}
_POLICY = "(SELECT json_extract(begun.body, '$.data.policy') FROM entry AS begun WHERE begun.seq = ticket.first_entry)"
_OF_TICKETS = {
    **{state: f"ticket.state = '{state}'" for state in _OPEN},
    "approved": f"ticket.state = 'approved' AND {_POLICY} IS NOT 'confirm'",
    "confirmed": f"ticket.state = 'approved' AND {_POLICY} IS 'confirm'",
    **{end: f"ticket.state = 'ended' AND ticket.ending = '{end}'" for end in sorted(ENDS)},
    "open": f"ticket.state IN {_OPEN}",
    "ended": "ticket.state = 'ended'",
}
OUTCOMES = {word: condition for word, (_, condition) in _OF_ENTRIES.items()} | {
    word: _TICKET_IS.format(condition) for word, condition in _OF_TICKETS.items()
}
"""What became of something, as it is typed, and the condition for it: of an entry, or of the ticket that it belongs to.

"refused" is every kind of refusal, and each kind has a word of its own (`bot.errors` says what it means); "open" and
"ended" are every ticket that is. A row has exactly one of the others.
"""
OUTCOME = f"""CASE kind
    WHEN 'answered' THEN iif({_NO_PLAN}, 'no plan', 'answered')
    WHEN 'refused' THEN {_CATEGORY}
    WHEN 'asked' THEN 'unanswered'
    WHEN 'proposed' THEN (SELECT CASE WHEN ticket.state = 'ended' THEN ticket.ending
        WHEN ticket.state = 'approved' AND {_POLICY} IS 'confirm' THEN 'confirmed' ELSE ticket.state END
        FROM ticket WHERE ticket.id = entry.ticket)
    ELSE kind END"""  # noqa: S608 - constants of this file
"""The outcome of a row of a review, by the entry that it begins with: in words, with blanks."""

# One row of a review is a question, a refusal, a switch, or a ticket by its proposal: the entry that it begins with.
_ROWS = f"""kind IN ('answered', 'stop', 'go', 'proposed')
    OR kind = 'refused' AND ({_CATEGORY} IS NOT 'redelivered' OR {{}}) OR {_UNANSWERED}"""
_ABOUT = """EXISTS (SELECT 1 FROM entry AS about
    WHERE about.seq IN (entry.seq, (SELECT first_entry FROM ticket WHERE ticket.id = entry.ticket)) AND ({}))"""
_TARGET = _ABOUT.format(
    """lower(about.target) IN (SELECT value FROM json_each(?))
    OR EXISTS (SELECT 1 FROM json_each(about.body, '$.data.places') AS place
        WHERE lower(place.value) IN (SELECT value FROM json_each(?)))
    OR instr(about.target, ' ') AND EXISTS (SELECT 1 FROM json_each(?) AS name
        WHERE instr(' ' || lower(about.target) || ' ', ' ' || name.value || ' '))"""
)
_COMMAND = _ABOUT.format("""json_extract(about.body, '$.data.command') = ?
    OR json_extract(about.body, '$.data.command') IS NULL AND (lower(about.line) || ' ') LIKE ? ESCAPE '\\'
    OR about.kind IN ('stop', 'go') AND ? IN (about.kind, 'hvops', 'hvops ' || about.kind)""")
# By id, by the last part of it, by a name in the entry, or by the id of whoever had that name in any entry.
NAME = "json_extract(body, '$.data.name')"
NAMED = f"{NAME} > ''"  # as the index says it, so that it is used
_PERSON = f"""({{0}}.actor IN (?, 'os:' || ?) OR substr({{0}}.actor, instr({{0}}.actor, '/') + 1) = ?
    OR lower(json_extract({{0}}.body, '$.data.name')) = lower(?)
    OR {{0}}.actor IN (SELECT actor FROM entry WHERE {NAMED} AND lower({NAME}) = lower(?)))"""  # noqa: S608 - constants
_WHO = f"""({_PERSON.format("entry")} OR kind = 'proposed' AND EXISTS (SELECT 1 FROM entry AS other
    WHERE other.ticket = entry.ticket AND other.kind NOT IN ('shown', 'clicked', 'refused') AND {_PERSON.format("other")}))"""  # noqa: S608 - constants of this file
_ALL_SEEN = """json_array_length({0}.body, '$.data.places') > 0 AND NOT EXISTS (
    SELECT 1 FROM json_each({0}.body, '$.data.places') AS place WHERE lower(place.value) NOT IN (SELECT value FROM json_each(?)))"""
_SEEN = f"""CASE WHEN kind IN ('stop', 'go') THEN 1
    WHEN ticket IS NOT NULL THEN EXISTS (SELECT 1 FROM entry AS proposal
        WHERE proposal.seq = (SELECT first_entry FROM ticket WHERE ticket.id = entry.ticket) AND {_ALL_SEEN.format("proposal")})
    WHEN json_array_length(body, '$.data.places') > 0 THEN {_ALL_SEEN.format("entry")}
    ELSE actor = ? OR lower(target) IN (SELECT value FROM json_each(?)) END"""  # noqa: S608 - constants of this file
_MENTIONS = r"""(body LIKE ? ESCAPE '\' OR EXISTS (SELECT 1 FROM blob
    WHERE sha256 IN (json_extract(body, '$.data.report'), json_extract(body, '$.data.evidence'))
    AND CAST(bytes AS TEXT) LIKE ? ESCAPE '\'))"""


@dataclass(frozen=True, slots=True)
class Visibility:
    """What somebody may see who may not see everything.

    Attributes:
        places: the clusters, and hosts that stand alone, where they may.
        names: every name that is known to belong to those places only.
        actor: their own id: they see what was refused to themselves.
    """

    places: frozenset[str]
    names: frozenset[str]
    actor: str


@dataclass(frozen=True, slots=True)
class Filter:
    """All that is given must match.

    Attributes:
        kind: one kind, or several.
        actor: the id of a person, exactly.
        ticket: the id of a ticket, exactly.
        target: a name that the entry, or its ticket, is about, or one of several; a cluster also by what it took
            place on. Upper and lower case make no difference.
        since: not before that time.
        until: before that time.
        text: words that all occur in the entry, its report or its evidence.
        before: only numbers below this one, for the next page.
        after: only numbers above this one.
        command: its name, without the slash; of the entry, or of its ticket.
        outcome: a word of OUTCOMES.
        who: a person by id, by the last part of it, or by a name that the ledger knows for that id; of a proposal,
            also who decided.
        sight: only what this person may see; None for somebody who may see all.
    """

    kind: str | Collection[str] | None = None
    actor: str | None = None
    ticket: str | None = None
    target: str | Collection[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    before: int | None = None
    after: int = 0
    command: str | None = None
    outcome: str | None = None
    who: str | None = None
    sight: Visibility | None = None

    def condition(self) -> tuple[str, list[Any]]:
        """The WHERE of it and the values for its question marks."""
        parts = [*self._indexed(), *self._read()]
        return " AND ".join(f"({condition})" for condition, _ in parts), [
            value for _, values in parts for value in values
        ]

    def _indexed(self) -> Iterable[tuple[str, Sequence[Any]]]:
        """What an index may answer."""
        yield "seq > ?", (self.after,)
        if self.kind is not None:
            kinds = [self.kind] if isinstance(self.kind, str) else list(self.kind)
            yield f"kind IN ({', '.join('?' * len(kinds))})", kinds
        if self.ticket is not None:
            yield "ticket = ?", (self.ticket,)
        if self.before is not None:
            yield "seq < ?", (self.before,)
        if self.since or self.until:
            yield "at >= ? AND at < ?", self.bounds

    def _read(self) -> Iterable[tuple[str, Sequence[Any]]]:
        """What takes a look into the entry, the cheaper looks first."""
        if self.actor is not None:
            yield "actor = ?", (self.actor,)
        if self.outcome is not None:
            yield OUTCOMES[self.outcome], ()
        if self.who is not None:
            yield _WHO, (self.who,) * 10
        if self.target is not None:
            yield _TARGET, (_lower([self.target] if isinstance(self.target, str) else self.target),) * 3
        if self.command is not None:
            name = self.command.casefold()
            yield _COMMAND, (name, _like(f"/{name} ").removeprefix("%"), name)
        if self.sight is not None:
            places = _lower(self.sight.places)
            yield _SEEN, (places, places, self.sight.actor, _lower(self.sight.names))
        yield from ((_MENTIONS, (_like(word),) * 2) for word in (self.text or "").split())

    @property
    def begins(self) -> tuple[tuple[str, ...], str]:
        """Which kinds of entries can begin a row of a review, and a condition for tickets, so that few are looked at."""
        if self.outcome is not None and self.outcome in _OF_ENTRIES:
            return _OF_ENTRIES[self.outcome][0], "0"
        if self.outcome is not None:
            return (), _OF_TICKETS[self.outcome]
        return ("answered", "refused", "asked", "stop", "go"), "1"

    @property
    def rows(self) -> str:
        """Which entries are a row of a review. What came twice is one only for whoever asks for just that."""
        return _ROWS.format("1" if self.outcome == "redelivered" else "0")

    @property
    def bounds(self) -> tuple[str, str]:
        """From when, and until before when, as entries write their times."""
        return to_timestamp(self.since) if self.since else "", to_timestamp(self.until) if self.until else FOREVER


def _lower(names: Iterable[str]) -> str:
    """Names as a JSON list, for `json_each`."""
    return json.dumps(sorted(name.lower() for name in names))


def _like(word: str) -> str:
    """A LIKE pattern for a word as JSON spells it."""
    spelled = word.replace("\\", "\\\\").replace('"', '\\"')
    for special in ("\\", "%", "_"):
        spelled = spelled.replace(special, f"\\{special}")
    return f"%{spelled}%"
