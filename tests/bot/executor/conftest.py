"""A bench in a directory of its own."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the world is shared with the children of test_kill

import scripted_world as scripted

from bot.ledger.ledger import Ledger


@pytest.fixture
def clock():
    return scripted.Clock()


@pytest.fixture
def world(clock):
    world = scripted.World(clock)
    world.add("hv03", "hv04", "br01")
    return world


@pytest.fixture
def in_its_store(request):
    """A context in which a folder has a ledger of its own: a file, or under STORE=postgresql a database, which is dropped."""

    @contextmanager
    def stored(folder):
        if os.environ.get("STORE") != "postgresql":
            yield
            return
        cluster = request.getfixturevalue("postgresql_cluster")
        database = cluster.database()
        (folder / "database").write_text(database.url)
        try:
            yield
        finally:
            cluster.drop(database)

    return stored


@pytest.fixture(autouse=True)
def stored(in_its_store, tmp_path, request, monkeypatch):
    """The ledger of this test is in the store that the run is about."""
    if request.path.name != "test_ownership.py":
        # The times in these tests are those of one clock. How much longer it takes with two bots, that one tests.
        monkeypatch.setattr(Ledger, "clock_skew", 0.0)
    with in_its_store(tmp_path):
        yield


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
