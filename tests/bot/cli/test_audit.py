"""The ledger in a terminal: readable at 80 columns, exported whole, and proved."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sqlite3
import time
from datetime import UTC, datetime

import newer_version
import pytest
from entry_samples import entry_data

from bot.api.report import Finding, Report, Severity
from bot.cli.audit import print_one
from bot.dispatch.evidence_limits import stored_remainder
from bot.ledger import Ledger, Reader
from bot.serialization import Evidence, evidence_to_bytes, report_to_bytes

FAR = "2999-01-01T00:00:00Z"
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
REPORT = Report(
    "prod: writer STUCK on hv03", "stuck", "nodes", 6, 6, (Finding(Severity.FAULT, "STUCK", "hv03", "[5] Retryable"),)
)

AUDIT_WORDS = [("list",), ("list", "--all"), ("show", "2"), ("export",), ("export", "--format", "jsonl")]
NEWLY_SECRET = """inventory = "inventory.toml"
[credentials.reader]
transport = "ntlm"
username = 'CORP\\reader'
password = "Winter-Tulpe-7713"
[ledger]
path = "ledger.db"
key_file = "ledger.key"
anchor_file = "anchors.txt"
"""


@pytest.fixture(autouse=True)
def others_keep_the_anchors(monkeypatch):
    """So that an anchor outside names the newest entry."""
    monkeypatch.setattr("bot.ledger.verify.is_elsewhere", lambda _ledger, _file: True)


@pytest.fixture
def folder(tmp_path):
    """A ledger with a question, its answer, a refusal, a hostile name and a ticket; and a copy of its files."""
    ledger = Ledger(tmp_path / "ledger.db", tmp_path / "ledger.key", tmp_path / "anchors.txt", clock=lambda: NOON)
    with ledger:
        ledger.append(
            "os:ops1", entry_data("asked", {"line": "/check-writers prod", "target": "prod", "via": "terminal"})
        )
        kept = {
            "report": ledger.put_blob(report_to_bytes(REPORT)),
            "evidence": ledger.put_blob(evidence_to_bytes((Evidence("hv03", "vssadmin list writers", "0x800423f4"),))),
        }
        answer = {"asked": 1, "answer": "token-1", "line": "/check-writers prod", "target": "prod", "verdict": "stuck"}
        ledger.append("os:ops1", entry_data("answered", answer | kept))
        ledger.append(
            "T1/U2",
            entry_data(
                "refused", {"line": "/x \x1b=1+1", "category": "not understood", "reason": "There is no command.\n"}
            ),
        )
        proposal = {
            "digest": "9f3c41aa00",
            "policy": "approval",
            "open_until": FAR,
            "line": "/reset-writer hv03",
            "command": "reset-writer",
        }
        ledger.append("T1/U1", entry_data("proposed", proposal))
        ledger.append("T1/U3", entry_data("approved", {"by": "T1/U3", "start_by": FAR, "digest": "9f3c41aa00"}), "T-1")
        ledger.append("bot", entry_data("started", {"attempt": 1, "locks": []}), "T-1")
        ledger.append("bot", entry_data("intent", {"step": "drain", "round": 1, "attempt": 1}), "T-1")
        ledger.append(
            "bot", entry_data("outcome", {"step": "drain", "round": 1, "attempt": 1, "message": "11 moved"}), "T-1"
        )
    return tmp_path


@pytest.fixture
def audit(hvops, folder):
    def run(command, *words):
        return hvops("audit", command, *words, "--file", folder / "ledger.db")

    return run


def words_of(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def numbers_in(text):
    """The numbers of the entries that a list shows; what an entry says may take more lines than one."""
    return [line.split()[0] for line in text.splitlines()[1:-1] if line[:5].strip().isdecimal()]


def test_list_is_one_line_for_each_entry_oldest_first(audit):
    ended = audit("list")
    assert ended.code == 0
    lines = words_of(ended.out)
    assert numbers_in(ended.out) == list("12345678")
    assert lines[2].endswith("answered os:ops1 stuck")
    assert "refused U2 not understood: /x" in " ".join(lines)
    assert "\x1b" not in ended.out
    assert all(len(line) <= 80 for line in ended.out.splitlines())


def test_a_list_leaves_out_presses_and_messages_unless_they_are_asked_for(audit, folder):
    with Ledger(folder / "ledger.db", folder / "ledger.key", folder / "anchors.txt", clock=lambda: NOON) as ledger:
        for at in range(3):
            ledger.append("bot", entry_data("shown", {"what": "answer", "place": "C1", "ts": f"1.{at}"}))
    assert numbers_in(audit("list").out) == list("12345678")
    assert "3 entries about presses and messages not shown: --all." in audit("list").out
    assert numbers_in(audit("list", "-n", "2").out) == ["7", "8"]
    assert numbers_in(audit("list", "-n", "2", "--all").out) == ["10", "11"]
    assert numbers_in(audit("list", "--kind", "shown").out) == ["9", "10", "11"]


def test_a_list_names_the_zone_of_its_times_and_the_tickets(audit, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    lines = words_of(audit("list").out)
    assert lines[0] == "Entry When (JST) Ticket What Who Says"
    assert [line.split()[3] for line in lines if " proposed " in line] == ["T-1"]
    assert words_of(audit("show", "T-1").out)[0] == "T-1: running · times in JST"
    assert " JST: " in audit("show", "2").out
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (("--kind", "asked"), ["1"]),
        (("--kind", "asked", "--kind", "refused"), ["1", "3"]),
        (("--actor", "bot"), ["6", "7", "8"]),
        (("--target", "PROD"), ["1", "2"]),
        (("--ticket", "T-1", "-n", "2"), ["7", "8"]),
        (("--outcome", "refused"), ["3"]),
        (("--outcome", "not-understood"), ["3"]),
        (("--outcome", "Not Understood"), ["3"]),
        (("--outcome", "not-allowed"), []),
        (("--outcome", "no-plan"), []),
        (("--outcome", "Running"), ["4", "5", "6", "7", "8"]),
        (("--outcome", "failed"), []),
        (("--what", "/reset-writer", "--kind", "approved"), ["5"]),
        (("--what", "check-writers"), ["1", "2"]),
        (("--who", "U3"), ["4", "5"]),
        (("--since", "2030-01-01"), []),
        (("--until", "2030-01-01", "--kind", "approved"), ["5"]),
    ],
)
def test_list_is_narrowed(audit, words, numbers):
    assert numbers_in(audit("list", *words).out) == numbers


@pytest.mark.parametrize("option", ["--kind", "--actor", "--ticket", "--target", "--who", "--what"])
def test_what_is_no_text_is_refused_in_our_own_words(audit, option):
    """As a shell hands on a byte that is no UTF-8."""
    for ended in (audit("list", option, "a\udcff"), audit("export", option, "a\udcff"), audit("search", "a\udcff")):
        assert ended.code == 2
        assert "is not UTF-8 text, so no entry can match it." in " ".join(ended.err.split())


@pytest.mark.parametrize("option", ["--since", "--until"])
@pytest.mark.parametrize("word", ["now", "32.1.2026", "2026-13-01", "x", "7 years", "", "²d", "9" * 400])
def test_what_is_no_time_is_refused_in_our_own_words(audit, option, word):
    ended = audit("list", option, word)
    assert ended.code == 2
    said = " ".join(ended.err.split())
    assert said.startswith(f"{option} “{word[:40]}” is no time. Write a date such as 2026-03-01")


@pytest.mark.parametrize(
    "word", ["today", "Yesterday", "7d", "24h", "2026-03-01", "2026-03-01T23:05", "2026-03-01 23:05"]
)
def test_a_time_is_written_as_people_write_it(audit, word):
    assert audit("list", "--since", word).code == 0


def test_a_word_that_is_no_outcome_is_refused_with_those_that_are(audit):
    ended = audit("list", "--outcome", "faild")
    assert ended.code == 2
    assert "unanswered" in ended.err
    assert "failed" in ended.err.rpartition("Did you mean")[2]


def test_search_finds_what_only_the_raw_answer_says(audit):
    lines = words_of(audit("search", "0X800423f4").out)
    assert lines[1].startswith("2 ")
    assert lines[-1] == "1 entry."
    assert words_of(audit("search", "nowhere").out)[-1] == "0 entries."


def test_an_answer_is_shown_as_it_was_seen(audit):
    ended = audit("show", "2", "--evidence")
    assert ended.code == 0
    lines = words_of(ended.out)
    assert lines[0].startswith("Entry 2, 2026-03-02 ")
    assert "STUCK hv03 [5] Retryable" in lines
    assert "── hv03: vssadmin list writers" in lines
    assert "token-1" not in ended.out


def test_a_report_that_was_not_kept_says_why(audit, folder):
    left = report_to_bytes(stored_remainder(REPORT, "the ledger's disk has only 100 MB free"))
    with Ledger(folder / "ledger.db", folder / "ledger.key", folder / "anchors.txt") as ledger:
        answer = {"asked": 1, "answer": "token-2", "line": "/check-writers prod", "report": ledger.put_blob(left)}
        entry = ledger.append("os:ops1", entry_data("answered", answer))
    said = " ".join(words_of(audit("show", str(entry.seq)).out))
    assert "prod: writer STUCK on hv03" in said
    assert "NOT STORED this answer the ledger's disk has only 100 MB free." in said


def test_a_report_that_was_dropped_is_said_to_be(audit, folder):
    database = sqlite3.connect(folder / "ledger.db")
    database.execute("DELETE FROM blob")
    database.commit()
    database.close()
    assert "has been dropped" in audit("show", "2", "--evidence").out


def test_a_ticket_is_shown_as_its_story(audit):
    lines = words_of(audit("show", "t-1").out)
    assert re.fullmatch(r"T-1: running · times in \S+", lines[0])
    assert [line.split()[3] for line in lines[1:]] == ["proposed", "approved", "started", "step", "step"]
    assert lines[1].endswith("/reset-writer hv03 plan 9f3c41aa")
    assert lines[-1].endswith("step drain: done, 11 moved")


@pytest.fixture
def answered(audit, folder):
    """The same ledger with a plan that left something open, and an approver's answer, hostile to who prints it."""
    files = (folder / "ledger.db", folder / "ledger.key", folder / "anchors.txt")
    with Ledger(*files, clock=lambda: NOON) as ledger:
        asks = {
            "open_until": FAR,
            "policy": "approval",
            "line": "/drain-node hv03",
            "open_questions": ("room of crm-03",),
        }
        ledger.append("T1/U1", entry_data("proposed", asks))
        said = [{"what": "room of crm-03", "answer": "=1+1 \x1b[31m I looked, Password=hunter2 40 GB free"}]
        approval = {"by": "T1/U3", "name": "ada", "start_by": FAR, "answers": said}
        ledger.append("T1/U3", entry_data("approved", approval), "T-2")
    return audit


