"""How old something is that somebody did in Slack. What comes late decides nothing: the world it was meant for is gone.

Known are a button's `action_ts` and a message's `ts` [doc: docs.slack.dev/reference/interaction-payloads], and when a window
of ours was opened, which stands in its seal. When a window was sent off, and when a slash command was typed, Slack does not
say: it gives up on either after three seconds, and tells the person [doc: implementing-slash-commands].
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from bot.formatting import duration
from bot.slack.outbound.slack_time import SlackTime, Stopwatch

FRESH_SECONDS = 300.0  # longer than any redelivery that helps somebody who waits; within a proposal's life
WINDOW_SECONDS = 1_800.0  # reasons and answers take a while to find out and to type; a proposal is open for as long
INEXACT_SECONDS = 2.0  # Slack's time is told in whole seconds, and late by as long as an answer takes
_BEFORE = 60.0  # Slack's servers do not agree to the second; what is dated later than that cannot be dated


class Way(Enum):
    """What somebody did: how it is said, and what to do instead."""

    PRESS = ("This button was pressed", "Press it again if you still need it.")
    WINDOW = ("This window was opened", "Open it again if you still need it.")
    MENTION = ("This was written", "Write it again if you still need it.")


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old it was when it came, and since when it is here.

    Attributes:
        age: seconds; None where it is not known.
        most: seconds after which it decides nothing any more.
        since: it grows older while it is answered.
        recorded: the bot was restarted since it came.
        made: when it was made, by Slack's clock, in epoch seconds; None where that is not known.
        apart: by how many seconds it may have been younger when it came (`SlackTime.apart`).
    """

    age: float | None
    way: Way = Way.PRESS
    most: float = FRESH_SECONDS
    since: Stopwatch = field(default_factory=Stopwatch, compare=False)
    recorded: bool = False
    made: float | None = None
    apart: float = 0.0

    @classmethod
    def of(cls, made: float | None, slack: SlackTime, way: Way) -> Freshness:
        """Of something that Slack's clock dates; `made` in epoch seconds. Once here, it is answered soon or not at all."""
        now = slack.now()
        age = None if made is None or now is None or made - now > _BEFORE else max(0.0, now - made)
        most = WINDOW_SECONDS if way is Way.WINDOW else FRESH_SECONDS
        return cls(age, way, most if age is None else min(most, age + FRESH_SECONDS), made=made, apart=slack.apart())

    @property
    def is_doubtful(self) -> bool:
        """Whether Slack's next answer may say that it is of another age: this host's clocks do not know."""
        return self.made is not None and (
            self.age is None or self.apart > INEXACT_SECONDS or self.since.apart() > INEXACT_SECONDS
        )

    @property
    def left(self) -> float:
        """Seconds for which it counts still; 0 or less where it does not."""
        return -1.0 if self.age is None else self.most - self.age - self.since.seconds()

    @property
    def at_most_old(self) -> float | None:
        """Seconds since it was made, and no fewer: of what is dated as exactly as Slack does. None where that is not known."""
        return None if self.age is None else self.age + self.since.seconds() + INEXACT_SECONDS

    @property
    def recorded_age(self) -> int | None:
        """Whole seconds for the ledger. A window that counts was sent just now, as far as anybody knows."""
        if self.age is None or (self.way is Way.WINDOW and self.left <= 0):
            return None
        return 0 if self.way is Way.WINDOW else round(self.age)

    def why_late(self) -> str:
        """Why it decides nothing, for the person; "" while it counts."""
        what, again = self.way.value
        if self.age is None:
            return f"hvops can't tell how old this is: Slack gave no usable time for it. Nothing was done. {again}"
        if self.left > 0:
            return ""
        old = f"{what} {duration(self.age + self.since.seconds())} ago"
        if self.recorded:
            return f"{old}, and hvops was restarted before it was answered. Nothing was done. {again}"
        if self.way is Way.WINDOW and self.age >= WINDOW_SECONDS:
            return f"{old}, and Slack doesn't say when it was sent. Nothing was done. {again}"
        return f"{old} and could not be answered in time. Nothing was done. {again}"


def seconds_in(ts: str) -> float | None:
    """Epoch seconds of one of Slack's times, "1548426417.840180"; None where it is none."""
    whole, _, rest = ts.partition(".")
    digits = whole + rest
    is_one = bool(whole) and len(whole) <= 11 and digits.isascii() and digits.isdecimal()  # noqa: PLR2004
    return float(ts) if is_one else None
