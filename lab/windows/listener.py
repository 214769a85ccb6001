"""Listening sockets that open and close at once."""

from __future__ import annotations

import asyncio
import socket
import ssl
from functools import partial

from aiohttp import web

_BACKLOG = 128
_FILLS = 4  # more than a queue of none takes


class Listener:
    """One listening socket, opened and closed at once, whatever the loop is busy with.

    asyncio's own server will not do: closed between taking a connection and making its transport, it leaks the socket.
    """

    def __init__(self, address: str, port: int, factory: web.Server, tls: ssl.SSLContext | None) -> None:
        self._where = (address, port)
        self._factory = factory
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._dark: list[socket.socket] = []
        self._arriving: set[asyncio.Task[object]] = set()

    def open(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        self._lighten()
        if self._socket is not None:
            return
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(self._where)
            listening.listen(_BACKLOG)
        except OSError:
            listening.close()
            raise
        self._socket = listening
        self._loop.add_reader(listening, self._accept, listening)

    def shut(self) -> None:
        """Stop listening, and turn away who has not quite arrived."""
        self._lighten()
        if self._socket is None:
            return
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._socket = None
        for task in self._arriving:
            task.cancel()

    def darken(self) -> None:
        """Let nobody through, and refuse nobody: whoever connects waits in vain, as where the way is cut.

        The queue of a socket that is never accepted from is full; what comes then is left unanswered [Linux].

        Raises:
            OSError: the port is taken.
        """
        if self._dark:
            return
        self.shut()
        deaf = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._dark = [deaf]
        try:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            deaf.bind(self._where)
            deaf.listen(0)
        except OSError:
            self._lighten()
            raise
        for _each in range(_FILLS):
            waiting = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            waiting.connect_ex(self._where)
            self._dark.append(waiting)

    def _lighten(self) -> None:
        dark, self._dark = self._dark, []
        for one in reversed(dark):
            one.close()

    def _accept(self, listening: socket.socket) -> None:
        for _each in range(_BACKLOG):
            try:
                connection, _client = listening.accept()
            except OSError:  # nobody waits any more, or whoever did has gone
                return
            connection.setblocking(False)
            task: asyncio.Task[object] = self._loop.create_task(
                self._loop.connect_accepted_socket(self._factory, connection, ssl=self._tls)
            )
            self._arriving.add(task)
            task.add_done_callback(partial(self._arrived, connection))

    def _arrived(self, connection: socket.socket, task: asyncio.Task[object]) -> None:
        self._arriving.discard(task)
        if task.cancelled() or task.exception() is not None:  # a TLS handshake that failed, most often
            connection.close()
