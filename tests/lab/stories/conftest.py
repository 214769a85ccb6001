from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from lab import stories
from lab.world.world import World


class Clock:
    """A time that moves only when told."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 2, 22, 39, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def begin(clock) -> Callable[[str], World]:
    return lambda name: stories.begin(name, clock=clock)
