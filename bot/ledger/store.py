"""One contract for whatever keeps a ledger: the statements that every database understands, and what each has to bring.

One `Store` is one connection under one lock. Writes happen inside `transaction()`, which keeps every other writer out
until it ends: whoever reads the head there is the only one who can append to it, in any process. Nothing that is read
here decides by itself (see `proved`). `sqlite_store` and `postgresql_store` are the stores there are.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, ClassVar, Literal

from bot.errors import LedgerError
from bot.ledger.dialect import Dialect
from bot.ledger.envelope import Entry, decode, is_written_with
from bot.ledger.ticket_row import COLUMNS
from bot.ledger_place import Place

VERIFY = "Run hvops audit verify."
_LISTED = """id, state, ending, requester, approver, digest, open_until, start_by, attempt, target, line,
    first_entry, last_entry"""
_BEFORE_ALL = -(2**63)  # a number that no append ever gave must not be overlooked
StoreName = Literal["sqlite", "postgresql"]
Link = tuple[bytes, bytes, bytes]  # body, previous mac and mac of an entry
Row = tuple[int, bytes, bytes, bytes]  # its number, and those
PAGE = 1000  # entries at once
# What is compared with the entries before anything is decided: with a database that is far away these come with the lock.
CLAIMS = "SELECT name, ticket FROM lock ORDER BY name, rank"
OPEN_SHOWN = f"""SELECT {", ".join(COLUMNS)} FROM ticket
    WHERE state IN ('proposed', 'approved', 'running', 'interrupted')"""  # noqa: S608 - our columns
_TAKE = "INSERT INTO entry (seq, body, previous, mac) VALUES (?, ?, ?, ?)"


class StoreRefuses(LedgerError):
    """What the database holds was in the way: neither another process's transaction, nor a disk that is full or away."""


class CommitUnknown(LedgerError):
    """The connection was lost during a commit: only the ledger itself can tell whether the entries are there."""


