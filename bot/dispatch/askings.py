"""Questions that go on while nobody waits for them: what decides nothing by its silence holds up nobody.

Of each name, and of each person or run, one question is under way at a time. Who was silent last is remembered: it is asked
again by whoever looks, and waited for no more until it answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from bot.api.rows import CellError
from bot.errors import TargetError
from bot.transport.turns import asker


class Askings:
    """One question, asked of many; whoever asks it notes the answer."""

    def __init__(self, ask: Callable[[str], Awaitable[object]]) -> None:
        """Take what asks one of them. It raises TargetError or CellError where that one does not say."""
        self._ask = ask
        self._under_way: dict[tuple[str, str], tuple[float, asyncio.Task[None]]] = {}
        self._silent: dict[str, str] = {}  # who did not say when it was asked last -> why

    def begin(self, names: Iterable[str]) -> None:
        """Ask each of them, unless that is under way by now."""
        now = asyncio.get_running_loop().time()
        for name in names:
            mine = name, asker()
            if mine not in self._under_way:
                task = asyncio.create_task(self._asked(name), name=f"beside a look: {name}")
                self._under_way[mine] = now, task
                task.add_done_callback(partial(self._ended, mine))

    async def wait(self, names: Iterable[str], seconds: float | None, *, silent: float = 0.0) -> None:
        """Wait for what was begun, each for so many seconds from when it began; None: for as long as it takes.

        Args:
            names: who was asked.
            seconds: for one that was not silent when it was asked before.
            silent: for one that was.

        Raises whatever asking one of them raised but TargetError and CellError.
        """
        await asyncio.gather(*(self._wait(name, silent if name in self._silent else seconds) for name in names))

    def why(self, name: str) -> str:
        """Why that one did not say when it was asked last; "" where it did."""
        return self._silent.get(name, "")

    async def _wait(self, name: str, seconds: float | None) -> None:
        if (name, asker()) not in self._under_way:
            return
        began, task = self._under_way[name, asker()]
        left = None if seconds is None else began + seconds - asyncio.get_running_loop().time()
        await asyncio.wait([task], timeout=left if left is None else max(left, 0.0))
        if task.done():
            task.result()  # what is no silence is a fault of ours

    async def _asked(self, name: str) -> None:
        try:
            await self._ask(name)
        except (TargetError, CellError) as error:
            self._silent[name] = str(error)
        else:
            self._silent.pop(name, None)

    def _ended(self, mine: tuple[str, str], _task: asyncio.Task[None]) -> None:
        del self._under_way[mine]
