"""What a long answer took goes back to the machine: of the bot and of a worker alike."""

from __future__ import annotations

import contextlib
import ctypes

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of mallopt [doc: malloc.h of glibc]
_LARGE_PIECE = 128 * 1024  # bytes


def give_memory_back() -> None:
    """Let glibc give large pieces back at once, and keep no pool for each thread: one long answer is not kept for ever."""
    with contextlib.suppress(AttributeError, OSError):  # another libc has no such thing
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_PIECE)
        libc.mallopt(_M_ARENA_MAX, 2)
