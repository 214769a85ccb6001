"""A time that moves only when told: the same for whoever plays with the practice estate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest


class Clock:
    """Callable, as a World wants its clock."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 2, 22, 39, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()
