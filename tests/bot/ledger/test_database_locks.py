"""A login that may only connect to the ledger's database, or read it, keeps no bot from writing and none from running tickets."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from entry_samples import entry_data

from bot.errors import LedgerError
from bot.ledger.places import open_locks, open_store
from bot.ledger.postgresql_locks import KEYS, connect_as, take_free
from bot.ledger.shared_locks import KEY_BITS, MARKS, Duty, run_key
from bot.ledger_place import Database
from bot.other_bots import differences

_VIEWS = ("timeline", "tickets_readable", "decisions", "steps", "questions", "refusals", "heads")


@pytest.fixture
def place(postgresql_cluster):
    made = postgresql_cluster.database()
    yield made
    postgresql_cluster.drop(made)


@pytest.fixture
def login(place, postgresql_cluster):
    """Make a login of that database; the statements give it what it may."""
    made = []

    def make(*statements: str) -> Database:
        name = f"login{len(made)}_{place.url.rpartition('/')[2]}"
        with psycopg.connect(place.url, autocommit=True) as admin:
            admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'r'")
            for statement in statements:
                admin.execute(statement.format(name=name))
        made.append(name)
        return Database(place.url.replace(f"hvops:{postgresql_cluster.password}@", f"{name}:r@"))

    yield make
    with psycopg.connect(place.url, autocommit=True) as admin:
        for name in made:
            admin.execute(f"DROP OWNED BY {name}")
            admin.execute(f"DROP ROLE {name}")


@pytest.fixture
def reader(ledger, login):
    """Whoever has the login that the guide gives to people who only read."""
    del ledger
    views = ", ".join(f"hvops.{one}" for one in _VIEWS)
    mine = login("GRANT USAGE ON SCHEMA hvops TO {name}", f"GRANT SELECT ON {views} TO {{name}}")
    with psycopg.connect(mine.url, autocommit=True) as session:
        yield session


@pytest.fixture
def bots(place, ledger):
    """Two of them, each with its locks."""
    del ledger
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(open_locks(place))) for _ in range(2)]


def advisory(session: psycopg.Connection) -> set[int]:
    """The numbers of all advisory locks that are held in that database: everybody sees them."""
    return {
        row[0]
        for row in session.execute(
            """SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
        )
    }


def test_who_may_only_read_takes_none_of_the_locks_that_writers_need(ledger, reader):
    for name in ("lock", "ticket", "entry", *_VIEWS):
        for mode in ("SHARE UPDATE EXCLUSIVE", "SHARE ROW EXCLUSIVE", "ACCESS EXCLUSIVE"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), reader.transaction():
                reader.execute(f"LOCK TABLE hvops.{name} IN {mode} MODE NOWAIT")
        with pytest.raises(psycopg.Error), reader.transaction():
            reader.execute(f"SELECT FROM hvops.{name} FOR KEY SHARE")
    for number in (0x68766F7073, 0x68766F7074):  # which all writers once waited for
        reader.execute("SELECT pg_advisory_lock(%s)", (number,))
    with reader.transaction():
        reader.execute("SELECT count(*) FROM hvops.timeline, hvops.heads")
        ledger.append("U1", entry_data("stop", {"reason": "power work", "name": "n"}))
    assert ledger.is_stopped()


def test_who_waits_for_each_lock_that_is_held_has_none_of_those_that_bots_take_next(reader, bots, place):
    one, other = bots
    one.look()
    run = one.session()
    assert run.take(run_key("T-1"))
    held = advisory(reader)
    assert len(held) == len(Duty) + 1
    has_all, ended = threading.Event(), threading.Event()

    def waits():
        with psycopg.connect(reader.info.dsn, password="r", autocommit=True) as stranger:
            for number in held:
                stranger.execute("SELECT pg_advisory_lock(%s)", (number,))
            has_all.set()
            ended.wait(60)

    with ThreadPoolExecutor(1) as pool, psycopg.connect(place.url, autocommit=True) as admin:
        pool.submit(waits)
        while not admin.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchone():
            pass
        run.close()
        one.give_up_duties()
        assert has_all.wait(60)
        again = other.session()
        try:
            assert again.take(run_key("T-1"))
            other.look()
            assert [other.owns(duty) for duty in Duty] == [True] * len(Duty)
        finally:
            ended.set()
            again.close()


def test_a_number_of_a_lock_that_somebody_else_has_is_nobodys_lock(reader, bots):
    """Some of all that it could be: others are drawn, and of one who may not write the ledger none counts."""
    for drawn in range(500):
        for key in (KEYS[Duty.RUNS], run_key("T-7")):
            reader.execute("SELECT pg_advisory_lock(%s)", (0x687 << 52 | drawn << KEY_BITS | key,))
    one, _ = bots
    while not one.owns(Duty.RUNS):  # once in five hundred times one of those is drawn
        one.look()
    run = one.session()
    while not run.take(run_key("T-7")):
        pass
    assert run.holds(run_key("T-7"))
    assert one.runs_elsewhere() == frozenset()
    run.close()


