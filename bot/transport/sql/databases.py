"""The databases of VMM servers: questions and transactions, each in a process of its own, with its deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from bot.api.actions import RowTransaction
from bot.api.host_names import host_key
from bot.api.queries import RunReader
from bot.api.rows import Row, format_rows
from bot.config.inventory_file import Vmm
from bot.errors import PolicyViolation, TargetTimeout
from bot.transport.allowlist.sql import QUERIES, Query, changes_of
from bot.transport.sql.connection_string import DatabaseLogin, connection_string
from bot.transport.sql.driver_call import DriverCall
from bot.transport.sql.odbc import drivers
from bot.transport.turns import Slots, earlier_look, last_look

_AT_ONCE = 4  # connections to one server at a time: it is asked a handful of questions


class Databases:
    """The way to all VMM databases of the inventory."""

    def __init__(self, servers: Mapping[str, Vmm], login: DatabaseLogin | None) -> None:
        """Take the servers of the inventory by lower-case name, and the login; None where the settings name none."""
        self._servers = servers
        self._login = login
        self._slots: dict[str, Slots] = {}  # each server has its own: one that trickles keeps nobody from another
        self._running: set[DriverCall] = set()

    async def answer(self, question: RunReader, seconds: float) -> tuple[list[Row], str]:
        """The rows of a question, and the same as text. Raises TargetError."""
        query = _query(question)
        try:
            query.bind(question.params)
        except ValueError as error:
            raise PolicyViolation(question.on, f"{error}.") from None
        rows = await self._run(question.on, {"query": question.what, "params": question.params}, seconds)
        return rows, await asyncio.to_thread(format_rows, rows)

    async def update(self, action: RowTransaction, seconds: float) -> list[Row]:
        """Change rows in one transaction; answers each row as it was.

        Raises:
            OutcomeUnknown: nobody can know whether it was committed until somebody looks.
            TargetError: it was not done, and nothing is half done.
        """
        changes_of(action)
        told = {"database": action.database, "changes": [asdict(row) for row in action.rows]}
        looks = {"begin": earlier_look(action.on), "commit": last_look(action.on)}
        return await self._run(action.on, told, seconds, looks)

    def close(self) -> None:
        """Give up what is under way, but for a commit."""
        for call in list(self._running):
            call.kill()

    def _connection(self, on: str) -> tuple[str, str]:
        """The server's name, and what its driver is told. Raises PolicyViolation."""
        vmm = self._servers.get(host_key(on))
        if vmm is None:
            raise PolicyViolation(
                on, "it is no VMM server of the inventory.", "Add a table [vmm.NAME] to the inventory."
            )
        if self._login is None:
            raise PolicyViolation(on, "no login is set for its database ([credentials.vmm]).")
        return vmm.name, connection_string(vmm, self._login, drivers())

    async def _run(
        self, on: str, told: Mapping[str, Any], seconds: float, looks: Mapping[str, Callable[[], None]] | None = None
    ) -> list[Row]:
        """Once it is its turn, and no longer than the deadline, which counts from here."""
        name, connection = self._connection(on)
        loop = asyncio.get_running_loop()
        slots = self._slots.setdefault(host_key(name), Slots(_AT_ONCE))
        ends = time.monotonic() + seconds
        try:
            who = await slots.acquire(loop.time() + seconds)
        except TimeoutError:
            raise TargetTimeout(name, TargetTimeout.after(seconds)) from None
        call = DriverCall(name, {**told, "connection": connection}, ends)
        self._running.add(call)
        try:
            return await call.rows(looks or {})
        finally:
            self._running.discard(call)
            slots.release(who)


def is_sql(question: RunReader) -> bool:
    """Whether a row of the catalogue is a select."""
    return question.what in QUERIES


def _query(question: RunReader) -> Query:
    query = QUERIES[question.what]
    if query.marked != "reads":
        raise PolicyViolation(question.on, f"{question.what!r} changes things, so no question may run it.")
    return query
