"""Restart a Windows service on a host and the services that depend on it, and check that it is running again."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from graphlib import CycleError, TopologicalSorter

from bot.api.arguments import HostTarget
from bot.api.beside import beside
from bot.api.command import Remediation, Risk, Role
from bot.api.facts import Unknown, value_of
from bot.api.plan import Check, Gate, GateOutcome, GateText, Group, OpenQuestion, Plan, missing
from bot.api.query_client import QueryClient
from bot.api.report import Remedy
from bot.api.texts import clip
from commands.drain.steps import gate_no_locks, is_drained
from commands.formatting import join_names, pluralize, sentences
from commands.no_plan import cluster_lock, no_plan, or_no_plan
from commands.sources.backup_state import no_backup_text
from commands.sources.cluster_services import ClusterServices, find_cluster_services
from commands.sources.rules import writer_services
from commands.sources.services import (
    CARRIES_US,
    DISABLED,
    PAUSED,
    RUNNING,
    STOPPED,
    WAIT,
    Service,
    host_services,
    new_process_step,
    service_dependents,
    start_step,
    step_name,
    stop_step,
)
from commands.vss.writer_verdict import WriterStatus
from commands.writer_reset.effects import HYPER_V_STOPS, WRITERS_STOP, StopFacts, WriterStopFacts
from commands.writer_reset.facts import ResetFacts, find_reset_facts
from commands.writer_reset.gates import not_clustered, owned_by_cluster

_COMPARED = 2_000  # names that a typed one is compared with; a host has some three hundred
_HYPER_V = ("vmms", "vmcompute")  # a restart while guests move or are saved can fail both, so the node is drained first
_VSS = {"vss", "swprv"}  # the service itself, and the provider of its shadow copies
_CORE = "Windows depends on it. Reboot the host instead."
_NETWORK = "Stopping it can cut hvops off from the host, and hvops could not start it again."
_STORAGE = "Shared volumes and disks can be reached through it."
_LOGINS = "Logins go through it, and without them hvops could not start it again."
_FILES = "File shares and Cluster Shared Volumes depend on it."
_NEVER = {
    "clussvc": "Stopping it takes the node out of its cluster.",
    **dict.fromkeys(("rpcss", "dcomlaunch", "rpceptmapper", "lsm", "samss", "keyiso"), _CORE),  # [mem]
    **dict.fromkeys(("eventlog", "plugplay", "power", "schedule", "trustedinstaller", "hvhost"), _CORE),  # [mem]
    **dict.fromkeys(("bfe", "mpssvc", "dhcp", "dnscache", "nlasvc", "nsi", "policyagent", "ikeext"), _NETWORK),  # [mem]
    "hns": "The network of guests and containers goes through it.",  # [mem]
    **dict.fromkeys(("netlogon", "kdc", "ntds"), _LOGINS),  # [mem]
    "msiscsi": _STORAGE,  # [mem]
    **dict.fromkeys(("vmmservice", "scvmmservice"), "VMM's jobs run in it. See in VMM's console that none does."),
    **dict.fromkeys(("lanmanserver", "lanmanworkstation"), _FILES),  # CSV needs SMB [doc]
}


class ServiceName(str):
    """A word of a service's name."""

    __slots__ = ()
    names = "service of Windows"


@dataclass(frozen=True, slots=True)
class Args:
    """What people type: the short name, or the display name in full."""

    host: HostTarget
    service: tuple[ServiceName, ...]


@dataclass(frozen=True, slots=True)
class RestartFacts:
    """What a restart of a service depends on.

    Attributes:
        services: of the host.
        dependents: pairs of names: relied upon, relies on it.
        now: when it was asked.
        clustered: the resources of its cluster that stand for services.
        hyper_v: of the node, where one of Hyper-V's own services would be stopped; else None.
        writers: of the host, where a service with VSS writers would be stopped, Hyper-V's own apart; else None.
    """

    services: tuple[Service, ...] | Unknown
    dependents: tuple[tuple[str, str], ...] | Unknown
    now: datetime
    clustered: ClusterServices | Unknown
    hyper_v: ResetFacts | None = None
    writers: ResetFacts | None = None


