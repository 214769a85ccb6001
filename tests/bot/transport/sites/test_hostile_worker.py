"""What somebody can do who has a worker's login at the database, and its site's key: nothing beyond that site."""

import asyncio
import uuid

import psycopg
import pytest
import site_queue
from site_queue import CountingMachines, Running, action, errand, question

from bot.errors import NotBegun, SettingsError
from bot.transport.errand import carrying_out
from bot.transport.sites import client as sited
from bot.transport.sites import queue, schema
from bot.transport.sites.database import prepare

slow = pytest.mark.postgresql  # what takes seconds, in `make test-postgres`


@pytest.fixture
async def hostile(place, asking):
    """The login of branch1's worker, in other hands, after a bot has made the queue."""
    async with asking():
        pass
    connection = psycopg.connect(place.worker("branch1").url, autocommit=True)
    yield connection
    connection.close()


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - other processes bring it about
            await asyncio.sleep(0.02)


async def taken_by(hostile, me):
    """The task that somebody puts."""
    async with asyncio.timeout(30):
        while not (rows := hostile.execute("SELECT * FROM hvops_sites.take(%s, 64)", (me,)).fetchall()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return rows[0][0]


def tables(admin):
    return [
        name
        for (name,) in admin.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'hvops_sites'::regnamespace AND relkind = 'r'"
        )
    ]


async def test_it_can_read_and_write_no_table(hostile, admin):
    assert sorted(tables(admin)) == ["reply", "site", "task", "worker"]
    for table in tables(admin):
        for statement in (
            f"SELECT * FROM hvops_sites.{table}",
            f"DELETE FROM hvops_sites.{table}",
            f"TRUNCATE hvops_sites.{table}",
            f"COPY hvops_sites.{table} TO STDOUT",
            f"DO $$ BEGIN LOCK hvops_sites.{table}; END $$",
            f"DROP TABLE hvops_sites.{table}",
            f"ALTER TABLE hvops_sites.{table} DISABLE TRIGGER ALL",
            f"CREATE TRIGGER mine AFTER INSERT ON hvops_sites.{table} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                hostile.execute(statement)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        hostile.execute("UPDATE hvops_sites.task SET state = 'queued'")


async def test_it_can_call_what_it_needs_and_nothing_else(hostile, place, admin):
    """A function that somebody adds later is not callable, either, unless it is written down as one."""
    login = place.logins["branch1"]
    callable_now = admin.execute(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'hvops_sites'::regnamespace "
        "AND has_function_privilege(%s, oid, 'EXECUTE')",
        (login,),
    ).fetchall()
    assert sorted(name for (name,) in callable_now) == sorted(name.replace(", ", ",") for name in schema.CALLABLE)
    unsafe = admin.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'hvops_sites'::regnamespace "
        "AND NOT (prosecdef AND 'search_path=pg_catalog, hvops_sites, pg_temp' = ANY (proconfig))"
    ).fetchall()
    assert unsafe == []


@slow
@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE {bot}",
        "SET SESSION AUTHORIZATION {bot}",
        "SET SESSION AUTHORIZATION {other}",
        "GRANT {bot} TO {mine}",
        "ALTER ROLE {other} PASSWORD 'mine'",
        "CREATE FUNCTION hvops_sites.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION hvops_sites.own_site() RETURNS hvops_sites.site LANGUAGE sql AS 'SELECT 1'",
        "ALTER FUNCTION hvops_sites.take(uuid, integer) OWNER TO {mine}",
        "SELECT hvops_sites.own_site()",
        "CREATE SCHEMA mine",
        "SET session_replication_role = replica",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{bot}'",
    ],
)
async def test_it_cannot_become_somebody_else(hostile, place, asking, statement):
    told = {
        "bot": place.bot.url.partition("//")[2].partition(":")[0],
        "mine": place.logins["branch1"],
        "other": place.logins["branch2"],
    }
    async with asking():
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            hostile.execute(statement.format(**told)).fetchall()


