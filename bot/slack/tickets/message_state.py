"""What a board keeps in mind about tickets between two looks at the ledger, and when it forgets.

Nothing of it is the truth: it spares Slack updates that would show nothing new. Tickets that have ended are forgotten.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from bot.executor.context import TicketChange
from bot.ledger.ticket_state import TicketState
from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent, PartMissing
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
        failures: how often in a row something of it was not delivered.
        refused: how often in a row Slack refused to change its message.
        channel: that takes nothing of it now, or "".
        unsure: keys of what may have arrived.
        tried: keys of what was refused, a part of which may have been taken.
        by_others: another process may have told of it: it was found in the ledger, or was another one's to show in between.
        placed: channel and ts of its message, posted and not yet written down.
        trouble: what was last logged about it.
        is_buttonless: Slack took its message only without its buttons.
        needs_file: the plan's text may not stand whole in its thread, so that its file has to.
        copies_at: when to look whether its message stands twice; None where it cannot.
    """

    newest: TicketChange | None = None
    is_due: bool = False
    urgent: asyncio.Event = field(default_factory=asyncio.Event)
    worker: asyncio.Task[None] | None = None
    remind_at: datetime | None = None
    has_ended: bool = False
    state: TicketState | None = None
    users: int = 0
    failures: int = 0
    refused: int = 0
    channel: str = ""
    unsure: set[str] = field(default_factory=set)
    tried: set[str] = field(default_factory=set)
    by_others: bool = False
    placed: tuple[str, str] | None = None
    copies_at: datetime | None = None
    trouble: str = ""
    is_buttonless: bool = False
    needs_file: bool = False
    _taken: set[str] = field(default_factory=set)
    _sent: bytes = b""

    async def once(self, key: str, send: Callable[[], Awaitable[object]]) -> NotSent | DeliveryUnknown | None:
        """Send something unless it was taken before. Returns why it was not, or None."""
        if key in self._taken:
            return None
        try:
            await send()
        except PartMissing as error:
            self._taken.add(key)
            return error
        except NotSent as error:
            self.tried.add(key)
            return error
        except DeliveryUnknown as error:
            self.note_unknown(key, error)
            return error
        self._taken.add(key)
        return None

    def note_unknown(self, key: str, error: DeliveryUnknown) -> None:
        """Nobody knows whether it arrived; where this process sent nothing, it is as unsure as it was."""
        (self.unsure if error.was_sent else self.tried).add(key)

    def was_sent(self, message: Message) -> bool:
        """Whether this is what its message shows already."""
        return self._sent == _mark(message)

    def sent(self, message: Message, *, is_buttonless: bool) -> None:
        """This is what its message shows now, or would, if Slack had taken its buttons."""
        self._sent, self.is_buttonless = b"" if is_buttonless else _mark(message), is_buttonless

    def forget_sent(self) -> None:
        """What its message shows now is not known."""
        self._sent = b""

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
        if kept is not None and kept.has_ended and kept.is_idle and kept.copies_at is None:
            del self._kept[ticket]

    def workers(self) -> list[asyncio.Task[None]]:
        """Everybody who shows something now."""
        return [kept.worker for kept in self._kept.values() if kept.worker is not None]

    def elsewhere(self, channel: str) -> list[MessageState]:
        """What is kept of the tickets that a channel took nothing of."""
        return [kept for kept in self._kept.values() if kept.channel == channel]

    def to_look_for_copies(self, now: datetime) -> list[str]:
        """The tickets whose message may stand twice, once it is time to look. Each is told once."""
        due = [one for one, kept in self._kept.items() if kept.copies_at is not None and kept.copies_at <= now]
        for ticket in due:
            self._kept[ticket].copies_at = None
        return due

    def is_busy(self, ticket: str) -> bool:
        """Whether somebody shows it now."""
        kept = self._kept.get(ticket)
        return kept is not None and not kept.is_idle

    def to_remind(self, now: datetime) -> list[str]:
        """The tickets whose reminder is due. Each is told once."""
        due = [one for one, kept in self._kept.items() if kept.remind_at is not None and kept.remind_at <= now]
        for ticket in due:
            self._kept[ticket].remind_at = None
        return due

    def __contains__(self, ticket: str) -> bool:
        return ticket in self._kept

    def __len__(self) -> int:
        return len(self._kept)


def _mark(message: Message) -> bytes:
    return hashlib.sha256(repr(message).encode(errors="replace")).digest()
