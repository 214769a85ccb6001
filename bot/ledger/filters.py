"""What a reader of the ledger looks for, as a condition of ours and values as parameters."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, get_args

from bot.errors import Refusal
from bot.ledger.dialect import SQLITE, Dialect
from bot.ledger.envelope import to_timestamp
from bot.ledger.ticket_state import ENDS


def as_typed(outcome: str) -> str:
    """An outcome as one word, as people type it: "not-allowed"."""
    return outcome.strip().casefold().replace(" ", "-")


FOREVER = "9999"  # sorts behind every time
_OPEN = ("proposed", "approved", "running", "interrupted")  # states of a ticket
_OF_REFUSALS = [one for one in get_args(Refusal) if one != "no plan"]
_WORDS_OF_ENTRIES = ("answered", "no-plan", "unanswered", "refused", *map(as_typed, _OF_REFUSALS))
OUTCOMES = tuple(dict.fromkeys((*_WORDS_OF_ENTRIES, *_OPEN, "confirmed", *sorted(ENDS), "open", "ended")))
"""What became of something, as it is typed.

"refused" is every kind of refusal, and each kind has a word of its own (`bot.errors` says what it means); "open" and
"ended" are every ticket that is. A row has exactly one of the others.
"""


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of a review, as one database spells them.

    Attributes:
        outcome: the outcome of a row of a review, by the entry that it begins with: in words, with blanks.
        of_entries: a word of OUTCOMES, the kinds that can begin a row of it, and its condition.
        of_tickets: another one, and its condition of a ticket.
        rows: which entries are a row of a review: a question, a refusal, a switch, or a ticket by its proposal. What
            came twice is one only where the braces say so.
        name, named: the name that an entry tells of its actor, and that it tells one, as the index says it, so that it
            is used.
    """

    name: str
    named: str
    outcome: str
    of_entries: Mapping[str, tuple[tuple[str, ...], str]]
    of_tickets: Mapping[str, str]
    rows: str
    target: str
    command: str
    who: str
    seen: str
    mentions: str

    def of_outcome(self, word: str) -> str:
        """The condition for a word of OUTCOMES: of an entry, or of the ticket that it belongs to."""
        if word in self.of_tickets:
            return f"EXISTS (SELECT 1 FROM ticket WHERE ticket.id = entry.ticket AND {self.of_tickets[word]})"  # noqa: S608 - ours
        return self.of_entries[word][1]


@cache
def conditions(say: Dialect) -> Conditions:
    """The conditions in the words of a database."""
    no_plan, category, name = say.is_true("no_plan"), say.field("category"), say.field("name")
    # The result of a question names it, and comes soon after it.
    unanswered = f"""kind = 'asked' AND {say.differs(say.field("command"), "'hvops'")} AND NOT EXISTS (
    SELECT 1 FROM entry AS later WHERE later.seq > entry.seq AND later.seq < entry.seq + 1000
    AND {say.number("asked", "later")} = entry.seq)"""  # noqa: S608 - constants of this file, here and below
    policy = f"(SELECT {say.field('policy', 'begun')} FROM entry AS begun WHERE begun.seq = ticket.first_entry)"  # noqa: S608
    is_confirmed = say.same(policy, "'confirm'")
    is_not_confirmed = say.differs(policy, "'confirm'")
    named = f"{name} > ''"
    about = """EXISTS (SELECT 1 FROM entry AS about
    WHERE about.seq IN (entry.seq, (SELECT first_entry FROM ticket WHERE ticket.id = entry.ticket)) AND ({}))"""
    spaced, one_name = "' ' || lower(about.target) || ' '", "' ' || name.value || ' '"
    # By id, by the last part of it, by a name in the entry, or by the id of whoever had that name in any entry.
    person = f"""({{0}}.actor IN (?, 'os:' || ?) OR {after_slash(say, "{0}.actor")} = ?
    OR lower({say.field("name", "{0}")}) = lower(?)
    OR {{0}}.actor IN (SELECT actor FROM entry WHERE {named} AND lower({name}) = lower(?)))"""  # noqa: S608
    all_seen = f"""{say.length("places", "{0}")} > 0 AND NOT EXISTS (
    SELECT 1 FROM {say.elements("places", "{0}", "place")}
    WHERE lower({say.element("place")}) NOT IN (SELECT value FROM {say.values()}))"""  # noqa: S608
    return Conditions(
        name=name,
        named=named,
        outcome=f"""CASE kind
    WHEN 'answered' THEN CASE WHEN {no_plan} THEN 'no plan' ELSE 'answered' END
    WHEN 'refused' THEN {category}
    WHEN 'asked' THEN 'unanswered'
    WHEN 'proposed' THEN (SELECT CASE WHEN ticket.state = 'ended' THEN ticket.ending
        WHEN ticket.state = 'approved' AND {is_confirmed} THEN 'confirmed' ELSE ticket.state END
        FROM ticket WHERE ticket.id = entry.ticket)
    ELSE kind END""",  # noqa: S608
        of_entries={
            "answered": (("answered",), f"kind = 'answered' AND NOT {no_plan}"),
            "no-plan": (
                ("answered", "refused"),
                f"kind = 'answered' AND {no_plan} OR kind = 'refused' AND {category} = 'no plan'",
            ),
            "unanswered": (("asked",), unanswered),
            "refused": (("refused",), "kind = 'refused'"),
            **{as_typed(one): (("refused",), f"kind = 'refused' AND {category} = '{one}'") for one in _OF_REFUSALS},
        },
        of_tickets={
            **{state: f"ticket.state = '{state}'" for state in _OPEN},
            "approved": f"ticket.state = 'approved' AND {is_not_confirmed}",
            "confirmed": f"ticket.state = 'approved' AND {is_confirmed}",
            **{end: f"ticket.state = 'ended' AND ticket.ending = '{end}'" for end in sorted(ENDS)},
            "open": f"ticket.state IN {_OPEN}",
            "ended": "ticket.state = 'ended'",
        },
        rows=f"""kind IN ('answered', 'stop', 'go', 'proposed')
    OR kind = 'refused' AND ({say.differs(category, "'redelivered'")} OR {{}}) OR {unanswered}""",
        target=about.format(
            f"""lower(about.target) IN (SELECT value FROM {say.values()})
    OR EXISTS (SELECT 1 FROM {say.elements("places", "about", "place")}
        WHERE lower({say.element("place")}) IN (SELECT value FROM {say.values()}))
    OR {say.place_of("' '", "about.target")} > 0 AND EXISTS (SELECT 1 FROM {say.values("name")}
        WHERE {say.place_of(one_name, spaced)} > 0)"""  # noqa: S608
        ),
        command=about.format(
            f"""{say.field("command", "about")} = ?
    OR {say.field("command", "about")} IS NULL AND (lower(about.line) || ' ') LIKE ? ESCAPE '\\'
    OR about.kind IN ('stop', 'go') AND ? IN (about.kind, 'hvops', 'hvops ' || about.kind)"""
        ),
        who=f"""({person.format("entry")} OR kind = 'proposed' AND EXISTS (SELECT 1 FROM entry AS other
    WHERE other.ticket = entry.ticket AND other.kind NOT IN ('shown', 'clicked', 'refused')
    AND {person.format("other")}))""",  # noqa: S608
        seen=f"""CASE WHEN kind IN ('stop', 'go') THEN TRUE
    WHEN ticket IS NOT NULL THEN EXISTS (SELECT 1 FROM entry AS proposal
        WHERE proposal.seq = (SELECT first_entry FROM ticket WHERE ticket.id = entry.ticket)
        AND {all_seen.format("proposal")})
    WHEN {say.length("places")} > 0 THEN {all_seen.format("entry")}
    ELSE actor = ? OR lower(target) IN (SELECT value FROM {say.values()}) END""",  # noqa: S608
        mentions=f"""(body {say.like} ? ESCAPE '\\' OR EXISTS (SELECT 1 FROM blob
    WHERE sha256 IN ({say.field("report")}, {say.field("evidence")})
    AND {say.readable("bytes")} {say.like} ? ESCAPE '\\'))""",  # noqa: S608
    )


