"""From the approver's click to the first action: the real bot, beside the look that has to come between.

    python -m tests.bench.click [--rounds 5]

The bot is a process of its own, and so is the practice estate; the practice Slack holds the clock of the click. The action
begins when its `intent` stands in the ledger, which is written just before it is sent. Between the two lie: the click's own
entry, its acknowledgement, the decision, the runner's waking, the whole plan made afresh, its locks, and the guard of the step.

A node is drained, approved by somebody else, and resumed, confirmed by who asked; round by round.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import winrm
import xmltodict

from bot.config.inventory_file import load as load_inventory
from bot.config.settings import Settings, load
from bot.dispatch.command_line import read_line, read_typed, resolve
from bot.dispatch.registry import Registry
from bot.ledger import Entry, Reader
from bot.services import build_services
from bot.slack.manifest import manifest
from lab.slack.server import FakeSlack
from tests.bench.ack import HVOPS, estate, hvops, running
from tests.bench.table import Aim, Table, show, times

NODE = "hv03"
LINES = (f"/drain-node {NODE}", f"/resume-node {NODE}")
DRAIN, RESUME, LOOK, BARE, LOGIN = (
    "hvops: click to first action, drain",
    "hvops: click to first action, resume",
    "hvops: the look again of the drain alone",
    "pywinrm: one WQL, kept open",
    "pywinrm: one WQL, with login",
)
AT_MOST = 5.0  # seconds
ENDS_WITHIN = 300.0
Took = dict[str, list[float]]


async def clicks(settings: Path, slack: FakeSlack, rounds: int) -> Took:
    """Seconds from each deciding click to the first intent of its ticket."""
    took: Took = {DRAIN: [], RESUME: []}
    for number in range(rounds * len(LINES)):
        ticket, line = f"T-{number + 1}", LINES[number % len(LINES)]
        await slack.person("operator").types(line)
        plan = await slack.person("viewer").sees(ticket, "hv-ops")
        drains = line is LINES[0]
        clicked = time.time()
        await slack.person("approver" if drains else "operator").clicks(plan, "Approve" if drains else "Confirm")
        intent = await until(settings, ticket, "intent")
        took[DRAIN if drains else RESUME].append(datetime.fromisoformat(intent.at).timestamp() - clicked)
        await until(settings, ticket, "done")
    return took


async def until(settings: Path, ticket: str, kind: str) -> Entry:
    """Wait for the first entry of that kind."""
    async with asyncio.timeout(ENDS_WITHIN):
        with Reader(settings.with_name("ledger.db")) as ledger:
            while True:
                entries = ledger.story(ticket)
                if found := next((one for one in entries if one.kind == kind), None):
                    return found
                if kind == "intent" and entries[-1].kind in ("voided", "lapsed", "failed"):
                    raise SystemExit(f"{ticket} was {entries[-1].kind}: {entries[-1].reason}")
                await asyncio.sleep(0.02)


async def looks(settings: Settings, rounds: int) -> list[float]:
    """Seconds of making the plan, with connections kept open; on a ledger of its own."""
    with tempfile.TemporaryDirectory(prefix="hvops-bench-") as folder:
        files = {"path": "ledger.db", "key_file": "ledger.key", "anchor_file": "anchors.txt"}
        own = settings.ledger.model_copy(update={key: Path(folder) / name for key, name in files.items()})
        took = []
        with build_services(settings.model_copy(update={"ledger": own})) as made:
            for _ in range(rounds + 1):
                began = time.perf_counter()
                line = await resolve(made.inventory, read_line(made.registry, read_typed(LINES[0])), None)
                await made.planner.make(line, made.pipeline.look(datetime.now(UTC), None))
                took.append(time.perf_counter() - began)
    return took[1:]


def bare(settings: Settings, rounds: int) -> Took:
    """Plain pywinrm, written as its users do: one WQL to the node."""
    reader, url = settings.credentials.reader, load_inventory(settings.inventory).endpoints[NODE]
    told: Took = {BARE: [], LOGIN: []}
    for _ in range(rounds):
        protocol = winrm.Protocol(
            url,
            transport="ntlm",
            username=reader.username,
            password=reader.password.get_secret_value(),
            ca_trust_path=None,
        )
        for name in (LOGIN, BARE):
            began = time.perf_counter()
            reply = xmltodict.parse(protocol.send_message(xmltodict.unparse({"env:Envelope": _envelope(protocol)})))
            told[name].append(time.perf_counter() - began)
            assert "n:EnumerateResponse" in reply["s:Envelope"]["s:Body"]
        protocol.transport.close_session()
    return told


def _envelope(protocol: winrm.Protocol) -> dict[str, object]:
    uri = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/MSCluster/*"
    envelope = protocol.build_wsman_header("http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate", uri)
    query = {
        "@Dialect": "http://schemas.microsoft.com/wbem/wsman/1/WQL",
        "#text": "SELECT Name, State FROM MSCluster_Node",
    }
    enumerate_ = {"w:OptimizeEnumeration": None, "w:MaxElements": "32000", "w:Filter": query}
    envelope["env:Body"] = {"n:Enumerate": enumerate_}
    return envelope


async def measure(rounds: int) -> Took:
    """Everything, in one run on one estate."""
    with tempfile.TemporaryDirectory(prefix="hvops-bench-") as directory:
        async with FakeSlack(manifest=manifest(Registry.load()), rates="off") as slack:
            with estate(Path(directory), slack, "healthy") as file:
                settings = load(file)
                took: Took = {LOOK: await looks(settings, rounds), **bare(settings, rounds)}
                async with running(HVOPS, hvops(file), slack, 2):
                    took |= await clicks(file, slack, rounds)
    return took


def table(took: Took) -> Table:
    """The middle and the worst of each, beside one bare call."""
    beside = statistics.median(took[BARE])
    rows = [
        (name, str(len(took[name])), f"{1000 * statistics.median(took[name]):.0f}", f"{1000 * max(took[name]):.0f}",
         times(statistics.median(took[name]) / beside))
        for name in (DRAIN, RESUME, LOOK, LOGIN, BARE)
    ]  # fmt: skip
    note = (
        "The look again asks the cluster and every node what the plan was made of; the click costs that, a guard, and some "
        "ten durable entries besides."
    )
    worst = max(*took[DRAIN], *took[RESUME])
    aims = [
        Aim(f"the first action within {AT_MOST:.0f} s of every click", f"worst {worst:.2f} s", worst < AT_MOST),
        Aim(
            "a drain's click costs little more than looking again",
            times(statistics.median(took[DRAIN]) / statistics.median(took[LOOK])),
            None,
        ),
    ]
    return Table("From the click to the first action: a drain and a resume", ("", "count", "p50 ms", "worst ms", "beside one WQL"), rows, [note], aims)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args(argv)
    show([table(asyncio.run(measure(told.rounds)))], as_json=told.json)


if __name__ == "__main__":
    main()
