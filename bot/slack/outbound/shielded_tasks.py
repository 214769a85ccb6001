"""Work of two halves that a stop must not tear apart: what is posted is also written down.

Whoever waits for such work may be cancelled; the work itself goes on, and the end of the bot waits for it a little.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class ShieldedTasks:
    """Runs such work, and lets it come to its end."""

    def __init__(self) -> None:
        """Nothing is under way yet."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self.is_leaving = False

    async def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do it. A caller that is cancelled leaves it running; its errors are the caller's."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def close(self, seconds: float) -> None:
        """Let what is under way end, for so long at most; then it is abandoned.

        Work of many pieces looks at `is_leaving` between them, and leaves the rest to the next life.
        """
        self.is_leaving = True
        tasks = tuple(self._tasks)
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
