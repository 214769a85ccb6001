"""`/hvops stop <why>`, `/hvops go`, `/hvops runs`, and what Home says about tickets."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from bot import authorize
from bot.authorize import Person
from bot.slack.changes import Changes
from bot.slack.message import Message
from bot.slack.render.home import LISTED, Open
from bot.slack.render.runs import open_line, runs_message, switched
from bot.ticket import State
from bot.vocabulary.command import Role

SWITCHES = ("stop", "go", "runs")


async def switch(changes: Changes, topic: str, person: Person, line: str) -> Message:
    """Stop everything, let it go on, or list what is open. Raises NotAllowed."""
    if topic == "stop":
        why = " ".join(line.split()[2:])
        entry = await asyncio.to_thread(changes.decisions.stop, person, why)
    elif topic == "go":
        entry = await asyncio.to_thread(changes.decisions.go, person)
    else:
        authorize.allow(person, Role.VIEWER)
        stopped = await asyncio.to_thread(changes.run.ledger.is_stopped)
        listed, count = await changes.open_tickets(person)
        return runs_message(listed, count, stopped=stopped)
    changes.decided(entry)
    return switched(entry)


async def open_tickets(changes: Changes, person: Person) -> tuple[Open, ...]:
    """The three lists of Home: what waits for this person, what needs somebody, what runs."""
    if person.highest is Role.NOBODY:
        return ()
    now = datetime.now(UTC)
    waiting, needing, running, left = await changes.waits_for(person)
    lists = (
        ("wait for you", waiting, (State.PROPOSED,)),
        ("need a person", needing, (State.INTERRUPTED,)),
        ("run", running, (State.APPROVED, State.RUNNING)),
    )
    found = []
    for name, cards, states in lists:
        links = await asyncio.gather(*(changes.board.link(card.id) for card in cards[:LISTED]))
        texts = [(card.id, open_line(card, now)) for card in cards[:LISTED]]
        told = tuple((ticket, says, link) for (ticket, says), link in zip(texts, links, strict=True))
        found.append(Open(name, told, len(cards), sum(left.get(state, 0) for state in states)))
    return tuple(found)
