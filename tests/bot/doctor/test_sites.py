"""What doctor says of the queue to sites and of their workers, on the bot's machine and on a worker's."""

import asyncio
import json
import os
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
import site_queue
import site_story

from bot.config import settings
from bot.doctor import clusters, examine, sites
from bot.doctor.check import Status
from bot.doctor.clusters import check_clusters
from bot.doctor.local import ledger_connection
from bot.doctor.write_access import changes
from bot.errors import ConnectionFailed
from bot.services import open_connections
from bot.transport.sites import database
from lab.environment import PracticeEnvironment

slow = pytest.mark.postgresql  # what takes seconds, in `make test-postgres`


@pytest.fixture(scope="module")
def one_place(postgresql_cluster):
    return site_queue.make_place(postgresql_cluster, site_story.SITE)


@pytest.fixture
def at_site(one_place, tmp_path):
    """An environment behind a worker, whose bot has not been started yet."""

    @asynccontextmanager
    async def begun(prepare=lambda _estate: None):
        estate = PracticeEnvironment("healthy", tmp_path / "healthy")
        await asyncio.to_thread(estate.__enter__)
        try:
            async with site_story.behind_worker(estate, one_place, prepare):
                yield estate
        finally:
            await asyncio.to_thread(estate.__exit__, None, None, None)

    return begun


def told(checks, what):
    return [(check.status, check.on, check.says) for check in checks if check.what == what]


async def test_the_queue_and_each_worker_are_asked(at_site):
    async with at_site() as estate:
        with open_connections(settings.load(estate.settings_path)) as out:
            found = await sites.sites(out)
            assert [check.status for check in found] == [Status.OK, Status.OK]
            assert "answers in" in told(found, "worker")[0][2]
            rights = await changes(out)
            assert told(rights, "operator") == [
                (Status.SKIP, "", f"what logins may do at {site_story.SITE} shows only there")
            ]


def test_doctor_makes_no_key_of_a_site_and_says_who_does(tmp_path, capsys):
    """Of two bots only one has the key that the worker has: a second one would be none of its."""
    (tmp_path / "inventory.toml").write_text(
        '[clusters.branch]\ndomain = "corp.example"\nentry_hosts = ["br01"]\n[site.Ghent]\nmembers = ["branch"]\n'
    )
    file = tmp_path / "settings.toml"
    file.write_text(
        'inventory = "inventory.toml"\n[credentials.reader]\ntransport = "kerberos"\n'
        '[sites]\ndatabase = "postgresql://hvops@127.0.0.1:9/hvops_sites"\n'
        '[sites.worker.ghent]\nlogin = "hvops_ghent"\nkey_file = "ghent.key"\n'
    )
    before = sorted(one.name for one in tmp_path.iterdir())
    assert examine(file, as_json=True) == 1
    found = [
        check for line in capsys.readouterr().out.splitlines() if (check := json.loads(line))["what"] == "site key"
    ]
    assert [(check["status"], check["on"]) for check in found] == [("FAIL", "ghent")]
    assert "the key of the site is missing" in found[0]["says"]
    assert found[0]["do"].startswith("Start the bot, which makes it")
    assert examine(file, migrate="crm-01") == 1
    assert sorted(one.name for one in tmp_path.iterdir()) == before


@slow
async def test_a_worker_that_does_not_answer_is_said_to_be_away(at_site, monkeypatch):
    monkeypatch.setattr(sites, "_SECONDS", 0.5)
    async with at_site() as estate:
        file = estate.directory / f"{site_story.SITE}.key"
        file.write_text("00" * 32 + "\n")  # another key than the worker's: it does what is signed with its own
        with open_connections(settings.load(estate.settings_path)) as out:
            queue = out.target_client.queue
            await out.target_client.warm()
            async with asyncio.timeout(60):  # the worker is let in once a bot has made the queue
                while await queue.last_heard(queue.sites[site_story.SITE]) is None:  # noqa: ASYNC110 - the database says it to nobody
                    await asyncio.sleep(0.05)
            found = await sites.sites(out)
    assert told(found, "worker")[0][0] is Status.FAIL
    assert "no worker answers with this site's key" in told(found, "worker")[0][2]
    (do,) = [check.do for check in found if check.what == "worker"]
    assert "copy the site's key_file from the bot that made it to every other bot" in do


async def test_a_cluster_whose_worker_is_away_is_not_blamed_on_its_nodes(monkeypatch):
    errors = {
        "branch": ConnectionFailed(
            "branch",
            "no worker of branch1 is there: none was started today, or the last one was ended.",
            "Start hvops worker there.",
        ),
        "prod": ConnectionFailed("hv01", "refused."),
    }

    async def nodes(name):
        raise errors[name]

    async def nothing(*_):
        return []

    monkeypatch.setattr(clusters, "examine_hosts", nothing)
    known = {name: SimpleNamespace(name=name, entry_hosts=()) for name in errors}
    file = SimpleNamespace(hosts={}, clusters=known, guest_domains=["corp.example"])
    credentials = SimpleNamespace(guest=object())
    out = SimpleNamespace(
        inventory_file=file,
        inventory=SimpleNamespace(nodes=nodes),
        settings=SimpleNamespace(credentials=credentials),
    )
    found = [(check.on, check.says, check.do) for check in await check_clusters(out)]
    assert found == [
        (
            "branch",
            "no worker of branch1 is there: none was started today, or the last one was ended.",
            "Start hvops worker there.",
        ),
        ("prod", "hv01: refused.", "Check entry_hosts in the inventory."),
    ]


