"""Play every incident of a folder and print a table: `python -m tests.cases [FOLDER]`; `make cases` runs it.

Exit code 1 where one is wrong that its file does not mark `wrong_today`, or where a file cannot be played.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot.cli import lab_plugin
from bot.cli.case import play
from bot.errors import HvopsError

HERE = Path(__file__).parent
STYLES = {"right": "green", "wrong": "bold red", "known": "yellow", "right now": "bold green", "unreadable": "bold red"}


def main(folder: Path) -> int:
    files = sorted(folder.glob("*.toml"))
    if not files:
        print(f"There is no case in {folder}.", file=sys.stderr)  # noqa: T201
        return 2
    console = Console(highlight=False, markup=False, emoji=False)
    table = Table(box=None, pad_edge=False)
    for column in ("Case", "", "First reason"):
        table.add_column(column, overflow="fold")
    ends = []
    for file in files:
        end, why = outcome(file)
        ends.append(end)
        table.add_row(Text(file.stem), Text(end, style=STYLES[end]), Text(why))
    console.print(table)
    counts = ", ".join(f"{ends.count(end)} {end}" for end in STYLES if end in ends)
    console.print(Text(f"{len(files)} cases: {counts}.", style="bold"))
    return int("wrong" in ends or "unreadable" in ends)


def outcome(file: Path) -> tuple[str, str]:
    """How a case ends: right, wrong, known (to be wrong), right now (and marked as wrong), unreadable; and why."""
    try:
        case = lab_plugin.read_case(lab_plugin.find(), file)
        played = play(case)
    except HvopsError as error:  # a file that no bot could be started from must not end the table of all others
        return "unreadable", str(error)
    if played.wrong:
        return ("known" if case.wrong_today else "wrong"), played.wrong[0]
    if case.wrong_today:
        return "right now", "take wrong_today out of the file"
    return "right", f"never asked for: {', '.join(played.never_asked)}" if played.never_asked else ""


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE))
