"""Whole tickets while Slack fails by a seed: what has not been delivered is delivered until it is.

Every call meets a fault drawn from the seed, until all tickets have ended; then Slack is well. Within a minute of that,
in Slack's time, everything must be so as `delivery_audit` says. `make slack-faults` plays fifty seeds, ten thousand calls
in all, and counts them; `pytest -k "[7]"` with SLACK_FAULT_SEEDS=50 plays the seventh again.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import fields, replace
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

SCALE = 12.0  # everything that waits for Slack goes so many times faster
MINUTE = 60.0 / SCALE
BACKLOG = 3 * MINUTE  # Slack takes one message a second in a channel: what was not told meanwhile has to wait its turn
CALLS = 200  # that a seed meets while Slack fails
SHARES = (0.15, 0.3, 0.45)  # of the calls that meet a fault, of even seeds
FAILS_AT_MOST = 10.0  # seconds: then it is well whatever has ended
MANY = int(os.environ.get("SLACK_FAULT_SEEDS", "0"))
SEEDS = range(1, MANY + 1) if MANY else (2, 5)  # with a restart, and without a file

SECONDS = {
    "bot.slack.socket._PING": 6.0,
    "bot.slack.roles._PATIENCE": 10.0,
    "bot.slack.roles._BRIEFLY": 3.0,
    "bot.slack.tickets.change_service._FOR_THE_PLAN": 20.0,
}


@pytest.fixture
def quick(monkeypatch):
    """What is no setting of the parts goes as fast as the rest."""
    for name, seconds in SECONDS.items():
        monkeypatch.setattr(name, seconds / SCALE)
    monkeypatch.setattr("bot.slack.outbound.responder.bounded_session", lambda _: bounded_session(15 / SCALE))


def pace(clock):
    async def sleep(seconds):
        await asyncio.sleep(seconds / SCALE)

    def scaled():
        return time.monotonic() * SCALE

    def now():
        return datetime.now(UTC)

    seconds = {one.name: one.default / SCALE for one in fields(ReminderSchedule) if isinstance(one.default, float)}
    return {
        "tempo": RateLimit(clock=scaled, sleep=sleep),
        "pace": ReminderSchedule(**seconds, clock=scaled, sleep=sleep, now=now),
        "timeout": 15 / SCALE,
        "clock": clock,
        "seconds": scaled,
    }


class Played:
    """One seed: its tickets, its calls, and what was wrong afterwards."""

    def __init__(self, seed):
        self.seed = seed
        self.calls, self.faults, self.missing, self.cards, self.seconds = 0, 0, 0, 0.0, 0.0
        self.began, self.took = time.monotonic(), 0.0
        self.violations, self.doubles, self.told = [], set(), []

    def __str__(self):
        return (
            f"seed {self.seed}: {self.calls} calls, {self.faults} with a fault; {self.missing} things missing when it was "
            f"well; cards agreed {self.cards * SCALE:.0f} s, all was told {self.seconds * SCALE:.0f} s of its time later; {len(self.violations)} violations"
            f" in {self.took:.0f} s"
            + (f"; two live cards for a while: {', '.join(sorted(self.doubles))}" if self.doubles else "")
        )

    def report(self):
        return "\n".join([str(self), *(f"  {one.ticket}: {one.says}" for one in self.violations), *self.told])


def draws_of(seed):
    """Odd seeds fail little until all is decided, and then nearly always; of every fifth no file is ever taken."""
    no_files = {"files.getUploadURLExternal": "missing_scope"} if seed % 5 == 0 else {}
    return Draws(seed, 0.1 if seed % 2 else SHARES[seed % 3], patience=15 / SCALE, for_good=no_files)


async def play(seed, folder, make_bench):
    """Play every kind of ticket at once under one seed."""
    played, clock, estate = Played(seed), Time(), Estate()
    with Ledger(folder / "ledger.db", folder / "key", folder / "anchors", clock=clock) as ledger:
        async with (
            FakeSlack(rates="off", clock=clock) as practice,
            FaultySlack(practice, draws_of(seed)) as slack,
        ):
            bench = make_bench(slack, ledger, estate)
            troupe, audit = Troupe(slack, ledger, estate, clock), Audit(slack, ledger, estate)
            playing = {kind: asyncio.create_task(troupe.plays(kind, at)) for at, kind in enumerate(KINDS)}
            if seed % 4 == 0:  # the bot is restarted in the middle
                async with bench.running(**pace(clock)):
                    await until(lambda: len(slack.calls) >= CALLS / 2, FAILS_AT_MOST / 2)
            async with bench.running(**pace(clock)):
                stuck = await fail_then_heal(played, playing, troupe, audit)
                began = time.monotonic()
                await until(lambda: not audit.cards_not_yet(), MINUTE)
                played.cards, late = time.monotonic() - began, audit.cards_not_yet()
                await until(lambda: not audit.not_yet(), BACKLOG)
                played.seconds = time.monotonic() - began
            played.took = time.monotonic() - played.began
            played.violations = [*stuck, *late, *audit.not_yet(), *audit.for_good(slack.calls)]
            played.calls, played.doubles = len(slack.calls), audit.doubles
            played.faults = sum(one.fault is not None for one in slack.calls)
            for ticket in sorted({one.ticket for one in played.violations if one.ticket}):
                played.told += [f"  {ticket} in the ledger:", *(f"    {each}" for each in audit.story(ticket))]
                ids = [one.ts for one in audit.cards(ticket)]
                played.told += [f"  calls of {ticket}:", *(f"    {each}" for each in slack.about(ticket, *ids))]
    return played


async def fail_then_heal(played, playing, troupe, audit):
    """Tickets while Slack fails, and to their ends when it is well; those that nobody could bring to an end are told."""
    slack, last = troupe.slack, playing["expired"]
    others = [task for task in playing.values() if task is not last]
    began = time.monotonic()

    def heal():
        if slack.healed is None:
            played.missing = len(audit.not_yet())
            slack.heal()

    if played.seed % 2:  # whatever was decided is done and ends while hardly anything gets through
        await until(troupe.have_decided, FAILS_AT_MOST / 2)
        slack.is_worse = True
        began = time.monotonic() - FAILS_AT_MOST / 2
    troupe.estate.begins.set()
    _, late = await asyncio.wait(others, timeout=began + FAILS_AT_MOST - time.monotonic())
    if late:
        heal()
        await asyncio.wait(others)
    await until(lambda: len(troupe.tickets()) >= len(KINDS), 2)  # the last, for which Slack let nobody type
    troupe.clock.forward(minutes=31)
    troupe.too_late.set()
    await asyncio.wait([last], timeout=2)
    await until(lambda: slack.healed or len(slack.calls) >= CALLS, began + FAILS_AT_MOST - time.monotonic())
    heal()
    ended = await asyncio.gather(*playing.values(), return_exceptions=True)
    for one in ended:
        if isinstance(one, BaseException) and not isinstance(one, Stuck):
            raise one
    return [Violation(one.ticket, str(one)) for one in ended if isinstance(one, Stuck)]


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


async def test_a_channel_that_puts_the_bot_out_has_every_end_told_directly(tmp_path, make_bench, quick):
    """Decided in the channel, done without it: both people hear of it, and the channel catches up once it takes something."""
    clock, estate = Time(), Estate()
    with Ledger(tmp_path / "ledger.db", tmp_path / "key", tmp_path / "anchors", clock=clock) as ledger:
        async with FakeSlack(rates="off", clock=clock) as slack:
            slack.healed = None
            bench, audit = make_bench(slack, ledger, estate), Audit(slack, ledger, estate)
            troupe = Troupe(slack, ledger, estate, clock)
            async with bench.running(**pace(clock)):
                kinds = ("done", "long", "failed", "confirmed")
                playing = [asyncio.create_task(troupe.plays(kind, at)) for at, kind in enumerate(kinds)]
                await until(lambda: len(ledger.entries(kind="intent")) == len(kinds), 20)
                slack.workspace.leaves("hvops", "hv-ops")
                estate.begins.set()
                tickets = await asyncio.gather(*playing)
                await until(lambda: not audit.untold(), MINUTE)
                assert [one.says for one in audit.untold()] == []
                shown = {one.channel for one in audit.said if any(f"{each} " in one.text for each in tickets)}
                assert any(slack.workspace.channels[each].kind == "dm" for each in shown)
                slack.workspace.joins("hvops", "hv-ops")
                await until(lambda: not audit.not_yet(), MINUTE)
                assert [one.says for one in audit.not_yet()] == []
                assert [one.says for one in audit.for_good([])] == []


# --- the audit itself notices -------------------------------------------------------------------------------------


async def one_done(make_bench, folder):
    """One ticket, done, with a Slack that is well; and who looks on."""
    ledger = Ledger(folder / "ledger.db", folder / "key", folder / "anchors")
    estate = Estate()
    async with FakeSlack(rates="off") as slack:
        audit, bench = Audit(slack, ledger, estate), make_bench(slack, ledger, estate)
        slack.healed = 0.0
        troupe = Troupe(slack, ledger, estate, Time())
        estate.begins.set()
        async with bench.running():
            await troupe.plays("long", 1)
            await until(lambda: not audit.not_yet(), 10)
    ledger.close()
    return slack, audit


def without_its_end(slack, audit):
    thread = slack.workspace.messages["C0OPS"]
    thread.remove(next(one for one in thread if one.text.startswith("<@U0OPS0> <@U0BOSS0> T-1 Done")))


def with_an_old_card(slack, audit):
    audit.cards("T-1")[0].text = "T-1 runs, step 1 of 2"


def with_two_cards(slack, audit):
    slack.workspace.post(replace(audit.cards("T-1")[0], ts=slack.workspace.next_ts()))


def without_its_plan(slack, audit):
    audit.said[:] = [one for one in audit.said if not one.files]


def with_a_line_twice(slack, audit):
    line = next(one for one in slack.workspace.messages["C0OPS"] if one.text.startswith("Approved by"))
    slack.workspace.post(replace(line, ts=slack.workspace.next_ts()))


def with_an_act_twice(slack, audit):
    audit.estate.acts.append(audit.estate.acts[0])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (without_its_end, {"was not told to its requester", "was not told to its decider"}),
        (with_an_old_card, {"the ledger says done, the card"}),
        (with_two_cards, {"2 live cards", "two live cards stood at one time"}),
        (without_its_plan, {"approved, and never shown"}),
        (with_a_line_twice, {"is said twice", "out of order"}),
        (with_an_act_twice, {"reached node01 2 times"}),
    ],
)
async def test_the_audit_sees_what_is_wrong(spoil, says, make_bench, tmp_path):
    slack, audit = await one_done(make_bench, tmp_path)
    with Ledger(tmp_path / "ledger.db", tmp_path / "key", tmp_path / "anchors") as audit.ledger:
        assert [*audit.not_yet(), *audit.for_good([])] == []
        spoil(slack, audit)
        found = [one.says for one in (*audit.not_yet(), *audit.for_good([]))]
    assert all(any(each in one for one in found) for each in says), found
    assert all(any(each in one for each in says) for one in found), found
