"""Count rooms, arrows and floors: how hard a folder is to find one's way in.

    python -m tests.structure.rooms              the folders that matter, a line each
    python -m tests.structure.rooms bot --arrows each arrow of one folder, too

A room is an entry of a folder: a package, or a loose module. An arrow leads from a room to another that it imports. The
floors are the rooms on the longest way down; arrows that run in a circle are named, and count no floor.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FEW = 8  # modules: a folder with more is counted by itself
OUTSIDE = frozenset({"__init__", "__main__"})  # the front door imports everything, and nothing imports it


@dataclass(frozen=True)
class Structure:
    """One folder.

    Attributes:
        folder: "bot", "bot/slack".
        arrows: (from, to), without arrows to itself.
        floors: rooms on the longest way down.
        circles: arrows between rooms that need each other, directly or not.
    """

    folder: str
    rooms: frozenset[str]
    arrows: frozenset[tuple[str, str]]
    floors: int
    circles: frozenset[tuple[str, str]]

    def __str__(self) -> str:
        """One line: "bot: 21 rooms, 104 arrows, 10 floors, 0 in a circle"."""
        return (
            f"{self.folder}: {len(self.rooms)} rooms, {len(self.arrows)} arrows, {self.floors} floors, "
            f"{len(self.circles)} in a circle"
        )


def measure(root: Path, folder: str) -> Structure:
    """The structure of one folder below `root`."""
    here = root / folder
    rooms = frozenset(_rooms(here))
    prefix = folder.replace("/", ".")
    arrows = frozenset(
        (room, other)
        for path in sorted(here.rglob("*.py"))
        if (room := _room(path.relative_to(here))) in rooms
        for name in _imports(path)
        if (other := name.removeprefix(f"{prefix}.").partition(".")[0]) in rooms - {room}
        and name.startswith(f"{prefix}.")
    )
    floors, circles = _floors(rooms, arrows)
    return Structure(folder, rooms, arrows, floors, circles)


def folders(root: Path) -> Iterator[str]:
    """bot and commands, and each folder of theirs that is large or holds folders itself."""
    for top in ("bot", "commands"):
        yield top
        for path in sorted((root / top).iterdir()):
            if (path / "__init__.py").is_file():
                inner = len(list(_rooms(path)))
                packages = any((one / "__init__.py").is_file() for one in path.iterdir())
                if packages or inner > FEW:
                    yield path.relative_to(root).as_posix()


def _rooms(folder: Path) -> Iterator[str]:
    for path in folder.iterdir():
        if (path.suffix == ".py" and path.stem not in OUTSIDE) or (path / "__init__.py").is_file():
            yield path.stem


def _room(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    """What a file imports, dotted; `from a.b import c` counts as a.b.c, which says more than a.b."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


def _floors(rooms: Iterable[str], arrows: Iterable[tuple[str, str]]) -> tuple[int, frozenset[tuple[str, str]]]:
    below = {room: {to for start, to in arrows if start == room} for room in rooms}
    floor = 0
    while free := {room for room, needs in below.items() if not needs & below.keys()}:
        below = {room: needs for room, needs in below.items() if room not in free}
        floor += 1
    return floor, frozenset((start, to) for start, to in arrows if start in below and to in below)


def main() -> None:
    """Print."""
    typed = argparse.ArgumentParser(description="Count rooms, arrows and floors.")
    typed.add_argument("folder", nargs="*", help="such as bot or bot/slack")
    typed.add_argument("--arrows", action="store_true", help="each arrow, too")
    wanted = typed.parse_args()
    for folder in wanted.folder or folders(ROOT):
        found = measure(ROOT, folder)
        print(found)  # noqa: T201 - a script
        for start, to in sorted(found.arrows) if wanted.arrows else ():
            print(f"    {start} -> {to}{'   in a circle' if (start, to) in found.circles else ''}")  # noqa: T201


if __name__ == "__main__":
    main()
