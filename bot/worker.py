"""A site's worker: asks and changes the machines of its own site, for bots that have no route there.

It takes tasks from the queue and trusts nothing of them but the MAC of a bot of its site's; each question and each action
then goes through the same allowlists and rules as at a bot, with logins that never leave the site. It has no ledger, no key of one,
and does not speak to Slack.

    take      a task; check its MAC, its site, its time
    check     its machine is of this site; the action is one of the approved plan's, and could be sent at all
    begin     of an action: a committed row, immediately before it goes out; without it nothing goes out
    answer    each answer as soon as it is there; again and again until the queue has it
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
import secrets
import signal
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Protocol
from weakref import WeakValueDictionary

import structlog

from bot.api.actions import InvokeMethod, RowTransaction, RunProgram
from bot.api.queries import GuestQuery, Query, RunReader
from bot.api.rows import Cell, Rows
from bot.config.inventory_file import COMMVAULT, InventoryFile
from bot.config.inventory_file import load as load_inventory
from bot.config.settings import Settings
from bot.dispatch.inventory import Inventory
from bot.errors import (
    MalformedResponse,
    NotBegun,
    OutcomeUnknown,
    PolicyViolation,
    SettingsError,
    TargetError,
    UsageError,
    Withheld,
)
from bot.executor.actions import EVENT, definitely_not_executed, perform
from bot.memory import give_memory_back
from bot.redaction import MASKED, SESSION_TOKENS, Redactor, clip
from bot.services import connections_to
from bot.transport.allowlist.web_probe import PROBES
from bot.transport.bounds import is_longer
from bot.transport.client import QueryResult
from bot.transport.name_lookup import Loop
from bot.transport.permitted import why_not_sent
from bot.transport.sites.database import QueueAway, QueueRefuses
from bot.transport.sites.inbox import Inbox, NotOurs, Task, Unread
from bot.transport.sites.keys import read_site_key
from bot.transport.sites.membership import only
from bot.transport.sites.messages import (
    Answer,
    decode_action,
    decode_query,
    dumps,
    encode_answer,
    encode_error,
    fingerprint,
    get_list,
    get_seconds,
    get_text,
    texts_of,
)
from bot.transport.sites.signing import SiteKey
from bot.transport.turns import RUNS, asking_as, sending_unless
from bot.version import code_version

log = structlog.get_logger()

POLL_SECONDS = 0.2
_BEATS = 3  # in the time after which a worker counts as silent
_AT_ONCE = 256  # tasks of questions: what they ask at once is bounded where it is asked
_PART = 2**20  # characters of answers that make a part of a reply
_MOST = 8 * 2**20  # characters of one answer
_SMALL, _FEW = 2**15, 100  # characters and rows of an answer that takes no time to write down
# Threads on which longer ones are written: the others are for what an action has to ask before it goes out.
_WRITERS = 2
_FENCE_SECONDS = 12.0  # in which the queue has to say that an act may begin
_SEND_AGAIN = 60.0  # seconds beyond its time in which a reply is still sent
_ENDING_SECONDS = 90.0  # that an act in progress has when the worker is told to end
_TOO_LATE = "it is too late"
_UNCONFIRMED = "the queue did not confirm in time that it may begin"
_REMEMBERED = 10_000  # actions, against a row that is shown twice


class Client(Protocol):
    """What asks and acts (`transport.TargetClient`)."""

    async def answer(self, question: Query, seconds: float) -> QueryResult:
        """Ask. Raises TargetError."""
        ...

    async def invoke(self, action: InvokeMethod, seconds: float) -> QueryResult:
        """Call a method. Raises TargetError."""
        ...

    async def change(self, action: RunProgram, seconds: float) -> QueryResult:
        """Run a program that changes something. Raises TargetError."""
        ...

    async def update(self, action: RowTransaction, seconds: float) -> QueryResult:
        """Change rows of a database. Raises TargetError."""
        ...


@dataclass(frozen=True, slots=True)
class Machines:
    """What a worker knows of its site.

    Attributes:
        meet: gets to know a host by its name, so that it can be reached; raises PolicyViolation for one of no cluster of the site's.
        meet_of: the same of one that is only read, and of which the bot has heard that it is of that cluster ("" for none).
        mask: knows the site's secrets.
        names: what it reaches, for doctor.
    """

    client: Client
    meet: Callable[[str], Awaitable[None]]
    meet_of: Callable[[str, str], Awaitable[None]]
    mask: Redactor = field(default_factory=Redactor)
    names: tuple[str, ...] = ()


class Fence:
    """Whether one action may go out: asked immediately before it does, from another thread than the loop's; it is written down once."""

    def __init__(self, begin: Callable[[], Awaitable[str]], begin_by: float) -> None:
        """`begin` answers "" where the row was written, else why not. `begin_by`: until when, by the monotonic clock."""
        self._begin = begin
        self._begin_by = begin_by
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._turn = threading.Lock()
        self._said: str | None = None
        self.was_written = False  # the row, for certain; it may have stood still behind it

    @property
    def is_begun(self) -> bool:
        """Whether it may have gone out: the row was written, and each piece of the request was in time."""
        return self._said == ""

    def why_not(self) -> str:
        """Nothing, as "", where it may go out. From within the loop nothing does."""
        with self._turn:
            if self._said is None:
                if threading.get_ident() == self._thread:
                    return "the row before it was not written"
                future = asyncio.run_coroutine_threadsafe(self._asked(), self._loop)
                try:
                    self._said = future.result(_FENCE_SECONDS + 1)
                except TimeoutError:
                    self._said = _UNCONFIRMED
                self.was_written = not self._said
            if not self._said and self._is_late():  # it stood still behind the row, or between two pieces of a request
                self._said = _TOO_LATE
            return self._said

    def why_not_yet(self) -> str:
        """The same on the way there, where nothing is written down: a stop can still withdraw it."""
        return _TOO_LATE if self._is_late() else ""

    def _is_late(self) -> bool:
        """By the time under its bot's MAC, as the row's own columns are the database's alone."""
        return time.monotonic() >= self._begin_by

    async def _asked(self) -> str:
        if self._is_late():
            return _TOO_LATE
        try:
            async with asyncio.timeout(_FENCE_SECONDS):
                return await self._begin()
        except TimeoutError:
            return _UNCONFIRMED
        except (QueueAway, QueueRefuses) as error:
            return f"the queue did not confirm that it may begin: {error}"


