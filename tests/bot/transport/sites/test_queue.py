"""The queue between bots and workers of sites, on a real PostgreSQL: what comes back, and what is never done."""

import asyncio
import gc
import os
import sys
import threading
import time
import uuid
import weakref
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import psycopg
import pytest
from site_queue import CountingMachines, Running, action, errand, question

from bot import worker
from bot.api.actions import RowTransaction, RunProgram, Update
from bot.api.queries import GuestWql, RunReader, SampleHistory, make_params
from bot.config.inventory_file import COMMVAULT
from bot.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    MalformedResponse,
    NotBegun,
    NotFound,
    OutcomeUnknown,
    PolicyViolation,
    TargetFault,
    TargetTimeout,
    Withheld,
)
from bot.executor.actions import EVENT
from bot.redaction import SESSION_TOKENS
from bot.transport import bounds
from bot.transport.client import PER_HOST, QueryResult
from bot.transport.errand import carrying_out
from bot.transport.http import client as http
from bot.transport.sites import client as sited
from bot.transport.sites import queue, schema
from bot.transport.sites.database import Link, QueueAway, QueueRefuses, utc_now
from bot.transport.sites.messages import Answer, join_part
from bot.transport.sites.signing import SiteKey
from bot.transport.turns import RUNS, LastLook, Slots, asking_about, asking_as, earlier_look, last_look, sending_unless

ROW = "11111111-1111-1111-1111-111111111111"
UPDATE = Update("tbl_WLC_VObject", (("ObjectId", ROW),), (("ObjectState", 220),), (("ObjectState", 0),))
slow = pytest.mark.postgresql  # what takes seconds, in `make test-postgres`


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - other processes bring it about
            await asyncio.sleep(0.02)


class SlowMachines(CountingMachines):
    """Machines whose login takes until they may: an action looks for the last time behind it."""

    def __init__(self):
        super().__init__()
        self.may = asyncio.Event()

    async def invoke(self, action, seconds):
        look = last_look(action.on)
        await self.may.wait()
        await asyncio.to_thread(look)
        self.acts[action.method] += 1
        return QueryResult((), "", action.on)


def is_wanted(admin):
    return admin.execute("SELECT wanted_until > clock_timestamp() FROM task WHERE kind = 'action'").fetchone()[0]


def states(admin, kind="action"):
    return [state for (state,) in admin.execute("SELECT state FROM task WHERE kind = %s", (kind,)).fetchall()]


def others_connected(admin):
    here = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return admin.execute(f"{here} AND backend_type = 'client backend'").fetchone()[0]


async def test_a_question_is_answered_by_the_worker_of_its_site(place, asking):
    machines, others = CountingMachines(), CountingMachines()
    async with asking() as client, Running(place, "branch1", machines), Running(place, "branch2", others):
        answer = await client.answer(question("branch1-2"))
        assert [dict(row) for row in answer.rows] == [{"Name": "branch1-2"}]
        assert (answer.by, answer.raw) == ("branch1-2", "raw")
        assert answer.asked <= answer.answered
    assert (machines.asked, others.asked) == ({"branch1-2": 1}, {})


async def test_questions_of_one_moment_are_one_task_for_each_site(place, asking, admin):
    machines = CountingMachines(seconds=0.1)
    seen = []
    async with asking() as client, Running(place, "branch1", machines), Running(place, "branch2", machines):
        put = client.queue.put

        async def counted(site, kind, told, **times):
            seen.append((site.name, len(told["questions"])))
            return await put(site, kind, told, **times)

        client.queue.put = counted
        names = [f"{site}-{number}" for site in ("branch1", "branch2") for number in range(1, 201)]
        answers = await asyncio.gather(*(client.answer(question(name)) for name in names))
    assert [answer.rows[0]["Name"] for answer in answers] == names
    assert sorted(seen) == [("branch1", 200), ("branch2", 200)]
    await until(lambda: states(admin, "questions") == [])  # what was answered is not kept


@slow
async def test_a_host_that_hangs_holds_up_no_other_of_its_task(place, asking):
    class OneHangs(CountingMachines):
        async def answer(self, question, seconds):
            if question.on == "branch1-3":
                await asyncio.sleep(60)
            return await super().answer(question, seconds)

    async with asking() as client, Running(place, "branch1", OneHangs()):
        silent = asyncio.create_task(client.answer(question("branch1-3")))
        answers = await asyncio.gather(*(client.answer(question(f"branch1-{number}")) for number in (1, 2)))
        assert [answer.by for answer in answers] == ["branch1-1", "branch1-2"]
        assert not silent.done()
        silent.cancel()


@slow
async def test_an_answer_that_was_handed_out_is_kept_by_nobody(place, asking):
    """Else one host fills the bot: all answers of a task would be there until its last one is."""

    class OneHangs(CountingMachines):
        async def answer(self, question, seconds):
            if question.on == "branch1-3":
                await asyncio.sleep(60)
            return await super().answer(question, seconds)

    async with asking() as client, Running(place, "branch1", OneHangs()):
        silent = asyncio.create_task(client.answer(question("branch1-3")))
        await asyncio.gather(*(client.answer(question("branch1-117")) for _ in range(3)))
        assert not silent.done()
        kept = [one for one in gc.get_objects() if isinstance(one, Answer) and one.by == "branch1-117"]
        silent.cancel()
    assert kept == []


NUMBERS = tuple({"Name": tuple(range(10**9, 10**9 + 30_000))} for _ in range(10))


@slow
@pytest.mark.parametrize("rows", [({"Name": "x" * 7_000_000},), NUMBERS], ids=["text", "numbers"])
async def test_rows_without_a_text_count_against_what_is_kept_of_a_host(place, asking, rows):
    """A worker sends rows and their text apart, and may leave out the text by which small answers are counted."""

    class Telling(CountingMachines):
        async def answer(self, question, seconds):
            return QueryResult(rows, "", question.on)

    async with asking() as client, Running(place, "branch1", Telling()):
        held = [await client.answer(question("branch1-1"), 60) for _ in range(2)]
        with pytest.raises(MalformedResponse, match="keeps in memory for one host"):
            held += [await client.answer(question("branch1-1"), 60) for _ in range(4)]


async def test_a_worker_counts_what_it_has_not_sent_yet(place, asking):
    """As the bot counts what requests hold of one host: a link that is slow, or away, is no room for more of it."""
    leases = weakref.WeakSet()

    class Lease:
        pass

    class Leasing(CountingMachines):
        async def answer(self, question, seconds):
            lease = Lease()
            leases.add(lease)
            return QueryResult(({"Name": question.on},), "raw", question.on, lease=lease)

    async with asking() as client, Running(place, "branch1", Leasing()) as running:
        inbox, may = running.worker._inbox, asyncio.Event()
        answer = inbox.answer

        async def slow_answer(*told, **named):
            await may.wait()
            return await answer(*told, **named)

        inbox.answer = slow_answer
        waiting = [asyncio.create_task(client.answer(question("branch1-1"))) for _ in range(4)]
        await until(lambda: len(leases) == len(waiting))
        may.set()
        await asyncio.gather(*waiting)
        await until(lambda: not leases)


class SharedMachines(CountingMachines):
    """Machines whose places are shared as those of a `TargetClient` are; what is asked is answered when it may be."""

    def __init__(self):
        super().__init__()
        self.places, self.may = Slots(PER_HOST), asyncio.Event()

    async def answer(self, question, seconds):
        who = await self.places.acquire(asyncio.get_running_loop().time() + seconds)
        self.asked[who] += 1
        try:
            await self.may.wait()
        finally:
            self.places.release(who)
        return await super().answer(question, seconds)

    async def invoke(self, action, seconds):
        who = await self.places.acquire(asyncio.get_running_loop().time() + seconds)
        try:
            return await super().invoke(action, seconds)
        finally:
            self.places.release(who)


async def test_an_action_has_the_place_that_each_host_keeps_for_runs(place, asking):
    machines, act = SharedMachines(), action("branch1-1")
    async with asking() as client, Running(place, "branch1", machines):
        flood = []
        for who in ("U1", "U2"):
            with asking_as(who):
                flood += [asyncio.create_task(client.answer(question("branch1-1"))) for _ in range(PER_HOST)]
        await until(lambda: machines.asked.total() == PER_HOST - 1)
        with asking_as(RUNS), carrying_out(errand(act)):
            await client.invoke(act, 20)  # while the host has answered nothing yet
        assert machines.asked.total() == PER_HOST - 1
        machines.may.set()
        await asyncio.gather(*flood)


