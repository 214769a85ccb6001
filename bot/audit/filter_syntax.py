"""The filters of a review as people type them: `/audit prod --what drain-node --outcome failed --when 7d`."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from bot.dispatch import argument_parser
from bot.dispatch.argument_parser import Parameter
from bot.dispatch.builtins import AUDIT
from bot.errors import UsageError
from bot.formatting import duration
from bot.ledger import OUTCOMES, Filter, Visibility, as_typed

NAME, HINT, USAGE, HELP = AUDIT.name, AUDIT.hint, AUDIT.usage, AUDIT.help
DAY = timedelta(hours=24)
_SPAN = re.compile(r"([0-9]{1,5})\s*(m|min|h|d|w)", re.IGNORECASE)
_SECONDS = {"m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_ALL = "all"
_OLDEST = timedelta(days=36_500)  # nothing is older, and what is said again must be readable
_TICKET = re.compile(r"t-[0-9]{1,15}", re.IGNORECASE)


class Span(timedelta):
    """How far back; longer than anything for "all"."""

    wants = "a time such as 24h, 7d or all"

    @classmethod
    def parse(cls, word: str) -> timedelta:
        """Read it. Raises ValueError."""
        found = _SPAN.fullmatch(word.strip())
        if word.casefold() == _ALL:
            return cls.max
        if not found or not int(found[1]):
            raise ValueError(word)
        back = cls(seconds=int(found[1]) * _SECONDS[found[2].lower()])
        return back if back < _OLDEST else cls.max


class Moment(datetime):
    """A day or a time of it. UTC where it names no zone, as all times in answers."""

    wants = "a date such as 2026-03-01, or a time such as 2026-03-01T23:05"

    @classmethod
    def parse(cls, word: str) -> datetime:
        """Read it. Raises ValueError."""
        found = datetime.fromisoformat(word)
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        try:
            found.astimezone(UTC)
        except OverflowError:  # the first and the last hours that there are have no name in UTC in some zones
            raise ValueError(word) from None
        return found


class Outcome(str):
    """A word of OUTCOMES."""

    __slots__ = ()
    wants = f"one of: {', '.join(OUTCOMES)}"

    @classmethod
    def parse(cls, word: str) -> Outcome:
        """Read it. Raises ValueError."""
        if as_typed(word) not in OUTCOMES:
            raise ValueError(word)
        return cls(as_typed(word))


class UserFilter(str):
    """A person's id or name, without the "@" before it."""

    __slots__ = ()
    wants = "a user"

    @classmethod
    def parse(cls, word: str) -> UserFilter:
        """Read it. Raises ValueError."""
        return cls(_text(word.lstrip("@"), word))


class CommandName(str):
    """A command's name, in lower case and without the slash before it."""

    __slots__ = ()
    wants = "a command"

    @classmethod
    def parse(cls, word: str) -> CommandName:
        """Read it. Raises ValueError."""
        return cls(_text(word.lstrip("/").casefold(), word))


class TargetFilter(str):
    """A cluster, a host, or a ticket."""

    __slots__ = ()
    wants = "a cluster, a host or a ticket"

    @classmethod
    def parse(cls, word: str) -> TargetFilter:
        """Read it. Raises ValueError."""
        return cls(_text(word, word))


def _text(name: str, word: str) -> str:
    """The same, where a ledger can be asked for it: PostgreSQL takes no NUL. Raises ValueError."""
    if not name or any(unicodedata.category(one) == "Cc" for one in name):
        raise ValueError(word)
    return name


def _parameter(name: str, kind: Literal["option", "rest"], of: type) -> Parameter:
    return Parameter(name, kind, of, f"[--{name}]")


