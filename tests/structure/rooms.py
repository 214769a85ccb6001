"""Count the rooms of a package, the imports between them, and how many floors they stand on.

    python -m tests.structure.rooms [FOLDER …] [--arrows] [--root PATH]     # `make rooms`

* A **room** is what lies directly in the folder: a package or a loose module. `__main__` is a room, `__init__` is none.
  A package of more than thirty modules without any package is a corridor: each of its modules is a room of its own.
  A package of data, with an `__init__` and nothing else, is none as long as no arrow leads to it or from it.
* An **arrow** is a pair of rooms of which one imports the other, however often; imports inside functions and those for
  type checkers count as well. `from bot.x import y` needs `bot.x.y` where that is a module, else `bot.x`.
* **Floors** are the rooms on the longest chain of arrows. Rooms that need each other in a circle are one step of it,
  counted with all its rooms; their arrows are listed.

Nothing here knows a module by name: without a FOLDER these are `bot`, `commands`, and each package directly in `bot`
that holds packages or more than eight modules.
"""

# ruff: noqa: T201 - it prints its table

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORRIDOR = 30  # more modules than this side by side in one package: each represents itself
LARGE = 8  # a package with more modules than this is counted inside as well

Arrow = tuple[str, str]


@dataclass(frozen=True)
class Plan:
    """What is counted of a folder.

    Attributes:
        arrows: room -> the rooms that it imports; every room is a key.
        weights: how many import statements make an arrow.
        circles: groups of rooms that need each other.
    """

    folder: str
    arrows: Mapping[str, frozenset[str]]
    weights: Mapping[Arrow, int]
    circles: tuple[frozenset[str], ...]
    floors: int

    @property
    def pairs(self) -> list[Arrow]:
        """The arrows, sorted."""
        return sorted(self.weights)

    @property
    def circular(self) -> list[Arrow]:
        """The arrows that lie in a circle."""
        return [(one, other) for one, other in self.pairs if any({one, other} <= circle for circle in self.circles)]

    def line(self) -> str:
        """The result on one line."""
        circles = f"{len(self.circles)} ({len(self.circular)} arrows)" if self.circles else "0"
        counts = f"{len(self.arrows):4d} rooms {len(self.weights):4d} arrows {self.floors:3d} floors"
        return f"{self.folder:<20}{counts}   circles: {circles}"


def count(root: Path, folder: str) -> Plan:
    """Count a folder below a root from which modules are named."""
    known = modules_of(root, folder.split("/", 1)[0])
    inside = {name: path for name, path in known.items() if name.startswith(f"{dotted(folder)}.")}
    rooms = {name: room_of(root / folder, path) for name, path in inside.items()}
    weights: dict[Arrow, int] = {}
    for name, path in inside.items():
        for target in imported(path, name, known.keys()):
            arrow = (rooms[name], rooms.get(target, ""))
            if all(arrow) and arrow[0] != arrow[1]:
                weights[arrow] = weights.get(arrow, 0) + 1
    found = {room for arrow in weights for room in arrow}
    found |= {rooms[name] for name, path in inside.items() if path.stem != "__init__"}
    arrows = {room: frozenset(to for by, to in weights if by == room) for room in sorted(found)}
    circles = tuple(circle for circle in knots(arrows) if len(circle) > 1)
    return Plan(folder, arrows, weights, circles, floors(arrows))


def modules_of(root: Path, package: str) -> dict[str, Path]:
    """Every module of a package by its dotted name; a package is its `__init__`."""
    paths = sorted((root / package).rglob("*.py"))
    return {dotted(path.relative_to(root).with_suffix("").as_posix()).removesuffix(".__init__"): path for path in paths}


def dotted(path: str) -> str:
    """A path as a module is named."""
    return path.strip("/").replace("/", ".")


def room_of(folder: Path, path: Path) -> str:
    """Which room of the folder a module belongs to; "" for the `__init__` of a corridor."""
    parts = path.relative_to(folder).with_suffix("").parts
    if len(parts) > 1 and is_corridor(folder / parts[0]):
        return "" if parts[1] == "__init__" else f"{parts[0]}.{parts[1]}"
    return parts[0]


def loose(folder: Path) -> list[Path]:
    """The modules directly in a folder."""
    return [path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]


def packages(folder: Path) -> list[Path]:
    """The packages directly in a folder."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and any(path.glob("*.py")))


def is_corridor(package: Path) -> bool:
    """Whether each of its modules is a room."""
    return len(loose(package)) > CORRIDOR and not packages(package)


def imported(path: Path, name: str, known: Iterable[str]) -> Iterator[str]:
    """Our modules that a module imports, anywhere in its file; each once a statement."""
    here = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    known = set(known)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (found for each in node.names if (found := nearest(each.name, known)))
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from {found for each in node.names if (found := nearest(f"{base}.{each.name}", known))}


def nearest(name: str, known: set[str]) -> str:
    """The module that a dotted name leads to: itself, or the one that holds it; "" where that is not ours."""
    parts = name.split(".")
    for length in range(len(parts), max(0, len(parts) - 2), -1):
        if ".".join(parts[:length]) in known:
            return ".".join(parts[:length])
    return ""


def knots(arrows: Mapping[str, Iterable[str]]) -> list[frozenset[str]]:
    """Groups of rooms that reach each other; a room in no circle is a group by itself."""
    reach: dict[str, set[str]] = {}
    for room in arrows:
        found, ahead = set[str](), list(arrows[room])
        while ahead:
            if (one := ahead.pop()) not in found:
                found.add(one)
                ahead.extend(arrows[one])
        reach[room] = found
    groups = {room: frozenset({room, *(one for one in reach[room] if room in reach[one])}) for room in arrows}
    return sorted(set(groups.values()), key=min)


def floors(arrows: Mapping[str, Iterable[str]]) -> int:
    """How many rooms the longest chain passes; a circle is passed in whole."""
    group = {room: knot for knot in knots(arrows) for room in knot}
    height: dict[frozenset[str], int] = {}

    def of(knot: frozenset[str]) -> int:
        if knot not in height:
            below = {group[to] for room in knot for to in arrows[room]} - {knot}
            height[knot] = len(knot) + max(map(of, below), default=0)
        return height[knot]

    return max(map(of, group.values()), default=0)


def usual(root: Path) -> list[str]:
    """What is counted where nothing is named."""
    large = [path for path in packages(root / "bot") if packages(path) or len(loose(path)) > LARGE]
    return ["bot", "commands", *(path.relative_to(root).as_posix() for path in large)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.structure.rooms", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help="such as bot, commands or bot/slack")
    parser.add_argument("--arrows", action="store_true", help="list every arrow, and how many imports make it")
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout, to compare with")
    asked = parser.parse_args(arguments)
    for folder in asked.folders or usual(asked.root):
        plan = count(asked.root, folder.strip("/"))
        print(plan.line())
        for one, other in plan.pairs if asked.arrows else plan.circular:
            circular = "   in a circle" if (one, other) in plan.circular else ""
            print(f"    {one} -> {other}  {plan.weights[one, other]}{circular}")


if __name__ == "__main__":
    main()
