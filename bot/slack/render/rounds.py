"""How a repeated group of steps goes: how many of its acts are done, how fast, and a chart of the rate. Pure.

Only what the ledger says: an act counts from the entry of its intent to that of its outcome, as the bot wrote them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.api.report import Bar, Chart
from bot.formatting import duration, plural
from bot.slack.outbound.message import escape
from bot.slack.render.ticket_view_model import TicketView
from bot.tickets.run_history import DONE

_BARS = 20
_MINUTE = 60.0
_TENTHS = 10


@dataclass(frozen=True, slots=True)
class RoundCount:
    """The acts of all repeated groups that are counted.

    Attributes:
        unit: what one is called.
        of: how many the plan has.
        begun, ended: of each that is done, in order.
        failed: how many have ended otherwise.
    """

    unit: str
    of: int
    begun: tuple[datetime, ...]
    ended: tuple[datetime, ...]
    failed: int

    @property
    def done(self) -> int:
        """How many are done."""
        return len(self.ended)

    @property
    def seconds(self) -> float:
        """From the first to the last that is done."""
        return (self.ended[-1] - self.begun[0]).total_seconds() if self.ended else 0.0

    @property
    def per_minute(self) -> float:
        """How many were done in a minute, pauses among them."""
        return self.done * _MINUTE / self.seconds if self.seconds else 0.0


def count_rounds(card: TicketView) -> RoundCount | None:
    """The count; None for a plan that counts nothing."""
    places = [place for place in card.places if place.group.unit and place.step.act is not None]
    if not places:
        return None
    results = [(place.key, card.story.result(place.key)) for place in places]
    done = [key for key, result in results if result == DONE]
    return RoundCount(
        unit=places[0].group.unit,
        of=len(places),
        begun=tuple(card.story.intents[key].at for key in done),
        ended=tuple(card.story.ended[key] for key in done),
        failed=sum(bool(result) and result != DONE for _, result in results),
    )


def rounds_text(card: TicketView) -> str:
    """The count in words: "37 of 500 live migrations done, 2.1 a minute, 12 s each"; "" where nothing is counted. Plain text."""
    count = count_rounds(card)
    if count is None:
        return ""
    told = f"{count.done:,} of {plural(count.of, count.unit)} done"
    if count.failed:
        told += f", {count.failed:,} failed"
    if count.done:
        spans = [(end - begin).total_seconds() for begin, end in zip(count.begun, count.ended, strict=True)]
        told += f", {count.per_minute:.1f} a minute, {duration(sum(spans) / len(spans))} each ({duration(min(spans))} to {duration(max(spans))})"
    return told


def rounds_line(card: TicketView) -> str:
    """The same, to stand at the top of a message: of thousands of moves it says more than any list of steps. mrkdwn."""
    told = rounds_text(card)
    return f"*{escape(told)}.*" if told else ""


def rounds_chart(card: TicketView) -> Chart | None:
    """The rate over time, in at most 20 bars of the same length; None where there is nothing to see yet."""
    count = count_rounds(card)
    if count is None or count.done < 2 or not count.seconds:  # noqa: PLR2004 - one makes no rate
        return None
    first, span = count.begun[0], count.seconds
    bars = min(_BARS, count.done)
    found = [0] * bars
    for end in count.ended:
        found[min(bars - 1, int((end - first).total_seconds() / span * bars))] += 1
    minutes = span / bars / _MINUTE
    return Chart(
        title=f"{count.unit[:1].upper()}{count.unit[1:]}s a minute",
        unit="a minute",
        bars=tuple(
            Bar(
                f"{at + 1}: from {first + (count.ended[-1] - first) / bars * at:%H:%M:%S}",
                round(number / minutes * _TENTHS),
            )
            for at, number in enumerate(found)
        ),
        thresholds=(("average", round(count.per_minute * _TENTHS)),),
    )
