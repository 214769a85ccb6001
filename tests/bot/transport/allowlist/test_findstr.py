"""What Windows Setup's own log says of the firmware: every form of it, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.transport.allowlist import PROGRAMS
from bot.transport.allowlist.definitions import BadOutput
from bot.transport.allowlist.findstr import parse_boot_environment

ROW = PROGRAMS["findstr boot environment"]
LINE = "2011-09-01 10:12:01, Info                  IBS    Callback_BootEnvironmentDetect: Detected boot environment: {}\r\n"


@pytest.mark.parametrize("word", ["EFI", "UEFI", "BIOS"])
def test_the_word_is_read(word):
    assert parse_boot_environment(LINE.format(word)) == ({"at": "2011-09-01 10:12:01", "environment": word},)


def test_several_phases_of_setup():
    assert len(parse_boot_environment(LINE.format("BIOS") + LINE.format("UEFI"))) == 2


@pytest.mark.parametrize(
    "output",
    [
        "",
        "\r\n",
        LINE.format("UEFI").rstrip(),
        LINE.format("UEFI")[:60] + "\r\n",
        LINE.format("UEFI and more"),
        LINE.format(""),
        LINE.format("<!channel>"),
        LINE.format("UEFI") + "FINDSTR: Out of memory\r\n",
        LINE.format("UEFI") * 201,
    ],
)
def test_what_is_none_is_no_answer(output):
    with pytest.raises(BadOutput):
        parse_boot_environment(output)


@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        rows = parse_boot_environment(text)
    except BadOutput:
        return
    assert all(row["environment"].strip() for row in rows)


def test_the_command_line():
    assert ROW.marked == "reads"
    assert ROW.command_line((("windows", "D:\\WINNT"),)) == (
        "findstr",
        "/C:Detected boot environment",
        "D:\\WINNT\\Panther\\setupact.log",
    )


@pytest.mark.parametrize(
    "folder",
    ["", "C:", "C:\\", "\\\\host\\share", "C:\\..\\x", "C:\\Windows\\..", "C:/Windows", "C:\\Win*", "C:\\W & del", "C:\\a\r\nb", "/S", 5, "C:\\Windows "],
)  # fmt: skip
def test_nothing_but_a_folder_is_taken(folder):
    with pytest.raises(ValueError, match="folder"):
        ROW.command_line((("windows", folder),))