class _Circle(Exception):
    """Services that depend on each other in a circle: none of them could be stopped first."""


async def collect(args: Args, ask: QueryClient) -> RestartFacts:
    """Ask the host for its services and what depends on them, and its cluster whether it owns any of them.

    For Hyper-V's own services, also what a reset of its writer asks.
    """
    services, dependents, clustered = await asyncio.gather(
        ask.query(host_services(args.host.name)),
        ask.query(service_dependents(args.host.name)),
        find_cluster_services(args.host, ask),
    )
    facts = RestartFacts(value_of(services), value_of(dependents), ask.now, clustered)
    if isinstance(facts.services, Unknown):
        return facts
    found = _find(facts.services, " ".join(args.service))
    if len(found) != 1 or found[0].state != RUNNING or _why_never(found[0].name):
        return facts
    hyper_v, writers = await beside(_among, args.host.name, facts, found[0])  # of what a host lists
    if hyper_v:
        return replace(facts, hyper_v=await find_reset_facts(args.host, ask)) if args.host.cluster else facts
    if writers:
        return replace(facts, writers=await find_reset_facts(args.host, ask))
    return facts


def _among(on: str, facts: RestartFacts, one: Service) -> tuple[bool, bool]:
    """Whether one of Hyper-V's services would be stopped, and whether one with writers would."""
    return _hyper_v_among(on, facts, one), _writers_among(on, facts, one)


def plan(args: Args, facts: RestartFacts) -> Plan:
    """Find the service; refuse what must not be restarted this way; stop what depends on it first."""
    on, wanted = args.host.name, " ".join(args.service)
    if isinstance(facts.services, Unknown):
        return no_plan(f"No plan for {on}: its services are not known. {facts.services.why}".rstrip())
    found = _find(facts.services, wanted)
    if len(found) != 1:
        return no_plan(_which(on, facts.services, wanted, found))
    one = found[0]
    if refusal := _never(on, one) or _clustered(on, facts, one, ()) or _not_running(args, facts, one):
        return refusal
    try:
        dependents = _dependents(on, facts, one)
    except _Circle:
        return no_plan(
            f"No plan for {one.name} on {on}: its dependent services depend on each other, so there is no order to stop them in."
        )
    refusal = _clustered(on, facts, one, _running_among(facts, dependents))
    if refusal is None and _hyper_v_among(on, facts, one):
        refusal = _hyper_v_refusal(args, facts, one)
    return refusal or _restart(args, facts, one, dependents)


def _restart(args: Args, facts: RestartFacts, one: Service, dependents: tuple[str, ...] | Unknown) -> Plan:
    """The plan for a service that runs."""
    on = args.host.name
    listed = _listed(facts)
    also = [] if isinstance(dependents, Unknown) else [listed.get(name.lower()) or name for name in dependents]
    running = [other for other in also if isinstance(other, Service) and other.state != STOPPED]
    hyper_v = _hyper_v_gates(args, facts)
    guard = _is_free(facts)
    stays = _stays(facts, one, running)
    proof = () if stays else (new_process_step(on, one.name),)
    steps = (
        *(stop_step(on, other.name, guard) for other in running),
        stop_step(on, one.name, guard),
        # one that has come back by itself meanwhile is as good as one that was started
        replace(start_step(on, one.name), guard=()),
        *proof,
        *(replace(start_step(on, other.name), guard=()) for other in reversed(running)),
    )
    names = [step_name(other.name) for other in (*running, one)]
    if len(set(names)) < len(names):
        alike = join_names([other.name for other in (*running, one)])
        return no_plan(
            f"No plan for {one.name} on {on}: some of these service names are too similar: {alike}. Restart the service on the host."
        )
    back = join_names([one.name, *(other.name for other in reversed(running))], 40)
    whole = Plan(
        title=f"Restart {one.label} on {on}",
        reason=f"Someone asked for a restart of {one.label}, which is running on {on}.",
        impact=_impact(on, one, running, stays),
        rollback=f"If a step fails, hvops tries to start every service it stopped: {back}. If you press Stop After Step, they stay stopped: press Undo… then. After a successful restart there is nothing to undo.",
        locks=(cluster_lock(args.host),),
        gates=(
            Gate(f"{one.name} is running on {on}", GateOutcome.PASSED, one.state, guards="worth"),
            _enabled(on, one),
            _stoppable(on, one),
            _process_known(on, one, stays),
            *_dependents_gates(on, one, dependents, also),
            not_clustered(on, [one.name, *(other.name for other in running)], facts.clustered),
            *hyper_v,
            *_writer_gates(args, facts),
        ),
        groups=(Group("restart", steps, on_failure="undo"),),
        remedies=_drains(on, hyper_v) or _afterwards(on, (one, *running)),
        current_state=f"{one.state}, process {one.process_id}",
        expected_state=_then(running, stays),
        self_reverting=True,
        afterwards=tuple(check for other in (one, *running) for check in start_step(on, other.name).done),
    )
    return or_no_plan(on, whole)


