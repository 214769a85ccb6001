"""A browser, and a server that answers the page as written down: for what a bot that keeps the rules cannot send."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "lab" / "slack" / "page"
PATIENCE = 30_000  # milliseconds on a machine that is busy with other tests; nothing is asserted by the clock
expect.set_options(timeout=PATIENCE)
SWITCHES = [
    "--no-sandbox",  # containers allow no user namespaces
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PEOPLE = [
    {"id": "U0OPERATOR", "name": "operator", "real_name": "Operator", "groups": ["operators"], "unread": 0},
    {"id": "U0APPROVER", "name": "approver", "real_name": "Approver", "groups": ["approvers"], "unread": 1},
    {"id": "U0VIEWER", "name": "viewer", "real_name": "Viewer", "groups": ["viewers"], "unread": 0},
    {"id": "U0NOBODY", "name": "nobody", "real_name": "No role", "groups": [], "unread": 0},
]
COMMANDS = [
    {"command": "/check-writers", "description": "Why backups fail", "usage_hint": "<cluster|host>"},
    {
        "command": "/find-full-guests",
        "description": "Guests without space",
        "usage_hint": "<cluster|host> [--free 1GB]",
    },
    {"command": "/hvops", "description": "Help and status", "usage_hint": "[command]"},
]


def message(ts: str, blocks: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    numbered = [{"block_id": f"b{place}", **block} for place, block in enumerate(blocks or [])]
    elements = [one for block in numbered for one in block.get("elements", []) if isinstance(one, dict)]
    return {
        "channel": "C0OPS",
        "ts": ts,
        "user": "U0BOT",
        "username": "hvops",
        "bot": True,
        "text": "",
        "blocks": numbered,
        "state": {},
        "thread_ts": None,
        "reply_count": 0,
        "edited": False,
        "ephemeral": False,
        "files": [],
        "pings": [],
        "asks": any(one.get("style") == "primary" for one in elements),
        "trouble": "",
        **more,
    }


class Canned:
    """The page's server with answers written by the test. `acts` is what the page asked for, in order."""

    def __init__(self) -> None:
        self.acts: list[dict[str, Any]] = []
        self.changes: list[tuple[str, dict[str, Any]]] = []
        self.answer: dict[str, Any] = {"ok": True}
        self.delay: asyncio.Event | None = None  # a change of the world is answered once this is set
        self.decides: dict[str, int] = {}  # person -> how many messages wait for their decision
        self.version = 1
        self.private: dict[str, list[dict[str, Any]]] = {}
        self.messages: list[dict[str, Any]] = []
        self.views: list[dict[str, Any]] = []
        self.home: dict[str, Any] | None = None
        self.connections = 1
        self.world: dict[str, Any] = {
            "story": {"name": "stuck-writer", "title": "Stuck writer", "says": "A backup failed.", "prefilled": ""},
            "stories": [
                {"name": "stuck-writer", "title": "Stuck writer", "says": "A backup failed."},
                {"name": "healthy", "title": "Healthy", "says": "All is well."},
            ],
            "estate": "prod: 6 nodes, 64 guests",
            "facts": [{"about": "test-tfs-01", "says": "C: 0 MB free of 80 GB"}],
            "actions": [{"key": "free", "label": "Free 2 GB on test-tfs-01"}],
            "troubles": [
                {"key": "hang", "label": "Hang hv05", "says": "It never answers.", "active": False},
                {"key": "kill", "label": "Kill the bot", "says": "It starts again.", "active": None},
            ],
            "bot": {"state": "running", "says": ""},
            "tour": {"answered": False, "skipped": False, "steps": []},
        }
        self._streams: list[asyncio.Queue[dict[str, Any] | None]] = []
        self.url = ""

    def state(self, person: str) -> dict[str, Any]:
        return {
            "version": self.version,
            "now": 1767222000.5,
            "me": next(one for one in PEOPLE if one["name"] == person),
            "people": [{**one, "decides": self.decides.get(str(one["name"]), 0)} for one in PEOPLE],
            "groups": [{"id": "S0APPROVERS", "handle": "hv-approvers", "name": "Approvers", "users": ["U0APPROVER"]}],
            "bot": {"user_id": "U0BOT", "name": "hvops", "connections": self.connections},
            "channels": [
                {
                    "id": "C0OPS",
                    "name": "hv-ops",
                    "kind": "channel",
                    "with": None,
                    "members": [],
                    "bot_is_member": True,
                    "unread": 0,
                    "decides": self.decides.get(person, 0),
                    "topic": "Hyper-V operations",
                },
                {
                    "id": "C0AUDIT",
                    "name": "hv-audit",
                    "kind": "channel",
                    "with": None,
                    "members": [],
                    "bot_is_member": True,
                    "unread": 3,
                    "decides": 0,
                    "topic": "",
                },
            ],
            "messages": {
                "C0OPS": sorted(self.messages + self.private.get(person, []), key=lambda one: float(one["ts"])),
                "C0AUDIT": [],
            },
            "views": self.views,
            "home": self.home,
            "commands": COMMANDS,
        }

    def tell(self, kind: str, **more: Any) -> None:
        self.version += 1
        for stream in self._streams:
            stream.put_nowait(
                {
                    "version": self.version,
                    "kind": kind,
                    "channel": None,
                    "ts": None,
                    "message": None,
                    "view": None,
                    **more,
                }
            )

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/practice/state", self._state)
        app.router.add_get("/practice/events", self._events)
        app.router.add_post("/practice/act", self._act)
        app.router.add_get("/practice/world", self._world)
        app.router.add_post("/practice/world/{what}", self._change)
        app.router.add_get("/", self._index)
        app.router.add_static("/", PAGE)
        return app

    async def _index(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / "index.html")

    async def _state(self, request: web.Request) -> web.Response:
        return web.json_response(self.state(request.query["as"]))

    async def _world(self, request: web.Request) -> web.Response:
        return web.json_response(self.world)

    async def _change(self, request: web.Request) -> web.Response:
        self.changes.append((request.match_info["what"], await request.json()))
        if self.delay is not None:
            await self.delay.wait()
        return web.json_response(self.answer)

    async def _act(self, request: web.Request) -> web.Response:
        self.acts.append(await request.json())
        return web.json_response(self.answer)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._streams.append(queue)
        try:
            while event := await queue.get():
                await response.write(f"id: {event['version']}\ndata: {json.dumps(event)}\n\n".encode())
        except ConnectionError:
            pass
        finally:
            self._streams.remove(queue)
        return response

    def hang_up(self) -> None:
        for stream in self._streams:
            stream.put_nowait(None)

    async def until(self, act: str, times: int = 1) -> dict[str, Any]:
        """Wait until the page has done this so often, and return the last of them."""
        async with asyncio.timeout(PATIENCE / 1000):
            while True:
                done = [one for one in self.acts if one["act"] == act]
                if len(done) >= times:
                    return done[times - 1]
                await asyncio.sleep(0)