def after_slash(say: Dialect, actor: str) -> str:
    """The last part of an actor's id."""
    slash = say.place_of("'/'", actor)
    return f"substr({actor}, {slash} + 1)"


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

    def condition(self, say: Dialect = SQLITE) -> tuple[str, list[Any]]:
        """The WHERE of it in the words of a database, and the values for its question marks."""
        parts = [*self._indexed(), *self._read(conditions(say))]
        return " AND ".join(f"({condition})" for condition, _ in parts), [
            value for _, values in parts for value in values
        ]

    def _indexed(self) -> Iterable[tuple[str, Sequence[Any]]]:
        """What an index may answer."""
        yield "seq > ?", (self.after,)
        if self.kind is not None:
            kinds = [self.kind] if isinstance(self.kind, str) else list(self.kind)
            yield (f"kind IN ({', '.join('?' * len(kinds))})" if kinds else "FALSE"), kinds
        if self.ticket is not None:
            yield "ticket = ?", (self.ticket,)
        if self.before is not None:
            yield "seq < ?", (self.before,)
        if self.since or self.until:
            yield "at >= ? AND at < ?", self.bounds

    def _read(self, said: Conditions) -> Iterable[tuple[str, Sequence[Any]]]:
        """What takes a look into the entry, the cheaper looks first."""
        if self.actor is not None:
            yield "actor = ?", (self.actor,)
        if self.outcome is not None:
            yield said.of_outcome(self.outcome), ()
        if self.who is not None:
            yield said.who, (self.who,) * 10
        if self.target is not None:
            yield said.target, (_lower([self.target] if isinstance(self.target, str) else self.target),) * 3
        if self.command is not None:
            name = self.command.casefold()
            yield said.command, (name, _like(f"/{name} ").removeprefix("%"), name)
        if self.sight is not None:
            places = _lower(self.sight.places)
            yield said.seen, (places, places, self.sight.actor, _lower(self.sight.names))
        yield from ((said.mentions, (_like(word),) * 2) for word in (self.text or "").split())

    def begins(self, said: Conditions) -> tuple[tuple[str, ...], str]:
        """Which kinds of entries can begin a row of a review, and a condition for tickets, so that few are looked at."""
        if self.outcome is not None and self.outcome in said.of_tickets:
            return (), said.of_tickets[self.outcome]
        if self.outcome is not None:
            return said.of_entries[self.outcome][0], "FALSE"
        return ("answered", "refused", "asked", "stop", "go"), "TRUE"

    def rows(self, said: Conditions) -> str:
        """Which entries are a row of a review. What came twice is one only for whoever asks for just that."""
        return said.rows.format("TRUE" if self.outcome == "redelivered" else "FALSE")

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
