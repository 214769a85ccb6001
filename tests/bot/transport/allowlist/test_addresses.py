"""Hosts files and configuration files: addresses, what is none, and that nothing else of a line leaves the worker."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.transport.allowlist import PROGRAMS
from bot.transport.allowlist.addresses import cover_lines, local_folder, parse_hosts, parse_lines
from bot.transport.allowlist.definitions import BadOutput

FILE = "C:\\inetpub\\crm\\web.config"


def kinds(text):
    return [(row["kind"], row["address"]) for row in parse_lines(cover_lines(f"{FILE}:12:{text}\r\n"))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('<add connectionString="Server=10.20.0.15,1433;Password=x"/>', [("address", "10.20.0.15")]),
        ('"endpoint": "https://10.20.0.17:8443/x"', [("address", "10.20.0.17")]),
        (
            'oldVersion="0.0.0.0-4.1.0.0" newVersion="4.1.0.0"',
            [("version", "4.1.0.0"), ("version", "4.1.0.0")],
        ),
        ("<Version>6.2.9200.16433</Version>", []),
        ("<FileVersion>1.2.3.4</FileVersion>", [("version", "1.2.3.4")]),
        ("; server=10.20.0.16", [("comment", "10.20.0.16")]),
        ("<!-- 10.20.0.16 -->", [("comment", "10.20.0.16")]),
        ('<!-- <add server="10.20.0.16"/> -->', [("comment", "10.20.0.16")]),
        # what stands behind a comment that has ended is none
        ('<!-- the old one --><add server="10.20.0.15"/>', [("address", "10.20.0.15")]),
        (
            "<!-- 10.20.0.16 --> 10.20.0.15 <!-- 10.20.0.17",
            [("comment", "10.20.0.16"), ("address", "10.20.0.15"), ("comment", "10.20.0.17")],
        ),
        ("the server is 10.20.0.15.", [("address", "10.20.0.15")]),
        ("listen=127.0.0.1", [("own", "127.0.0.1")]),
        ("mask=255.255.255.0", [("own", "255.255.255.0")]),
        ("999.1.1.1 and 1.2.3.4.5", []),
        ("server=10.0.020.005", [("address", "10.0.020.005")]),
        ("server=10.0.0.5-old", [("address", "10.0.0.5")]),
        ("range=10.0.0.5-10.0.0.9", [("address", "10.0.0.9")]),
        # nothing that merely stands near the word is a version
        ("version 2 of the server is at 10.20.0.15", [("address", "10.20.0.15")]),
        ("conversion=10.20.0.15;", [("address", "10.20.0.15")]),
    ],
)
def test_what_an_address_is(text, expected):
    assert kinds(text) == expected


def test_a_password_never_leaves_the_worker():
    kept = cover_lines(f"{FILE}:3:Server=10.20.0.15;User Id=sa;Password=correct-horse\r\n")
    assert kept == f"{FILE}:3: address 10.20.0.15\n"


@given(
    st.text(string.printable.replace("\r", "").replace("\n", "").replace("\x0b", "").replace("\x0c", ""), max_size=80)
)
def test_only_addresses_stay_of_any_line(text):
    kept = cover_lines(f"{FILE}:3:{text}\n")
    for line in kept.splitlines():
        assert line == "?" or set(line.rpartition(" ")[2]) <= set("0123456789.")


@pytest.mark.parametrize("output", ["10.1.2.3\r\n", "FINDSTR: Out of memory\r\n", f"{FILE}:x:10.1.2.3\n"])
def test_a_line_without_file_and_number_spoils_the_answer(output):
    with pytest.raises(BadOutput):
        parse_lines(cover_lines(output))


def test_what_is_covered_stays_as_it_is():
    kept = cover_lines(f"{FILE}:3:; server=10.20.0.15\n{FILE}:4:newVersion=4.1.0.0\n{FILE}:5:at 10.20.0.15\n")
    assert [row["kind"] for row in parse_lines(kept)] == ["comment", "version", "address"]
    assert cover_lines(kept) == kept


def test_nothing_found_is_an_answer():
    assert parse_lines(cover_lines("")) == ()


def test_too_many_lines_are_no_answer():
    with pytest.raises(BadOutput):
        parse_lines(cover_lines(f"{FILE}:1:10.1.2.3\n" * 5_001))


def test_nothing_hides_a_line_of_a_hosts_file_behind_blanks():
    assert parse_hosts(f"1:{' ' * 500}10.20.0.15 sql-prod\r\n") == ({"line": "1", "text": "10.20.0.15 sql-prod"},)


def test_a_hosts_file_is_read_in_its_order():
    assert parse_hosts("1:# a\r\n27:10.20.0.15\tsql-prod # moved\r\n") == (
        {"line": "1", "text": "# a"},
        {"line": "27", "text": "10.20.0.15 sql-prod # moved"},
    )


@pytest.mark.parametrize("output", ["10.20.0.15 sql-prod\r\n", "1:a", "x:1\r\n"])
def test_a_damaged_hosts_file_is_no_answer(output):
    with pytest.raises(BadOutput):
        parse_hosts(output)


@pytest.mark.parametrize("folder", ["C:\\inetpub\\crm", "D:\\Program Files (x86)\\CRM", "C:\\a.b\\c+d&e"])
def test_a_folder_is_taken(folder):
    words = PROGRAMS["findstr addresses"].command_line((("folder", folder),))
    assert words[:4] == ("findstr", "/S", "/N", "/R")
    assert all(word.startswith(f"{folder}\\*.") for word in words[5:])


@pytest.mark.parametrize(
    "folder",
    [
        "",
        "C:",
        "C:\\",
        "\\\\fs01\\share",
        "C:\\a\\..\\b",
        "C:\\a\\*",
        "C:\\a /S",
        'C:\\a"b',
        "C:\\a\r\n",
        "/S",
        "C:\\%temp%",
        7,
    ],
)
def test_anything_else_is_no_folder(folder):
    with pytest.raises(ValueError, match="folder"):
        local_folder(folder)