@pytest.fixture
def samples() -> dict[str, Any]:
    return json.loads((HERE / "samples.json").read_text())


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser(need_tool: Callable[[str], str]) -> AsyncIterator[Browser]:
    chromium = need_tool("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=SWITCHES)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def canned() -> AsyncIterator[Canned]:
    server = Canned()
    runner = web.AppRunner(server.app(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield server
    server.hang_up()
    await runner.cleanup()


class Visitor:
    """Opens pages, and notes what they asked of whom and what they complained about."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.contexts: list[BrowserContext] = []

    async def opens(self, url: str, width: int = 1400, height: int = 900, **options: Any) -> Page:
        context = await self.browser.new_context(
            viewport={"width": width, "height": height}, reduced_motion="reduce", **options
        )
        context.set_default_timeout(PATIENCE)
        self.contexts.append(context)
        page = await context.new_page()
        page.on("request", lambda request: self.requests.append(request.url))
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        await page.goto(url)
        await page.locator("#people [aria-selected=true]").wait_for()
        return page

    async def leaves(self) -> None:
        for context in self.contexts:
            await context.close()

    def checked(self) -> None:
        assert [url for url in self.requests if not url.startswith(("http://127.0.0.1:", "data:"))] == []
        assert self.complaints == []


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(browser: Browser, canned: Canned) -> AsyncIterator[Visitor]:
    """A visitor who is sure, in the end, that nothing but loopback was asked and nothing was complained about."""
    visitor = Visitor(browser)
    yield visitor
    await visitor.leaves()
    visitor.checked()


@pytest_asyncio.fixture(loop_scope="session")
async def visitors(browser: Browser, stage: object) -> AsyncIterator[Visitor]:
    """The same for the whole stage; the page may complain of the bot's absence only through its own notice."""
    visitor = Visitor(browser)
    yield visitor
    await visitor.leaves()
    visitor.checked()


@pytest.fixture
def fresh(samples: dict[str, Any]) -> Any:
    """Make a message out of a sample's blocks."""
    return lambda ts, name, **more: message(ts, **{"blocks": deepcopy(samples[name]), **more})
