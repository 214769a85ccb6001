"""`hvops runs`, `stop` and `go`: who may, what it writes, and what it needs, which is neither Slack nor a bot that runs."""

from __future__ import annotations

import io
import os
import pty
import pwd
import shlex
import sqlite3
import sys
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import pytest
from entry_samples import entry_data

from bot.cli import break_glass, os_user
from bot.config.settings import load
from bot.dispatch.authorization import system_person
from bot.errors import PermissionDenied, SwitchUnchanged
from bot.ledger import Ledger
from bot.services import build_services

OWN = pwd.getpwuid(os.getuid()).pw_name  # owns the ledger of these tests: the account that the bot runs as
OTHER, VISITOR = [one for one in pwd.getpwall() if one.pw_uid not in (0, os.getuid())][:2]
SETTINGS = """
inventory = "inventory.toml"
[ledger]
path = "ledger.db"
key_file = "ledger.key"
anchor_file = "anchors.txt"
[roles.operator]
system_users = {operators}
clusters = ["*"]
[roles.approver]
system_users = {approvers}
clusters = ["prod"]
[policy]
go = "operator"
[credentials.reader]
transport = "kerberos"
"""
PROD = """
[clusters.prod]
domain = "corp.example"
entry_hosts = ["hv01"]
"""
EVERYTHING = f"""{PROD}
[clusters.branch]
domain = "corp.example"
entry_hosts = ["br01"]
[hosts.vmm01]
domain = "corp.example"
[vmm.vmm]
server = "sql01"
host = "vmm01"
[[load_balancer]]
name = "lm01"
url = "https://lm01.corp.example/"
[service.crm]
places = ["prod", "branch"]
[commvault]
url = "https://cs01.corp.example/"
"""
PLACES = ("prod", "branch", "vmm01", "lm01", "commvault")


@pytest.fixture
def logged_in(tmp_path, monkeypatch):
    """A function that says who logged in at this machine, as its kernel would; nobody at first."""
    record = tmp_path / "loginuid"
    monkeypatch.setattr(os_user, "LOGIN_UID", record)

    def log_in(uid):
        record.write_text(f"{uid}", encoding="ascii")

    log_in(2**32 - 1)
    return log_in


@pytest.fixture
def ledger(tmp_path):
    """The bot's ledger, open as the bot has it."""
    with Ledger(tmp_path / "ledger.db", tmp_path / "ledger.key", tmp_path / "anchors.txt") as opened:
        yield opened


@pytest.fixture
def settings(tmp_path, ledger, logged_in):
    """A function that writes settings; whom they name as operators and approvers."""

    def write(operators=(), approvers=()):
        told = SETTINGS.format(operators=list(operators), approvers=list(approvers)).replace("'", '"')
        path = tmp_path / "settings.toml"
        path.write_text(told, encoding="utf-8")
        path.chmod(0o600)
        (tmp_path / "inventory.toml").write_text(PROD, encoding="utf-8")
        return path

    return write


def plain(said):
    return " ".join(said.split())


def test_whoever_logged_in_stops_and_goes_as_themselves_through_sudo(hvops, settings, ledger, logged_in, monkeypatch):
    file = settings(operators=[OTHER.pw_name], approvers=[VISITOR.pw_name])
    monkeypatch.setattr(os_user.socket, "gethostname", lambda: "ops1")
    logged_in(OTHER.pw_uid)
    ended = hvops("stop", "--settings", file, "the", "storage", "is -on fire")
    assert (ended.code, ended.err) == (0, "")
    assert "Changes are stopped." in ended.out
    stop = ledger.newest_switch()
    assert (stop.kind, stop.actor, stop.name) == ("stop", f"os:{OTHER.pw_name}", f"{OTHER.pw_name}@ops1")
    assert (stop.reason, stop.fields["via"], stop.fields["place"]) == ("the storage is -on fire", "terminal", "ops1")
    ended = hvops("stop", "--settings", file, "me too")
    assert (ended.code, ended.err) == (0, "")
    assert f"Changes are already stopped, by {OTHER.pw_name}@ops1 at" in plain(ended.out)
    ended = hvops("go", "--settings", file)  # [policy] go is "operator", and a terminal asks for more
    assert ended.code == 2
    assert "This needs the approver role; you are an operator in hvops" in plain(ended.err)
    assert ledger.is_stopped()
    logged_in(VISITOR.pw_uid)
    assert hvops("go", "--settings", file).code == 0
    assert (ledger.newest_switch().kind, ledger.newest_switch().actor) == ("go", f"os:{VISITOR.pw_name}")
    ended = hvops("go", "--settings", file)
    assert (ended.code, ended.err) == (0, "")
    assert "Changes are not stopped." in ended.out
    assert [one.kind for one in ledger.every() if one.kind in ("stop", "go")] == ["stop", "go"]