def _find(services: Sequence[Service], wanted: str) -> list[Service]:
    """By its short name as it is written; else by that in any case; else by its whole display name."""
    word = _folded(wanted)
    return (
        [one for one in services if one.name == wanted]
        or [one for one in services if _folded(one.name) == word]
        or [one for one in services if word and _folded(one.display_name) == word]
    )


def _folded(name: str) -> str:
    """A name without its case and with single blanks. Not casefold(): Windows tells ß and ss apart."""
    return " ".join(name.lower().split())


def _listed(facts: RestartFacts) -> dict[str, Service]:
    """The services as the host lists them, by short name in lower case: the first of each. It may list tens of thousands."""
    services = () if isinstance(facts.services, Unknown) else facts.services
    return {one.name.lower(): one for one in reversed(services)}


def _which(on: str, services: Sequence[Service], wanted: str, found: Sequence[Service]) -> str:
    if found:
        names = join_names([one.name for one in found])
        return f"No plan for {on}: it lists {pluralize(len(found), 'service')} called “{clip(wanted, 80)}”: {names}. Use the service name."
    near = _near(services, _folded(wanted[:80]))
    hint = f" Similar names: {join_names([one.label for one in near])}." if near else ""
    return f"No plan for {on}: there is no service called “{clip(wanted, 80)}” on it.{hint}"


def _near(services: Sequence[Service], word: str) -> list[Service]:
    """Services of a name like that one, at most five."""
    by_name = {folded: one for one in services for folded in (_folded(one.display_name), _folded(one.name)) if folded}
    inside = [name for name in by_name if word and word in name]
    near = difflib.get_close_matches(word, by_name, n=5, cutoff=0.7) if len(by_name) <= _COMPARED else []
    close = [*inside, *near]
    return list(dict.fromkeys(by_name[name] for name in close))[:5]


def _never(on: str, one: Service) -> Plan | None:
    """The refusal of a service that is not restarted this way at all."""
    if why := _why_never(one.name):
        drain = one.name.casefold() == "clussvc"
        says = f"No plan for {one.label} on {on}: hvops never restarts it. {why}"
        if drain:
            says += f" Drain {on} first, then restart the Cluster service on the host."
        return no_plan(says, remedies=(Remedy("Drain Node…", f"/drain-node {on}", primary=True),) if drain else ())
    return None


def _why_never(name: str) -> str:
    """Why a service is not restarted this way; "" where it may be."""
    word = name.casefold()
    if carries := CARRIES_US.get(word):
        return f"hvops itself works through {carries}. Restart it on the host."
    rules = (rule.why for rule in writer_services() if rule.restart == "never" and rule.service.casefold() == word)
    return _NEVER.get(word) or next(rules, "")


