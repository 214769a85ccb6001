"""`hvops doctor` against a practice estate: what it says is so, what to do, and that it changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest

from bot.config.settings import load
from bot.doctor import examine
from bot.doctor.check import Status, fail, merge_checks, ok, summary, warn
from bot.doctor.local import _scopes, check_local
from bot.ledger import Ledger
from bot.redaction import clip
from bot.slack.manifest import BOT_SCOPES


def examined(capsys, file):
    code = examine(file, as_json=True)
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def by_what(checks):
    found = {}
    for check in checks:
        found.setdefault(check["what"], []).append(check)
    return found


def test_a_practice_estate_is_well_and_nothing_was_written(practice, capsys):
    before = {file.name for file in practice.directory.iterdir()}
    code, checks = examined(capsys, practice.settings_path)
    assert code == 0, [check for check in checks if check["status"] == "FAIL"]
    found = by_what(checks)
    for what in ("hyper-v", "event channels", "writers", "cluster wmi"):
        assert [check["status"] for check in found[what]] == ["OK"] * 10, found[what]
    for what in ("login", "in sync", "quotas", "code page"):  # of the VMM server's own host too
        assert [check["status"] for check in found[what]] == ["OK"] * 11, found[what]
    assert [check["on"] for check in found["cluster"]] == ["prod", "branch"]
    for what in ("operator@prod", "operator@branch"):
        assert "WillOfflineLoseQuorum (ReturnValue)" in found[what][0]["says"]
    assert [check["status"] for check in found["operator"]] == ["OK"] * 11
    assert found["policy"][0]["status"] == "OK"
    assert found["commvault"][0]["status"] == "OK"
    assert [(check["status"], check["on"]) for check in found["vm ids"]] == [("OK", "prod"), ("OK", "branch")]
    assert found["ledger"][0]["status"] == "SKIP"
    assert {file.name for file in practice.directory.iterdir()} == before


def test_a_secret_of_the_settings_is_printed_by_no_check(practice, capsys, monkeypatch):
    """A server that was given the password repeats it, where a text is cut, too; people paste what is printed."""
    secret = "Correct-Horse-7"
    monkeypatch.setenv("HVOPS_CREDENTIALS__READER__PASSWORD", secret)
    words = "x" * 65 + f" {secret} and so on"

    async def told(_settings):
        return [
            fail("vmm database", f"the login with {secret} may not, {clip(words, 70)}", f"Write {secret}.", on="VMM")
        ]

    monkeypatch.setattr("bot.doctor.runner._all", told)
    for as_json in (True, False):
        examine(practice.settings_path, as_json=as_json)
        printed = capsys.readouterr().out
        assert "[masked]" in printed
        assert "Corr" not in printed


def test_doctor_logs_no_secret_and_nothing_among_its_answers(practice):
    """Where it is the whole process, as at a terminal."""
    log = "import structlog, bot.doctor.runner as runner; from bot.__main__ import app\n"
    log += "async def told(settings): structlog.get_logger().warning('odd', why='Correct-Horse-7'); return []\n"
    log += "runner._all = told; app(['doctor', '--json'])"
    told = subprocess.run(
        [sys.executable, "-c", log], capture_output=True, text=True, check=False, timeout=60,
        env=os.environ | {"HVOPS_SETTINGS": str(practice.settings_path), "HVOPS_CREDENTIALS__READER__PASSWORD": "Correct-Horse-7"},
    )  # fmt: skip
    assert told.stdout == ""
    assert json.loads(told.stderr)["why"] == "[masked]"


def test_it_is_drawn_in_80_columns_with_one_line_for_hosts_that_say_the_same(practice, capsys):
    examine(practice.settings_path)
    text = capsys.readouterr().out
    wide = [line for line in text.splitlines() if len(line) > 80]
    assert [line for line in wide if line.split()[-1] != str(practice.settings_path)] == []  # no path is broken
    assert "vmm01 hv01 hv02 hv03 hv04 hv05 hv06 br01 br02 br03 br04: 30 shells, 1024 MB each" in " ".join(text.split())
    assert text.splitlines()[-1].endswith("No failures.")


def test_a_wrong_password_fails_the_login_and_nothing_else_is_tried(practice, capsys, monkeypatch):
    monkeypatch.setenv("HVOPS_CREDENTIALS__READER__PASSWORD", "wrong-password-1")
    code, checks = examined(capsys, practice.settings_path)
    assert code == 1
    found = by_what(checks)
    assert {check["status"] for check in found["login"]} == {"FAIL"}
    assert all("login was refused" in check["says"] and check["do"] for check in found["login"])
    assert "writers" not in found


def test_wrong_settings_are_one_failure_in_words(tmp_path, capsys):
    code, checks = examined(capsys, tmp_path / "none.toml")
    assert code == 1
    assert [(check["status"], check["what"]) for check in checks] == [("FAIL", "settings")]
    assert "Copy deploy/settings.toml" in checks[0]["says"]


def test_a_wrong_estate_is_named_and_the_rest_is_still_looked_at(practice, capsys, tmp_path):
    text = practice.settings_path.read_text().replace('"inventory.toml"', '"nowhere.toml"')
    (tmp_path / "settings.toml").write_text(text)
    (tmp_path / "settings.toml").chmod(0o600)
    code, checks = examined(capsys, tmp_path / "settings.toml")
    assert code == 1
    assert "nowhere.toml" in by_what(checks)["settings"][-1]["says"]
    assert "roles" in by_what(checks)


def test_scopes():
    needed = frozenset(BOT_SCOPES)
    assert _scopes(needed).status is Status.OK
    assert "files:write" in _scopes(needed - {"files:write"}).says
    assert _scopes(needed - {"files:write"}).status is Status.FAIL
    assert _scopes(needed | {"mpim:history"}).status is Status.WARN
    assert _scopes(None).status is Status.SKIP


def test_readable_secrets_a_broken_ledger_and_nobody_with_a_role_are_named(practice, tmp_path):
    text = practice.settings_path.read_text()
    start, end = text.index("[roles."), text.index("[credentials.")
    file = tmp_path / "settings.toml"
    file.write_text(text[:start] + text[end:])
    file.chmod(0o644)
    (tmp_path / "ledger.db").write_text("no ledger at all")
    (tmp_path / "ledger.key").write_text("00" * 32)
    found = {check.what: check for check in check_local(load(file))}
    assert found["permissions"].status is Status.WARN
    assert found["permissions"].do.startswith("chmod 600")
    assert found["roles"].status is Status.FAIL
    assert found["ledger"].status is Status.FAIL


def test_an_anchor_file_that_does_not_answer_ends_no_examination(practice, tmp_path, monkeypatch):
    """On a share whose server is away: what depends on it says so, and the rest is looked at."""
    back = threading.Event()
    away = lambda *_: back.wait(30)  # noqa: E731
    monkeypatch.setattr("bot.ledger.anchors.OPEN_SECONDS", 0.05)
    monkeypatch.setattr("bot.doctor.local._PROOF_SECONDS", 0.05)
    monkeypatch.setattr("bot.doctor.local.is_elsewhere", away)
    monkeypatch.setattr("bot.doctor.local.verify", away)
    monkeypatch.setattr("bot.doctor.local.permission_warnings", away)
    for name in ("path", "key_file", "anchor_file"):
        monkeypatch.setenv(f"HVOPS_LEDGER__{name.upper()}", str(tmp_path / name))
    settings = load(practice.settings_path)
    with Ledger(settings.ledger.place, settings.ledger.key_file, settings.ledger.anchor_file):
        pass
    try:
        found = {check.what: check for check in check_local(settings)}
    finally:
        back.set()
    assert found["ledger"].status is Status.FAIL
    assert "no answer in 0 s from the anchor file" in found["ledger"].says
    assert (found["external records"].status, "from the anchor file" in found["external records"].says) == (
        Status.WARN,
        True,
    )
    assert "no answer in 0 s from the anchor file" in found["permissions"].says


def test_the_summary_counts_and_names_what_does_not_work():
    checks = [ok("settings", "x"), fail("login", "no", on="hv05"), warn("time", "late", on="hv05"), ok("time", "x")]
    assert summary(checks) == "2 ok, 1 fail, 1 warn, 0 skipped. Does not work: login hv05."
    assert [check.on for check in merge_checks([ok("time", "x", "a"), ok("time", "x", "b"), ok("time", "y", "c")])] == [
        "a b",
        "c",
    ]


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({}, Status.WARN, "a change that acts on no Windows host"),
        ({"HVOPS_LEDGER__REQUIRE_ANCHOR": "false"}, Status.WARN, "[ledger] require_anchor is false"),
        (
            {
                "HVOPS_SLACK__BOT_TOKEN": "xoxb-1",
                "HVOPS_SLACK__APP_TOKEN": "xapp-1",
                "HVOPS_SLACK__AUDIT_CHANNEL": "C0AUDIT",
            },
            Status.OK,
            "the audit channel C0AUDIT",
        ),
        ({"HVOPS_LEDGER__ANCHOR_FILE": "/proc/anchors.txt"}, Status.OK, "/proc/anchors.txt"),
    ],
)
def test_who_could_tell_that_the_ledger_is_an_old_copy_is_said(practice, monkeypatch, changes, status, words):
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    (told,) = [check for check in check_local(load(practice.settings_path)) if check.what == "external records"]
    assert (told.status, words in told.says) == (status, True)
    assert (status is Status.OK) == (told.do == "")