async def test_questions_of_one_person_to_silent_hosts_hold_up_no_action_and_nobody_elses(place, asking, monkeypatch):
    """Those that are asked one after the other are a task each, and a worker has no more than so many in hand."""
    monkeypatch.setattr(worker, "_AT_ONCE", 8)
    monkeypatch.setattr(sited, "_SOME", 2)
    monkeypatch.setattr(sited, "_MOST_TASKS", 4)
    monkeypatch.setattr(sited, "_GATHER_LONGER", 0.01)

    class Silent(CountingMachines):
        async def answer(self, question, seconds):
            if question.on != "branch1-200":
                self.asked[question.on] += 1
                await may.wait()
            return await super().answer(question, seconds)

    may, machines, act = asyncio.Event(), Silent(), action("branch1-200")
    async with asking() as client, Running(place, "branch1", machines):

        async def floods(who, tasks):
            begun = []
            for number in range(30):
                with asking_as(who):
                    begun.append(asyncio.create_task(client.answer(question(f"branch1-{number + 1}"), 60)))
                await asyncio.sleep(0.02)
            await until(lambda: len(client._under_way) == tasks)
            return begun

        flood = await floods("U1", 1)
        with asking_as("U2"):
            await client.answer(question("branch1-200"))
        assert max(client._under_way.values()) == sited._MOST_TASKS
        flood += await floods("U3", 2)  # several together may fill it, and an action waits for none of them
        with asking_as(RUNS), carrying_out(errand(act)):
            await client.invoke(act, 20)
        may.set()
        await asyncio.gather(*flood)
    assert not client._under_way


class LongAnswers(SlowMachines):
    """All hosts but the last one answer with more than is sent, read or written in no time."""

    async def answer(self, question, seconds):
        self.asked[question.on] += 1
        raw = "" if question.on == "branch1-200" else "x" * 2**17
        return QueryResult(({"Name": question.on},), raw, question.on)


@asynccontextmanager
async def long_answers(client, machines, count):
    """So many answers of different tasks are on their way while somebody does something else."""
    flood = []
    for number in range(count):
        with asking_as("U1"):
            flood.append(asyncio.create_task(client.answer(question(f"branch1-{number + 1}"), 60)))
        await until(lambda: machines.asked.total() > len(flood) - 1)
    yield
    await asyncio.gather(*flood)


async def test_what_an_action_asks_waits_for_no_answer_that_is_written_down(place, asking, monkeypatch):
    """Twenty answers of megabytes took every thread for ten seconds, and it was not begun in time."""
    may, real = threading.Event(), worker.encode_answer

    def slow(answer, *times):
        if answer.raw:
            may.wait(60)
        return real(answer, *times)

    monkeypatch.setattr(worker, "encode_answer", slow)
    monkeypatch.setattr(sited, "_SOME", 99)
    machines, act = LongAnswers(), action("branch1-200")
    machines.may.set()
    async with asking() as client, Running(place, "branch1", machines):
        try:
            async with long_answers(client, machines, 40):
                with asking_as(RUNS), carrying_out(errand(act)):
                    await client.invoke(act, 20)
                may.set()
        finally:
            may.set()
    assert machines.acts == {"Pause": 1}


async def test_no_short_reply_waits_for_more_than_one_long_one(place, asking):
    machines, act, sending = LongAnswers(), action("branch1-200"), set()
    machines.may.set()
    async with asking() as client, Running(place, "branch1", machines) as running:
        answer, may = running.worker._inbox.answer, asyncio.Event()

        async def slow(task, part, numbers, texts, **named):
            if sum(map(len, texts)) > 2**16:
                sending.add(task.id)
                await may.wait()
            return await answer(task, part, numbers, texts, **named)

        running.worker._inbox.answer = slow
        async with long_answers(client, machines, 8):
            with asking_as(RUNS), carrying_out(errand(act)):
                await client.invoke(act, 20)
            assert len(sending) == 1
            may.set()


async def test_while_long_answers_are_read_short_ones_are_and_an_action_stays_wanted(place, asking, monkeypatch):
    """Each of them in its turn: else nothing was begun at a site for as long as somebody reads megabytes of it."""
    monkeypatch.setattr(queue, "_WANTED", timedelta(seconds=3))
    machines, act, taken, real, may = LongAnswers(), action("branch1-200"), [], queue._take, asyncio.Event()

    async def slow(pending, part, body, mac):
        taken.append(len(body) > 2**16)
        if taken[-1]:
            await may.wait()
            await asyncio.sleep(0.6)
        await real(pending, part, body, mac)

    monkeypatch.setattr(queue, "_take", slow)
    async with asking() as client, Running(place, "branch1", machines):
        with asking_as(RUNS), carrying_out(errand(act)):
            acting = asyncio.create_task(client.invoke(act, 20))
            await until(lambda: any(one.kind == "action" for one in pending_of(client)))
            async with long_answers(client, machines, 8):
                await until(lambda: taken)
                short = asyncio.create_task(client.answer(question("branch1-200")))
                await until(lambda: machines.asked["branch1-200"])
                may.set()
                await short
                assert sum(taken) < 8
                await until(lambda: sum(taken) == 8)
                machines.may.set()
                await acting
    assert machines.acts == {"Pause": 1}


@slow
async def test_an_error_at_a_site_is_that_error(place, asking):
    class Refusing(CountingMachines):
        async def answer(self, question, seconds):
            raise TargetTimeout(question.on, "no answer in 20 s.", "Look at its cable.")

    async with asking() as client, Running(place, "branch1", Refusing()):
        with pytest.raises(TargetTimeout, match="branch1-1: no answer in 20 s") as raised:
            await client.answer(question("branch1-1"))
    assert raised.value.hint == "Look at its cable."


@slow
async def test_what_is_the_bots_own_goes_through_no_queue(asking):
    async with asking() as client:
        assert client.site_of("near") is None
        assert client.site_of("branch1-2").name == "branch1"
        with pytest.raises(TypeError):
            await client.answer(SampleHistory("branch1-1", "writer"))


@slow
async def test_a_guest_is_asked_where_its_host_was(place, asking):
    vm_id = str(uuid.uuid4())

    class Host(CountingMachines):
        async def answer(self, question, seconds):
            return QueryResult(({"Name": vm_id.upper()},), "", question.on)

    async with asking() as client, Running(place, "branch2", Host()):
        await client.answer(question("branch2-1"))
        guest = GuestWql("crm", "crm.corp.example", vm_id, "root/cimv2", "Win32_Volume")
        assert client._site_asked(guest).name == "branch2"
        with asking_about(["branch1-1", "branch2-1"]):
            assert client._site_asked(guest).name == "branch2"


@slow
async def test_no_site_speaks_for_a_guest_of_another_ones(place, asking):
    """Any host can tell of any id, in whatever column; and a replica has that of its primary."""
    vm_id = str(uuid.uuid4())

    class Host(CountingMachines):
        async def answer(self, question, seconds):
            is_host = not isinstance(question, GuestWql)
            return QueryResult(({"Caption": vm_id.upper()} if is_host else {"Is": self},), "", question.on)

    guest = GuestWql("crm", "crm.corp.example", vm_id, "root/cimv2", "Win32_Volume")
    async with asking() as client, Running(place, "branch2", Host()), Running(place, "branch1", Host()):
        await client.answer(question("branch1-1"))
        with asking_about(["branch2-1"]):
            assert client._site_asked(guest).name == "branch2"
        with asking_about(["near"]):
            assert client._site_asked(guest) is None
        await client.answer(question("branch2-1"))
        with asking_about(["branch2-1"]):
            assert client._site_asked(guest).name == "branch2"
        with pytest.raises(MalformedResponse, match=r"\(branch1 and branch2\)"):
            await client.answer(guest)
        with asking_about(["branch1-1", "branch2-1"]):  # both, as of a service with a replica: who told last
            assert client._site_asked(guest).name == "branch2"