def test_the_bots_own_account_may_stop_and_never_go(hvops, settings, ledger, logged_in, monkeypatch):
    """However the settings name it, and whatever variables claim."""
    file = settings(operators=[OWN], approvers=[OWN, OTHER.pw_name])
    for name, value in (("SUDO_UID", OTHER.pw_uid), ("SUDO_USER", OTHER.pw_name), ("LOGNAME", OTHER.pw_name)):
        monkeypatch.setenv(name, str(value))
    assert hvops("stop", "--settings", file, "power work").code == 0
    for nobody in (2**32 - 1, os.getuid()):
        logged_in(nobody)
        ended = hvops("go", "--settings", file)
        assert ended.code == 2
        assert "The bot runs as this account" in plain(ended.err)
    os_user.LOGIN_UID.unlink()  # a kernel without such a record
    assert hvops("go", "--settings", file).code == 2
    assert ledger.is_stopped()
    refused = ledger.entries(kind="refused")
    assert [(one.actor, one.line, one.fields["via"]) for one in refused] == [(f"os:{OWN}", "/hvops go", "terminal")] * 3
    logged_in(OTHER.pw_uid)
    assert hvops("go", "--settings", file).code == 0


def test_whoever_made_the_lock_or_the_key_is_the_bot_too(tmp_path, ledger, monkeypatch):
    """Files that root put there for the bot do not make root the bot's account, nor the bot somebody else."""
    lock = tmp_path / "ledger.db.runner"
    lock.touch()
    owners = {ledger.path.name: 5, ledger.key_file.name: 6, lock.name: 7}
    monkeypatch.setattr(os_user, "_owners", lambda paths: [owners[path.name] for path in paths])
    files = os_user.LedgerFiles(path=ledger.path, key_file=ledger.key_file)
    assert os_user.bots_accounts(files) == {5, 6, 7}


def test_who_is_not_named_is_refused_and_the_ledger_knows(hvops, settings, ledger, logged_in):
    file = settings(operators=[OTHER.pw_name])
    logged_in(VISITOR.pw_uid)
    for words in (("stop", "--settings", file, "why"), ("go", "--settings", file)):
        ended = hvops(*words)
        assert (ended.code, ended.out) == (2, "")
        assert "You have no role in hvops" in plain(ended.err)
    assert [one.actor for one in ledger.entries(kind="refused")] == [f"os:{VISITOR.pw_name}"] * 2
    assert ledger.newest_switch() is None


def test_an_account_without_a_name_holds_no_role(hvops, settings, ledger, logged_in):
    free = next(uid for uid in range(60_000, 65_000) if uid not in {one.pw_uid for one in pwd.getpwall()})
    logged_in(free)
    assert hvops("stop", "--settings", settings(operators=[OTHER.pw_name]), "why").code == 2
    assert ledger.entries(kind="refused")[0].actor == f"os:uid-{free}"


