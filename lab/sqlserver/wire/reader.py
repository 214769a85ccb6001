"""Reading TDS's little shapes out of bytes. Everything is little-endian but packet headers."""

from __future__ import annotations

from lab.sqlserver import errors


class Reader:
    """A place in bytes. Reading past the end raises SqlError: the client sent half a message."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    @property
    def is_done(self) -> bool:
        """Whether nothing is left."""
        return self.at >= len(self.data)

    def take(self, count: int) -> bytes:
        """So many bytes."""
        piece = self.data[self.at : self.at + count]
        if len(piece) < count or count < 0:
            raise errors.broken_stream("The message ends too early.")
        self.at += count
        return piece

    def number(self, size: int, *, signed: bool = False) -> int:
        """An integer of so many bytes."""
        return int.from_bytes(self.take(size), "little", signed=signed)

    def byte(self) -> int:
        """BYTE."""
        return self.number(1)

    def ushort(self) -> int:
        """USHORT."""
        return self.number(2)

    def text(self, characters: int) -> str:
        """Text in UTF-16."""
        return self.take(characters * 2).decode("utf-16-le", "replace")

    def short_text(self) -> str:
        """B_VARCHAR: a byte with the length, then text."""
        return self.text(self.byte())


def short_text(text: str) -> bytes:
    """B_VARCHAR. Longer than 255 characters is cut, as nothing that long has a name."""
    text = text[:255]
    return bytes([len(text)]) + text.encode("utf-16-le")


def long_text(text: str) -> bytes:
    """US_VARCHAR: two bytes of length."""
    text = text[:4000]
    return len(text).to_bytes(2, "little") + text.encode("utf-16-le")


def number(value: int, size: int) -> bytes:
    """An integer, signed where it is negative."""
    return value.to_bytes(size, "little", signed=value < 0)
