r"""The line about the firmware in Windows Setup's own log, found by `findstr`.

Windows Setup writes into %windir%\Panther\setupact.log, in English in every language of Windows [mem]:
"Callback_BootEnvironmentDetect: Detected boot environment: BIOS" [doc: the guide to converting an installed Windows 7];
"EFI" instead of "UEFI" is seen as well [seen: sebhildebrandt/systeminformation #546]. Exit code 1: no such line, or
the log cannot be opened [mem].
"""

from __future__ import annotations

import re

from bot.api.queries import Value
from bot.api.rows import Row
from bot.transport.allowlist.definitions import BadOutput, lines_of

_FOLDER = re.compile(r"[A-Za-z]:(?:\\(?!\.)[A-Za-z0-9_ .-]{1,60}(?<![ .])){1,4}")
_LINE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}),.*?Detected boot environment: *([A-Za-z0-9_-]{1,20})\.?\s*"
)
_LONGEST = 2_000  # characters of a line
_MOST = 200  # lines: Setup writes one for each of its phases


def windows_folder(value: Value) -> str:
    r"""The folder of Windows, as Win32_OperatingSystem tells it: "C:\Windows". Raises ValueError for anything else."""
    if not isinstance(value, str) or not _FOLDER.fullmatch(value):
        raise ValueError("takes a folder such as C:\\Windows")
    return value


def parse_boot_environment(output: str) -> tuple[Row, ...]:
    """Rows {at, environment}, in the order of the log. `at` is in the clock of the machine, without a zone.

    Raises:
        BadOutput: a line that is none of Setup's, or the output was cut.
    """
    lines = lines_of(output)
    if not lines or not output.endswith(("\n", "\r")) or len(lines) > _MOST:
        raise BadOutput("what setupact.log says of the firmware breaks off, or is not there")
    found = [_LINE.fullmatch(line) if len(line) <= _LONGEST else None for line in lines]
    if not all(found):
        raise BadOutput("setupact.log says something of the firmware that hvops does not know")
    return tuple({"at": one[1], "environment": one[2]} for one in found if one)
