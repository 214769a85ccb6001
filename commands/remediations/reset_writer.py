"""Reset a VSS writer that is stuck: free its node first, restart the service behind it, check that it is healthy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.api.arguments import HostTarget
from bot.api.command import Remediation, Risk, Role
from bot.api.facts import Unknown
from bot.api.plan import UNDO, Gate, GateText, Group, Plan, bound
from bot.api.query_client import QueryClient
from bot.api.report import Remedy
from bot.api.texts import clip
from commands.drain.blockers import locked_words, reasons, release_remedies
from commands.drain.effects import NODE_LOSES_GUESTS, NODE_TAKES_GUESTS, gates_back, resume_facts, together
from commands.drain.facts import DrainFacts
from commands.drain.gates import no_locks, nothing_known
from commands.drain.roles import moved_with_them
from commands.drain.steps import DRAIN, RESUME
from commands.formatting import join_names, pluralize, sentences
from commands.guest_space.facts import answered_guests, short_of_space, way_to_room
from commands.guest_space.gates import has_room
from commands.no_plan import cluster_lock, no_plan, or_no_plan
from commands.sources.commvault import BackupJob
from commands.sources.event_log import LOCKED_ERROR
from commands.sources.identity import fold_name, guid
from commands.sources.rules import WriterService, folded_names, service_of
from commands.sources.services import CARRIES_US
from commands.sources.vss_writers import no_error_text
from commands.vss.evidence import log_line
from commands.vss.node_verdict import NodeVerdict
from commands.vss.writer_verdict import WriterStatus, WriterVerdict
from commands.writer_reset.effects import HYPER_V_STOPS, WRITERS_STOP, StopFacts, WriterStopFacts
from commands.writer_reset.facts import ResetFacts, find_reset_facts
from commands.writer_reset.gates import (
    curable,
    gate_stuck_twice,
    no_backup_job,
    not_clustered,
    owned_by_cluster,
    readable,
)
from commands.writer_reset.steps import WRITER, hyper_v_steps, reset_steps

_RESETTABLE = (WriterStatus.STUCK, WriterStatus.FAILED)
_WELL = "[1] Stable · No error, in a new instance"  # what a reset waits for
_WELL_BY_NUMBER = "[1] Stable in a new instance; its last error is in a language not known here, so it is not checked"


class Writer(str):
    """A word of a writer's name."""

    __slots__ = ()
    names = "writer"


@dataclass(frozen=True, slots=True)
class Args:
    """What people type. Without a name it is the Hyper-V writer."""

    node: HostTarget
    writer: tuple[Writer, ...] = ()


async def collect(args: Args, ask: QueryClient) -> ResetFacts:
    """Ask the cluster, the nodes, the guests' volumes and the backup product."""
    return await find_reset_facts(args.node, ask)


def plan(args: Args, facts: ResetFacts) -> Plan:
    """Find the writer; the Hyper-V writer needs a drained node, the others only their service."""
    node = facts.node
    if node is None:
        why = facts.silence
        return no_plan(f"No plan for {args.node}: its writers are not known. {why.why if why else ''}".rstrip())
    return replace(_plan(args, facts, node), samples=node.samples())


def _plan(args: Args, facts: ResetFacts, node: NodeVerdict) -> Plan:
    """The plan for a node whose writers are known."""
    wanted = " ".join(args.writer)
    found = [one for one in node.writers if _is_meant(one, wanted)]
    one = _the_bad_one(found)
    if one is None:
        return no_plan(_which(node, wanted, found))
    if one.verdict is WriterStatus.STABLE:
        is_done = all(other.verdict is WriterStatus.STABLE for other in node.writers)
        look = (Remedy("Check Writers", f"/check-writers {node.name}"),)
        return no_plan(_well(node, one), remedies=look, is_done_already=is_done)
    if one.verdict is WriterStatus.FAILED and one.writer.needs_other_job:
        return _other_job(node, one)
    return _hyper_v(args, facts, node, one) if one.writer.is_hyper_v else _other(args, facts, node, one)


def _is_meant(one: WriterVerdict, wanted: str) -> bool:
    if not wanted:
        return one.writer.is_hyper_v
    if typed := guid(fold_name(wanted)):
        return typed in (one.writer.writer_id, one.writer.instance_id)
    return fold_name(wanted) == fold_name(one.writer.name)


def _the_bad_one(found: Sequence[WriterVerdict]) -> WriterVerdict | None:
    """The writer that is meant; of several instances of one writer the only one that is not well. None where it is open."""
    if len(found) == 1:
        return found[0]
    if len({(one.writer.writer_id, one.writer.name) for one in found}) != 1:
        return None
    bad = [one for one in found if one.verdict is not WriterStatus.STABLE] or found[:1]
    return bad[0] if len(bad) == 1 else None


