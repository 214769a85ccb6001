r"""Text that somebody else's terminal will print, with everything that is no character to read as `\uXXXX`.

For machines' formats (JSON, log lines), where nothing may be lost: `terminal.plain.visible` is for people.
"""

from __future__ import annotations

import json
import re
import unicodedata

_PERHAPS = re.compile("[^\t\n\x20-\x7e]")
# Controls (C1 too: U+009B begins a control sequence), marks that hide or reorder text, halves of characters.
_UNREADABLE = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))


def escape_control_chars(text: str) -> str:
    r"""The text with each unreadable character as JSON writes it: "\u001b", or two of them beyond U+FFFF."""
    return _PERHAPS.sub(_written, text)


def _written(found: re.Match[str]) -> str:
    if unicodedata.category(found[0]) not in _UNREADABLE:
        return found[0]
    return "\\u007f" if found[0] == "\x7f" else json.dumps(found[0])[1:-1]  # ASCII, so JSON leaves DEL as it is
