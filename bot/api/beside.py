"""Long work beside the event loop, of which those who ask have threads of their own.

What a host lists can be long, and so can what is made of it. The threads that everybody needs, to write into the ledger and to
decide, are few: work for a question of a person is never on them, so that however much of it there is it holds up no decision
and no run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from typing import ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

_questions = ThreadPoolExecutor(2, "questions")  # more at a time would be no quicker: Python works on one thing at once
_is_for_a_question: ContextVar[bool] = ContextVar("is_for_a_question", default=False)


@contextmanager
def for_a_question(*, is_one: bool) -> Iterator[None]:
    """All work inside is for a question of a person, or is not."""
    token = _is_for_a_question.set(is_one)
    try:
        yield
    finally:
        _is_for_a_question.reset(token)


async def beside(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Work on a thread, with what is known of the task that waits. Raises whatever it raises."""
    threads = _questions if _is_for_a_question.get() else None
    call = partial(copy_context().run, work, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(threads, call)
