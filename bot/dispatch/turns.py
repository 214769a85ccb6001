"""How many questions of one person are under way: the next ones wait their turn, and some are refused at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bot.errors import TooManyQuestions
from bot.transport.turns import asking_as

WAITING = 12  # of one person; a line that waits behind more has been forgotten by whoever typed it


@dataclass(slots=True)
class _Mine:
    """The lines of one person."""

    places: asyncio.Semaphore
    inside: int = 0  # under way or waiting


class Turns:
    """The lines of all people."""

    def __init__(self, most: int, seconds: float) -> None:
        """Let so many lines of one person be under way at a time, and the others wait for so long at most."""
        self._most = most
        self.seconds = seconds
        self._people: dict[str, _Mine] = {}

    @asynccontextmanager
    async def take(self, person: str) -> AsyncIterator[None]:
        """Wait for this person's turn; all that is asked inside is asked for them.

        Raises:
            TooManyQuestions: too many of their lines wait already, or it waited for as long as an answer may take.
        """
        mine = self._people.setdefault(person, _Mine(asyncio.Semaphore(self._most)))
        if mine.inside >= self._most + WAITING:
            waiting = mine.inside - self._most
            raise TooManyQuestions(
                f"You have {self._most} questions in progress and {waiting} waiting, so this one was not run. "
                "Try again when they are answered."
            )
        mine.inside += 1
        try:
            await self._wait(mine)
            try:
                with asking_as(person):
                    yield
            finally:
                mine.places.release()
        finally:
            mine.inside -= 1
            if not mine.inside:
                self._people.pop(person, None)

    async def _wait(self, mine: _Mine) -> None:
        try:
            async with asyncio.timeout(self.seconds):
                await mine.places.acquire()
        except TimeoutError:
            raise TooManyQuestions(
                f"You have {self._most} questions in progress, and none of them was answered within {self.seconds:.0f} s, "
                "so this one was not run. Try again."
            ) from None
