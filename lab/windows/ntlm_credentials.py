"""Passwords for NTLM, per machine.

pyspnego's accepting side looks passwords up in the file that NTLM_USER_FILE names, one for the whole process. Machines
here have passwords of their own, so the file holds only the one account that is logging in, for as long as that takes,
behind a lock.
"""

from __future__ import annotations

import atexit
import os
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from spnego._ntlm_raw.crypto import ntowfv1  # the store's text form has no room for a password with a colon

_SIGNATURE = b"NTLMSSP\x00"
_AUTHENTICATE = _SIGNATURE + struct.pack("<I", 3)
_UNICODE = 0x1

_lock = threading.Lock()
_path: Path | None = None


@lru_cache(maxsize=4_096)
def _hash(password: str) -> str:
    return ntowfv1(password).hex()


def names_in(token: bytes) -> tuple[str, str] | None:
    """Domain and user, as the client spells them, of an NTLM AUTHENTICATE message anywhere in a token; else None.

    Layout: MS-NLMP 2.2.1.3 [doc].
    """
    start = token.find(_AUTHENTICATE)
    if start < 0:
        return None
    message = token[start:]
    try:
        (flags,) = struct.unpack_from("<I", message, 60)
        return _field(message, 28, flags), _field(message, 36, flags)
    except (struct.error, UnicodeDecodeError):
        return None


def _field(message: bytes, at: int, flags: int) -> str:
    length, _room, offset = struct.unpack_from("<HHI", message, at)
    return message[offset : offset + length].decode("utf-16-le" if flags & _UNICODE else "cp437")


@contextmanager
def holding(domain: str, user: str, password: str | None) -> Iterator[None]:
    """Let pyspnego find this account, and no other, while the block runs; nobody at all without a password."""
    name = f"{domain}\\{user}" if domain else user
    line = "" if password is None else f"{name}:0:{'0' * 32}:{_hash(password)}:[U]:LCT-0\n"
    with _lock:
        path = _file()
        path.write_text(line, encoding="utf-8")
        try:
            yield
        finally:
            path.write_text("", encoding="utf-8")


def _file() -> Path:
    global _path  # noqa: PLW0603 - one file per process, as the environment variable is
    if _path is None or not _path.exists():
        handle, name = tempfile.mkstemp(prefix="ntlm-")  # readable by this user only
        os.close(handle)
        _path = Path(name)
        atexit.register(_remove, _path)
    if os.environ.get("NTLM_USER_FILE") != str(_path):
        os.environ["NTLM_USER_FILE"] = str(_path)
    return _path


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
