"""`/hvops stop <why>`, `/hvops go`, `/hvops runs`, and what Home says about tickets."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from bot.api.command import Role
from bot.dispatch import authorization
from bot.dispatch.authorization import Person
from bot.dispatch.builtins import GO, RUNS, STOP
from bot.dispatch.command_line import TypedLine
from bot.errors import HvopsError
from bot.ledger import TicketSummary
from bot.ledger.ticket_state import TicketState
from bot.slack.outbound.message import Message
from bot.slack.render.home import LISTED, OpenTickets
from bot.slack.render.ticket import ticket_message
from bot.slack.render.ticket_list import runs_message, stop_message, waiting_line
from bot.slack.tickets.change_service import Changes

SWITCHES = (STOP, GO, RUNS)


async def switch(changes: Changes, typed: TypedLine, person: Person) -> Message:
    """Stop everything, let it go on, or list what is open. Raises PermissionDenied."""
    if typed.builtin is STOP:
        entry = await asyncio.to_thread(changes.decisions.stop_changes, person, typed.rest)
    elif typed.builtin is GO:
        entry = await asyncio.to_thread(changes.decisions.allow_changes, person)
    else:
        authorization.require_role(person, RUNS.role)
        stopped = await asyncio.to_thread(changes.run.ledger.is_stopped)
        listed, count = await changes.open_tickets(person)
        return runs_message(listed, count, stopped=stopped)
    changes.decided(entry)
    return stop_message(entry)


async def open_tickets(changes: Changes, person: Person) -> tuple[OpenTickets, ...]:
    """The three lists of Home: what waits for this person, what needs somebody, what runs."""
    if person.highest_role is Role.NOBODY:
        return ()
    now = datetime.now(UTC)
    waiting, needing, running, left = await changes.waits_for(person)
    lists = (
        ("wait for you", waiting, (TicketState.PROPOSED,)),
        ("need a person", needing, (TicketState.INTERRUPTED,)),
        ("run", running, (TicketState.APPROVED, TicketState.RUNNING)),
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
        return ticket_message(await changes.board.card(one.ticket)).text
    except HvopsError:
        return f"{one.ticket} {one.state}"  # it cannot be read; its message says why
