import csv
import json
import re
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bot.api.facts import Unknown
from bot.api.report import Bar, Chart, Column, Finding, Healthy, Remedy, Report, Severity, Table
from bot.cli.ask import _write_csv as write_csv
from bot.cli.render import print_evidence, print_report
from bot.control_chars import (
    escape_control_chars,
    is_unseen,
    json_text,
    reveal,
    spreadsheet_cell,
    spreadsheet_row,
)
from bot.dispatch.argument_parser import truncate as truncate_words
from bot.errors import LedgerError, PermissionDenied, TicketError, UsageError
from bot.formatting import without_stop
from bot.redaction import MASKED, Redactor
from bot.serialization import Evidence
from bot.slack.outbound.message import escape, escape_control, escape_control_lines, truncate
from bot.slack.render import errors
from bot.slack.render.evidence import error_view, evidence_file, evidence_view
from bot.slack.render.report import csv_file, report_message, shared_message, thread_messages
from bot.slack.render.ticket_list import decision_message, not_shown, proposed_for
from bot.tickets.readings import short_reading


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_json_says_the_same_without_a_character_that_a_terminal_obeys(text):
    written = escape_control_chars(json.dumps(text, ensure_ascii=False))
    assert json.loads(written) == json.loads(json.dumps(text))
    assert not {unicodedata.category(one) for one in written} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_every_such_character_there_is():
    unreadable = [chr(one) for one in range(sys.maxunicode + 1) if unicodedata.category(chr(one)) in ("Cc", "Cf")]
    left = [one for one in unreadable if escape_control_chars(one) == one and one not in "\t\n"]
    assert left == []


