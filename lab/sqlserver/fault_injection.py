"""What can go wrong on the way, on demand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["drop before", "drop after", "deadlock", "hang"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens once, to one statement.

    Attributes:
        kind: "drop before" cuts the connection before the statement runs, "drop after" when it has run and before
            its answer; "deadlock" makes it the victim (1205); "hang" never answers it.
        matching: a part of the statement's text; that of the transaction manager is "COMMIT TRANSACTION" and so on.
        skip: how many statements that match are left in peace before.
    """

    kind: Kind
    matching: str = ""
    skip: int = 0


@dataclass(slots=True)
class Trouble:
    """The trouble that a server is in. `latency` in seconds, before every answer; `mute`: never answers a login."""

    latency: float = 0.0
    mute: bool = False
    faults: list[Fault] = field(default_factory=list)
    _seen: dict[int, int] = field(default_factory=dict)

    def inject(self, statement: str) -> Kind | None:
        """What happens to this statement; the fault is over with that."""
        for fault in self.faults:
            if fault.matching.casefold() not in statement.casefold():
                continue
            seen = self._seen[id(fault)] = self._seen.get(id(fault), 0) + 1
            if seen > fault.skip:
                self.faults.remove(fault)
                self._seen.pop(id(fault))
                return fault.kind
        return None
