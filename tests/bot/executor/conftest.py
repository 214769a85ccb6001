"""A bench in a directory of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the world is shared with the children of test_kill

import scripted_world as scripted


@pytest.fixture
def clock():
    return scripted.Clock()


@pytest.fixture
def world(clock):
    world = scripted.World(clock)
    world.add("hv03", "hv04", "br01")
    return world


@pytest.fixture
async def benches(tmp_path, world, clock):
    """Makes benches on one store: processes that share it. All are closed at the end."""
    made = []

    def make(**options):
        made.append(scripted.Bench(tmp_path, world, clock, **options))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
def bench(benches):
    return benches()
