"""Python looks up a character set that a reply names, and remembers each one that it does not know: nothing that comes is looked up."""

import asyncio
import codecs
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.api.queries import RunReader, Wql, make_params
from bot.api.report import Severity
from bot.api.texts import codec_of
from bot.config.inventory_file import InventoryFile, Web
from bot.errors import TargetError
from bot.slack.outbound.api_errors import make_client
from bot.slack.outbound.bounded_client import bounded_session, connector, outlined
from bot.transport.client import TargetClient
from bot.transport.http import client as http_client
from bot.transport.http.probe import Prober
from bot.transport.routing import Router
from bot.transport.windows.host_operations import decode
from commands.host_access.checks import check_code_page

from .conftest import READER

ADDRESS = "127.0.94.1"
KINDS = (
    "application/json; charset={}",
    "application/json; charset*={}''utf-8",
    "application/json; x*={}''a%20b",
    'application/json; x="=?{}?q?ab?="',
    "text/plain; charset={}",
    "text/html; charset={}",
    "application/soap+xml; charset={}",
    "multipart/mixed; boundary*={}''abc",
    "Multipart/Mixed; BOUNDARY*0*={}''abc",
    "multipart/mixed; boundary*\r\n\t={}''abc",
    "multipart/mixed; boundary*\xa0={}''abc",
    "multipart/mixed; boundary={0}; charset={0}",
)
BODIES = (b'{"ok": true}', b"no JSON", b'<?xml version="1.0" encoding="unheard-of-xml"?><a/>', "é".encode("latin-1"))


@pytest.fixture
def looked_up():
    """The names of encodings that Python was asked for, and has none of."""
    names = []

    def search(name):
        names.append(name)

    codecs.register(search)
    yield names
    codecs.unregister(search)


@asynccontextmanager
async def answering(status):
    """Answers each request in another unknown character set. Gives its port, and what it has said."""
    said = []

    async def talk(reader, writer):
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    await reader.readexactly(int(line.partition(b":")[2]))
            turn = len(said)
            kind, body = KINDS[turn % len(KINDS)].format(f"unheard-of-{turn}"), BODIES[turn // len(KINDS) % len(BODIES)]
            said.append(kind)
            lines = (
                f"HTTP/1.1 {status} Said",
                f"Content-Type: {kind}",
                f"Content-Length: {len(body)}",
                "Connection: close",
            )
            writer.write("\r\n".join((*lines, "", "")).encode("latin-1") + body)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, ADDRESS, 0) as server:
        yield server.sockets[0].getsockname()[1], said


async def ask_slack(port):
    await make_client("xoxb-1", f"http://{ADDRESS}:{port}/api/").auth_test()


async def read_a_channel(port):
    await outlined(make_client("xoxb-1", f"http://{ADDRESS}:{port}/api/"), "conversations.history", {"channel": "C1"})


async def answer_a_command(port):
    async with bounded_session(5) as session:
        await AsyncWebhookClient(f"http://{ADDRESS}:{port}/commands", session=session, retry_handlers=[]).send(
            text="hello"
        )


async def open_a_socket(port):
    async with aiohttp.ClientSession(connector=connector()) as session, session.ws_connect(f"ws://{ADDRESS}:{port}/"):
        pass


async def call_a_service(port):
    async with http_client.open_client(f"http://{ADDRESS}:{port}", None, 5) as client:
        (await http_client.send(client, "GET", "Job")).json()


async def probe_a_server(port):
    await Prober(Web(networks=(ADDRESS,)), 5).answer(RunReader(ADDRESS, "http get", make_params(port=port)), 5)


async def ask_windows(port):
    url = f"http://{ADDRESS}:{port}/wsman"
    reach = TargetClient(
        Router(
            InventoryFile.model_validate({"hosts": {"hv01": {"domain": "corp.example"}}, "endpoints": {"hv01": url}}),
            {"reader": READER},
        )
    )
    try:
        await reach.answer(Wql("hv01", "root/MSCluster", "MSCluster_Node", ("Name",)), 5)
    finally:
        reach.close()
        await asyncio.to_thread(reach._threads.shutdown)


# The SDK takes a reply of text for one with fields.
ERRORS = (TargetError, SlackApiError, ValueError, AttributeError, aiohttp.ClientError, *http_client.ERRORS)
CLIENTS = (
    *(ask_slack, read_a_channel, answer_a_command, open_a_socket),
    *(call_a_service, probe_a_server, ask_windows),
)


@pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning"
)  # a connection that is given up is closed when it is collected
@pytest.mark.parametrize("status", [200, 401, 500])
@pytest.mark.parametrize("client", CLIENTS, ids=lambda one: one.__name__)
async def test_no_reply_has_python_look_up_a_character_set(client, status, looked_up):
    whole = len(KINDS) * len(BODIES)
    async with answering(status) as (port, said):
        while len(said) < whole:
            before = len(said)
            with suppress(*ERRORS):
                await client(port)
            assert len(said) > before  # it was asked, and has answered
    assert not looked_up


async def test_what_is_said_in_place_of_slack_is_read_as_utf_8():
    async with (
        answering(200) as (port, _),
        bounded_session(5) as session,
        session.get(f"http://{ADDRESS}:{port}/") as told,
    ):
        assert await told.json() == {"ok": True}
        assert (told.content_type, told.charset, told.get_encoding()) == ("application/json", "utf-8", "utf-8")


def test_no_code_page_that_a_host_tells_is_looked_up_by_its_name(looked_up):
    """There are a hundred thousand numbers of five digits, and Python has some fifty pages."""
    assert decode("Größe".encode("cp850"), 850) == "Größe"
    assert [codec_of(page) for page in (437, 65001, 4711)] == ["cp437", "cp65001", ""]
    for page in (4711, 12345):
        assert decode(b"ok", page) == "ok"
        assert check_code_page("hv01", str(page)).severity is Severity.WARNING
    assert not looked_up
