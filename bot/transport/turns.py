"""Whose question is next: slots shared between people, with one reserved for runs.

Who asks is known by the task: a line of a person says so once (`asking_as`), a run likewise, and all that they ask carries it.
Likewise whether a change may still go out, once it is its turn and the target has let it in (`sending_unless`).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from bot.api.beside import for_a_question_of
from bot.errors import LoginNotChecked, TargetError, TargetFault, Withheld

RUNS = "a run"  # who asks where what was approved is carried out; no person's id has a space
_NOBODY = ""  # the bot itself, doctor: questions that no person waits for in a row
_asker: ContextVar[str] = ContextVar("asker", default=_NOBODY)
_places: ContextVar[frozenset[str]] = ContextVar("places", default=frozenset())
_why_not: ContextVar[Callable[[], str]] = ContextVar("why_not", default=lambda: "")
_why_not_yet: ContextVar[Callable[[], str]] = ContextVar("why_not_yet", default=lambda: "")


@contextmanager
def asking_as(who: str) -> Iterator[None]:
    """All that is asked inside is asked for them: a person's id, or RUNS."""
    token = _asker.set(who)
    try:
        with for_a_question_of("" if who == RUNS else who):
            yield
    finally:
        _asker.reset(token)


def asker() -> str:
    """For whom is asked here: a person's id, RUNS, or "" for the bot itself."""
    return _asker.get()


@contextmanager
def asking_about(places: Iterable[str]) -> Iterator[None]:
    """All that is asked inside is about these clusters and hosts: a guest that no host has told of yet runs there."""
    token = _places.set(frozenset(place.lower() for place in places))
    try:
        yield
    finally:
        _places.reset(token)


def asked_about() -> frozenset[str]:
    """The clusters and hosts that what is asked here is about, in lower case; empty where nobody said."""
    return _places.get()


@contextmanager
def sending_unless(why_not: Callable[[], str], why_not_yet: Callable[[], str] | None = None) -> Iterator[None]:
    """What changes something inside is held back where `why_not` gives a reason. It is asked from any thread, more than once.

    `why_not_yet` is asked in its place where more is still to come before it goes out (`earlier_look`): by whoever writes down
    that it goes out, which is no more taken back.
    """
    token, token_yet = _why_not.set(why_not), _why_not_yet.set(why_not_yet or why_not)
    try:
        yield
    finally:
        _why_not.reset(token)
        _why_not_yet.reset(token_yet)


def last_look(on: str) -> Callable[[], None]:
    """What a way calls immediately before it sends a change: behind the queue, the connection and the login.

    A target can take its time for each of them, and somebody may want the change no more by then. What this answers
    raises Withheld.
    """
    return _look(on, _why_not.get())


def earlier_look(on: str) -> Callable[[], None]:
    """The same on the way there, where waiting would be for nothing; the last look still follows."""
    return _look(on, _why_not_yet.get())


def _look(on: str, why_not: Callable[[], str]) -> Callable[[], None]:
    def look() -> None:
        if why := why_not():
            raise Withheld(on, f"nothing was sent: {why}.")

    return look


@dataclass(slots=True)
class LastLook:
    """The last look before an action goes out, and whether it was taken: until then, whatever a host answers, nothing was sent."""

    look: Callable[[], None]
    is_taken: bool = False

    def __call__(self) -> None:
        """Look. Raises Withheld."""
        self.look()
        self.is_taken = True

    @contextmanager
    def judging(self) -> Iterator[None]:
        """Say of a refusal whether the action was sent by then; a fault from before that is a refusal.

        Of what may still be under way when it is given up, such as a time-out, it says nothing.
        """
        try:
            yield
        except Withheld:
            raise
        except TargetError as error:
            if isinstance(error, TargetFault):
                error.is_refusal = error.is_refusal or not self.is_taken
            elif isinstance(error, LoginNotChecked) and self.is_taken:
                error.is_refusal = False  # a later message of it had no ticket; the first one has gone
            error.is_unsent = error.is_refusal and not self.is_taken
            raise


@contextmanager
def judged_look(on: str) -> Iterator[LastLook]:
    """Give the last look of an action, and judge by it what is raised meanwhile."""
    look = LastLook(last_look(on))
    with look.judging():
        yield look


class Slots:
    """A number of slots; questions never take the last one, which is reserved for runs.

    One person gets only a share of them at a time, so that somebody else's question finds a slot even if each takes long.
    Of those who wait, the person with the fewest slots is next; among equals, the one who was served longest ago.
    """

    def __init__(self, count: int) -> None:
        """Share so many places."""
        self._count = count
        self._for_questions = max(1, count - 1)
        self._share = max(1, count // 2)
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # in the order in which they were served last

    @property
    def is_in_use(self) -> bool:
        """Whether anybody has a place, or waits for one."""
        return bool(self._held or self._waiting)

    async def acquire(self, ends: float) -> str:
        """Wait for a place, until then on the loop's clock. Answers for whom it is. Raises TimeoutError."""
        who = _asker.get()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(turn)
        self._give()
        try:
            async with asyncio.timeout_at(ends):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self.release(who)
            else:
                self._leave(who, turn)
            raise
        return who

    def release(self, who: str) -> None:
        """Give a place back."""
        self._held[who] -= 1
        if not self._held[who]:
            del self._held[who]
        self._give()

    def _give(self) -> None:
        while ready := [who for who in self._waiting if self._may(who)]:
            who = RUNS if RUNS in ready else min(ready, key=lambda one: self._held[one])
            turn = self._waiting[who].popleft()
            others = self._waiting.pop(who)
            if others:
                self._waiting[who] = others  # last of all now
            if not turn.done():
                self._held[who] += 1
                turn.set_result(None)

    def _may(self, who: str) -> bool:
        taken = self._held.total()
        if who == RUNS:
            return taken < self._count
        if taken - self._held[RUNS] >= self._for_questions or taken >= self._count:
            return False
        return who == _NOBODY or self._held[who] < self._share

    def _leave(self, who: str, turn: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(who)
        if waiting is not None and turn in waiting:
            waiting.remove(turn)
            if not waiting:
                del self._waiting[who]
