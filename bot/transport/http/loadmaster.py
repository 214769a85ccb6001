"""Kemp's LoadMaster: both versions of its interface, and what its replies mean.

Version 1 answers XML below /access/, with basic authentication [doc]; parameters of a change go in a form, not in the address.
Version 2 answers JSON at /accessv2, takes the login inside of each request, and needs 7.2.50 and session management [doc]. Which
one is asked stands in the inventory. A reply is read into the few fields that the allowlist names, and nothing else of it is
kept as evidence: among the rest are keys, headers and data of checks. A login that was refused is not tried again for a while.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from bot.api.actions import RunProgram
from bot.api.queries import Fields, RunReader
from bot.api.rows import Rows, format_rows
from bot.config.inventory_file import LoadBalancer
from bot.errors import (
    AuthenticationFailed,
    MalformedResponse,
    NotFound,
    PolicyViolation,
    QuotaExceeded,
    TargetFault,
    TargetTimeout,
)
from bot.formatting import without_stop
from bot.redaction import Redactor, clip, strip_end
from bot.transport import bounds
from bot.transport.allowlist import loadmaster
from bot.transport.allowlist.definitions import BadOutput
from bot.transport.allowlist.loadmaster import NAMES, Tree
from bot.transport.allowlist.web import CALLS, WebCall
from bot.transport.http import client as http
from bot.transport.turns import LastLook, judged_look

_SECTION = "load_balancer"
_PAUSE = 300.0  # seconds after a refused login
_LARGEST_REPLY = 8 * 2**20  # bytes: a service takes some four thousand, and a thousand services are many
_NOT_FOUND, _UNPROCESSABLE = 404, 422
_STATUS = re.compile(r"[0-9]{1,5}")  # ASCII: other scripts have digits as well
_LONGEST_SAID = 300  # characters of what it says
_STRANGER = "unknown vs"  # what a command says that knows no service of that index [src]
_LIST = "loadmaster virtual services"
_RIGHTS = "See deploy/rights.md#load-balancer."


@dataclass(frozen=True, slots=True)
class ApplianceLogin:
    """Who we are at one load balancer: a user, or the key of one, which version 2 alone takes."""

    username: str = ""
    password: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class _Way:
    """One load balancer, as one question reaches it."""

    on: str
    balancer: LoadBalancer
    login: ApplianceLogin
    client: http.Client
    look: LastLook | None = None  # of a change


class Declined(ValueError):
    """What the interface says in place of doing it.

    Attributes:
        code: its number, as that of HTTP.
        is_refusal: nothing was done: by that number, and by the status of HTTP beside it.
    """

    def __init__(self, says: str, code: int, *, is_refusal: bool = False) -> None:
        super().__init__(says)
        self.code = code
        self.is_refusal = is_refusal


class LoadBalancers:
    """The way to the load balancers of the inventory."""

    def __init__(self, balancers: Mapping[str, LoadBalancer], logins: Mapping[str, ApplianceLogin]) -> None:
        """Take the load balancers and the logins, each by lower-case name."""
        self._balancers = dict(balancers)
        self._logins = dict(logins)
        self._refused: dict[str, tuple[float, AuthenticationFailed]] = {}
        self._one_long: dict[str, asyncio.Semaphore] = {}

    async def answer(self, question: RunReader, seconds: float) -> tuple[Rows, str]:
        """The rows of a question, and what was read of the reply. Raises TargetError."""
        return await self._call(question.on, question.what, question.params, seconds, marked="reads")

    async def change(self, action: RunProgram, seconds: float) -> tuple[Rows, str]:
        """Act, once. Raises TargetError; `TargetTimeout` does not mean that nothing happened."""
        with judged_look(action.on) as look:
            return await self._call(action.on, action.what, action.params, seconds, marked="changes", look=look)

    async def _call(
        self, on: str, what: str, params: Fields, seconds: float, *, marked: str, look: LastLook | None = None
    ) -> tuple[Rows, str]:
        call = CALLS[what]
        if call.marked != marked:
            kind = "question" if marked == "reads" else "action"
            raise PolicyViolation(on, f"{what!r} {call.marked}, so no {kind} may be it.")
        balancer = self._balancers.get(on.lower())
        if balancer is None:
            raise NotFound(
                on, "it is no load balancer of the inventory.", "Add a table [[load_balancer]] to the inventory."
            )
        login = self._login(on, balancer)
        try:
            call.address(params)
        except ValueError as error:
            raise PolicyViolation(on, f"{error}.") from None
        try:
            one_long = self._one_long.setdefault(on.lower(), asyncio.Semaphore())
            async with (
                asyncio.timeout(seconds),
                http.open_client(balancer.url, login.ca_file, seconds, one_long) as client,
            ):
                return await self._rows(_Way(on, balancer, login, client, look), call, params)
        except TimeoutError:
            raise TargetTimeout(on, TargetTimeout.after(seconds)) from None
        except http.ERRORS as error:
            raise http.from_exception(on, error, f"{_SECTION}.{balancer.name}", seconds) from None

    async def _rows(self, way: _Way, call: WebCall, params: Fields) -> tuple[Rows, str]:
        """What a call answers. A SubVS that is not shown by itself is read from the list [src]."""
        wanted = dict(params).get("vs")
        try:
            data = await self._sent(way, call, params)
        except Declined as declined:
            is_show = call.marked == "reads" and wanted is not None
            if not (is_show and declined.code == _UNPROCESSABLE and str(declined).casefold().startswith(_STRANGER)):
                raise _fault(way.on, declined) from None
            data = await self._from_list(way, str(wanted))
        try:
            told = await asyncio.to_thread(_rows_and_text, call.parse, data)
        except BadOutput as error:
            raise MalformedResponse(way.on, f"{error}.") from None
        if call.marked == "reads" and wanted is not None and not loadmaster.is_about(data, str(wanted)):
            raise MalformedResponse(way.on, f"asked for the virtual service {wanted}, it answered about another one.")
        return told

    async def _from_list(self, way: _Way, index: str) -> Tree:
        """One service out of the list of all. Raises NotFound."""
        try:
            data = await self._sent(way, CALLS[_LIST], ())
        except Declined as declined:
            raise _fault(way.on, declined) from None
        found = await asyncio.to_thread(_with_index, data, index)
        if len(found) != 1:
            raise NotFound(way.on, f"it has no virtual service with the index {index}.")
        service: Tree = found[0]
        return service

    async def _sent(self, way: _Way, call: WebCall, params: Fields) -> Tree:
        """The data of one reply. Raises Declined, TargetError, and httpx's errors."""
        address, asks, query = call.path.partition("?")
        fixed = {} if "{" in query else dict(part.split("=", 1) for part in query.split("&") if asks)
        bound = call.bind(params)
        given = {name: bound[name] for name, value in dict(params).items() if value is not None}
        send = partial(http.send, way.client, most=_LARGEST_REPLY, look=way.look)
        if way.balancer.api == "v2":
            values = {NAMES[name][0]: NAMES[name][1](value) for name, value in given.items()}
            body = {"cmd": address.removeprefix("access/"), **_login_fields(way.login), **fixed, **values}
            return await self._read(way, await send("POST", "accessv2", body=body), _json_tree)
        told = {**fixed, **{NAMES[name][0]: value for name, value in given.items()}}
        headers = {"Accept": "text/xml", "Authorization": f"Basic {_basic(way.login)}"}
        if call.marked == "changes":
            reply = await send("POST", address, headers, form=told)
        else:
            reply = await send("GET", _with_query(address, told), headers)
        return await self._read(way, reply, _xml_tree)

    async def _read(self, way: _Way, reply: http.Reply, tree: Callable[[http.Reply], Tree]) -> Tree:
        """The data of a reply, read beside the loop: it may be megabytes. Raises Declined, TargetError."""
        on, balancer = way.on, way.balancer
        if reply.status in (http.UNAUTHORIZED, http.FORBIDDEN):
            raise self._no_login(way, reply.status)
        if reply.status == http.TOO_MANY_REQUESTS:
            raise QuotaExceeded(on, "it is too busy.")
        if http.MULTIPLE_CHOICES <= reply.status < 400:  # noqa: PLR2004 - redirects of HTTP
            says = f"it answered with a redirect ({reply.status}), which is not followed."
            raise TargetFault(on, says, "Check url below [[load_balancer]].", code=reply.status, is_refusal=True)
        try:
            found = await asyncio.to_thread(_told, tree, reply, way.login)
        except Declined as declined:
            if declined.code in (http.UNAUTHORIZED, http.FORBIDDEN):  # whatever status HTTP has beside it
                refused = self._no_login(way, declined.code)
                refused.is_refusal = declined.is_refusal
                raise refused from None
            self._refused.pop(on.lower(), None)
            raise
        except BadOutput as error:
            if reply.status == _NOT_FOUND:
                says = "its API does not answer (404)."
                raise TargetFault(on, says, _how_on(balancer), code=reply.status, is_refusal=True) from None
            raise MalformedResponse(on, f"{error} (status {reply.status}).") from None
        self._refused.pop(on.lower(), None)
        if reply.status != http.OK:
            says = f"it answered with status {reply.status}."
            raise TargetFault(on, says, code=reply.status, is_refusal=http.is_refused(reply.status))
        return found

    def _no_login(self, way: _Way, code: int) -> AuthenticationFailed:
        """The refusal; one of the login itself is not tried again for a while."""
        refused = AuthenticationFailed(way.on, _why_refused(way.balancer, code), _RIGHTS)
        if code == http.UNAUTHORIZED:
            self._refused[way.on.lower()] = (time.monotonic(), refused)
        return refused

    def _login(self, on: str, balancer: LoadBalancer) -> ApplianceLogin:
        """The login to use. Raises PolicyViolation where there is none, and the refusal of a moment ago."""
        login = self._logins.get(on.lower())
        if login is None:
            raise PolicyViolation(on, f"no login is set for it ([credentials.{_SECTION}.{balancer.name}]).")
        if login.api_key and balancer.api == "v1":
            raise PolicyViolation(
                on, "version 1 of its interface takes no API key.", 'Write api = "v2", or a password.'
            )
        http.check_tls(on, balancer.url, f"[{_SECTION}]")
        at, refused = self._refused.get(on.lower(), (0.0, None))
        if refused is not None and time.monotonic() - at < _PAUSE:
            raise AuthenticationFailed(on, refused.message, refused.hint)
        return login


