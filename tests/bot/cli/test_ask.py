"""`hvops ask` against the practice estate: the same path as Slack's, and an exit code for scripts."""

from __future__ import annotations

import io
import json
import os
import pwd

import pytest
from rich.console import Console

from bot.api.command import Role
from bot.api.facts import Unknown
from bot.api.report import Column, Finding, Report, Severity, Table
from bot.cli.ask import _bar, _write_csv, exit_code
from bot.cli.os_user import current_user
from bot.config.settings import load
from bot.control_chars import spreadsheet_cell
from bot.dispatch.command_line import read_typed
from bot.dispatch.query_session import Progress
from bot.errors import UsageError
from bot.ledger import Reader

ME = pwd.getpwuid(os.getuid()).pw_name


def newest(settings_file):
    with Reader(load(settings_file).ledger.path) as reader:
        return reader.head()


def test_findings_are_said_first_and_end_with_1(hvops, stuck):
    ended = hvops("ask", "--settings", stuck, "/check-writers prod")
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert lines[0] == "prod: Hyper-V writer LOOKS STUCK on hv03"
    assert "test-tfs-01 (event 10102" in " ".join(ended.out.split())
    assert 'hvops ask "/find-full-guests prod"' in ended.out
    assert all(len(line) <= 80 for line in lines)
    answer = newest(stuck)
    assert f"6 of 6 nodes answered · ledger {answer.seq} · as {ME} (operator)" in ended.out
    assert (answer.kind, answer.actor) == ("answered", f"os:{ME}")
    assert ended.err == ""  # no progress where nobody looks at a terminal


def test_all_well_ends_with_0(hvops, healthy):
    ended = hvops("ask", "--settings", healthy, "/check-writers branch")
    assert ended.code == 0, ended.out
    assert "4 of 4 nodes answered" in ended.out


def test_nobody_answering_is_unknown_and_ends_with_3(hvops, healthy, monkeypatch):
    monkeypatch.setenv("HVOPS_CREDENTIALS__READER__PASSWORD", "wrong-password-1")
    ended = hvops("ask", "--settings", healthy, "/check-writers prod")
    assert ended.code == 3, ended
    assert "login was refused" in " ".join((ended.out + ended.err).split())


def test_our_own_bug_is_a_short_id_for_the_person_and_a_traceback_in_the_log(hvops, healthy, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("bot.dispatch.pipeline.run_diagnostic", broken)
    ended = hvops("ask", "--settings", healthy, "--json", "/check-writers prod")
    assert ended.code == 2
    assert json.loads(ended.out)["error"]["kind"] == "InternalError"
    assert "ZeroDivisionError" in ended.err


def test_a_line_needs_no_quotes_and_keeps_its_own_options(hvops, healthy):
    ended = hvops("ask", "--settings", healthy, "/check-writers", "hv01", "--nonsense", "5")
    assert ended.code == 2
    assert "There is no option --nonsense" in ended.err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/check-writers prd", "Did you mean prod"),
        ("/chek-writers prod", "Did you mean /check-writers"),
        ("/check-writers", "Usage: /check-writers"),
        ("/check-writers prod extra", "Unexpected words"),
        ("/check-writers \x1b[31mprod", "no cluster or host"),
    ],
)
def test_what_cannot_be_understood_ends_with_2_and_stands_in_the_ledger(hvops, healthy, line, says):
    ended = hvops("ask", "--settings", healthy, line)
    assert ended.code == 2
    assert says in " ".join(ended.err.split())
    assert "\x1b" not in ended.err
    assert ended.out == ""
    assert newest(healthy).kind == "refused"


