import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.transport.allowlist.definitions import BadOutput
from bot.transport.allowlist.vssadmin import parse_writers

ID, INSTANCE = "66841cd4-6ded-4f4b-8f17-fd23f8ddc3de", "0aa11bb2-0cc3-4dd4-8ee5-0ff667788990"
OTHER = "e8132975-6f93-4464-a53e-1050253ae220"
EN = ("Writer name", "Writer Id", "Writer Instance Id", "State", "Last error")
FR = ("Nom du rédacteur ", "ID du rédacteur ", "ID de l\u2019instance du rédacteur ", "État ", "Dernière erreur ")
DE = ("Verfassername", "Verfasserkennung", "Verfasserinstanzkennung", "Status", "Letzter Fehler")
HEADER = "vssadmin 1.1 - Tool\r\n(C) Copyright 2001-2013 Microsoft Corp.\r\n\r\n"
WAITING = "Waiting for responses.\r\nThese may be delayed if a shadow copy is being prepared.\r\n\r\n"


def block(
    labels=EN,
    name="'Microsoft Hyper-V VSS Writer'",
    state="[5] Waiting for completion",
    error="Retryable error",
    *,
    indent="   ",
    writer=ID,
):
    values = (name, f"{{{writer}}}", f"{{{INSTANCE}}}", state, error)
    lines = [f"{label}: {value}" for label, value in zip(labels, values, strict=True)]
    return f"\r\n{indent}".join(lines) + "\r\n\r\n"


