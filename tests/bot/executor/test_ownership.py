"""Two bots on one database: each run has a lock on a connection of its own, and what one bot does for all has one owner."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from scripted_world import (
    APPROVER,
    OPERATOR,
    OTHER,
    OtherClock,
    Request,
    is_now,
    simple,
    state,
    step,
    taken_at_once,
)

from bot.api.plan import Step
from bot.errors import LedgerError, TicketError
from bot.executor.ownership import ownership_of
from bot.ledger.places import open_locks
from bot.ledger.postgresql_locks import KEYS
from bot.ledger.shared_locks import KEY_BITS, MOST_SKEW_SECONDS, Duty, delivery_key, number_of_run, run_key
from bot.tickets.undo import NOTE_SECONDS

WAITING = (
    "Waiting for a bot whose clock is in sync: on the bot that wrote this, the clock of this machine is 900 s ahead of"
)


@pytest.fixture(autouse=True)
def stored(postgresql_cluster, tmp_path):
    """The ledger of this test is in a database, whatever the run is about."""
    database = postgresql_cluster.database()
    (tmp_path / "database").write_text(database.url)
    yield database
    postgresql_cluster.drop(database)


class Admin:
    """Whoever may end sessions of that database."""

    def __init__(self, database):
        self.connection = psycopg.connect(database.url, autocommit=True)

    def cut(self, *keys: int) -> int:
        """End the sessions that hold these locks, and wait until the server has let go of them."""
        ended = self.connection.execute(
            """SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_locks
            WHERE locktype = 'advisory' AND ((classid::bigint << 32) | objid::bigint) & %s = ANY(%s)""",
            ((1 << KEY_BITS) - 1, list(keys)),
        ).fetchone()
        return ended[0]


@pytest.fixture
def admin(stored):
    made = Admin(stored)
    yield made
    made.connection.close()


def has_the_duties_soon(own):
    """The server needs a moment to let go of the locks of a bot that is gone."""
    assert any(own.acquire() for _ in range(2_000))


async def nothing():
    """Only time passes."""


async def until(holds, do=nothing):
    """Do it again and again until something holds."""
    for _ in range(2_000):
        if holds():
            return
        await do()
        await asyncio.sleep(0.001)
    raise AssertionError("it never came to that")


async def runs_half_a_minute_later(bench, clock):
    clock.forward(seconds=30)
    await bench.runs()


def test_each_key_is_of_one_thing():
    keys = [*KEYS.values(), run_key("T-1"), run_key("T-2"), delivery_key("T-1"), run_key("nonsense")]
    assert len(set(keys)) == len(keys)
    assert all(0 <= key < 1 << KEY_BITS for key in keys)
    assert [number_of_run(key) for key in keys[-4:]] == [1, 2, None, 0]


def test_each_duty_has_one_owner_and_the_next_bot_has_it_when_that_one_is_gone(benches):
    first, second = benches(), benches()
    one, other = ownership_of(first.ledger), ownership_of(second.ledger)
    assert not one.owns(Duty.RUNS)
    assert (one.acquire(), other.acquire()) == (True, False)
    assert [[each.owns(duty) for duty in Duty] for each in (one, other)] == [[True] * 4, [False] * 4]
    one.close()
    has_the_duties_soon(other)
    assert (one.acquire(), one.owns(Duty.AUDIT_CHANNEL), other.owns(Duty.AUDIT_CHANNEL)) == (False, False, True)


def test_who_lost_its_duties_knows_it_at_its_next_look_and_may_have_them_again(benches, admin):
    first, second = benches(), benches()
    one, other = ownership_of(first.ledger), ownership_of(second.ledger)
    assert one.acquire()
    admin.cut(KEYS[Duty.RUNS])
    assert not one.acquire()
    assert not one.trouble
    assert other.acquire()
    assert not one.acquire()
    other.close()
    has_the_duties_soon(one)


def freed(ownership, ticket):
    """The lock of a run, once its server shows that nobody has it: for a moment it shows sessions that have ended."""
    ends = time.monotonic() + 30
    while (lock := ownership.lock_run(ticket)) is None:
        assert time.monotonic() < ends
    return lock


def test_one_run_has_one_lock_and_its_loss_takes_no_others(benches, admin):
    first, second = benches(), benches()
    one, other = ownership_of(first.ledger), ownership_of(second.ledger)
    held, beside = one.lock_run("T-1"), one.lock_run("T-2")
    assert other.lock_run("T-1") is None
    assert not other.runs_elsewhere("T-1")  # it has not looked
    one.acquire()
    other.acquire()
    assert (other.runs_elsewhere("T-1"), other.runs_elsewhere("T-3"), one.runs_elsewhere("T-1")) == (True, False, False)
    held.must_be_held()
    admin.cut(run_key("T-1"))
    taken = freed(other, "T-1")
    with pytest.raises(LedgerError, match="run of T-1 was lost"):
        held.must_be_held()
    taken.close()
    again = one.lock_run("T-1")
    assert again is not None
    assert not held.is_held()  # what was lost is lost, whoever has the lock now
    beside.must_be_held()
    for lock in (held, beside, again):
        lock.close()


def test_nobody_who_can_be_asked_means_that_nothing_is_held(benches, postgresql_cluster):
    bench = benches()
    own = ownership_of(bench.ledger)
    assert own.acquire()
    lock = own.lock_run("T-1")
    postgresql_cluster.stop()
    try:
        assert not lock.is_held()
        assert not own.acquire()
        assert [own.owns(duty) for duty in Duty] == [False] * 4
        with pytest.raises(LedgerError, match="cannot be asked now"):
            own.lock_run("T-2")
    finally:
        postgresql_cluster.start()
    assert not lock.is_held()
    assert own.acquire()
    lock.close()


def test_who_is_there_and_does_what_is_told_to_whoever_asks(benches):
    first, second = benches(), benches()
    first.ledger.shared.marks = {"code": "abcdef0", "settings": "1", "inventory": "2" * 64, "anchors": ""}
    one, other = ownership_of(first.ledger), ownership_of(second.ledger)
    one.acquire()
    other.acquire()
    lock = other.lock_run("T-17")
    bots = second.ledger.shared.present()
    assert sorted((bot.duties, bot.runs) for bot in bots) == [((), (17,)), (tuple(Duty), ())]
    (told,) = [bot.marks for bot in bots if bot.duties]
    assert told == {"code": "abcde", "settings": "00001", "inventory": "22222", "anchors": "00000", "sites": "00000"}
    lock.close()


async def test_a_run_whose_lock_is_cut_stops_before_its_next_step_and_the_other_bot_goes_on(benches, world, admin):
    first, second = benches(), benches()
    await first.runner.tick()
    ticket = await first.approved()
    cut = asyncio.Event()

    def gone():
        assert admin.cut(run_key(ticket), *KEYS.values()) == 5
        cut.set()

    world.hooks[1] = gone
    await first.runner.tick()
    await cut.wait()
    await first.runner.wait_idle()
    assert len(world.order) == 1
    assert first.kinds(ticket)[-2:] == ["intent", "outcome"]  # what was in flight is written down
    await second.runs(2)
    assert second.last(ticket).kind == "done"
    assert all(times == 1 for times in world.acts.values()), world.order
    await first.runs(2)
    assert first.kinds(ticket).count("done") == 1


async def test_a_bot_that_lost_a_run_may_take_it_up_again(bench, world, admin):
    ticket = await bench.approved()
    world.hooks[1] = lambda: admin.cut(run_key(ticket), *KEYS.values())
    await bench.runner.tick()
    await bench.runner.wait_idle()
    assert len(world.order) == 1
    bench.runner._trouble.clear()

    async def tries_again():
        await bench.runs()
        bench.runner._trouble.clear()

    await until(lambda: bench.last(ticket).kind == "done", tries_again)
    assert all(times == 1 for times in world.acts.values()), world.order


async def test_what_an_act_comes_to_is_refused_once_another_bot_has_taken_the_run_up(benches, world, admin):
    """Its lock is cut while the act is under way, and the other bot has begun the next attempt before it answers."""
    first, second = benches(), benches()
    await first.runner.tick()
    ticket = await first.approved()
    taken_up = asyncio.Event()
    real, waits = first.parts.actor.change, asyncio.Event()

    async def slow(action, seconds):
        answer = await real(action, seconds)
        if not waits.is_set():
            waits.set()
            await taken_up.wait()
        return answer

    world.change = slow
    await first.runner.tick()
    await waits.wait()
    world.change = real
    admin.cut(run_key(ticket), *KEYS.values())
    await second.runs(2)
    assert second.last(ticket).kind == "done"
    taken_up.set()
    await first.runner.wait_idle()
    assert second.last(ticket).kind == "done"
    assert all(times == 1 for times in world.acts.values()), world.order
    assert first.ledger.verify().holds


async def test_a_bot_that_stood_still_does_not_interrupt_the_run_that_another_one_took_up(benches, world, admin):
    """Behind a Go On both run under the number of that: who runs it is asked once more in the transaction."""
    first, second = benches(), benches()
    first.known[OTHER.id] = second.known[OTHER.id] = OTHER
    await first.runner.tick()
    ticket = await first.approved()
    world.hooks[1] = lambda: world.silent.add("hv03")
    await first.runs(2)
    assert first.last(ticket).kind == "interrupted"
    first.decisions.resume(first.press(OTHER, ticket))
    stands, goes_on, append = threading.Event(), threading.Event(), first.ledger.append_together

    def stands_still(*drafts, **how):
        if drafts[0].kind == "interrupted" and not stands.is_set():
            stands.set()
            assert goes_on.wait(60)
        return append(*drafts, **how)

    first.ledger.append_together = stands_still
    first.now_are[OPERATOR.id] = replace(OPERATOR, roles={})  # what makes it interrupt the run behind a Go On
    ticking = asyncio.create_task(first.runner.tick())
    await asyncio.to_thread(stands.wait, 60)
    admin.cut(run_key(ticket), *KEYS.values())
    world.silent.clear()
    world.hosts["hv03"]["paused"] = "yes"
    world.hooks[len(world.order) + 1] = goes_on.set  # while an action of the other bot is under way
    await second.runner.tick()
    await second.runner.tick()
    await second.runner.wait_idle()
    goes_on.set()
    await ticking
    await first.runner.wait_idle()
    kinds = second.kinds(ticket)
    assert "interrupted" not in kinds[kinds.index("resumed") :]
    assert second.last(ticket).kind == "done"


@pytest.mark.parametrize("ahead", [-300, 30, 300])
async def test_whose_clock_is_ahead_waits_all_the_same_until_an_act_can_have_ended(benches, world, clock, admin, ahead):
    """By the time of its intent alone the act of the other bot was over, so it was sent again while it was under way."""
    plans = {
        "pause": lambda on, _: simple(on, replace(step("a", on, within=600, a="1"), before=state(on), repeatable=True))
    }
    first, second = benches(plans=plans), benches(plans=plans)
    second.goes_by(OtherClock(clock, ahead))
    await first.runner.tick()
    ticket = await first.approved("/pause hv03")
    world.faults = [("slow", 50)]
    sent, taken_up, real = asyncio.Event(), asyncio.Event(), world.change

    async def change(action, seconds):
        answer = await real(action, seconds)
        sent.set()
        await taken_up.wait()
        return answer

    first.parts.actor.change = change
    await first.runner.tick()
    await sent.wait()
    world.change = real
    admin.cut(run_key(ticket), *KEYS.values())
    await second.runs(2)
    taken_up.set()
    await first.runner.wait_idle()
    assert second.last(ticket).kind == "done"
    assert all(times == 1 for times in world.acts.values()), world.order


@pytest.mark.parametrize("ahead", [900, -180, 40])
async def test_a_bot_whose_clock_is_off_starts_nothing_and_another_one_does(benches, world, ahead):
    """By it what the other one sent was over and undone while it was under way, or nobody had been away."""
    first, second = benches(), benches()
    first.ledger.shared.clock = lambda: time.time() + ahead
    ticket = await first.approved()
    await first.runs(2)
    assert not first.runner.is_leader
    assert first.last(ticket).kind == "approved"
    await second.runs(2)
    assert second.last(ticket).kind == "done"
    first.decisions.stop_changes(OPERATOR, "a clock is wrong")
    assert second.ledger.is_stopped(), "a stop is always taken"


async def test_an_undo_waits_longer_for_what_another_bot_may_have_sent_by_a_clock_that_is_a_little_off(
    benches, world, clock
):
    bench = benches()
    ticket = await bench.approved()
    world.faults = ["never"]
    sent, sleep = clock(), bench.parts.sleep

    async def sleeping(seconds):
        await sleep(seconds)
        if not bench.ledger.ticket(ticket).cancel_asked:
            bench.decisions.cancel(bench.press(OPERATOR, ticket))

    object.__setattr__(bench.parts, "sleep", sleeping)
    await bench.runs()
    assert bench.last(ticket).kind == "interrupted"
    (until,) = [gate.passes_at for gate in (await bench.planner.undo(ticket)).plan.gates if gate.passes_at]
    (intent,) = (one for one in bench.ledger.story(ticket) if one.kind == "intent")
    deadline = intent.data.deadline_seconds
    assert (datetime.fromisoformat(until) - sent).total_seconds() >= deadline + NOTE_SECONDS + 2 * MOST_SKEW_SECONDS


def said_of_the_clock(bench, ticket):
    """What the card of a ticket that waits is told of a clock; "shown again" where that is over."""
    told = [(one.kind, one.says) for one in bench.told if one.ticket == ticket]
    return [
        says or "shown again" for kind, says in told if kind == "restart" or (kind == "stopped" and "clock" in says)
    ]


async def test_what_waits_because_no_bot_starts_it_by_its_clock_says_so_once_and_until_one_does(benches, clock):
    bench = benches()
    bench.ledger.shared.clock = lambda: time.time() + 900
    ticket = await bench.approved()
    await bench.runs()
    assert said_of_the_clock(bench, ticket) == [], "another bot may be about to lead"
    clock.forward(seconds=30)
    await bench.runs(3)
    (says,) = said_of_the_clock(bench, ticket)
    assert says.startswith(WAITING)
    again = await bench.approved("/reset hv04")
    await bench.runs(2)
    assert said_of_the_clock(bench, again) == [says]
    bench.decisions.stop_changes(OPERATOR, "so that nothing starts")
    bench.ledger.shared.clock = time.time
    await until(lambda: bench.runner.is_leader, bench.runs)
    await bench.runs()
    assert [said_of_the_clock(bench, one) for one in (ticket, again)] == [[says, "shown again"]] * 2


async def test_while_another_bot_leads_no_card_waits_for_a_clock(benches, clock):
    first, second = benches(), benches()
    first.ledger.shared.clock = lambda: time.time() + 900
    await second.runner.tick()
    ticket = await second.approved()
    second.decisions.stop_changes(OPERATOR, "so that nothing starts")
    for _ in range(3):
        await first.runs()
        clock.forward(seconds=30)
    assert not first.runner.is_leader
    assert said_of_the_clock(first, ticket) == []
    await second.runner.close()
    await until(lambda: said_of_the_clock(first, ticket), lambda: runs_half_a_minute_later(first, clock))
    third = benches()
    await until(lambda: third.runner.is_leader, third.runs)
    await first.runs()
    assert said_of_the_clock(first, ticket)[1:] == ["shown again"]


async def test_an_undo_waits_its_whole_time_for_what_another_bot_sent_by_a_clock_that_is_behind(
    benches, world, clock, admin
):
    """By both clocks together it was over a minute early, so that nothing to undo counted, and it came afterwards."""
    plans = {"reset": taken_at_once}
    first, second = benches(plans=plans), benches(plans=plans)
    first.goes_by(OtherClock(clock, -MOST_SKEW_SECONDS))
    second.goes_by(OtherClock(clock, MOST_SKEW_SECONDS))
    world.hosts["hv03"]["power"] = "on"
    world.faults = [("slow", 60 + NOTE_SECONDS + 900 - 20)]
    world.hooks[1] = lambda: first.decisions.cancel(first.press(OPERATOR, "T-1"))
    ticket, began = await first.approved(), clock()
    await first.runs()
    assert first.last(ticket).kind == "cancelled"
    admin.cut(*KEYS.values())
    back = (await second.proposals.undo(Request(OPERATOR, f"undo {ticket}", "button", "C0OPS"), ticket)).ticket
    second.decisions.approve(second.press(APPROVER, back))
    ends = ("done", "failed", "voided")
    await until(lambda: second.last(back).kind in ends, lambda: runs_half_a_minute_later(second, clock))
    (outcome,) = (one.data for one in second.ledger.story(back) if one.kind == "outcome")
    assert (second.last(back).kind, outcome.basis) == ("done", "changed")
    assert clock() - began >= timedelta(seconds=60 + NOTE_SECONDS + 900 - 20)
    clock.forward(seconds=1000)
    assert world.rows("hv03")[0]["power"] == "on"


async def test_a_clock_that_is_a_little_off_or_put_right_keeps_nobody_from_starting(benches):
    bench = benches()
    bench.ledger.shared.clock = lambda: time.time() + 20
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    bench.ledger.shared.clock = lambda: time.time() - 60
    again = await bench.approved("/reset hv04")
    await bench.runs()
    assert bench.last(again).kind == "approved"
    bench.ledger.shared.clock = time.time
    await until(lambda: bench.last(again).kind == "done", bench.runs)


async def test_a_bot_whose_clock_is_set_wrong_ends_what_is_under_way_and_another_one_goes_on(benches, world):
    first, second = benches(), benches()
    await first.runner.tick()
    ticket = await first.approved()

    def is_set():
        first.ledger.shared.clock = lambda: time.time() + 900
        first.ledger.shared.look()

    world.hooks[1] = is_set
    await first.runner.tick()
    await first.runner.wait_idle()
    assert len(world.order) == 1
    assert first.kinds(ticket)[-2:] == ["intent", "outcome"]
    assert "900 s ahead of that of the ledger's database" in first.told[-1].says
    await until(lambda: second.last(ticket).kind == "done", second.runs)
    assert all(times == 1 for times in world.acts.values()), world.order


async def test_a_run_of_a_bot_that_starts_nothing_more_goes_on_and_gives_way_to_what_another_starts(
    benches, world, admin
):
    soak = Step("soak", "Soak", None, (is_now("hv03", 5 * 86400, calm="yes"),), preemptible=True)
    plans = {"soak": lambda on, _facts: simple(on, step("a", on, a="1"), soak)}
    gate = asyncio.Event()

    async def sleep(_seconds):
        await gate.wait()
        await asyncio.sleep(0)

    first, second = benches(plans=plans, sleep=sleep), benches(plans=plans)
    ticket = await first.approved("/soak hv03")
    await first.runner.tick()
    await until(lambda: any(one.kind == "progress" for one in first.told))  # the run sets no event
    admin.cut(*KEYS.values())
    await second.runner.tick()
    assert second.runner.is_leader
    await first.runner.tick()
    assert (first.runner.is_leader, list(first.runner._tasks)) == (False, [ticket])
    assert "resumed" not in second.kinds(ticket)  # nobody took it up
    wants = await second.approved()  # needs the same lock
    await second.runner.tick()
    await until(lambda: first.runner._runs[ticket].preempt_requested, first.runner.tick)
    gate.set()
    await first.runner.wait_idle()
    assert first.last(ticket).data.yields_locks
    await second.runs(2)
    assert second.last(wants).kind == "done"


async def test_two_bots_that_are_told_to_approve_at_once_approve_once(benches):
    first, second = benches(), benches()
    for _ in range(5):
        ticket = (await first.propose()).ticket

        def press(bench, who, ticket=ticket):
            try:
                bench.decisions.approve(bench.press(who, ticket))
            except TicketError as late:
                return str(late)
            return ""

        said = await asyncio.gather(asyncio.to_thread(press, first, APPROVER), asyncio.to_thread(press, second, OTHER))
        assert sorted(map(bool, said)) == [False, True]
        assert "Too late" in max(said)
        assert first.kinds(ticket).count("approved") == 1


async def test_two_bots_that_are_told_to_propose_the_same_plan_at_once_propose_it_once(benches):
    first, second = benches(), benches()

    def propose(bench):
        request = Request(OPERATOR, "/reset hv03", "slack", "C0OPS")
        return asyncio.run(bench.proposals.propose(request, once=True))

    found = await asyncio.gather(*(asyncio.to_thread(propose, one) for one in (first, second)))
    assert [one.ticket for one in found] == ["T-1", "T-1"]
    assert sorted(one.is_new for one in found) == [False, True]
    assert len(first.ledger.entries(kind="proposed")) == 1
    assert [one.reason for one in first.ledger.entries(kind="refused")] == [
        "T-1 already requests this and is waiting for a decision."
    ]


def test_a_file_has_no_locks_beyond_its_machine(tmp_path: Path):
    assert open_locks(tmp_path / "ledger.db") is None
