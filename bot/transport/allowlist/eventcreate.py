"""What `eventcreate` is told: a note in a host's own Application log, so that its log and our ledger can be matched.

[doc] "Eventcreate", Windows Server: numbers from 1 to 1000, the logs APPLICATION and SYSTEM only, and a source that no
other program uses; the account must be an administrator there.
"""

from __future__ import annotations

import re

from bot.api.queries import Value
from bot.api.rows import Row
from bot.redaction import clip

LONGEST = 900  # characters; a program's arguments and an event hold more, people do not read more
_NOT_PLAIN = re.compile(r"[^\w .,:;()/@{}#+=-]+")


def parse_message(value: Value) -> str:
    """The text of the note: plain characters only, whatever people or plans are called."""
    # what begins with a slash would look like an option
    text = _NOT_PLAIN.sub("_", value.strip()).lstrip("/- ") if isinstance(value, str) else ""
    if not text:
        raise ValueError("takes a sentence")
    return clip(text, LONGEST)


def ignore_output(_output: str) -> tuple[Row, ...]:
    """What it prints is a sentence in the host's language; its exit code says all."""
    return ()
