"""The server on loopback: SQL Server as far as a driver, a handful of statements and a few troubles go."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Callable
from itertools import count
from types import TracebackType
from typing import Self

from lab.sqlserver.connection import Connection
from lab.sqlserver.fault_injection import Trouble
from lab.sqlserver.locks import Locks
from lab.sqlserver.store import Instance
from lab.sqlserver.wire.login import Policy
from lab.sqlserver.wire.tls import Wire

_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
_FIRST_PROCESS = 51  # those below belong to the server itself


class SqlServer:
    """One instance, served in the running event loop; an asynchronous context manager.

    Args:
        instance: what it holds.
        address: in 127.0.0.0/8.
        encryption: "none", "login" (as the client wishes, at least for the login where it can) or "full".
        tls: the server's certificate; TLS 1.2 at most, as TDS 7.4 speaks it.
        settle: lets what is due in the world happen before a statement runs.

    Attributes:
        trouble: what goes wrong on the way.
        statements: every statement that arrived, in order, those of the transaction manager in words.
    """

    def __init__(
        self,
        instance: Instance,
        address: str = "127.0.0.1",
        *,
        encryption: Policy = "none",
        tls: ssl.SSLContext | None = None,
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        if ipaddress.ip_address(address) not in _LOOPBACK:
            raise ValueError(f"{address} is not a loopback address")
        if encryption != "none" and tls is None:
            raise ValueError("TLS needs a certificate")
        self.instance = instance
        self.address = address
        self.settle = settle
        self.encryption: Policy = encryption
        self.tls = tls
        self.trouble = Trouble()
        self.statements: list[str] = []
        self.locks = Locks()
        self.port = 0
        self._processes = count(_FIRST_PROCESS)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        if tls is not None:
            tls.maximum_version = ssl.TLSVersion.TLSv1_2
            tls.verify_mode = ssl.CERT_NONE  # SQL Server asks no client for a certificate

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._connected, self.address, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._server is not None:
            self._server.close()
        await asyncio.sleep(0)  # a client that was let in a moment ago becomes a task only now
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await Connection(self, Wire(reader, writer), next(self._processes)).serve()
        except asyncio.CancelledError:
            writer.transport.abort()  # the server stops; asyncio's own callback would log a cancelled task
        finally:
            self._connections.discard(task)