@pytest.mark.parametrize(
    "hidden",
    [
        *(0x3164, 0x115F, 0x1160, 0xFFA0, 0x1680, 0x2800, 0xFFFC, 0x034F, 0x17B4, 0x180B, 0xFE0F, 0xE0100, 0x1D159),
        *(0x2028, 0x200B, 0x202E, 0xD800, 0xE000, 0x1B, 0x7F, 0x9B),
    ],
    ids=hex,
)
def test_what_nobody_sees_is_shown_to_people_and_written_out_for_machines(hidden):
    assert reveal(f"crm-01{chr(hidden)}") == f"crm-01⟨U+{hidden:04X}⟩"
    assert chr(hidden) not in escape_control_chars(f"crm-01{chr(hidden)}")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\u0441rm-01", "\u0441⟨U+0441⟩rm-01"),
        ("\u0441\u0441-01", "\u0441⟨U+0441⟩\u0441⟨U+0441⟩-01"),
        ("h\u03bd03", "h\u03bd⟨U+03BD⟩03"),
        ("\u0455\u04af\u0441-01", "\u0455⟨U+0455⟩\u04af⟨U+04AF⟩\u0441⟨U+0441⟩-01"),
        ("\u03f2\u03bf\u037f-01", "\u03f2⟨U+03F2⟩\u03bf⟨U+03BF⟩\u037f⟨U+037F⟩-01"),
        ("\u0566\u0585\u057d-7", "\u0566⟨U+0566⟩\u0585⟨U+0585⟩\u057d⟨U+057D⟩-7"),
        ("\u03f2rm-01", "\u03f2⟨U+03F2⟩rm-01"),
        ("c\u03f1m", "c\u03f1⟨U+03F1⟩m"),
        ("st\u04d5ging", "st\u04d5⟨U+04D5⟩ging"),
        ("dc-\U0001d70a1", "dc-\U0001d70a⟨U+1D70A⟩1"),
        ("o\ufb03ce, 5 ϕ", "o\ufb03ce, 5 ϕ"),
        *(
            (f"crm-{one}1", f"crm-{one}⟨U+{ord(one):04X}⟩1")
            for one in "\u0d20\u101d\u0b20\u10ff\u05e1\u0647\u03b9\u03ba\u03c7\u0584\u043a"
        ),
        ("vm-ιι", "vm-ι⟨U+03B9⟩ι⟨U+03B9⟩"),
        ("к-01, рок, узел-к1, סוס-01, και, χώρος-01", "к-01, рок, узел-к1, סוס-01, και, χώρος-01"),
        ("SRV-Бухгалтерия, сервер к1, hv03 is ok", "SRV-Бухгалтерия, сервер к1, hv03 is ok"),
        ("сервер-01", "сервер-01"),
        ("SRV-Бухгалтерия", "SRV-Бухгалтерия"),
        ("он и она, а с ней", "он и она, а с ней"),
        ("Zeitüberschreitung, délai dépassé", "Zeitüberschreitung, délai dépassé"),
        ("东京-01", "东京-01"),
        ("\U0001d41crm-01", "\U0001d41c⟨U+1D41C⟩rm-01"),
        ("crm-\U0001d7ce1", "crm-\U0001d7ce⟨U+1D7CE⟩1"),
        ("crm-0\u217c", "crm-0\u217c⟨U+217C⟩"),
        ("\u212aRM-01", "\u212a⟨U+212A⟩RM-01"),
        ("\u1d04rm-01", "\u1d04⟨U+1D04⟩rm-01"),
        ("crm\u201101, crm\u201301, crm\u221201", "crm\u2011⟨U+2011⟩01, crm\u2013⟨U+2013⟩01, crm\u2212⟨U+2212⟩01"),
        ("hv01\u2024corp", "hv01\u2024⟨U+2024⟩corp"),
        ("hv\u09e63", "hv\u09e6⟨U+09E6⟩3"),
        ("crm-\u0966", "crm-\u0966⟨U+0966⟩"),
        ("H\u142f03", "H\u142f⟨U+142F⟩03"),
        ("\u1455RM-01", "\u1455⟨U+1455⟩RM-01"),
        ("\ua4da\ua4e3-01", "\ua4da⟨U+A4DA⟩\ua4e3⟨U+A4E3⟩-01"),
        ("\u13df\u13a1-01", "\u13df⟨U+13DF⟩\u13a1⟨U+13A1⟩-01"),
        ("\u0570\u057d-03", "\u0570⟨U+0570⟩\u057d⟨U+057D⟩-03"),
        ("सर्वर-01, خادم٠١, サーバsql01, 서버01", "सर्वर-01, خادم٠١, サーバsql01, 서버01"),
        ("crm-01\u00a0", "crm-01\u00a0⟨U+00A0⟩"),
        ("crm\u200a01", "crm\u200a⟨U+200A⟩01"),
        (
            "22\u201323 h, \u22125, 1\u202f234 Mo, m², nº 3, Ｗｉｎ１１",
            "22\u201323 h, \u22125, 1\u202f234 Mo, m², nº 3, Ｗｉｎ１１",
        ),
    ],
)
def test_a_letter_that_passes_for_a_latin_one_is_marked_and_a_language_is_not(name, shown):
    assert reveal(name) == shown


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("\u0441rm-01", r"\u0441rm-01"),
        ("CORP\\\u0441rm", r"CORP\\u0441rm"),
        ("\U00010428rm", r"\ud801\udc28rm"),
        ("сервер-01", "сервер-01"),
        ("SRV-Бухгалтерия", "SRV-Бухгалтерия"),
    ],
)
def test_logs_and_exports_mark_the_same_letters(name, written):
    assert escape_control_chars(name) == written


def test_a_line_end_in_json_is_no_letter_of_the_word_behind_it():
    written = json.dumps("hv03\nсервер молчит, \u0441rm", ensure_ascii=False)
    assert escape_control_chars(written) == r'"hv03\nсервер молчит, \u0441rm"'


@given(st.text())
def test_nothing_unseen_is_left(text):
    assert not any(is_unseen(one) for one in reveal(text))


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("x;=1+1", "x;'=1+1"),
        ("x\t@SUM(1)", "x\t'@SUM(1)"),
        ("|cmd", "'|cmd"),
        ("\ufe66x", "'\ufe66x"),
        ("-5.2", "-5.2"),
        ("+49", "+49"),
        ("hv03 is up", "hv03 is up"),
        ("a-b;c", "a-b;c"),
    ],
)
def test_no_cell_is_a_formula_in_any_locale(cell, written):
    assert spreadsheet_cell(cell) == written