def _twins(node: NodeVerdict, one: WriterVerdict) -> tuple[str, ...]:
    """The other instances of the same writer."""
    key = (one.writer.writer_id, one.writer.name)
    same = (other.writer.instance_id for other in node.writers if (other.writer.writer_id, other.writer.name) == key)
    return tuple(sorted({*same} - {one.writer.instance_id}))


def _which(node: NodeVerdict, wanted: str, found: Sequence[WriterVerdict]) -> str:
    names = join_names([one.writer.name for one in node.writers], 20)
    if found:
        each = [f"{one.writer.name} {one.writer.says} (instance {one.writer.instance_id})" for one in found]
        called = f"that “{clip(wanted, 80)}” means" if wanted else "of Hyper-V"
        return (
            f"No plan for {node.name}: it lists {pluralize(len(found), 'writer')} {called}. Name one by its instance id:"
            f" {join_names(each, 6)}."
        )
    asked = f"no writer “{clip(wanted, 80)}”" if wanted else "no Hyper-V writer"
    if any(not guid(one.writer.writer_id) for one in node.writers):
        asked += ", though the id of one cannot be read"
    return f"No plan for {node.name}: it lists {asked}. It lists: {names or 'none at all'}."


def _well(node: NodeVerdict, one: WriterVerdict) -> str:
    odd = [other for other in node.writers if other.verdict in _RESETTABLE]
    rest = f" Not well: {join_names([f'{node.shown(other)} {other.writer.says}' for other in odd], 4)}." if odd else ""
    return f"Nothing to reset on {node.name}: {one.writer.name} is {one.writer.says}.{rest}"


def _other_job(node: NodeVerdict, one: WriterVerdict) -> Plan:
    """A backup that left out a volume: the writer says so at the next one again, whatever is restarted."""
    whose = "its guests lie on" if one.writer.is_hyper_v else "its files lie on"
    says = (
        f"No plan for {node.name}: {one.writer.name} is {one.writer.says}. The backup left out a volume that {whose}, and no"
        " restart fixes that. Add the missing volume to the selection of the backup job, then run the job again."
    )
    return no_plan(says, curable(node, one), (Remedy("Check Writers", f"/check-writers {node.name}", primary=True),))


def _too_early(node: NodeVerdict, one: WriterVerdict) -> Plan | None:
    """A writer that no reset would help. One that looks stuck may be: its gates hold the start, or the plan."""
    if one.verdict in (*_RESETTABLE, WriterStatus.LOOKS_STUCK):
        return None
    why = {
        WriterStatus.BUSY: f"{node.backup.says} Waiting is normal meanwhile: let it end, then check again.",
        WriterStatus.ERROR: "It is stable again; the error is of an earlier backup. Retry the backup job: a reset would only hide it.",
        WriterStatus.EXPECTED: "That is expected on this Windows.",
        WriterStatus.UNREAD: "The vssadmin output for it cannot be read: look on the host."
        if one.writer.unreadable
        else "Its last error is in a language not known here: read it on the host.",
    }.get(one.verdict, "No source describes this state, so nothing says that a restart would help.")
    says = f"No plan for {node.name}: {one.writer.name} is {one.writer.says}. {why}"
    return no_plan(says, remedies=(Remedy("Check Writers", f"/check-writers {node.name}", primary=True),))