async def test_a_real_server_is_asked_where_its_load_balancer_is(asking):
    """Branch offices have networks of the same numbers: another one's worker would speak for it."""
    server = RunReader("192.168.1.10", "http head", make_params(address="192.168.1.10"))
    async with asking() as client:
        for balancer, site in (("branch2-lb", "branch2"), ("branch1-lb", "branch1"), ("near", None)):
            with asking_about([balancer]):
                found = client._site_asked(server)
            assert (found and found.name) == site
        with asking_about(["branch1-lb", "branch2-lb"]), pytest.raises(MalformedResponse, match="several sites"):
            client._site_asked(server)
        with pytest.raises(MalformedResponse, match=r"branch1 and branch2"):
            client._site_asked(server)


@slow
async def test_a_guest_that_no_host_has_told_of_is_asked_where_what_is_asked_about_is(asking):
    guest = GuestWql("crm", "crm.corp.example", str(uuid.uuid4()), "root/cimv2", "Win32_Volume")
    async with asking() as client:
        assert client._site_asked(guest) is None
        for places, site in {
            ("branch1-1",): "branch1",
            ("Branch1-1", "branch1-2"): "branch1",
            ("branch1-1", "branch2-1"): None,
            ("near",): None,
            ("branch1-1", "near"): None,
        }.items():
            with asking_about(places):
                found = client._site_asked(guest)
            assert (found and found.name) == site, places


@slow
async def test_nobody_says_that_no_worker_is_there_of_a_database_that_was_away_just_now(asking, monkeypatch):
    async with asking() as client:

        async def heard(_site):
            return 60.0

        monkeypatch.setattr(client.queue, "last_heard", heard)
        site = client.site_of("branch1-1")
        assert "the last one reported 60 s ago" in await client._nobody(site)
        client.queue.away_at = time.monotonic()
        assert not await client._nobody(site)
        monkeypatch.setattr(sited, "_NOT_HEARD", 0.0)  # that was long ago
        assert "the last one reported 60 s ago" in await client._nobody(site)


@slow
async def test_without_a_worker_a_question_is_not_waited_out(place, asking, monkeypatch):
    monkeypatch.setattr(sited, "_NOBODY_SECONDS", 0.1)
    async with asking() as client:
        with pytest.raises(ConnectionFailed, match="no worker of branch1 is there: none was started") as raised:
            await client.answer(question("branch1-1"))
    assert raised.value.kind == "not asked"  # nothing is said of the host, which may work


@slow
async def test_the_sites_secrets_do_not_leave_it(place, asking):
    class Telling(CountingMachines):
        async def answer(self, question, seconds):
            return QueryResult((row,), "<a>Winter2026!</a>", question.on)

    row = {"Line": "net use /user:x Winter2026!", "Port": 20261130, "Ports": (20261130, 5985), "Up": True}
    async with asking() as client, Running(place, "branch1", Telling(), mask=["Winter2026!", "20261130"]):
        answer = await client.answer(question("branch1-1"))
    assert not any(secret in f"{answer.rows}{answer.raw}" for secret in ("Winter2026!", "20261130"))
    assert (answer.rows[0]["Ports"][1], answer.rows[0]["Up"]) == (5985, True)


@slow
async def test_a_secret_of_the_site_does_not_leave_it_as_a_name_either(place, asking):
    """The values of an event are named by whoever wrote it."""

    class Telling(CountingMachines):
        async def answer(self, question, seconds):
            return QueryResult(({"data": {"Winter2026!": "x"}, "Winter2026!": ("y",)},), "", question.on)

    async with asking() as client, Running(place, "branch1", Telling(), mask=["Winter2026!"]):
        answer = await client.answer(question("branch1-1"))
    assert "Winter2026!" not in str(answer.rows)


@slow
async def test_a_token_that_the_backup_product_of_a_site_repeats_does_not_leave_it(place, asking):
    """The bot knows none that a worker was given. What other machines of the site tell is not changed: the bot judges by it."""
    token = f"QSDK 3{'ab12' * 12}"

    class Repeating(CountingMachines):
        async def answer(self, question, seconds):
            if question.params:
                raise TargetFault(question.on, f"it replied: {token}", code=5)
            return QueryResult(({"reason": f"held by {token}"},), f"raw {token}", question.on)

    SESSION_TOKENS.clear()
    try:
        async with asking() as client, Running(place, "branch1", Repeating()):
            SESSION_TOKENS.add("commvault", token)
            client._homes = {**client._homes, COMMVAULT: "branch1"}
            answer = await client.answer(RunReader(COMMVAULT, "commvault active jobs", ()))
            assert token not in f"{answer.rows}{answer.raw}"
            with pytest.raises(TargetFault) as refused:
                await client.answer(RunReader(COMMVAULT, "commvault job", make_params(job=1)))
            assert token not in str(refused.value)
            other = await client.answer(RunReader("branch1-1", "vssadmin list writers", ()))
            assert token in f"{other.rows}{other.raw}"
    finally:
        SESSION_TOKENS.clear()


@slow
async def test_an_answer_without_a_notification_is_found(place, asking, monkeypatch):
    async def deaf(_link, _channel, _heard):
        await asyncio.sleep(60)

    monkeypatch.setattr(Link, "listen", deaf)
    async with asking() as client, Running(place, "branch1", CountingMachines()):
        assert (await client.answer(question("branch1-1"))).by == "branch1-1"


@slow
async def test_while_the_servers_notifications_pile_up_none_is_sent_and_answers_are_found(
    place, asking, postgresql_cluster
):
    """Any login of any database of a server can fill that queue, and then whoever sends one cannot commit."""
    full = """CREATE OR REPLACE FUNCTION pg_catalog.pg_notification_queue_usage() RETURNS double precision
        LANGUAGE sql AS 'SELECT 0.9::double precision';
        CREATE OR REPLACE FUNCTION pg_catalog.pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS
        'BEGIN RAISE EXCEPTION $$too many notifications in the NOTIFY queue$$; END'"""
    with psycopg.connect(postgresql_cluster.url(place.bot.url.rpartition("/")[2]), autocommit=True) as admin:
        admin.execute(full)
    machines, act = CountingMachines(), action("branch1-1")
    async with asking() as client, Running(place, "branch1", machines):
        assert (await client.answer(question("branch1-1"))).by == "branch1-1"
        with carrying_out(errand(act)):
            assert dict((await client.invoke(act, 10)).rows[0]) == {"ReturnValue": "0"}


@slow
async def test_an_answer_of_megabytes_is_read_beside_the_loop_and_in_short_pieces(place, asking, monkeypatch):
    """Python's JSON reader lets nobody else go on while it reads one text, on whatever thread."""
    much = QueryResult(tuple({"Name": "é" * 100, "Path": "x" * 60} for _ in range(10_000)), "raw", "branch1-1")

    class Talkative(CountingMachines):
        async def answer(self, question, seconds):
            return much

        async def invoke(self, action, seconds):
            await super().invoke(action, seconds)
            return much

    read, noted = bounds.JsonReader.read, []

    def noting(self, text):
        noted.append((asyncio._get_running_loop() is not None, len(text)))
        return read(self, text)

    act = action("branch1-1")
    async with asking() as client, Running(place, "branch1", Talkative()):
        monkeypatch.setattr(bounds.JsonReader, "read", noting)
        assert len((await client.answer(question("branch1-1"))).rows) == len(much.rows)
        with carrying_out(errand(act)):
            assert len((await client.invoke(act, 10)).rows) == len(much.rows)
    assert sum(length for _, length in noted) > 10_000_000
    assert max(length for _, length in noted) < 2**19
    assert max(length for is_on_loop, length in noted if is_on_loop) < 2**13


# Actions


async def test_an_action_is_done_once_and_answered(place, asking):
    machines, act = CountingMachines(), action("branch1-1")
    async with asking() as client, Running(place, "branch1", machines):
        with carrying_out(errand(act)):
            answer = await client.invoke(act, 10)
    assert dict(answer.rows[0]) == {"ReturnValue": "0"}
    assert machines.acts == {"Pause": 1}


@slow
async def test_two_bots_with_one_intent_do_it_once(place, asking):
    machines, act = CountingMachines(act_seconds=0.3), action("branch1-1")
    async with asking() as one, asking() as other, Running(place, "branch1", machines):
        with carrying_out(errand(act, intent="the same")):
            results = await asyncio.gather(one.invoke(act, 10), other.invoke(act, 10), return_exceptions=True)
            again = await asyncio.gather(one.invoke(act, 10), return_exceptions=True)
    assert machines.acts == {"Pause": 1}
    assert any(isinstance(one, QueryResult) for one in (*results, *again))


