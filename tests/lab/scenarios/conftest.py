from __future__ import annotations

from collections.abc import Callable

import pytest

from lab import scenarios
from lab.world.world import World


@pytest.fixture
def begin(clock) -> Callable[[str], World]:
    return lambda name: scenarios.begin(name, clock=clock)
