"""Enough for everybody: how much memory one hostile host or service takes, or sixteen hosts together, and how long one person can hold up another.

python -m tests.bench.enough [--rounds 1] [--json]
"""

# ruff: noqa: PLC0415 - the child alone loads the bot

from __future__ import annotations

import argparse
import asyncio
import base64
import gzip
import itertools
import json
import re
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.process import fresh
from tests.bench.table import Aim, Table, show

MOST_MB = 256
HOST = "hv01"
GUESTS = tuple(f"guest{number:02}" for number in range(16))  # of one hostile person
SESSIONS, QUESTIONS = 4, 4  # requests at one time, and what each asks of the host
SECONDS = 20
SOAP = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration"'
    ' xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:h="http://schemas.microsoft.com/wbem/wsman/1/windows/shell">'
    "<s:Body>%s</s:Body></s:Envelope>"
)
ROWS = "<n:%sResponse><n:EnumerationContext>more</n:EnumerationContext><n:Items>%s</n:Items></n:%sResponse>"
FULL = 1_300_000  # bytes of one reply: just under what is read
PRINTED = {
    "a program without an end": b"<Event/>" * 100_000,
    "a program that prints lines of one letter": b"a\n" * 400_000,
    "a program that finds addresses behind a long path": b"C:\\" + b"a" * 390 + b":1:" + b"1.1.1.1 " * 100_000,
}
ASKED = {
    "a program that prints lines of one letter": ("wevtutil enumerate channels", ()),
    "a program that finds addresses behind a long path": ("findstr addresses", (("folder", "C:\\crm"),)),
}
DONE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/Done"
PIECES = 7  # replies until such a program ends, which is not quite as much as is read


