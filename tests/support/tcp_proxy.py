"""A TCP proxy that does to connections what networks do: delays, resets, refuses, and swallows without a word."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Self


class Proxy:
    """In front of a port of this machine.

    Attributes:
        delay: seconds that every piece waits, each way.
        swallows: whether everything is taken and nothing handed on: at both ends the connection looks well.
        refuses: whether new connections are reset at once.
    """

    def __init__(self, to: int):
        self._to = to
        self.port = 0
        self.delay = 0.0
        self.swallows = self.refuses = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def reset(self) -> None:
        """Reset every connection, at both ends."""
        for writer in list(self._writers):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            _reset(writer)
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            _reset(writer)
            return
        self._writers |= {writer, back}
        passing = [asyncio.create_task(self._pass(*pair)) for pair in ((reader, back), (there, writer))]
        self._tasks |= set(passing)
        try:
            await asyncio.wait(passing)
        finally:
            for task in passing:
                task.cancel()
                self._tasks.discard(task)
            self._writers -= {writer, back}
            for one in (writer, back):
                one.close()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if self.delay:
                    await asyncio.sleep(self.delay)
                if self.swallows:
                    continue
                target.write(data)
                await target.drain()
        if not self.swallows:
            target.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
