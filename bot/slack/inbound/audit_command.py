"""`/audit`: asked and answered like any other question, and like those in the ledger before anybody sees the answer.

What a button needs stands in the `answered` entry of its token: the line, and the entry from which it counts back, so
that pages do not move under whoever turns them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from bot.api.command import Role
from bot.audit import filter_syntax
from bot.audit.filter_syntax import AuditQuery
from bot.audit.query import Review
from bot.audit.rows import Row
from bot.dispatch import authorization
from bot.dispatch.authorization import Person
from bot.dispatch.command_line import read_typed
from bot.dispatch.pipeline import Pipeline, Request, RequestContext
from bot.dispatch.turns import Turns
from bot.errors import LedgerError, UsageError
from bot.ledger import ChainStatus, Entry, Ledger
from bot.ledger.entries import Answered, Asked
from bot.slack.outbound.message import File, Message
from bot.slack.render.audit_results import AuditAnswer, audit_csv, audit_message, headline

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EarlierAnswer:
    """An earlier answer.

    Attributes:
        asked: the number of its `asked` entry: only what is older belongs to it.
        at: when it was asked: "24 h" count back from there.
        place: the channel it was asked in, or "".
    """

    token: str
    wanted: AuditQuery
    asked: int
    at: datetime
    place: str


class AuditCommand:
    """Answers about the ledger, out of it.

    A search takes seconds once there are hundreds of thousands of entries, and a file of fifty thousand rows half a minute: one
    of each person is under way, each on a reader and a thread that nothing else waits for, and one file of all people.
    """

    def __init__(self, pipeline: Pipeline, for_files: Review, *reviews: Review) -> None:
        """Take what writes refusals, and reviews with a reader of their own: as many searches are under way at a time."""
        self._pipeline = pipeline
        self._ledger: Ledger = pipeline.ledger
        self._free: asyncio.Queue[Review] = asyncio.Queue()
        for one in reviews:
            self._free.put_nowait(one)
        self._for_files: asyncio.Queue[Review] = asyncio.Queue()
        self._for_files.put_nowait(for_files)
        self._searches = Turns(1, pipeline.turns.seconds)
        # Apart from them: whoever waits for somebody else's file still searches.
        self._files = Turns(1, pipeline.turns.seconds)
        self._threads = ThreadPoolExecutor(1 + len(reviews), "search")

    def close(self) -> None:
        """Begin no search that waits."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def answer(self, request: Request) -> Message:
        """Answer a line. Raises PermissionDenied, UsageError; both stand in the ledger."""
        return await self._in_turn(request, partial(self._answer, request))

    async def page(self, request: Request, token: str, number: int) -> Message:
        """Another page of an answer. Raises PermissionDenied, UsageError."""
        return await self._in_turn(request, partial(self._turn, request, token, number))

    async def csv(self, request: Request, token: str, send: Callable[[tuple[File, int]], Awaitable[None]]) -> None:
        """All rows of an answer as a file, and whether there are more than it takes. Raises PermissionDenied, UsageError.

        It is held as long as `send` takes, and so is the turn of who asked: a few are held at a time.
        """
        await self._in_turn(request, partial(self._csv, request, token), send)

    async def story(self, request: Request, ticket: str, tell: Callable[[tuple[Entry, ...]], T]) -> T:
        """What `tell` makes of every entry of a ticket, beside the loop: there may be tens of thousands.

        Raises PermissionDenied, UsageError.
        """
        return await self._in_turn(request, lambda _, review: tell(review.story(request.person, ticket)))

    async def story_file(
        self,
        request: Request,
        ticket: str,
        tell: Callable[[tuple[Entry, ...]], File],
        send: Callable[[File], Awaitable[None]],
    ) -> None:
        """The same as a file, held as long as `send` takes. Raises PermissionDenied, UsageError."""
        await self._in_turn(request, lambda _, review: tell(review.story(request.person, ticket)), send)

    async def recent(self, person: Person, most: int) -> tuple[tuple[Row, ...], ChainStatus | None]:
        """The changes that ended last, and how the chain is. Raises PermissionDenied."""
        return await self._search(person.id, lambda review: (review.recently_ended(person, most), self._look()))

    async def last_answers(self, person: Person, most: int) -> list[Entry]:
        """The newest answers that this person got, the newest first."""
        return await self._search(person.id, lambda review: review.last_answers(person, most))

    async def kept(self, token: str) -> EarlierAnswer:
        """The answer behind a button. Raises UsageError where there is none."""
        return await asyncio.to_thread(self._kept, token)

    async def _in_turn(
        self,
        request: Request,
        work: Callable[[RequestContext, Review], T],
        send: Callable[[T], Awaitable[None]] | None = None,
    ) -> T:
        """Search when it is this person's turn, and send what was found in it: a search is a question as well.

        What goes wrong stands in the ledger.
        """
        async with AsyncExitStack() as turn:
            recording = self._pipeline.recording_refusals_beside(request)
            async with AsyncExitStack() as searching, recording as asking:
                await turn.enter_async_context(self._pipeline.turns.take(request.person.id))
                turns, free = (self._searches, self._free) if send is None else (self._files, self._for_files)
                await searching.enter_async_context(turns.take(request.person.id))
                found = await self._beside(partial(work, asking), free)
            if send is not None:
                await send(found)
            return found

    async def _search(self, person: str, work: Callable[[Review], T]) -> T:
        """The same of what is no question. Raises TooManyQuestions."""
        async with self._searches.take(person):
            return await self._beside(work, self._free)

    async def _beside(self, work: Callable[[Review], T], free: asyncio.Queue[Review]) -> T:
        """Search with a reader that is free, in the order in which people came, on a thread that waits for nothing else."""
        review = await free.get()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, review)
        finally:
            free.put_nowait(review)

    def _answer(self, request: Request, asking: RequestContext, review: Review) -> Message:
        asking.command = filter_syntax.NAME
        with authorization.no_hints_for_strangers(request.person):
            wanted = filter_syntax.read(request.reading.rest)
        asking.target = wanted.place
        authorization.require_role(request.person, Role.VIEWER)
        asking.entry = asked = self._ledger.append(request.person.id, _asked(request, wanted))
        at = datetime.fromisoformat(asked.at)
        page = review.page(request.person, wanted, at, asked.seq)
        answer = AuditAnswer(secrets.token_urlsafe(12), wanted, page, self._look())
        self._ledger.append(request.person.id, _answered(asked, answer, review.places(wanted)))
        return audit_message(answer)

    def _turn(self, request: Request, token: str, number: int, _: RequestContext, review: Review) -> Message:
        with authorization.no_hints_for_strangers(request.person):
            kept = self._kept(token)
            page = review.page(request.person, kept.wanted, kept.at, kept.asked, max(number, 0))
            return audit_message(AuditAnswer(token, kept.wanted, page, self._look()))

    def _csv(self, request: Request, token: str, _: RequestContext, review: Review) -> tuple[File, int]:
        with authorization.no_hints_for_strangers(request.person):
            kept = self._kept(token)
            return audit_csv(kept.wanted, review.iter_all(request.person, kept.wanted, kept.at, kept.asked))

    def _kept(self, token: str) -> EarlierAnswer:
        entry = self._ledger.find_answer(token)
        answered = entry.read(Answered) if entry else None
        asked = self._ledger.entry(answered.asked) if answered and answered.command == filter_syntax.NAME else None
        if asked is None:
            raise UsageError("That answer is no longer known. Type the command again.", filter_syntax.USAGE)
        behind = read_typed(asked.line).rest
        place = asked.read(Asked).place
        return EarlierAnswer(token, filter_syntax.read(behind), asked.seq, datetime.fromisoformat(asked.at), place)

    def _look(self) -> ChainStatus | None:
        """How the chain is; None where nobody can look: the answer says so, and is given all the same."""
        try:
            return self._ledger.check_recent()
        except LedgerError:
            return None


def _asked(request: Request, wanted: AuditQuery) -> Asked:
    return Asked(
        name=request.person.name,
        line=str(wanted),
        command=filter_syntax.NAME,
        target=wanted.place,
        via=request.via,
        place=request.place,
        click=request.answers,
    )


def _answered(asked: Entry, answer: AuditAnswer, places: tuple[str, ...]) -> Answered:
    chain = answer.chain
    return Answered(
        asked=asked.seq,
        answer=answer.token,
        name=asked.name,
        line=asked.line,
        command=filter_syntax.NAME,
        target=answer.wanted.place,
        places=tuple(sorted(places)),
        verdict=headline(answer),
        rows=len(answer.page.rows),
        chain_holds_to=chain.to if chain else None,
    )
