"""People and hosts of whole tickets: proposed, decided by somebody else, run, ended, however badly Slack does.

They do what people do. Whoever gets no answer does it again; whoever sees no button asks for the plan again. What they
go by is what they see in Slack; only when to stop waiting is read from the ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.errors import TargetTimeout
from bot.ledger.ticket_state import ENDS
from bot.transport.client import QueryResult
from lab.slack.blockkit_walk import placed
from lab.slack.clock import WallClock
from lab.slack.model import BOT_USER, Member, Message

PATIENCE = 1.0  # seconds after which somebody does it again
ASKS_AFTER = 5.0  # seconds after which somebody who sees no button asks what is open
TOO_LONG = 30.0  # seconds of a healthy Slack after which something is wrong
OPS = "C0OPS"
KINDS = (
    "done", "rejected", "withdrawn", "confirmed", "interrupted", "closed", "void", "long", "stopped", "failed",
    "expired",
)  # fmt: skip
FIRST_LINE = {"confirmed": "tweak", "interrupted": "hurry", "closed": "hurry", "long": "overhaul"}


class Stuck(AssertionError):
    """Slack is well, somebody tries again and again, and it does not come about."""

    def __init__(self, ticket: str, says: str) -> None:
        super().__init__(says)
        self.ticket = ticket


class Over(Exception):
    """The ticket ended another way, as when Slack called its approver no member: there is nothing left to press."""


class Estate:
    """Hosts with named values. What reaches them is counted; one that is `held` answers a change once that is set.

    Attributes:
        begins: no host changes anything before that.
    """

    def __init__(self) -> None:
        self.begins = asyncio.Event()
        self.hosts: dict[str, dict[str, str]] = defaultdict(
            lambda: {"paused": "no", "fixed": "no", "locked": "no", "wizard": "no"}
        )
        self.acts: list[tuple[str, tuple[tuple[str, str], ...]]] = []
        self.held: dict[str, asyncio.Event] = {}

    def release(self) -> None:
        """Nobody is held any more."""
        self.begins.set()
        for held in self.held.values():
            held.set()

    async def answer(self, question: Any, seconds: float = 20.0) -> QueryResult:
        return QueryResult((dict(self.hosts[question.on]),), "", question.on)

    async def change(self, action: Any, seconds: float) -> QueryResult:
        host = self.hosts[action.on]
        if action.what == "set":
            self.acts.append((action.on, tuple(sorted(dict(action.params).items()))))
            if host.get("silent") == "yes":
                raise TargetTimeout(action.on, "no answer.")
            await self.begins.wait()
            if action.on in self.held:
                await self.held[action.on].wait()
            host.update(dict(action.params))
        return QueryResult((), "ok", action.on)


class Time(WallClock):
    """What the time is, for Slack and for the bot; `forward` makes what waits expire."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> float:
        return super().now() + self.ahead.total_seconds()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def forward(self, **by: float) -> None:
        self.ahead += timedelta(**by)


