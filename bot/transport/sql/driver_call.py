"""The other end of `driver_process`: start one, hear how it ended, and end it where nobody waits any more.

What a killed process had not committed, the database rolls back as the connection is gone. Whether it was told to commit
is decided here, so that of anything else it is known that nothing was changed.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from bot import errors
from bot.api.rows import Row
from bot.errors import MalformedResponse, OutcomeUnknown, TargetError, TargetFault, TargetTimeout
from bot.transport.sql.sql_errors import from_database

_LATE = 1.0  # seconds that a driver gets to notice its own deadline
_GRACE = 2.5  # seconds in which a commit past its deadline may still say how it ended
_AT_ONCE = 2**16  # bytes
_LONGEST = 2**20  # bytes of one line: some rows, and a row of the widest columns with every character as an escape
_SECRETS = ("HVOPS_", "PG")  # of the settings, and of the ledger's database or the queue of sites: no driver needs them
_UNREADABLE = "what the ODBC driver's process said cannot be read"
_NO_LOOKS: Mapping[str, Callable[[], None]] = MappingProxyType({})
_ERRORS: dict[str, type[TargetError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, TargetError)
}


class DriverCall:
    """One question or one transaction in a process of its own."""

    def __init__(self, on: str, told: Mapping[str, Any], ends: float) -> None:
        """Take the VMM server's name, what to do (`driver_process`), and until when, on the monotonic clock."""
        self._on = on
        self._told = {**told, "on": on, "ends": ends}
        self._began = time.monotonic()
        self._ends = ends
        self._process: asyncio.subprocess.Process | None = None
        self._is_committing = False

    async def rows(self, looks: Mapping[str, Callable[[], None]] = _NO_LOOKS) -> list[Row]:
        """Run it. `looks` raise Withheld where a transaction may not be made any more: before it begins, and before its commit.

        Each is taken once, in their order: the last of them is the one for the commit.

        Raises:
            OutcomeUnknown: it was cut off while it was committed.
            TargetError: it was not done, and nothing is half done.
        """
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "bot.transport.sql.driver_process"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={name: value for name, value in os.environ.items() if not name.startswith(_SECRETS)},
                limit=_LONGEST,
                start_new_session=True,  # an interrupt at the terminal is ours: a commit is waited for
            )
        except OSError as error:
            raise TargetFault(self._on, f"no process for its driver can be started here: {error}.") from error
        try:
            return await self._until_the_end(process, looks)
        finally:
            await self._gone(process)

    def kill(self) -> None:
        """End it, unless it commits."""
        if self._process is not None and not self._is_committing:
            _kill(self._process)

    async def _until_the_end(
        self, process: asyncio.subprocess.Process, looks: Mapping[str, Callable[[], None]]
    ) -> list[Row]:
        hearing = asyncio.create_task(self._hear(process, looks))
        try:
            done, _ = await asyncio.wait({hearing}, timeout=max(0, self._ends - time.monotonic()) + _LATE)
            if not done and self._is_committing:
                done, _ = await asyncio.wait({hearing}, timeout=_GRACE)
        finally:
            hearing.cancel()
            await asyncio.wait({hearing})  # it reads no more
        if done:
            return hearing.result()
        waited = TargetTimeout.after(time.monotonic() - self._began)
        if self._is_committing:
            raise OutcomeUnknown(self._on, f"{waited} Whether the change was made is not known.", "Check again.")
        raise TargetTimeout(self._on, waited)

    async def _hear(self, process: asyncio.subprocess.Process, looks: Mapping[str, Callable[[], None]]) -> list[Row]:
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018 - both are pipes
        with suppress(ConnectionError):  # it is gone already: its output ends, and that is told
            process.stdin.write(f"{json.dumps(self._told)}\n".encode())
            await process.stdin.drain()
        rows: list[Row] = []
        left = dict(looks)
        while (told := await self._told_by(process.stdout)) is not None:
            if "rows" in told:
                if looks and not self._is_committing:
                    raise self._broken(_UNREADABLE)
                if not told["rows"]:
                    return rows
                rows += told["rows"]
                continue
            if "error" in told or "driver" in told:
                raise await asyncio.to_thread(self._error, told)
            at = next(iter(left), "")
            if not at or told["look"] != at:
                raise self._broken(_UNREADABLE)
            await asyncio.to_thread(left.pop(at))  # it may read the ledger, or wait for the queue of a site
            if time.monotonic() >= self._ends:
                raise TargetTimeout(self._on, TargetTimeout.after(self._ends - self._began))
            self._is_committing = not left
            with suppress(ConnectionError):
                process.stdin.write(f"{at}\n".encode())
                await process.stdin.drain()
        raise self._crashed(await process.wait())

    def _error(self, told: dict[str, Any]) -> TargetError:
        """What it ended with. Whoever was told to commit refuses nothing any more."""
        name, *words = told.get("error", [""])
        if self._is_committing and name != OutcomeUnknown.__name__:
            return self._broken(_UNREADABLE)
        if not name:
            return from_database(self._on, tuple(told["driver"]), told["seconds"])
        over = {} if told["code"] is None else {"code": told["code"]}
        return _ERRORS[name](*words, **over)

    async def _told_by(self, output: asyncio.StreamReader) -> dict[str, Any] | None:
        """The next line; None at the end. Raises TargetError for what is none of ours."""
        told: Any = None
        with suppress(ValueError, RecursionError):
            line = await output.readline()
            if not line:
                return None
            told = await asyncio.to_thread(json.loads, line)
        if not isinstance(told, dict) or not _is_ours(told):
            raise self._broken(_UNREADABLE)
        return told

    def _crashed(self, code: int) -> TargetError:
        ended = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"code {code}"
        return self._broken(f"the ODBC driver ended its process with {ended}")

    def _broken(self, says: str) -> TargetError:
        if self._is_committing:
            return OutcomeUnknown(self._on, f"{says} while the change was being committed.", "Check again.")
        do = (
            "Ask again. Where it happens again, either what the server sends is wrong, or the driver: update it, or name"
            " another one below [vmm] in the inventory."
        )
        return MalformedResponse(self._on, f"{says}. Nothing was changed.", do)

    async def _gone(self, process: asyncio.subprocess.Process) -> None:
        """Wait until it is gone. Without its input it ends by itself; a commit that was cancelled may come to its end first."""
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(_GRACE if self._is_committing else _LATE):
                await _read_to_the_end(process)
        except BaseException as error:
            _kill(process)
            await asyncio.shield(_read_to_the_end(process))
            if not isinstance(error, TimeoutError):
                raise


def _is_ours(told: Mapping[str, Any]) -> bool:
    """Whether a line has the shape of one that the process says."""
    if "rows" in told:
        return isinstance(told["rows"], list) and all(isinstance(row, dict) for row in told["rows"])
    if "error" in told:
        words = told["error"]
        is_list = isinstance(words, list) and len(words) == 4 and all(isinstance(word, str) for word in words)  # noqa: PLR2004 - kind, target, says, do
        if not is_list or words[0] not in _ERRORS or "code" not in told:
            return False
        return told["code"] is None or (type(told["code"]) is int and issubclass(_ERRORS[words[0]], TargetFault))
    if "driver" in told:
        said = told["driver"]
        is_list = isinstance(said, list) and all(isinstance(text, str) for text in said)
        return is_list and isinstance(told.get("seconds"), float) and math.isfinite(told["seconds"])
    return isinstance(told.get("look"), str)


def _kill(process: asyncio.subprocess.Process) -> None:
    """End a process that runs, or whose output is held open by what its driver has begun: all of its group.

    Not by its own `kill`, which would take its exit status from under the loop [src: CPython].
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def _read_to_the_end(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    while await process.stdout.read(_AT_ONCE):
        pass
    await process.wait()
