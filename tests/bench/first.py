"""First contact at full size: one line about a cluster of 64 nodes and 2,000 guests, by a bot that has just started.

    python -m tests.bench.first [--nodes 64] [--guests 2000] [--latency 0.02] [--commands find-full-guests …]

Each line is asked once by a process of its own, which has no connection yet, over NTLM and over Kerberos with a password.
The cluster and its guests are a process beside it, so CPU time and memory are the bot's alone. Beside the whole stands the
longest single host of the same run: how long its own questions were under way, its login included. No bot can be faster
than that, and one that asked one after the other would take the sum.
"""

# ruff: noqa: PLC0415 - the child alone loads the bot

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from tests.bench.process import ROOT
from tests.bench.table import Aim, Table, show, times
from tests.support.kdc import missing_tools

CLUSTER = "farm01"
COMMANDS = ("find-full-guests", "check-integration-services", "check-storvsc-risk")
RELEASES = {"check-storvsc-risk": "2008R2"}  # it asks hosts of that Windows alone
RELEASE = "2019"
TRANSPORTS = ("ntlm", "kerberos")
LONGEST = 60.0  # seconds: what a whole answer may take as the settings come
MOST_MB = 512
LEGS = {("ntlm", "http"): 2, ("ntlm", "https"): 1, ("kerberos", "http"): 1}  # requests of a login that carry no message


@dataclass(frozen=True)
class Contact:
    """One line, asked once.

    Attributes:
        asked: machines that were asked anything; `silent` of them did not answer everything.
        wall: seconds from the line to its answer in the ledger; `cpu` of the bot's process meanwhile.
        longest: seconds in which questions to the busiest host were under way; `summed`: those of all hosts.
        questions: of all hosts; `most`: of the host that was asked most.
        logins: connections that were opened; `requests` that went over them, `legs` of which carried no message.
        needed: as many of those as such logins have.
    """

    command: str
    transport: str
    asked: int
    silent: int
    wall: float
    cpu: float
    longest: float
    summed: float
    questions: int
    most: int
    logins: int
    requests: int
    legs: int
    needed: int
    peak_mb: float


# --- the child ---------------------------------------------------------------------------------------------------


