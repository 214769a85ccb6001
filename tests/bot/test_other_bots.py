"""What is said of the bots that share a database."""

from types import SimpleNamespace

import pytest

from bot.app import _other_bots
from bot.config import settings
from bot.config.inventory_file import load as load_inventory
from bot.errors import LedgerError
from bot.ledger import postgresql_locks
from bot.ledger.shared_locks import MARKS, Duty, PresentBot, skew_in_words
from bot.ledger_place import Database
from bot.other_bots import describe, differences, marks_of

SAME = dict.fromkeys(MARKS, "abcde")


def bot(host, duties=(), runs=(), **marks):
    return PresentBot(host, "12", SAME | marks, duties, runs)


def test_each_bot_is_named_with_what_it_does_for_all():
    found = [bot("hv-a", tuple(Duty)), bot("hv-b", runs=(7, 9)), bot("hv-c")]
    assert describe(found) == (
        "3 bots: hv-a (process 12) starts what is approved, reminds, posts to the audit channel, tells of stop and go; "
        "hv-b (process 12) runs T-7, T-9; hv-c (process 12) answers and decides"
    )
    assert describe([]) == "no bot is running"


def test_bots_that_are_alike_differ_in_nothing():
    assert list(differences([bot("hv-a"), bot("hv-b")], dict.fromkeys(MARKS, "abcdef0123"))) == []
    assert list(differences([])) == []


def test_what_differs_is_said_by_its_name_and_between_whom():
    found = [bot("hv-a"), bot("hv-b", inventory="12345"), bot("hv-c")]
    assert list(differences(found)) == [
        "inventory.toml differs between hv-a (process 12) and hv-c (process 12) and hv-b (process 12)"
    ]
    (says,) = differences([bot("hv-a")], SAME | {"code": "99999"})
    assert says == "the version of hvops differs between hv-a (process 12) and here"


@pytest.fixture
def at_bot(tmp_path):
    """The marks of a bot whose key of the site branch1 is that one; None: it has none."""
    (tmp_path / "inventory.toml").write_text('[clusters.prod]\ndomain = "corp.example"\nentry_hosts = ["hv01"]\n')
    file = tmp_path / "settings.toml"
    file.write_text(
        'inventory = "inventory.toml"\n[credentials.reader]\ntransport = "kerberos"\nusername = "r@CORP.EXAMPLE"\n'
        '[sites]\ndatabase = "postgresql://db1/sites"\n[sites.worker.branch1]\nlogin = "b1"\nkey_file = "branch1.key"\n'
    )
    file.chmod(0o600)

    def marks(key):
        (tmp_path / "branch1.key").unlink(missing_ok=True)
        if key is not None:
            (tmp_path / "branch1.key").write_text(key)
            (tmp_path / "branch1.key").chmod(0o600)
        return marks_of(settings.load(file), load_inventory(tmp_path / "inventory.toml"))

    return marks


def test_a_site_that_has_another_key_at_another_bot_is_said(at_bot):
    one, same, other, none = (at_bot(key) for key in ("11" * 32, "11" * 32, "22" * 32, None))
    assert one == same
    assert "11" * 32 not in one.values()
    for differing in (other, none):
        assert {mark for mark in MARKS if one[mark] != differing[mark]} == {"sites"}
    (says,) = differences([PresentBot("hv-a", "1", one, (), ()), PresentBot("hv-b", "2", other, (), ())])
    assert says == (
        "[sites.worker]: the sites, their logins, or the key of one of them (key_file) differs between hv-a (process 1) "
        "and hv-b (process 2)"
    )


def test_what_a_bot_tells_of_itself_fits_into_the_name_of_an_application(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "a-host-with-a-long-name")
    monkeypatch.setattr("os.getpid", lambda: 2**22)  # the longest of Linux
    locks = postgresql_locks.PostgresqlLocks(Database("postgresql://db1/hvops"))
    locks.marks = dict.fromkeys(MARKS, "0123456789abcdef")
    named = []
    monkeypatch.setattr(
        postgresql_locks, "connect_as", lambda _place, name: named.append(name) or SimpleNamespace(closed=False)
    )
    locks._connected()
    assert len(named[0].encode()) <= 63
    found = postgresql_locks._NAME.fullmatch(named[0])
    assert found[4].count("/") == len(MARKS)


def test_status_says_first_that_the_clock_of_this_machine_is_wrong():
    """Also where the database does not answer any more: that is why nothing starts here."""

    class Shared:
        def clock_trouble(self):
            return skew_in_words(-400, 0.1)

        def present(self):
            raise LedgerError("the ledger does not answer")

    (label, says), (other, _) = _other_bots(SimpleNamespace(shared=Shared()))
    assert (label, other) == ("Clock", "Bots")
    assert says.startswith("The clock of this machine is 400 s behind that of the ledger's database")
    assert "Set the clock" in says
