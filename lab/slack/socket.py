"""Socket Mode: envelopes to the app, acknowledgements back.

Documented (docs.slack.dev/apis/events-api/using-socket-mode): up to 10 connections; each payload goes to any one of
them; `hello` first; `disconnect` with reason warning, refresh_requested, link_disabled. The client must acknowledge a
command or an interaction within 3 seconds. Events are sent again up to three times: at once, after 1 and after 5
minutes (the schedule of the Events API; the one of Socket Mode is not published). What Slack does when a socket dies
with an unacknowledged command is not published either: here it goes to another socket while its 3 seconds last.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from lab.slack.context import Core
from lab.slack.model import APP, JSON

ACK_SECONDS = 3.0
MOST_CONNECTIONS = 10
EVENT_RETRIES = (0.0, 60.0, 300.0)
CONNECTION_SECONDS = 18_060
GRACE_SECONDS = 10.0
KEPT_ENVELOPES = 5_000


@dataclass(eq=False)
class Connection:
    """One open socket.

    Attributes:
        waiting: envelope id -> the acknowledgement, or None when the socket was lost.
        leaving: asked to leave; gets no new envelopes.
    """

    socket: web.WebSocketResponse
    request: web.Request
    waiting: dict[str, asyncio.Future[JSON | None]] = field(default_factory=dict)
    leaving: bool = False
    delivered: int = 0


@dataclass(frozen=True)
class Acknowledged:
    """How an envelope fared.

    Attributes:
        error: "" when acknowledged, else "operation_timeout" or "dispatch_failed" as Slack names them.
        payload: what the app put into the acknowledgement.
    """

    error: str = ""
    payload: JSON = field(default_factory=dict)


class SocketMode:
    """All connections of the one app.

    Attributes:
        connections: those open now.
        sent: the latest envelopes in order, repeated ones too.
    """

    def __init__(self, core: Core) -> None:
        self.core = core
        self.connections: list[Connection] = []
        self.sent: deque[JSON] = deque(maxlen=KEPT_ENVELOPES)
        self._sent_one = asyncio.Event()
        self._turn = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends."""
        if not self.core.tokens.revoke(request.query.get("ticket", "")):
            return web.Response(status=401, text="this ticket is used, too old, or was never issued")
        socket = web.WebSocketResponse(heartbeat=None)
        await socket.prepare(request)
        if len(self.connections) >= MOST_CONNECTIONS:
            await socket.send_json({"type": "disconnect", "reason": "too_many_websockets", "debug_info": {}})
            await socket.close()
            return socket
        connection = Connection(socket, request)
        self.connections.append(connection)
        self._count()
        try:
            await socket.send_json(self._hello())
            await self._listen(connection)
        except ConnectionError:
            return socket  # hung up while it was greeted, as a bot does that is being stopped
        finally:
            self._lost(connection)
        return socket

    async def deliver(self, kind: str, payload: JSON, *, accepts_response: bool) -> Acknowledged:
        """A command or an interaction: acknowledged within 3 seconds or failed.

        Args:
            kind: "slash_commands" or "interactive".
            payload: as Slack's payload reference says.
            accepts_response: whether the acknowledgement may carry an answer.
        """
        envelope = {"type": kind, "payload": payload, "accepts_response_payload": accepts_response}
        sending = asyncio.ensure_future(self._until_acknowledged(envelope))
        limit = asyncio.ensure_future(self.core.clock.sleep(ACK_SECONDS))
        try:
            await asyncio.wait({sending, limit}, return_when=asyncio.FIRST_COMPLETED)
            return sending.result() if sending.done() else Acknowledged("operation_timeout")
        finally:
            sending.cancel()
            limit.cancel()

    def tell(self, event: JSON) -> None:
        """An event, sent in the background and again while nobody acknowledges."""
        task = asyncio.ensure_future(self._persist(event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def until_sent(self, envelopes: int) -> None:
        """Wait until that many envelopes were sent since the start."""
        while len(self.sent) < envelopes:
            self._sent_one.clear()
            await self._sent_one.wait()

    async def settled(self) -> None:
        """Wait until every event is acknowledged or given up."""
        await asyncio.gather(*self._tasks)

    def drop(self) -> None:
        """Trouble: every connection is reset at once."""
        for connection in list(self.connections):
            if connection.request.transport is not None:
                connection.request.transport.abort()
            self._lost(connection)

    def refuse(self, seconds: float) -> None:
        """Trouble: nobody gets a new connection for that long."""
        self.core.refuse_sockets_until = self.core.clock.now() + seconds

    async def refresh(self, reason: str = "refresh_requested") -> None:
        """Ask every client to come back on a new connection; the old one is closed ten seconds later at the latest."""
        for connection in list(self.connections):
            connection.leaving = True
            with contextlib.suppress(ConnectionError):
                await connection.socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {}})
            task = asyncio.ensure_future(self._close_later(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End all of it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(self.connections):
            await connection.socket.close()

    async def _close_later(self, connection: Connection) -> None:
        await self.core.clock.sleep(GRACE_SECONDS)
        await connection.socket.close()

    async def _listen(self, connection: Connection) -> None:
        async for message in connection.socket:
            if message.type is not WSMsgType.TEXT:
                continue
            try:
                answer = json.loads(message.data)
            except ValueError:
                continue  # clients send no such thing; Slack does not hang up on it either
            waiting = connection.waiting.get(answer.get("envelope_id", "")) if isinstance(answer, dict) else None
            if waiting is not None and not waiting.done():
                waiting.set_result(_payload(answer.get("payload")))

    def _lost(self, connection: Connection) -> None:
        if connection not in self.connections:
            return
        self.connections.remove(connection)
        for waiting in connection.waiting.values():
            if not waiting.done():
                waiting.set_result(None)
        self._count()

    def _count(self) -> None:
        self.core.workspace.connections = len(self.connections)
        self.core.workspace.stream.emit("connections")

    def _hello(self) -> JSON:
        return {
            "type": "hello",
            "num_connections": len(self.connections),
            "debug_info": {"host": "practice", "approximate_connection_time": CONNECTION_SECONDS},
            "connection_info": {"app_id": APP},
        }

    def _next(self, after: Connection | None) -> Connection | None:
        """Any one of the connections; after a failure preferably another one."""
        ready = [connection for connection in self.connections if not connection.leaving]
        others = [connection for connection in ready if connection is not after] or ready
        if not others:
            return None
        self._turn += 1
        return others[self._turn % len(others)]

    async def _until_acknowledged(self, envelope: JSON) -> Acknowledged:
        attempt, last = 0, None
        while True:
            connection = self._next(last)
            if connection is None:
                return Acknowledged("dispatch_failed")
            retried = {"retry_attempt": attempt, "retry_reason": "connection_failed"} if attempt else {}
            answer = await self._send(connection, {**envelope, **retried})
            if answer is not None:
                return Acknowledged(payload=answer)
            attempt, last = attempt + 1, connection
            # A connection that was just closed is still listed: whoever takes it out needs a turn.
            await asyncio.sleep(0)

    async def _persist(self, event: JSON) -> None:
        reason, last = "", None
        for attempt, pause in enumerate((0.0, *EVENT_RETRIES)):
            if pause:
                await self.core.clock.sleep(pause)
            connection = self._next(last)
            if connection is None:
                reason = "connection_failed"
                continue
            envelope = {"type": "events_api", "payload": event, "accepts_response_payload": False}
            sending = self._send(connection, {**envelope, "retry_attempt": attempt, "retry_reason": reason})
            acknowledged, reason = await self._within_limit(sending)
            if acknowledged:
                return
            last = connection

    async def _within_limit(self, sending: Any) -> tuple[bool, str]:
        task = asyncio.ensure_future(sending)
        limit = asyncio.ensure_future(self.core.clock.sleep(ACK_SECONDS))
        try:
            await asyncio.wait({task, limit}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                return False, "timeout"
            return task.result() is not None, "connection_failed"
        finally:
            task.cancel()
            limit.cancel()

    async def _send(self, connection: Connection, envelope: JSON) -> JSON | None:
        identity = str(uuid.uuid4())
        waiting: asyncio.Future[JSON | None] = asyncio.get_running_loop().create_future()
        connection.waiting[identity] = waiting
        self.sent.append({"envelope_id": identity, **envelope})
        self._sent_one.set()
        try:
            await connection.socket.send_json({"envelope_id": identity, **envelope})
            connection.delivered += 1
            return await waiting
        except ConnectionError:
            return None
        finally:
            connection.waiting.pop(identity, None)


def _payload(payload: object) -> JSON:
    # Bolt acknowledges with a text alone by sending {"text": …}; other clients send the bare string.
    if isinstance(payload, str):
        return {"text": payload} if payload else {}
    return payload if isinstance(payload, dict) else {}
