"""A Slack that fails by a seed: a proxy over real sockets on loopback, in front of the practice Slack.

What goes wrong with a call is drawn from the seed, the kind of the call and its ordinal among those of its kind: the
third chat.update of seed 7 meets the same fault in every run, whatever came between. A kind is a method of the Web
API, "upload", "response_url", or "envelope" (what Socket Mode brings the app). The codes are those that Slack documents
for each method (docs.slack.dev/reference/methods); `internal_error` and `fatal_error` may come after a part of the work
was done, as Slack says of them, and so may an HTTP 5xx and a connection that breaks.

It fails until `heal()`. Nothing is asserted here: `calls` says what was asked, done and answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Self
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import WSMsgType, web

LARGEST = 64 * 2**20
HALF_DONE = ("internal_error", "fatal_error")
ANY = ("account_inactive", "invalid_auth", "missing_scope", "team_added_to_org", "service_unavailable", "request_timeout", "access_denied")  # fmt: skip
CHANNEL = ("channel_not_found", "not_in_channel", "is_archived", "restricted_action", "is_inactive")
MESSAGE = ("invalid_blocks", "msg_too_long", "msg_blocks_too_long", "invalid_blocks_format", "no_text", "block_mismatch")  # fmt: skip
CODES: dict[str, tuple[str, ...]] = {
    "chat.postMessage": (*CHANNEL, *MESSAGE, "rate_limited", "external_channel_migrating", "metadata_too_large"),
    "chat.update": (
        *CHANNEL, *MESSAGE, "message_not_found", "cant_update_message", "edit_window_closed", "update_failed",
        "streaming_state_conflict", "external_channel_migrating",
    ),
    "chat.delete": ("message_not_found", "cant_delete_message", "channel_not_found"),
    "chat.postEphemeral": (*CHANNEL, *MESSAGE, "user_not_in_channel"),
    "chat.getPermalink": ("channel_not_found", "message_not_found"),
    "conversations.open": ("user_not_found", "user_disabled", "cannot_dm_bot", "method_not_supported_for_channel_type"),
    "conversations.history": ("channel_not_found", "not_in_channel", "invalid_cursor", "invalid_ts_latest"),
    "conversations.replies": ("channel_not_found", "thread_not_found", "invalid_cursor"),
    "files.getUploadURLExternal": ("file_upload_size_restricted", "file_uploads_disabled", "storage_limit_reached"),
    "files.completeUploadExternal": (
        "file_not_found", "channel_not_found", "not_in_channel", "posting_to_channel_denied", "file_update_failed",
    ),
    "usergroups.users.list": ("no_such_subteam", "plan_upgrade_required"),
    "users.info": ("user_not_found", "user_not_visible"),
    "views.open": ("exchanged_trigger_id", "expired_trigger_id", "view_too_large"),
    "views.publish": ("invalid_arguments", "hash_conflict"),
    "apps.connections.open": ("forbidden_team", "token_revoked"),
    "response_url": ("invalid_payload", "channel_is_archived", "no_service", "action_prohibited"),
    "upload": (),
}  # fmt: skip
HOOK_STATUS = {"invalid_payload": 400, "channel_is_archived": 410, "no_service": 404, "action_prohibited": 403}
SHAPES = {
    "refused": 6, "half done": 3, "5xx": 5, "dropped": 4, "slow": 2, "hung": 2, "ratelimited": 3, "cut short": 1,
    "garbage": 1,
}  # fmt: skip
ENVELOPES = {"lost": 3, "cut": 3, "unheard": 3, "both": 2, "refresh": 1}
STANDING = ("chat.postMessage", "chat.update", "files.getUploadURLExternal", "files.completeUploadExternal", "conversations.history")  # fmt: skip
WORSE = 0.95
GARBAGE = b"<html><head><title>502 Bad Gateway</title></head><body>A proxy between speaks.</body></html>"


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one call.

    Attributes:
        shape: one of `SHAPES` or `ENVELOPES`.
        is_done: whether Slack does the work all the same, before the answer or instead of one.
        code: Slack's word, where it says one.
        status: of HTTP.
        seconds: how long the answer takes, or Retry-After.
    """

    shape: str
    is_done: bool = False
    code: str = ""
    status: int = 200
    seconds: float = 0.0

    def __str__(self) -> str:
        facts = [self.code, "" if self.status == 200 else f"HTTP {self.status}", "done" if self.is_done else "not done"]
        return f"{self.shape} ({', '.join(fact for fact in facts if fact)})"


