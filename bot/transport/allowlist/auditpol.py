"""What `auditpol /get … /r` prints, and how subcategories are named to `auditpol /set`.

The report is CSV with six columns: machine, target, subcategory, its GUID, inclusion setting, exclusion setting [cap]. Names
and settings are in the language of Windows; the GUID is not, so rows are told by it. `/set` takes several GUIDs with commas
between, in braces [doc: "auditpol set"].
"""

from __future__ import annotations

import csv
import re

from bot.api.queries import Value
from bot.api.rows import Row
from bot.redaction import clip, clip_line
from bot.transport.allowlist.definitions import BadOutput, lines_of

_GUID = re.compile(r"\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?", re.IGNORECASE)
_NAME, _ID, _SETTING, _LEAST = 2, 3, 4, 5  # columns
_MOST = 64  # subcategories in all of Windows: 59 [doc]


def parse_policy(output: str) -> tuple[Row, ...]:
    """Rows {guid, name, setting}; the GUID in upper case without braces, the setting in the words of the host.

    Raises:
        BadOutput: the report was cut, or there is no subcategory in it.
    """
    text = output.lstrip("\ufeff")
    if text and not text.endswith(("\n", "\r")):
        raise BadOutput("the audit policy breaks off in the middle of a line")
    try:
        table = list(csv.reader(lines_of(text)))
    except csv.Error as error:
        raise BadOutput(f"the audit policy is no CSV: {error}") from None
    rows = []
    for cells in table:
        found = _GUID.fullmatch(cells[_ID].strip()) if len(cells) >= _LEAST else None
        if found:
            rows.append({"guid": found[1].upper(), "name": cells[_NAME].strip(), "setting": cells[_SETTING].strip()})
        elif rows:
            raise BadOutput(f"the audit policy cannot be read at {clip(','.join(cells), 60)}")
    if not rows:
        raise BadOutput(f"there is no subcategory in the audit policy: {clip_line(text, 200)}")
    return tuple(rows)


def parse_done(_output: str) -> tuple[Row, ...]:
    """Nothing: what it says is in the language of Windows, and its exit code counts."""
    return ()


def guids(value: Value) -> str:
    """GUIDs with commas between, as auditpol takes them: each in braces."""
    words = value.split(",") if isinstance(value, str) else []
    found = [_GUID.fullmatch(word) for word in words]
    if not 0 < len(found) <= _MOST or not all(found):
        raise ValueError(f"takes up to {_MOST} GUIDs with commas between")
    return ",".join(f"{{{one[1].upper()}}}" for one in found if one)


def parse_switch(value: Value) -> str:
    """Enable or disable."""
    if value not in ("enable", "disable"):
        raise ValueError("takes enable or disable")
    return str(value)