def test_nobody_may_ask(hvops, healthy, tmp_path):
    closed = healthy.parent / "closed.toml"
    closed.write_text(healthy.read_text().replace(f'"{ME}"', '"somebody-else"'))
    closed.chmod(0o600)
    for line in ("/check-writers prod", "/check-writer", "/hvops help", "/hvops status"):
        before = newest(healthy).seq
        ended = hvops("ask", "--settings", closed, line)
        assert (ended.code, ended.out) == (2, "")
        assert newest(healthy).seq > before
        said = " ".join(ended.err.split())
        assert said == "You have no role in hvops. Ask your hvops administrator if you need one."
    assert newest(healthy).data.category == "not allowed"


def test_json_carries_the_whole_report(hvops, stuck):
    ended = hvops("ask", "--settings", stuck, "--json", "/check-writers hv03")
    told = json.loads(ended.out)
    assert ended.code == told["exit_code"] == 1
    assert told["line"] == "/check-writers hv03"
    assert told["as"] == f"os:{ME}"
    assert told["ledger"] == newest(stuck).seq
    assert any(finding["target"] == "hv03" for finding in told["report"]["findings"])


def test_json_of_a_refusal(hvops, healthy):
    ended = hvops("ask", "--settings", healthy, "--json", "/check-writers prd")
    assert ended.code == 2
    told = json.loads(ended.out)["error"]
    assert (told["kind"], told["outcome"]) == ("UsageError", "not understood")
    assert "prod" in told["suggestions"]


def test_evidence_is_every_question_and_its_raw_answer(hvops, stuck):
    ended = hvops("ask", "--settings", stuck, "--evidence", "/check-writers hv03")
    assert "── hv03: vssadmin list writers" in ended.out
    assert "Writer Id: {66841cd4-6ded-4f4b-8f17-fd23f8ddc3de}" in ended.out


def test_without_a_line_it_says_what_this_person_may_ask(hvops, healthy):
    ended = hvops("ask", "--settings", healthy)
    assert ended.code == 0
    assert f"You are {ME} (operator)." in ended.out
    assert 'hvops ask "/check-writers <cluster|host>"' in ended.out


def test_status_says_who_asks_and_where_the_ledger_stands(hvops, healthy):
    assert hvops("ask", "--settings", healthy, "/nonsense").code == 2
    ended = hvops("ask", "--settings", healthy, "/hvops status")
    lines = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert ended.code == 0
    assert lines[0] == f"You {ME}, operator (*); viewer (*)"
    assert any(line.startswith(f"Ledger entry {newest(healthy).seq}, ") for line in lines)
    assert "prod queried through hv01, hv02" in lines
    assert not any("require_anchor" in line for line in lines)


@pytest.mark.parametrize("line", ["/hvops status", "/hvops help"])
def test_what_is_asked_of_hvops_itself_is_in_the_ledger_too(hvops, healthy, line):
    assert hvops("ask", "--settings", healthy, line).code == 0
    asked = newest(healthy)
    assert (asked.kind, asked.line, asked.data.command, asked.data.via) == ("asked", line, "hvops", "terminal")


def test_status_says_that_nobody_is_asked_whether_the_ledger_is_an_old_copy(hvops, healthy, monkeypatch):
    monkeypatch.setenv("HVOPS_LEDGER__REQUIRE_ANCHOR", "false")
    ended = hvops("ask", "--settings", healthy, "/hvops status")
    assert "[ledger] require_anchor is false" in " ".join(ended.out.split())


@pytest.mark.parametrize(
    "line", ["`status`", "\u201c/hvops status\u201d", "\u200bhvops\u00a0status", "@hvops \u2018status\u2019"]
)
def test_a_word_of_hvops_is_known_however_it_is_decorated(hvops, healthy, line):
    ended = hvops("ask", "--settings", healthy, line)
    assert ended.code == 0
    assert ended.out.startswith("You ")


@pytest.mark.parametrize(
    "line", ["`check\u2011writers prod`", "\u201chvops /check-writers\u201d prod", "\u200b/check-writers\u00a0prod"]
)
def test_a_command_is_known_however_it_is_decorated(hvops, healthy, line):
    assert hvops("ask", "--settings", healthy, line).code == 0
    assert newest(healthy).fields["line"] == "/check-writers prod"


