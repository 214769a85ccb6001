from __future__ import annotations

import pytest

from lab.world.make import make
from lab.world.world import World


@pytest.fixture
def world(clock) -> World:
    return make(clock=clock)
