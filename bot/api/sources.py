"""One thing that can be asked: the query, and how its answer is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bot.api.queries import Query
from bot.api.rows import Rows

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Source(Generic[T_co]):
    """A query and its reader as one value. `read` raises `CellError`, or any ValueError, for rows it cannot read.

    Attributes:
        names: what an answer names, and of which kind, for the lists that forms suggest: ("guest", the names), or ("backup
            job", pairs of a name and the host that it is about) where the query is not asked of that host. Nothing rests on
            them.
    """

    query: Query
    read: Callable[[Rows], T_co]
    names: tuple[str, Callable[[Any], Iterable[str | tuple[str, str]]]] | None = None