def _clustered(on: str, facts: RestartFacts, one: Service, dependents: Sequence[str]) -> Plan | None:
    """The refusal of a service that the cluster owns, or on which one of those depends."""
    every = () if isinstance(facts.services, Unknown) else facts.services
    running = [other.name for other in every if other.state != STOPPED]
    why = owned_by_cluster(on, [one.name, *dependents], facts.clustered, running)
    return no_plan(f"No plan for {one.label} on {on}: {why}") if why else None


def _not_running(args: Args, facts: RestartFacts, one: Service) -> Plan | None:
    """What does not run cannot be restarted: whether it should run at all is another question."""
    on = args.host.name
    if one.state == RUNNING:
        return None
    if one.state == STOPPED:
        if one.start_mode == DISABLED:
            return no_plan(
                f"Nothing to restart on {on}: {one.label} is stopped and its startup type is Disabled. If it should run,"
                " enable and start it on the host."
            )
        return no_plan(
            f"Nothing to restart on {on}: {one.label} is stopped. /restart-service only restarts running services. If it"
            " should run, start it on the host."
        )
    if one.state == PAUSED:
        return no_plan(
            f"No plan for {one.label} on {on}: it is paused. Resume it on the host, then run this command again."
        )
    says = f"No plan for {one.label} on {on}: its state is “{one.state}”, not Running. Check again in a minute."
    drains = bool(args.host.cluster) and any(_why_never(name) for name in _stays(facts, one, ()))
    remedies = (Remedy("Drain Node…", f"/drain-node {on}", primary=True),) if drains else ()
    return no_plan(f"{says} If the state is still the same, {_hung(args, facts, one)}", remedies=remedies)


def _hung(args: Args, facts: RestartFacts, one: Service) -> str:
    """What to do about a service that hangs: its process takes every other service in it along."""
    others = _stays(facts, one, ())
    if not one.process_id:
        return (
            "the service is hung. Which process it runs in, and what else runs there, is not known: look on the host"
            " (tasklist /svc) before anybody ends one."
        )
    if not others:
        return "the service is hung: end its process on the host."
    shared = f"the service is hung in process {one.process_id}, which also hosts {join_names(others, 40)}"
    if vital := [name for name in others if _why_never(name)]:
        away = f"Drain {args.host.name} and reboot it" if args.host.cluster else f"Reboot {args.host.name}"
        return f"{shared}. Never end that process on a running host: {join_names(vital, 40)} would go with it. {away} instead."
    return f"{shared}. Ending that process also ends those services; start them again afterwards. First make sure that they can be down."


def _dependents(on: str, facts: RestartFacts, one: Service) -> tuple[str, ...] | Unknown:
    """Whatever depends on it, directly or not, in the order in which it has to stop. Raises _Circle."""
    if isinstance(facts.dependents, Unknown):
        return facts.dependents
    if not facts.dependents:
        return Unknown(
            on,
            "bad reply",
            f"{on} returned no service dependencies. Every Windows has some, so the answer is incomplete.",
        )
    relies: dict[str, dict[str, str]] = {}
    for needed, dependent in sorted(facts.dependents, key=lambda pair: (pair[1].lower(), pair[1])):
        relies.setdefault(needed.lower(), {}).setdefault(dependent.lower(), dependent)
    first = one.name.lower()
    names, todo = {first: one.name}, [first]
    order: TopologicalSorter[str] = TopologicalSorter()
    while todo:
        needed = todo.pop()
        found = relies.get(needed, {})
        order.add(needed, *found)  # what depends on it stops before it
        todo += [name for name in found if name not in names]
        names |= found
    try:
        return tuple(names[name] for name in order.static_order() if name != first)
    except CycleError:
        raise _Circle from None


def _running_among(facts: RestartFacts, names: tuple[str, ...] | Unknown) -> list[str]:
    """Those of these services that are not stopped."""
    known, listed = () if isinstance(names, Unknown) else names, _listed(facts)
    return [other.name for name in known if (other := listed.get(name.lower())) and other.state != STOPPED]


