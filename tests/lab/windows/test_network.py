"""Below SOAP: troubles, many machines, many clients."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import gc
import resource
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import pytest
import winrm
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import ReadTimeout

from lab.windows import BackgroundServer, WinRMServer, free_port, wsman_constants
from lab.windows.machine_protocol import Access, Output

ADDRESS = "127.0.9.1"
USER = "CORP\\reader"
SERVICES = wsman_constants.class_uri("root/cimv2", "Win32_Service")


def basic(password):
    return {"Authorization": "Basic " + base64.b64encode(f"{USER}:{password}".encode()).decode()}


@pytest.fixture
def plain(machine):
    """Basic over plain HTTP, so that the wire can be read."""
    machine.access.basic = machine.access.allow_unencrypted = True
    return basic(machine.access.accounts[USER])


@pytest.fixture
async def client(plain):
    async with aiohttp.ClientSession(headers=plain) as client:
        yield client


@pytest.fixture
def request_text(make_envelope):
    return make_envelope(wsman_constants.GET, SERVICES, selectors={"Name": "vmms"})


async def post(client, up, text, seconds=20.0, address=ADDRESS):
    async with client.post(up.url(address), data=text.encode(), timeout=aiohttp.ClientTimeout(total=seconds)) as answer:
        return answer.status, await answer.text()


async def test_html(up, machine, client, request_text):
    machine.trouble.html = True
    status, text = await post(client, up, request_text)
    assert status == 200
    assert text.startswith("<html>")


async def test_cut(up, machine, client, request_text):
    _status, whole = await post(client, up, request_text)
    machine.trouble.cut = True
    status, half = await post(client, up, request_text)
    assert (status, len(half)) == (200, len(whole) // 2)


def test_cut_is_still_sealed_right(up, machine, password):
    machine.trouble.cut = True
    session = winrm.Session(up.url(ADDRESS), auth=(USER, password), transport="ntlm", ca_trust_path=None)
    with pytest.raises(Exception, match=r"no element found|not well-formed|unclosed"):
        session.run_cmd("vssadmin")


async def test_hang(up, machine, client, request_text):
    machine.trouble.hang = True
    with pytest.raises(TimeoutError):
        await post(client, up, request_text, seconds=0.2)
    machine.trouble.hang = False
    assert (await post(client, up, request_text))[0] == 200


async def test_reset(up, machine, client, request_text):
    machine.trouble.reset = True
    with pytest.raises((aiohttp.ClientConnectionError, ConnectionResetError)):
        await post(client, up, request_text)
    machine.trouble.reset = False
    assert (await post(client, up, request_text))[0] == 200


async def test_latency(up, machine, client, request_text):
    machine.trouble.latency = 0.2
    started = time.monotonic()
    await post(client, up, request_text)
    assert time.monotonic() - started >= 0.2


async def test_what_an_answer_owes_is_waited_for_once(up, machine, client, request_text):
    machine.trouble.owed = 0.2
    started = time.monotonic()
    await post(client, up, request_text)
    assert time.monotonic() - started >= 0.2
    assert machine.trouble.owed == 0


async def until(condition):
    for _each in range(1_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the condition did not come true")


def connect(up):
    with socket.socket() as probe:
        return probe.connect_ex((ADDRESS, up.server.port))


def test_a_machine_that_nobody_reaches_neither_takes_a_connection_nor_refuses_it(up, machine):
    for _round in range(3):
        assert connect(up) == 0
        machine.trouble.dark = True
        with socket.socket() as probe:
            probe.settimeout(0.2)
            with pytest.raises(TimeoutError):
                probe.connect((ADDRESS, up.server.port))
        machine.trouble.dark = False
    assert connect(up) == 0


def test_refuse_closes_the_port_and_opens_it_again_at_once(up, machine):
    for _round in range(3):
        assert connect(up) == 0
        machine.trouble.refuse = True
        assert connect(up) == errno.ECONNREFUSED
        machine.trouble.refuse = False
    assert connect(up) == 0


async def test_refuse_ends_open_connections(up, machine, client, request_text):
    machine.trouble.latency = 30
    waiting = asyncio.create_task(post(client, up, request_text))
    await until(lambda: up.server.host(ADDRESS).connections == 1)
    # from another thread, since the server's loop must answer while this one waits
    await asyncio.to_thread(setattr, machine.trouble, "refuse", True)
    with pytest.raises((aiohttp.ClientConnectionError, ConnectionResetError)):
        await waiting


async def test_a_machine_may_start_refusing_and_be_changed_in_the_loop(machine):
    machine.trouble.refuse = True
    async with WinRMServer() as server:
        await server.add(ADDRESS, machine)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(ADDRESS, server.port)
        machine.trouble.refuse = False
        _reader, writer = await asyncio.open_connection(ADDRESS, server.port)
        writer.close()
        await writer.wait_closed()
    machine.trouble.refuse = True  # nobody listens to it any more


async def test_a_body_larger_than_any_envelope(up, machine, client):
    machine.quotas.max_envelope_kb = 10
    status, _text = await post(client, up, "x" * 200_000)
    assert status == 413


async def test_too_many_connections(up, machine, plain, request_text):
    machine.quotas.max_connections = 1
    async with aiohttp.ClientSession(headers=plain) as one, aiohttp.ClientSession(headers=plain) as two:
        assert (await post(one, up, request_text))[0] == 200
        assert (await post(two, up, request_text))[0] == 503
        assert (await post(one, up, request_text))[0] == 503  # whoever asks while there are too many
    await until(lambda: up.server.host(ADDRESS).connections == 0)
    async with aiohttp.ClientSession(headers=plain) as three:
        assert (await post(three, up, request_text))[0] == 200


def test_pywinrm_sees_the_troubles_as_its_own_errors(up, machine, password):
    def ask():
        session = winrm.Session(
            up.url(ADDRESS),
            auth=(USER, password),
            transport="ntlm",
            ca_trust_path=None,
            read_timeout_sec=2,
            operation_timeout_sec=1,
        )
        return session.run_cmd("vssadmin")

    machine.trouble.refuse = True
    with pytest.raises(NoConnection):
        ask()
    machine.trouble.refuse = False
    machine.trouble.reset = True
    with pytest.raises(NoConnection):
        ask()
    machine.trouble.reset = False
    machine.trouble.hang = True
    with pytest.raises(ReadTimeout):
        ask()
    machine.trouble.hang = False
    assert ask().status_code == 0


def test_one_machine_with_many_clients(up, machine, password):
    machine.programs["vssadmin"] = Output("x" * 1_000)

    def ask(_number):
        session = winrm.Session(up.url(ADDRESS), auth=(USER, password), transport="ntlm", ca_trust_path=None)
        return session.run_cmd("vssadmin").std_out

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(ask, range(48))) == {b"x" * 1_000}
    assert len(up.server.host(ADDRESS).service.shells) == 0


async def test_a_thousand_machines(make_machine, make_envelope):
    account = {USER: "Secret-1"}
    machines = {}
    for number in range(1_000):
        machine = make_machine(name=f"HV{number}", access=Access(account, basic=True, allow_unencrypted=True))
        machine.put("root/cimv2", "Win32_ComputerSystem", {"Name": machine.name})
        machines[f"127.2.{number // 250}.{number % 250 + 1}"] = machine
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = make_envelope(
        wsman_constants.ENUMERATE,
        wsman_constants.class_uri("root/cimv2", "Win32_ComputerSystem"),
        "<n:Enumerate><w:OptimizeEnumeration/></n:Enumerate>",
    )
    with BackgroundServer(machines) as up:
        limit = aiohttp.TCPConnector(limit=200)
        async with aiohttp.ClientSession(headers=basic("Secret-1"), connector=limit) as client:
            answers = await asyncio.gather(*(post(client, up, text, 60, address) for address in machines))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert [status for status, _text in answers] == [200] * 1_000
    assert all(f">{machine.name}<" in text for (_status, text), machine in zip(answers, machines.values(), strict=True))
    assert grown < 300_000  # KiB
    assert threading.active_count() < 20


async def test_only_loopback_addresses_once(machine, make_machine):
    async with WinRMServer() as server:
        for address in ("10.0.0.1", "0.0.0.0", "::1", "nonsense"):
            with pytest.raises(ValueError, match="address"):
                await server.add(address, machine)
        await server.add(ADDRESS, machine)
        with pytest.raises(ValueError, match="not a free loopback address"):
            await server.add(ADDRESS, make_machine())
        await server.remove(ADDRESS)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(ADDRESS, server.port)


def test_a_taken_port_is_said_and_nothing_is_left_open(machine, make_machine):
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.9.2", port))
        taken.listen()
        with (
            pytest.raises(OSError, match="in use"),
            BackgroundServer({ADDRESS: machine, "127.0.9.2": make_machine()}, port=port),
        ):
            pass
        with socket.socket() as probe:
            assert probe.connect_ex((ADDRESS, port)) == errno.ECONNREFUSED


def test_a_port_of_our_own_choice_avoids_taken_ones(machine, monkeypatch):
    taken_port, free = free_port(), free_port()
    offered = iter([taken_port, free, free, free + 1])
    monkeypatch.setattr("lab.windows.server.free_port", lambda: next(offered))
    with socket.socket() as taken:
        taken.bind((ADDRESS, taken_port))
        taken.listen()
        with BackgroundServer({ADDRESS: machine}) as up:
            assert up.server.port == free
            assert connect(up) == 0


def test_machines_come_and_go(up, make_machine, password):
    second = make_machine(name="HV02")
    second.programs["hostname"] = Output("HV02")
    up.add("127.0.9.2", second)
    session = winrm.Session(up.url("127.0.9.2"), auth=(USER, password), transport="ntlm", ca_trust_path=None)
    assert session.run_cmd("hostname").std_out == b"HV02"
    up.remove("127.0.9.2")
    with pytest.raises(NoConnection):
        session.run_cmd("hostname")


def test_stopping_leaves_nothing_open(machine, authority):
    tls = {ADDRESS: authority.server_context(ADDRESS)}
    with BackgroundServer({ADDRESS: machine}, tls) as up:
        silent = [socket.create_connection((ADDRESS, up.server.tls_port)) for _each in range(5)]
        silent += [socket.create_connection((ADDRESS, up.server.port)) for _each in range(5)]
    for each in silent:
        with each, contextlib.suppress(ConnectionResetError):
            assert each.recv(1) == b""
    gc.collect()  # an open socket would be reported now
