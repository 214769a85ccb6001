"""The one thing a command's `collect` is given: it asks, and says who did not answer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from typing import Protocol, TypeVar

from bot.api.facts import Unknown
from bot.api.queries import Query
from bot.api.rows import Rows

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class QueryClient(Protocol):
    """Asks questions. Failures come back as values, so that one silent host spoils nothing.

    `read` turns rows into a fact inside the same guard: rows that it cannot read (`Unreadable`, or any
    ValueError) make that one target unanswered with the kind "bad reply".
    """

    @property
    def now(self) -> datetime:
        """The time of this request, UTC. The only clock a command may know."""
        ...

    async def query(self, question: Query, read: Callable[[Rows], T]) -> T | Unknown:
        """Ask one question."""
        ...

    async def query_many(self, questions: Mapping[K, Query], read: Callable[[Rows], T]) -> dict[K, T | Unknown]:
        """Ask many at once. The answers carry the keys of the questions, in the same order."""
        ...