def _hyper_v_among(on: str, facts: RestartFacts, one: Service) -> bool:
    """Whether one of Hyper-V's own services would be stopped."""
    try:
        dependents = _dependents(on, facts, one)
    except _Circle:
        return False
    return any(name.casefold() in _HYPER_V for name in (one.name, *_running_among(facts, dependents)))


def _hyper_v_refusal(args: Args, facts: RestartFacts, one: Service) -> Plan | None:
    """Where the guests cannot leave, or where a reset of the writer is what helps."""
    on, found = args.host.name, facts.hyper_v
    says = f"No plan for {one.label} on {on}:"
    if found is None or found.drain is None:
        by_hand = "On the host: make sure no backup is running, move or shut down the guests, then restart the service."
        return no_plan(f"{says} hvops cannot move guests off {on}, because it is not in a cluster. {by_hand}")
    if found.drain.unfound:
        return no_plan(f"{says} {found.drain.unfound.target}: {found.drain.unfound.why}")
    writers = () if found.node is None else found.node.writers
    odd = next((it for it in writers if it.writer.is_hyper_v and it.verdict is not WriterStatus.STABLE), None)
    if odd is None:
        return None
    return no_plan(
        f"{says} {odd.writer.name} is {odd.writer.says}. Use /reset-writer {on} instead: it drains the node, restarts"
        " vmms and checks that the writer is healthy.",
        remedies=(Remedy("Reset Writer…", f"/reset-writer {on}", primary=True),),
    )


def _hyper_v_gates(args: Args, facts: RestartFacts) -> tuple[Gate, ...]:
    """What must be so before one of Hyper-V's own services is stopped; none where it is another."""
    found = facts.hyper_v
    if found is None or found.drain is None:
        return ()
    drain = replace(found.drain, judged_backup=found.node.backup) if found.node else found.drain
    return HYPER_V_STOPS.judge(
        StopFacts(args.host.name, drain, found.own_jobs(args.host), facts.now, found.unplaced_jobs(args.host))
    )


def _writers_among(on: str, facts: RestartFacts, one: Service) -> bool:
    """Whether VSS or a service that writers live in would be stopped: a backup that runs would fail."""
    try:
        others = _dependents(on, facts, one)
    except _Circle:
        return False
    names = (one.name, *_running_among(facts, others))
    with_writers = {rule.service.casefold() for rule in writer_services()} | _VSS
    return any(name.casefold() in with_writers for name in names)


def _writer_gates(args: Args, facts: RestartFacts) -> tuple[Gate, ...]:
    """What must be so before a service with writers is stopped; none where it has none."""
    found = facts.writers
    if found is None:
        return ()
    on = args.host.name
    if found.node is None:
        why = found.silence.why if found.silence else "its writers were not told."
        question = OpenQuestion(f"VSS writers of {on}", why, found.silence.remedy if found.silence else "")
        return (Gate.of(no_backup_text(on), GateOutcome.NOT_KNOWN, f"not known: {why}", unknowns=(question,)),)
    return WRITERS_STOP.judge(
        WriterStopFacts(on, found.node.backup, found.own_jobs(args.host), facts.now, found.unplaced_jobs(args.host))
    )


def _drains(on: str, hyper_v: Sequence[Gate]) -> tuple[Remedy, ...]:
    """What empties the node, where it is not empty yet."""
    full = any(gate.outcome is GateOutcome.BLOCKED for gate in hyper_v[:1])
    return (Remedy("Drain Node…", f"/drain-node {on}", primary=True),) if full else ()


def _is_free(facts: RestartFacts) -> tuple[Check, ...]:
    """What is looked at again just before one of Hyper-V's own services is stopped."""
    if facts.hyper_v is None or facts.hyper_v.drain is None:
        return ()
    drain = facts.hyper_v.drain
    return (*is_drained(drain.cluster.name, drain.node), *gate_no_locks(drain.cluster.name, drain.node))


