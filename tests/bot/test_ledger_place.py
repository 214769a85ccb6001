"""What libpq reads beside the address of a database, and libpq's own word for it. No server is needed."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.ledger_place import Database
from bot.redaction import Redactor

_PLACE = "postgresql://hvops@/hvops?host=/no:where&port=1"  # a socket that is not there
_BEGINS = rb"/no\:where:1:hvops:hvops:"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _nothing_named(home, monkeypatch):
    for name in ("PGPASSWORD", "PGSSLPASSWORD", "PGPASSFILE", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))


def write(path, content):
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def taken_by_libpq(url=_PLACE):
    connection = psycopg.pq.PGconn.connect_start(url.encode())
    try:
        return connection.password.decode("utf-8", "replace")
    finally:
        connection.finish()


@pytest.mark.parametrize(
    ("content", "taken"),
    [
        (_BEGINS + b"Geheim-4711x", "Geheim-4711x"),
        (_BEGINS + b"Geheim-4711x:", "Geheim-4711x"),
        (_BEGINS + b"Geheim-4711x: made by ansible\n", "Geheim-4711x"),
        (_BEGINS + b"Geheim-4711x # of db1\n", "Geheim-4711x # of db1"),
        (_BEGINS + rb"Geheim\:4711x:y", "Geheim:4711x"),
        (_BEGINS + rb"Geheim4711\\:x", "Geheim4711\\"),
        (_BEGINS + rb"Geheim4711\\\:x", "Geheim4711\\:x"),
        (_BEGINS + rb"\G\e\heim", "Geheim"),
        (_BEGINS + b"Geheim\\", "Geheim\\"),
        (_BEGINS + b"Geheim\\\r\n", "Geheim\\"),
        (_BEGINS + b"Geheim-4711x\r\r\n", "Geheim-4711x"),
        (_BEGINS + b"Geh\reim\n", "Geh\reim"),
        (_BEGINS + b"Geh\x0beim\x0c\x1c4711\n", "Geh\x0beim\x0c\x1c4711"),
        (_BEGINS + "Geh\u2028eim\u0085ü\n".encode(), "Geh\u2028eim\u0085ü"),
        (_BEGINS + "Geh\\üeim\n".encode(), "Gehüeim"),
        (_BEGINS + b"Geh\xfceim\n", "Geh\ufffdeim"),
        (_BEGINS + b" Geheim \n", " Geheim "),
        (_BEGINS + b"Geheim4711" * 100 + b"\n", "Geheim4711" * 100),
        (_BEGINS + b"Geheim\0 of db1\n:x\n", "Geheim"),
        (b"*:*:*:*:Geheim-4711x:", "Geheim-4711x"),
        (rb"/no\:where:1:\hv\ops:hv\o\ps:Geheim", "Geheim"),
        (b"# " + _BEGINS + b"Kommentar\n\n\r\n" + _BEGINS + b"Geheim", "Geheim"),
        (b"db2:*:*:*:Anderes:\n" + _BEGINS + b"Geheim:\n*:*:*:*:Drittes", "Geheim"),
        (b"x\n" * 1_000_000 + _BEGINS + b"Geheim", "Geheim"),
        (b" " + _BEGINS + b"Geheim", ""),
        (b" #\n*:*:*:*", ""),
    ],
)
def test_of_each_line_of_a_file_of_passwords_that_is_masked_which_libpq_takes(home, content, taken):
    """A colon ends it, also one behind an escaped backslash; a line ends where libpq says, and a file has no longest."""
    write(home / ".pgpass", content)
    assert taken_by_libpq() == taken
    passwords = Database(_PLACE).passwords
    assert not taken or taken in passwords
    assert not taken or Redactor(passwords).redact_text(f"host says {taken}!") == "host says [masked]!"


def test_the_password_of_a_line_for_another_database_is_masked_and_no_comment_is(home):
    write(home / ".pgpass", b"# hvops:hvops:hvops:hvops:Kommentar\ndb2:*:*:sa:Ander\\\\es:x\nto:few:fields:sa\n")
    assert Database(_PLACE).passwords == ("Ander\\\\es", "Ander\\es")


_ODD = st.lists(st.sampled_from([*(bytes([one]) for one in b":\\#*\r\n \0ab"), b"\xc3\xbc", b"\xff", b"\\:", _BEGINS]))
_FIELD = st.sampled_from([b"*", b"hvops", rb"\hvops", rb"/no\:where", b"1", b"*x", b"", rb"\*"])
_LINE = st.one_of(
    st.tuples(st.just(_BEGINS), _ODD.map(b"".join)).map(b"".join),
    st.tuples(st.lists(_FIELD, max_size=6).map(b":".join), _ODD.map(b"".join)).map(b"".join),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_LINE, max_size=4), st.sampled_from([b"\n", b"\r\n"]))
def test_whatever_libpq_takes_is_masked(home, lines, end):
    write(home / ".pgpass", end.join(lines))
    assert taken_by_libpq() in {"", *Database(_PLACE).passwords}


@pytest.mark.parametrize(
    ("named", "taken"),
    [
        ((None, None), "of-home"),
        (("", None), "of-home"),
        (("{}/told", None), "of-told"),
        (("told", None), "of-told"),
        (("~/told", None), "of-literal"),
        (("{}/told", "{}/option"), "of-option"),
        (("{}/told", ""), "of-home"),
        (("{}/none", None), ""),
    ],
)
def test_the_file_of_passwords_is_the_one_that_libpq_reads(home, tmp_path, monkeypatch, named, taken):
    variable, option = named
    (tmp_path / "~").mkdir()
    for path, says in (
        (home / ".pgpass", "of-home"),
        (tmp_path / "told", "of-told"),
        (tmp_path / "~/told", "of-literal"),
        (tmp_path / "option", "of-option"),
        (home / "told", "of-a-home"),
    ):
        write(path, _BEGINS + says.encode())
    if variable is not None:
        monkeypatch.setenv("PGPASSFILE", variable.format(tmp_path))
    url = _PLACE + (f"&passfile={option.format(tmp_path)}" if option is not None else "")
    monkeypatch.chdir(tmp_path)
    assert taken_by_libpq(url) == taken
    assert Database(url).passwords == ((taken,) if taken else ())


@pytest.mark.parametrize("told", [None, ""])
def test_without_a_home_in_the_environment_it_is_the_accounts(home, monkeypatch, told):
    monkeypatch.delenv("HOME")
    if told is not None:
        monkeypatch.setenv("HOME", told)
    monkeypatch.setattr("pwd.getpwuid", lambda _uid: type("Account", (), {"pw_dir": str(home)}))
    write(home / ".pgpass", _BEGINS + b"Geheim")
    assert Database(_PLACE).passwords == ("Geheim",)
