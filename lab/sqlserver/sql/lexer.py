"""Text -> words of Transact-SQL [doc: database identifiers, constants, comments]."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lab.sqlserver import errors

Kind = Literal["word", "name", "string", "number", "variable", "symbol", "end"]
# [doc] reserved-keywords-transact-sql, without those that name functions (COALESCE, CONVERT, NULLIF …): these get 195.
_WORDS = """
    ADD ALL ALTER AND ANY AS ASC AUTHORIZATION BACKUP BEGIN BETWEEN BREAK BROWSE BULK BY CASCADE CASE CHECK
    CHECKPOINT CLOSE CLUSTERED COLLATE COLUMN COMMIT COMPUTE CONSTRAINT CONTINUE CREATE CROSS CURRENT CURRENT_DATE
    CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER CURSOR DATABASE DBCC DEALLOCATE DECLARE DEFAULT DELETE DENY DESC
    DISK DISTINCT DISTRIBUTED DOUBLE DROP DUMP ELSE END ERRLVL ESCAPE EXCEPT EXEC EXECUTE EXISTS EXIT EXTERNAL FETCH
    FILE FILLFACTOR FOR FOREIGN FROM FULL FUNCTION GO GOTO GRANT GROUP HAVING HOLDLOCK IDENTITY_INSERT IDENTITYCOL
    IF IN INDEX INNER INSERT INTERSECT INTO IS JOIN KEY KILL LEFT LIKE LINENO LOAD MERGE NATIONAL NOCHECK
    NONCLUSTERED NOT NULL OF OFF OFFSETS ON OPEN OPTION OR ORDER OUTER OVER PERCENT PIVOT PLAN PRECISION PRIMARY
    PRINT PROC PROCEDURE PUBLIC RAISERROR READ READTEXT RECONFIGURE REFERENCES REPLICATION RESTORE RESTRICT RETURN
    REVERT REVOKE RIGHT ROLLBACK ROWCOUNT ROWGUIDCOL RULE SAVE SCHEMA SECURITYAUDIT SELECT SESSION_USER SET SETUSER
    SHUTDOWN SOME STATISTICS SYSTEM_USER TABLE TABLESAMPLE TEXTSIZE THEN TO TOP TRAN TRANSACTION TRIGGER TRUNCATE
    TSEQUAL UNION UNIQUE UNPIVOT UPDATE UPDATETEXT USE USER VALUES VARYING VIEW WAITFOR WHEN WHERE WHILE WITH
    WRITETEXT
"""
RESERVED = frozenset(_WORDS.split())
_TOKEN = re.compile(
    r"""
      (?P<blank>\s+|--[^\n]*|/\*.*?\*/)
    | (?P<string>N?'(?:[^']|'')*')
    | (?P<bracket>\[(?:[^\]]|\]\])*\])
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<number>\d+(?:\.\d+)?(?![\w$\#@]))  # 1e3 and 0x1F are of types that are not played
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