def test_a_stop_without_words_asks_why_so_that_a_sudo_rule_needs_none(hvops, settings, ledger, logged_in, monkeypatch):
    logged_in(OTHER.pw_uid)
    typed = b"the storage \xff is on --settings fire\nand more\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed)))
    ended = hvops("stop", "--settings", settings(operators=[OTHER.pw_name]))
    assert (ended.code, ended.err) == (0, "Why? Everyone sees the reason. ")
    assert ledger.newest_switch().reason == "the storage \ufffd is on --settings fire"


def test_no_key_of_a_terminal_keeps_a_command_in_the_middle_of_what_it_does(settings, ledger):
    """Stopped inside its transaction, it held the lock of all writers: nothing could be written any more, also no stop."""
    command = shlex.join([sys.executable, "-m", "bot", "stop", "--settings", str(settings(operators=[OWN]))])
    child, terminal = pty.fork()
    if child == 0:  # a shell with jobs: only there does the kernel stop one
        os.execvp("bash", ["bash", "--norc", "-mc", f'{command}; echo "ended with $?"'])
    seen, typed = b"", [b"the storage is on fire\n", b"\x1a"]
    with suppress(OSError):  # the shell has ended
        while more := os.read(terminal, 4096):
            seen += more
            if typed and (b"^Z" if len(typed) == 1 else b"Why?") in seen:
                os.write(terminal, typed.pop())
    os.close(terminal)
    os.waitpid(child, 0)
    assert b"ended with 0" in seen, seen
    assert ledger.newest_switch().reason == "the storage is on fire"


@pytest.mark.parametrize("words", [(), ("",), ("  ", " ")])
def test_a_stop_takes_a_reason(hvops, settings, ledger, monkeypatch, words):
    os_user.LOGIN_UID.write_text(f"{OTHER.pw_uid}", encoding="ascii")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b" \n")))
    ended = hvops("stop", "--settings", settings(operators=[OTHER.pw_name]), *words)
    assert ended.code == 2
    assert "add a short reason" in ended.err
    assert "hvops stop <why>" in ended.err
    assert not ledger.is_stopped()


@pytest.mark.parametrize("typed", [None, b""])
def test_a_stop_without_a_reason_and_anybody_to_ask_is_refused(hvops, settings, ledger, monkeypatch, typed):
    monkeypatch.setattr("sys.stdin", None if typed is None else io.TextIOWrapper(io.BytesIO(typed)))
    ended = hvops("stop", "--settings", settings(operators=[OWN]))
    assert ended.code == 2
    assert "add a short reason" in ended.err
    assert not ledger.is_stopped()


def test_runs_says_what_is_open_and_that_changes_are_stopped(hvops, settings, ledger):
    file = settings()
    ended = hvops("runs", "--settings", file)
    assert (ended.code, plain(ended.out)) == (0, "Changes are not stopped. No open tickets.")
    told = {"line": "/drain-node hv03", "open_until": "2126-03-02T14:30:00Z", "digest": "d", "name": "operator"}
    ledger.append("T0/U0OPERATOR", entry_data("proposed", told))
    ledger.append("os:anna", entry_data("stop", {"name": "anna@ops1", "reason": "power work"}))
    ended = hvops("runs", "--settings", file)
    assert (ended.code, ended.err) == (0, "")
    first, *rest = ended.out.splitlines()
    assert first.startswith("Changes are stopped, by anna@ops1 at")
    assert "power work" in plain(ended.out)
    assert "T-1 proposed U0OPERATOR" in plain(ended.out)
    assert "/drain-node hv03" in " ".join(rest)


def test_runs_shows_a_ledger_that_cannot_be_verified_as_such(hvops, settings, ledger):
    file = settings()
    ledger.append("os:anna", entry_data("stop", {"name": "anna@ops1", "reason": "power work"}))
    ledger.key_file.rename(ledger.key_file.with_name("away"))
    ended = hvops("runs", "--settings", file)
    assert ended.code == 3
    assert "NOT VERIFIED" in ended.err
    assert "Changes are stopped, by anna@ops1" in ended.out


