"""The web service: Login, RenewLoginToken, Logout, Job, Jobs, Job/{id}, JobDetails, Job/{id}/action/{verb}, and its root.

It answers below both paths that are documented: /webconsole/api and /commandcenter/api [doc], of which the latter is the
only one that the vendor's own client asks since [src]. Its root tells nothing but that it is there [src].
Paths, bodies and headers: the vendor's pages and its Python client [doc, src]. The token comes in the header Authtoken; a
missing or dead one is 401. An action that cannot be carried out is no HTTP error: its reply has an error code.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from lab.commvault import jobs, responses
from lab.commvault.tokens import Tokens
from lab.world import backup
from lab.world.accounts import Account
from lab.world.model import BackupJob
from lab.world.world import World

BASE, NEWER_BASE = "/webconsole/api", "/commandcenter/api"
_CATEGORIES = {0: "All", 1: "Active", 2: "Finished"}  # of POST Jobs [src]
NOT_ALLOWED, FAILED = 5, 2
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeCommVault:
    """The practice backup product, on loopback; an async context manager in the loop that the world lives in.

    Args:
        world: whose jobs are reported and acted on.
        operators: the accounts that may act on jobs.
        viewers: the accounts that may only look.
        address: in 127.0.0.0/8.
        port: 0 picks a free one.
    """

    def __init__(
        self,
        world: World,
        operators: tuple[Account, ...],
        viewers: tuple[Account, ...] = (),
        *,
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.world = world
        self.page_cap = sys.maxsize  # a service of one's own may give fewer in a page than it is asked for
        self.tokens = Tokens(operators + viewers, lambda: world.now)
        self._operators = operators
        self._address, self._port = address, port
        application = web.Application(middlewares=[self._guard])
        for base in (BASE, NEWER_BASE):
            self._route(application.router, base)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)

    def _route(self, router: web.UrlDispatcher, base: str) -> None:
        for path in (base, f"{base}/"):
            router.add_get(path, self._root)
        router.add_post(f"{base}/Login", self._log_in)
        router.add_post(f"{base}/RenewLoginToken", self._renew)
        router.add_post(f"{base}/Logout", self._log_out)
        router.add_get(f"{base}/Job", self._jobs)
        router.add_post(f"{base}/Jobs", self._search)
        router.add_post(f"{base}/JobDetails", self._details)
        router.add_get(base + r"/Job/{id:\d+}", self._job)
        router.add_post(base + r"/Job/{id:\d+}/action/{verb}", self._act)

    @property
    def url(self) -> str:
        """What clients put before Login or Job, without a slash at its end."""
        return f"http://{self._address}:{self._port}{BASE}"

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._address, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Let what is due happen, and nobody in without a living token but to get one."""
        self.world.settle()
        free = {self._root, self._log_in, self._renew}
        if handler not in free and self._account(request) is None:
            return responses.answer(request, responses.GENERIC, responses.refused(NOT_ALLOWED, "Access denied"), 401)
        return await handler(request)

    def _account(self, request: web.Request) -> Account | None:
        return self.tokens.account(request.headers.get("Authtoken", ""))

    async def _root(self, _: web.Request) -> web.Response:
        return web.Response(text="")

    async def _log_in(self, request: web.Request) -> web.Response:
        body = await _body(request)
        reply = self.tokens.log_in(str(body.get("username", "")), str(body.get("password", "")))
        return responses.answer(request, responses.LOGIN, reply)

    async def _renew(self, request: web.Request) -> web.Response:
        body = await _body(request)
        token = self.tokens.renew(str(body.get("sessionId", "")))
        if token is None:
            return responses.answer(request, responses.GENERIC, responses.refused(NOT_ALLOWED, "Access denied"), 401)
        return responses.answer(request, responses.LOGIN, {"token": token, "error": {"errorCode": 0}})

    async def _log_out(self, request: web.Request) -> web.Response:
        self.tokens.end(request.headers.get("Authtoken", ""))
        return responses.answer(request, responses.GENERIC, {"errorCode": 0})

    async def _jobs(self, request: web.Request) -> web.Response:
        seconds = request.query.get("completedJobLookupTime", "")
        look_back = timedelta(seconds=int(seconds)) if seconds.isdecimal() else jobs.LOOK_BACK
        limit = min(_header(request, "limit", jobs.PAGE), self.page_cap)
        category = request.query.get("jobCategory", "All")
        reply = jobs.listed(self.world, category, look_back, limit, _header(request, "offset", 0))
        return responses.answer(request, responses.JOBS, reply)

    async def _search(self, request: web.Request) -> web.Response:
        """The list by a body in place of a query: the filter's clients and types are not told apart here."""
        body = await _body(request)
        paging, chosen = _part(body, "pagingConfig"), _part(body, "jobFilter")
        reply = jobs.listed(
            self.world,
            _CATEGORIES.get(_number(body, "category", 0), "All"),
            timedelta(seconds=_number(chosen, "completedJobLookupTime", int(jobs.LOOK_BACK.total_seconds()))),
            min(_number(paging, "limit", jobs.PAGE), self.page_cap),
            _number(paging, "offset", 0),
        )
        return responses.answer(request, responses.JOBS, reply)

    async def _details(self, request: web.Request) -> web.Response:
        reply = jobs.details(self.world, _number(await _body(request), "jobId", 0))
        if reply is None:
            reply = responses.undetailed(FAILED, "There is no such job.")
        return responses.answer(request, responses.DETAILS, reply)

    async def _job(self, request: web.Request) -> web.Response:
        reply = jobs.found(self.world, int(request.match_info["id"]))
        if reply is None:
            return responses.answer(request, responses.GENERIC, responses.refused(FAILED, "There is no such job."), 404)
        return responses.answer(request, responses.JOBS, reply)

    async def _act(self, request: web.Request) -> web.Response:
        verb = request.match_info["verb"].casefold()
        act = _ACTIONS.get(verb)
        job = self.world.jobs.get(int(request.match_info["id"]))
        if act is None or job is None:
            return responses.answer(request, responses.GENERIC, responses.refused(FAILED, "Not found."), 404)
        if self._account(request) not in self._operators:
            return responses.answer(request, responses.GENERIC, responses.refused(NOT_ALLOWED, "Access denied"))
        self.world.is_asked("commvault", f"{verb} job {job.id}")
        done = act(self.world, job)
        self.world.changes += 1
        failed = responses.outcome(FAILED, f"The job cannot {verb} while it is {jobs.STATUSES[job.state]}.")
        return responses.answer(request, responses.ERRORS, responses.outcome() if done else failed)


def _kill(world: World, job: BackupJob) -> bool:
    if job.state in jobs.FINISHED:
        return False
    backup.kill(world, job)
    return True


_ACTIONS: dict[str, Callable[[World, BackupJob], bool]] = {
    "resume": backup.resume,
    "suspend": backup.suspend,
    "pause": backup.suspend,  # the client's word for it [src]
    "kill": _kill,
}


def _header(request: web.Request, name: str, default: int) -> int:
    """The number in a header; the default where there is none [doc]."""
    word = request.headers.get(name, "")
    return int(word) if word.isdecimal() else default


def _part(body: dict[str, Any], name: str) -> dict[str, Any]:
    part = body.get(name)
    return part if isinstance(part, dict) else {}


def _number(body: dict[str, Any], name: str, default: int) -> int:
    """A whole number that is not negative; the default where there is none."""
    value = body.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default


async def _body(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request; empty where there is none."""
    try:
        body = json.loads(await request.text())
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