async def test_a_stop_takes_back_what_is_queued_and_nothing_begins_later(place, asking, admin):
    machines = CountingMachines()
    async with asking() as client:
        await stopped_while_it_is_queued(client, admin)
        async with Running(place, "branch1", machines):
            await client.answer(question("branch1-1"))
    assert (machines.acts, states(admin)) == ({}, ["withdrawn"])


async def stopped_while_it_is_queued(client, admin):
    """Put an action that nobody takes, and stop changes: whoever waits for it is told that."""
    act, why = action("branch1-1"), ""
    with carrying_out(errand(act)), sending_unless(lambda: why):
        waiting = asyncio.create_task(client.invoke(act, 20))
        await until(lambda: any(lane.pending for lane in client.queue._lanes.values()))  # it was put, and is waited for
        assert states(admin) == ["queued"]
        why = "changes are stopped"
        with pytest.raises(Withheld, match="nothing was sent: changes are stopped"):
            await waiting


async def test_a_stop_is_one_also_where_the_answer_that_it_was_withdrawn_is_lost(asking, admin):
    async with asking() as client:
        withdraw, lost = client.queue.withdraw, []

        async def and_lose_the_answer(task, site):
            state = await withdraw(task, site)
            lost.append(state)
            pending = client.queue._lane(site).pending
            await until(lambda: task not in pending or pending[task].state == "withdrawn")  # the next look sees it
            raise QueueAway("the connection was reset", was_sent=True)

        client.queue.withdraw = and_lose_the_answer
        await stopped_while_it_is_queued(client, admin)
    assert lost
    assert states(admin) == ["withdrawn"]


@pytest.mark.parametrize("slow_at", ["its machine", "the database"])
async def test_a_stop_that_comes_before_an_action_is_put_lets_it_be_put_no_more(place, asking, admin, slow_at):
    """A worker that waits for it begins it at once: nobody would look again before it has gone out."""
    machines, act, why = CountingMachines(), action("branch1-1"), ""
    asked, may = asyncio.Event(), asyncio.Event()

    async def prove(_on):
        asked.set()
        await may.wait()

    async with asking() as client, Running(place, "branch1", machines):
        await client.answer(question("branch1-1"))
        with carrying_out(errand(act)), sending_unless(lambda: why):
            if slow_at == "its machine":
                client.prove = prove
                waiting = asyncio.create_task(client.invoke(act, 20))
                await asked.wait()
                why = "changes are stopped"
                may.set()
            else:
                with admin.transaction():
                    admin.execute("LOCK TABLE task IN EXCLUSIVE MODE")
                    waiting = asyncio.create_task(client.invoke(act, 20))
                    await until(
                        lambda: admin.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'task'::regclass")
                        .fetchone()
                    )  # fmt: skip
                    why = "changes are stopped"
            with pytest.raises(Withheld, match="changes are stopped"):
                await waiting
        await client.answer(question("branch1-1"))
    assert machines.acts == {}
    assert set(states(admin)) <= {"withdrawn"}


async def test_a_stop_holds_back_what_a_worker_has_taken_and_not_begun(place, asking, admin):
    machines, act, why = SlowMachines(), action("branch1-1"), ""
    async with asking() as client, Running(place, "branch1", machines):
        with carrying_out(errand(act)), sending_unless(lambda: why):
            waiting = asyncio.create_task(client.invoke(act, 20))
            await until(lambda: states(admin) == ["taken"])
            why = "changes are stopped"
            with pytest.raises(Withheld):
                await waiting
        machines.may.set()
        await client.answer(question("branch1-1"))
    assert (machines.acts, states(admin)) == ({}, ["withdrawn"])


async def _web_server(requests):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        requests.append(1)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


@pytest.mark.parametrize("is_stopped", [True, False], ids=["stopped", "wanted"])
async def test_a_stop_holds_back_what_a_service_takes_its_time_to_let_in(place, asking, admin, is_stopped):
    """What goes out from within the loop is written down as begun no sooner than anything else."""
    requests, why = [], ""
    server = await _web_server(requests)

    class Service(CountingMachines):
        def __init__(self):
            super().__init__()
            self.may = asyncio.Event()

        async def change(self, action, seconds):
            look = last_look(action.on)
            await self.may.wait()  # its login takes long
            async with http.open_client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", None, 5) as client:
                await http.send(client, "POST", "job", look=look)
            return QueryResult((), "", action.on)

    machines, act = Service(), RunProgram("branch1-1", "commvault resume job", (("job", 12),))
    async with server, asking() as client, Running(place, "branch1", machines):
        with carrying_out(errand(act)), sending_unless(lambda: why):
            waiting = asyncio.create_task(client.change(act, 20))
            await until(lambda: states(admin) == ["taken"])
            if is_stopped:
                why = "changes are stopped"
                with pytest.raises(Withheld):
                    await waiting
            machines.may.set()
            await asyncio.gather(waiting, return_exceptions=True)
        await client.answer(question("branch1-1"))
        await asyncio.gather(*running_tasks(), return_exceptions=True)
    assert (len(requests), states(admin)) == ((0, ["withdrawn"]) if is_stopped else (1, ["ended"]))


@slow
async def test_what_nobody_can_say_is_still_to_be_done_is_begun_no_more_either(place, asking, admin):
    """A ledger that does not answer: without a site the last look waits for it, and with one it has to count as not wanted."""

    machines, act, hangs, answers = SlowMachines(), action("branch1-1"), threading.Event(), threading.Event()
    is_silent = False

    def why_not():
        if is_silent:
            hangs.set()
            answers.wait(60)
        return ""

    async with asking() as client, Running(place, "branch1", machines):
        with carrying_out(errand(act)), sending_unless(why_not):
            waiting = asyncio.create_task(client.invoke(act, 60))
            try:
                await until(lambda: states(admin) == ["taken"])
                is_silent = True
                await until(hangs.is_set)
                await until(lambda: not is_wanted(admin))
                machines.may.set()
                await asyncio.gather(*running_tasks(), return_exceptions=True)
            finally:
                answers.set()
            with pytest.raises(NotBegun):
                await waiting
    assert machines.acts == {}


@slow
async def test_a_word_that_it_is_wanted_lets_nothing_begin_when_it_comes_late(place, asking, admin, monkeypatch):
    """A link that stands still keeps it, and hands it on after a stop that could not be told, or a bot that was killed."""

    machines, act, said, fetch = SlowMachines(), action("branch1-1"), [], Link.fetch

    async def kept(self, statement, values=(), seconds=5.0):
        if statement == schema.WANT:
            said.append((utc_now(), values))
        if said:
            raise QueueAway("the link stands still", was_sent=True)
        return await fetch(self, statement, values, seconds)

    late = Link(place.bot, "late")
    async with asking() as client, Running(place, "branch1", machines):
        with carrying_out(errand(act)), monkeypatch.context() as dark:
            waiting = asyncio.create_task(client.invoke(act, 60))
            await until(lambda: states(admin) == ["taken"])
            dark.setattr(
                client.queue._lanes["branch1"].link, "fetch", kept.__get__(client.queue._lanes["branch1"].link)
            )
            await until(lambda: said and utc_now() - said[0][0] > timedelta(seconds=schema.WANTED_SECONDS))
            await fetch(late, schema.WANT, said[0][1])
            machines.may.set()
            await asyncio.gather(*running_tasks(), return_exceptions=True)
            waiting.cancel()
    late.close()
    assert (machines.acts, states(admin)) == ({}, ["ended"])


async def test_a_bot_that_stands_still_behind_its_last_look_does_not_want_it_by_that(place, asking, admin, monkeypatch):
    """A process that was suspended, or a loop that was held: a stop may have come meanwhile, and a worker begins at once."""
    machines, act, looks, why = CountingMachines(), action("branch1-1"), [], ""
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(queue, "_WANTED", timedelta(seconds=1))

    def stand_still():
        nonlocal why
        time.sleep(1.5)
        why = "changes are stopped"

    def why_not():
        looks.append(why)
        if len(looks) == 2:  # the one behind which it is wanted
            loop.call_soon_threadsafe(stand_still)
        return looks[-1]

    async with asking() as client, Running(place, "branch1", machines):
        with carrying_out(errand(act)), sending_unless(why_not), pytest.raises(Withheld):
            await client.invoke(act, 20)
    assert looks == ["", "", "changes are stopped"]
    assert (machines.acts, states(admin)) == ({}, ["withdrawn"])