def _hyper_v(args: Args, facts: ResetFacts, node: NodeVerdict, one: WriterVerdict) -> Plan:
    """The branches of the field notes: a job that waits, guests that are locked, and neither."""
    drain = facts.drain
    if drain is None or drain.unfound or drain.is_2008:
        return no_plan(_no_drain(node, drain))
    if one.verdict is not WriterStatus.BUSY and (_jobs(args, facts) or not node.locks.none):
        return _free_the_guest(args, facts, node, drain)
    if refusal := _too_early(node, one):
        return refusal
    drained = drain.state is not None and drain.state.is_drained and not drain.roles
    twins = _twins(node, one)
    steps = hyper_v_steps(
        drain.cluster.name,
        node.name,
        one.writer,
        _no_error(node),
        drain=not drained,
        earlier=drain.state.drain if drain.state else None,
        flags=drain.tells_flags,
        up=drain.others_up,
        twins=twins,
    )
    moves = f"{_guests(drain)} live-migrate off {node.name} and back."
    stays = f"{node.name} is drained already; it takes guests again afterwards."
    whole = Plan(
        reason=_seen(node, one),
        impact=f"{stays if drained else sentences((moves, *moved_with_them(drain.other_roles)))} While vmms restarts nobody can manage Hyper-V on {node.name}.",
        rollback=f"Start vmms if it is stopped, then resume {node.name}.",
        locks=(cluster_lock(args.node),),
        gates=together(
            gate_stuck_twice(one, facts.writers.now),
            curable(node, one),
            (_no_job(args, facts), readable(node), has_room(_room_of(node.name), facts.space)),
            _effects(args, facts, replace(drain, judged_backup=node.backup), drained=drained),
        ),
        groups=(Group("reset", steps),),
        evidence=tuple(said for said in (log_line(node, facts.writers.now),) if said),
        remedies=_afterwards(node),
        current_state=f"{one.writer.says}; {node.name} is {'drained' if drained else f'up with {_guests(drain)}'}",
        expected_state=f"{_well_afterwards(node)}; {node.name} is up{'' if drained else ' and its guests are back'}",
        afterwards=tuple(check for step in steps[:-1] if step.key in (WRITER, RESUME) for check in step.done),
        # A node that was drained before is paused no more afterwards.
        self_reverting=not drained,
        at_most=bound(resume_facts(drain).affected if drained else drain.affected),
    )
    return or_no_plan(args.node.name, whole)


def _effects(args: Args, facts: ResetFacts, drain: DrainFacts, *, drained: bool) -> tuple[Gate, ...]:
    """The node loses its guests, Hyper-V's service stops, and the node takes guests again; each gate once."""
    stops = StopFacts(
        args.node.name, drain, facts.own_jobs(args.node), facts.writers.now, facts.unplaced_jobs(args.node)
    )
    own = () if drained else ("node's state",)  # our own first step brings it about
    return together(
        () if drained else NODE_LOSES_GUESTS.judge(drain),
        HYPER_V_STOPS.judge(stops, without=own),
        NODE_TAKES_GUESTS.judge(resume_facts(drain), without=("node's state", "drain under way", "Hyper-V")),
    )


def _jobs(args: Args, facts: ResetFacts) -> tuple[BackupJob, ...]:
    """The backup jobs known to lean on the node."""
    found = facts.own_jobs(args.node)
    return () if isinstance(found, Unknown) else found


def _room_of(node: str) -> GateText:
    return GateText(
        f"Every guest on {node} has enough free space",
        f"Guests on {node} are short of space",
        f"It is not known whether every guest on {node} has enough free space",
    )


def _no_job(args: Args, facts: ResetFacts) -> Gate:
    return no_backup_job(args.node.name, facts.own_jobs(args.node), facts.writers.now, facts.unplaced_jobs(args.node))


def _writers_stop(args: Args, facts: ResetFacts, node: NodeVerdict) -> WriterStopFacts:
    jobs, unplaced = facts.own_jobs(args.node), facts.unplaced_jobs(args.node)
    return WriterStopFacts(node.name, node.backup, jobs, facts.writers.now, unplaced)


def _guests(drain: DrainFacts) -> str:
    return pluralize(len(drain.roles), "guest")


def _no_drain(node: NodeVerdict, drain: DrainFacts | None) -> str:
    by_hand = "By hand: see that no backup runs, empty the host of its guests, restart the service vmms."
    if drain is None:
        return f"No plan for {node.name}: it belongs to no cluster, so its guests cannot leave it. {by_hand}"
    if drain.unfound:
        return f"No plan for {node.name}: {drain.unfound.target}: {drain.unfound.why}"
    return f"No plan for {node.name}: Windows Server 2008 R2 has no drain. {by_hand}"


def _free_the_guest(args: Args, facts: ResetFacts, node: NodeVerdict, drain: DrainFacts) -> Plan:
    """While a job waits or a guest is locked, room in the guest is the fix, and a reset the harm."""
    jobs = _jobs(args, facts)
    locked = locked_words(drain)
    unknown = "" if node.locks.are_known else "whether guests are locked is not known"
    why = f"{locked}, a drain would fail ({LOCKED_ERROR})" if locked else unknown
    waiting = "; ".join(f"backup job {job.says(facts.writers.now)}" for job in jobs)
    full = short_of_space(facts.space)
    resumable = [job for job in jobs if job.waits and not job.waits_for_window and not full]
    first = (
        f"First: {way_to_room(facts.space)}, then"
        if full
        else "Every guest that answered has room:"
        if resumable and answered_guests(facts.space)[0]
        else "First: find the guest without room and free 1 GB or more on each of its full volumes, then"
    )
    then = (
        f"resume job {jobs[0].number}; the writer recovers on its own"
        if jobs
        else f"let its backup job go on, or end it {node.backup.where_to_see}"
        if node.backup.where_to_see
        else "let the program that holds it end"
    )
    gates = (
        _no_job(args, facts),
        has_room(_room_of(node.name), facts.space),
        no_locks(drain.node, drain.guests, drain.cluster),
    )
    resumes = [Remedy("Resume Backup…", f"/resume-backup {job.number}", primary=True) for job in resumable[:1]]
    finds = [replace(one, primary=one.primary and not resumes) for one in release_remedies(node.name)]
    remedies = [*resumes, *finds]
    says = f"No plan yet for {node.name}: {'; '.join(part for part in (why, waiting) if part)}. {first} {then}."
    return no_plan(says, gates, remedies, tuple(reasons(node, facts.writers)))


