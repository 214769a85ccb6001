"""How many connections are kept open, and for how long."""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import pytest

from bot.transport.connection_pool import IDLE_SECONDS, ConnectionPool
from bot.transport.routing import Credentials, Route

LOGIN = Credentials("ntlm", "CORP\\reader", "x")
LIMITED = """
import resource
from bot.transport.connection_pool import ConnectionPool, sockets_allowed
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], sockets_allowed(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
print(ConnectionPool()._most)
"""


@pytest.fixture
def pool():
    made = ConnectionPool(most=3)
    yield made
    made.close()


@pytest.fixture
def released(pool, monkeypatch):
    """Releases a connection to a host; those that were closed since stand in its list `closed`."""
    closed = []

    def release(name):
        connection = pool.fresh(Route(name, f"http://{name}:5985/wsman", name, LOGIN))
        monkeypatch.setattr(connection, "close", lambda: closed.append(name))
        pool.release(connection)
        return connection

    release.closed = closed
    return release


def test_the_one_that_was_idle_longest_makes_room(pool, released):
    first, *_ = [released(name) for name in ("hv01", "hv02", "hv03")]
    assert pool.take(first.way) is first
    pool.release(first)
    released("hv04")
    assert released.closed == ["hv02"]
    assert {one.way.name for many in pool._idle.values() for one in many} == {"hv01", "hv03", "hv04"}


def test_two_spellings_of_a_host_have_one_connection(pool, released):
    open_one = released("hv01")
    other = Route("ＨＶ０１", open_one.way.url, open_one.way.service_name, LOGIN)
    assert pool.take(other) is open_one
    pool.release(open_one)
    assert pool.take(Route("hv02", open_one.way.url, open_one.way.service_name, LOGIN)) is None


def test_a_host_that_nobody_asks_again_is_not_kept_open_for_ever(pool, released):
    released("hv01").idle_since -= IDLE_SECONDS + 1
    released("hv02")
    assert released.closed == ["hv01"]
    assert len(pool._idle) == 1


def test_whichever_of_them_is_too_old_is_not_used(pool, released):
    young, old = released("hv01"), released("hv02")
    old.idle_since = time.monotonic() - IDLE_SECONDS - 1
    assert pool.take(old.way) is None
    assert pool.take(young.way) is young
    assert released.closed == ["hv02"]


def test_what_is_broken_or_comes_back_late_is_closed(pool, released):
    used = pool.take(released("hv01").way)
    used.is_broken = True
    pool.release(used)
    pool.close()
    released("hv02")
    assert released.closed == ["hv01", "hv02"]


@pytest.mark.parametrize(("hard", "allowed"), [(512, 512), (70_000, 65_536)])
def test_a_process_that_may_open_few_files_asks_for_more(hard, allowed):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        hard = allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))

    told = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True, preexec_fn=few)
    assert told.stdout.split() == ["256", str(allowed), str(allowed), str(allowed // 2)]
