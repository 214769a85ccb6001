"""The one thing a command's `collect` is given: it asks, and says who did not answer."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from datetime import datetime
from typing import Protocol, TypeVar

from bot.api.arguments import Target
from bot.api.facts import Known, Unknown
from bot.api.sources import Source

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class QueryClient(Protocol):
    """Asks questions. Failures come back as values, so that one silent host spoils nothing.

    The source's reader turns rows into a value inside the same guard: rows that it cannot read (`CellError`, or any
    ValueError) make that one target unknown, of the kind "bad reply".
    """

    @property
    def now(self) -> datetime:
        """The time of this request, UTC. The only clock a command may know."""
        ...

    async def query(self, source: Source[T]) -> Known[T] | Unknown:
        """Ask one source."""
        ...

    async def find_host(self, name: str) -> Target | Unknown:
        """The host or cluster that a name in some answer means: a job's client, VMM's host, an owner node.

        A name with a domain is of that domain. Clusters are asked for their nodes before a name is called a stranger, so
        that a plan does not depend on what was asked earlier. A cluster that is silent is waited for a moment at most; a name
        that could be its node's is then unknown (kind "not known"), and never called a stranger.
        """
        ...

    async def query_many(self, sources: Mapping[K, Source[T]]) -> dict[K, Known[T] | Unknown]:
        """Ask many at once. The answers carry the keys of the sources, in the same order."""
        ...
