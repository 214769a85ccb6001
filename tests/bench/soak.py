"""A soak of thousands of moves: does a move, its card or the reading of its story take longer the more there were?

    python -m tests.bench.soak [--moves 3000]

The runner, the ledger and the cards are hvops' own; what is moved is a value in memory, and waits take no time, so that all
that is left is what hvops itself does for a move. Beside each figure: the same at the tenth move.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from bot.slack.render.running import running_message
from bot.slack.tickets.message_table import read_card
from tests.bench.table import Aim, Table, show, times

MOVES = 3_000
NEAR = 9  # moves on either side of a mark, whose middle counts
LOOKS = 3
MOST = 4.0  # times as long as at the tenth move
LINE = "/soak hv03"


@dataclass
class Marks:
    """When each move began, and what a look took at the marks, in seconds."""

    at: Sequence[int]
    began: list[float] = field(default_factory=list)
    cards: dict[int, tuple[float, float]] = field(default_factory=dict)
    look: Callable[[], tuple[float, float]] = lambda: (0.0, 0.0)

    def __call__(self) -> None:
        """A move begins."""
        number = len(self.began) + 1
        if number in self.at:
            self.cards[number] = self.look()
        self.began.append(time.perf_counter())

    def move(self, mark: int) -> float:
        """Seconds of a move near a mark, the middle of some; those of the looks themselves are not among them."""
        first = max(0, min(mark - NEAR, len(self.began) - 2 * NEAR - 1))
        some = self.began[first : first + 2 * NEAR]
        return statistics.median(later - earlier for earlier, later in pairwise(some))


class _Hooks(dict[int, Any]):
    """The same for every act."""

    def __init__(self, every: Callable[[], None]) -> None:
        super().__init__()
        self._every = every

    def __missing__(self, _: int) -> Callable[[], None]:
        return self._every

    def get(self, _: int, __: Any = None) -> Callable[[], None]:
        return self._every

    def pop(self, _: int, __: Any = None) -> Callable[[], None]:  # type: ignore[override]
        return self._every


async def measure(moves: int, at: Sequence[int]) -> Marks:
    """Run a soak, and look at some of its moves."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "bot" / "executor"))
    import kill_shapes  # noqa: PLC0415 - shared with the tests of the runner, which are no package
    import scripted_world as scripted  # noqa: PLC0415

    def plan(on: str, facts: Any) -> Any:
        made = kill_shapes.soak(on, facts)
        groups = [replace(one, times=moves // 2, seconds=10**7) if one.times > 1 else one for one in made.groups]
        return replace(made, groups=tuple(groups), soak_seconds=10**7)

    clock = scripted.Clock()
    world = scripted.World(clock)
    world.add("hv03")
    world.hosts["hv03"] |= {"owner": "a", "state": ""}
    marks = Marks(at)
    world.hooks = _Hooks(marks)
    with tempfile.TemporaryDirectory(prefix="hvops-soak-") as folder:
        bench = scripted.Bench(Path(folder), world, clock)
        try:
            bench.plans["soak"] = plan
            bench.planner._registry.commands["soak"] = scripted.command("soak", partial(bench._plan, "soak"))
            ticket = await bench.approved(LINE)
            marks.look = partial(_look, bench.ledger, ticket)
            await bench.runs()
            assert bench.last(ticket).kind == "done"
        finally:
            await bench.close()
    return marks


def _look(ledger: Any, ticket: str) -> tuple[float, float]:
    """Seconds to read a card again and to draw it: the middle of some looks, the first of which is not counted."""
    read, drawn = [], []
    for _ in range(LOOKS + 1):
        began = time.perf_counter()
        card = read_card(ledger, ticket)
        then = time.perf_counter()
        running_message(card)
        read.append(then - began)
        drawn.append(time.perf_counter() - then)
    return statistics.median(read[1:]), statistics.median(drawn[1:])


def table(marks: Marks) -> Table:
    """The figures, and what they are beside those of the tenth move."""
    first = marks.at[0]
    rows = []
    worst = 0.0
    for mark in marks.at:
        values = (marks.move(mark), *marks.cards[mark])
        ratio = marks.move(mark) / marks.move(first)
        worst = max(worst, ratio)
        rows.append((f"move {mark:,}", *(f"{1000 * value:.1f}" for value in values), times(ratio)))
    return Table(
        f"A soak of {marks.at[-1]:,} moves, in milliseconds of hvops' own",
        ("", "a move", "read the card again", "draw it", "a move beside the first"),
        rows,
        ("A card is read on a thread and at most once in some seconds; a move is what the run itself takes.",),
        (Aim(f"a move takes at most {MOST:.0f} times what the tenth took", f"{worst:.1f} times", worst <= MOST),),
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=MOVES)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args(argv)
    marks = sorted({10, max(10, told.moves // 3), told.moves})
    show([table(asyncio.run(measure(told.moves, marks)))], as_json=told.json)


if __name__ == "__main__":
    main()
