"""What people and the bot itself wait for when 10,000 of 100,000 tickets are open, beside a ledger of ten.

    python -m tests.bench.tickets [--tickets 100000] [--open 10000] [--rounds 5]

The bot is a process of its own on a ledger that was filled before; the practice Slack holds the clock: from what somebody
does to what they see. The sweep, which the bot makes every second, is measured in this process, on the same ledger and
before the bot is there. Both ledgers are measured in the same run, one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from bot.config.settings import load
from bot.dispatch.authorization import Person as KnownPerson
from bot.dispatch.registry import Registry
from bot.errors import RolesUnknown
from bot.services import build_services, runner
from bot.slack.manifest import manifest
from lab.slack import simulated_user as practice
from lab.slack.model import Message
from lab.slack.server import FakeSlack
from lab.slack.simulated_user import Person
from tests.bench.ack import HVOPS, estate, hvops, running
from tests.bench.many_tickets import filled
from tests.bench.table import Aim, Table, show, times

FEW = 10
SWEEP, START, CLICK, RUNS, HOME, AUDIT = (
    "a sweep",
    "the start",
    "a click's decision",
    "/hvops runs",
    "Home",
    "/hvops audit",
)
SEEN_WITHIN = 180.0  # seconds; the bot posts once a second, and has messages to bring up to date when it starts
SLOWER = 3.0  # times
A_SECOND = 1.0
Took = dict[str, list[float]]


async def nobody_knows(_id: str, _name: str) -> KnownPerson:
    """What waits here waits for locks; nobody is asked who may start it."""
    raise RolesUnknown("Nobody is asked here.")


async def sweeps(file: Path, rounds: int) -> list[float]:
    """Seconds of a sweep; the first one, which reads what approved tickets need, is not counted."""
    took = []
    with build_services(load(file)) as made:
        swept = runner(made, lambda _: None, nobody_knows)
        try:
            for _ in range(rounds + 1):
                began = time.perf_counter()
                await swept.tick()
                took.append(time.perf_counter() - began)
        finally:
            await swept.close()
    return took[1:]


async def timed(rounds: int, act: Callable[[], Awaitable[object]]) -> list[float]:
    """Seconds of each time; the first is not counted."""
    took = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        await act()
        took.append(time.perf_counter() - began)
    return took[1:]


class People:
    """What somebody does, each time until they see what comes of it."""

    def __init__(self, slack: FakeSlack) -> None:
        self.slack = slack
        self.operator: Person = slack.person("operator")

    async def types(self, line: str, sees: str) -> None:
        """A line and its answer."""
        newest = max((one.ts for one in self.operator.ephemerals()), default="")
        await self.operator.types(line)
        await self.operator.sees(sees, after=newest)

    async def opens_home(self) -> None:
        """Home, until it is drawn anew."""
        before = len(self.slack.calls("views.publish"))
        with self.slack.workspace.stream.follow() as events:
            await self.operator.opens_home()
            while len(self.slack.calls("views.publish")) == before:
                await events.get()

    async def proposal(self) -> Message:
        """A plan to decide about."""
        viewer = self.slack.person("viewer")
        newest = max((one.ts for one in viewer.messages("hv-ops")), default="")
        await self.operator.types("/drain-node hv03")
        return await viewer.sees("Drain node hv03?", "hv-ops", after=newest)

    async def withdrawals(self, rounds: int) -> list[float]:
        """Seconds from a click to the answer that says that it was decided."""
        took = []
        for _ in range(rounds):
            plan = await self.proposal()
            newest = max((one.ts for one in self.operator.ephemerals()), default="")
            began = time.perf_counter()
            await self.operator.clicks(plan, "Withdraw")
            await self.operator.sees("withdrawn. Nothing is done.", after=newest)
            took.append(time.perf_counter() - began)
        return took


async def measure(tickets: int, are_open: int, rounds: int) -> Took:
    """Everything on one ledger."""
    with tempfile.TemporaryDirectory(prefix="hvops-bench-") as folder:
        async with FakeSlack(manifest=manifest(Registry.load()), rates="off") as slack:
            with estate(Path(folder), slack, "healthy") as file:
                filled(Path(folder), tickets, are_open)
                # A long history.
                file.write_text(file.read_text().replace('audit_channel = "C0AUDIT"', 'audit_channel = ""'))
                took: Took = {SWEEP: await sweeps(file, rounds)}
                began = time.perf_counter()
                async with running(HVOPS, hvops(file), slack, 2):
                    took[START] = [time.perf_counter() - began]
                    people = People(slack)
                    took[HOME] = await timed(rounds, people.opens_home)
                    took[RUNS] = await timed(rounds, lambda: people.types("/hvops runs", "open ticket"))
                    took[AUDIT] = await timed(rounds, lambda: people.types("/hvops audit prod", "Audit"))
                    took[CLICK] = await people.withdrawals(rounds)
    return took


def table(few: Took, many: Took, tickets: int, are_open: int) -> Table:
    """The middle of each beside that of the small ledger."""
    rows = []
    for name in (CLICK, RUNS, HOME, AUDIT, SWEEP, START):
        small, large = statistics.median(few[name]), statistics.median(many[name])
        rows.append(
            (name, f"{1000 * small:.1f}", f"{1000 * large:.1f}", f"{1000 * max(many[name]):.1f}", times(large / small))
        )
    note = (
        "The open tickets wait for a decision. /hvops runs shows fifty, Home ten of each kind, where there are as many. The first "
        "answers that say how the chain is walk all of a ledger, 200,000 entries each; later ones only what is new. The "
        "start is from the process to both connections."
    )
    aims = [
        Aim(
            f"{name} takes less than {SLOWER:.0f} times as long",
            times(statistics.median(many[name]) / statistics.median(few[name])),
            statistics.median(many[name]) < SLOWER * statistics.median(few[name]),
        )
        for name in (CLICK, RUNS)
    ]
    worst = max(many[SWEEP])
    aims.append(
        Aim("a sweep is done long before the next one", f"worst {worst:.3f} s of {A_SECOND:.0f}", worst < A_SECOND / 4)
    )
    title = f"Tickets: {are_open:,} open of {tickets:,}, beside {FEW} open of {FEW}"
    columns = ("", f"{FEW} ms", f"{are_open:,} ms", "worst ms", "beside")
    return Table(title, columns, rows, [note], aims)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickets", type=int, default=100_000)
    parser.add_argument("--open", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args(argv)
    practice.PATIENCE = SEEN_WITHIN
    few = asyncio.run(measure(FEW, FEW, told.rounds))
    many = asyncio.run(measure(told.tickets, told.open, told.rounds))
    show([table(few, many, told.tickets, told.open)], as_json=told.json)


if __name__ == "__main__":
    main()