def test_what_an_approver_answered_is_shown_as_their_words(answered):
    lines = words_of(answered("show", "T-2").out)
    assert "not known: room of crm-03." in " ".join(lines)
    assert "answered: room of crm-03: “=1+1" in " ".join(lines)
    assert "40 GB free”." in " ".join(lines)
    assert "I looked, Password=[masked] 40 GB free" in " ".join(words_of(answered("show", "10").out))
    assert "hunter2" not in answered("show", "T-2").out
    assert "\x1b" not in answered("show", "T-2").out


@pytest.fixture
def soaked(folder):
    """T-1 with what was seen of two more rounds, the second of which was dropped since."""
    with Ledger(folder / "ledger.db", folder / "ledger.key", folder / "anchors.txt", clock=lambda: NOON) as ledger:
        for at, seen in ((2, "crm-01 is on hv04"), (3, "crm-01 is \x1b[31mon hv03")):
            turn = {"step": "drain", "round": at, "attempt": 1}
            blob = ledger.put_blob(evidence_to_bytes((Evidence(f"hv0{at}", "SELECT Name", seen),)))
            ledger.append("bot", entry_data("intent", turn), "T-1")
            ledger.append("bot", entry_data("outcome", turn | {"evidence": blob}), "T-1")
    return folder


def test_the_evidence_of_a_ticket_or_of_one_step_is_shown_where_it_is_asked_for(audit, soaked):
    told = audit("show", "T-1", "--evidence").out
    assert told.index("hv02: SELECT Name") < told.index("crm-01 is on hv04") < told.index("hv03: SELECT Name")
    assert "\x1b" not in told
    assert "crm-01 is on" not in audit("show", "T-1").out
    assert "crm-01 is on hv04" in audit("show", "10", "--evidence").out
    assert "crm-01 is on hv04" not in audit("show", "10").out


