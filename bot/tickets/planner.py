"""Make a plan: look, then think. The same way for a proposal and for looking again before each group of its steps."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

import structlog

from bot.api.actions import Action, InvokeMethod, ManualStep, RunProgram
from bot.api.arguments import Target
from bot.api.beside import beside
from bot.api.command import AfterRun, Remediation
from bot.api.facts import Unknown
from bot.api.host_names import HostNames
from bot.api.plan import Check, Gate, GateOutcome, GateText, Group, Plan, Step
from bot.api.queries import GuestQuery, LedgerQuery, Query
from bot.api.sources import Source
from bot.api.windows import Window
from bot.dispatch.command_line import CommandLine, read_line, read_typed, resolve
from bot.dispatch.inventory import Doubt, Inventory, scopes_of
from bot.dispatch.query_session import QuerySession
from bot.dispatch.registry import Registry
from bot.errors import HvopsError, LedgerError, NoPlan, TargetError, TicketError, UsageError
from bot.formatting import clauses
from bot.ledger import Ledger
from bot.ledger.envelope import to_timestamp
from bot.tickets.answers import without_answers
from bot.tickets.conditions import unmet
from bot.tickets.freezes import with_windows
from bot.tickets.other_tickets import TicketActs, acts_of, later_changes, left_unseen
from bot.tickets.proposal import PlannedChange, Proposal
from bot.tickets.run_history import RunHistory, StepInstance, as_done
from bot.tickets.undo import (
    LONGEST_ACT,
    build_undo,
    gate_not_met_before,
    gate_not_put_back,
    gates_afresh,
    gates_back,
    gates_not_asked,
    is_half_done,
    may_have_restored,
    settled_at,
    under_way,
    without_past,
)
from bot.transport.turns import asking_about

log = structlog.get_logger()


class Planner:
    """Turns a command line into a plan."""

    def __init__(
        self,
        registry: Registry,
        inventory: Inventory,
        ledger: Ledger,
        *,
        look: Callable[[datetime, Any], QuerySession],
        version: str,
        clock: Callable[[], datetime],
        unknown: Literal["answer", "refuse"] = "answer",
        doubt: Callable[[str], Awaitable[Doubt | None]] | None = None,
        why_not_sent: Callable[[Action | Query], str] = lambda _: "",
        windows: Sequence[Window] = (),
    ) -> None:
        """Take the parts.

        Args:
            registry: the commands.
            inventory: the names of clusters and hosts.
            ledger: where an undo finds what it takes back; no window is looked for at a time before its newest entry.
            look: makes the `QueryClient` of one look, from its time and its progress callback.
            version: which code makes these plans.
            clock: the time, UTC.
            unknown: "refuse": what is not known holds a plan, and nobody's answer lifts it.
            doubt: why nothing may be done on a host yet (`Inventory.doubt`); None where nothing is ever done.
            windows: of the inventory.
            why_not_sent: why an action or a question would be refused by hvops itself, "" where it would not.
        """
        self._registry = registry
        self._inventory = inventory
        self._ledger = ledger
        self._look = look
        self._clock = clock
        self._unknown = unknown
        self._doubt = doubt
        self._why_not_sent = why_not_sent
        self._windows = windows
        self.version = version

    async def make(
        self, line: CommandLine, look: QuerySession, group: str = "", approved: Plan | None = None
    ) -> PlannedChange:
        """The plan of a line whose targets are resolved. Raises HvopsError.

        Args:
            line: as it was typed.
            look: asks.
            group: the key of the group before which it is made anew half-way; "" for the whole of it.
            approved: the plan that was proposed, where it is made anew.
        """
        spec = line.command.spec
        assert isinstance(spec, Remediation)
        args = spec.args(**line.values)
        with asking_about(line.scopes):
            facts = await spec.collect(args, look)
        is_rest = bool(group) and spec.plan_on is not None

        def planned() -> Plan:
            fresh = spec.plan_on(args, facts, group) if group and spec.plan_on is not None else spec.plan(args, facts)
            return self._with_refusals(fresh)

        made = await self._with_doubts(await beside(planned))  # from lists as long as a host makes them
        plan = self._as_allowed(made, line.target or str(line))
        places = tuple(
            dict.fromkeys(
                [*(plan.places or line.scopes), *[place for on in _targets(plan) for place in await self._places(on)]]
            )
        )
        if plan.groups:
            plan = replace(plan, gates=(*plan.gates, *await self.left_behind(plan, approved)))
        in_time = self._with_windows(plan, places, approved, group)
        return PlannedChange(
            str(line), line.command.name, line.target, places, spec.risk, in_time, self.version, is_rest=is_rest
        )

    async def rebuild(self, proposal: Proposal, group: str = "") -> PlannedChange:
        """The same plan, from new facts; half-way, before the group of that key. Raises HvopsError."""
        if proposal.made.undoes:
            return await self.undo(proposal.made.undoes, group, proposal.plan, proposal.ticket)
        line = await self._line(proposal)
        if not isinstance(line.command.spec, Remediation):
            raise TicketError(f"{proposal.ticket}: {proposal.made.line} would no longer change anything.")
        return await self.make(line, self._look(self._clock(), None), group, proposal.plan)

    async def undo(self, ticket: str, group: str = "", approved: Plan | None = None, undo: str = "") -> PlannedChange:
        """What takes a ticket back, and what has to be so before. Raises TicketError where there is no such ticket.

        A freeze holds it where all that hvops does is done, however the ticket ended, and where nothing was begun: what was left
        half done is undone inside of one, too.
        Its locks, roles and windows are those of the ticket, so it is taken back only where its hosts are still there:
        NoPlan where one of them belongs to another cluster now, or nobody knows to which.

        Args:
            ticket: its number.
            group: the key of the group before which it is made anew half-way; "" for the whole of it.
            approved: the plan that was proposed, where it is made anew.
            undo: the ticket that was proposed so: of what it has undone itself, nothing is left out.
        """
        acts, made = await asyncio.to_thread(self._taken_back, ticket, undo)
        proposal = acts.proposal
        if not made.plan.groups:
            return made
        if why := await self._why_elsewhere(proposal, made.plan):
            raise NoPlan(why)
        found, put_back = await self._put_back(acts)
        if found:
            afresh = partial(build_undo, apart=self._ledger.clock_skew)
            made = await asyncio.to_thread(afresh, proposal, acts.story, self.version, acts.undone, found)
            if not made.plan.groups:
                return made
        not_met = await asyncio.to_thread(gate_not_met_before, proposal, acts.story, made.plan.steps)
        gates = (*await self._gates_back(proposal, made.plan), *put_back, *not_met)
        # Last: what begins while hosts are asked counts as well.
        gates += await asyncio.to_thread(later_changes, self._ledger, acts, made.plan, approved)
        gates += await self._under_way((*acts.runs, *await self._left_unseen(made.plan)), approved)
        now = self._ledger.not_behind(self._clock())
        steady = await asyncio.to_thread(self._steady_seconds)
        back = replace(without_past(made.plan, now, approved, steady), gates=gates)
        plan = self._as_allowed(await self._with_doubts(await asyncio.to_thread(self._with_refusals, back)), ticket)
        if not is_half_done(proposal.plan, as_done(acts.story, found)):
            plan = self._with_windows(plan, made.places, approved, group)
        return replace(made, plan=plan)

    async def own_undo_gates(self, proposal: Proposal, steps: Sequence[Step]) -> tuple[Gate, ...]:
        """What has to be so before a run undoes a group of its own that failed: the same that a person's undo is asked.

        Where the command names nothing for it, such a group goes by the guards of its steps, and by what later tickets have
        changed since: a run gives way while it only waits. Raises LedgerError.

        Args:
            proposal: of the ticket.
            steps: the undos that are left, in their order.
        """
        back = Plan("", "", "", proposal.plan.locks, (), (Group("undo", tuple(steps)),))
        later = await asyncio.to_thread(self._changed_since, proposal.ticket, back)
        command = self._registry.commands.get(proposal.made.command)
        if command is not None and isinstance(command.spec, Remediation) and command.spec.undo_gates is None:
            return later
        return (*await self._gates_back(proposal, back), *later)

    def _changed_since(self, ticket: str, back: Plan) -> tuple[Gate, ...]:
        return later_changes(self._ledger, acts_of(self._ledger, ticket), back, None)

    async def left_behind(self, plan: Plan, approved: Plan | None = None) -> tuple[Gate, ...]:
        """Make the gate about what tickets that have ended have sent there and what may still come.

        Raises LedgerError, TicketError.

        Args:
            plan: what is to act there.
            approved: that plan as it was proposed, where it is made anew.
        """
        return await self._under_way(await self._left_unseen(plan), approved)

    async def _left_unseen(self, plan: Plan) -> tuple[tuple[Plan, RunHistory], ...]:
        """The runs that have ended and of which something may come that a plan is about. Raises LedgerError, TicketError."""
        steady = await asyncio.to_thread(self._steady_seconds)
        longest = LONGEST_ACT + timedelta(seconds=self._ledger.clock_skew)
        is_time_known = steady is None or steady > longest.total_seconds()
        since = to_timestamp(self._ledger.not_behind(self._clock()) - longest) if is_time_known else ""
        return await asyncio.to_thread(left_unseen, self._ledger, plan, since)

    async def _under_way(self, runs: Sequence[tuple[Plan, RunHistory]], approved: Plan | None) -> tuple[Gate, ...]:
        """The gate about what these runs have sent and what may still come. Raises LedgerError."""
        now = self._ledger.not_behind(self._clock())
        steady = await asyncio.to_thread(self._steady_seconds)
        apart = self._ledger.clock_skew
        return await asyncio.to_thread(under_way, runs, now, approved, steady=steady, apart=apart)

    async def _put_back(self, acts: TicketActs) -> tuple[list[StepInstance], tuple[Gate, ...]]:
        """The steps whose end nobody saw and that are seen now to have put back something, and the gate about the others."""
        proposal, story = acts.proposal, acts.story
        places = await asyncio.to_thread(may_have_restored, proposal.plan, story, acts.undone)
        with asking_about(proposal.places):
            why_not = {place: await self._why_not_done(place, story) for place in places}
        open_ends = {place: why for place, why in why_not.items() if why}
        gates = (gate_not_put_back(proposal.ticket, story, open_ends),) if open_ends else ()
        return [place for place in places if place not in open_ends], gates

    async def _why_not_done(self, place: StepInstance, story: RunHistory) -> str:
        """Why a step that was sent is not seen to be done now; "" where all of its checks are met."""
        now, steady = self._ledger.not_behind(self._clock()), await asyncio.to_thread(self._steady_seconds)
        if now < settled_at(place, story, now, steady=steady, apart=self._ledger.clock_skew):
            return "its source may still report the state before it"
        await self.resolve_hosts(*(check.question.on for check in place.step.done))
        look, images = self._look(self._clock(), None), story.images_of(place)

        async def why_not(check: Check) -> str:
            found = await look.query(Source(check.question, lambda rows: unmet(check, rows, images)))
            if isinstance(found, Unknown):
                return f"{found.target}: {found.why}"
            return f"not met: {check.description or clauses(found.value)}" if found.value else ""

        return clauses(await asyncio.gather(*map(why_not, place.step.done)))

    def _steady_seconds(self) -> float | None:
        """For how long the clock was not set, where it was set since this process began."""
        noticed = self._ledger.clock_doubt().noticed
        return self._ledger.elapsed_since(noticed) if noticed is not None else None

    def _taken_back(self, ticket: str, undo: str) -> tuple[TicketActs, PlannedChange]:
        """What a ticket did and what undoes it, by its entries and those of its undos, of which there may be tens of thousands."""
        acts = acts_of(self._ledger, ticket, but_for=undo)
        apart = self._ledger.clock_skew
        return acts, build_undo(acts.proposal, acts.story, self.version, acts.undone, apart=apart)

    async def _why_elsewhere(self, proposal: Proposal, back: Plan) -> str:
        """Why the way back is not that of the ticket any more: a host of it has left for another place. "" where none has."""
        places = {place.casefold() for place in proposal.places}
        where, acted_on = ", ".join(proposal.places), _targets(back)
        for name, target in (await self._inventory.find_now(_hosts_of(proposal, back))).items():
            if isinstance(target, UsageError):
                if name.casefold() in places or name not in acted_on:
                    continue  # it represents itself; or it is only asked, and whoever asks it says so
                return (
                    f"No plan to undo {proposal.ticket}: {name} was in {where} then, and where it is now is not known:"
                    f" {target}"
                )
            if now := _elsewhere(target, places):
                return (
                    f"No plan to undo {proposal.ticket}: {target.name} was in {where} then and is in {now} now, with other"
                    f" people, locks and freezes. Request a change of its own for {target.name}, or put it back by hand; if"
                    f" {proposal.ticket} is still interrupted, close it then."
                )
        return ""

    def _with_windows(self, plan: Plan, places: Sequence[str], approved: Plan | None, group: str) -> Plan:
        """The plan with what windows mean for it. A clock that was set back ends no freeze."""
        now = self._ledger.not_behind(self._clock())
        return with_windows(plan, self._windows, places, now, approved, has_begun=bool(group))

    async def _gates_back(self, proposal: Proposal, back: Plan) -> tuple[Gate, ...]:
        """The gates on the way back, from new facts."""
        try:
            line = await self._line(proposal)
            spec = line.command.spec
            if not isinstance(spec, Remediation):
                return gates_not_asked(
                    proposal.ticket, proposal.plan, f"{proposal.made.line} would no longer change anything"
                )
            args = spec.args(**line.values)
            with asking_about(line.scopes):
                facts = await spec.collect(args, self._look(self._clock(), None))
        except LedgerError:
            raise
        except HvopsError as error:
            return gates_not_asked(proposal.ticket, proposal.plan, str(error))

        def judged() -> tuple[Gate, ...]:
            if spec.undo_gates is not None:
                return gates_back(spec.undo_gates(args, facts, back))
            return gates_afresh(proposal.plan, spec.plan(args, facts))

        return await asyncio.to_thread(judged)

    async def _line(self, proposal: Proposal) -> CommandLine:
        return await resolve(self._inventory, read_line(self._registry, read_typed(proposal.made.line)), None)

    def describe_after(self, proposal: Proposal, told: AfterRun) -> Sequence[str] | None:
        """What a command says of a run that is done; None where it has no words for it, or cannot read the answers."""
        command = self._registry.commands.get(proposal.made.command)
        spec = command.spec if command is not None else None
        if not isinstance(spec, Remediation) or spec.describe_after is None:
            return None
        try:
            return spec.describe_after(told)
        except ValueError:
            return None
        except Exception:  # what only tells must not keep a run from its end
            log.exception("our bug while a run that is done was described", ticket=proposal.ticket)
            return None

    async def resolve_hosts(self, *names: str) -> tuple[Target, ...]:
        """Find out where these are: after a restart nobody has asked the clusters for their nodes yet.

        A name that nobody knows stays a stranger, and whoever is asked about it says so.
        """
        found = []
        for name in dict.fromkeys(names):
            with contextlib.suppress(UsageError, TargetError):
                found.append(await self._inventory.find_planned(name))
        return tuple(found)

    async def why_not_there(self, places: Iterable[str], *names: str) -> str:
        """Why nothing that was decided for these places is done on a host: it is in another one now. "" where it is there.

        Between two looks at a plan a node may be evicted and join another cluster, whose people nobody asked.
        """
        known = {place.casefold() for place in places}
        for target in await self.resolve_hosts(*names):
            if now := _elsewhere(target, known):
                return f"{target.name} is in {now} now, and this was decided for {', '.join(places)}"
        return ""

    async def _with_doubts(self, plan: Plan) -> Plan:
        """The plan, held where a host that it works on is only said to be the node that it is called.

        Nobody's word can stand for that: it would be taken from whoever makes a cluster say so.
        """
        if self._doubt is None:
            return plan
        hosts = _acted_on(plan)
        doubts = zip(hosts, await asyncio.gather(*map(self._doubt, hosts)), strict=True)
        gates = tuple(
            Gate.of(
                GateText(
                    f"{host} is a node of {doubt.cluster}",
                    f"{host} is not a node of {doubt.cluster}",
                    f"It is not known whether {host} is a node of {doubt.cluster}",
                ),
                GateOutcome.NOT_KNOWN,
                f"{doubt.says} {doubt.do}",
                answerable=False,
            )
            for host, doubt in doubts
            if doubt is not None
        )
        return replace(plan, gates=(*plan.gates, *gates)) if gates else plan

    def _with_refusals(self, plan: Plan) -> Plan:
        """The plan, held where hvops itself would refuse to send an act of it, its way back, or a question about either.

        What was read from a target can be what is written nowhere: what cannot be taken back as planned is not begun.
        """
        gates = tuple(
            Gate.of(
                GateText(
                    f"hvops can {says} “{step.description}”",
                    f"hvops cannot {says} “{step.description}”",
                    f"It is not known whether hvops can {says} “{step.description}”",
                ),
                GateOutcome.BLOCKED,
                why,
                answerable=False,
            )
            for step in plan.steps
            for says, parts in _to_send(step)
            if (why := next(filter(None, map(self._why_not_sent, parts)), ""))
        )
        return replace(plan, gates=(*plan.gates, *dict.fromkeys(gates))) if gates else plan

    def _as_allowed(self, plan: Plan, target: str) -> Plan:
        return without_answers(plan, target) if self._unknown == "refuse" else plan

    async def _places(self, name: str) -> tuple[str, ...]:
        """Where a role must hold for a target of an action; a name that nobody knows represents itself."""
        try:
            return scopes_of(await self._inventory.find_planned(name))
        except UsageError:
            return (name,)


def _to_send(step: Step) -> tuple[tuple[str, tuple[Action | Query, ...]], ...]:
    """What of a step goes to a target, by what it is for."""
    image = () if step.before is None else (step.before,)
    counted = () if step.moves is None else (step.moves,)
    there = tuple(check.question for check in (*step.guard, *counted, *step.done))
    back = tuple(check.question for check in (*step.undo_guard, *step.undone))
    return (
        ("carry out", () if step.act is None else (step.act,)),
        ("check", (*image, *there)),
        ("undo", () if step.undo is None else (step.undo,)),
        ("check the undo of", back),
    )


def _acted_on(plan: Plan) -> tuple[str, ...]:
    """The hosts that its steps, or the way back, log in to in order to change something."""
    acts = [act for step in plan.steps for act in (step.act, step.undo)]
    return tuple(dict.fromkeys(act.on for act in acts if isinstance(act, (InvokeMethod, RunProgram))))


def _elsewhere(target: Target, places: Container[str]) -> str:
    """Where a host is, outside of these places (their names without regard to case); "" where it is inside, or no host."""
    outside = [place for place in scopes_of(target) if place.casefold() not in places]
    return ", ".join(outside) if target.kind == "host" else ""


def _hosts_of(proposal: Proposal, back: Plan) -> tuple[str, ...]:
    """What a way back works on, and what it asks of the targets that were typed: a step by hand names its host there alone."""
    typed = HostNames(proposal.made.line.replace(",", " ").split())
    checks = [check for step in back.steps for check in (*step.guard, *step.done)]
    asked = [check.question.on for check in checks if not isinstance(check.question, GuestQuery | LedgerQuery)]
    return tuple(dict.fromkeys([*_targets(back), *(name for name in asked if name in typed)]))


def _targets(plan: Plan) -> tuple[str, ...]:
    acts = [act for step in plan.steps for act in (step.act, step.undo) if act and not isinstance(act, ManualStep)]
    return tuple(dict.fromkeys([*(act.on for act in acts), *plan.touches]))
