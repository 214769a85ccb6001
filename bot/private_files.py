"""Files that hvops writes: readable by its own account only, whatever the umask of whoever started it."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

MODE = 0o600


@contextmanager
def private_text(path: Path) -> Iterator[TextIO]:
    """A text file that is put in place when it is whole; one that was there before is replaced, its mode with it.

    What is no file, such as a pipe or a terminal, is written to as it is.

    Raises:
        OSError: it cannot be written, and what was there is as it was. So also where another account's link or pipe is
            there: in a folder that many write to, it would lead what is written to them, or over a file of ours.
    """
    _check_planted(path)
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file
        return
    whole = path.resolve()
    descriptor, draft = tempfile.mkstemp(dir=whole.parent, prefix=f".{whole.name}.")
    try:
        os.fchmod(descriptor, MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
        Path(draft).replace(whole)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _check_planted(path: Path) -> None:
    try:
        there = path.lstat()
    except OSError:
        return
    leads_away = stat.S_ISLNK(there.st_mode) or stat.S_ISFIFO(there.st_mode) or stat.S_ISSOCK(there.st_mode)
    if leads_away and there.st_uid not in _trusted():
        raise PermissionError(errno.EPERM, "another account's link or pipe is there", str(path))


def _trusted() -> tuple[int, ...]:
    """Root, whose links /dev/stdout and the like are, and this account."""
    return (0, os.geteuid())
