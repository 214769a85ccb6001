"""Reading and cutting what somebody else wrote, a machine or a person. Of what is cut, secrets are masked first, for half a secret is found by no mask."""

from __future__ import annotations

import encodings
import html
import pkgutil
import re
from encodings.aliases import aliases

from bot.redaction import clip, clip_line, clip_middle

__all__ = ["clip", "clip_line", "clip_middle", "codec_of", "replace_lone_surrogates", "unescape"]

_HALF = re.compile("[\ud800-\udfff]")
_LONG = re.compile("&#([0-9]{9,})")  # more than any character has; Python makes no number of thousands of digits

# The code pages that Python has. It is asked for none by name that a machine tells: it remembers each one that it has not.
_CODE_PAGES = frozenset(
    name
    for name in (*aliases, *(one.name for one in pkgutil.iter_modules(encodings.__path__)))
    if name.startswith("cp")
)


def codec_of(code_page: int) -> str:
    """The name of a code page of Windows in Python; "" where it has none."""
    name = f"cp{code_page}"
    return name if name in _CODE_PAGES else ""


def unescape(text: str) -> str:
    """The text with its entities of HTML and XML read, however many digits one has."""
    return html.unescape(_LONG.sub(lambda found: f"&#{found[1].lstrip('0')[:8] or '0'}", text))


def replace_lone_surrogates(text: str) -> str:
    """The text with "\ufffd" for each half of a surrogate pair: JSON and command lines can bring one, and no database takes it."""
    return (
        text if _HALF.search(text) is None else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    )
