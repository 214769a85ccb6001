"""`/hvops stop <why>`, `/hvops go`, `/hvops runs`, and what Home says about tickets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Protocol, TypeVar

from bot.api.command import Role
from bot.dispatch import authorization
from bot.dispatch.authorization import Person
from bot.dispatch.builtins import GO, RUNS, STOP
from bot.dispatch.command_line import TypedLine
from bot.errors import HvopsError, LedgerError, SwitchUnchanged, UsageError
from bot.ledger import TicketSummary
from bot.ledger.envelope import InForce
from bot.ledger.ticket_state import TicketState
from bot.slack.outbound.message import Message
from bot.slack.render.home import LISTED, OpenTickets
from bot.slack.render.stop import switched_message, unchanged_message, with_stop
from bot.slack.render.ticket import ticket_message
from bot.slack.render.ticket_list import runs_message, waiting_line
from bot.slack.render.ticket_view_model import StopView
from bot.slack.tickets.change_service import Changes

T = TypeVar("T")
SWITCHES = (STOP, GO, RUNS)


@dataclass(frozen=True, slots=True)
class Origin:
    """How a line came in, for the ledger.

    Attributes:
        via: "slack", "mention", "modal".
        place: the channel, or "home".
        click: the number of the `clicked` entry that it answers, or None.
        given: of a go, what was in force when it was given.
    """

    via: str = ""
    place: str = ""
    click: int | None = None
    given: InForce | None = None


class Beside(Protocol):
    """Does something short beside the loop."""

    async def __call__(self, work: Callable[[], T], /) -> T:
        """Do it, and answer what it answers."""


async def switch(changes: Changes, typed: TypedLine, person: Person, origin: Origin, stopping: Beside) -> Message:
    """Stop everything, let it go on, or list what is open.

    Args:
        changes: what decides.
        typed: the line.
        person: who typed it.
        origin: how it came in.
        stopping: does what a stop takes, which waits for nobody else.

    Raises:
        PermissionDenied: that person may not.
        UsageError: a stop without a reason; or a go with words behind it, as in a sentence that only names hvops somewhere.
    """
    if typed.builtin is RUNS:
        authorization.require_role(person, RUNS.role)
        listed, count = await changes.open_tickets(person)
        stop = await changes.board.stop()
        return with_stop(runs_message(listed, count, is_stopped=stop is not None), stop)
    decisions, how = changes.decisions, {"via": origin.via, "place": origin.place}
    try:
        if typed.builtin is STOP:
            entry = await stopping(partial(decisions.stop_changes, person, typed.rest, origin.click, **how))
        else:
            if typed.rest:
                raise UsageError("Nothing was done: /hvops go takes no arguments.", GO.usage)
            allow = partial(decisions.allow_changes, person, origin.click, given=origin.given, **how)
            entry = await asyncio.to_thread(allow)
    except SwitchUnchanged as same:
        return await unchanged(changes, same)
    changes.decided(entry)
    return switched_message(entry)


async def unchanged(changes: Changes, same: SwitchUnchanged) -> Message:
    """What is so already, and by whom."""
    return unchanged_message(await asyncio.to_thread(changes.run.ledger.entry, same.seq))


async def stop_for(changes: Changes | None, person: Person) -> StopView | None:
    """The stop in force, for whoever holds a role: why things are stopped tells of the environment."""
    if changes is None or person.highest_role is Role.NOBODY:
        return None
    try:
        return await changes.board.stop()
    except LedgerError as error:
        return StopView(None, unknown=str(error))


async def open_tickets(changes: Changes, person: Person) -> tuple[OpenTickets, ...]:
    """The three lists of Home: what waits for this person, what needs somebody, what runs."""
    if person.highest_role is Role.NOBODY:
        return ()
    now = datetime.now(UTC)
    waiting, needing, running, left = await changes.waits_for(person)
    lists = (
        ("to decide", waiting, (TicketState.PROPOSED,)),
        ("need attention", needing, (TicketState.INTERRUPTED,)),
        ("running", running, (TicketState.APPROVED, TicketState.RUNNING)),
    )
    found = []
    for name, headings, states in lists:
        told = [await _told(changes, one, now) for one in headings[:LISTED]]
        found.append(OpenTickets(name, tuple(told), len(headings), sum(left.get(state, 0) for state in states)))
    return tuple(found)


async def _told(changes: Changes, one: TicketSummary, now: datetime) -> tuple[str, str, str]:
    """A ticket for Home: its number, what it says (mrkdwn), and where it is shown."""
    return one.ticket, await _says(changes, one, now), await changes.board.permalink(one.ticket)


async def _says(changes: Changes, one: TicketSummary, now: datetime) -> str:
    if one.state == TicketState.PROPOSED:
        return waiting_line(one, now)
    try:
        card = await changes.board.card(one.ticket)
        # The stop stands above all of them. Drawn beside the loop: it takes as long as its plan.
        return (await asyncio.to_thread(ticket_message, replace(card, stop=None))).text
    except HvopsError:
        return f"{one.ticket} {one.state}"  # it cannot be read; its message says why
