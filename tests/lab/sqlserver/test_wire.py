"""What a client may send that no driver sends."""

import asyncio
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.sqlserver import Instance, Login, SqlServer
from lab.sqlserver.errors import SqlError
from lab.sqlserver.wire import login, requests
from lab.sqlserver.wire.login import Encryption
from lab.sqlserver.wire.packets import Kind, packets

HELLO = bytes.fromhex("0000060006 01000c0001 ff 0b00000000 00 02".replace(" ", ""))


def login7(user: str, password: str) -> bytes:
    """A LOGIN7 without TLS, as MS-TDS 4.2 shows one."""
    covered = bytes(((byte << 4 & 0xF0) | byte >> 4) ^ 0xA5 for byte in password.encode("utf-16-le"))
    texts = {1: user.encode("utf-16-le"), 2: covered}
    offset, places, data = 94, b"", b""
    for number in range(9):
        text = texts.get(number, b"")
        places += struct.pack("<HH", offset + len(data), len(text) // 2)
        data += text
    fixed = struct.pack("<IIIIIBBBBiI", 0x74000004, 4096, 7, 1, 0, 0xE0, 0x03, 0, 0, 0, 0x409)
    body = fixed + places + bytes(6) + struct.pack("<HHHHHHI", *([offset + len(data), 0] * 3), 0) + data
    return struct.pack("<I", len(body) + 4) + body


async def say(server: SqlServer, *messages: tuple[int, bytes]) -> bytes:
    """Send messages one after another, then listen until the server has nothing more to say."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        heard = b""
        for kind, data in messages:
            for packet in packets(kind, data, 4096):
                writer.write(packet)
            header = await reader.readexactly(8)
            heard = await reader.readexactly(int.from_bytes(header[2:4], "big") - 8)
        return heard
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def server():
    instance = Instance("sql01")
    instance.add_login(Login("operator", "ü$1", {}))
    async with SqlServer(instance) as server:
        yield server


def batch(text: str) -> bytes:
    return struct.pack("<I", 4) + text.encode("utf-16-le")


async def test_a_login_by_hand(server):
    heard = await say(server, (Kind.PRELOGIN, HELLO), (Kind.LOGIN, login7("operator", "ü$1")), (1, batch("SELECT 7")))
    assert heard.startswith(b"\x81\x01\x00")
    assert b"\xd1\x04\x07\x00\x00\x00" in heard


async def test_a_message_in_many_packets_is_one_message(server):
    text = "SELECT 7 " + " " * 9_000
    heard = await say(server, (Kind.PRELOGIN, HELLO), (Kind.LOGIN, login7("operator", "ü$1")), (1, batch(text)))
    assert b"\xd1\x04\x07\x00\x00\x00" in heard


@pytest.mark.parametrize("kind", [Kind.BULK, Kind.SSPI])
async def test_what_is_not_served_is_refused_and_the_connection_ends(server, kind):
    heard = await say(server, (Kind.PRELOGIN, HELLO), (Kind.LOGIN, login7("operator", "ü$1")), (kind, b"x"))
    assert heard.startswith(b"\xaa")
    assert struct.pack("<I", 4002) in heard


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([Kind.BATCH, Kind.RPC, Kind.TRANSACTION]))
def test_half_a_request_never_ends_the_server(data, kind):
    async def both() -> bytes:
        instance = Instance("sql01")
        instance.add_login(Login("operator", "ü$1", {}))
        async with SqlServer(instance) as server:
            hello = (Kind.PRELOGIN, HELLO), (Kind.LOGIN, login7("operator", "ü$1"))
            heard = await say(server, *hello, (kind, data))
            assert heard
            return await say(server, *hello, (1, batch("SELECT 7")))

    assert b"\xd1\x04\x07\x00\x00\x00" in asyncio.run(both())


@settings(max_examples=200)
@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_refused(data):
    for read in (
        login.read_prelogin,
        login.read_login,
        requests.read_transaction,
        lambda one: [*requests.read_calls(one)],
    ):
        try:
            read(data)
        except SqlError as error:
            known = error.number
            assert known in {4002, 8009}


@pytest.mark.parametrize(
    ("policy", "answers"),
    [
        ("none", {Encryption.OFF: 2, Encryption.ON: 2, Encryption.NOT_SUPPORTED: 2, Encryption.REQUIRED: 2}),
        ("login", {Encryption.OFF: 0, Encryption.ON: 1, Encryption.NOT_SUPPORTED: 2, Encryption.REQUIRED: 1}),
        ("full", {Encryption.OFF: 3, Encryption.ON: 1, Encryption.NOT_SUPPORTED: 3, Encryption.REQUIRED: 1}),
    ],
)
def test_the_table_of_encryption(policy, answers):
    assert {wish: login.agreed(policy, wish) for wish in answers} == answers