class Store(ABC):
    """One connection to the ledger's database. Safe between threads.

    Attributes:
        name: of the kind of database, as entries call it.
        key: with it, every entry that is read is proved by its own mac; without it, whoever reads proves nothing.
        dialect: how this database spells what standard SQL has no word for.
        place: the database, as messages name it.
        patience: for how many seconds a database that is reached over a network may be silent before it is given up.
    """

    name: ClassVar[StoreName]
    dialect: Dialect
    place: Place
    key: bytes | None
    patience: float = 120.0

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""

    @abstractmethod
    def transaction(self, begin: int | None = None) -> AbstractContextManager[None]:
        """Keep every other writer out: everything inside is committed, or nothing is.

        Args:
            begin: the entries from there on are wanted inside: where the way is long, they come with the lock.

        Raises:
            LedgerError: nothing was written.
            CommitUnknown: it is not known whether it was; only from a database that is reached over a network.
        """

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[None]:
        """Everything read inside is of one moment, however long it takes."""

    @abstractmethod
    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Read all rows; question marks stand for the parameters. Raises LedgerError."""

    @abstractmethod
    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Read rows one by one; for a connection of one's own, inside `snapshot()`. Raises LedgerError."""

    @abstractmethod
    def write(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run one statement that writes."""

    @abstractmethod
    def write_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement that writes, for each of these rows of parameters."""

    @abstractmethod
    def rest(self) -> None:
        """Let this transaction stand longer than others while something else is done. Inside a transaction."""

    @abstractmethod
    def check_definitions(self) -> None:
        """The tables, columns, indexes, triggers and views are those of a ledger. Raises LedgerError."""

    @abstractmethod
    def altered_definitions(self) -> str:
        """Which definition is not as a ledger's is, in a sentence, or ""."""

    @abstractmethod
    def integrity(self) -> str:
        """What the database finds wrong beside the bodies of the entries, "ok" for nothing: an index that hides some."""

    @property
    def is_export(self) -> bool:
        """Whether it was written out of a database, to be read: the ledger goes on there."""
        return False

    @abstractmethod
    def again(self) -> Store:
        """Another connection to the same database, only for reading. Raises LedgerError."""

    def head(self) -> Link | None:
        """Body, previous mac and mac of the newest entry; None in an empty ledger."""
        say = self.dialect
        newest = f"SELECT body, previous, mac FROM entry{say.unindexed} ORDER BY seq DESC LIMIT 1"  # noqa: S608 - our words
        found = self.rows(f"SELECT {say.body()}, previous, mac FROM ({newest}) AS newest")  # noqa: S608 - our words
        return found[0] if found else None

    def insert(self, seq: int, body: bytes, previous: bytes, mac: bytes) -> None:
        """Append an entry; the columns and the ticket table follow by themselves."""
        row = (seq, body.decode("utf-8"), previous, mac)
        self.write("INSERT INTO entry (seq, body, previous, mac) VALUES (?, ?, ?, ?)", row)
        if self.link(seq) != (body, previous, mac):  # a trigger that is not ours can drop a row without a word
            raise LedgerError(f"{self.place}: entry {seq} was not kept as it was written. Run hvops audit verify.")

    def take(self, rows: Iterable[Row]) -> None:
        """Insert entries as they stand in another store. Inside a transaction, and whoever does so proves them all after that."""
        left = iter(rows)
        while page := list(islice(left, PAGE)):
            self.write_many(_TAKE, [(seq, body.decode("utf-8"), previous, mac) for seq, body, previous, mac in page])

    def link(self, seq: int) -> Link | None:
        """Body, previous mac and mac of an entry, as they lie in the database."""
        say = self.dialect
        found = self.rows(f"SELECT {say.body()}, previous, mac FROM entry{say.unindexed} WHERE seq = ?", (seq,))  # noqa: S608
        return found[0] if found else None

    def select(
        self,
        where: str,
        parameters: Sequence[Any],
        limit: int,
        *,
        newest_first: bool = True,
        kinds: Collection[str] = (),
        ticket: str | None = None,
    ) -> list[Entry]:
        """Entries that match a condition of ours; values only through parameters.

        Raises:
            LedgerError: one of them was altered, or says itself that it is of another kind or ticket than was asked for.
        """
        order = "DESC" if newest_first else "ASC"
        sql = f"SELECT {self._columns} FROM entry WHERE {where} ORDER BY seq {order} LIMIT ?"  # noqa: S608 - our conditions
        rows = self.rows(sql, (*parameters, self.dialect.limit(limit)))
        found = [self.entry_from(row) for row in rows]
        for one in found:
            if (kinds and one.kind not in kinds) or ticket not in (None, one.ticket):
                raise LedgerError(
                    f"{self.place}: the file lists entry {one.seq} under the wrong kind or ticket. {VERIFY}"
                )
        return found

    def with_id(self, entry: str) -> Entry | None:
        """The entry that its writer called so."""
        return next(iter(self.select("id = ?", (entry,), 1)), None)

    def entry_from(self, row: Sequence[Any]) -> Entry:
        """The entry in a row of number, body, previous mac and mac. Raises LedgerError where it is not what was written, or no entry."""
        seq, body, previous, mac = row
        try:
            if self.key is not None and not is_written_with(self.key, previous, body, mac):
                raise LedgerError(f"{self.place}: entry {seq} was altered. {VERIFY}")
            entry = decode(body, mac)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise LedgerError(f"{self.place}: entry {seq} cannot be read: {error}. {VERIFY}") from None
        if entry.seq != seq:
            raise LedgerError(f"{self.place}: entry {entry.seq} is stored in place of entry {seq}. {VERIFY}")
        return entry

    def walk(self, begin: int = _BEFORE_ALL, most: int = -1) -> Iterator[Row]:
        """Number, body, previous mac and mac of the entries from a number on. Inside a snapshot or a transaction.

        From the table itself: an index that somebody added, and that leaves out the newest, would do as well for SQLite.
        """
        say = self.dialect
        sql = f"SELECT seq, {say.body()}, previous, mac FROM entry{say.unindexed} WHERE seq >= ? ORDER BY seq LIMIT ?"  # noqa: S608
        yield from self.stream(sql, (begin, say.limit(most)))

    def mac_of(self, seq: int) -> bytes | None:
        """The mac of an entry; None where there is none of that number."""
        found = self.rows(f"SELECT mac FROM entry{self.dialect.unindexed} WHERE seq = ?", (seq,))  # noqa: S608 - our words
        return found[0][0] if found else None

    def length(self) -> int:
        """The number of the newest entry; 0 where there is none."""
        return int(self.rows(f"SELECT coalesce(max(seq), 0) FROM entry{self.dialect.unindexed}")[0][0])  # noqa: S608

    def below_first(self) -> int | None:
        """The number of a row below 1, which no append ever gives and no walk from the first entry on meets; None for none."""
        found = self.rows(below_first(self.dialect))[0][0]
        return None if found is None else int(found)

    def open_shown(self) -> list[tuple[Any, ...]]:
        """The rows of the tickets that the table shows as open, a value for each of `COLUMNS`."""
        return self.rows(OPEN_SHOWN)

    def shown_tickets(self, names: Sequence[str]) -> list[tuple[Any, ...]]:
        """Those columns of the whole ticket table."""
        return self.rows(f"SELECT {', '.join(names)} FROM ticket")  # noqa: S608 - our columns

    def blobs(self) -> Iterator[tuple[str, bytes | None]]:
        """All blobs with the digests that they are kept by; None for what is no bytes any more. Inside a snapshot."""
        yield from self.stream(f"SELECT sha256, {self.dialect.raw('bytes')} FROM blob")  # noqa: S608 - our words

    def blob_digests(self) -> frozenset[str]:
        """Of all blobs."""
        return frozenset(row[0] for row in self.rows("SELECT sha256 FROM blob"))

    def naming_blob(self, sha256: str) -> int | None:
        """The first entry that names a blob."""
        say = self.dialect
        sql = f"SELECT seq FROM entry WHERE ? IN ({say.field('report')}, {say.field('evidence')}) ORDER BY seq LIMIT 1"  # noqa: S608
        return next((row[0] for row in self.rows(sql, (sha256,))), None)

    def named_blobs(self) -> Iterator[tuple[str | None, str | None]]:
        """The digests of report and evidence, as each answer and outcome names them. Inside a snapshot."""
        say = self.dialect
        sql = f"SELECT {say.field('report')}, {say.field('evidence')} FROM entry WHERE kind IN ('answered', 'outcome')"  # noqa: S608
        yield from self.stream(sql)

    def tickets(self, states: Collection[str]) -> list[str]:
        """The ids of the tickets in those states, oldest first."""
        marks = ", ".join("?" * len(states)) or "NULL"
        sql = f"SELECT id FROM ticket WHERE state IN ({marks}) ORDER BY number"  # noqa: S608 - question marks
        return [row[0] for row in self.rows(sql, tuple(states))]

    def listed(self, states: Collection[str], limit: int, *, newest_first: bool) -> list[tuple[Any, ...]]:
        """Rows of the ticket table, without reading a single entry, and no more of them than are wanted."""
        order = "DESC" if newest_first else "ASC"
        of_one = f"SELECT * FROM (SELECT {_LISTED}, number FROM ticket WHERE state = ? ORDER BY number {order} LIMIT ?) AS of_one"  # noqa: S608
        sql = f"{' UNION ALL '.join([of_one] * len(states))} ORDER BY number {order} LIMIT ?"
        most = self.dialect.limit(limit)
        told = [word for state in states for word in (state, most)]
        return [row[:-1] for row in self.rows(sql, (*told, most))] if states else []

    def counted(self) -> dict[str, int]:
        """How many tickets are in each state that any is in, ended ones left out: there may be very many."""
        sql = "SELECT state, count(*) FROM ticket WHERE state IN ('proposed', 'approved', 'running', 'interrupted') GROUP BY state"
        return {str(state): int(count) for state, count in self.rows(sql)}

    def with_line(self, line: str) -> list[tuple[Any, ...]]:
        """Rows of the ticket table with that very line, the newest first."""
        sql = f"SELECT {_LISTED} FROM ticket WHERE line = ? ORDER BY number DESC"  # noqa: S608 - our columns
        return self.rows(sql, (line,))

    def untold_ends(self) -> list[str]:
        """The ids of the ended tickets whose end no thread tells whole, nor, where they had no message, anybody directly; oldest first."""
        say = self.dialect
        what = say.field("what", "told")
        sql = f"""SELECT id FROM ticket WHERE state = 'ended' AND NOT EXISTS (
            SELECT 1 FROM entry AS told WHERE told.ticket = ticket.id AND told.kind = 'shown'
            AND {say.number("entry", "told")} >= ticket.last_entry AND (
                {what} = 'thread-reply' AND {say.field("missing", "told")} IS NULL
                OR {what} = 'missing-part'
                OR {what} = 'direct-message' AND NOT EXISTS (
                    SELECT 1 FROM entry AS placed WHERE placed.ticket = ticket.id AND placed.kind = 'shown'
                    AND {say.field("what", "placed")} = 'ticket-message'))) ORDER BY number"""  # noqa: S608 - our words
        return [row[0] for row in self.rows(sql)]

    def yielding_tickets(self) -> list[str]:
        """The ids of the interrupted tickets that only wait, and gave their locks away for that."""
        yields = self.dialect.is_true("yields_locks", "entry")
        sql = f"""SELECT ticket.id FROM ticket JOIN entry ON entry.seq = ticket.last_entry
            WHERE ticket.state = 'interrupted' AND {yields} ORDER BY ticket.number"""  # noqa: S608 - our words
        return [row[0] for row in self.rows(sql)]

    def overdue(self, now: str) -> list[str]:
        """The ids of the proposals that no one decided in time."""
        return self._late("ticket_late", "proposed", "open_until", now)

    def expiring_approvals(self, now: str) -> list[str]:
        """The ids of the approvals that did not start in time."""
        return self._late("ticket_lapsing", "approved", "start_by", now)

    def _late(self, index: str, state: str, column: str, now: str) -> list[str]:
        # the index is named: SQLite, which has no statistics here, would read all tickets of that state instead
        say = self.dialect
        due = say.moment(column)
        sql = f"""SELECT id FROM ticket{say.by_index(index)} WHERE state = '{state}'
            AND {due} < {say.moment("?")} ORDER BY {due}"""  # noqa: S608 - our own words
        return [row[0] for row in self.rows(sql, (now,))]

    def row(self, seq: int) -> tuple[Any, ...] | None:
        """The row of an entry, as `entry_from` takes it, by its number alone."""
        found = self.rows(f"SELECT {self._columns} FROM entry{self.dialect.unindexed} WHERE seq = ?", (seq,))  # noqa: S608 - ours
        return found[0] if found else None

    def macs_of_ticket(self, ticket: str, after: int, most: int = -1) -> list[tuple[int, bytes]]:
        """Number and mac of the next entries of a ticket behind one, oldest first, as the index has them."""
        asked = "SELECT seq, mac FROM entry WHERE ticket = ? AND seq > ? ORDER BY seq LIMIT ?"
        return [(int(seq), bytes(mac)) for seq, mac in self.rows(asked, (ticket, after, self.dialect.limit(most)))]

    def rows_of_ticket(self, ticket: str, after: int = 0, most: int = -1) -> list[tuple[Any, ...]]:
        """The rows of the next entries of a ticket behind one, as `entry_from` takes them, oldest first, as the index has them."""
        asked = f"SELECT {self._columns} FROM entry WHERE ticket = ? AND seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - ours
        return self.rows(asked, (ticket, after, self.dialect.limit(most)))

    def of_ticket(self, ticket: str) -> list[Entry]:
        """All entries of a ticket, oldest first, as the index has them."""
        return self.select("ticket = ?", (ticket,), -1, newest_first=False, ticket=ticket)

    def newest_switch(self) -> Entry | None:
        """The newest of the entries stop and go; None before the first."""
        found = self.select("kind IN ('stop', 'go')", (), 1, kinds=("stop", "go"))
        return found[0] if found else None

    def stops_shown(self) -> list[Entry]:
        """The entries that say which channel was told of which stop or go, oldest first: few, among very many others."""
        where = f"kind = 'shown' AND {self.dialect.field('what')} = 'stop'"
        return self.select(where, (), -1, newest_first=False, kinds=("shown",))

    def following(self, kinds: Collection[str], after: int, limit: int) -> list[Entry]:
        """The next entries of some kinds, oldest first.

        Walks on from `after`: few entries are new, and an index by kind would give all there ever were.
        """
        marks = ", ".join("?" * len(kinds)) or "NULL"
        sql = f"""SELECT {self._columns} FROM entry{self.dialect.unindexed} WHERE seq > ? AND kind IN ({marks})
            ORDER BY seq LIMIT ?"""  # noqa: S608 - question marks
        rows = self.rows(sql, (after, *kinds, self.dialect.limit(limit)))
        return [self.entry_from(row) for row in rows]

    def last_published(self) -> int:
        """The newest entry up to which the audit channel has been told all; 0 before the first."""
        say = self.dialect
        published = say.number("last_published")
        sql = f"""SELECT {published} AS published FROM entry{say.unindexed}
            WHERE kind IN ('shown', 'anchor') AND {published} IS NOT NULL ORDER BY seq DESC LIMIT 1"""  # noqa: S608 - our words
        found = self.rows(sql)
        return int(found[0][0]) if found else 0

    def locks(self) -> dict[str, str]:
        """Which ticket holds which lock."""
        return {name: line[-1] for name, line in self.lock_claims().items()}

    def lock_claims(self) -> dict[str, tuple[str, ...]]:
        """The tickets that claim each lock; the last one holds it."""
        claims: dict[str, tuple[str, ...]] = {}
        for name, ticket in self.rows(CLAIMS):
            claims[name] = (*claims.get(name, ()), ticket)
        return claims

    def put_blob(self, sha256: str, data: bytes) -> None:
        """Keep bytes by their digest; the same bytes are kept once."""
        self.write("INSERT INTO blob VALUES (?, ?) ON CONFLICT DO NOTHING", (sha256, data))

    def blob(self, sha256: str) -> bytes | None:
        """The bytes of that digest, or None where they were dropped or never were. Raises LedgerError for others."""
        found = self.rows(f"SELECT {self.dialect.raw('bytes')} FROM blob WHERE sha256 = ?", (sha256,))  # noqa: S608
        if found and (found[0][0] is None or hashlib.sha256(found[0][0]).hexdigest() != sha256):
            raise LedgerError(f"{self.place}: the raw answer {sha256[:12]}… was altered. Run hvops audit verify.")
        return bytes(found[0][0]) if found else None

    def blob_size(self, sha256: str) -> int | None:
        """How many bytes `blob` would return, without reading them; None where they were dropped or never were."""
        found = self.rows("SELECT length(bytes) FROM blob WHERE sha256 = ?", (sha256,))
        return found[0][0] if found else None

    def with_samples(self, on: str, what: str, since: str, among: range, most: int) -> list[Entry]:
        """The newest answers and proposals among some entries that carry samples about a target, since a time, newest first.

        Walks back through these numbers of entries, from the first of that time on: an index could leave entries out.
        """
        say = self.dialect
        sql = f"""SELECT {self._columns} FROM entry{say.unindexed}
            WHERE seq >= ? AND seq < ? AND kind IN ('answered', 'proposed') AND at >= ? AND EXISTS (
                SELECT 1 FROM {say.elements("samples", "entry", "sample")}
                WHERE lower({say.member("sample", "on")}) = lower(?) AND {say.member("sample", "what")} = ?)
            ORDER BY seq DESC LIMIT ?"""  # noqa: S608 - our columns
        return [self.entry_from(row) for row in self.rows(sql, (among.start, among.stop, since, on, what, most))]

    def rebuild(self, tickets: Sequence[Mapping[str, Any]], claims: Mapping[str, Sequence[str]]) -> None:
        """Put the derived tables back to what the entries say. Inside a transaction."""
        self.write("DELETE FROM ticket")
        self.write("DELETE FROM lock")
        for row in tickets:
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            self.write(f"INSERT INTO ticket ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608 - our columns
        for name, line in claims.items():
            for rank, ticket in enumerate(line):
                self.write("INSERT INTO lock (name, ticket, rank) VALUES (?, ?, ?)", (name, ticket, rank))

    @property
    def _columns(self) -> str:
        """What `entry_from` takes."""
        return f"seq, {self.dialect.body()}, previous, mac"


def below_first(say: Dialect) -> str:
    """The statement that finds a row below 1, by the key of the table: a step or two, however long the ledger is."""
    return f"SELECT min(seq) FROM entry{say.unindexed} WHERE seq < 1"  # noqa: S608 - our words
