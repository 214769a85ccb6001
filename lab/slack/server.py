"""The practice Slack on a port of loopback."""

from __future__ import annotations

from email.utils import formatdate
from pathlib import Path
from typing import Literal, Self

from aiohttp import web

from lab.slack import response_urls, web_api
from lab.slack.clock import Clock
from lab.slack.context import CallRecord, Core, Faults
from lab.slack.ephemeral_tokens import TokenStore
from lab.slack.events import Events
from lab.slack.model import JSON, Message
from lab.slack.origin_check import guard
from lab.slack.page_api import Practice
from lab.slack.rate_limits import Rates
from lab.slack.simulated_user import Person
from lab.slack.socket import SocketMode
from lab.slack.user_actions import UserActions
from lab.slack.workspace import Workspace, practice_workspace

PAGE = Path(__file__).parent / "page"
LARGEST_BODY = 64 * 1024 * 1024


class FakeSlack:
    """One workspace with one app, served from `async with` to its end.

    Attributes:
        workspace: the state, for tests that look or arrange.
        socket: Socket Mode; `drop()`, `refuse(seconds)`, `refresh()` make trouble.
        core: tokens, faults, grants, rates and the call log.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        manifest: JSON | None = None,
        rates: Literal["strict", "off"] = "strict",
        clock: Clock | None = None,
        page: Path = PAGE,
    ) -> None:
        """Prepare; nothing listens yet.

        Args:
            port: of 127.0.0.1; 0 takes any that is free.
            manifest: the app's manifest; without one the app has all scopes that hvops asks for and no commands.
            rates: whether the rate limits are kept.
            clock: what the time is; the machine's unless a test says otherwise.
            page: folder of the static page.

        Raises:
            ValueError: Slack would refuse the manifest.
        """
        self.workspace: Workspace = practice_workspace(clock)
        if manifest is not None:
            self.workspace.install(manifest)
        clock = self.workspace.clock
        self.core = Core(self.workspace, TokenStore(clock), Rates(clock, strict=rates == "strict"), Faults())
        self.socket = SocketMode(self.core)
        self.acts = UserActions(self.core, self.socket, Events(self.core, self.socket))
        self.application = web.Application(middlewares=[guard], client_max_size=LARGEST_BODY)
        self.application.on_response_prepare.append(self._dated)
        self._practice = Practice(self.acts, self.socket)
        self._port = port
        self._page = page
        self._runner: web.AppRunner | None = None
        self._add_routes()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._runner = web.AppRunner(self.application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        host, port = self._runner.addresses[0][:2]
        self.core.address = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up on everybody and close."""
        assert self._runner is not None
        await self._practice.farewell()
        await self.socket.close()
        await self._runner.cleanup()

    @property
    def address(self) -> str:
        """Where the page is: "http://127.0.0.1:PORT"."""
        return self.core.address

    @property
    def base_url(self) -> str:
        """Where the Web API is, for an SDK's base_url."""
        return f"{self.core.address}/api/"

    @property
    def bot_token(self) -> str:
        """The app's bot token."""
        return self.core.bot_token

    @property
    def app_token(self) -> str:
        """The app's app-level token."""
        return self.core.app_token

    @property
    def faults(self) -> Faults:
        """Troubles of the Web API: `faults.add("chat.postMessage", "drop")`."""
        return self.core.faults

    async def farewell(self) -> None:
        """Tell the pages that all of this ends; they ask nothing more, and come back when somebody looks at them."""
        await self._practice.farewell()

    def install(self, manifest: JSON) -> None:
        """Install the app anew.

        Raises:
            ValueError: Slack would refuse the manifest.
        """
        self.workspace.install(manifest)

    def person(self, name: str) -> Person:
        """Somebody who acts.

        Raises:
            KeyError: nobody is called that.
        """
        return Person(self.acts, self.workspace.member(name))

    async def connected(self, connections: int = 1) -> None:
        """Wait until the app holds exactly so many Socket Mode connections."""
        with self.workspace.stream.follow() as events:
            while self.workspace.connections != connections:
                await events.get()

    def calls(self, method: str) -> list[CallRecord]:
        """What the app called of one method, oldest first; response URLs are the method "response_url"."""
        return [called for called in self.core.calls if called.method == method]

    def alert(self, text: str, channel: str = "hv-ops", *, name: str = "backup") -> Message:
        """A message of some other system, such as the alert with which a story begins.

        Args:
            text: mrkdwn, already escaped.
            channel: name or id.
            name: under which it is posted.
        """
        return self.workspace.post_as(name, self.workspace.channel(channel).id, text)

    def _add_routes(self) -> None:
        router = self.application.router
        router.add_route("*", "/api/{method}", self._api)
        router.add_get("/link", self.socket.accept)
        router.add_post("/commands/{team}/{token}", self._hook)
        router.add_post("/actions/{team}/{token}", self._hook)
        router.add_post("/upload/v1/{token}", self._upload)
        self._practice.add_to(router)
        router.add_get("/", self._index)
        router.add_get("/{path:.+}", self._static)

    async def _dated(self, _: web.Request, response: web.StreamResponse) -> None:
        """Slack's answers are dated by Slack's clock (RFC 9110, Date)."""
        response.headers["Date"] = formatdate(self.core.clock.now(), usegmt=True)

    async def _api(self, request: web.Request) -> web.StreamResponse:
        return await web_api.answer(self.core, request)

    async def _hook(self, request: web.Request) -> web.StreamResponse:
        return await response_urls.respond(self.core, request)

    async def _upload(self, request: web.Request) -> web.Response:
        return await web_api.receive_upload(self.core, request)

    async def _index(self, request: web.Request) -> web.StreamResponse:
        del request
        return self._file("index.html")

    async def _static(self, request: web.Request) -> web.StreamResponse:
        return self._file(request.match_info["path"])

    def _file(self, path: str) -> web.StreamResponse:
        found = (self._page / path).resolve()
        if not (found.is_relative_to(self._page.resolve()) and found.is_file()):
            raise web.HTTPNotFound(text="no such page")
        # No cache: the page changes with the installed version, and an old script would speak to a new API.
        return web.FileResponse(found, headers={"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"})
