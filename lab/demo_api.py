"""The page's API of the demo session, beside that of the practice Slack and behind the same guard.

GET  /practice/world                          -> {"story": {"name", "title", "says", "prefilled"}, "stories": [{"name",
        "title", "says"}], "estate": "prod: 6 nodes, …", "facts": [{"about", "says"}], "actions": [{"key", "label"}],
        "troubles": [{"key", "label", "says", "active": bool or null for what passes by itself}], "bot": {"state", "says"},
        "tour": {"answered": bool, "skipped": bool, "steps": [{"key", "title", "says", "line", "shell", "press": [{"place",
        "label"}], "done"}]}}
POST /practice/world/act      {"action": key}
POST /practice/world/trouble  {"trouble": key}
POST /practice/world/story    {"story": name}            answers when the story stands and the bot is being started
POST /practice/world/tour     {"tour": "next" | "skip" | "resume"}
     -> {"ok": true} or {"ok": false, "error": a sentence}
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from lab.demo_session import DemoSession


class DemoApi:
    """Request handlers under /practice/world."""

    def __init__(self, session: DemoSession) -> None:
        self._session = session

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Put the routes in; before the server listens."""
        router.add_get("/practice/world", self.world)
        router.add_post("/practice/world/{what:act|trouble|story|tour}", self.change)

    async def world(self, request: web.Request) -> web.Response:
        """What there is to see."""
        del request
        return web.json_response(await self._session.as_json(), headers={"Cache-Control": "no-store"})

    async def change(self, request: web.Request) -> web.Response:
        """Change something."""
        # A page from elsewhere can send forms and plain text without asking; application/json it cannot.
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="Content-Type has to be application/json")
        what = request.match_info["what"]
        try:
            body = await request.json()
            wanted = str(body["action" if what == "act" else what])
        except (ValueError, TypeError, LookupError):
            raise web.HTTPBadRequest(text=f"this is no wish for {what}") from None
        try:
            await self._changes()[what](wanted)
        except KeyError as error:
            said = str(error.args[0])
            return web.json_response({"ok": False, "error": said if " " in said else f"{said}: not here, or not now."})
        return web.json_response({"ok": True})

    def _changes(self) -> dict[str, Callable[[str], Awaitable[None]]]:
        session = self._session
        return {"act": session.act, "trouble": session.trouble, "story": session.begin, "tour": self._tour}

    async def _tour(self, how: str) -> None:
        self._session.tour.change(how)
