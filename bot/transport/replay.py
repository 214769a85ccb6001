"""Answer questions from a capture instead of from hosts: the same code, with the wire taken away.

A reply is found by the host and by the request without what differs each time: message ids, time limits, addresses
and times of day. A request that was asked several times gets its replies in their order, and then the last again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from bot.config.inventory_file import InventoryFile
from bot.errors import MalformedResponse
from bot.transport.capture import Capture
from bot.transport.client import TargetClient
from bot.transport.connection_pool import ConnectionPool
from bot.transport.routing import Credentials, Route, Router
from bot.transport.windows.winrm import Connection
from bot.transport.windows.wsman import MalformedReply, body_of

_VOLATILE = re.compile(
    r"<(?P<tag>(?:\w+:)?(?:MessageID|OperationTimeout|To|SessionId|OperationID|SequenceId))\b[^<>]*+>[^<]*</(?P=tag)>"
    r"|<(?:\w+:)?Selector Name=\"ShellId\">[^<]*<"  # questions at one time may get each other's shells
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?Z?"
    r"|[0-9]{14}\.[0-9]{6}[+-][0-9]{3}"
)
_MESSAGE_ID = re.compile(r"<(?:\w+:)?MessageID\b[^<>]*+>\s*uuid:([^<\s]+)", re.IGNORECASE)
_RELATES_TO = re.compile(r"(<(?:\w+:)?RelatesTo\b[^<>]*+>)[^<]*(</)")
_LOGIN = Credentials("ntlm", "replay", "replay")


class Replay(TargetClient):
    """A `TargetClient` that answers from a capture. Needs no network and no credentials."""

    def __init__(self, capture: Capture) -> None:
        """Take a capture."""
        inventory_file = inventory_of(capture)
        super().__init__(Router(inventory_file, {"reader": _LOGIN, "operator": _LOGIN, "guest": _LOGIN}), at_once=8)
        self.inventory_file = inventory_file
        self.now = datetime.fromisoformat(capture.at)
        self._kept = _Recorded(capture)


def inventory_of(capture: Capture) -> InventoryFile:
    """The inventory of a capture, every machine pinned to an address that is never used."""
    hosts = {one.host for one in capture.exchanges}
    endpoints = {host: f"https://{host}.replay.invalid:5986/wsman" for host in hosts}
    return InventoryFile.model_validate(capture.inventory | {"endpoints": endpoints})


class _Recorded(ConnectionPool):
    """Connections that lead into the capture."""

    def __init__(self, capture: Capture) -> None:
        super().__init__()
        self._replies: dict[tuple[str, str], list[str]] = {}
        for one in capture.exchanges:
            self._replies.setdefault((one.host.lower(), _key(one.request)), []).append(one.reply)

    def fresh(self, way: Route) -> Connection:
        """A connection that never opens."""
        return _Connection(way, self._replies)


class _Connection(Connection):
    """Sends nothing."""

    def __init__(self, way: Route, replies: Mapping[tuple[str, str], list[str]]) -> None:
        super().__init__(way)
        self._replies = replies

    def exchange(self, envelope: str) -> bytes:
        """The recorded reply, as if it answered this very message. Raises what a fault raises."""
        waiting = self._replies.get((self.way.name.lower(), _key(envelope)))
        if not waiting:
            raise MalformedResponse(self.way.name, "the capture holds no reply to this question. Record it again.")
        reply = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        asked = _MESSAGE_ID.search(envelope)
        if asked:
            reply = _RELATES_TO.sub(rf"\g<1>uuid:{asked[1]}\g<2>", reply)
        self.transcript.append(reply.encode())
        with suppress(MalformedReply):  # HTML, half a document: what reads it will say so
            body_of(reply, may_be_empty=True)  # raises what a fault raises
        return reply.encode()


def _key(envelope: str) -> str:
    return "".join(_VOLATILE.sub("", envelope).split())