PARAMETERS = (
    _parameter("about", "rest", TargetFilter),
    _parameter("who", "option", UserFilter),
    _parameter("what", "option", CommandName),
    _parameter("outcome", "option", Outcome),
    _parameter("when", "option", Span),
    _parameter("since", "option", Moment),
    _parameter("until", "option", Moment),
)


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What somebody wants to review. Texts are "" and times None where it makes no difference.

    Attributes:
        about: a cluster, a host, or a ticket.
        who: a person: id, the last part of it, or name.
        what: a command's name.
        when: how far back from `until`, or from now.
    """

    about: str = ""
    who: str = ""
    what: str = ""
    outcome: str = ""
    when: timedelta | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __str__(self) -> str:
        """The line that asks for it, in its plain form."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        about = str(given.pop("about"))
        options = [f"--{name} {_shown(value)}" for name, value in given.items() if value]
        return " ".join([f"/{NAME}", *([about] if about else []), *options])

    @property
    def ticket(self) -> str:
        """The ticket it is about, or ""."""
        return self.about.upper() if _TICKET.fullmatch(self.about) else ""

    @property
    def place(self) -> str:
        """The cluster or host it is about, or ""."""
        return "" if self.ticket else self.about

    def filter(self, now: datetime, names: Iterable[str] = (), sight: Visibility | None = None) -> Filter:
        """The same for the ledger.

        Args:
            now: from when `when` counts back.
            names: what else the place is known by: a cluster's nodes.
            sight: what the person may see; None for all.
        """
        since, until = self.bounds(now)
        return Filter(
            ticket=self.ticket or None,
            target={self.place, *names} if self.place else None,
            since=since,
            until=until,
            command=self.what or None,
            outcome=self.outcome or None,
            who=self.who or None,
            sight=sight,
        )

    def bounds(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """From when, and until before when; the last day where nothing is said, and everything for a ticket."""
        if self.since is not None or (self.when is None and (self.until is not None or self.ticket)):
            return self.since, self.until
        back = self.when or DAY
        end = self.until or now
        return (end - back if back < end - datetime.min.replace(tzinfo=UTC) else None), self.until

    def time_in_words(self) -> str:
        """The stretch of time: "24 h", "since 2026-03-01", "all"."""
        until = f"until {_shown(self.until)}" if self.until else ""
        if self.since is not None:
            return f"since {_shown(self.since)} {until}".strip()
        if self.when is None and (until or self.ticket):
            return until or _ALL
        back = self.when or DAY
        if back == Span.max:
            return f"{_ALL} {until}".strip()
        return f"{'24 h' if back == DAY else duration(back.total_seconds())} {until}".strip()


def read(text: str) -> AuditQuery:
    """Read what was typed behind the command. Raises UsageError.

    What is read is what its own line asks for: pages, files and the window of the filters read that line in the ledger.
    """
    found = _read(text)
    with contextlib.suppress(UsageError):
        if _read(str(found).removeprefix(f"/{NAME}")) == found:
            return found
    raise UsageError(
        f"hvops can't record this query in the ledger exactly as typed: {argument_parser.quoted(text)}. Type it without "
        "quotes or special characters.",
        USAGE,
    )


def _read(text: str) -> AuditQuery:
    typed = argument_parser.tokenize(text)
    values: dict[str, Any] = argument_parser.bind_arguments(USAGE, PARAMETERS, typed)
    about = values.pop("about", ())
    if len(about) > 1:
        raise UsageError(f"Name one cluster, host or ticket, not {argument_parser.quoted(' '.join(about))}.", USAGE)
    if "when" in values and "since" in values:
        raise UsageError("Say --when or --since, not both.", USAGE)
    return AuditQuery(about="".join(about), **values)


def outcome(word: str) -> str:
    """A word of OUTCOMES. Raises UsageError with those that look like it."""
    if as_typed(word) not in OUTCOMES:
        raise UsageError(
            f"{argument_parser.quoted(word)} is not {Outcome.wants}.",
            suggestions=argument_parser.suggest(as_typed(word), OUTCOMES),
        )
    return as_typed(word)


def _shown(value: Any) -> str:
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        size, unit = next(
            ((size, unit) for unit, size in (("d", 86_400), ("h", 3_600)) if seconds % size == 0), (60, "m")
        )
        return _ALL if value == Span.max else f"{seconds // size}{unit}"
    if isinstance(value, datetime):
        # `isoformat` writes years below 1000 so that they can be read again; `%Y` does not.
        told = value.astimezone(UTC).replace(tzinfo=None)
        if told.time() == datetime.min.time():
            return told.date().isoformat()
        return told.isoformat(timespec="auto" if told.second or told.microsecond else "minutes")
    return str(value)
