"""What became of one assumption. A proof is something that was measured now, or that happened on a known day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from bot.api.continuity import Assumption


class Outcome(IntEnum):
    """Worst first. There is no fifth: what was not asked, or not answered, is unprovable."""

    BROKEN = 0
    STALE = 1
    UNPROVABLE = 2
    PROVED = 3

    @property
    def word(self) -> str:
        """How the title counts it."""
        return "not proved" if self is Outcome.UNPROVABLE else self.name.lower()


@dataclass(frozen=True, slots=True)
class Verdict:
    """One assumption, judged.

    Attributes:
        subject: what it is about, as its finding is headed.
        why: what was seen, a sentence without its full stop.
        asked: on which machine; "" where nothing was asked.
        lines: what else to say, labelled.
        proved_at: when the proof was made; None where there is none, or it was measured now.
        since_cycle: of a replication, how long ago data was last replicated; None where that is not known.
    """

    outcome: Outcome
    subject: str
    why: str
    assumption: Assumption | None = None
    asked: str = ""
    lines: tuple[tuple[str, str], ...] = ()
    proved_at: datetime | None = None
    since_cycle: timedelta | None = None

    @property
    def minutes(self) -> int | None:
        """Whole minutes since the last cycle, as chart and table show them; None where that is not known."""
        return None if self.since_cycle is None else self.since_cycle // timedelta(minutes=1)


def by_age(assumption: Assumption, at: datetime, now: datetime, says: str, *, asked: str = "") -> Verdict:
    """Proved or stale, by how old a proof may be. `says` names what happened then: "last test failover"."""
    days = (now - at) // timedelta(days=1)
    subject, shown = assumption.target, f"{says} {at:%-d %B %Y}, {days} {'day' if days == 1 else 'days'} ago"
    if at > now + timedelta(days=1):
        return Verdict(Outcome.UNPROVABLE, subject, f"{says} {at:%-d %B %Y}, which is in the future", assumption, asked)
    if assumption.max_age_days and now - at > timedelta(days=assumption.max_age_days):
        promised = f"{shown}; limit: {assumption.max_age_days} days"
        return Verdict(Outcome.STALE, subject, promised, assumption, asked, proved_at=at)
    return Verdict(Outcome.PROVED, subject, shown, assumption, asked, proved_at=at)
