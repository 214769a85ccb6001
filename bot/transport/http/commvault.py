"""CommVault's web service: its login, its tokens, and what its replies mean.

Login takes the password in base64 and answers a token, which goes into the header Authtoken of everything else; a dead one
answers 401 and can be renewed once [src: cvpysdk]. A list comes in pages: the headers limit and offset, a number of rows each,
ask for one, and totalRecordsWithoutPaging says how many rows there are on all [doc: GET Job]. The token stays in this object: it is in no reply that is handed on, in no
error and in no log. A login that was refused is not tried again for a while, since the product locks accounts.
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bot.api.actions import RunProgram
from bot.api.queries import Fields, RunReader
from bot.api.rows import Row, Rows
from bot.errors import (
    AuthenticationFailed,
    IncompleteResponse,
    MalformedResponse,
    NotFound,
    PolicyViolation,
    QuotaExceeded,
    TargetFault,
    TargetTimeout,
    Withheld,
)
from bot.formatting import without_stop
from bot.redaction import LONGEST_TOKEN, SESSION_TOKENS, Redactor, clip, strip_end
from bot.transport.allowlist.definitions import BadOutput
from bot.transport.allowlist.web import ACCESS_DENIED, CALLS, JobRefused, WebCall, total_jobs
from bot.transport.bounds import MAX_ANSWER, MAX_EVIDENCE, MAX_KEPT, weigh
from bot.transport.http import client as http
from bot.transport.turns import LastLook, judged_look

_SECTION = "commvault"  # of the inventory, and of the credentials
_DEVICE = "hvops"  # a name of ours for this client
_CLIENT_TYPE, _MODE = 30, 4  # what the vendor's own client sends [src]
# A token is masked wherever it stands: words with blanks between them, such as those of hvops' own plans, are none. What comes
# before it names its kind; the rest is of the letters of hex, base64 and URLs [src cvpysdk, doc RFC 6750].
_TOKEN = re.compile(r"(QSDK )?[A-Za-z0-9+/=_.~-]+", re.ASCII)
_PAUSE = 300.0  # seconds after a refused login
_MOST_PAGES = 20  # twenty thousand jobs, or two thousand where the service gives no more than 100 at a time
_LOGIN = "Check username and password below [credentials.commvault] in the settings."


@dataclass(frozen=True, slots=True)
class WebService:
    """Where it is, and who we are there.

    Attributes:
        url: "https://backup.corp.example/webconsole/api".
        ca_file: the authority that signed its certificate; None for the system's own.
    """

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None


class BackupProduct:
    """The way to the inventory's backup product."""

    def __init__(self, service: WebService | None, calls: Mapping[str, WebCall] = CALLS) -> None:
        """Take the service; None where the inventory names none."""
        self._service = service
        self._calls = calls
        self._token = ""
        self._one_login = asyncio.Lock()
        self._one_long = asyncio.Semaphore()
        self._refused: AuthenticationFailed | None = None
        self._refused_at = 0.0

    async def answer(self, question: RunReader, seconds: float) -> tuple[Rows, str]:
        """The rows of a question, and the reply as it came. Raises TargetError."""
        return await self._call(question.on, question.what, question.params, seconds, marked="reads")

    async def change(self, action: RunProgram, seconds: float) -> tuple[Rows, str]:
        """Act, once. Raises TargetError; `TargetTimeout` does not mean that nothing happened."""
        with judged_look(action.on) as look:
            return await self._call(action.on, action.what, action.params, seconds, marked="changes", look=look)

    async def _call(
        self, on: str, what: str, params: Fields, seconds: float, *, marked: str, look: LastLook | None = None
    ) -> tuple[Rows, str]:
        call, service = self._calls[what], self._service
        if call.marked != marked:
            raise PolicyViolation(
                on, f"{what!r} {call.marked}, so no {'question' if marked == 'reads' else 'action'} may be it."
            )
        if service is None:
            raise NotFound(on, "no backup product is in the inventory.", "Add a table [commvault] to the inventory.")
        try:
            address = call.address(params)
        except ValueError as error:
            raise PolicyViolation(on, f"{error}.") from None
        _check_login(on, service)
        try:
            async with (
                asyncio.timeout(seconds),
                http.open_client(service.url, service.ca_file, seconds, self._one_long) as client,
            ):
                if call.page:
                    return await self._pages(on, service, client, call, address)
                reply = await self._with_token(on, service, client, call.verb, address, look=look)
                rows, text, _ = await asyncio.to_thread(self._read, on, call, reply)
                return rows, text
        except TimeoutError:
            raise TargetTimeout(on, TargetTimeout.after(seconds)) from None
        except http.ERRORS as error:
            raise http.from_exception(on, error, _SECTION, seconds) from None

    async def _pages(
        self, on: str, service: WebService, client: http.Client, call: WebCall, address: str
    ) -> tuple[Rows, str]:
        """All pages of a list. Jobs begin and end meanwhile: only as many different ones as every page counts are all.

        Raises:
            IncompleteResponse: fewer came, or the total changed on the way, or there are more pages than are asked for.
            TargetError: as for any reply.
        """
        found: dict[str, Row] = {}
        texts: list[str] = []
        came, size, weight, totals = 0, 0, 0, set[int | None]()
        for _ in range(_MOST_PAGES):
            paging = {"limit": str(call.page), "offset": str(came)}
            reply = await self._with_token(on, service, client, call.verb, address, headers=paging)
            rows, text, total = await asyncio.to_thread(self._read, on, call, reply)
            size += len(text)
            if size <= MAX_EVIDENCE or not texts:
                texts.append(text)
            # A job that tells nothing but its number has all columns, too.
            weight += await asyncio.to_thread(weigh, rows)
            if size > MAX_ANSWER or weight > MAX_KEPT:
                raise MalformedResponse(on, "its list of jobs exceeds the size limit.")
            found |= {row["job"]: row for row in rows}
            totals.add(total)
            came += len(rows)
            if not rows or total is None or came >= total:
                break
        if totals != {len(found)}:
            raise _not_whole(on, len(found), totals)
        return tuple(found.values()), "\n".join(texts)

    async def _with_token(
        self,
        on: str,
        service: WebService,
        client: http.Client,
        verb: str,
        address: str,
        *,
        headers: Mapping[str, str] | None = None,
        look: Callable[[], None] | None = None,
    ) -> http.Reply:
        """Send it; where the token is dead, renew it and send it again: a 401 has not been carried out."""
        more = headers or {}
        token = self._token or await self._log_in(on, service, client, "")
        reply = await http.send(client, verb, address, {**more, **_token_header(token)}, look=look)
        if reply.status == http.UNAUTHORIZED:
            token = await self._log_in(on, service, client, token)
            try:
                reply = await http.send(client, verb, address, {**more, **_token_header(token)}, look=look)
            except Withheld as error:  # it went out once, and that it was not carried out is what the service says
                why = error.message.removeprefix("nothing was sent: ")  # this time
                says = f"it refused the login, and the action was not sent again: {why}"
                raise TargetFault(on, says, is_refusal=True) from None
        return reply

    async def _log_in(self, on: str, service: WebService, client: http.Client, dead: str) -> str:
        """A token that lives: by renewing the dead one, else by password. Of many callers, one goes."""
        async with self._one_login:
            if self._token != dead:
                return self._token
            self._token = ""
            if dead:
                self._token = await _renew(client, dead)
            self._token = self._token or await self._by_password(on, service, client)
            # whoever the service repeats it to, nobody reads it
            await asyncio.to_thread(SESSION_TOKENS.add, service.url, self._token)
            return self._token

    async def _by_password(self, on: str, service: WebService, client: http.Client) -> str:
        if self._refused is not None and time.monotonic() - self._refused_at < _PAUSE:
            raise AuthenticationFailed(on, self._refused.message, self._refused.hint)
        password = base64.b64encode(service.password.encode()).decode()
        told = {
            "mode": _MODE,
            "username": service.username,
            "password": password,
            "deviceId": _DEVICE,
            "clientType": _CLIENT_TYPE,
        }
        reply = await http.send(client, "POST", "Login", body=told)
        token = await asyncio.to_thread(_token_of, reply)
        if token:
            self._refused = None
            return token
        if reply.status >= http.SERVER_ERROR:
            says = f"it answered the login with status {reply.status}."
            raise TargetFault(on, says, code=reply.status, is_refusal=True)  # nothing else was sent
        mask = Redactor((service.password, password))
        self._refused, self._refused_at = await asyncio.to_thread(_no_login, on, reply, mask), time.monotonic()
        raise self._refused

    def _read(self, on: str, call: WebCall, reply: http.Reply) -> tuple[Rows, str, int | None]:
        """Rows out of a reply, its text, and how many there are in all. Beside the loop: it may be megabytes. Raises TargetError."""
        told = reply.json()
        if reply.status in (http.UNAUTHORIZED, http.FORBIDDEN):
            raise AuthenticationFailed(on, "the account may not do this there.", _LOGIN)
        if reply.status == http.TOO_MANY_REQUESTS:
            raise QuotaExceeded(on, "it is too busy.")
        if told is None:
            raise MalformedResponse(on, f"it answered {call.what!r} with status {reply.status} and no JSON.")
        text = reply.text.replace(self._token, "…") if self._token else reply.text
        try:
            rows = call.parse(told)
        except JobRefused as declined:
            if declined.code == ACCESS_DENIED:
                raise AuthenticationFailed(on, f"the account may not do this there: {declined}", _LOGIN) from None
            # For an action, the documents list no code but "2, a failure": a time-out of its own comes in the same form.
            says = f"it replied: {without_stop(str(declined))} (error {declined.code})"
            raise TargetFault(on, says, code=declined.code, is_refusal=http.is_refused(reply.status)) from None
        except BadOutput as error:
            raise MalformedResponse(on, f"{error}.") from None
        if reply.status >= http.MULTIPLE_CHOICES:
            says = f"it answered with status {reply.status}."
            raise TargetFault(on, says, code=reply.status, is_refusal=http.is_refused(reply.status))
        return rows, text, total_jobs(told) if call.page else None