def is_appliance(what: str) -> bool:
    """Whether a row of the allowlist is a command of a load balancer."""
    return what in CALLS and CALLS[what].profile == "load balancer"


def _rows_and_text(parse: Callable[[Any], Rows], data: Tree) -> tuple[Rows, str]:
    rows = parse(data)
    return rows, format_rows(rows)


def _fault(on: str, declined: Declined) -> TargetFault:
    """What it declined, and whether that is a refusal."""
    says = f"it replied: {without_stop(str(declined))} (error {declined.code})"
    return TargetFault(on, says, code=declined.code, is_refusal=declined.is_refusal)


def _with_index(data: Tree, index: str) -> list[Tree]:
    """The services that have this index: a list may have as many as a reply holds."""
    return [one for one in data.get("vs", ()) if isinstance(one, Mapping) and one.get("index") == (index,)]


def _told(tree: Callable[[http.Reply], Tree], reply: http.Reply, login: ApplianceLogin) -> Tree:
    """The data of a reply. Raises Declined, with the beginning of what it says, without secrets; BadOutput."""
    try:
        return tree(reply)
    except Declined as declined:
        says = strip_end(_without_login(login, str(declined)))
        is_refusal = http.is_refused(declined.code) and not http.is_outcome_unknown(reply.status)
        raise Declined(says or "it did not say why", declined.code, is_refusal=is_refusal) from None