@pytest.mark.parametrize("words", [("runs",), ("stop", "why"), ("go",)])
def test_no_ledger_is_begun_where_there_is_none(hvops, settings, ledger, tmp_path, words):
    file = settings(operators=[OWN], approvers=[OWN])
    file.write_text(file.read_text().replace('"ledger.db"', '"elsewhere.db"'))
    ended = hvops(words[0], "--settings", file, *words[1:])
    assert ended.code == 2
    assert "No such file or directory. Run this with the bot's settings" in plain(ended.err)
    assert not (tmp_path / "elsewhere.db").exists()


@pytest.mark.sqlite  # looks into the file
def test_while_the_ledger_cannot_be_verified_a_stop_is_taken_and_none_is_ended(hvops, settings, ledger, logged_in):
    """An account that may do both hears what to do first, and can end the stop once that is done."""
    file = settings(operators=[OTHER.pw_name], approvers=[OTHER.pw_name])
    logged_in(OTHER.pw_uid)
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as lies:
        lies.execute("CREATE TRIGGER x AFTER INSERT ON entry WHEN NEW.kind = 'x' BEGIN SELECT 1; END")
        ended = hvops("stop", "--settings", file, "the storage is on fire")
        assert (ended.code, ended.err) == (0, "")
        ended = hvops("go", "--settings", file)
        assert ended.code == 2
        assert "No stop was ended" in plain(ended.err)
        assert "Unexpected trigger in the file: x. Run hvops audit verify. Put right what that" in plain(ended.err)
        lies.execute("DROP TRIGGER x")
    assert ledger.is_stopped()
    assert hvops("go", "--settings", file).code == 0
    assert not ledger.is_stopped()


@pytest.mark.sqlite  # looks into the file
@pytest.mark.parametrize("at", ["x", 7, "2026-03-02T14:00:00"])
def test_a_newest_entry_that_is_none_is_said_in_a_sentence(hvops, settings, ledger, logged_in, at):
    file = settings(operators=[OTHER.pw_name], approvers=[OTHER.pw_name])
    logged_in(OTHER.pw_uid)
    newest = ledger.append("os:anna", entry_data("stop", {"name": "anna@ops1", "reason": "power work"}))
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as lies:
        lies.execute("DROP TRIGGER entry_stays")
        lies.execute("UPDATE entry SET body = json_set(body, '$.at', ?) WHERE seq = ?", (at, newest.seq))
    for words in (("stop", "why"), ("go",), ("runs",)):
        ended = hvops(words[0], "--settings", file, *words[1:])
        assert ended.code == 2
        assert f"entry {newest.seq} was not written with the key" in plain(ended.err)


def new_stop(ledger):
    """Changes start again, and are stopped for another reason, in a later millisecond than now."""
    began = datetime.now(UTC)
    ledger.append("os:bea", entry_data("go", {"name": "bea@ops1"}))
    while datetime.now(UTC) - began < timedelta(milliseconds=2):
        pass
    ledger.append("os:anna", entry_data("stop", {"name": "anna@ops1", "reason": "smoke in the room"}))


@pytest.fixture
def approvers(settings, logged_in):
    """Settings whose approver has logged in."""
    logged_in(OTHER.pw_uid)
    return settings(approvers=[OTHER.pw_name])


@pytest.mark.parametrize("slow", ["open_ledger", "who_typed", "load_inventory"])
def test_a_go_ends_no_stop_that_comes_while_it_is_looked_at(hvops, approvers, ledger, monkeypatch, slow):
    ledger.append("os:anna", entry_data("stop", {"name": "anna@ops1", "reason": "power work"}))
    does = getattr(break_glass, slow)

    def takes_its_time(*told):
        new_stop(ledger)
        return does(*told)

    with monkeypatch.context() as slowly:
        slowly.setattr(break_glass, slow, takes_its_time)
        ended = hvops("go", "--settings", approvers)
    assert ended.code == 2
    assert "Changes have been stopped since this go was given, by anna@ops1 at" in plain(ended.err)
    assert "smoke in the room. Nothing was done. To end that stop, type it again." in plain(ended.err)
    assert ledger.is_stopped()
    assert hvops("go", "--settings", approvers).code == 0
    assert not ledger.is_stopped()


