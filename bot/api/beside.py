"""Long work beside the event loop, of which those who ask have threads of their own.

What a host lists can be long, and so can what is made of it. The threads that everybody needs, to write into the ledger and to
decide, are few: work for a question of a person is never on them, so that however much of it there is it holds up no decision
and no run. Of the threads for questions a person has one at a time: nobody else waits for what one person has worked out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from typing import ParamSpec, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")
P = ParamSpec("P")

# More at a time are no quicker, since Python works on one thing at once, but fairer: whoever asks about a host that tells much
# has one of them until all of that is searched.
_questions = ThreadPoolExecutor(4, "questions")
_asker: ContextVar[str] = ContextVar("asker_of_long_work", default="")
# Of each event loop and person; gone with the last work that waits for it.
_turns: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()


@contextmanager
def for_a_question_of(person: str) -> Iterator[None]:
    """All work inside is for a question of this person; "" where it is for none."""
    token = _asker.set(person)
    try:
        yield
    finally:
        _asker.reset(token)


async def beside(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Work on a thread, with what is known of the task that waits. Raises whatever it raises.

    Whoever waits no more gives the thread back only once the work has ended: nobody can end a thread.
    """
    loop, person = asyncio.get_running_loop(), _asker.get()
    call = partial(copy_context().run, work, *args, **kwargs)
    if not person:
        return await loop.run_in_executor(None, call)
    turn = _turns.setdefault((id(loop), person), asyncio.Lock())
    await turn.acquire()
    try:
        working = loop.run_in_executor(_questions, call)
    except BaseException:
        turn.release()
        raise
    working.add_done_callback(lambda _: turn.release())
    return await asyncio.shield(working)
