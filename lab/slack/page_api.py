"""The page's API: the state, the stream of events, the acts and the troubles. Shapes: the package's docstring."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from aiohttp import web

from lab.slack.blockkit_walk import Placed, placed
from lab.slack.event_stream import Event
from lab.slack.model import BOT_USER, JSON, Member, Message, View
from lab.slack.page_state import event_json, state_json
from lab.slack.socket import SocketMode
from lab.slack.user_actions import Done, UserActions
from lab.slack.workspace import Workspace

KEEP_ALIVE_SECONDS = 15.0
LETS_GO_WITHIN = 5.0  # seconds; a page that has heard of the end and has not gone by then is cut off
IS_IT_GONE_EVERY = 0.02  # seconds
FAULTS = ("drop", "500", "ratelimited")


class Practice:
    """Request handlers under /practice."""

    def __init__(self, acts: UserActions, socket: SocketMode) -> None:
        self._acts = acts
        self._socket = socket
        self._pages: set[asyncio.Task[Any]] = set()

    @property
    def _workspace(self) -> Workspace:
        return self._acts.core.workspace

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Put the routes in."""
        router.add_get("/practice/state", self.state)
        router.add_get("/practice/events", self.events)
        router.add_get("/practice/file", self.file)
        router.add_post("/practice/act", self.act)
        router.add_post("/practice/trouble", self.trouble)

    async def state(self, request: web.Request) -> web.Response:
        """Everything that `as` sees."""
        return web.json_response(state_json(self._workspace, self._as(request.query.get("as"))))

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events until the page goes."""
        me = self._as(request.query.get("as"))
        after = _number(request.headers.get("Last-Event-ID") or request.query.get("after"))
        response = web.StreamResponse(headers={"Cache-Control": "no-store"})
        response.content_type = "text/event-stream"
        await response.prepare(request)
        page = asyncio.current_task()
        assert page is not None
        self._pages.add(page)
        try:
            async for event in self._since(after):
                await response.write(self._line(event, me))
        except ConnectionError:
            pass  # the page went; there is nobody to tell
        finally:
            self._pages.discard(page)
        return response

    async def farewell(self) -> None:
        """Tell every page that the server ends, and wait until they have let go: then none asks a port that is closed."""
        if not self._pages:
            return
        self._workspace.stream.emit("over")
        _, left = await asyncio.wait(self._pages, timeout=LETS_GO_WITHIN)
        for page in left:
            page.cancel()

    async def act(self, request: web.Request) -> web.Response:
        """A person does something."""
        body = await _body(request)
        me = self._as(body.get("as"))
        acts = {
            "types": self._types,
            "clicks": self._clicks,
            "chooses": self._chooses,
            "suggests": self._suggests,
            "submits": self._submits,
            "closes": self._closes,
            "opens_home": self._opens_home,
            "opens_dm": self._opens_dm,
            "marks": self._marks,
        }
        name = body.get("act")
        if name not in acts:
            raise web.HTTPBadRequest(text=f"no such act: {name!r}; there are: {', '.join(acts)}")
        try:
            return web.json_response(await acts[name](me, body))
        except (LookupError, ValueError) as error:
            return web.json_response({"ok": False, "error": str(error.args[0])})

    async def trouble(self, request: web.Request) -> web.Response:
        """Make trouble."""
        body = await _body(request)
        match body.get("trouble"):
            case "drop_sockets":
                self._socket.drop()
            case "refuse_sockets":
                self._socket.refuse(float(body.get("seconds", 20)))
            case "refresh_sockets":
                await self._socket.refresh()
            case "fault" if body.get("fault") in FAULTS and isinstance(body.get("method"), str):
                self._acts.core.faults.add(body["method"], body["fault"], int(body.get("times", 1)))
            case _:
                raise web.HTTPBadRequest(text="no such trouble")
        return web.json_response({"ok": True})

    async def file(self, request: web.Request) -> web.Response:
        """A file's bytes, for members who see it."""
        me = self._as(request.query.get("as"))
        file = self._workspace.files.get(request.query.get("id", ""))
        seen = file is not None and any(
            me.id in self._workspace.channels[channel].members for channel in file.shared_in
        )
        if file is None or not seen:
            raise web.HTTPNotFound(text="no such file")
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}",
            "X-Content-Type-Options": "nosniff",
        }
        return web.Response(body=file.data, content_type=file.mimetype, headers=headers)

    async def _types(self, me: Member, body: JSON) -> JSON:
        channel, text = str(body.get("channel", "")), str(body.get("text", ""))
        return _done(await self._acts.types(me, channel, text, body.get("thread_ts") or None))

    async def _clicks(self, me: Member, body: JSON) -> JSON:
        where = self._where(me, body)
        return _done(await self._acts.clicks(me, where, _place(where, body), body.get("value")))

    async def _chooses(self, me: Member, body: JSON) -> JSON:
        where = self._where(me, body)
        self._acts.chooses(where, _place(where, body), body.get("value"))
        return {"ok": True}

    async def _suggests(self, me: Member, body: JSON) -> JSON:
        view = self._modal(me, body)
        options = await self._acts.suggests(me, view, _place(view, body), str(body.get("value", "")))
        return {"ok": True, "options": options}

    async def _submits(self, me: Member, body: JSON) -> JSON:
        view = self._modal(me, body)
        for block_id, actions in (body.get("values") or {}).items():
            for action_id, value in actions.items():
                self._acts.chooses(view, _place(view, {"block_id": block_id, "action_id": action_id}), value)
        return _done(await self._acts.submits(me, view))

    async def _closes(self, me: Member, body: JSON) -> JSON:
        return _done(await self._acts.closes(me, self._modal(me, body), everything=bool(body.get("all"))))

    async def _opens_home(self, me: Member, body: JSON) -> JSON:
        del body
        return _done(self._acts.opens_home(me))

    async def _opens_dm(self, me: Member, body: JSON) -> JSON:
        del body
        return {"ok": True, "channel": self._workspace.direct(me.id, BOT_USER).id}

    async def _marks(self, me: Member, body: JSON) -> JSON:
        self._workspace.mark(me.id, str(body.get("channel", "")), str(body.get("ts", "")))
        return {"ok": True}

    def _as(self, name: Any) -> Member:
        for member in self._workspace.people():
            if member.name == name:
                return member
        raise web.HTTPBadRequest(text=f"nobody is called {name!r}")

    def _where(self, me: Member, body: JSON) -> Message | View:
        home = self._workspace.homes.get(me.id)
        if home and body.get("view") == home.id:
            return home
        if body.get("view"):
            return self._modal(me, body)
        for message in self._workspace.visible(me.id, str(body.get("channel", ""))):
            if message.ts == body.get("message"):
                return message
        raise LookupError("This message is no longer there.")

    def _modal(self, me: Member, body: JSON) -> View:
        for view in self._workspace.modals.get(me.id, []):
            if view.id == body.get("view"):
                return view
        raise LookupError("This window is no longer open.")

    async def _since(self, after: int | None) -> AsyncIterator[Event | None]:
        """Kept events after that version, then every new one; None when it is time for a sign of life."""
        stream = self._workspace.stream
        with stream.follow() as queue:
            missed = [] if after is None else stream.since(after)
            yield None
            for event in [Event(stream.version, "reset")] if missed is None else missed:
                yield event
            over = False
            while True:
                try:
                    async with asyncio.timeout(IS_IT_GONE_EVERY if over else KEEP_ALIVE_SECONDS):
                        event = await queue.get()
                except TimeoutError:
                    yield None
                else:
                    over = over or event.kind == "over"
                    yield event

    def _line(self, event: Event | None, me: Member) -> bytes:
        if event is None or not event.concerns(me.id):
            return b": \n\n"
        return f"id: {event.version}\ndata: {json.dumps(event_json(self._workspace, event, me))}\n\n".encode()


async def _body(request: web.Request) -> JSON:
    # A page from elsewhere can send forms and plain text without asking; application/json it cannot.
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="Content-Type has to be application/json")
    try:
        body = await request.json()
    except ValueError:
        raise web.HTTPBadRequest(text="this is no JSON") from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="this is no JSON object")
    return body


def _place(where: Message | View, body: JSON) -> Placed:
    for place in placed(where.blocks):
        if place.action_id == body.get("action_id") and body.get("block_id") in (None, place.block_id):
            return place
    raise LookupError("This element is no longer there.")


def _done(done: Done) -> JSON:
    if done.ok:
        return {"ok": True, **({"ts": done.ts} if done.ts else {})}
    return {"ok": False, **({"errors": done.errors} if done.errors else {"error": done.error})}


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
