"""Which clocks agree, which one is off, and where that cannot be told.

The bot's clock is one of them: it measures the others, and is not right because of that. Every difference has an
uncertainty, and a limit that lies inside it is not known to be kept.

Kerberos refuses from five minutes: "Maximum tolerance for computer clock synchronization", by default [doc].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from itertools import combinations

from bot.api.facts import Known, Unknown

WARNING = timedelta(seconds=60)
KERBEROS = timedelta(seconds=300)
TENTH = timedelta(milliseconds=100)
_SECOND = timedelta(seconds=1)


class Skew(IntEnum):
    """How far two clocks are apart, worst last."""

    FINE = 0
    NOT_KNOWN = 1  # the first limit lies inside the uncertainty
    SKEWED = 2
    TOO_FAR = 3  # for Kerberos


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock as the bot's clock sees it: ahead of it by `offset`, give or take `uncertainty`."""

    name: str
    offset: timedelta
    uncertainty: timedelta
    is_bot: bool = False

    @property
    def earliest(self) -> timedelta:
        """The least that it can be ahead of the bot's."""
        return self.offset - self.uncertainty

    @property
    def latest(self) -> timedelta:
        """The most that it can be ahead of the bot's."""
        return self.offset + self.uncertainty


BOT = Clock("the bot", timedelta(), timedelta(), is_bot=True)


@dataclass(frozen=True, slots=True)
class Pair:
    """A clock against another one."""

    clock: Clock
    other: Clock

    @property
    def difference(self) -> timedelta:
        """How far `clock` is ahead of `other`; negative where it is behind."""
        return self.clock.offset - self.other.offset

    @property
    def uncertainty(self) -> timedelta:
        """Give or take so much."""
        return self.clock.uncertainty + self.other.uncertainty

    @property
    def skew(self) -> Skew:
        """The judgement: what is surely so, with the uncertainty taken off."""
        least, most = abs(self.difference) - self.uncertainty, abs(self.difference) + self.uncertainty
        if least >= KERBEROS:
            return Skew.TOO_FAR
        if least >= WARNING:
            return Skew.SKEWED
        return Skew.NOT_KNOWN if most >= WARNING else Skew.FINE

    @property
    def may_be_too_far(self) -> bool:
        """Whether Kerberos' limit lies inside the uncertainty."""
        return self.skew is not Skew.TOO_FAR and abs(self.difference) + self.uncertainty >= KERBEROS

    @property
    def worst_last(self) -> tuple[Skew, bool, int]:
        """A key to sort by. Among equals, two nodes matter more than a node and the bot.

        Differences count in tenths of a second, as they are shown: what is below would name another pair each time.
        """
        return self.skew, not (self.clock.is_bot or self.other.is_bot), round(abs(self.difference) / TENTH)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is known of all clocks.

    Attributes:
        agreeing: the clocks that surely agree with each other and are more than half of those asked; () where none do.
        off: the clocks that surely are not in time with those, each in its worst pair, worst first.
        apart: pairs that surely are not in time with each other, worst first: those of clocks that are off, or of all
            clocks where none agree like that.
        not_known: the clocks of which it is not known: too imprecise for the first limit. Each in its worst pair.
        fine: the nodes that are surely in time with all they are compared with.
    """

    agreeing: tuple[Clock, ...]
    off: tuple[Pair, ...]
    apart: tuple[Pair, ...]
    not_known: tuple[Pair, ...]
    fine: tuple[Clock, ...]

    @property
    def worst(self) -> Pair | None:
        """The worst of all pairs; None where none is surely bad."""
        return max((*self.off[:1], *self.apart[:1]), key=lambda pair: pair.worst_last, default=None)


def read_clock(name: str, told: Known[datetime]) -> Clock | Unknown:
    """The clock of a machine by the time that it told: read halfway, give or take half the round trip.

    A time in whole seconds was cut off, so it stands for the second that it begins.
    """
    trip = told.answered - told.asked
    if trip < timedelta():
        says = "The bot's clock was set back during the query."
        return Unknown(name, "not measured", says, "Run the check again.")
    cut = timedelta() if told.value.microsecond else _SECOND
    return Clock(name, told.value - told.asked + (cut - trip) / 2, (trip + cut) / 2)


def compare(nodes: Sequence[Clock], asked: int) -> Comparison:
    """Compare the clocks of nodes with each other and with the bot's.

    Args:
        nodes: those that told their time.
        asked: how many were asked: more than half of them and the bot must agree, before another one is called off.
    """
    if not nodes:
        return Comparison((), (), (), (), ())
    clocks = (*nodes, BOT)
    agreeing = _agreeing(clocks, asked + 1)
    worst = [_worst(clock, agreeing or clocks) for clock in (clocks if agreeing else nodes)]
    off = [pair for pair in worst if agreeing and pair.skew >= Skew.SKEWED]
    suspects = [pair.clock for pair in off] if agreeing else clocks
    apart = [pair for pair in map(_ahead_first, combinations(suspects, 2)) if pair.skew >= Skew.SKEWED]
    return Comparison(
        agreeing,
        tuple(sorted(off, key=lambda pair: pair.worst_last, reverse=True)),
        tuple(sorted(apart, key=lambda pair: pair.worst_last, reverse=True)),
        tuple(pair for pair in worst if pair.skew < Skew.SKEWED and not _is_fine(pair, agreeing)),
        tuple(pair.clock for pair in worst if _is_fine(pair, agreeing) and not pair.clock.is_bot),
    )


def spread(clocks: Sequence[Clock]) -> timedelta:
    """The most that two of these can be apart."""
    return max(abs(pair.difference) + pair.uncertainty for pair in map(_ahead_first, combinations(clocks, 2)))


def _agreeing(clocks: Sequence[Clock], asked: int) -> tuple[Clock, ...]:
    """The one largest set of clocks that surely fits within the first limit, if it is more than half of all."""
    sets = {
        tuple(one for one in clocks if one.earliest >= first.earliest and one.latest - first.earliest < WARNING)
        for first in clocks
    }
    most = max(map(len, sets))
    largest = [one for one in sets if len(one) == most]
    return largest[0] if len(largest) == 1 and 2 * most > asked else ()


def _is_fine(pair: Pair, agreeing: Sequence[Clock]) -> bool:
    """Surely in time: one that could alone be anywhere within the limit is not."""
    return pair.skew is Skew.FINE and (pair.clock in agreeing or not agreeing)


def _worst(clock: Clock, others: Sequence[Clock]) -> Pair:
    pairs = [Pair(clock, other) for other in others if other is not clock]
    return max(pairs, key=lambda pair: pair.worst_last)


def _ahead_first(pair: tuple[Clock, Clock]) -> Pair:
    """The one that is ahead against the other; a node against the bot."""
    one, other = pair
    return Pair(one, other) if other.is_bot or one.offset >= other.offset else Pair(other, one)
