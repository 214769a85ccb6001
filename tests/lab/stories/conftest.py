from __future__ import annotations

from collections.abc import Callable

import pytest

from lab import stories
from lab.world.world import World


@pytest.fixture
def begin(clock) -> Callable[[str], World]:
    return lambda name: stories.begin(name, clock=clock)
