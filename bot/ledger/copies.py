"""The same entries in another store: a ledger that moves into a database, and a file for people to read.

A ledger goes on in one place. Which one, its own chain says: behind the entry `moved` a file takes nothing more. All that is
copied is one transaction there; the switch is that one entry here. So a move that ends half-way leaves

    before the entry      the file, which goes on, and an empty database
    behind it             the file, which is whole and takes nothing more, and an empty database: move again, or take it back
    after the commit      the database, which goes on
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.errors import LedgerError
from bot.ledger.entries import Moved
from bot.ledger.envelope import Entry
from bot.ledger.key import check_places, read_key
from bot.ledger.ledger import Ledger
from bot.ledger.places import open_store
from bot.ledger.sqlite_store import SqliteStore
from bot.ledger.store import Store, StoreName
from bot.ledger.verify import Verification, prove, verify
from bot.ledger_place import Database, Place
from bot.redaction import Redactor

PATIENCE = 600.0  # seconds for a database to take a page of entries, or a large blob
Files = tuple[Path, Path, Path]  # the ledger, its key and its anchors


@dataclass(frozen=True, slots=True)
class Mover:
    """Who moves a ledger: id and name of a person, and the machine they are at."""

    actor: str
    name: str
    host: str

    def entry(self, store: StoreName, address: str) -> Moved:
        """What the ledger says of it."""
        return Moved(store=store, address=address, name=self.name, via="terminal", place=self.host)


def move(
    files: Files, target: Database, mover: Mover, mask: Redactor, step: Callable[[str], None] = lambda _: None
) -> Verification:
    """Move a ledger from its file into an empty database; one that was interrupted goes on. Nobody else may run tickets.

    Args:
        files: the ledger, its key and its anchors.
        target: an empty database, or one that holds this ledger already.
        mover: who does.
        mask: takes secrets out of what is appended.
        step: hears what is done: "proved", "copying", "copied", "closed", "followed", "compared", "committed".

    Returns:
        The proof of the ledger in the database, with its anchors.

    Raises:
        LedgerError: it does not hold, or the database holds something else; or anything was in the way. The file is the
            ledger still, unless the message says otherwise.
    """
    path, key_file, anchor_file = files
    check_places(path, key_file, anchor_file)
    key = read_key(key_file)
    if (told := mask.redact_text(str(target))) != str(
        target
    ):  # the entry would name no database that could be compared
        raise LedgerError(
            f"{path} was not moved: the address of the database, {told}, holds a secret of the settings. Give that another value."
        )
    with ExitStack() as stack:
        source = stack.enter_context(closing(open_store(path, read_only=True)))
        before = verify(path, key, anchor_file)
        if not before.holds:
            raise LedgerError(f"{path} was not moved: {before.says} Run hvops audit verify.")
        step("proved")
        closed = _moved(source)
        _must_be_bound_for(closed, path, target)
        there = stack.enter_context(closing(open_store(target)))
        there.patience = PATIENCE
        if closed is not None and there.mac_of(closed.seq) == closed.mac:
            return verify(target, key, anchor_file)
        ledger = None if closed is not None else stack.enter_context(closing(Ledger(*files, mask)))
        try:
            with there.transaction():
                there.rest()
                there.check_definitions()  # what somebody has prepared there is told before the file is closed
                _must_be_empty(there, f"{path} was not moved: {target} holds another ledger.")
                step("copying")
                last = copy(source, there)
                step("copied")
                there.length()  # it still answers
                if ledger is not None:
                    ledger.append(mover.actor, mover.entry(there.name, str(target)))
                step("closed")
                copy(source, there, last)
                step("followed")
                _compare(source, there, key)
                step("compared")
        except LedgerError as error:
            if _moved(source) is None:
                raise
            says = f"{error} The move ended half-way: {path} is whole and takes no more entries. Run hvops ledger move again"
            raise LedgerError(f"{says}, or with --take-back.") from error
        step("committed")
        there.write("ANALYZE entry, ticket, blob")  # or lists are slow until the server does so by itself
    return verify(target, key, anchor_file)


def take_back(files: Files, target: Database, mover: Mover, mask: Redactor) -> Entry:
    """Let the file go on after a move that ended half-way. Returns the entry that says so.

    The lock of the database is held meanwhile: no commit of that move can arrive any more.

    Raises:
        LedgerError: there was no move, or the database holds the ledger by now; or it cannot be asked.
    """
    with closing(open_store(files[0], read_only=True)) as source:
        closed = _moved(source)
    if closed is None:
        raise LedgerError(f"{files[0]} was not moved, so there is nothing to undo.")
    _must_be_bound_for(closed, files[0], target)
    with (
        closing(open_store(target)) as there,
        closing(Ledger(*files, mask, was_moved=True)) as ledger,
        there.transaction(),
    ):
        there.rest()
        _must_be_empty(there, f"{target} holds the ledger by now: it goes on there, and {files[0]} does not.")
        return ledger.append(mover.actor, mover.entry(ledger.store_name, str(files[0])))


def write_file(place: Place, file: Path) -> int:
    """Write a ledger into a new file of SQLite's, whole or not at all. Returns the number of its newest entry.

    Raises:
        LedgerError: there is such a file already, or the ledger cannot be read.
    """
    if file.exists():
        raise LedgerError(f"{file} is there already. Name a new file.")
    try:
        # In a folder of its own, which nobody else can enter: where others may write, they could have put the draft there.
        with TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
            draft = Path(folder) / file.name
            with closing(open_store(place, read_only=True)) as source, closing(SqliteStore(draft)) as there:
                source.patience = PATIENCE
                with there.transaction():
                    last = copy(source, there)
                if isinstance(place, Database) or source.is_export:
                    there.mark_as_export()  # a second ledger beside the first, if somebody named it by path
                there.write("PRAGMA journal_mode=DELETE")  # one file, which can be opened where nobody may write
            os.link(draft, file)  # unlike a rename, never replaces
    except OSError as error:
        raise LedgerError(f"{file}: {error.strerror or error}.") from error
    return last


def copy(source: Store, there: Store, after: int = 0) -> int:
    """Copy the entries behind one, and every blob that is not there yet. In a transaction there. Returns the newest's number."""
    with source.snapshot():
        there.take((seq, body, previous, mac) for seq, body, previous, mac in source.walk(after + 1))
        known = there.blob_digests()
        for sha256 in sorted(source.blob_digests() - known):
            data = source.blob(sha256)
            if data is not None:
                there.put_blob(sha256, data)
    return there.length()


def _moved(source: Store) -> Entry | None:
    """The entry that closed it; None where it goes on. Raises LedgerError where its newest entry cannot be read."""
    head = source.row(source.length())
    entry = source.entry_from(head) if head else None
    return (
        entry if entry is not None and entry.kind == Moved.kind and entry.fields.get("store") != source.name else None
    )


def _must_be_bound_for(closed: Entry | None, path: Path, target: Database) -> None:
    """A ledger that was moved into one database is in no other one."""
    address = closed.fields.get("address") if closed is not None else str(target)
    if address != str(target):
        raise LedgerError(f"{path} was moved to {address}, not to {target}: it goes on there, or is moved there.")


def _must_be_empty(there: Store, says: str) -> None:
    if there.head() is not None:
        raise LedgerError(says)


def _compare(source: Store, there: Store, key: bytes) -> None:
    """Prove what was copied, before it counts. Raises LedgerError."""
    proof = prove(there, key)
    head = source.head()
    if not proof.holds:
        raise LedgerError(f"What was copied to {there.place} does not hold: {proof.says} Nothing was written there.")
    if head is None or proof.head is None or proof.head.mac != head[2]:
        raise LedgerError(f"What was copied to {there.place} is not all of {source.place}. Nothing was written there.")