@pytest.mark.parametrize("how", ["INHERIT", "NOINHERIT"])
def test_bots_whose_logins_differ_keep_each_other_from_a_lock(place, bots, login, how):
    mine = login(f"GRANT hvops TO {{name}}; ALTER ROLE {{name}} {how}; ALTER ROLE {{name}} SET role = 'hvops'")
    one, _ = bots
    one.look()
    own = open_locks(mine)
    with contextlib.closing(own):
        own.look()
        assert not own.owns(Duty.RUNS)
        run = own.session()
        assert run.take(run_key("T-3"))
        other = one.session()
        assert not other.take(run_key("T-3"))
        one.look()
        assert one.runs_elsewhere() == {run_key("T-3")}
        run.close()
        other.close()


@pytest.mark.parametrize(
    "how",
    ["INHERIT", "INHERIT; ALTER ROLE {name} SET role = 'hvops'", "NOINHERIT; ALTER ROLE {name} SET role = 'hvops'"],
)
def test_bots_whose_logins_differ_see_each_other_and_what_is_not_the_same(place, bots, login, how):
    logins = [login("GRANT hvops TO {name}; ALTER ROLE {name} " + how) for _ in range(2)]
    others = [open_locks(mine) for mine in logins]
    with contextlib.ExitStack() as stack:
        for locks in others:
            stack.enter_context(contextlib.closing(locks))
        one, _ = bots
        for locks, digest in ((one, "a"), (others[0], "b"), (others[1], "a")):
            locks.marks = dict.fromkeys(MARKS, digest * 40)
            locks.look()
        run = others[1].session()
        assert run.take(run_key("T-9"))
        seen = [locks.present() for locks in (one, *others)]
        assert seen[0] == seen[1] == seen[2]
        assert sorted(bot.marks["settings"][0] for bot in seen[0]) == ["a", "a", "b"]
        assert len(list(differences(seen[0]))) == len(MARKS)
        assert sorted((bot.duties, bot.runs) for bot in seen[0]) == sorted([(tuple(Duty), ()), ((), ()), ((), (9,))])
        others[1].look()
        assert others[1].runs_elsewhere() == frozenset()
        run.close()


def test_who_calls_himself_a_bot_and_may_not_write_the_ledger_is_none(reader, bots):
    one, _ = bots
    one.marks = dict.fromkeys(MARKS, "a" * 40)
    one.look()
    reader.execute("SELECT set_config('application_name', 'hvops/hv-b/12.abcd/00000/00000/00000/00000/00000', false)")
    assert len(one.present()) == 1


def test_a_login_whose_locks_others_would_not_see_takes_none(place, bots, login):
    """It may append by a function or a role of its own making, and is neither owner nor member."""
    mine = login("GRANT USAGE ON SCHEMA hvops TO {name}", "GRANT UPDATE ON hvops.lock TO {name}")
    with (
        contextlib.closing(connect_as(mine, "hvops")) as session,
        pytest.raises(LedgerError, match="neither the owner"),
    ):
        take_free(session, (KEYS[Duty.RUNS],))
    with psycopg.connect(place.url) as admin:
        assert advisory(admin) == set()


def test_two_that_make_the_ledger_at_once_make_one(place):
    with ThreadPoolExecutor(4) as pool:
        for made in [pool.submit(open_store, place) for _ in range(4)]:
            with contextlib.closing(made.result()) as store:
                assert store.length() == 0
                store.check_definitions()


@pytest.mark.parametrize(("ahead", "says"), [(20, ""), (-20, ""), (31, "31 s ahead of"), (-3600, "3600 s behind")])
def test_who_is_far_from_the_databases_time_starts_nothing_and_keeps_what_needs_no_time(bots, ahead, says):
    one, _ = bots
    one.clock = lambda: time.time() + ahead
    one.look()
    assert (one.owns(Duty.RUNS), one.owns(Duty.NOTICES)) == (not says, True)
    assert says in one.clock_trouble()
    assert says in one.compare_clock()
    assert bool(one.clock_trouble()) == bool(says)


def test_a_clock_that_is_set_is_compared_at_the_next_look_and_another_bot_may_start_then(bots):
    one, other = bots
    one.look()
    assert one.owns(Duty.RUNS)
    one.clock = lambda: time.time() - 120
    one.look()
    assert not one.owns(Duty.RUNS)
    while not other.owns(Duty.RUNS):  # the server needs a moment
        other.look()
    one.clock = time.time
    one.look()
    assert not one.clock_trouble()
