"""What doctor says of the bots that share a ledger in a database."""

import contextlib
import time

import pytest

from bot.config import settings
from bot.config.inventory_file import load as load_inventory
from bot.doctor.bots import bots
from bot.doctor.check import Status
from bot.ledger.places import open_locks, open_store
from bot.ledger.postgresql_locks import KEYS, connect_as, take_free
from bot.ledger.shared_locks import Duty
from bot.other_bots import marks_of


@pytest.fixture
def told(tmp_path, postgresql_cluster, monkeypatch):
    database = postgresql_cluster.database()
    monkeypatch.setenv("HVOPS_LEDGER__DATABASE", database.url)
    (tmp_path / "inventory.toml").write_text('[clusters.prod]\ndomain = "corp.example"\nentry_hosts = ["hv01"]\n')
    file = tmp_path / "settings.toml"
    file.write_text(
        'inventory = "inventory.toml"\n[ledger]\nkey_file = "ledger.key"\nanchor_file = "anchors.txt"\n'
        '[credentials.reader]\ntransport = "kerberos"\nusername = "r@CORP.EXAMPLE"\npassword = "made up"\n'
    )
    file.chmod(0o600)
    open_store(database).close()  # as the bot makes it
    yield settings.load(file)
    postgresql_cluster.drop(database)


async def test_where_no_bot_is_there_nothing_is_said_of_any(told):
    (check,) = await bots(told)
    assert (check.status, check.says) == (Status.SKIP, "no bot is connected to the ledger's database")


async def test_each_bot_is_named_with_what_it_does_and_what_is_not_the_same(told):
    one, other = open_locks(told.ledger.place), open_locks(told.ledger.place)
    one.marks = marks_of(told, load_inventory(told.inventory))
    other.marks = one.marks | {"inventory": "0123456789"}
    one.look()
    other.look()
    there, differs = await bots(told)
    assert there.status is Status.OK
    assert there.says.startswith("2 bots: ")
    assert "starts what is approved" in there.says
    assert "answers and decides" in there.says
    assert (differs.status, differs.says.partition(" differs")[0]) == (Status.WARN, "inventory.toml")
    one.close()
    other.close()


async def test_a_clock_that_is_far_from_the_databases_is_named_with_what_to_do(told, monkeypatch):
    monkeypatch.setattr("bot.ledger.postgresql_locks.time.time", lambda now=time.time: now() + 90)
    _, clock = await bots(told)
    assert clock.status is Status.WARN
    assert "90 s ahead of that of the ledger's database" in clock.says
    assert "NTP" in clock.do


async def test_a_database_whose_locks_nobody_of_us_holds_is_named(told):
    with contextlib.closing(
        connect_as(told.ledger.place, "a program of others")
    ) as session:  # with the bots' own login
        assert take_free(session, (KEYS[Duty.RUNS],))
        one = open_locks(told.ledger.place)
        one.marks = marks_of(told, load_inventory(told.inventory))
        one.look()
        assert not one.owns(Duty.RUNS)
        _, warned = await bots(told)
        assert (warned.status, warned.says) == (Status.WARN, "none of them starts what is approved")
        one.close()


async def test_a_ledger_in_a_file_has_one_bot_at_a_time(told, monkeypatch):
    monkeypatch.delenv("HVOPS_LEDGER__DATABASE")
    assert await bots(settings.load(told.file)) == []