@pytest.mark.parametrize("first", ["-1", "+1", "-1,5", "+1.5"])
def test_a_line_that_is_one_cell_elsewhere_is_no_formula(tmp_path, first):
    """Where lines are split at semicolons the first cell begins all of it: a guest that is called "-1"."""
    rest = "2*cmd|'/C calc'!A0"
    assert spreadsheet_row((first, rest, "-3")) == [f"'{first}", rest, "-3"]
    assert spreadsheet_row((first,)) == [first]
    assert spreadsheet_row(()) == []
    report = replace(evil_report(EVIL), table=Table("t", (Column("Guest"), Column("Volume")), ((first, rest),)))
    write_csv(report, tmp_path / "t.csv")
    for made in (csv_file(report.table, "/x").content, (tmp_path / "t.csv").read_bytes()):
        line = made.decode("utf-8-sig").splitlines()[1]
        assert next(csv.reader([line])) == [f"'{first}", rest]
        assert next(csv.reader([line], delimiter=";"))[0].startswith("'")


HIDDEN = "crm\u3164\u202e\u2028\u0440\U000e0100\x1b[31m"  # blank, reversed, a line, Cyrillic, a selector, a sequence
NEVER = set(HIDDEN) - set("crm\u0440[31")
EVIL = f"x-{HIDDEN}-y"


def evil_report(said):
    """A report that says it in every field."""
    return Report(
        title=f"prod: {said}",
        summary=said,
        of=said,
        asked=2,
        answered=1,
        findings=(Finding(Severity.FAULT, said, said, said, ((said, said),)),),
        unanswered=(Unknown(said, said, said, said),),
        fine=(Healthy(said, (said,), said),),
        notes=(said,),
        chart=Chart(said, said, (Bar(said, 214),), ((said, 100),)),
        table=Table(said, (Column(said), Column("n", "number", said)), ((said, "21.4"),)),
        remedies=(Remedy(said, said),),
        did=said,
    )


def drawn(draw):
    out = StringIO()
    draw(Console(file=out, width=200, force_terminal=False))
    return out.getvalue()


AT = datetime(2026, 3, 2, 22, 39, tzinfo=UTC)


def evidence_of(said):
    return (Evidence(said, said, said, said), Evidence(said, said, said, "", said))


WAYS_OUT = {
    "a message": lambda said: report_message(evil_report(said), "t0ken", AT),
    "a shared message": lambda said: shared_message(evil_report(said), "t0ken", AT, "U1"),
    "a thread": lambda said: thread_messages(evil_report(said), AT),
    "a CSV file": lambda said: csv_file(evil_report(said).table, said).content.decode("utf-8-sig"),
    "evidence in a window": lambda said: evidence_view(said, evidence_of(said), "t0ken"),
    "evidence as a file": lambda said: evidence_file(said, evidence_of(said)).content.decode("utf-8-sig"),
    "an error in a window": error_view,
    "a refusal": lambda said: [
        errors.refusal(one) for one in (UsageError(said, said, (said,)), PermissionDenied(said))
    ],
    "a decision that came too late": lambda said: [
        errors.not_executed(TicketError(said)),
        errors.no_ledger(LedgerError(said)),
    ],
    "the real message": lambda said: errors.not_the_real_message(said, ""),
    "a decision": lambda said: [
        decision_message("T-1", said),
        proposed_for("T-1", "C1", ""),
        not_shown("T-1", "C1", "x", said),
    ],
    "the terminal": lambda said: drawn(lambda out: print_report(out, evil_report(said), said)),
    "evidence at the terminal": lambda said: drawn(lambda out: print_evidence(out, evidence_of(said))),
}


def texts(told):
    """Every text in what goes out, keys left out."""
    if isinstance(told, str):
        yield told
    elif is_dataclass(told):
        yield from texts([getattr(told, part.name) for part in fields(told)])
    elif isinstance(told, Mapping):
        yield from texts(list(told.values()))
    elif isinstance(told, (list, tuple)):
        for one in told:
            yield from texts(one)
    elif isinstance(told, bytes):
        yield told.decode("utf-8-sig")


@pytest.mark.parametrize("way", WAYS_OUT)
def test_what_cannot_be_seen_is_shown_on_every_way_out(way):
    """Slack's blocks, its notifications, windows and files, the terminal: a name reads as it is, or is marked."""
    told = list(texts(WAYS_OUT[way](EVIL)))
    assert told
    for text in told:
        assert not NEVER & set(text), text
    assert any("⟨U+" in text for text in told)


