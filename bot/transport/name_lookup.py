"""Look up names on threads of their own, so many at a time: a name server that is silent keeps nobody else's work waiting.

Nothing ends a look-up but the resolver itself. asyncio makes all of them on the few threads that reads of the ledger and
everything else wait for as well: some that hang hold up the whole bot. So whoever has names to look up has places of their
own for that, shared between people; and whatever library asks the loop (httpx, psycopg, asyncio itself) finds those of `Loop`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from bot.transport.turns import Slots

AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
_OF_THE_LOOP = 32  # names at a time; a person gets half of them
_LONGEST = 60.0  # seconds that anybody waits who does not say how long; glibc gives up after half a minute


class ResolverBusy(TimeoutError):
    """In all that time the places were taken by names that were asked for before."""


class NameLookup:
    """Looks up so many names at a time."""

    def __init__(self, at_once: int) -> None:
        """Share so many places; a person gets half of them."""
        self._places = Slots(at_once)

    async def find(self, name: str, port: int, ends: float, **asked: Any) -> list[AddressInfo]:
        """What the resolver says, in its order. A place is free when its thread is, not when the caller has left.

        Args:
            name: the name.
            port: that each address is told with.
            ends: until when anybody waits, on the loop's clock.
            asked: what else getaddrinfo takes.

        Raises:
            ResolverBusy, TimeoutError: it was not looked up in time, or there was no answer.
            OSError, UnicodeError: there is no such name, or the resolver cannot say.
        """
        try:
            who = await self._places.acquire(ends)
        except TimeoutError:
            raise ResolverBusy from None
        loop = asyncio.get_running_loop()
        looking: asyncio.Future[list[AddressInfo]] = loop.create_future()
        looking.add_done_callback(partial(self._looked_up, who))
        look = partial(socket.getaddrinfo, name, port, **asked)
        # a daemon: the end of the process waits for no name server
        threading.Thread(target=_look, args=(look, loop, looking), name="resolve", daemon=True).start()
        async with asyncio.timeout_at(ends):
            return await asyncio.shield(looking)

    async def getaddrinfo(self, host: Any, port: Any, **asked: Any) -> list[AddressInfo]:
        """As a loop has it, for libraries that ask one. Raises socket.gaierror also where there was no answer in a minute."""
        try:
            return await self.find(host, port, asyncio.get_running_loop().time() + _LONGEST, **asked)
        except TimeoutError:
            raise socket.gaierror(socket.EAI_AGAIN, "the resolver does not answer") from None

    async def getnameinfo(self, address: Any, flags: int = 0) -> tuple[str, str]:
        """Likewise, of an address as it is: no name server is asked."""
        return socket.getnameinfo(address, flags | socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)

    def _looked_up(self, who: str, done: asyncio.Future[Any]) -> None:
        self._places.release(who)
        if not done.cancelled():
            done.exception()  # looked at: the caller may have left, and nobody else would


class Loop(asyncio.SelectorEventLoop):
    """The event loop of a bot or a worker: what looks names up on it takes none of the threads that others wait for."""

    def __init__(self) -> None:
        """Begin with nothing to look up."""
        super().__init__()
        self._names = NameLookup(_OF_THE_LOOP)

    async def getaddrinfo(self, host: Any, port: Any, **asked: Any) -> list[AddressInfo]:  # type: ignore[override]
        """Look up a name. Raises socket.gaierror."""
        return await self._names.getaddrinfo(host, port, **asked)


def _look(
    look: Callable[[], list[AddressInfo]], loop: asyncio.AbstractEventLoop, looking: asyncio.Future[list[AddressInfo]]
) -> None:
    told: list[AddressInfo] | BaseException
    try:
        told = look()
    except BaseException as error:  # noqa: BLE001 - whoever waits hears of it
        told = error
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(_tell, looking, told)


def _tell(looking: asyncio.Future[list[AddressInfo]], told: list[AddressInfo] | BaseException) -> None:
    if looking.done():
        return
    if isinstance(told, BaseException):
        looking.set_exception(told)
    else:
        looking.set_result(told)