@slow
async def test_what_nobody_is_asked_about_any_more_is_not_wanted_any_more(asking, admin, monkeypatch):
    act = action("branch1-1")
    monkeypatch.setattr(queue, "_WANTED", timedelta(seconds=1))
    async with asking() as client:

        async def hangs(_act):
            await asyncio.sleep(60)

        monkeypatch.setattr(client, "_still_wanted", hangs)
        with carrying_out(errand(act)):
            waiting = asyncio.create_task(client.invoke(act, 60))
            await until(lambda: states(admin) == ["queued"])
            put = admin.execute("SELECT wanted_until FROM task").fetchone()[0]
            await until(lambda: admin.execute("SELECT clock_timestamp() - %s > '3 s'", (put,)).fetchone()[0])
            assert admin.execute("SELECT wanted_until < clock_timestamp() FROM task").fetchone()[0]
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)


@slow
@pytest.mark.parametrize("seconds", [-600, 600])
async def test_a_clock_that_is_set_behind_its_reading_changes_no_time(asking, admin, monkeypatch, seconds):
    """What was put by the new one would be good for ten minutes of the database's, or for none."""
    act, ahead = action("branch1-1"), timedelta(0)
    monkeypatch.setattr(queue, "utc_now", lambda: utc_now() + ahead)

    def why_not():
        nonlocal ahead
        ahead = timedelta(seconds=seconds)
        return ""

    async with asking() as client:
        with carrying_out(errand(act)), sending_unless(why_not):
            waiting = asyncio.create_task(client.invoke(act, 40))
            await until(lambda: states(admin) == ["queued"])
            await until(
                lambda: admin.execute("SELECT wanted_until > clock_timestamp() + '3 s' FROM task").fetchone()[0]
            )
            left, body = admin.execute("SELECT not_after - clock_timestamp(), body::jsonb FROM task").fetchone()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
    assert timedelta(0) < left <= timedelta(seconds=20)
    assert abs(datetime.fromisoformat(body["not_after"]) - utc_now()) < timedelta(minutes=1)


@slow
async def test_what_a_worker_took_and_stood_still_before_it_read_it_is_not_begun(place, asking, admin):
    """Its time runs from when it was asked for, whatever the database says by then."""
    machines, act, taken, may = CountingMachines(), action("branch1-1"), asyncio.Event(), asyncio.Event()
    async with asking() as client, Running(place, "branch1", machines) as running:
        take = running.worker._inbox.take

        async def held(most):
            rows = await take(most)
            if rows and not taken.is_set():
                taken.set()
                await may.wait()
            return rows

        running.worker._inbox.take = held
        with carrying_out(errand(act)), pytest.raises(NotBegun):
            await client.invoke(act, 2)
        assert taken.is_set()
        admin.execute("UPDATE task SET state = 'taken', not_after = 'infinity', wanted_until = 'infinity'")
        may.set()
        await until(lambda: states(admin) == ["ended"])
    assert machines.acts == {}


@slow
async def test_a_worker_that_stood_still_behind_the_row_before_an_act_does_not_begin_it_late(place, asking):
    machines, act = CountingMachines(), action("branch1-1")
    loop = asyncio.get_running_loop()
    async with asking() as client, Running(place, "branch1", machines) as running:
        begin = running.worker._inbox.begin

        async def then_still(task):
            said = await begin(task)
            loop.call_soon(time.sleep, 3)
            return said

        running.worker._inbox.begin = then_still
        with carrying_out(errand(act)), pytest.raises(NotBegun, match="it is too late"):
            await client.invoke(act, 4)
    assert machines.acts == {}


async def test_a_worker_that_stood_still_between_two_pieces_of_a_request_sends_no_further_one(place, asking):
    class StandingStill(CountingMachines):
        async def invoke(self, action, seconds):
            look = last_look(action.on)
            await asyncio.to_thread(look)  # the head of a request, as it goes out
            await asyncio.to_thread(time.sleep, 3)
            await asyncio.to_thread(look)  # its body
            raise AssertionError("sent")

    act = action("branch1-1")
    async with asking() as client, Running(place, "branch1", StandingStill()):
        with carrying_out(errand(act)), pytest.raises(NotBegun, match="it is too late"):
            await client.invoke(act, 4)


async def test_times_are_read_however_the_server_writes_them_usually(place, admin):
    admin.execute(f"ALTER DATABASE {admin.info.dbname} SET datestyle = 'German'")
    links = [Link(one, "test") for one in (place.bot, place.worker("branch1"))]
    try:
        for link in links:
            ((told,),) = await link.fetch("SELECT clock_timestamp()")
            assert isinstance(told, datetime)
    finally:
        admin.execute(f"ALTER DATABASE {admin.info.dbname} RESET datestyle")
        for link in links:
            link.close()


async def test_a_commit_is_kept_whatever_the_server_does_usually(place, admin):
    """A server that is told to be quick loses what it has confirmed when it crashes: an action that was begun would be queued again."""
    admin.execute(f"ALTER DATABASE {admin.info.dbname} SET synchronous_commit = off")
    links = [Link(one, "test") for one in (place.bot, place.worker("branch1"))]
    try:
        assert [await link.fetch("SHOW synchronous_commit") for link in links] == [[("on",)], [("on",)]]
    finally:
        admin.execute(f"ALTER DATABASE {admin.info.dbname} RESET synchronous_commit")
        for link in links:
            link.close()


_LETS_GO = """
import asyncio, socket, sys
from bot.transport.sites.database import Database, Link, QueueAway

async def main():
    link, waits = Link(Database(sys.argv[1]), "let go of"), sys.argv[2]
    if waits == "LISTEN":
        waiting = asyncio.create_task(link.listen("anything", lambda _says: print("waits", flush=True)))
    else:
        waiting = asyncio.create_task(link.fetch(waits))
    await asyncio.to_thread(sys.stdin.readline)
    link.close()
    others = [socket.socketpair() for _ in range(8)]  # one has the number that the connection had, and is ready
    for near, far in others:
        near.send(b"x")
        far.send(b"x")
    try:
        await waiting
    except QueueAway as lost:
        print(lost)
    try:
        await link.fetch("SELECT 1")
    except QueueAway as closed:
        print(closed)

asyncio.run(main())
"""


