"""Splitting a command line into words, as a C program under Windows does.

Source: "Parsing C command-line arguments" of Microsoft's C reference [doc]. cmd.exe's own signs (& | > < ^ %) are not read:
they reach the program as text, since the practice world's programs are no command interpreter.
"""

from __future__ import annotations


def split_command_line(line: str) -> list[str]:
    r"""The words of a line: blanks part them outside quotation marks; 2n backslashes before a mark stand for n.

    >>> split_command_line(r'wevtutil qe "System Log" /q:"*[System]" C:\temp\\')
    ['wevtutil', 'qe', 'System Log', '/q:*[System]', 'C:\\temp\\\\']
    """
    words: list[str] = []
    word: list[str] | None = None
    quoted = False
    at = 0
    while at < len(line):
        sign = line[at]
        if sign == "\\":
            at, text, mark = _backslashes(line, at)
            word = [*(word or []), text]
            quoted = quoted != mark
            continue
        at += 1
        if sign == '"':
            word = word or []
            if quoted and line[at : at + 1] == '"':
                word.append('"')
                at += 1
            else:
                quoted = not quoted
        elif sign in " \t" and not quoted:
            if word is not None:
                words.append("".join(word))
            word = None
        else:
            word = word or []
            word.append(sign)
    return words if word is None else [*words, "".join(word)]


def _backslashes(line: str, at: int) -> tuple[int, str, bool]:
    """Read a run of backslashes: where to go on, what it stands for, and whether it opened or closed a quotation."""
    end = at
    while end < len(line) and line[end] == "\\":
        end += 1
    count = end - at
    if line[end : end + 1] != '"':
        return end, "\\" * count, False
    if count % 2:
        return end + 1, "\\" * (count // 2) + '"', False
    return end + 1, "\\" * (count // 2), True