# Each of these is written in another way where people see it: for Slack, for a terminal, as JSON, in a cell of a table.
REWRITTEN = "*_~`<>&\u00a0\u0430\u200b\t=;⟨⋯٠\u0301"
SECRETS = [
    *(f"Tr0ub{one}4dor-9x" for one in REWRITTEN),
    *(f"{one}Tr0ub4dor-9x{one}" for one in REWRITTEN),
    "Tr0ub \t 4dor-9x.",
]


@pytest.mark.parametrize("secret", SECRETS, ids=ascii)
@pytest.mark.parametrize("way", WAYS_OUT)
def test_a_secret_is_masked_before_anything_of_it_is_written_in_another_way(way, secret):
    mask = Redactor([secret])
    for text in map(mask.redact_text, texts(WAYS_OUT[way](f"with {secret}, it says"))):
        assert "Tr0ub" not in text
        assert "4dor" not in text


@pytest.mark.parametrize("secret", SECRETS, ids=ascii)
def test_each_function_that_rewrites_a_text_masks_it_first(secret):
    """Also where the text would be cut in the middle of it."""
    mask = Redactor([secret])
    said = f"with {secret} indeed"
    cut = f"{'x' * 30} {secret}"
    cells = spreadsheet_row([f"{secret};=1", f"a;={secret}"])
    for text in (
        *(reveal(said), escape(said), escape_control(said), escape_control_lines([said]), escape_control_chars(said)),
        *(json_text({"says": said}), without_stop(f"{secret}."), short_reading(said), *cells),
        *(truncate(cut, 36), truncate_words(f"{cut}{'y' * 100}"), short_reading(f"{'x' * 160} {secret}{'y' * 100}")),
    ):
        shown = mask.redact_text(text)
        assert "Tr0ub" not in shown
        assert "4dor" not in shown


def test_what_no_redactor_knows_any_more_is_no_secret():
    """So that of a password that was changed nothing is left, and one test's secret is not another's."""
    mask = Redactor(["Tr0ub4dor-9x"])
    assert escape("Tr0ub4dor-9x") == MASKED
    del mask
    assert escape("Tr0ub4dor-9x") == "Tr0ub4dor-9x"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("N\u0336o\u0336t approved", "N⟨U+0336⟩o⟨U+0336⟩t approved"),
        ("crm-01\u0332", "crm-01⟨U+0332⟩"),
        ("x\u0489", "x⟨U+0489⟩"),
        *((f"crm-01{one}", f"crm-01⟨U+{ord(one):04X}⟩") for one in "\U00016fe4\u2d7f\U0001107f"),
        ("a" + "\u0310\u0316" * 3, "a\u0310\u0316\u0310\u0316⟨U+0310⟩⟨U+0316⟩"),
        ("  1. Pause hv03", "  1. Pause hv03"),
        ("Việt Nam, e\u0302\u0301, שָׁלוֹם, ที่นี่", "Việt Nam, e\u0302\u0301, שָׁלוֹם, ที่นี่"),
    ],
)
def test_marks_that_nobody_would_see_are_shown(name, shown):
    assert escape_control(name) == reveal(name) == shown


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("crm-01:blank:", "crm-01∶blank:"),
        (":white_check_mark: PASSED", "∶white_check_mark: PASSED"),
        (":100: :+1: :-1: :スタンプ:", "∶100: ∶+1: ∶-1: ∶スタンプ:"),
        ("a:b:c:", "a∶b∶c:"),
        ("crm:blank", "crm∶blank"),  # a colon of hvops' own may follow
        ("wevtutil qe Setup /uni:true", "wevtutil qe Setup /uni:true"),  # a command is copied
        ("Microsoft:Hyper-V:System:Realized", "Microsoft:Hyper-V:System:Realized"),
        ("at 12:30:45 on hv03:5985: x", "at 12:30:45 on hv03:5985: x"),
        (r"C:\x, https://a.b:443/c: it is", r"C:\x, https://a.b:443/c: it is"),
    ],
)
def test_no_text_from_outside_makes_an_emoji(told, shown):
    assert escape(told) == shown
    behind = "" if " " in told else ":"
    assert not re.search(r":(?!\d+:)[a-z0-9_+-]+:", f"{escape(told)}{behind}".replace("443/c", ""))
