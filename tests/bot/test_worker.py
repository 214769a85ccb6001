"""What may and what may not lie beside a worker on its machine."""

import asyncio
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from bot import worker
from bot.config import settings
from bot.errors import SettingsError
from bot.services import open_connections
from bot.transport.client import QueryResult
from bot.worker import Worker

OWN = """inventory = "inventory.toml"
[credentials.reader]
transport = "kerberos"
{more}
[sites]
database = "postgresql://hvops_ghent@127.0.0.1:9/hvops_sites"
[sites.worker.ghent]
key_file = "ghent.key"
{login}
"""
INVENTORY = """[clusters.branch]
domain = "corp.example"
entry_hosts = ["br01"]
[clusters.prod]
domain = "corp.example"
entry_hosts = ["hv01"]
[site.Ghent]
members = ["branch"]
"""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("HVOPS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def told(tmp_path):
    def written(more="", login=""):
        (tmp_path / "inventory.toml").write_text(INVENTORY)
        (tmp_path / "settings.toml").write_text(OWN.format(more=more, login=login))
        (tmp_path / "ghent.key").touch(0o600)
        (tmp_path / "ghent.key").write_text("11" * 32)
        return settings.load(tmp_path / "settings.toml")

    return written


TAKES_AND_LETS_GO = """
import pathlib, sys
from bot import worker
from bot.config import settings
from bot.errors import SettingsError

def kilobytes():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))

try:
    worker.run(settings.load(pathlib.Path(sys.argv[1])), "antwerp")
except SettingsError:
    pass
bytearray(b"x" * 200_000)  # from here on glibc takes pieces of this size from its pool
before, kept, pieces = kilobytes(), [], []
for _ in range(400):
    pieces.append(bytearray(b"x") * 200_000)
    kept.append(bytes(1_000))  # what lies between them keeps the pool from shrinking
took = kilobytes() - before
pieces.clear()
print(took, kilobytes() - before)
"""


def test_a_worker_gives_back_what_a_long_answer_took_as_the_bot_does(told, tmp_path):
    told()
    script = [sys.executable, "-c", TAKES_AND_LETS_GO, str(tmp_path / "settings.toml")]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    took, left = map(int, done.stdout.split())
    assert took > 70_000
    assert left < 10_000


def serve(own, site="ghent"):
    stop = asyncio.Event()
    stop.set()
    asyncio.run(worker.serve(own, site, stop))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('[slack]\nbot_token = "xoxb-1"\napp_token = "xapp-1"', "a worker does not speak to Slack"),
        ('[ledger]\ndatabase = "postgresql://hvops@db1/hvops"', "a worker has no ledger"),
    ],
)
def test_a_worker_does_not_start_beside_what_reaches_beyond_its_site(told, tmp_path, more, says):
    with pytest.raises(SettingsError, match=says):
        serve(told(more))
    (tmp_path / "ledger.key").write_text("00" * 32)
    with pytest.raises(SettingsError, match="no worker may hold one"):
        serve(told())


def test_a_worker_starts_for_a_site_of_its_settings_alone(told):
    with pytest.raises(SettingsError, match=r"\[sites.worker.antwerp\] is missing"):
        serve(told(), "antwerp")


def test_a_key_that_others_can_read_or_that_is_none_is_refused(told, tmp_path):
    own = told()
    (tmp_path / "ghent.key").chmod(0o644)
    with pytest.raises(SettingsError, match="other accounts"):
        serve(own)
    (tmp_path / "ghent.key").chmod(0o600)
    (tmp_path / "ghent.key").write_text("replace-me")
    with pytest.raises(SettingsError, match="no key of a site"):
        serve(own)
    (tmp_path / "ghent.key").unlink()
    with pytest.raises(SettingsError, match="Copy it from the bot's machine"):
        serve(own)


def test_on_a_workers_machine_its_site_is_asked_directly_and_no_other(told):
    with open_connections(told()) as out:
        assert list(out.inventory_file.clusters) == ["branch"]
        assert out.target_client.worker_sites == {}


def test_a_bot_makes_the_key_and_says_where_a_login_is_missing(told, tmp_path):
    own = told(login='login = "hvops_ghent"')
    (tmp_path / "ghent.key").unlink()
    with pytest.raises(SettingsError, match="the key of the site is missing"), open_connections(own):
        pass
    assert not (tmp_path / "ghent.key").exists()
    with open_connections(own, makes_keys=True) as out:
        assert out.target_client.worker_sites == {"branch": "Ghent"}
    assert len(bytes.fromhex((tmp_path / "ghent.key").read_text())) == 32
    assert (tmp_path / "ghent.key").stat().st_mode & 0o077 == 0
    both = told(login='login = "hvops_ghent"\n[sites.worker.antwerp]\nkey_file = "antwerp.key"')
    with pytest.raises(SettingsError, match="the inventory has no such site"), open_connections(both):
        pass


class Writing:
    """A worker of which only the writing of answers is used; what begins with "held" is masked when `go` is set."""

    def __init__(self):
        self.go, self.threads = threading.Event(), set()
        self.worker = Worker(SimpleNamespace(), SimpleNamespace(mask=SimpleNamespace(redact_known=self.known)))
        self.task = SimpleNamespace(clock=SimpleNamespace(offset=timedelta(), doubt=timedelta()))

    def known(self, text):
        self.threads.add(threading.current_thread().name.partition("_")[0])
        if text.startswith("held"):
            self.go.wait(30)
        return text

    def write(self, by, rows):
        now = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
        return asyncio.create_task(self.worker._encoded(self.task, QueryResult(rows, "", by, now, now)))


@pytest.fixture
def writing():
    made = Writing()
    yield made
    made.go.set()
    made.worker._writers.shutdown()


async def test_long_answers_of_one_machine_keep_nobody_elses_from_being_written(writing):
    flood = [writing.write("hv01", [{"Name": "held"}] * 150) for _ in range(4)]
    others = [writing.write(name, [{"Name": name}] * 150) for name in ("hv02", "hv03")]
    async with asyncio.timeout(20):
        await asyncio.gather(*others)
    assert not any(task.done() for task in flood)
    writing.go.set()
    await asyncio.gather(*flood)


@pytest.mark.parametrize("cell", ["x" * 200_000, ["x" * 100] * 2_000, {"inner": "x" * 200_000}], ids=type)
async def test_a_long_answer_of_a_few_rows_is_not_written_on_the_loop(writing, cell):
    """Not every answer keeps its text, whose length would say so."""
    await writing.write("hv01", [{"Name": cell}] * 3)
    assert writing.threads == {"write"}