def _enabled(on: str, one: Service) -> Gate:
    """A disabled service can be stopped, and not started again: StartService returns 14 [doc]."""
    known = None if not one.start_mode else one.start_mode != DISABLED
    unknowns = () if one.start_mode else (OpenQuestion(f"start mode of {one.name} on {on}", "its row is empty"),)
    measured = one.start_mode or "not known"
    says = GateText(
        f"{one.name} is not disabled on {on}",
        f"{one.name} is disabled on {on}, so it could not be started again",
        f"It is not known whether {one.name} is disabled on {on}",
    )
    return Gate.of(says, GateOutcome.of(known), measured, unknowns=unknowns)


def _stoppable(on: str, one: Service) -> Gate:
    """One that does not accept a stop refuses with 4 [doc]."""
    told = {True: "", False: "it does not accept a stop right now", None: "not known"}[one.accepts_stop]
    silent = one.accepts_stop is None
    unknowns = (OpenQuestion(f"whether {one.name} on {on} accepts a stop", "its row is empty"),) if silent else ()
    says = GateText(
        f"{one.name} on {on} can be stopped",
        f"{one.name} on {on} cannot be stopped now",
        f"It is not known whether {one.name} on {on} can be stopped",
    )
    return Gate.of(says, GateOutcome.of(one.accepts_stop), told, unknowns=unknowns)


def _stays(facts: RestartFacts, one: Service, running: Sequence[Service]) -> tuple[str, ...]:
    """Services that go on in the same process: then the process stays, and its id proves nothing."""
    if isinstance(facts.services, Unknown) or not one.process_id:
        return ()
    stopped = {one.name, *(other.name for other in running)}
    return tuple(
        other.name for other in facts.services if other.process_id == one.process_id and other.name not in stopped
    )


def _process_known(on: str, one: Service, stays: Sequence[str]) -> Gate:
    """What the last check compares: no person's word can stand for it."""
    shared = f", shared with {join_names(stays, 4)}" if stays else ""
    return Gate.of(
        GateText(
            f"The process ID of {one.name} on {on} is known",
            *(f"The process ID of {one.name} on {on} is not known",) * 2,
        ),
        GateOutcome.of(True if one.process_id else None),
        f"process {one.process_id}{shared}" if one.process_id else "not known",
        guards="worth",
        unknowns=() if one.process_id else (OpenQuestion(f"process ID of {one.name} on {on}", "its row is empty"),),
        answerable=bool(one.process_id),
    )


def _dependents_gates(
    on: str, one: Service, dependents: tuple[str, ...] | Unknown, also: Sequence[Service | str]
) -> tuple[Gate, ...]:
    """Whether it is known what depends on it, and whether that can be stopped and started again.

    The steps follow from what depends on it, so no person's word can stand for that.
    """
    says = GateText(
        f"The services that depend on {one.name} are known",
        f"The services that depend on {one.name} are not known",
        f"The services that depend on {one.name} are not known",
    )
    if isinstance(dependents, Unknown):
        why, unknowns = dependents.why.rstrip("."), missing(f"services that depend on {one.name}", dependents)
        return (Gate.of(says, GateOutcome.NOT_KNOWN, f"not known: {why}", unknowns=unknowns, answerable=False),)
    unlisted = [other for other in also if isinstance(other, str)]
    if unlisted:
        names, one_only = join_names(unlisted, 4), len(unlisted) == 1
        depend, them = ("depends", "it as a service") if one_only else ("depend", "them as services")
        absent = f"not known: {names} {depend} on {one.name}, but {on} does not list {them}"
        unknowns = tuple(OpenQuestion(f"service {other} of {on}", f"{on} does not list it") for other in unlisted)
        return (Gate.of(says, GateOutcome.NOT_KNOWN, absent, unknowns=unknowns, answerable=False),)
    running = [other for other in also if isinstance(other, Service) and other.state != STOPPED]
    told = join_names([other.name for other in running], 40)
    known = Gate.of(says, GateOutcome.PASSED, f"running: {told}" if running else "none running")
    if not running:
        return (known,)
    holds = [(other, why) for other in running for why in (_why_stays(other),) if why]
    silent = [(other, "not known whether it can be stopped and started") for other in running if _is_silent(other)]
    return (
        known,
        Gate.of(
            GateText(
                f"Every service that depends on {one.name} can be stopped and started again",
                f"A service that depends on {one.name} cannot be stopped and started again",
                f"It is not known whether every service that depends on {one.name} can be stopped and started again",
            ),
            GateOutcome.BLOCKED if holds else GateOutcome.of(None if silent else True),
            join_names([f"{other.name}: {why}" for other, why in (*holds, *silent)], 4) if holds or silent else "",
            unknowns=()
            if holds
            else tuple(OpenQuestion(f"whether {other.name} can be stopped and started", why) for other, why in silent),
        ),
    )