def test_english():
    assert parse_writers(HEADER + block() + block(name="'System Writer'", state="[1] Stable", error="No error", writer=OTHER)) == (
        {"name": "Microsoft Hyper-V VSS Writer", "writer_id": ID, "instance_id": INSTANCE, "state": "5",
         "state_text": "Waiting for completion", "error_text": "Retryable error"},
        {"name": "System Writer", "writer_id": OTHER, "instance_id": INSTANCE, "state": "1",
         "state_text": "Stable", "error_text": "No error"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("output", "state_text", "error_text"),
    [
        (block(FR, state="[1] Stable", error="Aucune erreur"), "Stable", "Aucune erreur"),
        (block(DE, '"Microsoft Hyper-V VSS Writer"', "[8] Fehlgeschlagen", "Zeitüberschreitung"), "Fehlgeschlagen", "Zeitüberschreitung"),
        (WAITING + block(), "Waiting for completion", "Retryable error"),
        (block(name="\u2018Microsoft Hyper-V VSS Writer\u2019"), "Waiting for completion", "Retryable error"),
        (block(name="\u201cMicrosoft Hyper-V VSS Writer\u201d"), "Waiting for completion", "Retryable error"),
        (block(name="\u00ab Microsoft Hyper-V VSS Writer \u00bb"), "Waiting for completion", "Retryable error"),
        (block(name="Microsoft Hyper-V VSS Writer"), "Waiting for completion", "Retryable error"),
        (block().replace(": ", "\uff1a"), "Waiting for completion", "Retryable error"),
        (block().replace(": ", " \uff1a "), "Waiting for completion", "Retryable error"),
        (block(indent=""), "Waiting for completion", "Retryable error"),
        (block(indent="\r\n   \t"), "Waiting for completion", "Retryable error"),
        (block().replace("\r\n", "\n"), "Waiting for completion", "Retryable error"),
        (block(writer=ID.upper()), "Waiting for completion", "Retryable error"),
    ],
)  # fmt: skip
def test_languages_quotes_and_indents(output, state_text, error_text):
    (row,) = parse_writers(HEADER + output)
    assert (row["name"], row["writer_id"]) == ("Microsoft Hyper-V VSS Writer", ID)
    assert (row["state_text"], row["error_text"]) == (state_text, error_text)


def test_name_with_quotes_and_colons_inside():
    (row,) = parse_writers(block(name="'MSMQ Writer (it's: odd)'"))
    assert row["name"] == "MSMQ Writer (it's: odd)"


def test_an_empty_list_is_an_answer_but_silence_and_failure_are_not():
    assert parse_writers(HEADER) == ()
    assert parse_writers(HEADER + WAITING) == ()
    with pytest.raises(BadOutput, match="nothing at all"):
        parse_writers("\r\n")
    failure = "Error: A Volume Shadow Copy Service component encountered an unexpected\r\nerror.\r\n"
    with pytest.raises(BadOutput, match="said: Error: A Volume Shadow"):
        parse_writers(HEADER + failure)
    with pytest.raises(BadOutput, match="said: Fehler: Etwas"):
        parse_writers(HEADER + "Fehler: Etwas ist schiefgegangen.\r\n")


WELL = block(name="'System Writer'", state="[1] Stable", error="No error", writer=OTHER)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("waits", ["", WAITING])
@pytest.mark.parametrize(
    ("odd", "column", "line"),
    [
        (block(writer="66841cd4-XXXX"), "writer_id", "Writer Id: {66841cd4-XXXX}"),
        (block().replace(INSTANCE, ""), "instance_id", "Writer Instance Id: {}"),
        (block(state="Waiting for completion"), "state", "State: Waiting for completion"),
        (block(FR, state="[x] Stable"), "state", "État : [x] Stable"),
    ],
)
def test_one_writer_that_cannot_be_read_hides_no_other(odd, column, line, place, waits):
    others = [WELL, WELL]
    others.insert(place, odd)
    rows = parse_writers(HEADER + waits + "".join(others))
    (well,) = parse_writers(HEADER + WELL)
    assert [row for row in rows if row == well] == [well, well]
    assert rows[place]["name"] == "Microsoft Hyper-V VSS Writer"
    assert [name for name, cell in rows[place].items() if cell is None] == [column]
    assert rows[place]["unreadable"] == line


def test_five_lines_that_are_hardly_a_writer_are_no_list():
    for odd in (block(writer="x", state="x"), block(writer="x").replace(INSTANCE, "")):
        for output in (WELL + odd, odd + WELL):
            with pytest.raises(BadOutput):
                parse_writers(HEADER + output)


WHOLE = HEADER + WAITING + block() + block(name="'System Writer'", state="[1] Stable", writer=OTHER)


@settings(max_examples=200)
@given(st.integers(0, len(WHOLE.rstrip())))
def test_a_list_that_was_cut_anywhere_never_looks_whole(at):
    try:
        rows = parse_writers(WHOLE[:at])
    except BadOutput:
        return
    # The only honest answers of a cut list: none yet, or cut exactly between two writers.
    assert rows in (parse_writers(HEADER), parse_writers(HEADER + WAITING + block()))
    assert WHOLE[:at].endswith(("\n", "\r"))


@pytest.mark.parametrize(
    "rubbish",
    ["Something else\r\n", "Writer name: 'Half'\r\n", "   State: [1] Stable\r\n", "a\r\nb\r\nc\r\nd\r\ne\r\n"],
)
def test_rubbish_between_or_behind_the_writers_is_refused(rubbish):
    for output in (block() + rubbish, block() + rubbish + block()):
        with pytest.raises(BadOutput):
            parse_writers(HEADER + output)


@settings(max_examples=100)
@given(st.text(max_size=300))
def test_any_text_gives_rows_or_says_why_not(output):
    with contextlib.suppress(BadOutput):
        assert isinstance(parse_writers(output), tuple)


@pytest.mark.parametrize(
    "copyright_",
    [
        "(C) Copyright 2001-2013 Microsoft Corp.",
        "(C) Корпорация Майкрософт (Microsoft Corporation), 2001-2013.",
        "(С) Корпорация Майкрософт",  # a Cyrillic С
        "(C) 版权所有 2001-2013 Microsoft Corp.",
        "版权所有 © 2001-2013 Microsoft Corp.",
        "",
    ],
)
def test_the_header_alone_is_an_empty_list_in_any_language(copyright_):
    assert parse_writers(f"vssadmin 1.1 - Программа\r\n{copyright_}\r\n\r\n") == ()


@pytest.mark.parametrize(
    "output",
    [
        "vssadmin 1.1 - Программа\r\n(C) Microsoft\r\n\r\nОшибка: (C) доступ запрещен.\r\n",
        "vssadmin 1.1 - Программа\r\nОшибка: доступ запрещен.\r\n",
        "(C) Microsoft\r\n",
    ],
)
def test_a_word_that_is_not_the_header_is_no_empty_list(output):
    with pytest.raises(BadOutput):
        parse_writers(output)
