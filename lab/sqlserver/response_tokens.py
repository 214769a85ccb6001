"""What came of a request -> the tokens that tell it, with the DONE tokens in their right kinds and states."""

from __future__ import annotations

from collections.abc import Sequence

from lab.sqlserver.errors import SqlError
from lab.sqlserver.session import Changed, Done, Outcome
from lab.sqlserver.sql.columns import Answer
from lab.sqlserver.wire import tokens
from lab.sqlserver.wire.requests import Parameter
from lab.sqlserver.wire.tokens import DONE, DONE_IN_PROCEDURE, DONE_PROCEDURE, Status

_TRANSACTIONS = {"begun": 8, "committed": 9, "rolled back": 10}
_STATUS_BYTES = slice(1, 3)


class Reply:
    """The reply to one message. Every part but the last says that more follows."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._parts: list[bytes] = []

    def batch(self, out: Sequence[Outcome]) -> None:
        """Tell what a batch did."""
        for outcome in out:
            self._tell(outcome, DONE)
        if not out:
            self._done(DONE, Status.FINAL)

    def procedure(self, out: Sequence[Outcome], returned: Sequence[Parameter]) -> None:
        """Tell what a procedure did."""
        failed = any(isinstance(outcome, SqlError) for outcome in out)
        for outcome in out:
            self._tell(outcome, DONE_IN_PROCEDURE)
        self._parts.append(tokens.return_status(1 if failed else 0))
        self._parts += [tokens.return_value(0, one.name, one.type, one.value) for one in returned]
        self._done(DONE_PROCEDURE, Status.ERROR if failed else Status.FINAL)

    def finished(self, *, in_transaction: bool) -> bytes:
        """The whole reply. The last DONE says that nothing follows, and whether a transaction is open."""
        last = bytearray(self._parts[-1])
        status = Status(int.from_bytes(last[_STATUS_BYTES], "little")) & ~Status.MORE
        if in_transaction:
            status |= Status.IN_TRANSACTION
        last[_STATUS_BYTES] = int(status).to_bytes(2, "little")
        return b"".join(self._parts[:-1]) + bytes(last)

    def _done(self, token: int, status: Status, command: str = "", count: int = 0) -> None:
        self._parts.append(tokens.done(token, status | Status.MORE, command, count))

    def _tell(self, outcome: Outcome, token: int) -> None:
        if isinstance(outcome, Answer):
            self._parts.append(tokens.columns(outcome.columns))
            kinds = [kind for _, kind in outcome.columns]
            self._parts += [tokens.row(zip(kinds, row, strict=True)) for row in outcome.rows]
        elif isinstance(outcome, Done):
            self._tell_done(outcome, token)
        elif isinstance(outcome, Changed):
            self._changed(outcome)
        else:
            self._parts.append(tokens.error(outcome, self._server))
            if token == DONE:
                self._done(token, Status.ERROR)

    def _tell_done(self, outcome: Done, token: int) -> None:
        counts = outcome.rows is not None and not (outcome.quiet and outcome.command != "SELECT")
        if outcome.quiet and token == DONE_IN_PROCEDURE and outcome.command != "SELECT":
            return
        self._done(token, Status.COUNT if counts else Status.FINAL, outcome.command, outcome.rows or 0 if counts else 0)

    def _changed(self, outcome: Changed) -> None:
        if outcome.what == "database":
            self._parts.append(tokens.environment(1, str(outcome.new), str(outcome.old)))
            self._parts.append(tokens.info(5701, f"Changed database context to '{outcome.new}'.", self._server))
            return
        descriptor = outcome.new if outcome.what == "begun" else outcome.old
        self._parts.append(tokens.transaction(_TRANSACTIONS[outcome.what], int(descriptor)))