HELLO = {"version": "1", "host": "w1", "names": ["branch"], "ahead": "0.0", "doubt": "0.0"}


@pytest.mark.parametrize(
    "told",
    [
        {**HELLO, "ahead": "nan"},
        {**HELLO, "ahead": "inf"},
        {**HELLO, "ahead": None},
        {**HELLO, "names": 5},
        {**HELLO, "names": "branch"},
        {},
        [],
    ],
)
async def test_what_a_worker_says_of_itself_that_cannot_be_read_is_told(told):
    async def put(*_told, **_named):
        return SimpleNamespace(take_answers=lambda: [(0, json.dumps(told))], spoilt="")

    queue = SimpleNamespace(put=put, forget=lambda _: None)
    check = await sites._worker(queue, SimpleNamespace(name="Ghent"), SimpleNamespace())
    assert check.status is Status.FAIL
    assert check.says.startswith("its worker's answer cannot be read")


async def test_a_part_of_what_a_worker_says_of_itself_that_cannot_be_read_is_told():
    async def put(*_told, **_named):
        return SimpleNamespace(take_answers=list, spoilt="it does not say what it is")

    queue = SimpleNamespace(put=put, forget=lambda _: None)
    check = await sites._worker(queue, SimpleNamespace(name="Ghent"), SimpleNamespace())
    assert check.says == "its worker's answer cannot be read: it does not say what it is"


@slow
async def test_a_name_that_only_the_bot_has_written_down_is_told(at_site):
    def forget(inventory):
        del inventory["clusters"]["branch"]

    async with at_site(forget) as estate:
        with open_connections(settings.load(estate.settings_path)) as out:
            found = await sites.sites(out)
    assert told(found, "worker") == [(Status.FAIL, site_story.SITE, "it does not reach branch")]


@slow
async def test_a_database_that_is_away_fails(at_site, monkeypatch):
    async with at_site() as estate:
        monkeypatch.setenv("HVOPS_SITES__DATABASE", "postgresql://nobody@127.0.0.1:9/nothing")
        with open_connections(settings.load(estate.settings_path)) as out:
            found = await sites.sites(out)
    assert told(found, "queue")[0][0] is Status.FAIL


@slow
async def test_on_a_workers_machine_it_looks_as_the_worker_does(at_site):
    async with at_site() as estate:
        with open_connections(settings.load(estate.settings_path)) as out:
            await out.target_client.warm()
        folder = estate.directory / "site"
        own = settings.load(folder / "settings.toml")
        found = await sites.check_worker(own)
        assert told(found, "queue")[0][0] is Status.OK
        with open_connections(own) as out:
            clusters = await check_clusters(out)
            assert (Status.OK, "prod") in [(status, on) for status, on, _ in told(clusters, "cluster")]
        (folder / "ledger.key").write_text("00" * 32)
        assert "no worker may hold one" in told(await sites.check_worker(own), "worker")[0][2]


@slow
async def test_a_login_that_may_connect_to_the_ledgers_database_is_told(one_place, postgresql_cluster):
    ledger = postgresql_cluster.database()
    logins = list(one_place.logins.values())
    assert await database.may_connect(ledger, logins) == logins
    name = ledger.url.rpartition("/")[2]
    with psycopg.connect(ledger.url, autocommit=True) as connection:
        connection.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    assert await database.may_connect(ledger, logins) == []


class Session:
    """A session of a server's as a pooler hands it out: to whoever is in a transaction, or asks something."""

    def __init__(self, number):
        self.number = number


class Pooled:
    """A connection to a pooler in transaction mode, with two sessions behind it: the one used last is given out first."""

    def __init__(self, free):
        self.free, self.held = free, None

    @asynccontextmanager
    async def transaction(self):
        self.held = self.free.pop()
        yield
        self.free.append(self.held)
        self.held = None

    async def execute(self, _statement):
        session = self.held or self.free[-1]

        class Found:
            async def fetchone(self):
                return (session.number,)

        return Found()

    async def close(self):
        return


async def test_a_pooler_in_transaction_mode_is_noticed_and_a_server_is_none(one_place, monkeypatch):
    assert not await database.is_pooled(one_place.bot)

    free = [Session(2), Session(1)]

    async def connect(_place, _name):
        return Pooled(free)

    ledger = SimpleNamespace(ledger=SimpleNamespace(place=one_place.bot, may_be_begun=False))
    assert await ledger_connection(ledger) == []
    monkeypatch.setattr(database, "connect", connect)
    assert await database.is_pooled(one_place.bot)
    assert told(await ledger_connection(ledger), "ledger")[0][0] is Status.FAIL
    ledger.ledger.place = Path("ledger.db")
    assert await ledger_connection(ledger) == []


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("HVOPS_")]:
        monkeypatch.delenv(name)
