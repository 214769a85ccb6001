"""One live migration as a step.

First way: `MSCluster_Resource.ExecuteResourceControl` with CLUSCTL_RESOURCE_VM_START_MIGRATION (0x01600004) and the node's name
in UTF-16 with a zero at its end, on the node that owns the resource; 0 says that it has begun, 5023 that the machine does not
run [doc: ClusWmi, clusctl-resource-vm-start-migration; src: Tao Yang, 2012]. CLUSCTL_RESOURCE_VM_CANCEL_MIGRATION (0x01600008)
cancels it, on the source, while MigrationState is 1 or 2 [doc]; late in a migration it may not take [src: public cases].

Second way: `MSCluster_ResourceGroup.MoveToNewNodeParams` with a property list that says "live" for both resource types of a
machine [doc: MoveClusterGroupEx, VM_RESDLL_CONTEXT], and the flags that os-win uses: return to the source on an error, queue,
start with high priority [src]. It fails with a general error although the machine moves [src: os-win], so its faults decide
nothing. A list that is cut short hung the role from 2016 on [src: os-win f3de712]: it is written out here, byte by byte.

Either goes by the name of a resource or of its role, and a name can be another machine's by then, as after a restore beside the
old one: each question for that resource expects the machine's id in the same answer.

Either is asynchronous. It is done where one answer says both that the resource is on the other node and that MigrationState is 0.
4 and 5 mean that it was cancelled or has failed, if they were not there before it began.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.api.actions import InvokeMethod, method_params
from bot.api.facts import Unknown
from bot.api.plan import (
    Check,
    CompareToBefore,
    Expect,
    FlagPredicate,
    ListPredicate,
    Meaning,
    Step,
    Terms,
    exists,
    not_exists,
)
from bot.api.queries import Predicate, Wql, make_params
from commands.drain.steps import none_locked
from commands.migration.facts import MigrationFacts
from commands.migration.proof import Way
from commands.sources.cluster import LOCKED, NAMESPACE
from commands.sources.guests import ACTIVITIES, BACKING_UP
from commands.sources.identity import is_another_machine, is_machine
from commands.sources.migration import (
    AT_REST,
    CAN_BE_CANCELLED,
    MIGRATION,
    ONLINE,
    REASON,
    REASONS,
    RUNNING,
    VM_ID,
    VM_STATE,
    Migration,
    machine_query,
)
from commands.sources.nodes import ClusterNodeState, node_query

START_MIGRATION, CANCEL_MIGRATION = 0x01600004, 0x01600008  # 23068676, 23068680 [doc]
MOVE_MINUTES = 30
_EVERY = 2  # seconds between two looks at a migration: of many, most of their time would be waiting otherwise
# RETURN_TO_SOURCE_NODE_ON_ERROR, QUEUE_ENABLED, HIGH_PRIORITY_START; never 1, ignore the status [doc].
_FLAGS = 2 | 4 | 8
_QUEUED = 4  # CLUSGRP_STATUS_WAITING_IN_QUEUE_FOR_MOVE [doc]
_ACT = 60
_CANCELS = 120  # seconds until a cancel shows
_LIVE = 4
_HYPER_V = "root/virtualization/v2"
_TYPES = ("Virtual Machine", "Virtual Machine Configuration")
_ENABLED = 2
_IN_BACKUP = 1


@dataclass(frozen=True, slots=True)
class Machine:
    """A guest as the steps need it.

    Attributes:
        cluster: its name.
        guest: its name, for people.
        resource, group: of the cluster.
        earlier: MigrationState before the plan; what it is after an earlier migration tells nothing of the next.
    """

    cluster: str
    guest: str
    vm_id: str
    resource: str
    group: str
    earlier: int = Migration.NONE


def machine(found: MigrationFacts) -> Machine:
    """The guest as the steps need it; its resource is known."""
    one = found.resource
    assert not isinstance(one, Unknown)
    earlier = Migration.NONE if one.migration is None else one.migration
    return Machine(found.cluster, found.guest.name, found.guest.vm_id, one.name, one.group, earlier)


def live_move_step(
    one: Machine, source: str, destination: str, *, way: Way, key: str = "move", can_cancel: bool = False
) -> Step:
    """Move a guest live from one node to another.

    After a crash it is begun again only where it is known that no earlier migration could be taken for it.

    Args:
        one: the guest.
        source: the node that owns it; else the step is not begun.
        destination: the node that takes it.
        way: how it is started; proved on this cluster.
        key: of the step.
        can_cancel: its way back is to cancel it while its memory is still being transferred; else it has none of its own.
    """
    question = machine_query(one.cluster, one.resource)
    back = _cancel(one, source) if can_cancel else None
    return Step(
        key=key,
        description=f"Live-migrate {one.guest} from {source} to {destination}",
        act=_start(one, source, destination, way),
        guard=ready_to_move(one, source, destination),
        done=(_arrived(one, source, destination, key), _role_is_online(one, within=MOVE_MINUTES * 60)),
        deadline=_ACT,
        before=question,
        repeatable=one.earlier == Migration.NONE,
        # One that is queued shows in its role before it does in the machine.
        untouched=(_role_is_online(one),) if one.earlier == Migration.NONE else (),
        undo=back,
        undo_guard=(_can_be_cancelled(one, source),) if back else (),
        undone=(_has_stayed(one, source),) if back else (),
        finishes=not can_cancel,
        undo_says=f"Cancel the live migration of {one.guest} while its memory is being transferred" if back else "",
    )


def node_name_octets(node: str) -> tuple[int, ...]:
    """The input of the control code: the name in UTF-16, little endian, with a zero at its end."""
    return tuple(f"{node}\0".encode("utf-16-le"))


def move_parameters() -> tuple[int, ...]:
    """The property list that says "live" for both resource types of a machine: 144 bytes.

    Count; then for each a name (CLUSPROP_SYNTAX_NAME), a DWORD (CLUSPROP_SYNTAX_LIST_VALUE_DWORD) and an end mark; each size
    in bytes, all of them little endian and without padding, as both names fill whole DWORDs [doc: Property Lists].
    """
    parts = [len(_TYPES).to_bytes(4, "little")]
    for name in _TYPES:
        text = f"{name}\0".encode("utf-16-le")
        parts += [b"\x03\x00\x04\x00", len(text).to_bytes(4, "little"), text]
        parts += [b"\x02\x00\x01\x00", (4).to_bytes(4, "little"), _LIVE.to_bytes(4, "little"), bytes(4)]
    return tuple(b"".join(parts))


def _start(one: Machine, source: str, destination: str, way: Way) -> InvokeMethod:
    if way is Way.CONTROL:
        return InvokeMethod(
            source,
            NAMESPACE,
            make_params(Name=one.resource),
            "MSCluster_Resource",
            "ExecuteResourceControl",
            method_params(ControlCode=START_MIGRATION, InputBuffer=node_name_octets(destination)),
        )
    return InvokeMethod(
        source,
        NAMESPACE,
        make_params(Name=one.group),
        "MSCluster_ResourceGroup",
        "MoveToNewNodeParams",
        method_params(NodeName=destination, Parameters=move_parameters(), Flags=_FLAGS),
        may_begin_despite_fault=True,
    )


def _cancel(one: Machine, source: str) -> InvokeMethod:
    return InvokeMethod(
        source,
        NAMESPACE,
        make_params(Name=one.resource),
        "MSCluster_Resource",
        "ExecuteResourceControl",
        method_params(ControlCode=CANCEL_MIGRATION),
    )


def ready_to_move(one: Machine, source: str, destination: str) -> tuple[Check, ...]:
    """What has to be so just before a guest moves: it runs there, nobody moves, locks or saves it, the other node is up."""
    volumes = Wql(one.cluster, NAMESPACE, "MSCluster_ClusterSharedVolume", ("Name", "BackupState"))
    own = Wql(
        one.cluster,
        NAMESPACE,
        "MSCluster_Resource",
        ("Name", "OwnerGroup", "StatusInformation"),
        (Predicate("OwnerGroup", "=", one.group),),
    )
    return (
        exists(
            machine_query(one.cluster, one.resource),
            is_machine(VM_ID, one.vm_id),
            Predicate("OwnerGroup", "=", one.group),
            Predicate("OwnerNode", "=", source),
            Predicate("State", "=", ONLINE),
            Predicate(VM_STATE, "=", RUNNING),
            Predicate(MIGRATION, "in", tuple(map(int, AT_REST))),
            give_up=Expect(is_another_machine(VM_ID, one.vm_id)),
        ).described_as(
            f"{one.guest} runs on {source} and is not being migrated",
            never=f"the resource “{one.resource}” is another virtual machine's now",
        ),
        _role_is_online(one),
        none_locked(own).described_as(f"no resource of {one.guest} is locked"),
        not_exists(volumes, Predicate("BackupState", "=", _IN_BACKUP)).described_as(
            f"no shared volume of {one.cluster} is in backup"
        ),
        is_left_alone(one, source),
        exists(node_query(one.cluster, destination), Predicate("State", "=", ClusterNodeState.UP)).described_as(
            f"{destination} is up"
        ),
    )


def is_left_alone(one: Machine, node: str, within: int = 0) -> Check:
    """It runs on that node as Hyper-V there says, and nothing is done to it: no backup, export, merge, checkpoint, migration."""
    question = Wql(
        node,
        _HYPER_V,
        "Msvm_ComputerSystem",
        ("Name", "EnabledState", "OperationalStatus"),
        (Predicate("Name", "=", one.vm_id),),
    )
    return exists(
        question,
        Predicate("EnabledState", "=", _ENABLED),
        ListPredicate("OperationalStatus", tuple(sorted((BACKING_UP, *ACTIVITIES)))),
        within=within,
    ).described_as(
        f"{one.guest} runs on {node}, and no backup, export, merge, checkpoint or migration of it is under way"
    )


def _role_is_online(one: Machine, within: int = 0) -> Check:
    question = Wql(
        one.cluster,
        NAMESPACE,
        "MSCluster_ResourceGroup",
        ("Name", "State", "StatusInformation"),
        (Predicate("Name", "=", one.group),),
    )
    return exists(
        question,
        Predicate("State", "=", 0),
        FlagPredicate("StatusInformation", LOCKED, are_set=False),
        FlagPredicate("StatusInformation", _QUEUED, are_set=False),
        within=within,
    ).described_as(f"the role of {one.guest} is online, not locked, and does not wait to be moved")


def _arrived(one: Machine, source: str, destination: str, key: str) -> Check:
    """Node and migration in one and the same answer; or it was cancelled, or has failed, since it was begun."""
    itself = is_machine(VM_ID, one.vm_id)
    there: Terms = (
        itself,
        Predicate("OwnerNode", "=", destination),
        Predicate(MIGRATION, "=", int(Migration.NONE)),
        Predicate("State", "=", ONLINE),
        Predicate(VM_STATE, "=", RUNNING),
    )
    over = (int(Migration.CANCELLED), int(Migration.FAILED))
    return Check(
        machine_query(one.cluster, one.resource),
        (Expect(there),),
        within=MOVE_MINUTES * 60,
        every=_EVERY,
        give_up=(
            Expect((itself, Predicate("OwnerNode", "=", source), Predicate(MIGRATION, "in", over))),
            CompareToBefore(key, (MIGRATION, REASON), same=False),
        ),
        description=f"{one.guest} runs on {destination}, and its migration has ended",
        never=f"{one.guest} was not migrated",
        meanings=(
            Meaning(MIGRATION, (int(Migration.CANCELLED),), "its migration was cancelled, by somebody else than hvops"),
            *(Meaning(REASON, (reason, reason - 2**32), words) for reason, words in REASONS.items()),
            Meaning(
                REASON, (), "MigrationFailureReason is none that Microsoft lists; event 21502 on the source tells more"
            ),
        ),
    )


def _can_be_cancelled(one: Machine, source: str) -> Check:
    """Only then does the cluster take it, and only on the source [doc]."""
    terms = (
        is_machine(VM_ID, one.vm_id),
        Predicate("OwnerNode", "=", source),
        Predicate(MIGRATION, "in", tuple(map(int, CAN_BE_CANCELLED))),
    )
    return exists(machine_query(one.cluster, one.resource), *terms).described_as(
        f"the migration of {one.guest} from {source} is still in its setup or data transfer"
    )


def _has_stayed(one: Machine, source: str) -> Check:
    terms = (
        is_machine(VM_ID, one.vm_id),
        Predicate("OwnerNode", "=", source),
        Predicate(MIGRATION, "in", tuple(map(int, AT_REST))),
        Predicate(VM_STATE, "=", RUNNING),
    )
    return exists(machine_query(one.cluster, one.resource), *terms, within=_CANCELS).described_as(
        f"{one.guest} has stayed on {source}, and runs there"
    )
