"""What several bots on one ledger share out among them, in the words of whoever asks: no database is known here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

MARKS = ("code", "settings", "inventory", "anchors", "sites")  # what should be the same on all bots
# Between the clock of a bot and the database's: NTP keeps machines within less than a second.
MOST_SKEW_SECONDS = 30.0
# Between the clocks of two bots: one may be ahead of the database's, the other one behind.
MOST_SKEW_BETWEEN_BOTS = 2 * MOST_SKEW_SECONDS


class Duty(StrEnum):
    """What one bot at a time does for all."""

    RUNS = "runs"  # starts what is approved, takes up what was left, ends what is late
    DELIVERY = "delivery"  # finds what people were not told, and reminds
    AUDIT_CHANNEL = "audit channel"  # its lines, and the heads that are anchored there
    NOTICES = "stop notices"


@dataclass(frozen=True, slots=True)
class PresentBot:
    """A bot that is connected to the ledger's database.

    Attributes:
        host: of its machine, as far as it has room.
        process: its number there.
        marks: each of `MARKS` -> the beginning of a digest of it.
        duties: what it does for all.
        runs: the numbers of the tickets that it runs.
    """

    host: str
    process: str
    marks: dict[str, str]
    duties: tuple[Duty, ...] = ()
    runs: tuple[int, ...] = ()

    def __str__(self) -> str:
        """For people: which machine, which process."""
        return f"{self.host} (process {self.process})"


class LockSession(ABC):
    """One session and the locks that it holds. They go with it: whoever lost it holds nothing any more."""

    @abstractmethod
    def take(self, key: int) -> bool:
        """Whether this session holds the lock now, taking it where it is free. Raises LedgerError: nobody can say."""

    @abstractmethod
    def holds(self, key: int) -> bool:
        """Whether it holds it still, as the server says. Never raises: where nobody can say, it does not."""

    @abstractmethod
    def give_back(self, key: int) -> None:
        """Let others have it. Never raises."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back."""


class SharedLocks(ABC):
    """The locks that the bots of one ledger take from each other, wherever they run.

    Attributes:
        marks: each of `MARKS` -> a digest of it, in hexadecimal; to be set before the first look.
    """

    marks: dict[str, str]

    @abstractmethod
    def session(self) -> LockSession:
        """A session of one's own. It connects when it is first needed."""

    @abstractmethod
    def look(self) -> None:
        """Take each duty that is free, and see what is still held, here and elsewhere. Blocks. Raises LedgerError."""

    @abstractmethod
    def owns(self, duty: Duty) -> bool:
        """Whether this bot has a duty, by a look of a moment ago."""

    @abstractmethod
    def runs_elsewhere(self) -> frozenset[int]:
        """The locks of the runs of other bots, by that look."""

    @abstractmethod
    def is_free(self, duty: Duty) -> bool:
        """Whether no bot at all has a duty, by the last look; not where that was not answered."""

    @abstractmethod
    def clock_trouble(self) -> str:
        """Why this bot starts nothing by its clock, by the last look: how far it is from the database's, and what to do; else ""."""

    @abstractmethod
    def compare_clock(self) -> str:
        """The same, asked now, for whoever is no bot. Blocks. Raises LedgerError."""

    @abstractmethod
    def present(self) -> list[PresentBot]:
        """All bots that are there, this one among them. Blocks. Raises LedgerError."""

    @abstractmethod
    def ring(self) -> None:
        """Let the other bots know that something was appended, as soon as may be. Never blocks, never raises; it may get lost."""

    @abstractmethod
    def listen(self, hear: Callable[[], None]) -> None:
        """Call `hear` on some thread when another bot rang, and when that may have been missed; until all is closed."""

    @abstractmethod
    def give_up_duties(self) -> None:
        """Let another bot have them."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back."""


def skew_in_words(seconds: float, doubt: float) -> str:
    """What is wrong with a clock that is so far ahead of the database's, where that may be wrong by so much; "" where nothing is."""
    if abs(seconds) <= MOST_SKEW_SECONDS + doubt:
        return ""
    way = "ahead of" if seconds > 0 else "behind"
    return (
        f"the clock of this machine is {abs(seconds):.0f} s {way} that of the ledger's database (at most {MOST_SKEW_SECONDS:.0f} s "
        "are allowed), so this bot starts, resumes and undoes nothing. Set the clock of the one that is wrong, and see that "
        "its time service (NTP) runs"
    )


def duty_key(duty: Duty) -> int:
    """The lock of whoever has a duty."""
    return _DUTY << 32 | list(Duty).index(duty)


def run_key(ticket: str) -> int:
    """The lock of whoever runs a ticket."""
    return _RUN << 32 | _number(ticket)


def delivery_key(ticket: str) -> int:
    """The lock of whoever shows a ticket."""
    return _DELIVERY << 32 | _number(ticket)


def number_of_run(key: int) -> int | None:
    """The number of the ticket whose run that lock is of; None for another one."""
    return key & _LOW if key >> 32 == _RUN else None


KEY_BITS = 34  # of a lock: two for what it is of, 32 for which one
_LOW = 0xFFFF_FFFF
_DUTY, _RUN, _DELIVERY = range(3)


def _number(ticket: str) -> int:
    digits = ticket.removeprefix("T-")
    return int(digits) & _LOW if digits.isascii() and digits.isdecimal() and len(digits) <= 10 else 0  # noqa: PLR2004 - digits
