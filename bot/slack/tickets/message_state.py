"""What a board keeps in mind about tickets between two looks at the ledger, and when it forgets.

Nothing of it is the truth: it spares Slack updates that would show nothing new. Tickets that have ended are forgotten.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from bot.executor.context import TicketChange
from bot.ledger.ticket_state import TicketState
from bot.slack.outbound.message import Message


@dataclass(slots=True, eq=False)
class MessageState:
    """About one ticket.

    Attributes:
        newest: the last thing that the runner told.
        urgent: set while something more than progress waits to be shown.
        worker: shows it as long as something is due.
        remind_at: when half of its time is over; None where nobody is to be reminded.
        has_ended: nothing more happens to it.
        state: as it was last shown; None where this process has not shown it.
        users: how many work on it, or wait for their turn.
    """

    newest: TicketChange | None = None
    is_due: bool = False
    urgent: asyncio.Event = field(default_factory=asyncio.Event)
    worker: asyncio.Task[None] | None = None
    remind_at: datetime | None = None
    has_ended: bool = False
    state: TicketState | None = None
    users: int = 0
    _sent: bytes = b""

    def was_sent(self, message: Message) -> bool:
        """Whether this is what its message shows already."""
        return self._sent == _mark(message)

    def sent(self, message: Message) -> None:
        """This is what its message shows now."""
        self._sent = _mark(message)

    @property
    def is_idle(self) -> bool:
        """Whether nobody works on it."""
        return self.worker is None and not self.users


class MessageStates:
    """What is kept, by ticket."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._kept: dict[str, MessageState] = {}

    def get(self, ticket: str) -> MessageState:
        """What is kept of a ticket."""
        return self._kept.setdefault(ticket, MessageState())

    def newest(self, ticket: str) -> TicketChange | None:
        """The last thing that the runner told about a ticket; None where it told nothing, or that is forgotten."""
        kept = self._kept.get(ticket)
        return kept.newest if kept else None

    def evict(self, ticket: str) -> None:
        """Forget a ticket that has ended, once nobody works on it."""
        kept = self._kept.get(ticket)
        if kept is not None and kept.has_ended and kept.is_idle:
            del self._kept[ticket]

    def workers(self) -> list[asyncio.Task[None]]:
        """Everybody who shows something now."""
        return [kept.worker for kept in self._kept.values() if kept.worker is not None]

    def to_remind(self, now: datetime) -> list[str]:
        """The tickets whose reminder is due. Each is told once."""
        due = [one for one, kept in self._kept.items() if kept.remind_at is not None and kept.remind_at <= now]
        for ticket in due:
            self._kept[ticket].remind_at = None
        return due

    def __len__(self) -> int:
        return len(self._kept)


def _mark(message: Message) -> bytes:
    return hashlib.sha256(repr(message).encode(errors="replace")).digest()