@dataclass
class Seen:
    """One call, what became of it, and what its caller heard.

    Attributes:
        number: of all calls, from 1.
        about: ids and the first words, for people.
        was_done: Slack did it.
        heard: "ok", a code, "HTTP 503", or "nothing".
    """

    number: int
    kind: str
    ordinal: int
    about: str
    text: str
    fault: Fault | None
    at: float
    was_done: bool = False
    heard: str = "nothing yet"

    @property
    def misreports(self) -> bool:
        """Whether Slack did it and did not say so."""
        return self.was_done and self.heard != "ok"

    def __str__(self) -> str:
        fault = f" · {self.fault}" if self.fault else ""
        done = "done" if self.was_done else "not done"
        return f"{self.number:4} {self.kind} #{self.ordinal} {self.about} · {done}, heard {self.heard}{fault}"


@dataclass
class Draws:
    """What goes wrong, by seed.

    Attributes:
        share: of all calls that meet a fault.
        sockets: of all envelopes at which a socket is cut.
        patience: seconds that the client waits for an answer: "slow" is less, "hung" is more.
        for_good: a kind of call -> the code that it is refused with even when Slack is well.
    """

    seed: int
    share: float = 0.3
    sockets: float = 0.15
    patience: float = 1.0
    for_good: dict[str, str] = field(default_factory=dict)
    standing: dict[str, tuple[range, str]] = field(init=False)

    def __post_init__(self) -> None:
        """Some methods refuse for a while, one call after the other, as when the bot was put out of its channel."""
        drawn = random.Random(f"{self.seed} standing")
        self.standing = {}
        for kind in STANDING:
            first, calls, code = drawn.randint(1, 12), drawn.randint(3, 12), drawn.choice((*CODES[kind], *ANY))
            if drawn.random() < 0.25:
                self.standing[kind] = (range(first, first + calls), code)

    def fault(self, kind: str, ordinal: int, *, is_worse: bool = False) -> Fault | None:
        """What goes wrong with that call of its kind; None where nothing does."""
        if kind in self.standing and ordinal in self.standing[kind][0]:
            return Fault("refused", code=self.standing[kind][1])
        drawn = random.Random(f"{self.seed} {kind} {ordinal}")
        if drawn.random() >= (WORSE if is_worse else self.share):
            return None
        shape = _one_of(drawn, SHAPES)
        is_done, code = drawn.random() < 0.5, drawn.choice((*CODES.get(kind, ()), *ANY))
        half, late = drawn.choice(HALF_DONE), self.patience * drawn.uniform(0.2, 0.6)
        is_api = kind not in ("response_url", "upload")
        made = {
            "refused": Fault(shape, code=code, status=200 if is_api else HOOK_STATUS.get(code, 400)),
            "half done": Fault(shape, is_done, half, 200 if is_api else 500),
            "5xx": Fault(
                shape, is_done, drawn.choice(("", half, "service_unavailable")), drawn.choice((500, 502, 503, 504)),
                drawn.choice((0.0, 0.0, 1.0)),
            ),
            "ratelimited": Fault(shape, code="ratelimited", status=429, seconds=float(drawn.randint(1, 3))),
            "slow": Fault(shape, is_done=True, seconds=late),
            "hung": Fault(shape, is_done, seconds=late + self.patience),
        }  # fmt: skip
        return made.get(shape, Fault(shape, is_done))

    def envelope(self, ordinal: int) -> str:
        """What happens to the socket at that envelope; "" where nothing does.

        "lost": it is cut before the envelope, "cut": right after it, "unheard": before its acknowledgement,
        "both": all of them after it, "refresh": Slack asks the client to come back on another one.
        """
        drawn = random.Random(f"{self.seed} envelope {ordinal}")
        return _one_of(drawn, ENVELOPES) if drawn.random() < self.sockets else ""


