"""One list of gates per effect: a gate of one list stands in the others, or here it says why it is not needed there."""

from dataclasses import replace

import pytest
from scripted_cluster import SMALL

from bot.api.arguments import Target
from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome, OpenQuestion
from commands.drain.effects import NODE_LOSES_GUESTS, NODE_TAKES_GUESTS, Effect, together
from commands.drain.facts import DrainFacts, ResumeFacts, find_drain_facts
from commands.drain.move import GUEST_MOVES, MoveFacts
from commands.sources.cluster import Cluster
from commands.sources.guest_bonds import BondKind, Bonds
from commands.sources.guests import Guest, Power
from commands.vss.facts import find_writer_facts
from commands.vss.node_verdict import judge_nodes
from commands.writer_reset.effects import HYPER_V_STOPS, StopFacts

LOSES, TAKES, STOPS, MOVES = NODE_LOSES_GUESTS, NODE_TAKES_GUESTS, HYPER_V_STOPS, GUEST_MOVES
EFFECTS = (LOSES, TAKES, STOPS, MOVES)
EMPTY = "The node is empty by then, which its own gate asks."
NOBODY_LEAVES = "A node that takes guests takes nothing away from the others."
NOT_NEEDED = {
    ("other nodes", TAKES): "A node that comes back helps whoever else is paused.",
    ("other nodes", STOPS): EMPTY,
    ("quorum", TAKES): NOBODY_LEAVES,
    ("quorum", STOPS): "The cluster service goes on, and with it the node's vote.",
    ("locks elsewhere", TAKES): "The gate of its locks asks the other nodes.",
    ("locks elsewhere", STOPS): EMPTY,
    ("locks elsewhere", MOVES): "One guest goes to a node that a person names.",
    ("memory", TAKES): "Which guests come back the cluster does not tell; one without room stays where it runs.",
    ("memory", STOPS): EMPTY,
    (
        "activities",
        TAKES,
    ): "A guest that is busy stays where it runs; which guests come back the cluster does not tell.",
    ("activities", STOPS): EMPTY,
    ("critical guests", TAKES): "One that has lost its files stays where it is; which guests come back is not told.",
    ("critical guests", STOPS): EMPTY,
    ("anti-affinity", TAKES): "The cluster brings back only what may run there.",
    ("anti-affinity", STOPS): EMPTY,
    ("bonds", TAKES): "A guest that has left its node is not bound to it, and none to where it went by the way there.",
    ("bonds", STOPS): EMPTY,
    ("shared volumes", STOPS): EMPTY,
    ("storage jobs", TAKES): NOBODY_LEAVES,
    ("storage jobs", STOPS): "Storage does not go through Hyper-V's service.",
    ("virtual disks", TAKES): "To have the node back is what may mend them.",
    ("virtual disks", STOPS): "Storage does not go through Hyper-V's service.",
    ("possible owners", TAKES): "The cluster brings back only what may run there.",
    ("possible owners", STOPS): EMPTY,
    ("other roles", TAKES): "The cluster brings back only what may run there.",
    ("other roles", STOPS): "No other role needs Hyper-V's service.",
    ("way of moving", TAKES): "They come back in the way in which they left, and the drain's plan has said which.",
    ("way of moving", STOPS): EMPTY,
    ("clustered", TAKES): "Only guests of the cluster come back.",
    ("clustered", STOPS): EMPTY,
    ("drain under way", LOSES): "A node that is being drained is not up, which the gate of its state says.",
    ("drain under way", STOPS): "A node that is still being drained is not empty.",
    ("Hyper-V", LOSES): "Its guests are asked of that service: silence there is not known.",
    ("Hyper-V", STOPS): "Only a service that runs is stopped.",
    ("backup", TAKES): "A guest in a backup is locked and stays where it is, which the gate of the locks warns of.",
    ("backup jobs", LOSES): "A job that waits outlives a move; what a job holds now is locked, or in a backup.",
    ("backup jobs", TAKES): "As for a node that loses its guests.",
    ("other nodes", MOVES): "Its node stays in the cluster, and the state of the one that takes it has a gate.",
    ("quorum", MOVES): "No node leaves.",
    ("storage jobs", MOVES): "No node leaves, and with it no copy of the storage.",
    ("virtual disks", MOVES): "No node leaves, and with it no copy of the storage.",
    ("other roles", MOVES): "Nothing but the guest moves.",
    ("way of moving", MOVES): "A person moves it live; the step says so.",
    ("clustered", MOVES): "A machine that no role holds is moved by hand all the same.",
    ("drain under way", MOVES): "A node that is being drained is not up, which the gate of its state says.",
    ("Hyper-V", MOVES): "Both hosts were asked for their machines, which that service tells.",
    ("backup jobs", MOVES): "As for a node that loses its guests.",
}

SILENT_PARTS = (
    "nodes",
    "witness",
    "settings",
    "threshold",
    "owners",
    "guests",
    "memory",
    "repairs",
    "virtual_disks",
    "others_held",
    "others_owners",
)