def _other(args: Args, facts: ResetFacts, node: NodeVerdict, one: WriterVerdict) -> Plan:
    """Any other writer: by the rules which service may be restarted, and which never."""
    rule = service_of(one.writer.writer_id, one.writer.name, folded_names(other.writer.name for other in node.writers))
    if refusal := _never(node, one, rule):
        return no_plan(refusal)
    if early := _too_early(node, one):
        return early
    assert rule is not None  # else it was refused
    if why := owned_by_cluster(node.name, [rule.service], facts.clustered):
        return no_plan(f"No plan for {one.writer.name} on {node.name}: {why}")
    steps = reset_steps(node.name, rule.service, one.writer, _no_error(node), twins=_twins(node, one))
    whole = Plan(
        reason=_seen(node, one),
        impact=sentences((f"The service {rule.service} of {node.name} is unavailable for a moment.", rule.why)),
        rollback=f"Start {rule.service} if it is stopped.",
        locks=(cluster_lock(args.node),),
        gates=(
            *gate_stuck_twice(one, facts.writers.now),
            *curable(node, one),
            *WRITERS_STOP.judge(_writers_stop(args, facts, node)),
            not_clustered(node.name, [rule.service], facts.clustered),
            readable(node),
        ),
        groups=(Group("reset", steps),),
        remedies=_afterwards(node),
        current_state=one.writer.says,
        expected_state=_well_afterwards(node),
        self_reverting=True,
    )
    return or_no_plan(args.node.name, whole)


def _never(node: NodeVerdict, one: WriterVerdict, rule: WriterService | None) -> str:
    """Why its service is not restarted; "" where it may be."""
    name = one.writer.name
    if rule is None or rule.restart == "unknown" or not rule.service:
        why = rule.why if rule else "No source names its service."
        return f"No plan for {name} on {node.name}: which service to restart is not known. {why}"
    if rule.restart == "never":
        return f"{name} on {node.name} is never reset: its service is {rule.service}. {rule.why}"
    if carries := CARRIES_US.get(rule.service.casefold()):
        return (
            f"No plan for {name} on {node.name}: its service {rule.service} is {carries}, through which hvops itself asks"
            f" and acts. By hand: restart {rule.service} on {node.name}. {rule.why}".rstrip()
        )
    return ""


def _afterwards(node: NodeVerdict) -> tuple[Remedy, ...]:
    """What helps once it has ended, however it did."""
    return (Remedy("Check Writers", f"/check-writers {node.name}", primary=True),)


def _seen(node: NodeVerdict, one: WriterVerdict) -> str:
    stuck = f", same instance in {pluralize(len(one.seen) + 1, 'reading')}" if one.seen and one.writer.waits else ""
    verb = "" if one.verdict is WriterStatus.LOOKS_STUCK else "is "
    return f"{one.writer.name} on {node.name} {verb}{one.verdict}: {one.writer.says}{stuck}. {node.backup.says}"


def _well_afterwards(node: NodeVerdict) -> str:
    return _WELL if _no_error(node) else _WELL_BY_NUMBER


def _no_error(node: NodeVerdict) -> str:
    return no_error_text([one.writer for one in node.writers])


def undo_gates(args: Args, facts: ResetFacts, back: Plan) -> tuple[Gate, ...]:
    """Where the node takes its guests again, nobody else is at work on the cluster; a service is started in any case."""
    if not any(step.key == f"{UNDO}{DRAIN}" for step in back.steps):
        return ()
    if facts.drain is None:
        why = Unknown(args.node.name, "not asked", "it is in no cluster that is known now.")
        return (nothing_known(args.node.name, why),)
    return gates_back(facts.drain)


COMMAND = Remediation(Role.OPERATOR, Risk.HIGH, Args, collect, plan, undo_gates)