@pytest.mark.parametrize("waits_for", ["SELECT pg_sleep(60)", "LISTEN"])
async def test_a_connection_that_is_let_go_of_while_someone_waits_on_it_is_lost_to_them(place, admin, waits_for):
    """Freed under them, it ended the process, once something else was ready under the number that the connection had had.

    Here what is freed is overwritten, as other work does sooner or later.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", _LETS_GO, place.bot.url, waits_for),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "MALLOC_PERTURB_": "165"},
    )
    seen = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'let go of' AND query LIKE %s AND state = %s"
    how = ("%LISTEN%", "idle") if waits_for == "LISTEN" else ("%pg_sleep%", "active")
    await until(lambda: admin.execute(seen, how).fetchone()[0])
    told, _ = await process.communicate(b"\n")
    assert process.returncode == 0
    *_, lost, closed = told.decode().splitlines()
    assert lost.endswith("the connection was closed here")
    assert closed == "the connection was closed"


async def test_a_connection_that_is_made_while_its_link_is_closed_is_not_kept(place, admin):
    link = Link(place.bot, "late")
    waiting = asyncio.create_task(link.fetch("SELECT 1"))
    await asyncio.sleep(0)
    link.close()
    with pytest.raises(QueueAway, match="closed"):
        await waiting
    left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'late'"
    await until(lambda: not admin.execute(left).fetchone()[0])


def running_tasks():
    return [one for one in asyncio.all_tasks() if one.get_name().startswith("task ")]


async def test_a_stop_holds_back_a_transaction_up_to_its_commit(place, asking, admin):
    """Behind the login a database can let it wait for its locks as long as it likes, and nothing is done yet."""

    class Database(CountingMachines):
        def __init__(self):
            super().__init__()
            self.may = asyncio.Event()

        async def update(self, action, seconds):
            begin, commit = earlier_look(action.on), last_look(action.on)
            await asyncio.to_thread(begin)
            self.acts["begin"] += 1
            await self.may.wait()  # for the locks
            await asyncio.to_thread(commit)
            self.acts["commit"] += 1
            return QueryResult((), "", action.on)

    machines, act, why = Database(), RowTransaction("branch1-1", "vmm", (UPDATE,)), ""
    async with asking() as client, Running(place, "branch1", machines):
        with carrying_out(errand(act)), sending_unless(lambda: why):
            waiting = asyncio.create_task(client.update(act, 20))
            await until(lambda: machines.acts["begin"])
            why = "changes are stopped"
            with pytest.raises(Withheld):
                await waiting
        machines.may.set()
        await asyncio.gather(*running_tasks(), return_exceptions=True)
    assert (machines.acts, states(admin)) == ({"begin": 1}, ["withdrawn"])


@slow
async def test_without_a_worker_an_action_is_not_begun_and_never_will_be(place, asking, admin):
    machines, act = CountingMachines(), action("branch1-1")
    async with asking() as client:
        with carrying_out(errand(act)), pytest.raises(NotBegun, match="no worker of branch1"):
            await client.invoke(act, 1)
        async with Running(place, "branch1", machines):
            await client.answer(question("branch1-1"))
    assert (machines.acts, states(admin)) == ({}, ["withdrawn"])


@slow
@pytest.mark.parametrize("passed", ["wanted_until", "not_after"])
async def test_what_nobody_wants_any_more_or_what_is_late_is_not_begun(place, asking, admin, passed):
    machines, act = CountingMachines(), action("branch1-1")
    async with asking() as client:
        with carrying_out(errand(act)):
            waiting = asyncio.create_task(client.invoke(act, 20))
            await until(lambda: states(admin) == ["queued"])
            waiting.cancel()
        client.close()  # as a bot that was killed: it says nothing any more
    await until(lambda: not others_connected(admin))  # and what it had sent before has arrived
    admin.execute(f"UPDATE task SET state = 'queued', {passed} = clock_timestamp() - interval '1 s'")
    async with asking() as client, Running(place, "branch1", machines):
        await client.answer(question("branch1-1"))
    assert machines.acts == {}


@slow
async def test_what_failed_before_it_was_begun_is_not_begun(place, asking):
    class Unreachable(CountingMachines):
        async def invoke(self, action, seconds):
            raise ConnectionFailed(action.on, "no route.")

    act = action("branch1-1")
    async with asking() as client, Running(place, "branch1", Unreachable()):
        with carrying_out(errand(act)), pytest.raises(NotBegun, match="not started: no route"):
            await client.invoke(act, 10)


@slow
@pytest.mark.parametrize("on", ["branch1-1", "branch1-2"])
@pytest.mark.parametrize("is_sent", [True, False])
async def test_a_refusal_at_a_site_says_whether_it_was_sent_by_then(place, asking, on, is_sent):
    """Whichever of the site's machines it is told of."""

    class Refused(CountingMachines):
        async def invoke(self, action, seconds):
            look = LastLook(last_look(action.on))
            with look.judging():
                if is_sent:
                    await asyncio.to_thread(look)
                raise AuthenticationFailed(on, "the login was refused.")

    act = action("branch1-1")
    async with asking() as client, Running(place, "branch1", Refused()):
        with carrying_out(errand(act)), pytest.raises(AuthenticationFailed) as refused:
            await client.invoke(act, 10)
    assert (refused.value.is_refusal, refused.value.is_unsent) == (True, not is_sent)


@slow
async def test_what_is_refused_before_it_is_put_was_not_sent(asking, admin):
    async def refuses(on):
        raise AuthenticationFailed(on, "the login was refused.")

    act = action("branch1-1")
    async with asking() as client:
        client.prove = refuses
        with carrying_out(errand(act)), pytest.raises(AuthenticationFailed) as refused:
            await client.invoke(act, 10)
    assert refused.value.is_unsent
    assert states(admin) == []


@slow
async def test_what_failed_after_it_was_begun_is_what_its_target_said(place, asking):
    class Silent(CountingMachines):
        async def invoke(self, action, seconds):
            await asyncio.to_thread(last_look(action.on))
            raise TargetTimeout(action.on, "no answer in 5 s.")

    act = action("branch1-1")
    async with asking() as client, Running(place, "branch1", Silent()):
        with carrying_out(errand(act)), pytest.raises(TargetTimeout, match="no answer in 5 s"):
            await client.invoke(act, 10)


@slow
async def test_what_was_begun_and_never_told_is_unknown(place, asking, admin):
    class Hanging(CountingMachines):
        async def invoke(self, action, seconds):
            await asyncio.to_thread(last_look(action.on))
            await asyncio.sleep(60)

    act = action("branch1-1")
    async with asking() as client, Running(place, "branch1", Hanging()) as running:
        with carrying_out(errand(act)), pytest.raises(OutcomeUnknown, match="started, effect unknown"):
            await client.invoke(act, 4)
        for task in running.worker._tasks.values():
            task.cancel()
    assert states(admin) == ["begun"]


async def test_a_worker_does_no_action_that_is_no_step_of_the_plan(place, asking):
    machines, act, other = CountingMachines(), action("branch1-1"), action("branch1-1", "Resume")
    async with asking() as client, Running(place, "branch1", machines):
        with carrying_out(errand(other)), pytest.raises(PolicyViolation, match="no step of an approved plan"):
            await client.invoke(act, 10)
        with pytest.raises(PolicyViolation, match="no step of an approved plan"):
            await client.invoke(act, 10)
    assert machines.acts == {}


@slow
async def test_a_worker_does_nothing_that_hvops_would_not_send(place, asking):
    machines = CountingMachines()
    act = RunProgram("branch1-1", "format", (("drive", "c:"),))
    async with asking() as client, Running(place, "branch1", machines):
        with carrying_out(errand(act)), pytest.raises(PolicyViolation, match="no row of the allowlist"):
            await client.change(act, 10)


@slow
async def test_a_note_in_a_hosts_event_log_belongs_to_no_step(place, asking):
    class Noting(CountingMachines):
        async def change(self, action, seconds):
            await asyncio.to_thread(last_look(action.on))
            self.acts[action.what] += 1
            return QueryResult((), "", action.on)

    machines = Noting()
    async with asking() as client, Running(place, "branch1", machines):
        await client.change(RunProgram("branch1-1", EVENT, (("says", "hvops T-1"),)), 10)
    assert machines.acts == {EVENT: 1}


@slow
@pytest.mark.parametrize("raw", ["x" * (17 * 2**20), ""], ids=["too long", "for another site"])
async def test_an_answer_to_an_act_that_cannot_be_taken_does_not_mean_that_nothing_was_done(place, asking, raw):
    """Of a transaction every other error means that: it says itself where that is not known."""

    class Database(CountingMachines):
        async def update(self, action, seconds):
            await asyncio.to_thread(last_look(action.on))
            return QueryResult((), raw, action.on if raw else "branch2-1")

    act = RowTransaction("branch1-1", "vmm", (UPDATE,))
    async with asking() as client, Running(place, "branch1", Database()):
        with carrying_out(errand(act)), pytest.raises(OutcomeUnknown):
            await client.update(act, 10)


# What is not what it seems


@slow
@pytest.mark.parametrize(
    "forged",
    [
        "UPDATE task SET body = replace(body, 'Pause', 'Evict')",
        "UPDATE task SET mac = decode(repeat('00', 32), 'hex')",
        "UPDATE task SET id = gen_random_uuid()",
        "UPDATE task SET site = 'branch2'",
        "UPDATE task SET kind = 'questions'",
        "UPDATE task SET body = '[]'",
    ],
)
async def test_who_has_the_database_and_no_key_has_nothing_done(place, asking, admin, forged):
    machines, act = CountingMachines(), action("branch1-1")
    async with asking() as client:
        with carrying_out(errand(act)):
            waiting = asyncio.create_task(client.invoke(act, 3))
            await until(lambda: states(admin) == ["queued"])
            admin.execute(forged)
            async with Running(place, "branch1", machines), Running(place, "branch2", machines):
                with pytest.raises((NotBegun, OutcomeUnknown)):
                    await waiting
    assert machines.acts == {}