def test_evidence_of_a_step_that_was_dropped_is_said_to_be(audit, soaked, monkeypatch):
    monkeypatch.setattr(Reader, "blob", lambda *_: None)
    assert audit("show", "T-1", "--evidence").out.count("The evidence itself has been dropped") == 2


def test_the_evidence_of_a_ticket_is_read_and_printed_result_by_result(soaked, monkeypatch):
    """All of it may be more than there is memory for."""
    done = []
    monkeypatch.setattr(
        Reader, "blob", lambda self, digest, real=Reader.blob: done.append("read") or real(self, digest)
    )
    monkeypatch.setattr("bot.cli.audit.print_evidence", lambda _out, evidence: done.append(evidence[0].on))
    with Reader(soaked / "ledger.db") as reader:
        print_one(reader, "T-1", evidence=True)
    assert done == ["read", "hv02", "read", "hv03"]


def test_what_an_approver_answered_is_exported_whole(answered, tmp_path):
    file = tmp_path / "out.csv"
    assert answered("export", "--format", "csv", "--output", file).code == 0
    row = list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"))))[-1]
    assert "answered: room of crm-03: “=1+1" in row["says"]
    assert "\x1b" not in file.read_text()
    told = tmp_path / "out.jsonl"
    assert answered("export", "--format", "jsonl", "--output", told).code == 0
    (answer,) = json.loads(told.read_text().splitlines()[-1])["data"]["answers"]
    assert answer["what"] == "room of crm-03"
    assert answer["answer"].endswith("I looked, Password=[masked] 40 GB free")