def _without_login(login: ApplianceLogin, says: str) -> str:
    """The beginning of what it says, without our own secrets."""
    mask = Redactor(filter(None, (login.password, login.api_key)))
    return mask.redact_text(clip(says, _LONGEST_SAID))  # what this mask knows is masked before the cut, too


def _basic(login: ApplianceLogin) -> str:
    """User and password as the header carries them. Each mask that knows the password knows it in base64, too."""
    return base64.b64encode(f"{login.username}:{login.password}".encode()).decode()


def _login_fields(login: ApplianceLogin) -> dict[str, str]:
    if login.api_key:
        return {"apikey": login.api_key}
    return {"apiuser": login.username, "apipass": login.password}


def _with_query(address: str, told: Mapping[str, str]) -> str:
    """All values are numbers or fixed words here: what could need quoting goes in a form."""
    return address + ("?" + "&".join(f"{name}={value}" for name, value in told.items()) if told else "")


def _xml_tree(reply: http.Reply) -> Tree:
    """The data of a reply of version 1. Raises Declined, BadOutput."""
    try:
        top = bounds.parse_xml(reply.body)
    except (ParseError, bounds.TooMuch, bounds.DocumentType, ValueError, LookupError):
        raise BadOutput("its reply is no XML that can be read, or not whole") from None
    if top.tag.casefold() != "response":
        raise BadOutput("its reply is XML, but none of its interface")
    tree = _of_element(top)
    if "error" in tree:
        raise _declined(tree["error"][0], top.get("stat") or "")
    success = tree.get("success", ({},))[0]
    data = success.get("data", ({},))[0] if isinstance(success, Mapping) else {}
    if (top.get("code") or "").casefold() != "ok" or "success" not in tree:
        raise BadOutput("its reply says neither that it was done nor why not")
    return data if isinstance(data, Mapping) else {}


