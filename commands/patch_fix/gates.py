"""What must be so before a node is emptied, restarted, and its packages are touched. Each takes the facts that it judges.

The gates of one node count as long as that node has still to be fixed: when the plan is made again before the next node,
the ones that are done are in it no more. So they are none of those that a recalculated plan has to ask again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome, GateText, OpenQuestion, missing
from commands.drain.effects import NODE_LOSES_GUESTS, NODE_TAKES_GUESTS, resume_facts, together
from commands.drain.facts import DrainFacts
from commands.drain.gates import clustered_says, quorum_says
from commands.formatting import join_names, pluralize
from commands.patch_fix.facts import FixFacts, NodeFacts
from commands.patch_fix.needs import NodeNeed
from commands.patches.reboots import FlagAge, RebootFlags
from commands.sources.backup_state import no_backup
from commands.sources.cluster import Node
from commands.sources.event_log import EventLog
from commands.sources.guests import Guest, Power
from commands.sources.packages import PackageFile, is_of
from commands.sources.services import Service
from commands.sources.updates import NodeUpdates

_MODES = ("Auto", "Manual", "Disabled")


def gates_of(facts: FixFacts) -> tuple[Gate, ...]:
    """Those of the cluster, then those of each node that has to be fixed."""
    each = (gate for need in facts.to_fix for gate in _of_node(need, facts.nodes[need.node], facts))
    return together((_all_said(facts),), each)


def _all_said(facts: FixFacts) -> Gate:
    """A node that did not say is left as it is, and named: it only warns."""
    silent = [one for one in facts.needs if one.need.value in ("did not say", "cannot be told")]
    says = GateText(
        "Every node reported its packages",
        "Not every node reported its packages; the others are left as they are",
        "It is not known whether every node reported its packages",
    )
    told = join_names([f"{one.node}: {one.says}" for one in silent], 4) or pluralize(len(facts.needs), "node")
    return Gate.of(says, GateOutcome.of(not silent), told, blocks=False, guards="worth")


def _of_node(need: NodeNeed, node: NodeFacts, facts: FixFacts) -> Iterator[Gate]:
    found: list[Gate] = [
        *files_are_right(need, node.files, {kb for kb, build in facts.paths if build == node.node.build}),
        updates_can_be_held(need.node, node.updater),
        no_stuck_restart(need.node, node.flags, node.updates),
        nothing_was_blocked(need.node, node.blocked),
    ]
    found += _emptied(node, facts)
    yield from (replace(gate, guards="worth") for gate in found)


def _emptied(node: NodeFacts, facts: FixFacts) -> tuple[Gate, ...]:
    name = node.node.name
    if node.drain is not None:
        losing = NODE_LOSES_GUESTS.judge(node.drain)
        back = NODE_TAKES_GUESTS.judge(resume_facts(node.drain), without=("node's state", "drain under way", "Hyper-V"))
        return together((_for_a_restart(gate, name) for gate in losing), back)
    assert node.old is not None
    return (
        others_are_up(name, facts.members),
        votes_suffice(name, facts.members),
        no_backup(name, node.old.backup),
        guests_can_leave(name, node.old.guests),
    )


def _for_a_restart(gate: Gate, node: str) -> Gate:
    """What a drain only warns of, a restart does not survive: the quorum, and a guest that stays on the node."""
    is_hard = gate.description in (quorum_says(node), clustered_says(node))
    return replace(gate, blocks=True) if is_hard else gate


def files_are_right(need: NodeNeed, files: Mapping[str, PackageFile | Unknown], named: set[str]) -> Iterator[Gate]:
    """Every update that is added, or added again, lies on the node as what it is called; read before anything is removed."""
    removed = {one.step.kb: one.identity for one in need.removes}
    for kb in need.adds:
        says = GateText(
            f"The package file on {need.node} is {kb}",
            f"The package file of {kb} on {need.node} cannot be used",
            f"It is not known whether the package file on {need.node} is {kb}",
        )
        file = files.get(kb)
        if file is None:
            why = "the inventory names no file of it" if kb not in named else "it was not asked"
            yield Gate.of(says, GateOutcome.BLOCKED, why)
        elif isinstance(file, Unknown):
            yield Gate.of(says, GateOutcome.NOT_KNOWN, f"not known: {file.why.rstrip('.')}", unknowns=missing(f"file of {kb}", file), answerable=False)  # fmt: skip
        else:
            yield Gate.of(says, GateOutcome.of(not (why := _wrong(kb, file, removed))), why or file.identity)


def _wrong(kb: str, file: PackageFile, removed: Mapping[str, str]) -> str:
    """Why a file is not the one that is meant; "" where it is."""
    if file.is_cumulative:
        return f"{file.identity} is a cumulative update, and those are refused"
    if not is_of(kb, file.identity):
        return f"it is {file.identity}"
    if kb in removed and file.identity.casefold() != removed[kb].casefold():
        return f"it is {file.identity}, and installed is {removed[kb]}: it would not come back as it was"
    if file.applies is False and not removed:
        return (
            f"dism says that {file.identity} does not apply there: not for this Windows, contained in a newer one, or its"
            " feature is missing"
        )
    return ""


def updates_can_be_held(node: str, updater: Service | Unknown | None) -> Gate:
    """How Automatic Updates start has to be known: it is put back exactly so."""
    says = GateText(
        f"The startup type of Automatic Updates on {node} is known",
        f"Automatic Updates on {node} has a startup type that hvops could not restore",
        f"The startup type of Automatic Updates on {node} is not known",
    )
    if isinstance(updater, Unknown):
        return Gate.of(says, GateOutcome.NOT_KNOWN, f"not known: {updater.why.rstrip('.')}", unknowns=missing("services", updater), answerable=False)  # fmt: skip
    if updater is None:
        return Gate.of(says, GateOutcome.PASSED, "it has no such service")
    return Gate.of(
        says, GateOutcome.of(updater.start_mode in _MODES), f"startup type {updater.start_mode or 'not told'}"
    )


def no_stuck_restart(node: str, flags: RebootFlags | None, updates: NodeUpdates | Unknown) -> Gate:
    """A flag that asks for a restart and is older than the last one is a stuck update: one more restart does not help."""
    says = GateText(
        f"No update is stuck on {node}",
        f"An update is stuck on {node}",
        f"It is not known whether an update is stuck on {node}",
    )
    if isinstance(updates, Unknown):
        return Gate.of(says, GateOutcome.NOT_KNOWN, f"not known: {updates.why.rstrip('.')}", unknowns=missing("reboot flags", updates), answerable=False)  # fmt: skip
    told = "no reboot pending" if flags is None else f"wanted by {join_names(flags.wanted_by)}, {flags.age}"
    if flags is not None and flags.age is FlagAge.OLDER:
        return Gate.of(says, GateOutcome.BLOCKED, f"{told}: look into CBS.log first, one more restart does not help")
    if updates.failed:
        silent = updates.failed[0].why.rstrip(".")
        return Gate.of(says, GateOutcome.NOT_KNOWN, f"not known: {silent}", unknowns=missing("reboot flags", *updates.failed), answerable=False)  # fmt: skip
    if flags is None:
        return Gate.of(says, GateOutcome.PASSED, told)
    if flags.age is FlagAge.NOT_KNOWN:
        question = OpenQuestion(
            f"whether {node} asks for a restart since its last start",
            "neither its start nor the events that ask for one tell",
            "In the System log: is an event that asks for a restart newer than the last start?",
        )
        return Gate.of(says, GateOutcome.NOT_KNOWN, told, unknowns=(question,))
    return Gate.of(says, GateOutcome.PASSED, f"{told}: the plan restarts it first")


def nothing_was_blocked(node: str, blocked: EventLog | Unknown) -> Gate:
    """An attack surface rule that blocks dism makes it fail with "access denied". It only warns: rules block other things too."""
    says = GateText(
        f"Attack surface reduction has blocked nothing on {node} in 7 days",
        f"Attack surface reduction has blocked something on {node} in the last 7 days",
        f"It is not known whether attack surface reduction has blocked anything on {node} in 7 days",
    )
    if isinstance(blocked, Unknown):
        if blocked.kind == "absent":
            return Gate.of(says, GateOutcome.PASSED, "not applicable: this Windows has no such log", blocks=False)
        return Gate.of(says, GateOutcome.NOT_KNOWN, f"not known: {blocked.why.rstrip('.')}", blocks=False)
    if not blocked.events:
        return Gate.of(says, GateOutcome.PASSED, "no event 1121", blocks=False)
    paths = dict.fromkeys(dict(event.data).get("Path", "") for event in blocked)
    named = join_names([path for path in paths if path], 2)
    told = f"{pluralize(len(blocked), 'event')} 1121{f', {named}' if named else ''}; hvops never works around one"
    return Gate.of(says, GateOutcome.BLOCKED, told, blocks=False)


def others_are_up(node: str, members: Sequence[Node]) -> Gate:
    """On 2008 R2: every other node takes part."""
    others = [one for one in members if one.name != node]
    away = [one.name for one in others if one.down]
    told = (
        f"{join_names(away)} {'is' if len(away) == 1 else 'are'} down"
        if away
        else f"{pluralize(len(others), 'other node')}, none down"
    )
    says = GateText(
        f"Every other node is up while {node} restarts",
        f"{node} cannot restart while other nodes are not up",
        f"It is not known whether every other node is up while {node} restarts",
    )
    return Gate.of(says, GateOutcome.of(not away and bool(others)), told)


def votes_suffice(node: str, members: Sequence[Node]) -> Gate:
    """On 2008 R2 no class tells votes and witness: nodes alone have to be a majority even against a witness that is away.

    A node can have been given no vote (KB2494036 [doc]), and nothing there tells it: so a person has to say.
    """
    says = GateText(
        f"The cluster keeps quorum while {node} restarts",
        f"The cluster could lose quorum while {node} restarts",
        f"It is not known whether the cluster keeps quorum while {node} restarts",
    )
    left = sum(not one.down for one in members) - 1
    of = len(members) + 1
    told = f"{left} of {len(members)} nodes left"
    if left * 2 <= of:
        return Gate.of(says, GateOutcome.BLOCKED, f"{told}: no majority if a witness is away")
    question = OpenQuestion(
        f"whether every node but {node} has a vote",
        "Windows Server 2008 R2 does not report votes",
        "In Failover Cluster Manager, or with cluster.exe node /prop:NodeWeight.",
    )
    return Gate.of(says, GateOutcome.NOT_KNOWN, f"{told}, if each has a vote", unknowns=(question,))


def guests_can_leave(node: str, guests: Sequence[Guest] | Unknown) -> Gate:
    """On 2008 R2 people move them; what is told is how many."""
    says = GateText(
        f"The guests on {node} are known", f"The guests on {node} are not known", f"The guests on {node} are not known"
    )
    if isinstance(guests, Unknown):
        return Gate.of(says, GateOutcome.NOT_KNOWN, f"not known: {guests.why.rstrip('.')}", unknowns=missing("guests", guests), answerable=False)  # fmt: skip
    running = [one for one in guests if one.power is not Power.OFF]
    return Gate.of(says, GateOutcome.PASSED, f"{len(running)} of {pluralize(len(guests), 'guest')} not off")


def drained_of(facts: FixFacts) -> tuple[DrainFacts, ...]:
    """What drains need, node by node."""
    return tuple(node.drain for node in facts.nodes.values() if node.drain is not None)
