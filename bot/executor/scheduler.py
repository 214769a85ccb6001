"""The runner: sweeps the ledger every second, starts what is approved, takes up what was left, ends what is late.

There is one per ledger that does so (`ownership`). A second process stands by and becomes the one when the first is gone,
or has lost what made it the one; runs that it began it brings to their ends, each as long as it holds that run's own lock.
Nothing is remembered here that is not in the ledger: a sweep after a crash is like any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

import structlog

from bot.api.plan import KEPT
from bot.errors import HvopsError, LedgerError, RolesUnknown, TicketError, UnreadableEntry
from bot.executor.context import BOT, RunContext, TicketChange
from bot.executor.ownership import RunLock, ownership_of
from bot.executor.permissions import recheck_roles
from bot.executor.run import Run
from bot.executor.ticket_run import NOT_PROVED, STANDS_STILL, Outlook, outlook_of, run_ticket
from bot.ledger import Entry, Filter, Ledger, TicketRow
from bot.ledger.entries import Expired, Interrupted, Lapsed, Proposed, Resumed
from bot.ledger.envelope import to_timestamp
from bot.ledger.shared_locks import Duty
from bot.ledger.store import VERIFY
from bot.ledger.ticket_state import OPEN, Ticket, TicketState
from bot.tickets.proposal import must_not_be_half_undone, proposal_of, why_half_undone
from bot.tickets.run_history import Key
from bot.transport.turns import RUNS, asking_about, asking_as

log = structlog.get_logger()

TICK_SECONDS = 1.0
LEAVING_SECONDS = 30.0  # how long an act under way may take to end when the bot is told to stop
TROUBLE_SECONDS = 60.0  # a ticket that cannot be read, or whose run met our own bug, is left alone for so long
LOOK_SECONDS = 30.0  # between two looks whether a ticket would start if it had the locks of one that only waits
CLICK_HOURS = 24  # whose press is older is told no more that it came to nothing
ANSWER_SECONDS = 60.0  # how long the answer to one recorded press may take; after it, that press decides nothing
CATCH_UP_SECONDS = 15.0  # between two looks for presses that another process took, and was killed before it answered
_IN_HAND_SECONDS = 20.0  # a younger press may be in the hands of the process that took it
_ANSWERED_AT_ONCE = 8  # tickets whose recorded presses are answered beside each other
# How long no bot may lead before cards say so: where one is replaced, the next has the duty by then.
_NOBODY_SECONDS = 10.0
_OPEN = ("approved", "running")


@dataclass(frozen=True, slots=True)
class _Needs:
    """What an approved ticket needs to start: locks, and the ticket that it takes back, or ""."""

    locks: frozenset[str]
    undoes: str

    def holders(self, held: Mapping[str, str]) -> set[str]:
        """Who has any of the locks, of those that are held. A start takes over from one of them: from two it never could."""
        return {held[lock] for lock in self.locks if lock in held}

    def kept_by(self, held: Mapping[str, str]) -> set[str]:
        """Who has one that is given to nobody but an undo."""
        return {held[lock] for lock in self.locks if lock.startswith(KEPT) and lock in held} - {self.undoes}


@dataclass(frozen=True, slots=True)
class _Now:
    """What one sweep goes by, read once however many tickets wait.

    Attributes:
        held: lock -> who has it, or is just about to take it.
        giving_way: the interrupted tickets whose locks may be had; none that cannot be read.
        asked: the tickets that are to give way to one that would start; filled by the sweep.
    """

    is_stopped: bool
    held: dict[str, str]
    giving_way: frozenset[str]
    asked: set[str] = field(default_factory=set)


class Scheduler:
    """Runs what was decided."""

    def __init__(self, parts: RunContext, missed_click: Callable[[Entry], Awaitable[None]] | None = None) -> None:
        """Take the parts.

        Args:
            parts: what runs work with.
            missed_click: answers a click about a ticket that was written down and never answered; called once for
                each of them: when this process becomes the one that runs, and later for those of another that died.

        Raises:
            LedgerError: the file of the lock cannot be made.
        """
        self._parts = parts
        self._only = ownership_of(parts.ledger)
        self._missed_click = missed_click
        self.answer_seconds = ANSWER_SECONDS
        self._wake = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._runs: dict[str, Run] = {}
        self._locks: dict[str, RunLock] = {}
        self._leaving: dict[str, asyncio.Task[None]] = {}  # runs whose lock was lost
        self._trouble: dict[str, float] = {}
        self._seen: dict[
            str, set[Key]
        ] = {}  # of runs that the ledger's trouble ended: steps in flight that were seen to take effect
        self._waiting: dict[str, str] = {}  # what was last said about what a ticket waits for
        self._needs: dict[str, _Needs] = {}  # of the tickets that are approved
        self._not_before: dict[
            str, datetime
        ] = {}  # for tickets that only need time; forgotten, they are looked at again
        self._outlooks: dict[str, tuple[Outlook, float]] = {}  # of tickets that need what another one has; seen when
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._told_unproved: frozenset[str] = frozenset()
        self._told_nobody_starts: frozenset[str] = frozenset()
        self._nobody_since: float | None = None  # since when no process at all starts what was decided
        self._has_begun = False
        self._has_told_trouble = False
        self._told_of_clock: float | None = None
        self._making_up: asyncio.Task[None] | None = None
        self._answering: set[asyncio.Task[bool]] = set()  # to recorded presses; no ticket waits for one for ever
        self._made_up: set[int] = set()  # presses that were made up for, or looked at for that
        self._catch_up_at = 0.0
        # Ticket -> presses from before this process, not answered yet.
        self._unanswered: Counter[str | None] = Counter()
        self._stops_asked = False  # somebody wants changes stopped, and was neither heeded nor refused
        self._stops_before: set[int] = set()  # such requests of earlier lives, which nobody has in hand
        self._stopping: dict[int, asyncio.Task[None]] = {}  # requests to stop that are being made up for
        self._stops_tried: dict[int, float] = {}  # when each was made up for the last time

    @property
    def is_leader(self) -> bool:
        """Whether this process runs what is decided; else another does."""
        return self._only.is_held

    def owns(self, duty: Duty) -> bool:
        """Whether this process is the one of all that has a duty."""
        return self._only.owns(duty)

    def runs_elsewhere(self, ticket: str) -> bool:
        """Whether another process runs a ticket: whatever happens to it is shown from there."""
        return self._only.runs_elsewhere(ticket)

    @property
    def trouble(self) -> str:
        """Why this process runs nothing any more, or ""."""
        return self._only.trouble

    async def _say_once(self, trouble: str) -> None:
        """Nothing acts here any more: those who wait for a ticket see it there."""
        if not trouble or self._has_told_trouble:
            return
        self._has_told_trouble = True
        log.error("this process runs no more tickets", why=trouble)
        for one in await asyncio.to_thread(self._parts.ledger.listed, _OPEN, limit=-1):
            self._parts.tell(TicketChange(one.id, "stopped", says=trouble))

    async def _say_that_nobody_starts(self, why: str) -> None:
        """Those who wait for an approved ticket see there why no bot starts it, and no more once one does. Raises LedgerError."""
        now = self._parts.monotonic()
        self._nobody_since = (now if self._nobody_since is None else self._nobody_since) if why else None
        is_so = self._nobody_since is not None and now - self._nobody_since >= _NOBODY_SECONDS
        if not is_so and not self._told_nobody_starts:
            return
        listed = await asyncio.to_thread(self._parts.ledger.listed, ("approved",), limit=-1)
        waiting = frozenset(one.id for one in listed if one.id not in self._tasks)
        if is_so:
            for ticket in waiting - self._told_nobody_starts:
                self._parts.tell(
                    TicketChange(
                        ticket,
                        "stopped",
                        says=f"Waiting for a bot whose clock is in sync: on the bot that wrote this, {why}.",
                    )
                )
            self._told_nobody_starts = waiting
            return
        for ticket in waiting & self._told_nobody_starts:
            self._parts.tell(TicketChange(ticket, "restart"))
            self._waiting.pop(ticket, None)  # what else it waits for is told anew
            self._not_before.pop(ticket, None)
        self._told_nobody_starts = frozenset()

    @property
    def parts(self) -> RunContext:
        """What its runs work with."""
        return self._parts

    def wake(self) -> None:
        """Something was decided just now: do not wait for the next second."""
        self._wake.set()

    async def take_what_is_free(self) -> None:
        """Take what this process may do for all, before anything that depends on it begins. Never raises."""
        await asyncio.to_thread(self._only.acquire)

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep until `stop` is set; then let acts under way end, and leave the rest to the next life."""
        leaving = asyncio.create_task(stop.wait())
        watching = asyncio.create_task(self._watch_duties())
        self._hear_others()
        try:
            while not stop.is_set():
                await self._guarded_sweep()
                waking = asyncio.create_task(self._wake.wait())
                await asyncio.wait({leaving, waking}, timeout=TICK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                waking.cancel()
                self._wake.clear()
        finally:
            leaving.cancel()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await self.close()

    async def _watch_duties(self) -> None:
        """Look what this process still has to do for all, beside the sweeps, which may take long; nobody else shares a file's."""
        while self._parts.ledger.shared is not None:
            try:
                await asyncio.to_thread(self._only.acquire)
            except Exception:
                log.exception("our bug in looking after the duties; it goes on", bug=secrets.token_hex(4))
            await asyncio.sleep(TICK_SECONDS)

    def _hear_others(self) -> None:
        """Do not wait for the next second when another bot appended something. What is not heard, the next sweep finds."""
        if self._parts.ledger.shared is None:
            return
        loop = asyncio.get_running_loop()

        def hear() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(self._wake.set)

        self._parts.ledger.shared.listen(hear)

    async def _guarded_sweep(self) -> None:
        """A sweep; what goes wrong in one must not end all: nothing would run, lapse or expire, and nobody would know."""
        try:
            await self.tick()
        except Exception:
            log.exception("our bug in a sweep; the next one follows", bug=secrets.token_hex(4))

    async def tick(self) -> None:
        """One look over all open tickets. Only in the process that is the one; never raises for one ticket's trouble.

        Another one, which still runs what it began, only looks whether somebody else needs what that locks.
        """
        try:
            is_leader = await asyncio.to_thread(self._only.acquire)
            await self._leave_lost_runs()
            await self._watch_clock()
            await self._say_that_nobody_starts("" if is_leader else self._only.why_nobody_starts())
            if not is_leader:
                if self._making_up is None or self._making_up.done():
                    self._has_begun = False  # whoever becomes the one again does not know what happened meanwhile
                await self._say_once(self._only.trouble)
                if self._tasks and not self._only.trouble:
                    await self._give_way_to_others()
                return
            await asyncio.to_thread(self._parts.ledger.prove)  # beside the loop: the first time it takes long
            await self._end_the_late()
            await self._heed_stop_requests()
            if self._has_begun:
                await self._catch_up()
            listed = await asyncio.to_thread(self._parts.ledger.listed, _OPEN, limit=-1, newest_first=False)
            now = await self._now(listed)
            if not self._has_begun:  # where presses cannot be read, nothing starts, and the next sweep tries again
                await self._catch_up()
            for one in listed:
                await self._look_after(one, now)
            self._ask_to_give_way(now)
            for ticket in sorted(now.giving_way):
                await self._take_locks_back(ticket, now)
            self._told_unproved = frozenset()
        except LedgerError as error:
            log.warning("the ledger cannot be used; nothing runs", why=str(error))
            self._tell_unproved()

    async def _watch_clock(self) -> None:
        """Notice soon where the clock was set: how long ago something was sent before that, it does not tell."""
        doubt = await asyncio.to_thread(self._parts.ledger.clock_doubt)
        if doubt.noticed is not None and doubt.noticed != self._told_of_clock:
            self._told_of_clock = doubt.noticed
            why = "until its time is over once more, what was sent before counts as under way"
            log.warning(
                "the clock of this machine was set, or the machine stood still", seconds=round(doubt.by), why=why
            )

    async def _leave_lost_runs(self) -> None:
        """End each run whose lock another process may have, as soon as no act is under way."""
        for ticket, lock in tuple(self._locks.items()):
            if ticket not in self._leaving and not await asyncio.to_thread(lock.is_held):
                log.warning("the lock of a run was lost; the run ends here", ticket=ticket)
                self._leaving[ticket] = asyncio.create_task(self._leave(ticket))

    async def _give_way_to_others(self) -> None:
        """Ask the runs of this process to yield what an approved ticket needs, which another process would start."""
        await asyncio.to_thread(self._parts.ledger.prove)
        listed = await asyncio.to_thread(self._parts.ledger.listed, _OPEN, limit=-1, newest_first=False)
        now = await self._now(listed)
        is_blocked = bool(await asyncio.to_thread(self._parts.ledger.why_blocked) or self._only.why_nobody_starts())
        for ticket, needs in () if is_blocked else tuple(self._needs.items()):
            holders = needs.holders(now.held)
            if len(holders) == 1 and not needs.kept_by(now.held) and not self._is_held_up(ticket):
                await self._yields(holders.pop(), ticket, now)
        self._ask_to_give_way(now)

    def _ask_to_give_way(self, now: _Now) -> None:
        """Who is asked gives way at its next pause, if it only waits; nobody does any more for one that would not start now."""
        for ticket, run in self._runs.items():
            run.preempt_requested = ticket in now.asked

    def _tell_unproved(self) -> None:
        """Whoever waits for an approved ticket to begin is told once why it does not."""
        for ticket in self._needs.keys() - self._told_unproved:
            self._parts.tell(TicketChange(ticket, "stopped", says=NOT_PROVED))
        self._told_unproved |= self._needs.keys()

    async def wait_idle(self) -> None:
        """Wait until nothing is under way in this process. For tests and for the end."""
        await asyncio.gather(*self._stopping.values(), *([self._making_up] if self._making_up is not None else ()))
        while self._tasks or self._looking:
            await asyncio.gather(*self._tasks.values(), *self._looking.values(), return_exceptions=True)

    async def close(self) -> None:
        """Leave: acts end if they do so soon, waits are left to the next life. Lets another process be the one."""
        making_up = [*self._stopping.values(), *self._answering, *([self._making_up] if self._making_up else ())]
        making_up += self._looking.values()
        for task in making_up:
            task.cancel()
        await asyncio.gather(*making_up, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVING_SECONDS):
                await asyncio.gather(*(self._leave(ticket) for ticket in tuple(self._tasks)))
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await asyncio.to_thread(self._only.close)

    async def _leave(self, ticket: str) -> None:
        """End a run as soon as no act is under way, before it begins the next one."""
        run, task = self._runs.get(ticket), self._tasks.get(ticket)
        if run is None or task is None:  # it has ended meanwhile
            return
        while not run.idle.is_set():
            await run.idle.wait()
        task.cancel()

    async def _end_the_late(self) -> None:
        """Proposals that nobody decided, approvals that nothing came of."""
        now = self._parts.now()
        for ticket in await asyncio.to_thread(self._parts.ledger.overdue, now):
            await self._end(ticket, Expired(reason="no one decided in time"))
        for ticket in await asyncio.to_thread(self._parts.ledger.expiring_approvals, now):
            if ticket not in self._tasks:
                await self._end(ticket, Lapsed(reason="it could not start in time"))

    async def _end(self, ticket: str, end: Expired | Lapsed) -> None:
        if self._is_in_trouble(ticket):
            return
        with self._apart(ticket):
            try:
                await self._parts.write(ticket, end)
            except TicketError as late:  # somebody decided between the look and the transaction
                log.info("not ended", ticket=ticket, why=str(late))
                return
            self._parts.tell(TicketChange(ticket, end.kind, says=end.reason))

    @contextlib.contextmanager
    def _apart(self, ticket: str) -> Iterator[None]:
        """Keep what is wrong with one ticket from all others: it stands still for a while, and the log says why.

        What is wrong with the whole ledger is nothing of this ticket's, and goes on to whoever called.
        """
        try:
            yield
        except HvopsError as error:
            if isinstance(error, LedgerError) and not isinstance(error, UnreadableEntry):
                self._parts.tell(TicketChange(ticket, "stopped", says=NOT_PROVED))
                raise
            self._stands_still(ticket, error)

    def _stands_still(self, ticket: str, error: HvopsError) -> None:
        self._in_trouble(ticket)
        log.warning("a ticket cannot be read and stands still", ticket=ticket, why=str(error))

    async def _now(self, listed: Iterable[TicketRow]) -> _Now:
        """How everything stands. What was proposed never changes, so needs are read once, and forgotten afterwards."""
        ledger = self._parts.ledger
        waiting = [one for one in listed if one.state == TicketState.APPROVED]
        needed = {one.id: self._needs.get(one.id) or await self._read_needs(one) for one in waiting}
        self._needs = {ticket: needs for ticket, needs in needed.items() if needs is not None}
        self._outlooks = {ticket: seen for ticket, seen in self._outlooks.items() if ticket in self._needs}
        begun = {lock: ticket for ticket in self._tasks if ticket in self._needs for lock in self._needs[ticket].locks}
        yielding = await asyncio.to_thread(ledger.yielding_tickets)
        kept = {one.id for one in listed}.union(yielding)
        self._waiting = {ticket: says for ticket, says in self._waiting.items() if ticket in kept}
        giving_way = frozenset([ticket for ticket in yielding if await self._gives_way(ticket)])
        is_stopped, held = await asyncio.to_thread(lambda: (ledger.is_stopped(), ledger.locks()))
        return _Now(is_stopped, begun | held, giving_way)

    async def _gives_way(self, ticket: str) -> bool:
        """Whether that can be read out of its entries: nobody takes locks over from a ticket that stands still."""
        found = None
        if not self._is_in_trouble(ticket):
            with self._apart(ticket):
                found = await asyncio.to_thread(self._parts.ledger.ticket, ticket)
        return found is not None and found.yields_locks

    async def _look_after(self, one: TicketRow, now: _Now) -> None:
        """Start or take up one ticket, if it is its turn."""
        if one.id in self._tasks or self._is_in_trouble(one.id) or self._waits_for_presses(one.id):
            return
        if self._only.runs_elsewhere(one.id):
            return
        with self._apart(one.id):
            if one.state == TicketState.RUNNING or (not now.is_stopped and await self._may_start(one, now)):
                await self._begin(one.id)
                if needs := self._needs.get(one.id):
                    now.held.update(dict.fromkeys(needs.locks, one.id))  # the next one that wants them waits at once

    async def _begin(self, ticket: str) -> None:
        # one that cannot be read takes no locks from those that can
        await asyncio.to_thread(self._parts.ledger.ticket, ticket)
        proposal = await asyncio.to_thread(proposal_of, self._parts.ledger, ticket)
        run = Run(self._parts, ticket, proposal, seen_begun=self._seen.pop(ticket, set()))
        self._outlooks.pop(ticket, None)
        self._runs[ticket] = run
        task = asyncio.create_task(self._guarded(run), name=ticket)
        self._tasks[ticket] = task
        task.add_done_callback(lambda _: self._forget(ticket))

    def _forget(self, ticket: str) -> None:
        self._tasks.pop(ticket, None)
        self._leaving.pop(ticket, None)
        run = self._runs.pop(ticket, None)
        if run is not None and run.not_before is not None:
            self._wait(ticket, run.not_before)
        else:
            self._not_before.pop(ticket, None)
        self._wake.set()  # its locks may be what another one waits for

    def _wait(self, ticket: str, until: datetime) -> None:
        """Leave one alone that waits for time, for people or for what is outside: at least until whoever gave way to it goes on."""
        self._not_before[ticket] = max(until, self._parts.now() + timedelta(seconds=TICK_SECONDS))

    async def _guarded(self, run: Run) -> None:
        """Run a ticket while its lock is held; whatever is our own fault leaves it interrupted, never silently stuck or repeated."""
        try:
            lock = await self._locked(run.ticket)
        except LedgerError as error:
            self._in_trouble(run.ticket, TICK_SECONDS)
            log.warning("the lock of a run cannot be taken; it waits", ticket=run.ticket, why=str(error))
            return
        if lock is None:  # another process runs it
            return
        self._locks[run.ticket] = lock
        run.must_lead = lock.must_be_held
        run.locked_at = self._parts.monotonic()
        try:
            await self._run_locked(run, lock)
        finally:
            self._locks.pop(run.ticket, None)
            await asyncio.shield(asyncio.to_thread(lock.close))

    async def _locked(self, ticket: str) -> RunLock | None:
        """The lock of a run; not left behind where this is cancelled meanwhile. Raises LedgerError."""
        taking = asyncio.create_task(asyncio.to_thread(self._only.lock_run, ticket))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            with contextlib.suppress(LedgerError):
                if (lock := await taking) is not None:
                    await asyncio.to_thread(lock.close)
            raise

    async def _run_locked(self, run: Run, lock: RunLock) -> None:
        try:
            with asking_as(RUNS), asking_about(run.proposal.places):
                await run_ticket(run)
        except UnreadableEntry as error:
            self._stands_still(run.ticket, error)
        except LedgerError as error:
            self._seen[run.ticket] = run.seen_begun
            self._in_trouble(run.ticket, TICK_SECONDS)
            log.warning("the ledger cannot be used; the run stands still", ticket=run.ticket, why=str(error))
            if run.now_at is not None:
                shared = self._parts.ledger.shared
                clock = shared.clock_trouble() if shared is not None else ""
                run.tell("stopped", f"This run is on hold here: {clock}." if clock else STANDS_STILL)
        except Exception as error:
            if not await asyncio.to_thread(lock.is_held):  # whoever is the one now has taken it up, and goes on with it
                log.warning(
                    "this process is no longer the one that runs this ticket; its run ends",
                    ticket=run.ticket,
                    why=str(error),
                )
                return
            bug = secrets.token_hex(4)
            log.exception("our bug in a run", bug=bug, ticket=run.ticket)
            self._in_trouble(run.ticket)
            why = str(error) if isinstance(error, HvopsError) else f"something went wrong inside hvops (id {bug})"
            with contextlib.suppress(HvopsError):
                step = run.now_at.step.key if run.now_at else ""
                is_seen = run.now_at is not None and run.was_seen_begun(run.now_at.key)
                effect: Literal["", "seen"] = "seen" if is_seen else ""
                await run.write(Interrupted(attempt=run.attempt, step=step, known="", reason=why, effect=effect))

    def _in_trouble(self, ticket: str, seconds: float = TROUBLE_SECONDS) -> None:
        now = asyncio.get_running_loop().time()
        self._trouble = {one: until for one, until in self._trouble.items() if until > now} | {ticket: now + seconds}

    def _is_in_trouble(self, ticket: str) -> bool:
        return self._trouble.get(ticket, 0) > asyncio.get_running_loop().time()

    async def _may_start(self, one: TicketRow, now: _Now) -> bool:
        """Whether its locks are free, or can be had from one other. Whoever only waits for days is asked to give way."""
        if self._is_not_due(one.id):
            return False
        needs = self._needs.get(one.id)
        if needs is None:  # its proposal could not be read in this sweep
            return False
        ticket, says = one.id, ""
        if self._outlook(ticket) is Outlook.ENDS:
            return True
        holders, kept = needs.holders(now.held), needs.kept_by(now.held)
        if kept or len(holders) > 1:  # nobody is asked to give way in vain
            waits_for = kept or holders - {needs.undoes}
        else:
            waits_for = {holder for holder in holders if not await self._yields(holder, ticket, now)}
        if waits_for:
            says = f"{ticket} waits for {' and '.join(sorted(waits_for))}, which {_hold(waits_for)} what it needs."
        if len(holders) > 1 and not kept:
            says += " It can take over from one ticket, not from several."
        if says and self._waiting.get(ticket) != says:
            self._parts.tell(TicketChange(ticket, "locked", says=says))
        self._waiting[ticket] = says
        return not waits_for

    async def _read_needs(self, one: TicketRow) -> _Needs | None:
        """Out of the proposal; that it is the one that was signed is proved when it begins. None: it cannot be read."""
        needs = None
        if not self._is_in_trouble(one.id):
            with self._apart(one.id):
                entry = await asyncio.to_thread(self._parts.ledger.entry, one.first_entry)
                if entry is not None and entry.ticket != one.id:
                    raise LedgerError(f"The ticket table shows {one.id} with the proposal of {entry.ticket}. {VERIFY}")
                needs = _needs_in(entry) if entry else _Needs(frozenset(), "")
        return needs

    async def _yields(self, holder: str, ticket: str, now: _Now) -> bool:
        """Whether the holder's locks can be taken over now by a ticket. Only one that would start then has it asked to give way."""
        if holder in now.giving_way:
            return True
        if holder == self._needs[ticket].undoes:
            found = await asyncio.to_thread(self._parts.ledger.ticket, holder)
            return found is not None and found.state is TicketState.INTERRUPTED
        run = self._runs.get(holder)
        if run is not None and run.may_be_asked_to_give_way and self._would_start(ticket):
            now.asked.add(holder)
        return False

    def _would_start(self, ticket: str) -> bool:
        """Whether a look has shown so, not long ago; the look is beside the sweeps, since hosts and people are asked for it."""
        now = asyncio.get_running_loop().time()
        seen = self._outlooks.get(ticket)
        if ticket not in self._looking and (seen is None or now - seen[1] >= LOOK_SECONDS):
            task = self._looking[ticket] = asyncio.create_task(self._look_ahead(ticket))
            task.add_done_callback(partial(self._forget_look, ticket))
        return self._outlook(ticket) is Outlook.STARTS

    def _outlook(self, ticket: str) -> Outlook | None:
        """What the last look showed; None where there was none, or it is too old while the next one takes its time."""
        found, at = self._outlooks.get(ticket, (None, 0.0))
        return found if asyncio.get_running_loop().time() - at < 2 * LOOK_SECONDS else None

    def _forget_look(self, ticket: str, _task: asyncio.Task[None]) -> None:
        self._looking.pop(ticket, None)
        self._wake.set()

    async def _look_ahead(self, ticket: str) -> None:
        """Look how far an approved ticket would come, without its locks."""
        try:
            run = Run(self._parts, ticket, await asyncio.to_thread(proposal_of, self._parts.ledger, ticket))
            with asking_as(RUNS), asking_about(run.proposal.places):
                found = await outlook_of(run)
        except UnreadableEntry as error:
            self._stands_still(ticket, error)
        except LedgerError as error:
            self._in_trouble(ticket, TICK_SECONDS)
            log.warning("the ledger cannot be used; nobody gives way", ticket=ticket, why=str(error))
        except Exception:
            self._in_trouble(ticket)
            log.exception("our bug in a look ahead; nobody gives way", bug=secrets.token_hex(4), ticket=ticket)
        else:
            self._outlooks[ticket] = (found, asyncio.get_running_loop().time())
            if run.not_before is not None:
                self._outlooks.pop(ticket)
                # Whose locks it needs is told again once it is due.
                self._waiting.pop(ticket, None)
                self._wait(ticket, run.not_before)

    def _is_not_due(self, ticket: str) -> bool:
        ripe = self._not_before.get(ticket)
        return ripe is not None and self._parts.now() < ripe

    def _is_held_up(self, ticket: str) -> bool:
        """Whether it would not be started now, also if nobody had its locks."""
        return self._is_in_trouble(ticket) or self._is_not_due(ticket) or self._waits_for_presses(ticket)

    async def _take_locks_back(self, ticket: str, sweep: _Now) -> None:
        """Who gave way goes on once its locks are free, and nobody who could have them waits for them."""
        with self._apart(ticket):
            ledger = self._parts.ledger
            seen = await asyncio.to_thread(ledger.proved_up_to)
            now = await asyncio.to_thread(ledger.ticket, ticket)
            if now is None or not now.yields_locks or self._waits_for_presses(ticket):  # somebody may have closed it
                return
            held = await asyncio.to_thread(ledger.locks)
            others = {holder for lock, holder in held.items() if lock in now.locks and holder != ticket}
            waiting = [
                needs
                for one, needs in self._needs.items()
                if not sweep.is_stopped and not self._is_held_up(one) and len(needs.holders(held)) <= 1
            ]
            # Whoever needs one of these waits for this one.
            kept = {lock for lock in now.locks if lock.startswith(KEPT)}
            wanted = {lock for needs in waiting for lock in needs.locks if not kept & needs.locks}
            if others or wanted & now.locks or not await self._may_resume(ticket):
                return
            await self._resume(now, seen)

    async def _may_resume(self, ticket: str) -> bool:
        """Whether the bot may let it go on by itself: its time is not over, its people hold their roles, no undo has begun."""
        again = self._not_before.get(ticket)
        run = Run(self._parts, ticket, await asyncio.to_thread(proposal_of, self._parts.ledger, ticket))
        if run.is_late() or (again is not None and self._parts.now() < again):
            return False
        await asyncio.to_thread(run.refresh)
        found = await recheck_roles(run)
        says = await asyncio.to_thread(why_half_undone, self._parts.ledger, ticket) or found.lost or found.unknown
        if says:
            self._not_before[ticket] = self._parts.now() + timedelta(seconds=TROUBLE_SECONDS)
            if self._waiting.get(ticket) != says:
                self._parts.tell(TicketChange(ticket, "roles", says=f"It does not resume by itself: {says}"))
        self._waiting[ticket] = says
        return not says

    async def _resume(self, now: Ticket, seen: int) -> None:
        locks = tuple(sorted(now.locks))
        resumed = Resumed(attempt=now.attempt + 1, by=BOT, locks=locks, reason="its locks are free again")
        try:
            check = partial(must_not_be_half_undone, self._parts.ledger, now.id, seen)
            await self._parts.write(now.id, resumed, check=check)
        except TicketError as error:
            log.info("not resumed", ticket=now.id, why=str(error))
            return
        self._parts.tell(TicketChange(now.id, "resumed"))

    async def _catch_up(self) -> None:
        """Make up for presses that nobody answered: first those of earlier lives, later those of a process that died.

        Slack gives a press to any process that is connected; the one that took it may be killed while this one runs on.
        Raises LedgerError.
        """
        now = asyncio.get_running_loop().time()
        is_busy = self._making_up is not None and not self._making_up.done()
        if self._has_begun and (is_busy or now < self._catch_up_at):
            return
        found = [click for click in await self._missed_clicks() if click.ticket is not None]
        missed = [click for click in found if click.seq not in self._made_up]
        if self._has_begun:
            last = to_timestamp(self._parts.now() - timedelta(seconds=_IN_HAND_SECONDS))
            missed = [click for click in missed if click.at <= last]
        self._has_begun, self._catch_up_at = True, now + CATCH_UP_SECONDS
        taken = {click.seq for click in missed}
        self._made_up = {click.seq for click in found if click.seq in taken or click.seq in self._made_up}
        # Beside the sweeps: a thousand presses are answered one by one, and only their own tickets wait for it.
        self._unanswered = Counter(click.ticket for click in missed)
        self._making_up = asyncio.create_task(self._make_up_for(missed))

    async def _heed_stop_requests(self) -> None:
        """Make up for each request to stop changes that is neither in force nor refused; nothing starts while there is one.

        In each sweep and in a lane of its own: no other press, and nobody whom Slack does not name, keeps it waiting. What the
        proved entries say counts, and not what this process took or told: whoever took it may not have come to its end.
        One that may still be in somebody's hands holds as much, and is left to them at first. One from before the first sweep is in nobody's hands.
        Raises LedgerError.
        """
        if self._missed_click is None:
            return
        asked = await asyncio.to_thread(self._parts.ledger.stop_requests)
        self._stops_asked = bool(asked)
        if not self._has_begun:
            self._stops_before = {click.seq for click in asked}
        last = to_timestamp(self._parts.now() - timedelta(seconds=_IN_HAND_SECONDS))
        asked = [click for click in asked if click.at <= last or click.seq in self._stops_before]
        now = asyncio.get_running_loop().time()
        self._stops_tried = {
            click.seq: self._stops_tried[click.seq] for click in asked if click.seq in self._stops_tried
        }
        for click in asked:  # of few people, and each until it is heeded
            again = self._stops_tried.get(click.seq, -CATCH_UP_SECONDS) + CATCH_UP_SECONDS
            if click.seq not in self._stopping and now >= again:
                self._stops_tried[click.seq] = now
                task = asyncio.create_task(self._make_up_for_stop(click))
                self._stopping[click.seq] = task
                task.add_done_callback(partial(self._forget_stop, click.seq))

    def _forget_stop(self, seq: int, _task: asyncio.Task[None]) -> None:
        self._stopping.pop(seq, None)

    async def _make_up_for_stop(self, click: Entry) -> None:
        """Heed it, or refuse it. What hangs is given up, and tried again later."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.answer_seconds):
                await self._answer(click)
        if await asyncio.to_thread(self._is_open_stop, click):
            log.warning("a request to stop changes is pending; nothing starts until it is answered", click=click.seq)
        self._wake.set()

    def _waits_for_presses(self, ticket: str) -> bool:
        """Whether a press on it of before a crash is not answered yet, or a request to stop everything."""
        return bool(self._unanswered[ticket] or self._stops_asked)

    async def _missed_clicks(self) -> list[Entry]:
        """Clicks that were written down and never answered, because whoever took them was gone. Raises LedgerError."""
        if self._missed_click is None:
            return []
        since = self._parts.now() - timedelta(hours=CLICK_HOURS)
        return await asyncio.to_thread(missed_clicks, self._parts.ledger, since)

    async def _make_up_for(self, missed: Iterable[Entry]) -> None:
        """Answer them, each once. A ticket does nothing before its own are answered: one may have withdrawn it."""
        by_ticket: dict[str | None, list[Entry]] = {}
        for click in missed:
            by_ticket.setdefault(click.ticket, []).append(click)
        turns = asyncio.Semaphore(_ANSWERED_AT_ONCE)
        await asyncio.gather(*(self._make_up_in_order(clicks, turns) for clicks in by_ticket.values()))

    async def _make_up_in_order(self, clicks: Iterable[Entry], turns: asyncio.Semaphore) -> None:
        """One ticket's. One that hangs (Slack does not say who that is) holds it no longer than it counts itself."""
        for click in clicks:
            async with turns:
                answering = asyncio.create_task(self._answer(click))
                self._answering.add(answering)
                answering.add_done_callback(self._answering.discard)
                await asyncio.wait({answering}, timeout=self.answer_seconds)
                if not answering.done():
                    log.warning("a recorded press is not answered in time; its ticket goes on", click=click.seq)
                self._unanswered[click.ticket] -= 1

    def _is_open_stop(self, click: Entry) -> bool:
        """Whether that asks for a stop of changes that is neither in force nor refused."""
        try:
            return any(one.seq == click.seq for one in self._parts.ledger.stop_requests())
        except LedgerError:  # nothing starts now in any case
            return True

    async def _answer(self, click: Entry) -> bool:
        """Answer one; False where nobody can say now who that is."""
        assert self._missed_click is not None
        try:
            await self._missed_click(click)
        except RolesUnknown as error:
            log.info("nobody can say who pressed", click=click.seq, why=str(error))
            return False
        except HvopsError as error:  # a refusal is an answer too, and stands in the ledger
            log.info("late click refused", click=click.seq, why=str(error))
        except Exception:
            log.exception("our bug in a late click; the next one follows", click=click.seq)
        return True


def missed_clicks(ledger: Ledger, since: datetime) -> list[Entry]:
    """The `clicked` entries that name a ticket, or ask for a stop, and that no later entry answers, oldest first.

    All since then are looked at, however many there are: whoever presses a thousand times buries nobody else's press.
    The list of clicks tells only which tickets to look at, beside all that are open: what is made up for stands among the
    proved entries of its ticket. Of a ticket that is open, older ones are among them, as long as nobody has approved it or
    let it go on since: who asked for an end hours before the bot came back is still to be heard. So is, however long ago,
    a request to stop changes that nobody answered; which ones there are, the proved entries say, and no list.
    """
    clicked = list(ledger.every(Filter(kind="clicked", since=since)))
    pressed = {one.ticket for one in clicked if one.ticket is not None}
    waiting = {one.id for one in ledger.listed(OPEN, limit=-1)}
    first, found = to_timestamp(since), ledger.stop_requests()
    for ticket in pressed | waiting:
        try:
            story = ledger.story(ticket)
        except UnreadableEntry as error:  # of this ticket alone; it does not run either
            log.warning("presses on a ticket that cannot be read are not answered", ticket=ticket, why=str(error))
            continue
        answered = {one.click for one in story if one.click}
        decided = max((one.seq for one in story if one.kind in ("approved", "resumed") and one.actor != BOT), default=0)
        clicks = (one for one in story if one.kind == "clicked" and one.seq not in answered)
        found += [one for one in clicks if one.at >= first or (ticket in waiting and one.seq > decided)]
    return sorted(found, key=lambda one: one.seq)


def _hold(tickets: set[str]) -> str:
    return "holds" if len(tickets) == 1 else "hold"


def _needs_in(entry: Entry) -> _Needs:
    proposed = entry.read(Proposed)
    try:
        return _Needs(frozenset(proposed.plan["locks"]), proposed.undoes)
    except (KeyError, TypeError) as error:
        why = f"The plan in entry {entry.seq} does not say what it locks: {error!r}."
        raise UnreadableEntry(why, entry.seq) from None