@slow
async def test_a_row_that_is_none_ends_no_worker(place, asking, admin):
    """The owner of the tables may drop what they promise."""
    async with asking() as client, Running(place, "branch1", CountingMachines()):
        await client.answer(question("branch1-1"))
        for column in ("mac", "body"):
            admin.execute(f"ALTER TABLE task ALTER {column} DROP NOT NULL")
        try:
            admin.execute(
                "INSERT INTO task (id, site, bot, kind, body, mac, not_after, wanted_until, state) SELECT gen_random_uuid(), 'branch1',"
                " gen_random_uuid(), kind, body, mac, not_after, not_after, 'queued' FROM (VALUES ('action', NULL, ''::bytea),"
                " ('questions', '{}', NULL)) AS none (kind, body, mac), (SELECT clock_timestamp() + interval '9 s' AS not_after) AS late"
            )
            await until(lambda: "queued" not in states(admin) + states(admin, "questions"))
            await client.answer(question("branch1-1"))
        finally:
            admin.execute("DELETE FROM task WHERE mac IS NULL OR body IS NULL")
            for column in ("mac", "body"):
                admin.execute(f"ALTER TABLE task ALTER {column} SET NOT NULL")


@slow
async def test_an_old_task_is_done_no_more_whatever_the_database_says(place, asking, admin):
    """Its own time is under its MAC: the columns around it, and a database whose clock was set back, change nothing."""
    machines, act = CountingMachines(), action("branch1-1")
    async with asking() as client:
        with carrying_out(errand(act)), pytest.raises(NotBegun):
            await client.invoke(act, 1)
    admin.execute(
        "UPDATE task SET state = 'queued', not_after = 'infinity', wanted_until = 'infinity', put = clock_timestamp()"
    )
    async with asking() as client, Running(place, "branch1", machines):
        await client.answer(question("branch1-1"))
        await until(lambda: states(admin) == ["taken"])
    assert machines.acts == {}


@slow
async def test_what_was_taken_in_time_is_not_begun_behind_it_whatever_the_database_says(place, asking, admin):
    """A host takes its time for the login. Whoever has the database gives the row more of it, and takes a withdrawal back."""

    machines, act = SlowMachines(), action("branch1-1")
    async with asking() as client, Running(place, "branch1", machines) as running:
        with carrying_out(errand(act)), pytest.raises(NotBegun):
            await client.invoke(act, 2)
        assert running.worker._tasks
        admin.execute("UPDATE task SET state = 'taken', not_after = 'infinity', wanted_until = 'infinity'")
        machines.may.set()
        await asyncio.gather(*running_tasks(), return_exceptions=True)
    assert machines.acts == {}


@slow
@pytest.mark.parametrize("ahead", [-1, 1])
async def test_no_action_is_put_by_a_clock_that_is_far_off(place, asking, admin, monkeypatch, ahead):
    """What a database whose clock ran ahead takes would be good for that much longer once it is put right."""
    monkeypatch.setattr(queue, "utc_now", lambda: utc_now() + timedelta(minutes=6 * ahead))
    async with asking() as client:
        with carrying_out(errand(action("branch1-1"))), pytest.raises(NotBegun, match="differ by 360 s"):
            await client.invoke(action("branch1-1"), 20)
    assert states(admin) == []


@slow
async def test_nobody_elses_functions_are_taken_for_the_servers(place, asking, admin):
    admin.execute("CREATE SCHEMA IF NOT EXISTS evil")
    admin.execute(
        "CREATE OR REPLACE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT now() + interval '4 min' $$"
    )
    admin.execute(f"ALTER DATABASE {admin.info.dbname} SET search_path = evil, pg_catalog")
    try:
        async with asking() as client:
            clock = await queue._clock(client.queue._link)
        assert abs(clock.offset) < timedelta(minutes=1)
    finally:
        admin.execute(f"ALTER DATABASE {admin.info.dbname} RESET search_path")


@slow
@pytest.mark.parametrize("then", ["refused", "DELETE FROM task", "UPDATE task SET state = 'withdrawn'"])
async def test_what_was_put_and_not_answered_for_is_not_called_not_begun(place, asking, admin, monkeypatch, then):
    """Its worker does it at once; the answer is lost, and the next one is that of a replica, or nothing is there any more."""
    machines, act, sent, real = CountingMachines(), action("branch1-1"), [], Link.fetch

    async def fetch(self, statement, values=(), seconds=5.0):
        if statement == schema.WANT_ONE:
            sent.append(await real(self, statement, values, seconds))
            await until(lambda: machines.acts)
            if then != "refused":
                admin.execute(then)
            raise QueueAway("lost", was_sent=True)
        if sent and statement == schema.PUT:
            raise QueueRefuses("read-only transaction") if then == "refused" else QueueAway("lost", was_sent=True)
        return await real(self, statement, values, seconds)

    async with asking() as client, Running(place, "branch1", machines):
        monkeypatch.setattr(Link, "fetch", fetch)
        with carrying_out(errand(act)), pytest.raises(OutcomeUnknown, match="is not known"):
            await client.invoke(act, 3)
    assert machines.acts == {"Pause": 1}


@slow
async def test_a_worker_does_not_say_that_changes_are_stopped(place, asking):
    """What is held back is begun again, and again, each time with entries of its own: that is for the bot itself to say."""

    class Holding(CountingMachines):
        async def invoke(self, action, seconds):
            await asyncio.to_thread(last_look(action.on))
            raise Withheld(action.on, "nothing was sent: changes are stopped.")

    act = action("branch1-1")
    async with asking() as client, Running(place, "branch1", Holding()):
        with carrying_out(errand(act)), pytest.raises(NotBegun, match="says that it was held back"):
            await client.invoke(act, 20)


@slow
async def test_an_action_that_is_shown_twice_is_done_once(place, asking, admin):
    machines, act = CountingMachines(), action("branch1-1")
    async with asking() as client, Running(place, "branch1", machines):
        with carrying_out(errand(act)):
            await client.invoke(act, 20)
        admin.execute("UPDATE task SET state = 'queued', worker = NULL WHERE kind = 'action'")
        await until(lambda: states(admin) != ["queued"])
        await client.answer(question("branch1-1"))
    assert machines.acts == {"Pause": 1}


@slow
async def test_a_worker_that_is_shown_an_action_again_does_not_say_that_it_was_not_started(place, asking, admin):
    """Whoever has the database can lose the true answer, and have the worker asked for another one, under its own MAC."""
    machines, act = CountingMachines(), action("branch1-1")
    async with asking() as client, Running(place, "branch1", machines):
        await client.answer(question("branch1-1"))
        admin.execute("""CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RETURN CASE WHEN NEW.attempt > 1 THEN NEW END; END $$""")
        admin.execute("CREATE TRIGGER lose BEFORE INSERT ON reply FOR EACH ROW EXECUTE FUNCTION lose()")
        with carrying_out(errand(act)):
            waiting = asyncio.create_task(client.invoke(act, 30))
            await until(lambda: states(admin) == ["ended"])
            admin.execute("UPDATE task SET state = 'queued', wanted_until = clock_timestamp() + interval '1 min'")
            with pytest.raises(OutcomeUnknown, match="has had this action before"):
                await waiting
    assert machines.acts == {"Pause": 1}


@slow
@pytest.mark.parametrize("why", ["its login is refused", "its row is begun already", "it is too late"])
async def test_a_second_worker_does_not_say_that_what_was_begun_was_not_started(place, asking, admin, why):
    """Nor does one that was started anew: whoever has the database can show it what another one is at, and knows no key."""

    class Acting(CountingMachines):
        async def invoke(self, action, seconds):
            await super().invoke(action, seconds)
            await asyncio.Event().wait()

    class Refused(SlowMachines):
        async def invoke(self, action, seconds):
            if why == "its login is refused":
                raise AuthenticationFailed(action.on, "it refuses the login.")
            shown.set()
            await super().invoke(action, seconds)

    first, second, act, shown = Acting(), Refused(), action("branch1-1"), asyncio.Event()
    async with asking() as client, Running(place, "branch1", first) as running:
        with carrying_out(errand(act)):
            waiting = asyncio.create_task(client.invoke(act, 60))
            await until(lambda: any(one.state == "begun" for one in pending_of(client)))
            running.worker._inbox.take = nothing_new
            async with Running(place, "branch1", second):
                admin.execute("UPDATE task SET state = 'queued', wanted_until = clock_timestamp() + interval '1 min'")
                if why != "its login is refused":
                    await shown.wait()
                    is_late = why == "it is too late"
                    admin.execute("UPDATE task SET not_after = now()" if is_late else "UPDATE task SET state = 'begun'")
                    second.may.set()
                await asyncio.wait({waiting}, timeout=30)
        for task in running.worker._tasks.values():
            task.cancel()
    with pytest.raises(OutcomeUnknown, match="somebody began it, and a worker of branch1 that did not says"):
        waiting.result()
    assert (first.acts, second.acts) == ({"Pause": 1}, {})


