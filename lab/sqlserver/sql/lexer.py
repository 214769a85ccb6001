"""Text -> words of Transact-SQL [doc: database identifiers, constants, comments]."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lab.sqlserver import errors

Kind = Literal["word", "name", "string", "number", "variable", "symbol", "end"]
_WORDS = """
    ALTER AND AS ASC BEGIN BETWEEN BY CASE COMMIT CREATE CROSS DECLARE DELETE DESC DISTINCT DROP ELSE END ESCAPE
    EXEC EXECUTE EXISTS FROM FULL FUNCTION GO GRANT GROUP HAVING IF IN INNER INSERT INTO IS JOIN KILL LEFT LIKE
    MERGE NOT NULL ON OR ORDER OUTER PRINT PROC PROCEDURE RETURN RIGHT ROLLBACK SAVE SELECT SET SHUTDOWN TABLE
    THEN TOP TRAN TRANSACTION TRUNCATE UNION UPDATE USE VALUES WAITFOR WHEN WHERE WHILE WITH
"""
RESERVED = frozenset(_WORDS.split())
_TOKEN = re.compile(
    r"""
      (?P<blank>\s+|--[^\n]*|/\*.*?\*/)
    | (?P<string>N?'(?:[^']|'')*')
    | (?P<bracket>\[(?:[^\]]|\]\])*\])
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<variable>@@?[A-Za-z_#$@][\w$\#@]*)
    | (?P<word>[A-Za-z_\#][\w$\#@]*)
    | (?P<symbol><>|<=|>=|!=|[=<>(),.;*?+-])
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One word. `kind` "word" may be a keyword, "name" is a delimited identifier; `text` is without its delimiters."""

    kind: Kind
    text: str
    shown: str  # as it was written, for messages

    def is_(self, *words: str) -> bool:
        """Whether this is one of these keywords or symbols."""
        return self.kind in ("word", "symbol") and self.text.upper() in words

    @property
    def is_reserved(self) -> bool:
        """Whether it can be no name."""
        return self.kind == "word" and self.text.upper() in RESERVED


def tokens(text: str) -> Iterator[Token]:
    """The words, and one of kind "end". Raises SqlError 102 or 105."""
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            if text[at] in "'\"[" or text[at : at + 2].upper() == "N'":
                raise errors.unclosed(text[at + 1 :][:120])
            raise errors.syntax(text[at])
        at = found.end()
        if found.lastgroup != "blank":
            yield _token(found)
    yield Token("end", "", "")


def _token(found: re.Match[str]) -> Token:
    shown, group = found[0], found.lastgroup
    if group == "string":
        return Token("string", shown[shown.index("'") + 1 : -1].replace("''", "'"), shown)
    if group == "bracket":
        return Token("name", shown[1:-1].replace("]]", "]"), shown)
    if group == "quoted":
        return Token("name", shown[1:-1].replace('""', '"'), shown)
    kinds: dict[str, Kind] = {"number": "number", "variable": "variable", "word": "word", "symbol": "symbol"}
    assert group is not None
    return Token(kinds[group], shown, shown)
