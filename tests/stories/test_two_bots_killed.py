"""Two bots on a database, one of them killed at whatever moment, or the database itself: it goes on, and nothing is decided,
done or said twice.

KILL_ROUNDS says how often; `make test-postgres` kills sixty times. The moments are those at which the ledger has grown by so
many entries since the ticket was asked for: before and after each thing that is asked, decided, begun, ended and shown.
"""

import asyncio
import os
import random
import signal
from collections import Counter

import pytest
from bot_pair import bot_messages, pair_on, until

from bot.errors import LedgerError
from bot.ledger.ticket_state import ENDS
from bot.services import open_ledger

ROUNDS = int(os.environ.get("KILL_ROUNDS", "1"))
_ENTRIES = 28  # of one ticket, from the line that asks for it to the last thing that is shown


@pytest.fixture
async def pair(postgresql_cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("lab.slack.simulated_user.PATIENCE", 60.0)
    for name, seconds in {
        "migration.SECONDS": dict.fromkeys(("live", "quick", "offline"), 0.02),
        "drain.BETWEEN": 0.01,
    }.items():
        monkeypatch.setattr(f"lab.world.{name}", seconds)
    database = postgresql_cluster.database()
    async with pair_on(tmp_path, database) as made:
        yield made
    postgresql_cluster.drop(database)


async def test_whoever_is_killed_the_other_goes_on(pair):
    async def kill(chance):
        doomed = chance.choice(pair.bots)
        doomed.send_signal(signal.SIGKILL)
        await until(lambda: doomed.poll() is not None)

    await tickets_are_done_once(pair, kill)


@pytest.mark.long
async def test_a_database_that_just_ends_loses_nothing_and_the_bots_go_on(pair, postgresql_cluster):
    """As with `pg_ctl stop -m immediate`: no session is ended in order. The anchors know each entry that was answered for."""

    async def end(_chance):
        await asyncio.to_thread(postgresql_cluster.stop, signal.SIGQUIT)
        await asyncio.to_thread(postgresql_cluster.start)

    await tickets_are_done_once(pair, end)
    assert pair.settings.ledger.anchor_file.read_text()


async def tickets_are_done_once(pair, harm):
    """Let one ticket after the other be asked for, decided and done, with that harm in the middle of each."""
    chance = random.Random(7)
    with open_ledger(pair.settings) as ledger:
        for number in range(ROUNDS):
            line = ("/drain-node hv03", "/resume-node hv03")[number % 2]
            after = 1 + (number * 11 + chance.randrange(11)) % _ENTRIES
            harming = asyncio.create_task(harm_after(ledger, after, lambda: harm(chance)))
            ticket = await asked_for(pair, ledger, line, number + 1)
            await decided(pair, ledger, ticket)
            await until(lambda ticket=ticket: is_told(ledger, ticket))
            harming.cancel()
            await asyncio.gather(harming, return_exceptions=True)
            kinds = Counter(one.kind for one in ledger.story(ticket))
            assert [kinds[one] for one in ("proposed", "approved", "started", "done")] == [1] * 4, kinds
            assert sent_twice(ledger.story(ticket)) == []
            await pair.start_the_dead()
        asked = pair.estate.world.asked
    assert pair.ledger()
    acts = [one for one in asked if "Pause" in one or "Resume" in one]
    assert len(acts) == ROUNDS, asked
    shown = [one for one in bot_messages(pair) if one.only_for is None]
    # Where nobody knows how a plan's text was taken, its file says it as well, beside the one of the evidence.
    names = pair.slack.workspace.files
    said = Counter((one.thread_ts, one.text, *(names[file].name for file in one.files)) for one in shown)
    assert [key for key, times in said.items() if times > 1] == []


def sent_twice(story):
    """The steps that were begun again although no other bot had taken the run up, and nobody knew that they had not happened.

    Whoever takes a run up behind an intent waits until the act can have ended, and begins it again only where nothing has changed.
    """
    open_ones, twice = set(), []
    for one in story:
        if one.kind == "intent":
            place = one.data.step, one.data.round
            twice += [place] if place in open_ones else []
            open_ones.add(place)
        elif one.kind == "resumed":
            open_ones.clear()
        elif one.kind == "outcome" and one.data.not_executed:
            open_ones.discard((one.data.step, one.data.round))
    return twice


async def harm_after(ledger, entries, harm):
    """Do harm once the ledger has so many entries more than now; what is begun is done whole."""
    begin = await asyncio.to_thread(length, ledger)
    await until(lambda: length(ledger) >= begin + entries)
    doing = asyncio.ensure_future(harm())
    try:
        await asyncio.shield(doing)
    finally:
        await doing


def length(ledger):
    head = answered(ledger.head)
    return head.seq if head is not None else 0


def answered(ask, *told, **named):
    """What a ledger says; None while its database is away."""
    try:
        return ask(*told, **named)
    except LedgerError:
        return None


async def asked_for(pair, ledger, line, number):
    """Ask until there is a ticket: what the bot took that was killed, nobody answers."""
    operator = pair.slack.person("operator")
    for _ in range(4):
        await operator.types(line)
        try:
            async with asyncio.timeout(30):
                while len(answered(ledger.entries, kind="proposed", limit=-1) or ()) < number:  # noqa: ASYNC110 - another process writes
                    await asyncio.sleep(0.1)
        except TimeoutError:
            continue
        return f"T-{number}"
    raise AssertionError(f"nobody proposed {line}")


async def decided(pair, ledger, ticket):
    """Whoever decides presses, both approvers at once, again and again, until one was heard."""
    operator, *approvers = (pair.slack.person(one) for one in ("operator", "approver", "second"))
    async with asyncio.timeout(120):
        while not any(one.kind == "approved" for one in answered(ledger.story, ticket) or ()):
            # what else names the ticket, such as the answer to who asked, has none of the buttons
            plans = [one for one in operator.messages("hv-ops") if not one.thread_ts and ticket in str(one.blocks)]
            for button, people in (("Approve", approvers), ("Confirm", [operator])):
                pressing = (one.clicks(plan, button) for plan in plans for one in people)
                pressed = await asyncio.gather(*pressing, return_exceptions=True)
                strange = [one for one in pressed if isinstance(one, Exception) and not isinstance(one, LookupError)]
                assert strange == []
            await asyncio.sleep(0.2)


def is_told(ledger, ticket):
    """Whether the end of a ticket stands in its thread, as the last thing that there is to say."""
    story = answered(ledger.story, ticket) or []
    ends = [one.seq for one in story if one.kind in ENDS]
    was_told = bool(ends) and any(one.kind == "shown" and one.fields.get("entry") == ends[-1] for one in story)
    return was_told and story[-1].kind == "shown"
