"""A queue of two sites, a bot that asks through it, and what stands in its tables."""

import asyncio
from contextlib import asynccontextmanager

import psycopg
import pytest
import site_queue


@pytest.fixture(scope="module")
def one_place(postgresql_cluster):
    """One for a file: what a database costs is its making and the server's end."""
    return site_queue.make_place(postgresql_cluster, "branch1", "branch2")


@pytest.fixture
def place(one_place, postgresql_cluster):
    """As if nobody had been there."""
    with psycopg.connect(postgresql_cluster.url(one_place.bot.url.rpartition("/")[2]), autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS hvops_sites CASCADE")
    return one_place


@pytest.fixture
def asking(place):
    """A bot: `async with asking() as client`."""

    @asynccontextmanager
    async def begun(**told):
        client = site_queue.client(place.queue(**told), site_queue.inventory("branch1", "branch2", hosts=200))
        try:
            await client.warm()
            yield client
        finally:
            client.close()
            await asyncio.sleep(0)

    return begun


@pytest.fixture
def admin(place, postgresql_cluster):
    """A database administrator: may read and write all of it, and holds no key."""
    name = place.bot.url.rpartition("/")[2]
    with psycopg.connect(postgresql_cluster.url(name), autocommit=True) as connection:
        connection.execute("SET search_path = hvops_sites")
        yield connection
