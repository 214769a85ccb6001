"""What does not fit into one window: as many of it as a page takes, and the buttons that turn it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from bot.slack.outbound.message import Block
from bot.slack.render.blocks import button

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page. `at` counts from 0; `of` is how many there are, one at least."""

    items: tuple[T, ...]
    at: int
    of: int

    @property
    def number(self) -> str:
        """As people count: "page 2 of 5"."""
        return f"page {self.at + 1} of {self.of}"


def paginate(items: Iterable[T], page: int, *, weigh: Callable[[T], int], heaviest: int, most: int = 100) -> Page[T]:
    """Cut into pages, and take one; for a page that does not exist, the nearest.

    Args:
        items: all of them, in order.
        page: from 0.
        weigh: what an item takes of a page; one that is heavier than a page has one of its own.
        heaviest: what a page takes.
        most: items of a page, however light.
    """
    pages = list(_cut(items, weigh, heaviest, most)) or [()]
    at = min(max(page, 0), len(pages) - 1)
    return Page(pages[at], at, len(pages))


def pager(page: Page[T], verb: str, token: str) -> list[Block]:
    """The buttons that lead to the pages before and after."""
    back = [button("Back", verb, token, index=page.at - 1)] if page.at else []
    return [*back, button("Next", verb, token, index=page.at + 1)] if page.at + 1 < page.of else back


def _cut(items: Iterable[T], weigh: Callable[[T], int], heaviest: int, most: int) -> Iterator[tuple[T, ...]]:
    page: tuple[T, ...] = ()
    size = 0
    for one in items:
        weight = weigh(one)
        if page and (size + weight > heaviest or len(page) == most):
            yield page
            page, size = (), 0
        page, size = (*page, one), size + weight
    if page:
        yield page