def is_web(what: str) -> bool:
    """Whether a row of the catalogue is a call of the web service."""
    return what in CALLS


async def _renew(client: http.Client, dead: str) -> str:
    """A new token for an old one; "" where it cannot be renewed."""
    told = {"sessionId": dead, "deviceId": _DEVICE}
    reply = await http.send(client, "POST", "RenewLoginToken", _token_header(dead), told)
    return await asyncio.to_thread(_token_of, reply)


def _not_whole(on: str, came: int, totals: Collection[int | None]) -> IncompleteResponse:
    """Why a list cannot be taken for all there is."""
    counts = sorted(total for total in totals if total is not None)
    if len(counts) < len(totals):
        return IncompleteResponse(on, f"it does not say how many jobs there are: {came} came, which need not be all.")
    says = (
        f"its list of jobs did not come whole: {came} of {' or '.join(map(str, counts))}, in up to {_MOST_PAGES} pages."
    )
    return IncompleteResponse(on, says, "Ask again: jobs that begin or end meanwhile move the pages.")


def _token_header(token: str) -> dict[str, str]:
    return {"Authtoken": token} if token else {}


def _token_of(reply: http.Reply) -> str:
    """The token; "" for none, or for what is none by its letters. Beside the loop: whatever answers may send megabytes."""
    told = reply.json()
    token = told.get("token") if isinstance(told, dict) and reply.status == http.OK else None
    if not isinstance(token, str) or len(token) > LONGEST_TOKEN:
        return ""
    return token if _TOKEN.fullmatch(token) else ""


def _no_login(on: str, reply: http.Reply, mask: Redactor) -> AuthenticationFailed:
    """Why there is no token, in the product's own words; masked before they are cut, for half a password is found by no mask."""
    told = reply.json()
    told = told if isinstance(told, dict) else {}
    errors = told.get("errList")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    says = str(first.get("errLogMessage") or told.get("errorMessage") or f"status {reply.status}")
    says = strip_end(mask.redact_text(clip(says, 300)))  # what this mask knows is masked before the cut, too
    seconds = told.get("remainingLockTime")
    is_time = isinstance(seconds, int) and seconds > 0
    locked = f" The account is locked for {seconds} s more." if told.get("isAccountLocked") and is_time else ""
    return AuthenticationFailed(on, f"it does not take the login: {says}.{locked}", _LOGIN)


def _check_login(on: str, service: WebService) -> None:
    """Check that there is a login, and that it goes out over TLS only. Raises PolicyViolation."""
    if not (service.username and service.password):
        raise PolicyViolation(on, "no login is set for it ([credentials.commvault]).")
    http.check_tls(on, service.url, _SECTION)
