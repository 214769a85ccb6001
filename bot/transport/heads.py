"""What the head of an answer over HTTP may look like, looked at line by line before any library makes something of it.

Libraries read heads with patterns that go back and forth: a header of forty commas held pywinrm's Kerberos for half a day, one
of thirty thousand blanks h11 for seconds, and whoever answers at a host's address sends such a thing before any login. So what
no honest server sends gets no further than here. Nothing of it is repeated: it may be a secret, in whatever spelling.

A reader that ended a line, a fold or the head elsewhere would read what nobody looked at: Python's reader of mail, behind
http.client, ends a line at a bare carriage return, too, and takes for a body what follows a line that is no header [src].
So both are refused, and control characters. What is not ASCII stays: some servers write UTF-8, and no reader ends a line there.
The reader of mail also looks up the character set that a boundary may name for itself [doc: RFC 2231], and Python remembers each
one that it does not know as long as the process lives: no server names one.
"""

from __future__ import annotations

import re

_LONGEST_LINE = 2**14  # bytes: http.sys sends no longer head [mem]
_LONGEST_LOGIN = 2**16  # bytes of a line that asks for a login, which may carry a token [doc]
# Of what says the kind of a body: Python's reader of mail keeps a pattern for each boundary, five hundred of them [src].
_LONGEST_KIND = 1_024
_MOST_LINES = 4_000
_MOST_BLANKS = 256  # in a row: whoever indents a policy in a configuration sends some dozens
_MOST_FOLDS = 16  # lines that go on with the header before them, which no server may send any more [doc: RFC 9112, 5.2]
_MOST_COMMAS = 16  # in a row, in what asks for a login: a reader has to bear a few [doc: RFC 9110, 5.6.1]
_MOST_PARTS = 64  # of all that asks for a login: three kinds and two of Digest have twenty
_BLANKS = re.compile(rb"[ \t]++")
_COMMAS = re.compile(rb",[ \t,]*+")
_LOGIN = re.compile(rb"(?:www|proxy)-authenticate:", re.IGNORECASE)
_KIND = re.compile(rb"content-type:", re.IGNORECASE)
_MULTIPART = re.compile(rb"multipart", re.IGNORECASE)
_CHARACTERS = re.compile(rb"\*[0-9]*[ \t\x85\xa0]*=")  # as in boundary*=ascii''x, or boundary*0*=ascii''x
_HEADER = re.compile(
    rb"[!-9;-~]++:"
)  # a name without blanks, as readers of mail take it; HTTP has fewer [doc: RFC 9110, 5.6.2]
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # all but a tab
_INTERIM = re.compile(rb"HTTP/[0-9.]{1,8} 1(?!01)[0-9]{2}(?![0-9])")


class OddHead(ValueError):
    """A head is what no honest server sends."""


class LongHead(OddHead):
    """A head is longer than any honest one."""


class HeadCheck:
    """Looks at what comes in answer to one request, in pieces, up to the end of its head; interim answers (1xx) come before it."""

    def __init__(self, longest: int, longest_line: int = _LONGEST_LINE, *, is_all_head: bool = False) -> None:
        """Nothing has come yet.

        Args:
            longest: how many bytes all of it may have.
            longest_line: how many bytes a line may have that does not ask for a login.
            is_all_head: whether nothing but heads is looked at, whatever it seems to be.
        """
        self._longest = longest
        self._longest_line = longest_line
        self._is_all_head = is_all_head
        self._line = bytearray()
        self._came = self._lines = self._folds = self._parts = 0
        self._is_first, self._is_interim, self._is_login = True, False, False
        self._is_header = False  # whether the line before was a header, or went on with one
        self._kind = b""  # the line that says the kind of a body, with those that go on with it
        self._is_over = False

    def feed(self, piece: bytes) -> None:
        """Look at what came next. Raises OddHead, LongHead."""
        if self._is_over:
            return
        *whole, rest = piece.split(b"\n")
        for part in whole:
            self._add(part + b"\n")
            line = bytes(self._line).removesuffix(b"\n").removesuffix(b"\r")
            self._line.clear()
            if self._take(line):
                return
        self._add(rest)

    def _add(self, part: bytes) -> None:
        self._line += part
        self._came += len(part)
        self._check_length()

    def _check_length(self) -> None:
        most = max(_LONGEST_LOGIN, self._longest_line) if _LOGIN.match(self._line) else self._longest_line
        if len(self._line) > most:
            raise LongHead(f"the head of its answer is too long: a line of it has more than {most:,} bytes")
        if self._came > self._longest:
            raise LongHead(f"the head of its answer is too long: it has more than {self._longest:,} bytes")

    def _take(self, line: bytes) -> bool:
        """Look at a whole line. Answers whether the head ends with it."""
        self._lines += 1
        if self._lines > _MOST_LINES:
            raise LongHead(f"the head of its answer is too long: it has more than {_MOST_LINES:,} lines")
        if any(len(found) > _MOST_BLANKS for found in _BLANKS.findall(line)):
            raise OddHead(f"the head of its answer has more than {_MOST_BLANKS} blanks in a row")
        _check_characters(line)
        is_fold = line[:1] in (b" ", b"\t")
        if not line:
            self._is_over, self._is_first, self._is_interim = not (self._is_interim or self._is_all_head), True, False
        elif self._is_first:
            self._is_first, self._is_interim = False, bool(_INTERIM.match(line))
            self._is_header = False
        elif not (self._is_header if is_fold else _HEADER.match(line)):
            raise OddHead("a line of the head of its answer is no header")
        else:
            self._is_header = True
        self._check_kind(line, is_fold=is_fold)
        if is_fold:
            self._folds += 1
            if self._folds > _MOST_FOLDS:
                raise OddHead(
                    f"the head of its answer has more than {_MOST_FOLDS} lines that go on with the one before"
                )
        else:
            self._is_login = bool(_LOGIN.match(line))
        if self._is_login:
            self._check_login(line)
        return self._is_over

    def _check_kind(self, line: bytes, *, is_fold: bool) -> None:
        self._kind = self._kind + line if (self._kind if is_fold else _KIND.match(line)) else b""
        if len(self._kind) > _LONGEST_KIND:
            raise LongHead(
                f"the head of its answer is too long: its Content-Type has more than {_LONGEST_KIND:,} bytes"
            )
        if _MULTIPART.search(self._kind) and _CHARACTERS.search(self._kind):
            raise OddHead("the boundary of its answer is in a character set of its own")

    def _check_login(self, line: bytes) -> None:
        if any(found.count(b",") > _MOST_COMMAS for found in _COMMAS.findall(line)):
            raise OddHead(f"its answer asks for a login with more than {_MOST_COMMAS} commas in a row")
        self._parts += 1 + line.count(b",")
        if self._parts > _MOST_PARTS:
            raise OddHead(f"its answer asks for a login in more than {_MOST_PARTS} parts")


def _check_characters(line: bytes) -> None:
    found = _CONTROL.search(line)
    if found is not None:
        what = {b"\0": "zero byte", b"\r": "bare carriage return"}.get(found[0], "control character")
        raise OddHead(f"the head of its answer has a {what} in it")