async def test_another_sites_tasks_are_not_there_for_it(hostile, asking, admin):
    act, me = action("branch2-1"), uuid.uuid4()
    async with asking() as client:
        with carrying_out(errand(act)):
            waiting = asyncio.create_task(client.invoke(act, 20))
            async with asyncio.timeout(30):
                while not (found := admin.execute("SELECT id FROM task").fetchall()):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            task = found[0][0]
            assert hostile.execute("SELECT * FROM hvops_sites.take(%s, 64)", (me,)).fetchall() == []
            assert hostile.execute("SELECT * FROM hvops_sites.beat(%s, %s)", (me, [task])).fetchall() == [(task,)]
            begun = hostile.execute("SELECT hvops_sites.begin_action(%s, %s)", (me, task)).fetchone()
            assert begun == ("there is no such action",)
            said = hostile.execute("SELECT hvops_sites.answer(%s, %s, 1, 0, '{}', %s, true)", (me, task, bytes(32)))
            assert said.fetchone() == (False,)
            assert admin.execute("SELECT state, worker FROM task").fetchall() == [("queued", None)]
            assert admin.execute("SELECT count(*) FROM reply").fetchone() == (0,)
            waiting.cancel()


@slow
async def test_its_own_tables_functions_and_operators_are_not_taken_for_the_queues(hostile, place, asking):
    """A search path of its own, and temporary objects of the same names, before and while a function runs."""
    hostile.execute("CREATE TEMPORARY TABLE site (name text, login text, stale interval)")
    hostile.execute(f"INSERT INTO site VALUES ('branch2', '{place.logins['branch1']}', '1 s')")
    hostile.execute("CREATE FUNCTION pg_temp.own_site() RETURNS site LANGUAGE sql AS 'SELECT * FROM site LIMIT 1'")
    hostile.execute("SET search_path = pg_temp, hvops_sites, pg_catalog")
    site = hostile.execute("SELECT site_name FROM hvops_sites.hello(%s, 'x', '1')", (uuid.uuid4(),)).fetchone()
    assert site == ("branch1",)


@slow
async def test_it_hears_that_something_is_there_for_others_and_not_what(hostile, place, asking):
    machines = CountingMachines()
    name = hostile.execute("SELECT 'hvops_site_' || md5('branch2')").fetchone()[0]
    hostile.execute(f"LISTEN {name}")
    async with asking() as client, Running(place, "branch2", machines):
        await client.answer(question("branch2-1"))
    assert {one.payload for one in hostile.notifies(timeout=1, stop_after=1)} == {""}


@slow
async def test_a_reply_has_a_largest_size_and_an_end(hostile, asking, admin):
    me, task = uuid.uuid4(), uuid.uuid4()
    admin.execute(
        "INSERT INTO task VALUES (%s, 'branch1', %s, 'questions', '{}', '', now(), 'infinity', 'infinity', 'queued')",
        (task, uuid.uuid4()),
    )
    assert len(hostile.execute("SELECT * FROM hvops_sites.take(%s, 64)", (me,)).fetchall()) == 1
    with pytest.raises(psycopg.errors.RaiseException, match="no reply is that large"):
        hostile.execute(
            "SELECT hvops_sites.answer(%s, %s, 1, 0, repeat('x', %s), %s, false)",
            (me, task, schema.MOST_PART + 1, bytes(32)),
        )
    with pytest.raises(psycopg.errors.RaiseException, match="no reply is that large"):
        hostile.execute("SELECT hvops_sites.answer(%s, %s, 1, 0, '\U0001f600', %s, false)", (me, task, bytes(32)))
    with pytest.raises(psycopg.errors.RaiseException, match="no reply is that large"):
        hostile.execute("SELECT hvops_sites.answer(%s, %s, 1, 10001, 'x', %s, false)", (me, task, bytes(32)))
    given = hostile.execute("SELECT hvops_sites.answer(%s, %s, 7, 0, 'x', %s, false)", (me, task, bytes(32))).fetchone()
    assert given == (False,)  # there was no seventh attempt


