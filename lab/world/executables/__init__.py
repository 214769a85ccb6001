"""The executables of a practice machine: what they print for which arguments.

vssadmin  list writers
auditpol  the audit policy, read and set; eventcreate: an event of one's own; sc: services
dism      packages of updates, told of and changed
findstr   lines of text files: what Windows Setup wrote in its log
wevtutil  reading queries; xpath: the language they are in; event_xml: an event as it is printed
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lab.windows.machine_protocol import Output
from lab.world.executables import auditpol, dism, eventcreate, findstr, sc, vssadmin, wevtutil
from lab.world.method_call import Call

# What cmd.exe prints for a program it cannot find; through cmd /c the exit code is 1 [mem].
_UNKNOWN = {
    "en-US": "'{}' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n",
    "de-DE": 'Der Befehl "{}" ist entweder falsch geschrieben oder\r\nkonnte nicht gefunden werden.\r\n',
    "fr-FR": (
        "'{}' n’est pas reconnu en tant que commande interne\r\n"
        "ou externe, un programme exécutable ou un fichier de commandes.\r\n"
    ),
}

_PROGRAMS: dict[str, Callable[[Call, Sequence[str]], Output]] = {
    "auditpol": auditpol.run,
    "dism": dism.run,
    "eventcreate": eventcreate.run,
    "findstr": lambda call, words: findstr.run(call.windows, words),
    "hostname": lambda call, _words: Output(f"{call.windows.name}\r\n"),
    "sc": lambda call, words: sc.run(call.windows, words),
    "vssadmin": lambda call, words: vssadmin.run(call.windows, words),
    "wevtutil": lambda call, words: wevtutil.run(call.windows, words, call.world.now),
}


def without_shell(command_line: Sequence[str]) -> list[str]:
    """The words of a command line without "cmd /c" before them."""
    words = list(command_line)
    while words and words[0].casefold() in {"cmd", "cmd.exe", "/c"}:
        words.pop(0)
    return words


def run(call: Call, command_line: Sequence[str]) -> Output:
    """Run a program of a Windows; the words of the command line are already parted."""
    windows = call.windows
    words = without_shell(command_line)
    program = words[0].rpartition("\\")[2].casefold().removesuffix(".exe") if words else ""
    known = _PROGRAMS.get(program)
    if known is not None:
        return known(call, words[1:])
    return Output("", _UNKNOWN[windows.language].format(words[0] if words else ""), exit_code=1)
