"""A connection that does not come about: who is silent, who refuses, and what was in hvops' own way."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from bot.errors import TargetError
from bot.transport.connect import measure_connect
from bot.transport.routing import Credentials, Route


def way(address="127.0.0.1:5985"):
    return Route("hv01", f"http://{address}/wsman", "hv01.corp.example", Credentials("ntlm"))


async def kind_of(seconds=5.0, of=0.0):
    with pytest.raises(TargetError) as raised:
        await measure_connect(way(), seconds, of=of)
    return raised.value.kind


@pytest.fixture
def fails(monkeypatch):
    def with_(error):
        async def connect(_host, _port):
            raise error

        monkeypatch.setattr(asyncio, "open_connection", connect)

    return with_


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.EHOSTUNREACH, "No route to host"), "unreachable"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "unreachable"),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), "timed out"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "connection refused"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "connection refused"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "not asked"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "not asked"),
        (OSError(errno.EMFILE, "Too many open files"), "not asked"),
        (OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"), "not asked"),
    ],
)
async def test_only_what_the_host_leaves_unanswered_is_its_silence(fails, error, kind):
    fails(error)
    assert await kind_of() == kind


async def test_a_port_that_nothing_listens_on_is_a_refusal():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(TargetError) as raised:
            await measure_connect(way(f"127.0.0.1:{port}"), 5)
    assert raised.value.kind == "connection refused"


async def test_who_had_too_little_of_the_time_to_answer_in_was_not_silent(fails):
    fails(TimeoutError())
    assert await kind_of(seconds=1, of=20) == "out of time"
    assert await kind_of(seconds=19, of=20) == "timed out"