async def test_rows_that_it_keeps_locked_hold_up_no_other_site(hostile, asking, place, admin, monkeypatch):
    """A call in a transaction that it does not end: what a bot writes there for all its sites would wait for it."""
    monkeypatch.setattr(sited, "_NOBODY_SECONDS", 1_000)
    monkeypatch.setattr(queue, "_WANT_EVERY", 0.0)
    machines, act = CountingMachines(), action("branch2-1")
    async with asking() as client, Running(place, "branch2", machines):
        theirs = asyncio.create_task(client.answer(question("branch1-1")))
        await until(lambda: admin.execute("SELECT id FROM task").fetchall())
        with hostile.transaction():
            assert len(hostile.execute("SELECT * FROM hvops_sites.take(%s, 64)", (uuid.uuid4(),)).fetchall()) == 1
            for _ in range(3):
                assert (await client.answer(question("branch2-1"))).rows
            with carrying_out(errand(act)):
                await client.invoke(act, 20)
            assert not theirs.done()  # else it was waited for
        theirs.cancel()
    assert machines.acts == {"Pause": 1}


async def test_of_a_reply_no_more_parts_are_read_than_there_are_questions(hostile, asking, place, monkeypatch):
    read = []
    taken = queue._take

    async def counted(pending, part, *told):
        read.append(part)
        await taken(pending, part, *told)

    monkeypatch.setattr(queue, "_take", counted)
    me = uuid.uuid4()
    async with asking() as client, Running(place, "branch2", CountingMachines()):
        theirs = asyncio.create_task(client.answer(question("branch1-1")))
        task = await taken_by(hostile, me)
        with hostile.transaction(), hostile.cursor() as cursor:
            parts = [(me, task, number, bytes(32)) for number in range(500)]
            cursor.executemany("SELECT hvops_sites.answer(%s, %s, 1, %s, 'x', %s, false)", parts)
        for _ in range(3):
            assert (await client.answer(question("branch2-1"))).rows
        await until(lambda: len(read) >= 4)
        theirs.cancel()
    assert len(read) == 4  # one of each question


@slow
async def test_a_key_of_its_own_site_signs_nothing_for_another(place, asking, admin):
    """A task that the worker of branch1 writes itself, and has put for branch2 by somebody who may write there."""
    machines = CountingMachines()
    place_of_two = {**place.keys, "branch2": place.keys["branch1"]}
    forger = type(place)(place.bot, place.logins, place_of_two, place.password)
    act = action("branch2-1")
    async with asking(), Running(place, "branch2", machines):
        client_of_forger = site_queue.client(forger.queue(), site_queue.inventory("branch1", "branch2"))
        with carrying_out(errand(act)), pytest.raises(NotBegun):
            await client_of_forger.invoke(act, 2)
        client_of_forger.close()
    assert machines.acts == {}


@slow
async def test_a_login_that_could_read_everything_is_not_let_in(place, postgresql_cluster, admin):
    mine = postgresql_cluster.url("postgres").partition("//")[2].partition(":")[0]
    with pytest.raises(SettingsError, match="could read every site's tasks"):
        await prepare(place.bot, {"branch1": mine}, 3)
    with pytest.raises(SettingsError, match="CREATE ROLE nobody_is_that LOGIN"):
        await prepare(place.bot, {"branch1": "nobody_is_that"}, 3)


@slow
async def test_a_login_that_was_taken_out_of_the_settings_is_let_in_no_more(hostile, place):
    await prepare(place.bot, {"branch2": place.logins["branch2"]}, 3)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        hostile.execute("SELECT * FROM hvops_sites.hello(%s, 'x', '1')", (uuid.uuid4(),))