def _is_silent(other: Service) -> bool:
    return other.accepts_stop is None or not other.start_mode


def _why_stays(other: Service) -> str:
    """Why a service that depends on another cannot be stopped and started again; "" where it can, or nobody knows."""
    if why := _why_never(other.name):
        return why.rstrip(".")
    if other.state != RUNNING:
        return f"it is “{other.state}”"
    if other.start_mode == DISABLED:
        return "it is disabled, so it could not be started again"
    return "it does not accept a stop right now" if other.accepts_stop is False else ""


def _impact(on: str, one: Service, running: Sequence[Service], stays: Sequence[str]) -> str:
    away = f"{one.label} on {on} stops and starts again"
    others = f", together with {join_names([other.label for other in running], 8)}" if running else ""
    takes = f"This usually takes seconds, at most {WAIT // 60} minutes for each stop and each start."
    writers = _writers((one, *running))
    backup = (
        f"These services can host VSS writers ({join_names(writers, 4)}): a backup in progress can fail."
        if writers
        else ""
    )
    shared = (
        f"The process of {one.name} keeps running, because it also hosts {join_names(stays, 4)}. A new process ID cannot"
        " confirm this restart."
        if stays
        else ""
    )
    hyper_v = any(other.name.casefold() in _HYPER_V for other in (one, *running))
    manage = f"Hyper-V on {on} cannot be managed until the service is running again." if hyper_v else ""
    return sentences((f"{away}{others}.", takes, backup, shared, manage))


def _writers(services: Sequence[Service]) -> list[str]:
    """The VSS writers that can run in these services: whether they do here was not asked."""
    names = {one.name.casefold() for one in services}
    return list(
        dict.fromkeys(
            rule.name for rule in writer_services() if rule.restart != "unknown" and rule.service.casefold() in names
        )
    )


def _then(running: Sequence[Service], stays: Sequence[str]) -> str:
    others = f"; {join_names([other.name for other in running], 8)} Running" if running else ""
    return f"Running{'' if stays else ', in a new process'}{others}"


def _afterwards(on: str, services: Sequence[Service]) -> tuple[Remedy, ...]:
    """What helps once it has ended, however it did."""
    return (Remedy("Check Writers", f"/check-writers {on}"),) if _writers(services) else ()


def undo_gates(args: Args, facts: RestartFacts, back: Plan) -> tuple[Gate, ...]:
    """Starting a service again takes no more than that it can be started; whether it should restart is settled."""
    del back
    on, service = args.host.name, " ".join(args.service)
    found = [] if isinstance(facts.services, Unknown) else _find(facts.services, service)
    if len(found) == 1:
        return (_enabled(on, found[0]),)
    says = GateText(
        f"{service} on {on} can be started",
        f"{service} on {on} cannot be started",
        f"It is not known whether {service} on {on} can be started",
    )
    why = (
        facts.services.why
        if isinstance(facts.services, Unknown)
        else f"{on} lists no service of that name, or more than one."
    )
    unknowns = (OpenQuestion(f"services of {on}", why),)
    return (Gate.of(says, GateOutcome.NOT_KNOWN, f"not known: {why.rstrip('.')}", unknowns=unknowns),)


COMMAND = Remediation(Role.OPERATOR, Risk.HIGH, Args, collect, plan, undo_gates)
