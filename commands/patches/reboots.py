"""Whether a flag that asks for a restart is younger than the last start: only then does one wait.

The flag is a registry key, and StdRegProv tells no key's time [doc]. What Windows writes when it sets the flag has one:
Servicing 4 in Setup, "a reboot is needed" [src: libyal winevt-kb], WindowsUpdateClient 21 and 22 in System, "restart
required" [mem]. A newest such event from before the start shows that nothing since has asked; no event at all shows
nothing, since a log forgets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.api.facts import Unknown, value_of
from bot.api.query_client import QueryClient
from bot.api.sources import Source
from commands.sources.clock import last_start
from commands.sources.event_log import EventLog, logged_events
from commands.sources.updates import BY_SERVICING, BY_UPDATE, NodeUpdates

_EVER = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
_ASKS = {
    BY_SERVICING: ("Setup", (4,), "Microsoft-Windows-Servicing"),
    BY_UPDATE: ("System", (21, 22), "Microsoft-Windows-WindowsUpdateClient"),
}


class FlagAge(StrEnum):
    """A flag beside the last start."""

    YOUNGER = "flagged since the last start"
    OLDER = "flagged before the last start"
    NOT_KNOWN = "unknown since when"


@dataclass(frozen=True, slots=True)
class RebootFlags:
    """The flags of one node that ask for a restart.

    Attributes:
        wanted_by: who set them: servicing, Windows Update.
        started: when Windows started.
        asked: who set one -> its events that ask for a restart.
    """

    wanted_by: tuple[str, ...]
    started: datetime | Unknown
    asked: Mapping[str, EventLog | Unknown]

    @property
    def age(self) -> FlagAge:
        """Younger where one of them is; older where all of them are known to be."""
        ages = [self._age(who) for who in self.wanted_by]
        if FlagAge.YOUNGER in ages:
            return FlagAge.YOUNGER
        return FlagAge.NOT_KNOWN if FlagAge.NOT_KNOWN in ages else FlagAge.OLDER

    def _age(self, who: str) -> FlagAge:
        log = self.asked.get(who)
        if isinstance(self.started, Unknown) or log is None or isinstance(log, Unknown) or not log.events:
            return FlagAge.NOT_KNOWN
        if log.events[0].at > self.started:
            return FlagAge.YOUNGER
        return FlagAge.NOT_KNOWN if log.unreadable else FlagAge.OLDER


async def look_at_flags(nodes: Mapping[str, NodeUpdates], ask: QueryClient) -> dict[str, RebootFlags]:
    """Ask the nodes that have such a flag when they started, and when a restart was asked for."""
    flagged = {name: node.reboot_for for name, node in nodes.items() if node.reboot_for}
    if not flagged:
        return {}
    wanted = [(name, who) for name, reasons in flagged.items() for who in reasons]
    started, asked = await asyncio.gather(
        ask.query_many({name: last_start(name) for name in flagged}),
        ask.query_many({(name, who): _requests(name, who) for name, who in wanted}),
    )
    return {
        name: RebootFlags(reasons, value_of(started[name]), {who: value_of(asked[name, who]) for who in reasons})
        for name, reasons in flagged.items()
    }


def _requests(on: str, who: str) -> Source[EventLog]:
    channel, ids, provider = _ASKS[who]
    return logged_events(on, channel, ids, _EVER, provider)
