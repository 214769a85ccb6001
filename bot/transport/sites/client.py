"""What the bot asks and does at sites with a worker, beside all that it reaches itself: commands do not know the difference.

Questions to one site that are asked at the same moment go out as one task, and its worker asks all its hosts at once; each
answer comes back as soon as it is there. An action is a task of its own, and ends in one of three ways: done, not begun
(`NotBegun`, or what its target said), or begun with its effect unknown (`OutcomeUnknown`).
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count, islice
from typing import Any

import structlog

from bot.api.actions import InvokeMethod, RowTransaction, RunProgram
from bot.api.host_names import host_key
from bot.api.queries import GuestQuery, GuestRunReader, Query, RunReader, Wql
from bot.api.rows import Rows
from bot.api.web import Address, read_address
from bot.config.web_addresses import Network
from bot.errors import (
    HvopsError,
    MalformedResponse,
    NotAsked,
    NotAskedInTime,
    NotBegun,
    OutcomeUnknown,
    TargetError,
    TargetFault,
    Withheld,
)
from bot.redaction import clip
from bot.transport.allowlist.web_probe import PROBES
from bot.transport.client import GROUP, QueryResult, TargetClient, check_nodes
from bot.transport.errand import current_errand
from bot.transport.http.commvault import is_web
from bot.transport.sites.database import Clock, QueueAway, QueueRefuses
from bot.transport.sites.messages import Answer, decode_answer, encode, fingerprint, is_of_who_began
from bot.transport.sites.queue import GONE, POLL_SECONDS, Pending, Queue, Site
from bot.transport.turns import RUNS, LastLook, asked_about, asker, last_look

log = structlog.get_logger()

_GATHER = 0.005  # seconds in which questions to one site become one task
# Of one person, tasks at one site at a time: a worker has only so many in hand, and those of a site whose hosts are silent last.
_SOME, _GATHER_LONGER = 16, 0.5  # from so many on, questions become one task in so many seconds
_MOST_TASKS = 64  # with so many, what is asked waits for the end of one, and is one task then
_MOST_QUESTIONS = 2_500  # of one task
_MOST_BYTES = 4 * 2**20  # of one task, roughly
_ON_THE_WAY = 10.0  # seconds that a question may spend beside its own time: in the queue, or with a worker that dies
_NOBODY_SECONDS = 5.0  # after which it is asked whether any worker is there
_NOT_HEARD = 10.0  # seconds after which a worker counts as away
_BEGIN_WITHIN = 20.0  # seconds in which an action has to begin, at most half of its own time
_REPLY_GRACE = 2.0  # seconds that a reply may take after the act's own time
_LOOK_EVERY = 0.5  # seconds between two looks whether an action is still to be done
_GUESTS = 100_000  # of each site, of which it is remembered that they run there
_MOST_TOLD = 10_000  # of one answer: a cluster has eight thousand at most [doc]
_FEW = 1_000  # cells that are looked through on the loop
_A_DAY = timedelta(days=1)  # no task lasts as long
_GUID = re.compile(r"\{?([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})\}?")
_NOT_OURS = "what was put into the queue was changed there by somebody else, or lost."
_START = "Start hvops worker there, or see why it does not reach the database."
_ASK_IT = "Run hvops doctor on the bot's machine: it asks that worker itself."


@dataclass(slots=True, eq=False)
class _Batch:
    """Questions to one site that become one task.

    Attributes:
        is_ready: its time to gather is over.
    """

    site: Site
    who: str
    asked: list[tuple[Query, float]] = field(default_factory=list)
    waiting: dict[int, asyncio.Future[Answer | TargetError | ValueError]] = field(default_factory=dict)
    size: int = 0
    is_ready: bool = False

    @property
    def is_full(self) -> bool:
        return len(self.asked) >= _MOST_QUESTIONS or self.size >= _MOST_BYTES

    @property
    def is_wanted(self) -> bool:
        return any(not one.done() for one in self.waiting.values())

    def ask(self, question: Query, seconds: float) -> asyncio.Future[Answer | TargetError | ValueError]:
        """Take one more question. Answers what its answer will be."""
        answer = self.waiting[len(self.asked)] = asyncio.get_running_loop().create_future()
        self.asked.append((question, seconds))
        self.size += 200 + len(repr(question))
        return answer

    def give_out(self, answers: Iterable[tuple[int, Any]]) -> None:
        """Hand answers to whoever waits, and keep none: what requests hold of a host is counted there."""
        for number, found in answers:
            answer = self.waiting.pop(number, None)
            if answer is not None and not answer.done():
                answer.set_result(found)

    def fail(self, kind: type[TargetError], says: str, do: str = "") -> None:
        """Nobody has answered the rest, and nobody will."""
        for number, answer in self.waiting.items():
            if not answer.done():
                answer.set_exception(kind(self.asked[number][0].on, says, do))


class SitedClient(TargetClient):
    """The way to Windows, through the workers of sites where a name belongs to one."""

    def __init__(
        self,
        *told: Any,
        queue: Queue,
        homes: Mapping[str, str],
        networks: Mapping[str, tuple[Network, ...]],
        reaches_itself: bool,
        **named: Any,
    ) -> None:
        """Take what a `TargetClient` takes, and the sites.

        Args:
            told: as of `TargetClient`.
            queue: the bot's end of the queue.
            homes: which name belongs to which site (`membership.homes_of`).
            networks: of each site, in lower case, those of its load balancers' real servers, which are asked from there; "" has those
                of the load balancers that the bot itself reaches.
            reaches_itself: whether there is any cluster or host that belongs to none of them.
            named: as of `TargetClient`.
        """
        super().__init__(*told, **named)
        self.queue = queue
        self._homes = homes
        self._networks = networks
        self._reaches_itself = reaches_itself
        self._batches: dict[tuple[str, str], _Batch] = {}
        self._under_way: Counter[tuple[str, str]] = Counter()  # tasks, likewise of a site and a person
        # Of each site, "" for what the bot reaches itself: the virtual machines that hosts told of, and in which order.
        self._guests: dict[str, OrderedDict[str, int]] = {}
        self._told = count()
        self._beside: set[asyncio.Task[None]] = set()

    @property
    def worker_sites(self) -> Mapping[str, str]:
        """As of `TargetClient`."""
        return self._homes

    async def warm(self) -> None:
        """Make the queue, and let the sites' logins in; until then no worker can begin. What is in the way is said to who asks."""
        while True:
            try:
                await self.queue.workers()
            except (QueueAway, QueueRefuses, HvopsError) as error:
                log.warning("no site can be asked", why=str(error))
                await asyncio.sleep(_NOBODY_SECONDS)
            else:
                return

    def site_of(self, name: str) -> Site | None:
        """The site whose worker reaches a cluster, host, node, VMM server or service; None for what the bot reaches itself."""
        home = self._homes.get(host_key(name)) or self._homes.get(self.router.scope_of(name))
        return self.queue.sites[home.lower()] if home else None

    async def _answer(self, question: Query, seconds: float) -> QueryResult:
        site = self._site_asked(question)
        if site is None:
            result = await super()._answer(question, seconds)
        else:
            result = await self._ask_site(site, question, seconds)
            check_nodes(question, result)
        if isinstance(question, Wql):
            await self._remember_guests(site, result)
            if site is not None:
                self._learn(question, result)
        return result

    async def invoke(self, action: InvokeMethod, seconds: float = 60.0) -> QueryResult:
        """As of `TargetClient`. Raises NotBegun and OutcomeUnknown besides."""
        if (site := self.site_of(action.on)) is None:
            return await super().invoke(action, seconds)
        return await self._act(site, action, seconds, proves=True)

    async def update(self, action: RowTransaction, seconds: float = 60.0) -> QueryResult:
        """As of `TargetClient`. Raises NotBegun besides."""
        if (site := self.site_of(action.on)) is None:
            return await super().update(action, seconds)
        return await self._act(site, action, seconds, proves=False)

    async def change(self, action: RunProgram, seconds: float = 60.0) -> QueryResult:
        """As of `TargetClient`. Raises NotBegun and OutcomeUnknown besides."""
        if (site := self.site_of(action.on)) is None:
            return await super().change(action, seconds)
        return await self._act(site, action, seconds, proves=not is_web(action.what))

    def close(self) -> None:
        """As of `TargetClient`; what was put and has not begun is begun no more once this bot is not heard of."""
        super().close()
        self.queue.close()

    def _is_small(self, answer: QueryResult) -> bool:
        """A worker sends rows and text apart: the one tells nothing of the other."""
        return self.site_of(answer.by) is None and super()._is_small(answer)

    def _site_asked(self, question: Query) -> Site | None:
        if isinstance(question, GuestQuery):
            return self._site_of_guest(question)
        if isinstance(question, RunReader) and question.what == GROUP:
            return None
        if isinstance(question, RunReader) and question.what in PROBES:
            return self._site_of_web(question)
        return self.site_of(question.on)

    def _site_of_guest(self, question: GuestQuery) -> Site | None:
        """The site whose hosts told of it, the last one of those that are asked about; else the one of these.

        Any host can tell of any id, and a replica has that of its primary: no site speaks for a guest of another one's, but
        where both are asked about. Of a stranger: the only site there is, where the bot itself reaches no host.

        Raises:
            MalformedResponse: hosts of several sites told of it, and nobody said which one it is about.
        """
        vm_id = question.vm_id.strip("{}").lower()
        told = {self.queue.sites.get(home): ids[vm_id] for home, ids in self._guests.items() if vm_id in ids}
        about = {self.site_of(place) for place in asked_about()}
        if sites := (told.keys() & about):
            return max(sites, key=told.__getitem__)
        if len(left := about or set(told)) == 1:
            return next(iter(left))
        if not about and told:
            both = " and ".join(sorted(site.name if site is not None else "the bot's own" for site in told))
            says = f"hosts of several sites tell of its id ({both}), so nobody knows where it runs."
            raise MalformedResponse(question.on, says, "Ask about its cluster.")
        if len(self.queue.sites) == 1 and not self._reaches_itself:
            return next(iter(self.queue.sites.values()))
        return None

    def _site_of_web(self, question: RunReader) -> Site | None:
        """A real server behind a site's load balancer is asked from there; a web server that is its member, too.

        Raises:
            MalformedResponse: several sites have such an address, and nobody said which one it is about.
        """
        address = read_address(str(dict(question.params).get("address") or question.on))
        if address is not None and (found := self._homes_of_address(address)):
            if len(found) > 1:
                both = " and ".join(self.queue.sites[one].name if one else "the bot's own" for one in sorted(found))
                says = f"its address is in networks of several sites ({both}), so nobody knows which machine it is."
                raise MalformedResponse(question.on, says, "Ask about its load balancer.")
            return self.queue.sites.get(found[0])
        home = self._homes.get(host_key(question.on), "")
        return self.queue.sites[home.lower()] if home else None

    def _homes_of_address(self, address: Address) -> list[str]:
        """The sites, "" for the bot's own, with a load balancer in whose networks it is: of those that are asked about, where any is."""
        found = [home for home, networks in self._networks.items() if any(address in network for network in networks)]
        about = {site.name.lower() if site is not None else "" for site in map(self.site_of, asked_about())}
        return [home for home in found if home in about] or found

    async def _remember_guests(self, site: Site | None, result: QueryResult) -> None:
        is_small = len(result.rows) <= _FEW and sum(map(len, result.rows)) <= _FEW
        found = _ids_in(result.rows) if is_small else await asyncio.to_thread(_ids_in, result.rows)
        known = self._guests.setdefault(site.name.lower() if site is not None else "", OrderedDict())
        for vm_id in found:
            known[vm_id] = next(self._told)
            known.move_to_end(vm_id)
        while len(known) > _GUESTS:
            known.popitem(last=False)

    # Questions

    async def _ask_site(self, site: Site, question: Query, seconds: float) -> QueryResult:
        found = await self._put_question(site, question, seconds)
        if isinstance(found, ValueError):
            raise MalformedResponse(
                question.on, f"the worker of {site.name} sent an answer that cannot be read: {found}."
            ) from None
        if isinstance(found, (Withheld, NotBegun, OutcomeUnknown)):  # else a check of a run would be held back by it
            says = f"the worker of {site.name} sent an answer that cannot be read: it is one to an action."
            raise MalformedResponse(question.on, says)
        if isinstance(found, TargetError):
            raise self._own_error(site, question.on, found)
        return self._checked(site, question.on, found)

    def _checked(self, site: Site, on: str, found: Answer) -> QueryResult:
        """Its answer. A worker speaks for its own machines only: who answered is counted, and shown to people."""
        by = found.by
        if host_key(by) != host_key(on) and self.site_of(by) is not site:
            raise MalformedResponse(
                on, f"the worker of {site.name} answered for {clip(repr(by), 80)}, which is none of its own."
            )
        return QueryResult(found.rows, found.raw, by, found.asked, found.answered)

    def _own_error(self, site: Site, on: str, error: TargetError) -> TargetError:
        """An error of its: what it says of a machine that is none of its own, it says of the one that was asked."""
        if host_key(error.target) == host_key(on) or self.site_of(error.target) is site:
            return error
        code = (error.code,) if isinstance(error, TargetFault) else ()
        own = type(error)(on, error.message, error.hint, *code)
        own.is_refusal, own.is_unsent = error.is_refusal, error.is_unsent
        return own

    async def _put_question(self, site: Site, question: Query, seconds: float) -> Answer | TargetError | ValueError:
        key = (site.name, asker())
        batch = self._batches.get(key)
        if batch is None:
            batch = self._batches[key] = _Batch(site, key[1])
            gather = _GATHER if key[1] == RUNS or self._under_way[key] < _SOME else _GATHER_LONGER
            asyncio.get_running_loop().call_later(gather, self._send, key, batch)
        answer = batch.ask(question, seconds)
        if batch.is_full:
            self._send(key, batch)
        try:
            async with asyncio.timeout(self._longest(question, seconds) + _ON_THE_WAY + _REPLY_GRACE):
                return await answer
        except TimeoutError:
            raise NotAskedInTime(question.on, f"no answer from the worker of {site.name} in its time.") from None

    def _send(self, key: tuple[str, str], batch: _Batch) -> None:
        """Let the batch go, once: by its size or by its time, or when others have ended."""
        if self._batches.get(key) is not batch:
            return
        batch.is_ready = True
        if key[1] != RUNS and self._under_way[key] >= _MOST_TASKS and not batch.is_full:
            return
        del self._batches[key]
        self._under_way[key] += 1
        task = asyncio.create_task(self._carry(batch), name=f"questions to {batch.site.name}")
        self._beside.add(task)
        task.add_done_callback(lambda done: self._carried(key, done))

    def _carried(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        """One has ended: what waits for that goes next."""
        self._beside.discard(task)
        self._under_way[key] -= 1
        if not self._under_way[key]:
            del self._under_way[key]
        batch = self._batches.get(key)
        if batch is not None and batch.is_ready and not task.cancelled():
            self._send(key, batch)

    def _clusters_of(self, hosts: Iterable[str]) -> dict[str, str]:
        """The one cluster of each of these hosts that is in one, so that a worker need ask no other one whose it is."""
        homes = {host: self.router.scope_of(host) for host in hosts if not self.router.is_cluster(host)}
        return {host: home for host, home in homes.items() if self.router.is_cluster(home)}

    async def _carry(self, batch: _Batch) -> None:
        site = batch.site
        if not batch.is_wanted:  # whoever asked has gone while it waited
            return
        lasts = max(self._longest(*one) for one in batch.asked) + _ON_THE_WAY
        told = {
            "who": batch.who,
            "questions": [[seconds, encode(question)] for question, seconds in batch.asked],
            "homes": self._clusters_of(question.on for question, _ in batch.asked),
        }
        try:
            pending = await self.queue.put(
                site, "questions", told, within=lasts, lasts=lasts, most=len(batch.asked), reads=_decoded
            )
        except (QueueAway, QueueRefuses, HvopsError) as error:
            batch.fail(NotAsked, f"the queue to the site {site.name} cannot be used: {str(error).rstrip('.')}.")
            return
        try:
            await self._wait_for_answers(batch, pending, lasts)
        finally:
            self.queue.forget(pending)
            is_taken = pending.state != "queued"
            batch.fail(
                NotAskedInTime,
                f"{'the' if is_taken else 'no'} worker of {site.name} {'did not answer' if is_taken else 'took the question'}.",
                _ASK_IT,
            )

    def _longest(self, question: Query, seconds: float) -> float:
        """How long its host may take: a program has a time of its own."""
        if not isinstance(question, (RunReader, GuestRunReader)):
            return seconds
        program = self._programs.get(question.what)
        return max(seconds, program.seconds) if program is not None else seconds

    async def _wait_for_answers(self, batch: _Batch, pending: Pending, lasts: float) -> None:
        began = asked = time.monotonic()
        while time.monotonic() - began < lasts:
            is_ended = pending.state == "ended"  # before its answers are taken: those are all then
            batch.give_out(pending.take_answers())
            if pending.spoilt:
                says = f"the worker of {batch.site.name} sent an answer that cannot be read: {pending.spoilt}."
                batch.fail(MalformedResponse, says)
            if is_ended:
                batch.fail(MalformedResponse, f"the worker of {batch.site.name} ended without an answer to it.")
            if not batch.is_wanted:
                return
            await pending.news(min(1.0, began + lasts - time.monotonic()))
            if pending.state == "queued" and time.monotonic() - asked >= _NOBODY_SECONDS:
                asked = time.monotonic()
                if says := await self._nobody(batch.site):
                    batch.fail(NotAsked, says, _START)

    async def _nobody(self, site: Site) -> str:
        """That no worker of a site is there; "" where one is, or nobody can say: the database was away until just now."""
        try:
            age = await self.queue.last_heard(site)
        except (QueueAway, QueueRefuses):
            return ""
        if time.monotonic() - self.queue.away_at < _NOT_HEARD:  # as for this bot, so perhaps for them: they come back
            return ""
        if age is None:
            return f"no worker of {site.name} is there: none was started today, or the last one was ended."
        return f"no worker of {site.name} is there; the last one reported {age:.0f} s ago." if age > _NOT_HEARD else ""

    # Actions

    async def _act(
        self, site: Site, action: InvokeMethod | RunProgram | RowTransaction, seconds: float, *, proves: bool
    ) -> QueryResult:
        began, errand, look = time.monotonic(), current_errand(), last_look(action.on)
        if proves and self.prove is not None:
            with LastLook(look).judging():
                await self.prove(action.on)
        lasts = seconds - (time.monotonic() - began)
        within = min(lasts / 2, _BEGIN_WITHIN)
        number = errand.task if errand is not None else uuid.uuid4()
        told: dict[str, Any] = {"action": encode(action)}
        if errand is not None:
            told |= {"ticket": errand.ticket, "step": errand.step, "digest": errand.digest}
            told["permitted"] = sorted(
                {
                    fingerprint(one)
                    for one in errand.permitted
                    if isinstance(one, (InvokeMethod, RunProgram, RowTransaction))
                }
            )
        try:
            pending = await self.queue.put(
                site, "action", told, within=within, lasts=lasts, task=number, look=look, reads=_decoded_of_act
            )
        except Withheld:
            raise
        except QueueRefuses as error:
            raise NotBegun(action.on, f"not started: the queue refuses it: {error}.") from None
        except (QueueAway, HvopsError) as error:
            if not getattr(error, "was_sent", False):
                says = f"not started: the queue to the site {site.name} cannot be used: {str(error).rstrip('.')}."
                raise NotBegun(action.on, says) from None
            return await self._lost(site, action, number, error)
        try:
            return await self._wait_for_act(_Act(site, action.on, pending, began + seconds, began + within, look))
        finally:  # whoever asked may have been cancelled: what has not begun is not begun any more
            self.queue.forget(pending)

    async def _lost(
        self, site: Site, action: InvokeMethod | RunProgram | RowTransaction, number: uuid.UUID, why: Exception
    ) -> QueryResult:
        """It may have been put, and nobody waits for it. Raises Withheld, NotBegun or OutcomeUnknown."""
        try:
            state = await self.queue.withdraw(number, site)
        except (QueueAway, QueueRefuses):
            state = ""
        if state == "withdrawn":
            if isinstance(why.__cause__, Withheld):
                raise why.__cause__
            raise NotBegun(action.on, f"not started: the queue to the site {site.name} was away: {why}.")
        raise OutcomeUnknown(action.on, f"whether the worker of {site.name} began it is not known: {why}.")

    async def _wait_for_act(self, act: _Act) -> QueryResult:
        pending, looked = act.pending, 0.0
        held: Withheld | None = None
        while True:
            await pending.news(POLL_SECONDS)
            if answers := pending.take_answers():
                _, (found, of_who_began) = answers[0]
                return self._ended_act(act, found, of_who_began=of_who_began)
            if pending.spoilt:
                return self._ended_act(act, ValueError(pending.spoilt), of_who_began=False)
            now = time.monotonic()
            if not pending.has_not_begun:
                if pending.state == "withdrawn" and not pending.wanted:
                    raise held or NotBegun(act.on, "not started: it was withdrawn.")
                if pending.state in ("withdrawn", GONE):
                    raise OutcomeUnknown(
                        act.on, f"whether the worker of {act.site.name} began it is not known: {_NOT_OURS}"
                    )
                if now >= act.ends + _REPLY_GRACE:
                    says = f"the worker of {act.site.name} began it, and has not said how it ended."
                    raise OutcomeUnknown(act.on, f"started, effect unknown: {says}")
            elif now - looked >= _LOOK_EVERY or now >= act.begin_by:
                looked = now
                held = await self._still_wanted(act) or held

    def _ended_act(self, act: _Act, found: Answer | TargetError | ValueError, *, of_who_began: bool) -> QueryResult:
        if isinstance(found, TargetError) and act.pending.was_begun and not of_who_began:
            # Whoever has the database can show it to a second worker, or to one that was started anew, which began nothing.
            says = f"somebody began it, and a worker of {act.site.name} that did not says: {found.message}"
            raise OutcomeUnknown(act.on, f"started, effect unknown: {says}")
        if isinstance(found, ValueError):
            says = (
                f"started, effect unknown: the worker of {act.site.name} sent an answer that cannot be read: {found}."
            )
            raise OutcomeUnknown(act.on, says)
        if isinstance(found, Withheld):  # that is ours to say: what is held back here is begun again, and again
            raise NotBegun(act.on, f"not started: the worker of {act.site.name} says that it was held back.")
        if isinstance(found, TargetError):
            raise self._own_error(act.site, act.on, found)
        try:
            return self._checked(act.site, act.on, found)
        except MalformedResponse as error:  # of a transaction that would mean that nothing was done
            raise OutcomeUnknown(act.on, f"started, effect unknown: {error.message}") from None

    async def _still_wanted(self, act: _Act) -> Withheld | None:
        """Withdraw an action that nobody has begun where it is stopped, cancelled or too late.

        Answers why it is held back, where it is and nobody knows yet whether it was withdrawn: the answer can get lost.

        Raises:
            Withheld: it was withdrawn, as it is not to be done any more.
            NotBegun: it was withdrawn, as nobody began it in time.
            OutcomeUnknown: it is over, and the queue cannot be asked whether it was begun.
        """
        held: Withheld | None = None
        began = time.monotonic()
        act.pending.looking = True  # a ledger that does not answer says of nothing that it is to be done
        try:
            await asyncio.to_thread(act.look)
        except Withheld as why:
            held = why
        else:
            act.pending.looked = began
        act.pending.looking = False
        if held is None and time.monotonic() < act.begin_by:
            return None
        try:
            state = await self.queue.withdraw(act.pending.id, act.site)
        except (QueueAway, QueueRefuses) as error:
            if time.monotonic() < act.ends:
                return held  # asked again, and wanted no more meanwhile
            says = f"whether the worker of {act.site.name} began it is not known: {error}."
            raise OutcomeUnknown(act.on, says) from None
        if state != "withdrawn":
            return None  # begun, or gone
        if held is not None:
            raise held
        nobody = await self._nobody(act.site)
        says = nobody or f"no worker of {act.site.name} began it in time."
        raise NotBegun(act.on, f"not started: {says}", _START if nobody else "")


def _ids_in(rows: Rows) -> list[str]:
    """What may be the id of a virtual machine, in lower case, each once; no more of them than there can be."""
    cells = (cell for row in rows for cell in row.values() if isinstance(cell, str) and 36 <= len(cell) <= 38)  # noqa: PLR2004
    ids = (found[1].lower() for cell in cells if (found := _GUID.fullmatch(cell)))
    return list(dict.fromkeys(islice(ids, _MOST_TOLD)))


def _decoded(text: str, clock: Clock) -> Answer | TargetError | ValueError:
    """What a worker says of one question, its times by our clock; a ValueError where that is nothing that can be read."""
    try:
        found = decode_answer(text, clock.offset, clock.doubt)
        if isinstance(found, Answer) and found.asked is not None and found.answered is not None:
            now = clock.at(time.monotonic()) - clock.offset
            if max(abs(found.asked - now), abs(found.answered - now)) > _A_DAY:
                raise ValueError("its times are not of now")  # noqa: TRY301
    except (ValueError, OverflowError) as error:
        return ValueError(str(error))
    return found


def _decoded_of_act(text: str, clock: Clock) -> tuple[Answer | TargetError | ValueError, bool]:
    """The same of an action, and whether an error is told by whoever began it."""
    found = _decoded(text, clock)
    return found, isinstance(found, TargetError) and is_of_who_began(text)


@dataclass(frozen=True, slots=True)
class _Act:
    """An action that somebody waits for.

    Attributes:
        ends: until when the act itself may last; `begin_by`: until when it may begin. By the monotonic clock.
        look: raises Withheld where it is not to be done any more.
    """

    site: Site
    on: str
    pending: Pending
    ends: float
    begin_by: float
    look: Callable[[], None]
