"""The executables of a practice machine: what they print for which arguments.

vssadmin    list writers
wevtutil    reading queries; xpath: the language they are in; event_xml: an event as it is printed
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lab.windows.machine import Output
from lab.world.model import Windows
from lab.world.programs import vssadmin, wevtutil

# What cmd.exe prints for a program it cannot find; through cmd /c the exit code is 1 [mem].
_UNKNOWN = {
    "en-US": "'{}' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n",
    "de-DE": 'Der Befehl "{}" ist entweder falsch geschrieben oder\r\nkonnte nicht gefunden werden.\r\n',
    "fr-FR": (
        "'{}' n’est pas reconnu en tant que commande interne\r\n"
        "ou externe, un programme exécutable ou un fichier de commandes.\r\n"
    ),
}


def run(windows: Windows, command_line: Sequence[str], now: datetime) -> Output:
    """Run a program of that Windows; the words of the command line are already parted."""
    words = list(command_line)
    while words and words[0].casefold() in {"cmd", "cmd.exe", "/c"}:
        words.pop(0)
    program = words[0].rpartition("\\")[2].casefold().removesuffix(".exe") if words else ""
    if program == "vssadmin":
        return vssadmin.run(windows, words[1:])
    if program == "wevtutil":
        return wevtutil.run(windows, words[1:], now)
    if program == "hostname":
        return Output(f"{windows.name}\r\n")
    return Output("", _UNKNOWN[windows.language].format(words[0] if words else ""), exit_code=1)