def test_a_gate_of_one_effect_stands_in_the_others_or_says_why_not():
    subjects = dict.fromkeys(subject for effect in EFFECTS for subject in effect.gates)
    missing = {(subject, effect.says) for effect in EFFECTS for subject in subjects if subject not in effect.gates}
    assert missing == {(subject, effect.says) for subject, effect in NOT_NEEDED}


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.says)
def test_nothing_passes_where_nobody_answered(effect: Effect):
    """Each gate that blocks is not known; what is a warning may be so, too, but never passes."""
    silent = Unknown("prod", "timed out", "no answer in 20 s.")
    cluster = Cluster("prod", silent, silent, silent, silent, silent)
    drain = DrainFacts(
        "hv03",
        None,
        cluster,
        **dict.fromkeys(SILENT_PARTS, silent),
        bonds=Bonds(silent={BondKind.DEVICE: silent}),
        updating={"hv03": silent},
        vmm_jobs={"vmm": silent},
    )
    facts = {
        LOSES.says: drain,
        TAKES.says: ResumeFacts("hv03", None, cluster, silent, {"hv03": silent}, {"vmm": silent}, silent),
        MOVES.says: MoveFacts(drain, Guest("A", "crm-02", Power.UNKNOWN, unlisted=(32775,)), "hv01"),
        STOPS.says: StopFacts("hv03", drain, silent, None),
    }[effect.says]
    judged = effect.judge(facts)
    assert [gate.description for gate in judged if gate.outcome is not GateOutcome.NOT_KNOWN] == []
    assert len(judged) == len(effect.gates)


def test_what_a_plan_does_itself_is_left_out_by_its_subject():
    with pytest.raises(KeyError, match="the moon"):
        TAKES.judge(None, without=("the moon",))


def test_a_gate_of_two_effects_is_asked_once_and_as_the_first_has_it():
    strict, mild = Gate("A", GateOutcome.BLOCKED), Gate("A", GateOutcome.BLOCKED, blocks=False)
    other = Gate("B", GateOutcome.PASSED)
    assert together((strict, other), (mild,)) == (strict, other)


async def test_a_drain_and_a_check_of_the_writers_say_the_same_of_a_backup(scripted):
    """A copy that is younger than the first sample of a writer that waits: neither knows that no backup runs."""
    waiting = SMALL.writer_rows(SMALL.writer_row("System Writer", 5, "No error"))
    copy = {
        "ID": "a",
        "InstallDate": "2026-11-22T22:35:00Z",
        "Persistent": "true",
        "NoAutoRelease": "true",
        "ClientAccessible": "false",
    }
    first = SMALL.sample("System Writer", "2026-11-22T22:21:00Z", 5, "No error")
    script = SMALL.cluster(
        hv03={"vssadmin list writers": waiting, "Win32_ShadowCopy": [copy], "recall writer": [first]}
    )
    target = Target("hv03", "host", "prod", backup=())
    drain = await find_drain_facts(target, scripted(script))
    (node,), _ = judge_nodes(await find_writer_facts(target, scripted(script)))
    assert drain.backup.runs is node.backup.runs is None
    assert drain.backup.unknowns == node.backup.unknowns


async def test_writers_that_are_not_told_leave_open_whether_a_backup_runs(scripted):
    silent = Unknown("hv03", "timed out", "no answer in 60 s.")
    script = SMALL.cluster(hv03={"vssadmin list writers": silent})
    drain = await find_drain_facts(Target("hv03", "host", "prod", backup=()), scripted(script))
    assert (drain.backup.runs, [one.what for one in drain.backup.unknowns]) == (None, ["the VSS writers of hv03"])


async def test_silent_writers_hold_the_move_of_a_guest_while_another_one_is_in_backup(scripted):
    """That a backup of one guest is known says nothing of the guest beside it."""
    silent = Unknown("hv03", "timed out", "no answer in 60 s.")
    rows = SMALL.guest_rows("hv03", busy=1)
    script = SMALL.cluster(hv03={"vssadmin list writers": silent, "Msvm_ComputerSystem": rows})
    drain = await find_drain_facts(Target("hv03", "host", "prod", backup=()), scripted(script))
    assert drain.backup.runs is True
    other = next(one for one in drain.guests if one.name not in drain.backup.guests)
    (gate,) = GUEST_MOVES.gates["backup"](MoveFacts(drain, other, "hv02"))
    assert (gate.outcome, [one.what for one in gate.unknowns]) == (GateOutcome.NOT_KNOWN, ["the VSS writers of hv03"])


def test_of_two_gates_that_say_the_same_the_one_that_holds_more_is_shown():
    """As where two nodes are asked for the storage jobs of their cluster, and the second one tells of some, or nothing."""
    passed = Gate("No storage repair is running", GateOutcome.PASSED)
    blocked = Gate("No storage repair is running", GateOutcome.BLOCKED, "rebuild")
    silent = Gate("No storage repair is running", GateOutcome.NOT_KNOWN, answerable=False)
    assert together((passed,), (blocked,), (passed,)) == (blocked,)
    assert together((passed, silent)) == (silent,)
    asked = [
        Gate("No backup is running", GateOutcome.NOT_KNOWN, unknowns=(OpenQuestion(f"jobs of {name}"),))
        for name in ("hv02", "hv05")
    ]
    (both,) = together(asked)
    assert [one.what for one in both.questions] == ["jobs of hv02", "jobs of hv05"]
    assert together((asked[0], replace(silent, description="No backup is running")))[0].is_open is False