async def nothing_new(_most):
    return []


@slow
async def test_a_worker_that_began_and_stood_still_says_so_and_is_believed(place, asking, monkeypatch):
    """Else a person would have to decide about what certainly was not sent."""
    monkeypatch.setattr(worker.Fence, "_is_late", lambda fence: fence.was_written)
    machines, act = CountingMachines(), action("branch1-1")
    async with asking() as client, Running(place, "branch1", machines) as running:
        answer = running.worker._inbox.answer

        async def slow_answer(*told, **named):
            await until(lambda: any(one.state == "begun" for one in pending_of(client)))
            return await answer(*told, **named)

        running.worker._inbox.answer = slow_answer
        with carrying_out(errand(act)), pytest.raises(NotBegun, match="it is too late"):
            await client.invoke(act, 20)
    assert machines.acts == {}


@slow
@pytest.mark.parametrize(
    ("done", "is_stopped"),
    [
        ("DELETE FROM task", True),
        ("DELETE FROM task", False),
        ("UPDATE task SET state = 'taken'", True),
        ("UPDATE task SET state = 'taken'", False),
        ("UPDATE task SET state = 'withdrawn'", False),
    ],
)
async def test_a_row_that_others_delete_or_change_is_no_proof_that_nothing_was_begun(
    place, asking, admin, done, is_stopped
):
    """As a failover does that loses the row: what was begun would be told as not begun, and could be done again."""

    class Hanging(CountingMachines):
        async def invoke(self, action, seconds):
            await asyncio.to_thread(last_look(action.on))
            self.acts[action.method] += 1
            await asyncio.sleep(60)

    machines, act, why = Hanging(), action("branch1-1"), ""
    async with asking() as client, Running(place, "branch1", machines) as running:
        with carrying_out(errand(act)), sending_unless(lambda: why):
            waiting = asyncio.create_task(client.invoke(act, 4))
            if done.endswith("'taken'"):
                await until(lambda: any(one.state == "begun" for one in pending_of(client)))
            await until(lambda: machines.acts)
            admin.execute(done)
            why = "changes are stopped" if is_stopped else ""
            with pytest.raises(OutcomeUnknown):
                await waiting
        for task in running.worker._tasks.values():
            task.cancel()
    assert machines.acts == {"Pause": 1}


def pending_of(client):
    return [one for lane in client.queue._lanes.values() for one in lane.pending.values()]


@slow
async def test_a_reply_that_no_worker_of_the_site_wrote_is_none(place, asking, admin, monkeypatch):
    monkeypatch.setattr(sited, "_ON_THE_WAY", 1.0)
    async with asking() as client:
        waiting = asyncio.create_task(client.answer(question("branch1-1"), 1.0))
        await until(lambda: states(admin, "questions") == ["queued"])
        admin.execute(
            """INSERT INTO reply SELECT id, 1, 0, json_build_object('site', 'branch1', 'id', id, 'part', 0, 'numbers', '{0}'::int[],
            'texts', ARRAY['{"rows":[],"raw":"","by":"branch1-1"}']), decode(repeat('00', 32), 'hex') FROM task"""
        )
        with pytest.raises(TargetTimeout):
            await waiting


@slow
async def test_what_is_longer_than_any_reply_is_not_fetched(place, asking, admin, monkeypatch):
    """Whoever may write the tables is bound by no function, and 200 MB in one row are 600 MB of the bot's memory."""
    monkeypatch.setattr(sited, "_ON_THE_WAY", 1.0)
    async with asking() as client:
        waiting = asyncio.create_task(client.answer(question("branch1-1"), 2.0))
        await until(lambda: states(admin, "questions") == ["queued"])
        task = admin.execute("SELECT id FROM task").fetchone()[0]
        body = join_part({"site": "branch1", "id": str(task), "part": 0}, [0], ["x" * schema.MOST_PART])
        mac = SiteKey.of("branch1", place.keys["branch1"]).sign_reply(body)
        admin.execute("INSERT INTO reply VALUES (%s, 1, 0, %s, %s)", (task, body, mac))
        with pytest.raises(TargetTimeout):
            await waiting


@slow
async def test_a_worker_that_answers_for_another_sites_host_is_not_believed(place, asking):
    class Lying(CountingMachines):
        async def answer(self, question, seconds):
            return QueryResult((), "", "branch2-1")

    async with asking() as client, Running(place, "branch1", Lying()):
        with pytest.raises(MalformedResponse, match="none of its own"):
            await client.answer(question("branch1-1"))


@slow
async def test_an_error_of_a_worker_is_one_of_the_machine_that_was_asked(place, asking):
    class Lying(CountingMachines):
        async def answer(self, question, seconds):
            raise TargetFault("branch2-1", "its disk is lost.", code=5)

        async def invoke(self, action, seconds):
            raise NotFound("near", "there is no such node.")

    act = action("branch1-1")
    async with asking() as client, Running(place, "branch1", Lying()):
        with pytest.raises(TargetFault, match=r"^branch1-1: its disk is lost") as refused:
            await client.answer(question("branch1-1"))
        with carrying_out(errand(act)), pytest.raises(NotFound, match=r"^branch1-1: there"):
            await client.invoke(act, 10)
    assert refused.value.code == 5


async def test_the_row_before_an_act_is_written_once_and_only_while_it_may_be_done(place, asking, admin):
    async with asking():
        pass
    me, other, task = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    admin.execute(
        "INSERT INTO task VALUES (%s, 'branch1', %s, 'action', '{}', '', now(), 'infinity', 'infinity', 'queued')",
        (task, me),
    )
    with psycopg.connect(place.worker("branch1").url, autocommit=True) as worker:

        def begins(who=me):
            return worker.execute("SELECT hvops_sites.begin_action(%s, %s)", (who, task)).fetchone()[0]

        assert begins() == "it was begun already"  # by nobody: it was not taken
        assert len(worker.execute("SELECT * FROM hvops_sites.take(%s, 1)", (me,)).fetchall()) == 1
        assert begins(other) == "another worker has it"
        for column, says in (
            ("wanted_until", "the bot that wants it has not been heard of"),
            ("not_after", "it is too late"),
        ):
            admin.execute(f"UPDATE task SET {column} = clock_timestamp()")
            assert begins() == says
            admin.execute(f"UPDATE task SET {column} = 'infinity'")
        assert begins() == "begun"
        assert begins() == "it was begun already"
        admin.execute("UPDATE task SET state = 'withdrawn'")
        assert begins() == "it was withdrawn"


async def test_what_a_silent_worker_has_taken_goes_to_another_one_but_never_an_action(place, asking, admin):
    async with asking(stale_seconds=60):
        pass
    kinds = {uuid.uuid4(): kind for kind in ("questions", "action")}
    for task, kind in kinds.items():
        admin.execute(
            "INSERT INTO task VALUES (%s, 'branch1', %s, %s, '{}', '', now(), 'infinity', 'infinity', 'queued')",
            (task, task, kind),
        )
    with psycopg.connect(place.worker("branch1").url, autocommit=True) as worker:

        def takes():
            rows = worker.execute("SELECT task_id FROM hvops_sites.take(%s, 9)", (uuid.uuid4(),)).fetchall()
            return sorted(kinds[task] for (task,) in rows)

        assert takes() == ["action", "questions"]
        assert takes() == []
        admin.execute("UPDATE site SET stale = '1 s'")  # a server that has just been started counts nobody as silent
        up = "SELECT pg_postmaster_start_time() < clock_timestamp() - interval '1 s'"
        await until(lambda: admin.execute(up).fetchone()[0])
        admin.execute("UPDATE task SET seen = clock_timestamp() - interval '61 s'")
        assert takes() == ["questions"]
        admin.execute("UPDATE site SET stale = '1 year'")  # longer than the database has been up
        admin.execute("UPDATE task SET seen = clock_timestamp() - interval '2 years'")
        assert takes() == []
