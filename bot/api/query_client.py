"""The one thing a command's `collect` is given: it asks, and says who did not answer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from bot.api.queries import Query
from bot.api.rows import Rows

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class QueryFailure:
    """A target that did not answer a question. It is unknown: never fine, never different."""

    target: str
    kind: str  # "timed out", "login refused", "unreachable", "refused", "absent", "bad reply", "too busy",
    # or "not allowed"
    message: str  # a sentence
    hint: str = ""  # what a person can do about it


class QueryClient(Protocol):
    """Asks questions. Failures come back as values, so that one silent host spoils nothing.

    `read` turns rows into a fact inside the same guard: rows that it cannot read (`CellError`, or any
    ValueError) make that one target unanswered with the kind "bad reply".
    """

    @property
    def now(self) -> datetime:
        """The time of this request, UTC. The only clock a command may know."""
        ...

    async def query(self, question: Query, read: Callable[[Rows], T]) -> T | QueryFailure:
        """Ask one question."""
        ...

    async def query_many(self, questions: Mapping[K, Query], read: Callable[[Rows], T]) -> dict[K, T | QueryFailure]:
        """Ask many at once. The answers carry the keys of the questions, in the same order."""
        ...