class Worker:
    """Takes tasks until it is told to stop. A lost database is waited for."""

    def __init__(self, inbox: Inbox, machines: Machines) -> None:
        """Take the queue and the machines."""
        self._inbox = inbox
        self._machines = machines
        self._tasks: dict[uuid.UUID, asyncio.Task[None]] = {}
        self._acting: set[uuid.UUID] = set()
        self._acted: dict[uuid.UUID, None] = {}
        self._writers = ThreadPoolExecutor(_WRITERS, "write")
        self._long_answers: WeakValueDictionary[str, asyncio.Lock] = (
            WeakValueDictionary()
        )  # as long as somebody wants one
        self._one_long = asyncio.Semaphore()
        self._heard = asyncio.Event()
        self._beat_every = 1.0
        self._trouble = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; what has begun is ended first. Raises SettingsError where the login is another site's."""
        await self._join(stop)
        beside = [asyncio.create_task(one) for one in (self._listen(), self._beat())]
        try:
            while not stop.is_set():
                for one in beside:
                    if one.done():
                        one.result()
                await self._take()
                await self._wait(stop)
            await self._end()
        finally:
            for one in (*beside, *self._tasks.values()):
                one.cancel()
            await asyncio.gather(*beside, *self._tasks.values(), return_exceptions=True)
            await self._inbox.bye()
            self._inbox.close()
            self._writers.shutdown(wait=False, cancel_futures=True)

    async def _join(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                site, stale_seconds = await self._inbox.hello()
            except QueueAway as error:
                self._say(str(error))
                await asyncio.sleep(1.0)
            except QueueRefuses as error:  # until a bot has been there, nobody is let in
                self._say(f"{error}. A bot makes the queue, and lets the logins of its [sites.worker] in")
                await asyncio.sleep(1.0)
            else:
                if site != self._inbox.site:
                    says = f"[sites] database: its login is that of the site {site}, and this is the worker of {self._inbox.site}."
                    raise SettingsError(says)
                self._beat_every = stale_seconds / _BEATS
                log.info("hvops worker runs", site=site, reaches=list(self._machines.names))
                return

    async def _take(self) -> None:
        most = _AT_ONCE - (len(self._tasks) - len(self._acting))  # actions do not wait for questions
        try:
            taken = await self._inbox.take(most)
        except (QueueAway, QueueRefuses) as error:
            self._say(str(error))
            await asyncio.sleep(POLL_SECONDS)
            return
        self._say("")
        for unread in taken:
            if unread.id not in self._tasks:
                task = self._tasks[unread.id] = asyncio.create_task(self._do(unread), name=f"task {unread.id}")
                task.add_done_callback(lambda _done, one=unread.id: self._done(one))  # type: ignore[misc]
        if taken:
            self._heard.set()  # there may be more

    async def _wait(self, stop: asyncio.Event) -> None:
        waits = [asyncio.create_task(one.wait()) for one in (self._heard, stop)]
        await asyncio.wait(waits, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for one in waits:
            one.cancel()
        self._heard.clear()

    def _done(self, task: uuid.UUID) -> None:
        ended = self._tasks.pop(task)
        self._acting.discard(task)
        self._heard.set()
        if not ended.cancelled() and (error := ended.exception()) is not None:
            log.error("our bug in a worker", task=str(task), exc_info=error)

    async def _end(self) -> None:
        """Take nothing new; questions are left to others, acts are brought to their end."""
        for number, task in list(self._tasks.items()):
            if number not in self._acting:
                task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=_ENDING_SECONDS)

    async def _beat(self) -> None:
        """Be heard of; and give up questions that nobody waits for."""
        while True:
            await asyncio.sleep(self._beat_every)
            with contextlib.suppress(QueueAway, QueueRefuses):  # whoever takes says so
                for number in await self._inbox.beat(list(self._tasks)):
                    if (task := self._tasks.get(number)) is not None and number not in self._acting:
                        task.cancel()

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(QueueAway, QueueRefuses):
                await self._inbox.listen(self._heard.set)
            await asyncio.sleep(1.0)

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.warning("the queue", trouble=trouble or "is back")
        self._trouble = trouble

    async def _do(self, unread: Unread) -> None:
        """One task, to its answer."""
        try:
            task = self._inbox.read(unread)
        except NotOurs as why:
            log.warning("a task that is not done", task=str(unread.id), kind=unread.kind, why=str(why))
            return  # whoever put it hears nothing: it may be nobody's
        if task.kind == "hello":
            await self._answer(task, 0, {0: self._about(task)}, is_last=True)
        elif task.kind == "questions":
            await self._ask_all(task)
        else:
            self._acting.add(task.id)
            with asking_as(RUNS):  # one place of each host is kept for what was approved
                told = await self._act(task)
            await self._answer(task, 0, {0: told}, is_last=True)

    def _about(self, task: Task) -> str:
        offset, doubt = task.clock.offset.total_seconds(), task.clock.doubt.total_seconds()
        return dumps(
            {
                "version": code_version(),
                "host": platform.node(),
                "names": list(self._machines.names),
                "ahead": f"{-offset:.3f}",
                "doubt": f"{doubt:.3f}",
            }
        )

    # Questions

    async def _ask_all(self, task: Task) -> None:
        """All questions of a task at once, each answered as soon as it is there; what comes together goes together."""
        try:
            asked = [(get_seconds(seconds), told) for seconds, told in get_list(task.told, "questions")]
            who, homes = get_text(task.told, "who"), _homes_of(task.told)
        except (ValueError, TypeError) as error:
            log.warning("questions that cannot be read", task=str(task.id), why=str(error))
            return
        ready: asyncio.Queue[tuple[int, str, object]] = asyncio.Queue()

        async def one(number: int, seconds: float, told: Any) -> None:
            await ready.put((number, *await self._ask(task, seconds, told, homes)))

        with asking_as(who):
            asking = [asyncio.create_task(one(number, *question)) for number, question in enumerate(asked)]
        try:
            part, left = 0, len(asked)
            while left:
                answers, leases = await _together(ready)
                left -= len(answers)
                if not await self._answer(task, part, answers, is_last=not left):
                    return
                del answers, leases  # only now may their hosts be asked for as much again
                part += 1
        finally:
            for each in asking:
                each.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, task: Task, seconds: float, told: Any, homes: Mapping[str, str]) -> tuple[str, object]:
        """The text of an answer, and its lease: however long the queue takes, one host's answers are no more than they may be."""
        on = clip(str(told.get("on", "?")), 80) if isinstance(told, dict) else "?"
        try:
            try:
                question = decode_query(told)
            except ValueError as error:
                raise PolicyViolation(on, f"the worker does not understand what is asked: {error}.") from None
            is_elsewhere = isinstance(question, GuestQuery) or (
                isinstance(question, RunReader) and question.what in PROBES
            )
            if not is_elsewhere:  # guests and web servers have rules of their own
                await self._machines.meet_of(question.on, homes.get(question.on, ""))
            result = await self._machines.client.answer(question, seconds)
            return await self._encoded(task, result), result.lease
        except TargetError as error:
            return self._encode_error(error), None
        except Exception:
            bug = secrets.token_hex(4)
            log.exception("our bug in a worker", bug=bug, task=str(task.id))
            return self._encode_error(TargetError(on, self._bug(bug))), None

    # Actions

    async def _act(self, task: Task) -> str:
        """Do it, once, or say why not. Every way out says whether it was begun."""
        fence = Fence(lambda: self._inbox.begin(task.id), task.begin_by)
        on, action = self._inbox.site, None
        try:
            action = self._checked_action(task)
            on = action.on
            await self._machines.meet(on)
            result = await self._carry_out(task, action, fence)
            try:
                return await self._encoded(task, result)
            except MalformedResponse as error:
                raise OutcomeUnknown(on, f"it was answered, and {error.message}") from None
        except TargetError as error:
            return self._encode_error(self._fate(error, action, fence), begun=fence.was_written)
        except Exception:
            bug = secrets.token_hex(4)
            log.exception("our bug in a worker", bug=bug, task=str(task.id))
            kind = OutcomeUnknown if fence.is_begun else NotBegun
            return self._encode_error(kind(on, self._bug(bug)), begun=fence.was_written)

    async def _carry_out(
        self, task: Task, action: InvokeMethod | RunProgram | RowTransaction, fence: Fence
    ) -> QueryResult:
        seconds = task.ends - time.monotonic()
        if seconds <= 0:
            raise NotBegun(action.on, "not started: it is too late.")
        with sending_unless(fence.why_not, fence.why_not_yet):
            result = await perform(self._machines.client, action, seconds)
        if not fence.is_begun:
            raise OutcomeUnknown(action.on, "started, effect unknown: it was done without the row before it.")
        return result

    def _fate(
        self, error: TargetError, action: InvokeMethod | RunProgram | RowTransaction | None, fence: Fence
    ) -> TargetError:
        """What became of it: where nothing was written down before, nothing went out, whatever went wrong."""
        if fence.is_begun or isinstance(error, (NotBegun, OutcomeUnknown)):
            return error
        if action is None or (definitely_not_executed(error, action) and not isinstance(error, Withheld)):
            return error
        says = error.message.removeprefix("nothing was sent: ")
        return NotBegun(error.target, f"not started: {says}", error.hint)

    def _checked_action(self, task: Task) -> InvokeMethod | RunProgram | RowTransaction:
        """The action, where it is one that may be done here at all. Raises TargetError."""
        site = self._inbox.site
        if task.id in self._acted:
            raise OutcomeUnknown(site, "whether it was begun is not known: the worker has had this action before.")
        self._acted[task.id] = None
        if len(self._acted) > _REMEMBERED:
            del self._acted[next(iter(self._acted))]
        try:
            action = decode_action(task.told.get("action"))
            permitted = texts_of(get_list(task.told, "permitted")) if "permitted" in task.told else ()
            ticket = get_text(task.told, "ticket")
        except ValueError as error:
            raise PolicyViolation(site, f"the worker does not understand what is to be done: {error}.") from None
        is_note = isinstance(action, RunProgram) and action.what == EVENT
        if not is_note and (not ticket or fingerprint(action) not in permitted):
            raise PolicyViolation(action.on, "it is no step of an approved plan, so the worker does not do it.")
        if why := why_not_sent(action):
            raise PolicyViolation(action.on, f"the worker would not send it: {why}.")
        return action

    # Replies

    async def _encoded(self, task: Task, result: QueryResult) -> str:
        """The answer without the site's secrets, its times by the database's clock."""
        known = self._mask_of(result.by)

        def encode() -> str:
            answer = Answer(_masked(result.rows, known), known(result.raw), result.by, result.asked, result.answered)
            return encode_answer(answer, task.clock.offset, task.clock.doubt)

        if _is_small(result):
            text = encode()
        else:
            # One at a time of each machine: whatever one answers, the other thread is for everybody else.
            turn = self._long_answers.setdefault(result.by.lower(), asyncio.Lock())
            async with turn:
                text = await asyncio.get_running_loop().run_in_executor(self._writers, encode)
        if len(text) > _MOST:
            raise MalformedResponse(result.by, "its answer is too large for the queue of sites.")
        return text

    def _encode_error(self, error: TargetError, *, begun: bool = False) -> str:
        return encode_error(error, self._mask_of(error.target), begun=begun)

    def _mask_of(self, who: str) -> Callable[[str], str]:
        """What takes the site's secrets out of what somebody tells. Tokens of the backup product only out of what it tells itself.

        No bot knows a token that was given to a worker. Of others nothing else is taken out: gates and checks go by what they tell.
        """
        known = self._machines.mask.redact_known
        return (lambda text: SESSION_TOKENS.redact(known(text))) if who.lower() == COMMVAULT else known

    async def _answer(self, task: Task, part: int, answers: Mapping[int, str], *, is_last: bool) -> bool:
        """Send it until the queue has it, or nobody can be waiting any more. Whether somebody still waits.

        Of long ones one is on its way at a time: no short one, as of an action, waits for more of them.
        """
        numbers, texts = list(answers), list(answers.values())
        is_long = sum(map(len, texts)) > _SMALL
        while True:
            try:
                async with self._one_long if is_long else contextlib.nullcontext():
                    return await self._inbox.answer(task, part, numbers, texts, is_last=is_last)
            except QueueAway as error:
                self._say(str(error))
            except QueueRefuses:
                log.exception("a reply that the queue does not take", task=str(task.id))
                return False
            if time.monotonic() > task.ends + _SEND_AGAIN:
                log.error("a reply that was never sent", task=str(task.id))
                return False
            await asyncio.sleep(POLL_SECONDS)

    def _bug(self, bug: str) -> str:
        return f"something went wrong inside the worker of {self._inbox.site} (id {bug} in its log)."


