"""Clients of Slack's, which send no secret, and whose replies are bounded: bytes, values, nesting, and nothing compressed.

The SDK reads any reply whole, unpacks it, and makes JSON of it. What answers in Slack's place, or a proxy between, could
fill the bot's memory by a small one. Slack's names are looked up on threads of their own: while a name server is silent about
them, hosts are asked, and the ledger is read, as ever.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.resolver import ThreadedResolver
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.redaction import mask_all_data
from bot.slack.outbound.slack_time import slack_time
from bot.transport.bounds import JsonOutline, TooMuch, parse_json
from bot.transport.name_lookup import NameLookup

# Bytes: the largest honest one, 200 messages of an audit channel, has less than one million. A page of what members write can have
# more, or more objects than `parse_json` takes: it is asked for in smaller ones (`conversation_pages`). The bounds stay what they
# are: a page of 45,000 objects holds up the loop for 70 ms and takes 20 MB, one of three times as many 250 ms and 66 MB, and each
# channel may be read at the same time [measured].
MAX_REPLY = 8 * 2**20
_MAX_OUTLINED = 64 * 2**20  # bytes of a reply of which only an outline is kept
_OUTLINE = 3  # levels: the reply, its list of messages, and what each message says of itself
_SAYS, _TOKEN = ("data", "params", "json"), "token"
_UTF8 = "utf-8"  # what Slack writes, always
_PLAIN = {"Accept-Encoding": "identity"}
_NAMES = 8  # that are looked up at a time: slack.com, where files go, where sockets are; by many calls each
_lookups: WeakKeyDictionary[asyncio.AbstractEventLoop, NameLookup] = WeakKeyDictionary()


def masked_arguments(told: Any) -> Any:
    """The arguments of a call without secrets, and names of arguments are no telling keys.

    The token that it is made with stays, and a number that is an argument itself: it is a count or a length of ours, and what
    others say is below.
    """
    if not isinstance(told, Mapping):
        return mask_all_data(told)
    return {
        name: value if name == _TOKEN or isinstance(value, (int, float)) else mask_all_data(value)
        for name, value in told.items()
    }


class ReplyTooLarge(aiohttp.ClientPayloadError):
    """A reply is larger than any that is read. Of a page, fewer can be asked for."""


class BoundedReply(aiohttp.ClientResponse):
    """A reply that ends as ClientPayloadError where it is larger than any honest one, as one that broke off does.

    It is UTF-8, and nothing of its Content-Type is read but the kind: Python looks up each character set that is named there, or
    beside a parameter, and remembers as long as the process lives each one that it does not know.
    """

    @property
    def content_type(self) -> str:
        """The kind of the body, in lower case."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def charset(self) -> str | None:
        """UTF-8, whatever it calls itself."""
        return _UTF8

    def get_encoding(self) -> str:
        """UTF-8, whatever it calls itself."""
        return _UTF8

    async def text(self, encoding: str | None = None, errors: str = "replace") -> str:
        """The body as text: a proxy's page in another character set is no error of ours. Raises as `read` does."""
        return await super().text(encoding, errors)

    async def read(self) -> bytes:
        """The body. Raises ReplyTooLarge, ClientPayloadError."""
        if self._body is None:
            if self.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
                raise self._refused("it is compressed, which hvops did not ask for", aiohttp.ClientPayloadError)
            self._body = await self._read_within(MAX_REPLY)
        return self._body

    async def _read_within(self, most: int) -> bytes:
        return b"".join([part async for part in self._parts(most)])

    async def _parts(self, most: int) -> AsyncIterator[bytes]:
        size = 0
        async for part in self.content.iter_any():
            size += len(part)
            if size > most:
                raise self._refused(f"it is larger than {most:,} bytes")
            yield part

    async def json(self, *, loads: Callable[[str], Any] = parse_json, **how: Any) -> Any:
        """What it says. Raises ReplyTooLarge, ClientPayloadError, or what aiohttp raises of one that is no JSON."""
        try:
            return await super().json(loads=loads, **how)
        except TooMuch as error:
            raise self._refused(str(error)) from None

    def _refused(self, why: str, kind: type[aiohttp.ClientPayloadError] = ReplyTooLarge) -> aiohttp.ClientPayloadError:
        self.close()  # the rest is not read
        return kind(f"Slack's reply was not read: {why}")


class OutlinedReply(BoundedReply):
    """A reply of which only the outermost levels are kept, while the rest goes by."""

    async def _read_within(self, most: int) -> bytes:
        outline = JsonOutline(_OUTLINE)
        async for part in self._parts(max(most, _MAX_OUTLINED)):
            try:
                outline.add(part)
            except TooMuch as error:
                raise self._refused(str(error)) from None
        return outline.read()


@asynccontextmanager
async def bounded_session(
    seconds: int, reply: type[BoundedReply] = BoundedReply
) -> AsyncIterator[aiohttp.ClientSession]:
    """A session for one call, as the SDK makes one, whose replies are bounded."""
    total = aiohttp.ClientTimeout(total=seconds)
    async with aiohttp.ClientSession(
        connector=connector(), timeout=total, headers=_PLAIN, response_class=reply, auto_decompress=False
    ) as session:
        yield session


async def outlined(client: AsyncWebClient, method: str, arguments: Mapping[str, Any]) -> AsyncSlackResponse:
    """Call a method that only reads, of whose reply an outline is kept: it may be too large to be read otherwise.

    Raises what the SDK raises.
    """
    async with bounded_session(client.timeout, OutlinedReply) as session:
        apart = copy.copy(client)
        apart.session = session
        return await apart.api_call(method, params=dict(arguments), http_verb="GET")


def connector() -> aiohttp.TCPConnector:
    """A way to Slack whose names are looked up apart from all others, with all other ways to Slack on this loop."""
    loop = asyncio.get_running_loop()
    names = _lookups.setdefault(loop, NameLookup(_NAMES))
    return aiohttp.TCPConnector(resolver=ThreadedResolver(cast("asyncio.AbstractEventLoop", names)))


class BoundedWebClient(AsyncWebClient):
    """The Web API. Where no session is given, each call has one of its own.

    Whatever is called goes through one mask here: messages were masked when they were made to fit, windows and Home are by this
    alone.
    """

    async def api_call(self, api_method: str, **call: Any) -> AsyncSlackResponse:
        """Call a method; secrets are masked in all that it says."""
        told = {name: masked_arguments(value) if name in _SAYS else value for name, value in call.items()}
        return await super().api_call(api_method, **told)

    async def _request(self, **call: Any) -> dict[str, Any]:
        async with self._bounded() as client:
            answer = await AsyncWebClient._request(client, **call)  # noqa: SLF001 - where the SDK sends everything
        slack_time(self.base_url).note(answer["headers"].get("Date"))
        return answer

    async def _upload_file(self, **upload: Any) -> Any:
        async with self._bounded() as client:
            return await AsyncWebClient._upload_file(client, **upload)  # noqa: SLF001 - and files

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[AsyncWebClient]:
        """The same client with a session that is bounded; calls go on beside each other, so this one is left alone."""
        if self.session is not None:
            yield self
            return
        async with bounded_session(self.timeout) as session:
            client = copy.copy(self)
            client.session = session
            yield client
