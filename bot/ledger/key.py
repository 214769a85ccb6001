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
from pathlib import Path

from bot.errors import LedgerError
from bot.ledger.anchors import is_elsewhere
from bot.ledger_place import Database, Place
from bot.private_files import open_to_others

LENGTH = 32
_SEAL = 16  # bytes of a seal: 22 characters


def read_key(path: Path) -> bytes:
    """Read the key. Raises LedgerError where it is missing or is no key."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise LedgerError(
            f"{path}: the key of the ledger is missing. Put it back from where it is kept; "
            "without it nothing can be appended or verified, and no new key is made beside old entries."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"{path}: the key of the ledger cannot be read: {error}.") from error
    with contextlib.suppress(ValueError):
        key = bytes.fromhex(text)
        if len(key) == LENGTH:
            return key
    raise LedgerError(f"{path}: this is no key of a ledger; one is {2 * LENGTH} hexadecimal digits. Put it back.")


def check_places(place: Place, key_file: Path, anchor_file: Path) -> None:
    """Refuse files of a ledger that another account could have written or put there. Raises LedgerError that says what to do.

    Whoever puts a database and a key of their own there decides what was approved. An anchor file that others keep may
    belong to them: its lines are sealed.
    """
    files = (
        () if isinstance(place, Database) else (place, *(place.with_name(place.name + end) for end in ("-wal", "-shm")))
    )
    told = [
        open_to_others(key_file, 0o022),
        *map(open_to_others, files),
        open_to_others(anchor_file, is_kept_by_others=is_elsewhere(place, anchor_file)),
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
