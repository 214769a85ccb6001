r"""`findstr`: lines of the text files that practice machines have, by a text or by its small regular expressions.

Options: /C:text and /R, /S for folders below, /N for numbers of lines [doc]. With one file named, lines are printed without
its name; with a wildcard or /S each has it before it [doc]. Exit codes: 0 where a line was found, 1 where none was, or no
file can be opened [mem]. Windows Setup's own log is English in every language of Windows [mem].
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from lab.windows.machine_protocol import Output
from lab.world.model import Windows
from lab.world.wmi_providers.system import installed_at

SETUP_LOG = "C:\\Windows\\Panther\\setupact.log"
HOSTS = "C:\\Windows\\System32\\drivers\\etc\\hosts"
SAMPLE_HOSTS = """# Copyright (c) 1993-2009 Microsoft Corp.
#
# This is a sample HOSTS file used by Microsoft TCP/IP for Windows.
#
# For example:
#
#      102.54.94.97     rhino.acme.com          # source server
#       38.25.63.10     x.acme.com              # x client host

# localhost name resolution is handled within DNS itself.
#\t127.0.0.1       localhost
#\t::1             localhost
"""  # what every Windows has [cap]


def run(windows: Windows, arguments: Sequence[str]) -> Output:
    """Print the lines that match, as they are written."""
    options = {word[1:].casefold() for word in arguments if re.fullmatch("/[A-Za-z]", word)}
    literal = [word[3:] for word in arguments if word.casefold().startswith("/c:")]
    words = [word for word in arguments if not word.startswith("/")]
    if not literal:
        literal, words = words[:1], words[1:]
    if len(literal) != 1 or not words or options - {"n", "r", "s"}:
        return Output("", "FINDSTR: Bad command line\r\n", exit_code=2)
    is_regular = "r" in options or not any(word.casefold().startswith("/c:") for word in arguments)
    matches = re.compile(literal[0] if is_regular else re.escape(literal[0]), re.ASCII).search
    files = text_files(windows)
    printed, missing = [], ""
    for word in words:
        found = _named(files, word, below="s" in options)
        if not found and "*" not in word and "?" not in word:
            missing += f"FINDSTR: Cannot open {word}\r\n"
        named = "s" in options or "*" in word or len(words) > 1
        for path in found:
            for number, line in enumerate(files[path].splitlines(), start=1):
                if matches(line):
                    printed.append(f"{path + ':' if named else ''}{f'{number}:' if 'n' in options else ''}{line}\r\n")
    return Output("".join(printed), missing, exit_code=0 if printed else 1)


def text_files(windows: Windows) -> Mapping[str, str]:
    """The text files of a Windows, by path."""
    return {SETUP_LOG: "\n".join(setup_log(windows)), HOSTS: SAMPLE_HOSTS, **windows.text_files}


def _named(files: Mapping[str, str], pattern: str, *, below: bool) -> list[str]:
    """The files that a word of the command line names, in the order of their paths."""
    folder, _, name = pattern.casefold().rpartition("\\")
    found = []
    for path in sorted(files, key=str.casefold):
        place, _, own = path.casefold().rpartition("\\")
        if fnmatchcase(own, name) and (place == folder or (below and place.startswith(f"{folder}\\"))):
            found.append(path)
    return found


def setup_log(windows: Windows) -> tuple[str, ...]:
    """What Windows Setup wrote when it was installed: of its thousands of lines those about the firmware, and two others."""
    uefi = any(volume.kind == "efi" for volume in windows.volumes)
    word = ("UEFI" if windows.release.at_least("2012") else "EFI") if uefi else "BIOS"  # [doc, seen]
    at = f"{installed_at(windows):%Y-%m-%d %H:%M:%S}"
    return (
        f"{at}, Info                  IBS    InstallWindows:Install Path = C:\\Windows",
        f"{at}, Info                  IBS    Callback_BootEnvironmentDetect:FirmwareType {2 if uefi else 1}.",
        f"{at}, Info                  IBS    Callback_BootEnvironmentDetect: Detected boot environment: {word}",
        f"{at}, Info       [0x0601c1] IBS    InstallWindows:Exit, setup is done.",
    )