async def _together(ready: asyncio.Queue[tuple[int, str, object]]) -> tuple[dict[int, str], list[object]]:
    """The next answers, as many as are there and as a part of a reply takes, and their leases."""
    number, text, lease = await ready.get()
    answers, leases = {number: text}, [lease]
    await asyncio.sleep(0)
    while not ready.empty() and sum(map(len, answers.values())) < _PART:
        number, text, lease = ready.get_nowait()
        answers[number] = text
        leases.append(lease)
    return answers, leases


def _is_small(result: QueryResult) -> bool:
    """Whether an answer takes no time to write down: by its rows as well, since not every answer keeps its text."""
    return len(result.raw) < _SMALL and len(result.rows) < _FEW and not is_longer(result.rows, _SMALL)


def _masked(rows: Rows, known: Callable[[str], str]) -> Rows:
    """Names, too: those of an event's values are chosen by whoever wrote it. All rows have the same few."""
    name_of = lru_cache(1_024)(known)
    return [{name_of(name): _masked_cell(cell, known, name_of) for name, cell in row.items()} for row in rows]


def _masked_cell(cell: Cell, known: Callable[[str], str], name_of: Callable[[str], str]) -> Cell:
    if isinstance(cell, str):
        return known(cell)
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return MASKED if known(str(cell)) != str(cell) else cell
    if isinstance(cell, Mapping):
        return {name_of(name): _masked_cell(inner, known, name_of) for name, inner in cell.items()}
    if isinstance(cell, (tuple, list)):
        return tuple(_masked_cell(inner, known, name_of) for inner in cell)
    return cell