class Troupe:
    """Plays tickets, each on a host of its own, several at once.

    Attributes:
        too_late: set once what still waits has expired.
    """

    def __init__(self, slack: Any, ledger: Any, estate: Estate, clock: Time) -> None:
        self.slack, self.ledger, self.estate, self.clock = slack, ledger, estate, clock
        self.requesters = [slack.person("operator"), *self._crowd("S0OPERATORS", "ops", 2)]
        self.deciders = [slack.person("approver"), *self._crowd("S0APPROVERS", "boss", 2)]
        self.too_late = asyncio.Event()

    async def plays(self, kind: str, number: int) -> str:
        """One whole ticket. Returns its number; Stuck where it does not end."""
        host = f"node{number:02}"
        one = self.requesters[number % len(self.requesters)]
        other = self.deciders[number % len(self.deciders)]
        ticket = await self._proposed(one, f"/{FIRST_LINE.get(kind, 'repair')} {host}", host)
        play = getattr(self, f"_{kind}", None)
        with contextlib.suppress(Over):
            if play is None:
                await self._pressed(other, ticket, "t-approve", "approved")
            else:
                await play(ticket, host, one, other)
        for each in self.tickets(host):
            await self._ended(each, one)
        return ticket

    async def _rejected(self, ticket: str, host: str, one: Any, other: Any) -> None:
        await self._with_reason(other, ticket, "t-reject", "rejected")

    async def _withdrawn(self, ticket: str, host: str, one: Any, other: Any) -> None:
        await self._pressed(one, ticket, "t-withdraw", "withdrawn")

    async def _confirmed(self, ticket: str, host: str, one: Any, other: Any) -> None:
        await self._pressed(one, ticket, "t-approve", "approved")

    async def _expired(self, ticket: str, host: str, one: Any, other: Any) -> None:
        """Nobody does anything, and time goes by."""
        await self.too_late.wait()

    async def _failed(self, ticket: str, host: str, one: Any, other: Any) -> None:
        self.estate.hosts[host]["broken"] = "yes"
        await self._pressed(other, ticket, "t-approve", "approved")

    async def _stopped(self, ticket: str, host: str, one: Any, other: Any) -> None:
        self.estate.held[host] = asyncio.Event()
        await self._pressed(other, ticket, "t-approve", "approved")
        await self._pressed(one, ticket, "t-stop", "cancel-asked")
        self.estate.held[host].set()

    async def _void(self, ticket: str, host: str, one: Any, other: Any) -> None:
        self.estate.hosts[host]["changed"] = "yes"
        await self._pressed(other, ticket, "t-approve", "approved")
        await self._ended(ticket, one)
        for anew in self.tickets(host)[1:]:
            await self._pressed(other, anew, "t-approve", "approved")

    async def _interrupted(self, ticket: str, host: str, one: Any, other: Any) -> None:
        await self._until_silent(ticket, host, other)
        await self._pressed(other, ticket, "t-go-on", "resumed")

    async def _closed(self, ticket: str, host: str, one: Any, other: Any) -> None:
        await self._until_silent(ticket, host, other)
        await self._with_reason(one, ticket, "t-close", "closed")

    async def _until_silent(self, ticket: str, host: str, other: Any) -> None:
        self.estate.hosts[host]["silent"] = "yes"
        await self._pressed(other, ticket, "t-approve", "approved")
        await self._comes(lambda: self._is_still(ticket), ticket, "its interruption")
        self.estate.hosts[host].update(silent="no", fixed="yes")

    def have_decided(self) -> bool:
        """Whether every plan is there, and nobody has to press a button before something happens to a host."""
        waiting = [each for each in self.tickets() if self.kinds_of(each)[-1] == "proposed"]
        return len(self.tickets()) >= len(KINDS) and len(waiting) <= 1  # one waits for nobody

    def kinds_of(self, ticket: str) -> list[str]:
        """What happened to it, without what was only shown or pressed."""
        return [each for each in self.kinds(ticket) if each not in ("shown", "clicked", "refused")]

    def tickets(self, host: str = "") -> list[str]:
        """Every ticket, or those about a host, oldest first."""
        proposed = self.ledger.entries(kind="proposed", newest_first=False)
        return [str(each.ticket) for each in proposed if host in ("", each.data.target)]

    # --- what people do ------------------------------------------------------------------------------------------

    async def _proposed(self, who: Any, line: str, host: str) -> str:
        await self._again(lambda: who.types(line), lambda: bool(self.tickets(host)), "", line)
        return self.tickets(host)[0]

    async def _pressed(self, who: Any, ticket: str, verb: str, kind: str) -> None:
        before = self._count(ticket, kind)

        async def press() -> None:
            card = self.card(who, ticket, verb)
            if card is None:
                await self._asks_again(who, ticket, verb)
            else:
                await who.clicks(card, _action(card, ticket, verb))

        await self._again(
            press, lambda: self._count(ticket, kind) > before, ticket, f"{verb} of {ticket} by {who.name}"
        )

    async def _with_reason(self, who: Any, ticket: str, verb: str, kind: str) -> None:
        async def press() -> None:
            for view in reversed(who.views()):
                await who.closes(view)
            card = self.card(who, ticket, verb)
            if card is None:
                await self._asks_again(who, ticket, verb)
                return
            await who.clicks(card, _action(card, ticket, verb))
            if await self._until(lambda: bool(who.views()), PATIENCE):
                await who.submits(who.views()[-1], {"Why?": "not tonight"})

        await self._again(press, lambda: self._has(ticket, kind), ticket, f"{verb} of {ticket} by {who.name}")

    async def _asks_again(self, who: Any, ticket: str, verb: str) -> None:
        """Nobody shows them the button: after a while they ask what is open."""
        if await self._until(lambda: self.card(who, ticket, verb) is not None, ASKS_AFTER):
            return
        await self._until(lambda: self.slack.workspace.connections > 0, PATIENCE)
        await who.types("/hvops runs")

    def card(self, who: Any, ticket: str, verb: str) -> Message | None:
        """The newest message that this person sees with that button of the ticket."""
        workspace = self.slack.workspace
        seen = [one for each in tuple(workspace.channels) for one in workspace.visible(who.id, each)]
        found = [one for one in seen if one.user == BOT_USER and _action(one, ticket, verb)]
        return max(found, key=lambda one: one.ts, default=None)

    async def _ended(self, ticket: str, one: Any) -> None:
        """Until it ended; what stands still for another reason than was played is closed by a person."""
        await self._comes(lambda: self._is_still(ticket), ticket, "its end")
        if not ENDS.intersection(self.kinds(ticket)):
            with contextlib.suppress(Over):
                await self._with_reason(one, ticket, "t-close", "closed")

    def _is_still(self, ticket: str) -> bool:
        return self.kinds_of(ticket)[-1] in {*ENDS, "interrupted"}

    def kinds(self, ticket: str) -> list[str]:
        """What happened to it."""
        return [each.kind for each in self.ledger.story(ticket)]

    def _has(self, ticket: str, kind: str) -> bool:
        return kind in self.kinds(ticket)

    def _count(self, ticket: str, kind: str) -> int:
        return self.kinds(ticket).count(kind)

    async def _again(
        self, act: Callable[[], Awaitable[Any]], is_so: Callable[[], bool], ticket: str, what: str
    ) -> None:
        began = time.monotonic()
        while not is_so():
            if ticket and ENDS.intersection(self.kinds(ticket)):
                raise Over
            with contextlib.suppress(LookupError):  # the button went while they reached for it
                await act()
            if not await self._until(is_so, PATIENCE):
                self._give_up(began, ticket, what)

    async def _comes(self, is_so: Callable[[], bool], ticket: str, what: str) -> None:
        began = time.monotonic()
        while not await self._until(is_so, PATIENCE):
            self._give_up(began, ticket, what)

    def _give_up(self, began: float, ticket: str, what: str) -> None:
        healed = self.slack.healed
        if healed is not None and time.monotonic() - max(began, healed) > TOO_LONG:
            raise Stuck(ticket, f"{what}: not within {TOO_LONG:.0f} s of a healthy Slack")

    async def _until(self, is_so: Callable[[], bool], seconds: float) -> bool:
        """Wait for something that the bot brings about; whether it did."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not is_so():  # noqa: ASYNC110 - there is no event to wait for
                    await asyncio.sleep(0.02)
                return True
        return is_so()

    def _crowd(self, group: str, name: str, count: int) -> list[Any]:
        workspace, made = self.slack.workspace, []
        for number in range(count):
            member = Member(f"U0{name.upper()}{number}", f"{name}{number}", f"{name} {number}")
            workspace.members[member.id] = member
            workspace.groups[group].users.append(member.id)
            for channel in (OPS, "C0AUDIT"):
                workspace.channels[channel].members.append(member.id)
            made.append(self.slack.person(member.name))
        return made


def _action(message: Message, ticket: str, verb: str) -> str:
    """The action_id of that button; "" where there is none."""
    for place in placed(message.blocks):
        parts = place.action_id.split(":")
        is_it = len(parts) > 1 and parts[0] == "hvops" and parts[1] == verb
        if is_it and str(place.element.get("value", "")).split(" ")[0] == ticket:
            return str(place.action_id)
    return ""
