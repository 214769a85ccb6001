"""For which ticket and step something is done: what a worker at another site is told beside the action itself.

Who acts says so once (`carrying_out`), as `turns` does for whom something is asked.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from bot.api.actions import Action


@dataclass(frozen=True, slots=True)
class Errand:
    """What an action is done for.

    Attributes:
        ticket: "T-12".
        step: the key of its step in the plan.
        digest: of the plan as it was approved.
        intent: the id of the ledger's entry that says that it is about to be done; nothing is done twice for one of them.
        permitted: every action of the plan, and what would take it back.
    """

    ticket: str
    step: str
    digest: str
    intent: str
    permitted: tuple[Action, ...] = ()

    @property
    def task(self) -> uuid.UUID:
        """What the one task for it is called, whichever bot puts it."""
        return uuid.uuid5(_INTENTS, self.intent)


_INTENTS = uuid.UUID("6f1f0d5c-6f0e-4b53-9f2d-0c9a5c1d7e11")
_errand: ContextVar[Errand | None] = ContextVar("errand", default=None)


@contextmanager
def carrying_out(errand: Errand) -> Iterator[None]:
    """What changes something inside is done for this."""
    token = _errand.set(errand)
    try:
        yield
    finally:
        _errand.reset(token)


def current_errand() -> Errand | None:
    """What is done here; None for what belongs to no step, such as a note in a host's event log."""
    return _errand.get()
