"""A real PgBouncer between hvops and its databases: what is refused, what doctor says, and what holds all the same."""

import asyncio
from types import SimpleNamespace

import pytest
import site_queue
import site_story
from entry_samples import entry_data

from bot.doctor.check import Status
from bot.doctor.local import _ledger, ledger_connection
from bot.errors import LedgerError
from bot.ledger import Ledger
from bot.ledger.postgresql_connection import connect as connect_ledger
from bot.ledger.shared_locks import Duty
from bot.transport.sites import database
from tests.support.pgbouncer import pooler

pytestmark = pytest.mark.postgresql
PASSED = "ignore_startup_parameters = options,extra_float_digits"
SOME = (PASSED,)


@pytest.fixture
def queue(postgresql_cluster):
    return site_queue.make_place(postgresql_cluster, site_story.SITE).bot


@pytest.fixture
def ledger_database(postgresql_cluster):
    return postgresql_cluster.database()


async def test_its_default_settings_are_refused_by_name(queue):
    with pooler(queue, "transaction") as place, pytest.raises(database.QueueAway, match="That is a pooler"):
        await database.connect(place, "hvops")


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_doctor_fails_where_it_shares_sessions(queue, mode):
    with pooler(queue, mode, *SOME) as place:
        assert await database.is_pooled(place)
        told = await ledger_connection(SimpleNamespace(ledger=SimpleNamespace(place=place, may_be_begun=False)))
        assert [(one.status, "shares sessions" in one.says) for one in told] == [(Status.FAIL, True)]


async def test_doctor_is_content_where_it_keeps_them(queue):
    with pooler(queue, "session", *SOME) as place:
        assert not await database.is_pooled(place)
        assert await ledger_connection(SimpleNamespace(ledger=SimpleNamespace(place=place, may_be_begun=False))) == []


async def test_what_a_session_needs_is_set_where_startup_parameters_are_ignored(queue, ledger_database):
    with pooler(queue, "session", *SOME) as place:
        connection = await database.connect(place, "hvops")
        async with connection:
            found = await (await connection.execute("SHOW search_path")).fetchone()
            assert found == ("pg_catalog",)
    needed = {"search_path": "hvops,pg_temp", "lock_timeout": "5s"}
    with pooler(ledger_database, "session", *SOME) as place, connect_ledger(place, needed) as told:
        assert told.execute("SHOW search_path").fetchone() == ("hvops,pg_temp",)
        assert told.execute("SHOW lock_timeout").fetchone() == ("5s",)


def test_a_ledger_is_not_opened_through_one_that_shares_sessions(ledger_database, tmp_path):
    files = tmp_path / "ledger.key", tmp_path / "anchors.txt"
    with (
        pooler(ledger_database, "transaction", *SOME) as place,
        pytest.raises(LedgerError, match="pool_mode = session"),
    ):
        Ledger(place, *files)


def test_doctor_says_once_that_a_ledger_is_not_opened_through_it(ledger_database, tmp_path):
    files = tmp_path / "ledger.key", tmp_path / "anchors.txt"
    with Ledger(ledger_database, *files) as ledger:
        ledger.append("os:ops1", entry_data("asked"))
    with pooler(ledger_database, "transaction", *SOME) as place:
        told = SimpleNamespace(place=place, key_file=files[0], anchor_file=files[1], may_be_begun=True)
        settings = SimpleNamespace(ledger=told)
        found = [_ledger(settings), *asyncio.run(ledger_connection(settings))]
    assert [(one.status, "shares sessions" in one.says) for one in found] == [(Status.FAIL, True)]


def test_a_ledger_goes_on_through_one_that_keeps_them(ledger_database, tmp_path):
    files = tmp_path / "ledger.key", tmp_path / "anchors.txt"
    with Ledger(ledger_database, *files) as ledger:
        ledger.append("os:ops1", entry_data("asked"))
    with pooler(ledger_database, "session", *SOME) as place, Ledger(place, *files) as ledger:
        assert ledger.append("os:ops1", entry_data("asked")).seq == 2
        ledger.shared.look()
        assert all(ledger.shared.owns(duty) for duty in Duty)
        assert ledger.verify().holds
