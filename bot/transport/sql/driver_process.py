"""The process around the driver: one question or one transaction, told on standard input, answered on standard output.

A line of JSON each. The first says what to do; before a transaction begins and before it is committed it asks with
`{"look": …}` and waits for the same word back. Rows come in lines of `{"rows": …}` that the other end reads one by one, the last
of them with none; or the last line is `{"error": …}`. Only rows of the catalogue are run: what is told here are their names
and values. Where the other end is gone, this ends at once, unless it commits.

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
from typing import Any, TextIO, cast

from bot.api.actions import RowTransaction, Update
from bot.api.queries import Fields
from bot.api.rows import Row
from bot.errors import TargetError
from bot.transport.allowlist.sql import QUERIES, changes_of
from bot.transport.sql.odbc import DatabaseCall

_AT_ONCE = 2**16  # characters of a line of rows, and one row more
_MOST_MEMORY = 512 * 2**20  # bytes of data: whatever a server makes its driver keep, the machine is not filled with it


def main() -> None:
    """Do what the first line says, and say how it ended."""
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # its memory holds a password
    sys.stdin, sys.stdout = _taken_from_the_driver(0, "r"), _taken_from_the_driver(1, "w")
    _Asked(json.loads(sys.stdin.readline())).answer()


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
            code = getattr(error, "code", None)
            _say({"error": [type(error).__name__, error.target, error.message, error.hint], "code": code})

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
            os._exit(
                1
            )  # nobody waits any more: the connection goes with the process, and what was not committed with it


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
    sys.stdout.write(f'{{"rows": [{", ".join(rows)}]}}\n')
    sys.stdout.flush()


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
