"""What a console program's output looks like as bytes: code pages and streams."""

from __future__ import annotations

import base64
import codecs

# Code pages whose Python name is not cp<number>.
_NAMED = {65001: "utf-8", 1200: "utf-16-le", 20127: "ascii", 28591: "latin-1"}


def encode(text: str, code_page: int | None) -> bytes:
    """Text in a code page; what it lacks becomes a question mark. None is UTF-16LE.

    Windows has a best-fit table per code page that would turn some characters into look-alikes first; which, no public
    page lists, so the question mark stands for all [inf].

    Raises:
        LookupError: there is no such code page.
    """
    if code_page is None:
        return text.encode("utf-16-le", "surrogatepass")
    name = codecs.lookup(_NAMED.get(code_page, f"cp{code_page}")).name
    return text.encode(name, "replace")


class Stream:
    """Output not yet read."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)

    @property
    def empty(self) -> bool:
        """Whether all of it has been read."""
        return not self._data

    def take(self, room: int) -> str:
        """The next bytes in base64, no more characters than `room`."""
        size = max(room, 0) // 4 * 3
        chunk, self._data = self._data[:size], self._data[size:]
        return base64.b64encode(chunk).decode("ascii")