def ask(settings: Path, command: str, transport: str) -> Contact:
    """Ask in this process, which is a bot that has just started."""
    from bot import memory
    from bot.cli.os_user import current_user
    from bot.config.settings import load
    from bot.dispatch.command_line import EntryPoint, read_typed
    from bot.dispatch.pipeline import Request
    from bot.services import build_services
    from bot.transport.client import TargetClient
    from bot.transport.windows.http_adapter import Adapter
    from bot.transport.windows.winrm import Connection

    memory.give_memory_back()  # as the bot does when it starts
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    counted: Counter[str] = Counter()
    plain_answer, plain_exchange = TargetClient._answer, Connection.exchange
    plain_send, plain_opening = Adapter.send, Adapter.opening

    async def answer(client, question, seconds):
        answered = await plain_answer(client, question, seconds)
        spans[answered.by].append((answered.asked.timestamp(), answered.answered.timestamp()))
        return answered

    def send(adapter, request, *more, **named):
        counted["requests"] += 1
        return plain_send(adapter, request, *more, **named)

    def opening(adapter, connection):
        counted["logins"] += 1
        counted["needed"] += LEGS[transport, adapter._pool.scheme]
        return plain_opening(adapter, connection)

    def exchange(connection, envelope):
        counted["messages"] += 1
        return plain_exchange(connection, envelope)

    TargetClient._answer, Connection.exchange = answer, exchange
    Adapter.send, Adapter.opening = send, opening
    told = load(settings)
    with build_services(told) as made:
        typed = read_typed(f"/{command} {CLUSTER}", EntryPoint.TERMINAL)
        request = Request.of(current_user(told.roles), typed, "terminal", "bench")
        began, cpu = time.perf_counter(), time.process_time()
        report = asyncio.run(made.pipeline.answer(request)).report
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    busy = {host: covered(every) for host, every in spans.items()}
    high = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())  # ru_maxrss knows the parent's too
    assert high
    return Contact(
        command=command,
        transport=transport,
        asked=len(spans),
        silent=len(report.unanswered),
        wall=wall,
        cpu=cpu,
        longest=max(busy.values(), default=0.0),
        summed=sum(busy.values()),
        questions=sum(map(len, spans.values())),
        most=max(map(len, spans.values()), default=0),
        logins=counted["logins"],
        requests=counted["requests"],
        legs=counted["requests"] - counted["messages"],
        needed=counted["needed"],
        peak_mb=int(high[1]) / 1024,
    )


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds in which at least one of them was under way."""
    total, until = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total


# --- the table ---------------------------------------------------------------------------------------------------


def measure(
    nodes: int, guests: int, latency: float, commands: Sequence[str], transports: Sequence[str] = TRANSPORTS
) -> list[Contact]:
    """Every line over every login, one after another, each by a fresh bot with a ledger of its own."""
    from tests.bench.large_cluster_server import served

    found = []
    for transport in transports:
        for release, lines in groupby(commands, lambda command: RELEASES.get(command, RELEASE)):
            with tempfile.TemporaryDirectory(prefix="hvops-bench-") as made:
                folder = Path(made)
                with served(nodes, guests, latency, transport, folder, release=release) as environment:
                    found += [apart(folder / "settings.toml", command, transport, environment) for command in lines]
    return found


def apart(settings: Path, command: str, transport: str, environment: dict[str, str]) -> Contact:
    """Ask in a fresh process. Raises SystemExit."""
    line = [sys.executable, "-m", "tests.bench.first", "--child", str(settings), command, transport]
    done = subprocess.run(
        line, stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT, timeout=900, env={**os.environ, **environment}
    )
    if done.returncode:
        raise SystemExit(f"{command} over {transport} failed with code {done.returncode}")
    return Contact(**json.loads(done.stdout.splitlines()[-1]))


def possible(transports: Sequence[str]) -> tuple[list[str], list[str]]:
    """The logins that can be measured here, and a note where Kerberos cannot: it takes a KDC."""
    missing = missing_tools() if "kerberos" in transports else []
    if not missing:
        return list(transports), []
    note = (
        f"Kerberos was left out: no {', '.join(missing)} here. Install it: apt-get install krb5-kdc krb5-admin-server"
    )
    return [one for one in transports if one != "kerberos"], [note]


def table(found: Sequence[Contact], nodes: int, guests: int, latency: float, left_out: Sequence[str] = ()) -> Table:
    """Each line beside the longest of its own hosts. `left_out`: notes on what was not measured."""
    columns = (
        "", "machines", "s", "longest", "beside it", "questions each", "most", "logins", "requests", "CPU ms each", "MB",
    )  # fmt: skip
    rows = [
        (f"/{one.command}, {one.transport}", str(one.asked), f"{one.wall:.1f}", f"{one.longest:.2f}",
         times(one.wall / one.longest), f"{one.questions / one.asked:.1f}", str(one.most), str(one.logins),
         str(one.requests), f"{one.cpu * 1000 / one.questions:.2f}", f"{one.peak_mb:.0f}")
        for one in found
    ]  # fmt: skip
    title = f"First contact: {nodes} nodes, {guests:,} guests, {latency * 1000:.0f} ms latency per answer"
    summed = ", ".join(f"{one.summed / one.wall:.0f} x ({one.command}, {one.transport})" for one in found)
    note = (
        "A bot that has just started: every connection is opened and every login made within the seconds. 'longest': seconds"
        " of the machine whose own questions took longest; 'questions each': of a machine, 'most' those of one; 'CPU ms each':"
        f" of a question. One after the other the machines would have taken {summed}."
    )
    return Table(title, columns, rows, [note, *left_out], aims(found, nodes, guests))


def aims(found: Sequence[Contact], nodes: int, guests: int) -> list[Aim]:
    """What was wanted, beside what was found."""
    silent, slowest = max(one.silent for one in found), max(one.wall for one in found)
    missed = max((nodes if one.asked <= nodes else nodes + guests) - one.asked for one in found)  # some ask nodes alone
    peak = max(one.peak_mb for one in found)
    idle = max(one.legs - one.needed for one in found)
    return [
        Aim(
            "every machine answers everything",
            f"{silent} did not, {missed} were never asked",
            silent == 0 and missed == 0,
        ),
        Aim(f"within {LONGEST:.0f} s", f"worst {slowest:.1f} s", slowest < LONGEST),
        Aim(f"under {MOST_MB} MB", f"worst {peak:.0f} MB", peak < MOST_MB),
        Aim("no login takes more requests than it has legs", f"{idle} more", idle == 0),
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--guests", type=int, default=2000)
    parser.add_argument("--latency", type=float, default=0.02, help="seconds added to every answer")
    parser.add_argument("--commands", nargs="+", default=COMMANDS)
    parser.add_argument("--transports", nargs="+", default=TRANSPORTS, choices=TRANSPORTS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    told = parser.parse_args(argv)
    if told.child:
        settings, command, transport = told.child
        print(json.dumps(asdict(ask(Path(settings), command, transport))))  # noqa: T201 - for `apart`
        return
    transports, left_out = possible(told.transports)
    if not transports:
        raise SystemExit(left_out[0])
    found = measure(told.nodes, told.guests, told.latency, told.commands, transports)
    show([table(found, told.nodes, told.guests, told.latency, left_out)], as_json=told.json)


if __name__ == "__main__":
    main()