def many(text: str) -> str:
    return text * (FULL // len(text.encode()))


def wide() -> str:
    return "<r>" + "".join(f"<a{number}/>" for number in range(150_000)) + "</r>"


WINDOWS: dict[str, Callable[[], str]] = {
    "tiny rows in endless pages": lambda: many("<r><a/></r>"),
    "one row of tiny elements": lambda: f"<r>{many('<a/>')}</r>",
    "wide rows": wide,
    "attributes": lambda: many('<r b=""><a c=""/></r>'),
    "nested rows": lambda: many("<r><a><b><c><d><e/><e/></d></c></b></a></r>"),
    "cells of a megabyte": lambda: f"<r><a>{'x' * (FULL - 99)}</a></r>",
    "cells of a megabyte in four bytes each": lambda: f"<r><a>\N{GRINNING FACE}{'x' * (FULL - 99)}</a></r>",
    "a long namespace": lambda: f'<r xmlns:u="{"u" * 900_000}">{"".join(f"<u:a{n}/>" for n in range(80_000))}</r>',
    **dict.fromkeys(PRINTED, str),
}
TOGETHER: dict[str, Callable[[], str]] = {
    "sixteen guests: a row of tiny elements each": lambda: f"<r>{'<a/>' * 260_000}</r>",
    "sixteen guests: tiny rows in endless pages each": WINDOWS["tiny rows in endless pages"],
    "sixteen guests: short pages of tiny elements without end each": lambda: f"<r>{'<a/>' * 35_000}</r>",
}
WINDOWS |= TOGETHER
WEB: dict[str, Callable[[], bytes]] = {
    "gzip in gzip": lambda: gzip.compress(gzip.compress(b"[" * 2**28)),
    "empty objects": lambda: b'{"jobs": [' + b"{}," * 600_000 + b"{}]}",
    "nested lists": lambda: b"[" * 2_000_000,
    "numbers": lambda: b'{"jobs": [' + b"1," * 900_000 + b"1]}",
    "a text of four bytes each": lambda: json.dumps(
        {"totalRecordsWithoutPaging": 9**9, "jobs": [{"jobSummary": {"jobId": 1}}], "x": "\N{GRINNING FACE}" + "x" * 1_900_000},
        ensure_ascii=False,
    ).encode(),
    "texts": lambda: b'{"jobs": [' + b'"",' * 600_000 + b'""]}',
}  # fmt: skip


class Hostile(socketserver.ThreadingTCPServer):
    """Answers every request with what it was told to."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.answer = answer

    def handle_error(self, *_: Any) -> None:
        """Whoever hangs up has had enough, which is what is wanted."""


class _Talk(socketserver.StreamRequestHandler):
    server: Hostile

    def handle(self) -> None:
        while head := self._head():
            length = int(next(iter(re.findall(rb"(?i)content-length: (\d+)", head)), 0))
            self.wfile.write(self.server.answer(head + self.rfile.read(length)))

    def _head(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in (b"", b"\r\n"):
            lines.append(line)
        return b"".join(lines)


@contextmanager
def served(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    with Hostile(answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()


def whole(body: bytes, kind: str, more: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


def windows(what: str) -> Callable[[bytes], bytes]:
    rows = WINDOWS[what]()
    pages = {
        kind: whole((SOAP % (ROWS % (kind, rows, kind))).encode(), "application/soap+xml")
        for kind in ("Enumerate", "Pull")
    }
    shell = (
        SOAP % '<r><w:SelectorSet><w:Selector Name="ShellId">1</w:Selector></w:SelectorSet><h:ShellId>1</h:ShellId></r>'
    )
    command = SOAP % "<h:CommandResponse><h:CommandId>1</h:CommandId></h:CommandResponse>"
    stream = base64.b64encode(PRINTED.get(what, b"")).decode()
    printed = SOAP % f'<h:ReceiveResponse><h:Stream Name="stdout" CommandId="1">{stream}</h:Stream></h:ReceiveResponse>'
    ended = f'<h:CommandState CommandId="1" State="{DONE}"><h:ExitCode>0</h:ExitCode></h:CommandState>'
    receives = itertools.cycle([printed] * PIECES + [SOAP % f"<h:ReceiveResponse>{ended}</h:ReceiveResponse>"])
    no_key = SOAP % "<r><ReturnValue>2</ReturnValue></r>"

    def answer(request: bytes) -> bytes:
        for mark, reply in (
            ("StdRegProv", no_key),
            ("transfer/Create", shell),
            ("shell/Command", command),
            ("shell/Receive", next(receives) if what in ASKED and b"shell/Receive" in request else printed),
        ):
            if mark.encode() in request:
                return whole(reply.encode(), "application/soap+xml")
        return pages["Pull" if b"Pull>" in request else "Enumerate"]

    return answer


def web(what: str) -> Callable[[bytes], bytes]:
    body = WEB[what]()
    packed = "Content-Encoding: gzip, gzip\r\n" if what.startswith("gzip") else ""
    token = whole(b'{"token": "QSDK 1"}', "application/json")
    return lambda request: (
        token if b"/Login" in request.partition(b"\r\n")[0] else whole(body, "application/json", packed)
    )


async def ask(port: int, what: str) -> None:
    """What a bot does at one time: some requests, each of which asks several things and keeps its evidence."""
    from bot import memory
    from bot.api.queries import RunReader, Wql
    from bot.api.sources import Source
    from bot.config.inventory_file import InventoryFile
    from bot.config.settings import Limits
    from bot.dispatch.query_session import QuerySession
    from bot.redaction import Redactor
    from bot.serialization import evidence_to_bytes
    from bot.transport import routing
    from bot.transport.client import TargetClient
    from bot.transport.http.commvault import BackupProduct, WebService

    memory.give_memory_back()  # as the bot does when it starts
    routing._safe = lambda way: way  # a login in clear: what comes back is what counts here
    hosts = GUESTS if what in TOGETHER else (HOST,)
    told = {
        "hosts": {name: {"domain": "corp.example"} for name in hosts},
        "endpoints": dict.fromkeys(hosts, f"http://127.0.0.1:{port}/wsman"),
    }
    router = routing.Router(InventoryFile.model_validate(told), {"reader": routing.Credentials("basic", "u", "p")})
    backups = BackupProduct(WebService(f"http://127.0.0.1:{port}/api", "u", "p"))
    client = TargetClient(router, backups=backups)

    def question(number: int) -> Any:
        if what in WEB:
            return RunReader("commvault", "commvault active jobs")
        if what in PRINTED:
            return RunReader(HOST, *ASKED.get(what, ("wevtutil enumerate channels", ())))
        return Wql(hosts[number % len(hosts)], "root/cimv2", "Win32_Service", (f"Name{number}",))

    async def one(number: int) -> None:
        limits = Limits(per_host_seconds=SECONDS, overall_seconds=3 * SECONDS)
        session = QuerySession(client, lambda _: (), datetime.now(UTC), limits)
        count = max(QUESTIONS, len(hosts))
        await session.query_many({n: Source(question(number * count + n), list) for n in range(count)})
        evidence = tuple(session.evidence)
        await asyncio.to_thread(lambda: Redactor(("secret",)).redact_text(evidence_to_bytes(evidence).decode()))

    if what:
        await asyncio.gather(*map(one, range(SESSIONS)))
    client.close()


def peak_mb(port: int, what: str) -> float:
    """In a process of its own."""
    return float(fresh("tests.bench.enough", "--child", str(port), what).strip().splitlines()[-1])


def memory(kinds: dict[str, Callable[[str], Callable[[bytes], bytes]]]) -> Table:
    idle = peak_mb(0, "")
    rows, worst = [("the same bot, idle", f"{idle:.0f}", "1 x", "")], 0.0
    for what, answer in kinds.items():
        began = time.monotonic()
        with served(answer(what)) as port:
            peak = peak_mb(port, what)
        worst = max(worst, peak)
        rows.append((what, f"{peak:.0f}", f"{peak / idle:.1f} x", f"{time.monotonic() - began:.1f}"))
        print(rows[-1], file=sys.stderr)  # noqa: T201 - how far it is
    return Table(
        f"Memory: {SESSIONS} requests of {QUESTIONS} questions to a host or service, or of one to each guest, that sends what it can",
        ("what it sends", "peak MB", "of idle", "seconds"),
        rows,
        (),
        (
            Aim(
                f"under {MOST_MB} MB whatever one host or service sends, or sixteen guests together",
                f"worst {worst:.0f} MB",
                worst < MOST_MB,
            ),
        ),
    )


KINDS: dict[str, Callable[[str], Callable[[bytes], bytes]]] = {
    **dict.fromkeys(WINDOWS, windows),
    **dict.fromkeys(WEB, web),
}


async def delays(seconds: float) -> tuple[list[float], list[float], list[float]]:
    """How long another person's question and a run's check take at a slow host, alone, and beside 60 of one person."""
    from bot.config.inventory_file import InventoryFile
    from bot.dispatch.turns import Turns
    from bot.errors import TooManyQuestions
    from bot.transport.client import TargetClient
    from bot.transport.routing import Credentials, Router
    from bot.transport.turns import RUNS, asking_as

    router = Router(
        InventoryFile.model_validate({"hosts": {HOST: {"domain": "corp.example"}}}),
        {"reader": Credentials("ntlm", "u", "p")},
    )
    client, turns = TargetClient(router), Turns(4, 60)

    def slow(_connection: object, _deadline: object) -> None:
        time.sleep(seconds)

    async def took(who: str) -> float:
        began = time.monotonic()
        if who == RUNS:
            with asking_as(who):
                await client._patiently(router.host(HOST), slow, 60)
        else:
            async with turns.take(who):
                await client._patiently(router.host(HOST), slow, 60)
        return time.monotonic() - began

    async def flood() -> None:
        for done in asyncio.as_completed([took("U1") for _ in range(60)]):
            try:
                await done
            except TooManyQuestions:
                continue

    alone = [await took("U2") for _ in range(3)]
    flooding = asyncio.create_task(flood())
    await asyncio.sleep(seconds / 2)
    other, check = await asyncio.gather(took("U2"), took(RUNS))
    flooding.cancel()
    client.close()
    return alone, [other], [check]


def fairness(seconds: float) -> Table:
    alone, other, check = asyncio.run(delays(seconds))
    base = sum(alone) / len(alone)
    rows = [
        (name, f"{value:.2f}", f"{value - base:+.2f}")
        for name, value in (
            ("alone", base),
            ("another person, beside 60", other[0]),
            ("a run's check, beside 60", check[0]),
        )
    ]
    return Table(
        f"Fairness: a host that takes {seconds:.1f} s for each answer, and 60 questions of one person",
        ("whose question", "seconds", "later by"),
        rows,
        (),
        (
            Aim(
                "another person's question is delayed by at most a second",
                f"{other[0] - base:.2f} s",
                other[0] - base <= 1,
            ),
            Aim("a run's check is not delayed", f"{check[0] - base:.2f} s", check[0] - base < max(0.1, seconds / 4)),
        ),
    )


def main() -> None:
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--child", nargs=2)
    told.add_argument("--kinds", type=int, default=len(KINDS))
    told.add_argument("--latency", type=float, default=2.0)
    told.add_argument("--json", action="store_true")
    wanted = told.parse_args()
    if wanted.child:
        port, what = wanted.child
        asyncio.run(ask(int(port), what))
        # ru_maxrss knows the parent's too.
        high = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert high
        print(int(high[1]) / 1024)  # noqa: T201 - the answer
        return
    kinds = dict(list(KINDS.items())[: wanted.kinds])
    show([memory(kinds), fairness(wanted.latency)], as_json=wanted.json)


if __name__ == "__main__":
    main()
