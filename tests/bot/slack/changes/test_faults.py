"""Whole tickets while Slack fails by a seed: what has not been delivered is delivered until it is.

Every call meets a fault drawn from the seed, until all tickets have ended; then Slack is well. Within a minute of that,
in Slack's time, everything must be so as `delivery_audit` says. `make slack-faults` plays fifty seeds, ten thousand calls
in all, and counts them; `pytest -k "[7]"` with SLACK_FAULT_SEEDS=50 plays the seventh again.
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime

import pytest
from delivery_audit import Audit, Violation
from faulty_slack import Draws, FaultySlack
from whole_tickets import KINDS, Estate, Stuck, Time, Troupe

from bot.ledger import Ledger
from bot.slack.outbound.bounded_client import bounded_session
from bot.slack.outbound.outbox import RateLimit
from bot.slack.tickets.ticket_messages import ReminderSchedule
from lab.slack.server import FakeSlack

SCALE = 20.0  # everything that waits for Slack goes so many times faster
MINUTE = 60.0 / SCALE
CALLS = 200  # that a seed meets while Slack fails
FAILS_AT_MOST = 12.0  # seconds: then it is well whatever has ended
SEEDS = range(1, int(os.environ.get("SLACK_FAULT_SEEDS", "4")) + 1)


@pytest.fixture
def quick(monkeypatch):
    """What is no setting of the parts goes as fast as the rest."""
    monkeypatch.setattr("bot.slack.socket._PING", 0.3)
    monkeypatch.setattr("bot.slack.outbound.responder.bounded_session", lambda _: bounded_session(15 / SCALE))


def pace(clock):
    async def sleep(seconds):
        await asyncio.sleep(seconds / SCALE)

    def scaled():
        return time.monotonic() * SCALE

    def now():
        return datetime.now(UTC)

    return {
        "tempo": RateLimit(clock=scaled, sleep=sleep),
        "pace": ReminderSchedule(
            progress=3 / SCALE, again=30 / SCALE, glance=1 / SCALE, clock=scaled, sleep=sleep, now=now
        ),
        "timeout": 15 / SCALE,
        "clock": clock,
        "seconds": scaled,
    }


class Played:
    """One seed: its tickets, its calls, and what was wrong afterwards."""

    def __init__(self, seed):
        self.seed = seed
        self.calls, self.faults, self.seconds = 0, 0, 0.0
        self.violations, self.doubles, self.told = [], set(), []

    def __str__(self):
        return (
            f"seed {self.seed}: {self.calls} calls, {self.faults} with a fault; agreed {self.seconds * SCALE:.0f} s of "
            f"Slack's time after it was well; {len(self.violations)} violations"
            + (f"; two live cards for a while: {', '.join(sorted(self.doubles))}" if self.doubles else "")
        )

    def report(self):
        return "\n".join([str(self), *(f"  {one.ticket}: {one.says}" for one in self.violations), *self.told])


async def play(seed, folder, make_bench):
    """Play every kind of ticket at once under one seed."""
    played, clock, estate = Played(seed), Time(), Estate()
    with Ledger(folder / "ledger.db", folder / "key", folder / "anchors", clock=clock) as ledger:
        async with (
            FakeSlack(rates="off", clock=clock) as practice,
            FaultySlack(practice, Draws(seed, patience=15 / SCALE)) as slack,
        ):
            bench = make_bench(slack, ledger, estate)
            troupe, audit = Troupe(slack, ledger, estate, clock), Audit(slack, ledger, estate)
            async with bench.running(**pace(clock)):
                stuck = await fail_then_heal(troupe, slack, clock)
                await settled(audit, played)
            played.violations = [*stuck, *audit.not_yet(), *audit.for_good(slack.calls)]
            played.calls, played.doubles = len(slack.calls), audit.doubles
            played.faults = sum(one.fault is not None for one in slack.calls)
            for ticket in sorted({one.ticket for one in played.violations if one.ticket}):
                played.told += [f"  {ticket} in the ledger:", *(f"    {each}" for each in audit.story(ticket))]
                ids = [one.ts for one in audit.cards(ticket)]
                played.told += [f"  calls of {ticket}:", *(f"    {each}" for each in slack.about(ticket, *ids))]
    return played


async def fail_then_heal(troupe, slack, clock):
    """Tickets while Slack fails, and to their ends when it is well; those that nobody could bring to an end are told."""
    playing = {kind: asyncio.create_task(troupe.plays(kind, at)) for at, kind in enumerate(KINDS)}
    last = playing["expired"]
    others = [task for task in playing.values() if task is not last]
    began = time.monotonic()
    _, late = await asyncio.wait(others, timeout=FAILS_AT_MOST)
    if late:
        slack.heal()
        await asyncio.wait(others)
    await asyncio.wait([last], timeout=0.1)  # proposed long ago, but for a Slack that let nobody type
    clock.forward(minutes=31)
    troupe.too_late.set()
    await until(lambda: slack.healed or len(slack.calls) >= CALLS, began + FAILS_AT_MOST - time.monotonic())
    slack.heal()
    ended = await asyncio.gather(*playing.values(), return_exceptions=True)
    for one in ended:
        if isinstance(one, BaseException) and not isinstance(one, Stuck):
            raise one
    return [Violation(one.ticket, str(one)) for one in ended if isinstance(one, Stuck)]


async def settled(audit, played):
    """Wait until nothing is missing, a minute of Slack's time at most."""
    began = time.monotonic()
    await until(lambda: not audit.not_yet(), MINUTE)
    played.seconds = time.monotonic() - began


async def until(is_so, seconds):
    """Wait for something that the bot brings about, so long at most."""
    ends = time.monotonic() + seconds
    while not is_so() and time.monotonic() < ends:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("seed", SEEDS)
async def test_whole_tickets_while_slack_fails(seed, tmp_path, make_bench, quick, record_property):
    played = await play(seed, tmp_path, make_bench)
    record_property("slack faults", [str(played), played.calls, played.faults])
    assert not played.violations, played.report()
