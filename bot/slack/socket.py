"""Socket Mode: two connections, watched. One of them answers while the other comes back.

Slack hands each payload to any one open connection. The SDK reconnects by itself, and has been seen to give up in
silence (python-slack-sdk#1922, hermes-agent-mt#86): whatever is not connected for too long is built anew.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import ClientSession, WSMessage
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.adapter.socket_mode.async_internals import send_async_response
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from bot.errors import HvopsError
from bot.redaction import clip
from bot.slack.outbound.api_errors import Retry, classify_error, make_client
from bot.slack.outbound.bounded_client import connector, masked_arguments
from bot.slack.outbound.remedies import remedy

log = structlog.get_logger()

CONNECTIONS = 2
ENVELOPE = "envelope_id"  # where a listener finds it in bolt's context
ACKNOWLEDGED = "acknowledged"  # likewise: an event, set once Slack has been told
_PING = 3.0  # seconds; measured: back in 5 s from a silent peer, with 10 it is 19
_OK = 200
_KINDS, _LONGEST_KIND = 64, 80


class Rarely:
    """What is worth one line of the log and not a thousand: the first of a kind, then once an hour how many came since.

    Kinds come from outside, so only so many are told apart; all others count as one.
    """

    def __init__(self, every: float = 3_600.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the seconds between two lines about one kind."""
        self._every, self._clock = every, clock
        self._said: dict[str, float] = {}
        self._since: dict[str, int] = {}

    def since(self, kind: str) -> int | None:
        """How many of this kind came unsaid since the last line about it; None where this one is not to be said either."""
        kind = clip(kind, _LONGEST_KIND)
        if kind not in self._said and len(self._said) >= _KINDS:
            kind = "others"
        now = self._clock()
        if kind in self._said and now - self._said[kind] < self._every:
            self._since[kind] = self._since.get(kind, 0) + 1
            return None
        self._said[kind] = now
        return self._since.pop(kind, 0)


@dataclass(frozen=True, slots=True)
class Health:
    """How one connection is. `heard`: seconds since anything came over it, None where nothing ever did."""

    connected: bool
    heard: float | None


class Connection(AsyncSocketModeHandler):
    """One Socket Mode connection: passes envelopes to the app with their id, and remembers when it last heard."""

    def __init__(self, app: AsyncApp, app_token: str, base_url: str, clock: Callable[[], float]) -> None:
        super().__init__(app, app_token, web_client=make_client(app_token, base_url), ping_interval=_PING)
        self.clock = clock
        self.heard: float | None = None
        self.lost: float | None = clock()  # since when it is not connected; None while it is
        self.may = clock()  # from when on Slack lets it connect
        self.client.aiohttp_client_session.detach()  # the SDK's own, which would look names up on everybody's threads
        self.client.aiohttp_client_session = ClientSession(connector=connector())
        self.client.issue_new_wss_url = self._address  # type: ignore[method-assign] # the SDK waits too, and tells nobody
        self.client.on_message_listeners.append(self._note)
        self.client.message_listeners.append(self._acknowledge_without_payload)
        self._unhandled = Rarely()
        self.client.logger = _quiet()  # it logs every retry with a traceback; the watchdog says it once

    async def handle(self, client: AsyncBaseSocketModeClient, req: SocketModeRequest) -> None:
        """Give one envelope to the app, and acknowledge it whatever comes of that: Slack sends again what it does not hear of.

        An app that leaves too much unacknowledged hears nothing any more [doc: docs.slack.dev/apis/events-api, failure limits].
        """
        began = time.time()
        acknowledged = asyncio.Event()
        try:
            await send_async_response(client, req, await self._dispatch(req, acknowledged), began)
        finally:
            acknowledged.set()

    async def _dispatch(self, req: SocketModeRequest, acknowledged: asyncio.Event) -> BoltResponse:
        """What the app answers; an empty acknowledgement where it has no answer to such an envelope, or breaks over it."""
        why = ""
        try:
            context = {ENVELOPE: req.envelope_id, ACKNOWLEDGED: acknowledged}
            request = AsyncBoltRequest(mode="socket_mode", body=req.payload, context=context)
            response = await self.app.async_dispatch(request)
            if response.status == _OK:
                return _masked(response)
            why = f"bolt answers {response.status}"
        except Exception as error:  # noqa: BLE001 - whatever is in it, the next envelope must be read
            why = repr(error)
        self._log_unhandled(f"{req.type}: {kind_of(req.payload)}", why)
        return BoltResponse(status=_OK)

    async def _acknowledge_without_payload(
        self, client: AsyncBaseSocketModeClient, message: dict[str, Any], _: str | None
    ) -> None:
        """Acknowledge an envelope that the SDK makes no request of: without a payload, or with one that is no object."""
        envelope, payload = message.get("envelope_id"), message.get("payload")
        if isinstance(envelope, str) and not ("type" in message and isinstance(payload, dict | str)):
            self._log_unhandled(str(message.get("type")), f"its payload is {type(payload).__name__}")
            await client.send_socket_mode_response(SocketModeResponse(envelope_id=envelope))

    def _log_unhandled(self, kind: str, why: str) -> None:
        more = self._unhandled.since(kind)
        if more is not None:
            log.warning(
                "slack sent what hvops does not know; acknowledged",
                kind=clip(kind, 200),
                why=clip(why, 200),
                unsaid=more,
            )

    async def open(self) -> None:
        """Connect, trying until it works."""
        await self.connect_async()  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        """Close the connection and its session."""
        await self.close_async()  # type: ignore[no-untyped-call]

    async def connected(self) -> bool:
        """Whether it is, and since when it is not."""
        up = bool(await self.client.is_connected())
        self.lost = None if up else (self.lost if self.lost is not None else self.clock())
        return up

    async def _address(self) -> str:
        """Where to connect. A rate limit is waited for, up to a minute: who came anew instead would only ask more."""
        while True:
            try:
                return str((await self.client.web_client.apps_connections_open(app_token=self.client.app_token))["url"])
            except SlackApiError as error:
                verdict = classify_error(error, idempotent=True)
                if not isinstance(verdict, Retry) or verdict.after is None:
                    self._log_refused(verdict)
                    raise
            log.warning("slack lets no connection open yet", seconds=verdict.after)
            self.may = self.clock() + verdict.after
            await asyncio.sleep(verdict.after)

    def _log_refused(self, verdict: HvopsError | Retry) -> None:
        """Why no connection opens, and what to do about it: the SDK tries again for ever, and says it to nobody."""
        why = verdict.why if isinstance(verdict, Retry) else str(verdict)
        more = self._unhandled.since(f"refused {why}")
        if more is not None:
            do = "" if isinstance(verdict, Retry) else remedy(verdict, "app")
            log.error("slack lets no connection open", why=why, do=do, unsaid=more)

    async def _note(self, _: WSMessage) -> None:
        self.heard = self.clock()