def test_the_practice_estate_is_asked_with_lab(hvops, monkeypatch):
    monkeypatch.setenv("HVOPS_CREDENTIALS__READER__PASSWORD", "a real one")
    ended = hvops("ask", "--lab", "healthy", "/check-writers branch")
    assert ended.code == 0, ended.err
    assert os.environ["HVOPS_CREDENTIALS__READER__PASSWORD"] == "a real one"


def test_a_story_that_is_not_there_is_refused_with_those_that_are(hvops):
    ended = hvops("ask", "--lab", "stuk", "/check-writers prod")
    assert ended.code == 2
    assert "There is no scenario “stuk”. Available:\n  stuck-writer: " in ended.err
    assert "\n  patch-drift: " in ended.err


def report(*severities, unanswered=()):
    findings = tuple(Finding(severity, "X", "hv01", "is so") for severity in severities)
    return Report("t", "s", "nodes", 1, 1, findings, unanswered=unanswered)


def test_exit_codes():
    silent = (Unknown("hv05", "timed out", "no answer in 20 s."),)
    assert exit_code(report()) == 0
    assert exit_code(report(Severity.NOTE)) == 0
    assert exit_code(report(Severity.WARNING)) == exit_code(report(Severity.FAULT, unanswered=silent)) == 1
    assert exit_code(report(unanswered=silent)) == 3


def test_the_person_is_who_the_system_says_and_not_the_environment(healthy, monkeypatch):
    roles = load(healthy).roles
    monkeypatch.setenv("LOGNAME", "somebody")
    monkeypatch.setenv("USER", "somebody")
    assert current_user(roles).id == f"os:{ME}"
    assert current_user(roles).highest_role is Role.OPERATOR
    assert current_user(roles, "somebody").highest_role is Role.NOBODY


@pytest.mark.parametrize(
    ("cell", "written"),
    [("=1+1", "'=1+1"), ("@x", "'@x"), ("-cmd", "'-cmd"), ("-5", "-5"), ("-0.5", "-0.5"), ("hv01", "hv01"), ("", "")],
)
def test_no_cell_becomes_a_formula(cell, written):
    assert spreadsheet_cell(cell) == written


def test_progress_is_drawn_on_standard_error_of_a_terminal(monkeypatch):
    drawn = Console(file=io.StringIO(), force_terminal=True, width=80)
    monkeypatch.setattr("bot.cli.ask.console", lambda *, errors: drawn)
    with _bar(read_typed("/check-writers [/prod]")) as tell:
        tell(Progress(5, 6, ("[/hv05]", "\x1b[2J" * 30)))
    text = drawn.file.getvalue()
    assert "Asking [/prod]" in text
    assert "5/6" in text
    assert "waiting: [/hv05]" in text
    assert "\x1b[2J" not in text


def test_the_table_as_csv_is_whole_and_runs_nothing(tmp_path):
    columns = (Column("Guest"), Column("Free GB", "number", "GB"))
    table = Table("Volumes", columns, (("=cmd()", "-0.5"), ("é, b", "")))
    _write_csv(Report("t", "s", "guests", 1, 1, table=table), tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text().splitlines() == ["Guest,Free GB", "'=cmd(),-0.5", '"é, b",']


@pytest.mark.parametrize("path", ["nowhere/table.csv", "."])
def test_a_csv_that_cannot_be_written_is_a_sentence(tmp_path, path):
    table = Table("Volumes", (Column("Guest"),), ())
    with pytest.raises(UsageError, match="cannot be written"):
        _write_csv(Report("t", "s", "guests", 1, 1, table=table), tmp_path / path)
    with pytest.raises(UsageError, match="has no table"):
        _write_csv(Report("t", "s", "guests", 1, 1), tmp_path / "x.csv")