@pytest.mark.parametrize("what", ["99", "T-9", "nonsense", "0", "²", "9" * 30])
def test_what_is_not_there_is_refused(audit, what):
    ended = audit("show", what)
    assert ended.code == 2
    assert "There is no" in ended.err


def test_export_as_csv_opens_in_a_spreadsheet_and_runs_nothing(audit, folder):
    ended = audit("export", "--output", folder / "all.csv")
    assert ended.code == 0
    with (folder / "all.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [row["seq"] for row in rows] == list("12345678")
    assert rows[2]["line"] == "/x ⟨U+001B⟩=1+1"
    assert all(row[column][:1] not in ("=", "+", "@") for row in rows for column in row)
    assert len(rows[0]["mac"]) == 64


def test_export_as_json_lines_is_every_entry_whole(audit, folder):
    ended = audit("export", "--format", "jsonl", "--kind", "refused")
    told = [json.loads(line) for line in ended.out.splitlines()]
    assert [entry["seq"] for entry in told] == [3]
    assert told[0]["data"]["line"] == "/x \x1b=1+1"
    whole = io.StringIO(audit("export", "--format", "jsonl").out)
    assert len(whole.readlines()) == 8


@pytest.fixture
def newly_secret(tmp_path, monkeypatch):
    """Settings that name a password which a host repeated, or somebody typed, before; and a copy of that ledger. None are at the usual place."""
    monkeypatch.setattr("bot.config.settings.PLACE", tmp_path / "etc" / "settings.toml")
    (tmp_path / "inventory.toml").write_text('[clusters.prod]\ndomain = "corp.example"\nentry_hosts = ["hv01"]\n')
    settings = tmp_path / "settings.toml"
    settings.write_text(NEWLY_SECRET)
    settings.chmod(0o600)
    with Ledger(tmp_path / "ledger.db", tmp_path / "ledger.key", tmp_path / "anchors.txt") as ledger:
        ledger.append(
            "os:ops1", entry_data("asked", {"line": "/x Winter-Tulpe-7713", "target": "prod", "via": "slack"})
        )
        refusal = {"line": "/x Winter-Tulpe-7713", "category": "not understood", "reason": "No Winter-Tulpe-7713 here."}
        ledger.append("os:ops1", entry_data("refused", refusal))
    shutil.copy(tmp_path / "ledger.db", tmp_path / "copy.db")
    return settings


def is_masked(ended):
    assert ended.code == 0, ended.err
    return "[masked]" in ended.out and "Winter-Tulpe" not in ended.out + ended.err


@pytest.mark.parametrize("words", AUDIT_WORDS, ids=" ".join)
def test_what_has_become_a_secret_since_it_was_written_is_masked(words, hvops, newly_secret):
    assert is_masked(hvops("audit", *words, "--settings", newly_secret))


@pytest.mark.parametrize("by", ["--settings", "the environment", "the usual place"])
@pytest.mark.parametrize("words", [*AUDIT_WORDS, ("search", "understood")], ids=" ".join)
def test_a_copy_is_masked_by_the_settings_that_there_are(words, by, hvops, newly_secret, monkeypatch):
    named = ("--settings", newly_secret) if by == "--settings" else ()
    if by == "the environment":
        monkeypatch.setenv("HVOPS_SETTINGS", str(newly_secret))
    if by == "the usual place":
        monkeypatch.setattr("bot.config.settings.PLACE", newly_secret)
    ended = hvops("audit", *words, "--file", newly_secret.parent / "copy.db", *named)
    assert is_masked(ended)
    assert ended.err == ""


def test_a_copy_is_masked_by_settings_of_another_account_that_this_one_may_read(
    hvops, newly_secret, tmp_path, monkeypatch
):
    """Root beside the bot's account: their secrets are all that is taken from them."""
    monkeypatch.setattr("bot.config.settings.os.geteuid", lambda: 54_321)
    newly_secret.chmod(0o664)
    (tmp_path / "inventory.toml").chmod(0o664)
    assert is_masked(hvops("audit", "export", "--file", tmp_path / "copy.db", "--settings", newly_secret))
    assert hvops("audit", "list", "--settings", newly_secret).code == 2


def test_an_exported_file_of_a_copy_is_masked_too(hvops, newly_secret, tmp_path):
    output = tmp_path / "week.csv"
    ended = hvops("audit", "export", "-o", output, "--file", tmp_path / "copy.db", "--settings", newly_secret)
    assert ended.code == 0
    assert "[masked]" in output.read_text("utf-8")
    assert "Winter-Tulpe" not in output.read_text("utf-8")


@pytest.mark.parametrize("is_there", [False, True], ids=["missing", "not ours to read"])
@pytest.mark.parametrize("words", [("list",), ("show", "1"), ("search", "understood"), ("export",)], ids=" ".join)
def test_a_copy_without_settings_is_read_and_that_nothing_is_masked_is_said(
    words, is_there, hvops, newly_secret, monkeypatch
):
    if is_there:
        monkeypatch.setattr("bot.config.settings.PLACE", newly_secret)
        # Root may read all files.
        monkeypatch.setattr("bot.masked_settings.os.access", lambda place, _mode: place != newly_secret)
    ended = hvops("audit", *words, "--file", newly_secret.parent / "copy.db")
    assert (ended.code, "Winter-Tulpe-7713" in ended.out) == (0, True)
    assert "No settings read: configured secrets are not masked." in " ".join(ended.err.split())


@pytest.mark.parametrize("by", ["--settings", "the environment"])
@pytest.mark.parametrize("words", [("list",), ("show", "1"), ("search", "understood"), ("export",)], ids=" ".join)
def test_a_copy_is_not_read_where_settings_were_named_and_cannot_be(words, by, hvops, newly_secret, monkeypatch):
    missing = newly_secret.parent / "elsewhere.toml"
    if by == "the environment":
        monkeypatch.setenv("HVOPS_SETTINGS", str(missing))
    named = ("--settings", missing) if by == "--settings" else ()
    ended = hvops("audit", *words, "--file", newly_secret.parent / "copy.db", *named)
    assert (ended.code, ended.out) == (2, "")
    assert "there is no such settings file" in " ".join(ended.err.split())


def test_a_copy_is_not_read_where_something_in_the_usual_settings_is_wrong(hvops, newly_secret, tmp_path, monkeypatch):
    """They are there, and name secrets that nobody would know."""
    monkeypatch.setattr("bot.config.settings.PLACE", newly_secret)
    newly_secret.write_text(NEWLY_SECRET + "no_such_key = 1\n")
    ended = hvops("audit", "export", "--file", tmp_path / "copy.db")
    assert (ended.code, ended.out) == (2, "")
    assert "no_such_key" in ended.err


def test_a_proof_of_a_copy_is_masked_by_the_settings_that_there_are(hvops, newly_secret, tmp_path, monkeypatch):
    words = ("audit", "verify", tmp_path / "copy.db", "--key", tmp_path / "ledger.key")
    anchors = ("--anchors", tmp_path / "Winter-Tulpe-7713.txt")
    assert "Winter-Tulpe-7713" in "".join(hvops(*words, *anchors).err.split())
    said = hvops(*words, "--anchors", tmp_path / "anchors.txt")
    assert (said.code, "not masked" in " ".join(said.err.split())) == (0, True)
    monkeypatch.setattr("bot.config.settings.PLACE", newly_secret)
    said = "".join(hvops(*words, *anchors).err.split())
    assert "[masked].txt:thereisnosuchfile" in said
    assert hvops(*words, "--anchors", tmp_path / "anchors.txt").err == ""


def verify(hvops, folder, file="ledger.db"):
    keys = ("--key", folder / "ledger.key", "--anchors", folder / "anchors.txt")
    return hvops("audit", "verify", folder / file, *keys)


def test_verify_holds_and_says_what_it_proved(hvops, folder):
    ended = verify(hvops, folder)
    assert ended.code == 0
    said = " ".join(ended.out.split())
    assert "Holds: 8 entries, unaltered; complete up to entry 8, the newest in an anchor kept elsewhere." in said
    assert "8 anchors match" in ended.out


def test_verify_of_a_tampered_copy_names_the_entry_and_ends_with_1(hvops, folder):
    shutil.copy(folder / "ledger.db", folder / "copy.db")
    database = sqlite3.connect(folder / "copy.db")
    trigger = database.execute("SELECT sql FROM sqlite_schema WHERE name = 'entry_stays'").fetchone()[0]
    database.execute("DROP TRIGGER entry_stays")
    database.execute("UPDATE entry SET body = replace(body, 'not understood', 'not understooD') WHERE seq = 3")
    database.execute(trigger)
    database.commit()
    database.close()
    ended = verify(hvops, folder, "copy.db")
    assert ended.code == 1
    told = " ".join(ended.out.split())
    assert told.startswith("BROKEN at entry 3 (2026-03-02 ")
    assert "bytes do not match their mac" in told
    assert "1 to 2 hold." in told


def test_verify_says_so_when_the_entry_is_not_even_readable(hvops, folder):
    database = sqlite3.connect(folder / "ledger.db")
    database.execute("PRAGMA ignore_check_constraints=on")
    triggers = database.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        database.execute(f"DROP TRIGGER {name}")
    database.execute("DELETE FROM entry WHERE seq = 3")
    for _, sql in triggers:
        database.execute(sql)
    database.commit()
    database.close()
    ended = verify(hvops, folder)
    assert ended.code == 1
    assert "BROKEN at entry 3: entry 3 is missing" in " ".join(ended.out.split())


def test_a_copy_is_verified_by_its_key_alone_where_there_are_no_settings(hvops, folder):
    ended = hvops("audit", "verify", folder / "ledger.db", "--key", folder / "ledger.key")
    assert ended.code == 1, ended.err
    assert "unaltered; complete" not in ended.out
    assert "No anchors: whether newer entries were cut off cannot be known." in " ".join(ended.out.split())


def test_verify_without_a_ledger_is_refused_and_not_a_verdict(hvops, folder):
    ended = verify(hvops, folder, "none.db")
    assert ended.code == 2
    assert "there is no such ledger" in " ".join(ended.err.split())


def test_the_ledger_of_the_settings_is_read_verified_and_rebuilt(hvops, healthy):
    assert hvops("ask", "--settings", healthy, "/nonsense").code == 2
    assert "refused" in hvops("audit", "list", "--settings", healthy).out
    assert hvops("audit", "verify", "--settings", healthy).code == 0
    ended = hvops("audit", "rebuild", "--settings", healthy)
    assert ended.code == 0
    assert "say what the entries say" in ended.out


def test_an_answer_of_a_newer_version_is_shown_as_far_as_it_can_be(folder, capsys):
    with Ledger(folder / "ledger.db", folder / "ledger.key", folder / "anchors.txt", clock=lambda: NOON) as ledger:
        answer = {"asked": 1, "answer": "token-2", "verdict": "stuck", "novel": 1}
        seq = newer_version.write(ledger, "answered", answer)
    with Reader(folder / "ledger.db") as reader:
        print_one(reader, str(seq), evidence=True)
    said = " ".join(capsys.readouterr().out.split())
    assert "verdict stuck" in said
    assert f"The report is not shown: entry {seq} cannot be read by this version of hvops." in said


@pytest.fixture
def people_of(hvops, tmp_path):
    """A ledger in which one person asked by two ways in, and confirmed their own plan."""
    ledger = Ledger(tmp_path / "ledger.db", tmp_path / "ledger.key", tmp_path / "anchors.txt", clock=lambda: NOON)
    with ledger:
        asked = {"line": "/check-writers prod", "command": "check-writers", "target": "prod"}
        ledger.append("T1/U2", entry_data("asked", asked | {"via": "mention"}))
        told = {"asked": 1, "answer": "token-1", "line": "/resume-backup 7", "command": "resume-backup"}
        ledger.append("T1/U2", entry_data("answered", told | {"no_plan": True, "verdict": "Nothing to resume"}))
        refused = {"line": "/drain-node hv03", "command": "drain-node", "category": "not allowed", "reason": "No role."}
        ledger.append("T1/U2", entry_data("refused", refused | {"name": "olga"}))
        proposal = {"digest": "9f3c41aa00", "policy": "confirm", "open_until": FAR, "line": "/resume-backup 8"}
        ledger.append("T1/U2", entry_data("proposed", proposal | {"name": "olga"}))
        approval = {"by": "T1/U2", "start_by": FAR, "digest": "9f3c41aa00"}
        ledger.append("T1/U2", entry_data("approved", approval), "T-1")
    return lambda command, *words: hvops("audit", command, *words, "--file", tmp_path / "ledger.db")


def test_people_are_shown_by_name_and_id_and_refusals_told_apart(people_of):
    lines = words_of(people_of("list").out)
    assert lines[1].endswith("asked olga (U2) /check-writers prod")
    assert "no plan: Nothing to resume" in " ".join(lines)
    assert "not allowed: /drain-node hv03: No role." in " ".join(lines)
    assert numbers_in(people_of("list", "--who", "olga").out) == list("12345")
    assert numbers_in(people_of("list", "--outcome", "no-plan").out) == ["2"]
    assert numbers_in(people_of("list", "--outcome", "answered").out) == []
    assert "refused by olga (T1/U2)" in people_of("show", "3").out
    assert "confirmed olga (T1/U2)" in " ".join(words_of(people_of("show", "T-1").out))


def test_an_export_has_the_name_the_outcome_and_the_reason(people_of):
    rows = list(csv.DictReader(io.StringIO(people_of("export").out)))
    assert {(row["name"], row["actor"]) for row in rows} == {("olga", "T1/U2")}
    assert [(row["outcome"], row["why"], row["what"]) for row in rows] == [
        ("", "", "/check-writers"),
        ("no plan", "Nothing to resume", "/resume-backup"),
        ("not allowed", "No role.", "/drain-node"),
        ("proposed", "", "/resume-backup"),
        ("confirmed", "", "/resume-backup"),
    ]
    told = [json.loads(line) for line in people_of("export", "--format", "jsonl").out.splitlines()]
    assert [(one["name"], one["outcome"]) for one in told][1:3] == [("olga", "no plan"), ("olga", "not allowed")]


def test_a_ticket_that_its_requester_confirmed_is_never_called_approved(people_of):
    for told in (people_of("show", "T-1").out, people_of("list").out, people_of("show", "5").out):
        assert "confirmed" in told
        assert "approved" not in told


@pytest.mark.parametrize("words", [("show", "T-99"), ("list", "--ticket", "t-99"), ("export", "--ticket", "T-99")])
def test_a_ticket_that_is_not_there_is_said(people_of, words):
    ended = people_of(*words)
    assert (ended.code, ended.out) == (2, "")
    assert "There is no ticket T-99." in ended.err
    assert people_of(*words[:-1], "t-1").code == 0