class SocketConnections:
    """Both connections, and the watchdog over them."""

    def __init__(
        self,
        app: AsyncApp,
        app_token: str,
        base_url: str,
        *,
        connections: int = CONNECTIONS,
        look_every: float = 2.0,
        patience: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the app.

        Args:
            app: the app with its listeners.
            app_token: "xapp-…".
            base_url: of the Web API.
            connections: how many; Slack takes ten at most.
            look_every: seconds between two looks of the watchdog.
            patience: seconds without a connection before it is built anew.
            clock: monotonic seconds.
        """
        self._app, self._token, self._base_url = app, app_token, base_url
        self._many = connections
        self._look_every = look_every
        self._patience = patience
        self._clock = clock
        self._open: list[Connection] = []
        self._connecting: dict[Connection, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Stay connected until `stop` is set, then close everything."""
        self._open = [self._start() for _ in range(self._many)]
        try:
            while not stop.is_set():
                await self._look()
                try:
                    await asyncio.wait_for(stop.wait(), self._look_every)
                except TimeoutError:
                    continue
        finally:
            await self._close()

    async def health(self) -> tuple[Health, ...]:
        """How each connection is."""
        now = self._clock()
        return tuple(
            [Health(await one.connected(), None if one.heard is None else now - one.heard) for one in self._open]
        )

    async def sentence(self) -> str:
        """For people: "2 of 2 connections open"."""
        told = await self.health()
        return f"{sum(one.connected for one in told)} of {self._many} connections open"

    def _start(self) -> Connection:
        made = Connection(self._app, self._token, self._base_url, self._clock)
        self._connecting[made] = asyncio.create_task(made.open(), name="slack socket")
        return made

    async def _look(self) -> None:
        for at, one in enumerate(self._open):
            was_lost = one.lost is not None
            if await one.connected():
                if was_lost:
                    log.info("slack connected", connection=at)
                continue
            if not was_lost:
                log.warning("slack connection lost", connection=at)
            if one.lost is not None and self._clock() - max(one.lost, one.may) > self._patience:
                log.warning("slack connection built anew", connection=at)
                await self._shut(one)
                self._open[at] = self._start()

    async def _close(self) -> None:
        await asyncio.gather(*(self._shut(one) for one in self._open))
        self._open = []

    async def _shut(self, one: Connection) -> None:
        """Close a connection for good: one that still waits to open would take the place of its successor."""
        opening = self._connecting.pop(one)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await _shut(one)


def kind_of(payload: dict[str, Any]) -> str:
    """What kind of payload it says that it is: "block_actions", "event_callback reaction_added", "app_rate_limited"."""
    event = payload.get("event")
    told = (payload.get("type"), event.get("type") if isinstance(event, dict) else None)
    return " ".join(one for one in told if isinstance(one, str)) or "no type"


def _quiet() -> logging.Logger:
    logger = logging.getLogger("bot.slack.socket.sdk")
    logger.setLevel(logging.CRITICAL)
    return logger


async def _shut(connection: Connection) -> None:
    """Close a connection and wait for what ran inside it: the SDK only cancels its tasks."""
    client = connection.client
    tasks = [client.message_processor, client.current_session_monitor, client.message_receiver]
    try:
        await connection.close()
    except Exception as error:  # noqa: BLE001 - it is being thrown away, whatever state it is in
        log.debug("closing a slack connection", why=repr(error))
    await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)


def _masked(response: BoltResponse) -> BoltResponse:
    """An acknowledgement without secrets: a window, names for a menu, or what is wrong with what was typed."""
    is_json = response.body and response.first_headers().get("content-type", "").startswith("application/json")
    told = masked_arguments(json.loads(response.body) if is_json else response.body)
    response.body = json.dumps(told) if is_json else told
    return response
