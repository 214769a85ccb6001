"""One session: its options, its transaction, and running statements for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lab.sqlserver import catalog, errors
from lab.sqlserver.errors import SqlError
from lab.sqlserver.locks import Holder, Locks, Transaction
from lab.sqlserver.sql import syntax
from lab.sqlserver.sql.binding import Variables
from lab.sqlserver.sql.columns import Answer
from lab.sqlserver.sql.execute import Place, describe, find, scope_of, select, update
from lab.sqlserver.sql.parser import parse
from lab.sqlserver.store import Database, Instance, Login
from lab.sqlserver.types import INT, TEXT, SqlType, Value
from lab.sqlserver.wire.requests import Call, Parameter

Parameters = Mapping[str, tuple[SqlType, Value]]  # "@p1" in lower case -> its type and value


@dataclass(frozen=True, slots=True)
class Done:
    """A statement that is over. `rows` is None where it counts nothing; `quiet` under SET NOCOUNT ON."""

    command: Literal["SELECT", "UPDATE", "OTHER"]
    rows: int | None = None
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """Something about the session changed that is reported to the client: its transaction, or its database."""

    what: Literal["begun", "committed", "rolled back", "database"]
    new: str | int = ""
    old: str | int = ""


Outcome = Answer | Done | Changed | SqlError


class Session:
    """What one connection is to the server."""

    def __init__(self, process: int, instance: Instance, locks: Locks, login: Login, database: Database) -> None:
        self.process = process
        self.instance = instance
        self.login = login
        self.database = database
        self.locks = locks
        self.transaction: Transaction | None = None
        self.waits_for: Holder | None = None
        self._home = database
        self.reset()

    def reset(self) -> None:
        """As after logging in. Rolls back what is open; a pooled connection is handed on this way."""
        self.rollback([])
        self.database = self._home
        self.lock_timeout = -1
        self.no_count = False
        self.abort_on_error = False
        self.implicit = False
        self.reads_uncommitted = False

    async def run(self, text: str, parameters: Parameters, out: list[Outcome]) -> None:
        """Run a batch; what came of it is appended to `out`, and an error ends it.

        A statement that fails, or is cancelled by the client, is undone; the transaction around it stays open, unless
        the session wants otherwise (XACT_ABORT) or lost a deadlock [doc].
        """
        try:
            for statement in parse(text):
                await self._run_one(statement, parameters, out)
        except SqlError as error:
            out.append(error)
            if self.transaction and (error.number == 1205 or self.abort_on_error):  # noqa: PLR2004 - the deadlock's victim
                self.rollback(out)

    def describe(self, text: str, parameters: Parameters) -> tuple[tuple[str, SqlType], ...] | None:
        """The columns that a batch's first statement would answer. Raises SqlError."""
        statements = parse(text)
        return describe(statements[0], self._place(Transaction(), parameters)) if statements else None

    def undeclared(self, text: str) -> list[tuple[str, SqlType]]:
        """The parameters that a batch uses, with the types they meet. Raises SqlError."""
        found: dict[str, SqlType] = {}
        place = self._place(Transaction(), {})
        for statement in parse(text):
            found |= catalog.undeclared(statement, scope_of(statement, place))
        return list(found.items())

    def as_call(self, text: str) -> Call | None:
        """A batch that is nothing but EXEC of one procedure; None for any other, also one that cannot be read."""
        try:
            statements = parse(text)
        except SqlError:
            return None
        if len(statements) != 1 or not isinstance(statements[0], syntax.Execute):
            return None
        scope = scope_of(statements[0], self._place(Transaction(), {}))
        given = [(name, scope.bind(value)) for name, value in statements[0].arguments]
        parameters = tuple(Parameter(name, one.type, one.read(()), output=False) for name, one in given)
        return Call(statements[0].procedure[-1], parameters)

    def begin(self, out: list[Outcome]) -> None:
        """Open a transaction, or go one deeper."""
        if self.transaction is not None:
            self.transaction.depth += 1
            return
        self.transaction = Transaction()
        out.append(Changed("begun", new=self.transaction.descriptor))

    def commit(self, out: list[Outcome]) -> None:
        """Commit. Raises SqlError 3902 where nothing is open."""
        if self.transaction is None:
            raise errors.no_transaction("COMMIT")
        self.transaction.depth -= 1
        if not self.transaction.depth:
            done, self.transaction = self.transaction, None
            self.locks.release(done)
            out.append(Changed("committed", old=done.descriptor))

    def rollback(self, out: list[Outcome]) -> None:
        """Take everything back that the transaction changed; none need be open."""
        if self.transaction is None:
            return
        undone, self.transaction = self.transaction, None
        undone.undo_to(0)
        self.locks.release(undone)
        out.append(Changed("rolled back", old=undone.descriptor))

    def lose(self, out: list[Outcome]) -> None:
        """Be the victim of a deadlock."""
        out.append(errors.deadlocked(self.process))
        self.rollback(out)

    async def _run_one(self, statement: syntax.Statement, parameters: Parameters, out: list[Outcome]) -> None:
        if isinstance(statement, (syntax.Select, syntax.Update)):
            if self.implicit and self.transaction is None:
                self.begin(out)
            await self._over_rows(statement, parameters, out)
        elif isinstance(statement, syntax.Transact):
            self._transact(statement, out)
            out.append(Done("OTHER"))
        elif isinstance(statement, syntax.SetOption):
            self._set(statement)
            out.append(Done("OTHER"))
        elif isinstance(statement, syntax.Use):
            self._use(statement.database, out)
        elif isinstance(statement, syntax.Forbidden):
            verb = "ALTER" if statement.verb == "TRUNCATE" else statement.verb
            find(self._place(Transaction(), parameters), statement.table, verb)
        else:
            raise errors.no_procedure(".".join(statement.procedure))  # those that are there never come this far

    async def _over_rows(
        self, statement: syntax.Select | syntax.Update, parameters: Parameters, out: list[Outcome]
    ) -> None:
        """Run it in the open transaction, or in one of its own."""
        alone = self.transaction is None
        transaction = self.transaction or Transaction()
        mark = len(transaction.undo)
        place = self._place(transaction, parameters)
        try:
            if isinstance(statement, syntax.Select):
                answer = await select(statement, place)
                out += [answer, Done("SELECT", len(answer.rows), self.no_count)]
            else:
                count, output = await update(statement, place)
                out += [*([output] if output else []), Done("UPDATE", count, self.no_count)]
        except BaseException:
            transaction.undo_to(mark)
            raise
        finally:
            if alone:
                self.locks.release(transaction)

    def _place(self, transaction: Transaction, parameters: Parameters) -> Place:
        depth = self.transaction.depth if self.transaction else 0
        version = ".".join(map(str, self.instance.version))
        known: Parameters = {
            "@@TRANCOUNT": (INT, depth),
            "@@SPID": (INT, self.process),
            "@@VERSION": (TEXT, f"Microsoft SQL Server stand-in - {version}"),
        }
        variables = Variables(parameters, known, self.database.name, self.login.name)
        return Place(
            self.instance,
            self.database,
            self.login,
            self.locks,
            self,
            transaction,
            variables,
            self.reads_uncommitted,
        )

    def _transact(self, statement: syntax.Transact, out: list[Outcome]) -> None:
        if statement.if_open and self.transaction is None:
            return
        if statement.verb == "BEGIN":
            self.begin(out)
        elif statement.verb == "COMMIT":
            self.commit(out)
        elif self.transaction is None:
            raise errors.no_transaction("ROLLBACK")
        else:
            self.rollback(out)

    def _set(self, statement: syntax.SetOption) -> None:
        option, on = statement.option, statement.value == "ON"
        if option == "LOCK_TIMEOUT":
            self.lock_timeout = int(statement.value)
        elif option == "NOCOUNT":
            self.no_count = on
        elif option == "XACT_ABORT":
            self.abort_on_error = on
        elif option == "IMPLICIT_TRANSACTIONS":
            self.implicit = on
        elif option == "ISOLATION":
            self.reads_uncommitted = statement.value == "UNCOMMITTED"
        elif option == "ROWCOUNT" and statement.value != "0":
            raise errors.syntax(statement.value)  # it would cut answers off: not played

    def _use(self, name: str, out: list[Outcome]) -> None:
        if name.casefold() not in self.instance.databases:
            raise errors.no_database(name)
        opened = self.instance.opened(name, self.login)
        if opened is None:
            raise errors.no_access(self.login.name, name)
        out.append(Changed("database", opened.name, self.database.name))
        out.append(Done("OTHER"))
        self.database = opened
