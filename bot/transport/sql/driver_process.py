"""The process around the driver: one question or one transaction, told on standard input, answered on standard output.

A line of JSON each. The first says what to do; before a transaction begins and before it is committed it asks with
`{"look": …}` and waits for the same word back. Rows come in lines of `{"rows": …}` that the other end reads one by one, the last
of them with none; or the last line is `{"error": …}`, or `{"driver": …}` with what the driver raised. Only rows of the catalogue are run: what is told here are their names
and values. Where the other end is gone, this ends at once, unless it commits.

No mask is known here: what a server says is cut and made a sentence by the other end, which has them.
The driver is native code, which prints and reads as it likes: none of that may be taken for a line of ours.
"""

from __future__ import annotations

import json
import os
import queue
import resource
import sys
import threading
import time
from contextlib import suppress
from typing import Any, TextIO, cast

from bot.api.actions import RowTransaction, Update
from bot.api.queries import Fields
from bot.api.rows import Row
from bot.errors import TargetError
from bot.private_files import forbid_core_dumps
from bot.transport.allowlist.sql import QUERIES, changes_of
from bot.transport.sql.odbc import DatabaseCall
from bot.transport.sql.sql_errors import DriverError, too_much_memory

_AT_ONCE = 2**16  # characters of a line of rows, and one row more
_MOST_MORE = 128 * 2**20  # bytes of data beyond those before a driver is loaded: an answer's rows have 20 MB at most
_SPARE = 16 * 2**20  # bytes beyond that at which an allocation fails: before that it is said what became too much
_GLANCE = 0.02  # seconds between two looks at how much there is
_saying = threading.Lock()


def main() -> None:
    """Do what the first line says, and say how it ended."""
    forbid_core_dumps()  # its memory holds a password
    most = _data() + _MOST_MORE
    resource.setrlimit(resource.RLIMIT_DATA, (most + _SPARE, most + _SPARE))
    sys.stdin, sys.stdout = _taken_from_the_driver(0, "r"), _taken_from_the_driver(1, "w")
    asked = _Asked(json.loads(sys.stdin.readline()))
    threading.Thread(target=asked.watch, args=(most,), daemon=True).start()
    asked.answer()


def _data() -> int:
    """How many bytes of data this process has, as RLIMIT_DATA counts them [doc: proc, statm]."""
    with open("/proc/self/statm", "rb") as told:  # noqa: PTH123 - no object more than necessary: there may be no room
        return int(told.read().split()[5]) * resource.getpagesize()


def _taken_from_the_driver(number: int, mode: str) -> TextIO:
    """What was under this number, under one that no driver knows: whoever reads or prints there meets nobody."""
    taken = cast("TextIO", os.fdopen(os.dup(number), mode, encoding="utf-8"))
    nobody = os.open(os.devnull, os.O_RDWR)
    os.dup2(nobody, number)
    os.close(nobody)
    return taken


class _Asked:
    """What is to be done."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told
        self._call = DatabaseCall(told["on"], told["connection"], max(0, told["ends"] - time.monotonic()))
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def answer(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            _say_rows(self._rows())
        except TargetError as error:
            _say_error(error)
        except DriverError as error:
            _say({"driver": error.said, "seconds": error.seconds})
        except MemoryError:
            self._end_full()

    def watch(self, most: int) -> None:
        """End all of it once there is more data than that: what a driver says of it, or whether it crashes, is its own matter."""
        with suppress(MemoryError):
            while _data() <= most:
                time.sleep(_GLANCE)
        self._end_full()

    def _end_full(self) -> None:
        if _saying.acquire(timeout=1):  # else a line is half said, which is no line
            _write(_error_line(too_much_memory(self._told["on"])))
        os._exit(1)

    def _rows(self) -> list[Row]:
        if "query" in self._told:
            query = QUERIES[self._told["query"]]
            return self._call.select(query.text, query.bind(_fields(self._told["params"])))
        rows = tuple(
            Update(row["table"], *(_fields(row[name]) for name in ("key", "was", "becomes")))
            for row in self._told["changes"]
        )
        action = RowTransaction(self._told["on"], self._told["database"], rows)
        return self._call.update(changes_of(action), self._look)

    def _look(self, at: str) -> None:
        _say({"look": at})
        while self._lines.get().strip() != at:  # a word for another look lets nothing be done
            pass

    def _listen(self) -> None:
        for line in sys.stdin:
            self._lines.put(line)
        if not self._call.is_committing:
            # Nobody waits any more: the connection goes with the process, and what was not committed with it.
            os._exit(1)


def _fields(told: list[list[Any]]) -> Fields:
    return tuple((name, value) for name, value in told)


def _say_rows(rows: list[Row]) -> None:
    """In pieces: read at once, they would take six times their length over there, and hold everything up meanwhile."""
    piece: list[str] = []
    length = 0
    for row in rows:
        piece.append(json.dumps(row))
        length += len(piece[-1])
        if length > _AT_ONCE:
            _say_piece(piece)
            piece, length = [], 0
    if piece:
        _say_piece(piece)
    _say_piece([])


def _say_piece(rows: list[str]) -> None:
    with _saying:
        _write(f'{{"rows": [{", ".join(rows)}]}}')


def _say(what: dict[str, Any]) -> None:
    with _saying:
        _write(json.dumps(what))


def _say_error(error: TargetError) -> None:
    with _saying:
        _write(_error_line(error))


def _error_line(error: TargetError) -> str:
    told = [type(error).__name__, error.target, error.message, error.hint]
    return json.dumps({"error": told, "code": getattr(error, "code", None)})


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