def test_a_go_ends_a_stop_whose_time_the_clock_has_not_come_to(hvops, approvers, ledger):
    """A clock that was ahead and was put right keeps nobody from it."""
    ledger._clock = lambda: datetime.now(UTC) + timedelta(hours=2)
    ledger.append("os:anna", entry_data("stop", {"name": "anna@ops1", "reason": "power work"}))
    assert hvops("go", "--settings", approvers).code == 0


def held_on(file, *places):
    """Let the approvers of these settings hold their role there."""
    told = file.read_text(encoding="utf-8").replace('clusters = ["prod"]', f"clusters = {list(places)}")
    file.write_text(told.replace("'", '"'), encoding="utf-8")


def said_by_the_bot(file, user):
    """What a bot of these settings says to the same account's go: whom it lets pass is told that nothing is stopped."""
    told = load(file)
    with build_services(told) as made:
        try:
            made.decisions.allow_changes(system_person(told.roles.rules(), user))
        except SwitchUnchanged:
            return "may"
        except PermissionDenied as error:
            return str(error)
    return "went"


@pytest.mark.parametrize("missing", [*PLACES, ""])
def test_a_stop_is_ended_by_who_may_everywhere_in_slack_and_at_a_terminal_alike(
    hvops, settings, ledger, logged_in, missing
):
    """Clusters, hosts, load balancers, what a VMM server and a service stand for, and the backup product."""
    file = settings(operators=[OTHER.pw_name], approvers=[VISITOR.pw_name])
    file.with_name("inventory.toml").write_text(EVERYTHING, encoding="utf-8")
    held_on(file, *(place for place in PLACES if place != missing))
    file.write_text(file.read_text(encoding="utf-8").replace('go = "operator"', 'go = "approver"'), encoding="utf-8")
    bots = said_by_the_bot(file, VISITOR.pw_name)
    logged_in(OTHER.pw_uid)
    assert hvops("stop", "--settings", file, "the vendor works on it").code == 0
    logged_in(VISITOR.pw_uid)
    ended = hvops("go", "--settings", file)
    assert ledger.is_stopped() == bool(missing)
    if missing:
        assert f"you do not have it on {missing}." in bots
        assert f"you do not have it on {missing}." in plain(ended.err)
    else:
        assert (bots, ended.code) == ("may", 0)


@pytest.mark.parametrize("slip", ["[clusters.branch", None, "", "[clusters.prod]\nentry_hosts = 7"])
def test_a_stop_that_covers_nobody_knows_what_is_ended_by_who_may_on_everything(
    hvops, settings, ledger, logged_in, slip
):
    """A slip in the inventory, or none at all, keeps nobody from stopping, and lets nobody go who may on some of it."""
    file = settings(operators=[OTHER.pw_name], approvers=[VISITOR.pw_name])
    inventory = file.with_name("inventory.toml")
    inventory.unlink()
    if slip is not None:
        inventory.write_text(slip, encoding="utf-8")
    logged_in(OTHER.pw_uid)
    assert hvops("stop", "--settings", file, "branch is on fire").code == 0
    logged_in(VISITOR.pw_uid)
    held_on(file, *PLACES)
    ended = hvops("go", "--settings", file)
    assert ended.code == 2
    assert "It is not known what it covers, because the inventory cannot be read (" in plain(ended.err)
    assert 'so it needs that role with clusters = ["*"], which you do not have. Correct the inventory' in plain(
        ended.err
    )
    assert ledger.is_stopped()
    assert ledger.entries(kind="refused")[0].actor == f"os:{VISITOR.pw_name}"
    file.write_text(
        file.read_text(encoding="utf-8").replace(str(list(PLACES)).replace("'", '"'), '["*"]'), encoding="utf-8"
    )
    assert hvops("go", "--settings", file).code == 0
    assert not ledger.is_stopped()