def _of_element(element: Element) -> dict[str, tuple[Any, ...]]:
    """Its parts by name. As deep as `bounds` reads; each name's parts in a list, so as long as there are parts."""
    found: dict[str, list[Any]] = {}
    for child in element:
        found.setdefault(child.tag.casefold(), []).append(_of_element(child) if len(child) else (child.text or ""))
    return {name: tuple(values) for name, values in found.items()}


def _json_tree(reply: http.Reply) -> Tree:
    """The data of a reply of version 2. Raises Declined, BadOutput."""
    told = reply.json()
    if not isinstance(told, dict):
        raise BadOutput("its reply is no JSON that can be read, or not whole")
    tree = _of_object(told)
    code = told.get("code")
    if isinstance(code, bool) or not isinstance(code, int):
        raise BadOutput("its reply is JSON, but none of its interface")
    if code >= http.MULTIPLE_CHOICES or str(told.get("status")).casefold() != "ok":
        raise _declined(told.get("message") or "", str(code))
    return tree


def _of_object(told: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    found: dict[str, list[Any]] = {}
    for name, value in told.items():
        many = value if isinstance(value, list) else [value]
        found.setdefault(name.casefold(), []).extend(_plain(one) for one in many if one is not None)
    return {name: tuple(values) for name, values in found.items() if values}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _of_object(value)
    if isinstance(value, (bool, list)):
        return json.dumps(value)
    return str(value)


def _declined(says: Any, code: str) -> Declined:
    """What it says in place of doing it; 0 where it tells no code. Raises BadOutput for a code that is none."""
    words = says.strip() if isinstance(says, str) else ""
    if code and not _STATUS.fullmatch(code):
        raise BadOutput("its reply carries a status that is none")
    return Declined(words, int(code or 0))


def _why_refused(balancer: LoadBalancer, code: int) -> str:
    if code == http.FORBIDDEN:
        return "the account may not do this there."
    if balancer.api == "v2":
        return "it does not take the login. Version 2 of its interface also needs session management."
    return "it does not take the login."


def _how_on(balancer: LoadBalancer) -> str:
    if balancer.api == "v2":
        return 'Version 2 needs firmware 7.2.50 or later with its API enabled; else write api = "v1".'
    return "Enable the API interface there (Certificates & Security, Remote Access)."
