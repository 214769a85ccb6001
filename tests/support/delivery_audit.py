"""What must be so once Slack is well again, read from the practice Slack and from the ledger, and from nothing of the bot's.

Every end is told to who asked and to who decided; nothing was approved whose whole plan was not there to be read; a
ticket has one message with buttons, and it says what the ledger says; a thread tells in order, and nothing twice unless
Slack did a thing and did not say so; the chain holds; no press counted twice and nothing was done twice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.ledger.ticket_state import ENDS
from bot.slack.render.proposed import plan_text
from bot.tickets.proposal import proposal_from
from lab.slack.blockkit_walk import placed
from lab.slack.model import BOT_USER, Message
from lab.slack.plain_text import plain_text

WORDS = {
    "done": "DONE", "failed": "FAILED", "cancelled": "STOPPED", "closed": "CLOSED", "rejected": "REJECTED",
    "withdrawn": "WITHDRAWN", "expired": "EXPIRED", "lapsed": "LAPSED", "voided": "VOID",
}  # fmt: skip
ONLY_SHOW = ("t-open", "t-show")  # buttons of answers about a ticket; its own message has others
GONE = (
    "message_not_found", "cant_update_message", "edit_window_closed", "channel_not_found", "is_archived",
    "not_in_channel", "is_inactive", "thread_not_found",
)  # fmt: skip
ENTRY = re.compile(r"\(entry ([\d,]+)\)")
PLAN = "The full plan of"


@dataclass(frozen=True)
class Violation:
    """Something that must not be."""

    ticket: str
    says: str


@dataclass(frozen=True)
class Said:
    """A message when it was posted: what happens to it later is another matter."""

    at: float
    channel: str
    text: str
    files: bytes


@dataclass
class Audit:
    """Looks on from the beginning.

    Attributes:
        doubles: tickets of which two messages with buttons stood at one time, for a while at least.
    """

    slack: Any
    ledger: Any
    estate: Any
    said: list[Said] = field(default_factory=list)
    doubles: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.slack.workspace.stream.listeners.append(self._happened)

    # --- what a while of health brings about ---------------------------------------------------------------------

    def not_yet(self) -> list[Violation]:
        """What is missing now, and has to come about by itself."""
        return [*self.cards_not_yet(), *self.untold()]

    def untold(self) -> list[Violation]:
        """The ends that who asked and who decided have not been told."""
        return [each for ticket in self.tickets() for each in self._untold(ticket)]

    def cards_not_yet(self) -> list[Violation]:
        """The messages of tickets that do not say what the ledger says; they have a minute of health."""
        return [
            Violation(ticket, says)
            for ticket in self.tickets()
            for says in self._card_troubles(ticket, self._end(ticket))
        ]

    def _end(self, ticket: str) -> Any:
        return next((each for each in self.ledger.story(ticket) if each.kind in ENDS), None)

    def _untold(self, ticket: str) -> Iterator[Violation]:
        story, end = self.ledger.story(ticket), self._end(ticket)
        if end is None:
            return
        decided = next((each for each in story if each.kind == "approved"), None)
        for role, person in (("requester", story[0].actor), ("decider", decided.actor if decided else "")):
            if person and not self._is_told(ticket, end, person.rpartition("/")[2]):
                yield Violation(ticket, f"{end.kind} was not told to its {role} {person}")
        if end.actor != "bot" and not self._is_said(ticket, end):
            yield Violation(ticket, f"{end.kind} by {end.actor} is said nowhere")

    def _card_troubles(self, ticket: str, end: Any) -> Iterator[str]:
        cards = self.cards(ticket) or self._shown(ticket)
        if len(cards) > 1:
            yield f"{len(cards)} live cards: {', '.join(f'{one.channel} {one.ts}' for one in cards)}"
        if not cards:
            yield "no card"
        for card in cards if end is not None else ():
            word = WORDS[end.kind]
            if not card.text.upper().startswith(f"{ticket} {word}"):
                yield f"the ledger says {end.kind}, the card {card.ts} says {card.text[:60]!r}"

    def _shown(self, ticket: str) -> list[Message]:
        """Where the ledger says that it stands: a card may have no button, as one that was asked to stop."""
        shown = [each for each in self.ledger.story(ticket) if each.fields.get("what") == "ticket-message"]
        found = self.slack.workspace.find(shown[-1].data.channel, shown[-1].data.ts) if shown else None
        return [found] if found is not None else []

    def tickets(self) -> list[str]:
        """Every ticket there ever was, oldest first."""
        return [str(each.ticket) for each in self.ledger.entries(kind="proposed", newest_first=False)]

    def story(self, ticket: str) -> list[str]:
        """What the ledger says of it, a line each, for people."""
        for_people = ("reason", "category", "button", "what", "entry", "ts", "click")
        return [
            f"entry {each.seq} {each.kind} by {each.actor}: "
            + ", ".join(f"{name} {each.fields[name]}" for name in for_people if each.fields.get(name))
            for each in self.ledger.story(ticket)
        ]

    def cards(self, ticket: str) -> list[Message]:
        """The messages that anybody sees with buttons of that ticket which do more than show it."""
        return [one for one in self._posted() if one.only_for is None and _buttons(one, ticket)]

    def _is_told(self, ticket: str, end: Any, user: str) -> bool:
        """A message that rings for them: it names them, or stands in their own conversation."""
        return any(
            f"<@{user}>" in one.text or self.slack.workspace.channels[one.channel].kind == "dm"
            for one in self._about_the_end(ticket, end)
            if user in self.slack.workspace.channels[one.channel].members
        )

    def _is_said(self, ticket: str, end: Any) -> bool:
        return any(True for _ in self._about_the_end(ticket, end))

    def _about_the_end(self, ticket: str, end: Any) -> Iterator[Message]:
        named, word = re.compile(rf"\b{ticket}\b"), WORDS[end.kind]
        for one in self._posted():
            is_new = one.only_for is None and not _buttons(one, ticket)
            if is_new and named.search(one.text) and word in one.text.upper() and float(one.ts) > _time(end) - 0.002:
                yield one

    def _posted(self) -> list[Message]:
        return [one for every in self.slack.workspace.messages.values() for one in every if one.user == BOT_USER]

    # --- what stays as it was ------------------------------------------------------------------------------------

    def for_good(self, calls: list[Any]) -> list[Violation]:
        """What no time mends."""
        found = [each for ticket in self.tickets() for each in self._wrong(ticket, calls)]
        if not self.ledger.verify().holds:
            found.append(Violation("", "the chain does not hold"))
        runs = self._runs()
        for (host, act), count in Counter(self.estate.acts).items():
            if count > max(1, runs[host]):
                found.append(Violation("", f"{act} reached {host} {count} times"))
        return found

    def _runs(self) -> Counter[str]:
        """How many tickets of each host began to run: who gets no answer may ask for the same twice."""
        stories = [self.ledger.story(each) for each in self.tickets()]
        return Counter(each[0].data.target for each in stories if any(one.kind == "started" for one in each))

    def _wrong(self, ticket: str, calls: list[Any]) -> Iterator[Violation]:
        story = self.ledger.story(ticket)
        for approved in (each for each in story if each.kind == "approved"):
            if missing := self._unseen(story[0], approved):
                yield Violation(ticket, f"approved, and never shown: {missing[:80]!r}")
        clicks = [each.fields.get("click") for each in story if each.fields.get("click")]
        for click, count in Counter(clicks).items():
            if count > 1:
                yield Violation(ticket, f"the press of entry {click} was answered {count} times")
        named = re.compile(rf"\b{ticket}\b")
        gone = [one for one in calls if one.kind == "chat.update" and one.heard in GONE and named.search(one.text)]
        if ticket in self.doubles and not gone:
            yield Violation(ticket, "two live cards stood at one time, and Slack called none of them gone")
        yield from (Violation(ticket, says) for says in self._direct_troubles(ticket, calls))
        for card in {one.thread_ts for one in self._posted() if one.thread_ts}:
            yield from (Violation(ticket, says) for says in self._thread_troubles(ticket, card, calls))

    def _unseen(self, proposed: Any, approved: Any) -> str:
        """A line of the plan that stood nowhere when it was approved; "" where all of it did."""
        before = [one for one in self.said if one.at < _time(approved) + 0.001]
        plan = plan_text(proposal_from(proposed))
        if any(plan.encode() in one.files for one in before):
            return ""
        shown = _bare("".join(one.text for one in before))
        return next((line for line in plan.splitlines() if _bare(line) not in shown), "")

    def _direct_troubles(self, ticket: str, calls: list[Any]) -> Iterator[str]:
        """An end that somebody was told directly is told them once."""
        end, channels = self._end(ticket), self.slack.workspace.channels
        told = self._about_the_end(ticket, end) if end is not None else ()
        direct = Counter((one.channel, one.text) for one in told if channels[one.channel].kind == "dm")
        for (channel, text), count in direct.items():
            lied = [one for one in calls if one.misreports and channel in one.text and text[:30] in one.text]
            if count > 1 and not lied:
                yield f"its end is told {count} times in {channel}, and Slack misreported nothing"

    def _thread_troubles(self, ticket: str, card: str, calls: list[Any]) -> Iterator[str]:
        thread = [one for one in self._posted() if one.thread_ts == card]
        named = re.compile(rf"\b{ticket}\b")
        own = {each.seq for each in self.ledger.story(ticket)}
        told = [int(found[1].replace(",", "")) for one in thread if (found := ENTRY.search(one.text))]
        told = [number for number in told if number in own]
        if told != sorted(told):
            yield f"the thread tells out of order: {told}"
        twice = [f"(entry {number:,})" for number, count in Counter(told).items() if count > 1]
        plans = [one for one in thread if one.text.startswith(PLAN) and named.search(one.text)]
        twice += [PLAN] if len(plans) > 1 else []
        for says in twice:
            lied = [one for one in calls if one.misreports and says in one.text and named.search(one.text)]
            if not lied:
                yield f"{says!r} is said twice, and Slack misreported nothing"

    def _happened(self, event: Any) -> None:
        message = event.message
        if event.kind not in ("message", "message_changed") or message is None or message.user != BOT_USER:
            return
        if event.kind == "message":
            files = b"".join(self.slack.workspace.files[each].data for each in message.files)
            text = f"{plain_text(message)}\n{message.text}\n"
            self.said.append(Said(float(message.ts), message.channel, text, files))
        for ticket in _tickets(message):
            if len(self.cards(ticket)) > 1:
                self.doubles.add(ticket)


def _buttons(message: Message, ticket: str) -> list[str]:
    """The verbs of the buttons of a ticket in a message that make it the ticket's own."""
    return [verb for named, verb in _carried(message) if named == ticket and verb not in ONLY_SHOW]


def _tickets(message: Message) -> set[str]:
    return {named for named, verb in _carried(message) if verb not in ONLY_SHOW and message.only_for is None}


def _carried(message: Message) -> Iterator[tuple[str, str]]:
    for place in placed(message.blocks):
        parts = place.action_id.split(":")
        value = str(place.element.get("value", "")).split(" ")[0]
        if parts[0] == "hvops" and len(parts) > 1 and parts[1].startswith("t-") and value:
            yield value, parts[1]


def _bare(text: str) -> str:
    """Without what a message adds or breaks: blanks, lines, the marks of code."""
    return re.sub(r"[\s`]+", "", text)


def _time(entry: Any) -> float:
    return datetime.fromisoformat(entry.at).timestamp()
