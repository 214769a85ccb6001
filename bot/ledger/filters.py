"""What a reader of the ledger looks for, as a condition of ours and values as parameters."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.ledger.entry import stamp

_FOREVER = "9999"  # sorts behind every time
_MENTIONS = r"""(body LIKE ? ESCAPE '\' OR EXISTS (SELECT 1 FROM blob
    WHERE sha256 IN (json_extract(body, '$.data.report'), json_extract(body, '$.data.evidence'))
    AND CAST(bytes AS TEXT) LIKE ? ESCAPE '\'))"""


@dataclass(frozen=True, slots=True)
class Filter:
    """All that is given must match.

    Attributes:
        kind: one kind, or several.
        actor: the id of a person, exactly.
        ticket: the id of a ticket, exactly.
        target: a name that the entry is about; upper and lower case make no difference.
        since: not before that time.
        until: before that time.
        text: words that all occur in the entry, its report or its evidence.
        before: only numbers below this one, for the next page.
        after: only numbers above this one.
    """

    kind: str | Collection[str] | None = None
    actor: str | None = None
    ticket: str | None = None
    target: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    before: int | None = None
    after: int = 0

    def condition(self) -> tuple[str, list[Any]]:
        """The WHERE of it and the values for its question marks."""
        kinds = [self.kind] if isinstance(self.kind, str) else list(self.kind or ())
        parts: list[tuple[str, Sequence[Any]]] = [("seq > ?", (self.after,))]
        if self.kind is not None:
            parts.append((f"kind IN ({', '.join('?' * len(kinds))})", kinds))
        if self.actor is not None:
            parts.append(("actor = ?", (self.actor,)))
        if self.ticket is not None:
            parts.append(("ticket = ?", (self.ticket,)))
        if self.target is not None:
            parts.append(("instr(' ' || lower(target) || ' ', ' ' || lower(?) || ' ')", (self.target,)))
        if self.before is not None:
            parts.append(("seq < ?", (self.before,)))
        if self.since or self.until:
            bounds = (stamp(self.since) if self.since else "", stamp(self.until) if self.until else _FOREVER)
            parts.append(("at >= ? AND at < ?", bounds))
        parts += [(_MENTIONS, (_like(word),) * 2) for word in (self.text or "").split()]
        return " AND ".join(condition for condition, _ in parts), [value for _, values in parts for value in values]


def _like(word: str) -> str:
    """A LIKE pattern for a word as JSON spells it."""
    spelled = word.replace("\\", "\\\\").replace('"', '\\"')
    for special in ("\\", "%", "_"):
        spelled = spelled.replace(special, f"\\{special}")
    return f"%{spelled}%"