def _homes_of(told: Mapping[str, Any]) -> dict[str, str]:
    """Of which cluster each host is, as the bot has heard; {} from one that does not tell. Raises ValueError."""
    homes = told.get("homes", {})
    if not isinstance(homes, dict) or not all(isinstance(one, str) for one in homes.values()):
        raise ValueError("homes are no names")
    return homes


async def _meet(own: InventoryFile, inventory: Inventory, on: str, home: str = "") -> None:
    """Get to know a host. Raises PolicyViolation for a name that is not of this site; TargetError where its cluster is silent."""
    if own.is_place(on):
        return
    try:
        await (inventory.find_of(on, home) if home else inventory.find(on))
    except UsageError:
        raise PolicyViolation(on, "it is not of this site, so its worker does not ask it.") from None


def hold_no_more_than_needed(settings: Settings) -> None:
    """A site's machine may fall into other hands. Raises SettingsError for what would reach beyond the site there."""
    if settings.sites is None:
        raise SettingsError(f"{settings.file}: [sites] is missing. Write a table [sites] with database.")
    if settings.slack is not None:
        raise SettingsError(
            f"{settings.file}: a worker does not speak to Slack. Take [slack] and its tokens off this machine."
        )
    if settings.ledger.database is not None:
        raise SettingsError(f"{settings.file}: a worker has no ledger. Take [ledger] database off this machine.")
    if settings.ledger.key_file.exists():
        raise SettingsError(
            f"{settings.ledger.key_file}: the key of a ledger is on this machine, and no worker may hold one. Take it away, and "
            "write [ledger] key_file where none is."
        )


