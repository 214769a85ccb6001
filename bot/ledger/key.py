"""The key of the ledger: 32 random bytes in a file of its own, outside the database.

Whoever has the key can write a ledger that verifies; whoever has only the database cannot. The key is made once,
at the first start of an empty ledger, and never again: a new key beside old entries would make all of them look
forged, or hide that somebody took the ledger away.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bot.errors import LedgerError
from bot.ledger.anchors import is_elsewhere
from bot.ledger_place import Database, Place
from bot.private_files import NOT_REGULAR, NotRegularFileError, made_by_others, open_to_others, read_regular

LENGTH = 32
OF_SQLITE = ("-wal", "-shm", "-journal")  # beside its file, and read as a part of it
LOCKS = (".runner", ".board")  # of the process that runs tickets, and of those that show them
_SEAL = 16  # bytes of a seal: 22 characters


def read_key(path: Path) -> bytes:
    """Read the key. Raises LedgerError where it is missing or is no key."""
    try:
        text = read_regular(path).decode("ascii").strip()
    except FileNotFoundError:
        raise LedgerError(
            f"{path}: the key of the ledger is missing. Put it back from where it is kept; "
            "without it nothing can be appended or verified, and no new key is made beside old entries."
        ) from None
    except NotRegularFileError:
        raise LedgerError(f"{path}: {NOT_REGULAR} The key of the ledger is a file. Correct key_file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"{path}: the key of the ledger cannot be read: {error}.") from error
    with contextlib.suppress(ValueError):
        key = bytes.fromhex(text)
        if len(key) == LENGTH:
            return key
    raise LedgerError(f"{path}: this is no key of a ledger; one is {2 * LENGTH} hexadecimal digits. Put it back.")


def check_places(place: Place, key_file: Path, anchor_file: Path) -> None:
    """Refuse files of a ledger that another account could have written or put there. Raises LedgerError that says what to do.

    Whoever puts a database and a key of their own there decides what was approved, and so does whoever puts beside the database
    what SQLite takes for a part of it; whoever holds a lock there lets nothing run. An anchor file that others keep may belong to
    them, or to a group: its lines are sealed.
    """
    is_kept = is_elsewhere(place, anchor_file)
    told = [
        open_to_others(key_file),
        *([] if isinstance(place, Database) else _check_beside(place)),
        open_to_others(anchor_file, 0o002 if is_kept else 0o022, is_kept_by_others=is_kept),
    ]
    if why := next(filter(None, told), ""):
        raise LedgerError(f"The files of the ledger are not hvops' alone. {why}")


def make_key(path: Path) -> bytes:
    """Make the key, whole or not at all, readable by this account only. Another process's key wins."""
    try:
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise LedgerError(f"{path}: the key of the ledger cannot be made: {error.strerror}.") from error
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(LENGTH) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # unlike a rename, never replaces
    finally:
        os.unlink(draft)  # noqa: PTH108 - beside os.link
    return read_key(path)


def seal(key: bytes, label: str, *parts: str) -> str:
    """A short MAC over texts, for what leaves the ledger and comes back: 22 characters of base64url.

    Its key is derived from the ledger's own under the label, so that a seal is never the MAC of an entry, nor one for
    another use.
    """
    own = hmac.digest(key, f"hvops seal: {label}".encode(), "sha256")
    made = hmac.digest(own, json.dumps(parts).encode(), "sha256")[:_SEAL]
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def _check_beside(ledger: Path) -> Iterator[str]:
    """What is wrong with the file of a ledger, and with each that stands beside it where the file itself is, behind all links."""
    yield open_to_others(ledger)
    yield made_by_others(ledger, *OF_SQLITE, *LOCKS)
    with contextlib.suppress(OSError, RuntimeError):  # a ring of links was told
        whole = ledger.resolve()
        yield from (open_to_others(whole.with_name(f"{whole.name}{end}")) for end in (*OF_SQLITE, *LOCKS))