class FaultySlack:
    """The proxy. Everything else that is asked of it is the practice Slack's: people, workspace, tokens.

    Attributes:
        calls: everything that was called, in order.
        behind: the address of the practice Slack itself.
        is_worse: hardly a call gets through from now on, whatever the share of faults is.
        healed: when it began to be well; None while it fails.
    """

    def __init__(self, slack: Any, draws: Draws) -> None:
        """Take the practice Slack, which has to listen already."""
        self.slack, self.draws = slack, draws
        self.calls: list[Seen] = []
        self.healed: float | None = None
        self.is_worse = False
        self.behind = slack.core.address
        self._ordinals: Counter[str] = Counter()
        self._links: dict[int, web.Request] = {}
        self._leaves = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.slack, name)

    async def __aenter__(self) -> Self:
        """Listen. Every address that Slack hands out from now on leads here."""
        application = web.Application(client_max_size=LARGEST)
        application.router.add_get("/link", self._link)
        application.router.add_route("*", "/{path:.*}", self._call)
        application.on_response_prepare.append(self._date)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.slack.core.address = f"http://{host}:{port}"
        self._session = await self._stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        self._leaves.set()
        self.cut()
        await self._stack.aclose()
        self.slack.core.address = self.behind

    def heal(self) -> None:
        """From now on every call is done and answered; those that hang are let go."""
        self.healed = self.healed or time.monotonic()
        self._leaves.set()

    def cut(self) -> None:
        """Both sockets die."""
        for link in tuple(self._links.values()):
            _abort(link)

    def about(self, ticket: str, *ids: str) -> list[str]:
        """The calls that name a ticket, or a message by its ts; for people who look why."""
        named = re.compile("|".join([rf"\b{ticket}\b", *(re.escape(each) for each in ids)]))
        return [str(one) for one in self.calls if named.search(one.text) and "open tickets: " not in one.text]

    # --- the Web API, uploads and response URLs ------------------------------------------------------------------

    async def _call(self, request: web.Request) -> web.StreamResponse:
        body, kind = await request.read(), _kind(request.path)
        self._ordinals[kind] += 1
        ordinal = self._ordinals[kind]
        fault = None if self.healed is not None else self.draws.fault(kind, ordinal, is_worse=self.is_worse)
        if kind in self.draws.for_good:
            fault = Fault("refused", code=self.draws.for_good[kind])
        about, text = _about(body, dict(request.query)) if kind != "upload" else ("", "")
        seen = Seen(len(self.calls) + 1, kind, ordinal, about, text, fault, time.time())
        self.calls.append(seen)
        if fault is None:
            return await self._passed(request, body, seen)
        return await self._failed(request, body, seen, fault)

    async def _passed(self, request: web.Request, body: bytes, seen: Seen) -> web.Response:
        status, headers, answer = await self._behind_it(request, body, seen)
        seen.heard = _heard(status, answer, seen.kind)
        return web.Response(status=status, headers=headers, body=answer)

    async def _behind_it(self, request: web.Request, body: bytes, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        """Have it done."""
        kept = {name: request.headers[name] for name in ("Content-Type", "Authorization") if name in request.headers}
        async with self._session.request(request.method, self.behind + request.raw_path, data=body, headers=kept) as it:
            answer = await it.read()
            told = ("Content-Type", "Retry-After", "X-OAuth-Scopes")
            seen.was_done = _heard(it.status, answer, seen.kind) == "ok"
            return it.status, {name: it.headers[name] for name in told if name in it.headers}, answer

    async def _failed(self, request: web.Request, body: bytes, seen: Seen, fault: Fault) -> web.StreamResponse:
        answered: tuple[int, dict[str, str], bytes] = (
            200,
            {"Content-Type": "application/json"},
            b'{"ok":true,"ts":"1"}',
        )
        if fault.shape == "slow":
            await self._pause(fault.seconds)
        if fault.is_done:
            answered = await self._behind_it(request, body, seen)
        if fault.shape == "slow":
            status, headers, answer = answered
            seen.heard = _heard(status, answer, seen.kind)
            return web.Response(status=status, headers=headers, body=answer)
        if fault.shape in ("dropped", "hung"):
            if fault.shape == "hung":
                await self._pause(fault.seconds)
            seen.heard = "nothing"
            return _abort(request)
        if fault.shape == "garbage":
            seen.heard = "garbage"
            return web.Response(body=GARBAGE, content_type="text/html")
        if fault.shape == "cut short":
            seen.heard = "half of an answer"
            return await _half(request, answered[2])
        seen.heard = fault.code or f"HTTP {fault.status}"
        headers = {"Retry-After": f"{fault.seconds:.0f}"} if fault.seconds else {}
        if fault.code and seen.kind not in ("upload", "response_url"):
            return web.json_response({"ok": False, "error": fault.code}, status=fault.status, headers=headers)
        status = fault.status if fault.status != 200 else 403
        return web.Response(text=fault.code or "upstream error", status=status, headers=headers)

    async def _date(self, _: web.Request, response: web.StreamResponse) -> None:
        """What time it is at Slack, by which an app tells what comes late."""
        response.headers["Date"] = formatdate(self.slack.core.clock.now(), usegmt=True)

    async def _pause(self, seconds: float) -> None:
        """So long, or until all is well."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._leaves.wait(), seconds)

    # --- Socket Mode ---------------------------------------------------------------------------------------------

    async def _link(self, request: web.Request) -> web.StreamResponse:
        here = web.WebSocketResponse()
        try:
            async with self._session.ws_connect(self.behind + request.raw_path, max_msg_size=0) as there:
                await here.prepare(request)
                self._links[id(request)] = request
                doomed: set[str] = set()
                pumps = [
                    asyncio.create_task(self._to_the_app(request, there, here, doomed)),
                    asyncio.create_task(self._to_slack(request, here, there, doomed)),
                ]
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
                await here.close()
        except aiohttp.WSServerHandshakeError as refused:
            return web.Response(status=refused.status)
        except (ConnectionError, aiohttp.ClientError):
            _abort(request)
        finally:
            self._links.pop(id(request), None)
        return here

    async def _to_the_app(
        self, request: web.Request, there: Any, here: web.WebSocketResponse, doomed: set[str]
    ) -> None:
        async for message in there:
            if message.type is not WSMsgType.TEXT:
                continue
            told = json.loads(message.data)
            envelope = told.get("envelope_id", "")
            trouble = self._envelope(told) if envelope else ""
            if trouble == "lost":
                _abort(request)
                return
            if trouble == "unheard":
                doomed.add(envelope)
            await here.send_str(message.data)
            if trouble == "cut":
                _abort(request)
            elif trouble == "both":
                self.cut()
            elif trouble == "refresh":
                await here.send_json({"type": "disconnect", "reason": "refresh_requested", "debug_info": {}})

    async def _to_slack(self, request: web.Request, here: web.WebSocketResponse, there: Any, doomed: set[str]) -> None:
        async for message in here:
            if message.type is not WSMsgType.TEXT:
                continue
            if doomed and json.loads(message.data).get("envelope_id") in doomed:
                _abort(request)
                return
            await there.send_str(message.data)

    def _envelope(self, told: dict[str, Any]) -> str:
        """What happens at this one."""
        self._ordinals["envelope"] += 1
        ordinal = self._ordinals["envelope"]
        trouble = "" if self.healed is not None else self.draws.envelope(ordinal)
        if trouble:
            text = json.dumps(told.get("payload", {}))
            fault = Fault(f"socket {trouble}")
            seen = Seen(len(self.calls) + 1, "envelope", ordinal, told["type"], text, fault, time.time())
            seen.heard = trouble
            self.calls.append(seen)
        return trouble


def _one_of(drawn: random.Random, weights: dict[str, int]) -> str:
    return drawn.choices(tuple(weights), tuple(weights.values()))[0]


def _kind(path: str) -> str:
    if path.startswith("/api/"):
        return path.removeprefix("/api/")
    return "upload" if path.startswith("/upload/") else "response_url"


def _about(body: bytes, query: dict[str, str]) -> tuple[str, str]:
    """Ids and the first words of a call, and all of it as text."""
    text = body.decode(errors="replace")
    try:
        told = json.loads(text or "{}")
    except ValueError:
        told = dict(parse_qsl(text))
    keys = ("channel", "channel_id", "user", "users", "usergroup", "ts", "thread_ts", "filename")
    told = {**query, **(told if isinstance(told, dict) else {})}
    words = [f"{key} {told[key]}" for key in keys if told.get(key)]
    says = str(told.get("text") or "").replace("\n", " ")[:70]
    return ", ".join([*words, *([repr(says)] if says else [])]), json.dumps(told, ensure_ascii=False)


def _heard(status: int, answer: bytes, kind: str) -> str:
    """ "ok", Slack's code, or the status."""
    if status != 200:
        return f"HTTP {status}"
    if kind == "upload":
        return "ok"
    try:
        told = json.loads(answer)
    except ValueError:
        return "garbage"
    return "ok" if told.get("ok") else str(told.get("error"))


def _abort(request: web.Request) -> web.Response:
    """The connection dies."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _half(request: web.Request, answer: bytes) -> web.StreamResponse:
    """Announce all of an answer, send half of it, and hang up."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(answer))})
    await response.prepare(request)
    await response.write(answer[: len(answer) // 2])
    _abort(request)
    return response