def run(settings: Settings, site: str) -> None:
    """Be the worker of a site until SIGTERM or SIGINT. Raises SettingsError."""
    give_memory_back()
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(_until_signal(settings, site))


async def _until_signal(settings: Settings, site: str) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, site, stop)


def open_inbox(settings: Settings, site: str) -> Inbox:
    """The worker's end of the queue; it connects when it is first used. Raises SettingsError."""
    assert settings.sites is not None
    told = next((one for name, one in settings.sites.worker.items() if name.lower() == site.lower()), None)
    if told is None:
        raise SettingsError(f"{settings.file}: [sites.worker.{site}] is missing. Write it with key_file.")
    inventory_file = load_inventory(settings.inventory)
    only(inventory_file, site)
    name = inventory_file.site[site.lower()].name
    key = SiteKey.of(name, read_site_key(told.key_file))
    return Inbox(settings.sites.place, key, name, name=platform.node(), version=code_version())


async def serve(settings: Settings, site: str, stop: asyncio.Event) -> None:
    """Be the worker of a site until `stop` is set.

    Raises:
        SettingsError: something is missing in the settings or the inventory, or there is what no worker may hold.
    """
    hold_no_more_than_needed(settings)
    inbox = open_inbox(settings, site)
    own = only(load_inventory(settings.inventory), site)
    with connections_to(settings.model_copy(update={"sites": None}), own) as out:
        machines = Machines(
            out.target_client,
            partial(_meet, own, out.inventory),
            partial(_meet, own, out.inventory),
            Redactor(settings.secrets()),
            (*sorted(own.clusters), *sorted(own.hosts), *sorted(own.vmm), *sorted(own.load_balancers())),
        )
        await Worker(inbox, machines).run(stop)
    log.info("hvops worker stopped", site=inbox.site)
