"""The steps of one node: hold updates, empty it, change one package after the other with a restart after each, give all back.

A change of packages is in force after a restart only, and until then servicing takes no other work [doc: RebootPending;
0x800F0823]. Whether dism says so (3010) differs, so a restart follows each change, whatever it ended with. A step is judged
by the list of packages alone; the Setup log proves at the end that servicing itself did it.

A paused node is still paused after a restart [mem]; one that is not any more is not touched further. The other nodes that took
part when the plan was made have to do so before each change and each restart as well: people may have emptied the node for hours.

What goes wrong in the first group is undone: the package that was removed is added again, the node takes guests again,
Automatic Updates start as before. The second group only gives back: what it has given back is not undone any more, nor is a
package of a node that has its guests again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.api.actions import InvokeMethod, ManualStep, RunProgram
from bot.api.plan import Check, CompareToBefore, Expect, Group, Step, exists
from bot.api.queries import Predicate, RunReader, Wql, make_params
from commands.drain.facts import DrainFacts
from commands.drain.steps import arrival_step, drain_step, is_drained, resume_step
from commands.patch_fix.facts import UPDATER, NodeFacts
from commands.patch_fix.needs import Change, NodeNeed
from commands.sources.cluster import NAMESPACE, Node
from commands.sources.nodes import ClusterNodeState
from commands.sources.packages import PackageFile, PackageState, is_gone, package_file, package_list
from commands.sources.restarts import no_servicing_pending, restart_step
from commands.sources.services import RUNNING, STOPPED, WAIT, is_in_state, service_state, step_name

DISM_SECONDS = 45 * 60  # that one change of a package may take; servers with slow disks need half an hour [mem]
SETTLE = 20 * 60  # from the start of Windows until servicing has brought a package to its end
LEAVE_HOURS = 8  # that people have to empty a node by hand
_MODE_SECONDS = 60  # until a startup type that was set shows
_RETURN = 300  # seconds that another node may be away, before nothing more is done to this one
SERVICING = "Microsoft-Windows-Servicing"
_CHANGED = 2  # of Servicing: a package's state was changed [src: libyal winevt-kb]
_ACCEPTED_STOP, _ACCEPTED_START = (0, 6), (0, 10)  # also: it is not started; it runs already [doc]
_MODES = {"Auto": "Automatic", "Manual": "Manual"}  # StartMode -> what ChangeStartMode takes [doc]
_A_MACHINE = (
    "________-____-____-____-____________"  # the Name of a virtual machine is a GUID, that of a host is none [cap]
)
_OFF = 3  # EnabledState of a machine that is off [doc]


@dataclass(frozen=True, slots=True)
class Place:
    """A node as its steps need it: its cluster, its name, and the end of its steps' keys.

    Attributes:
        others: the other nodes that took part in the cluster when the plan was made.
    """

    cluster: str
    node: str
    is_2008: bool
    others: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Of its steps and groups."""
        return step_name(self.node)


def groups_of(
    cluster: str, need: NodeNeed, facts: NodeFacts, members: Sequence[Node], paths: Mapping[tuple[str, int], str]
) -> tuple[Group, ...]:
    """Both groups of one node; `members` are all nodes of its cluster."""
    others = tuple(sorted(one.name for one in members if one.name != need.node and not one.down))
    at = Place(cluster, need.node, facts.drain is None, others)
    build = facts.node.build or 0
    files = {kb: (paths[kb, build], file) for kb, file in facts.files.items() if isinstance(file, PackageFile)}
    mode = _mode(facts)
    # People may take hours to empty a node: nothing is held before they have.
    hold, empty = list(_hold(at, mode)), _empty(at, facts.drain)
    first: list[Step] = [empty, *hold] if at.is_2008 else [*hold, empty]
    if facts.flags is not None:
        first.append(_restart(at, "earlier", mode, ": earlier updates wait for it"))
        first.append(_settled(at, "earlier", ()))
    removed: dict[str, str] = {}  # the key of its step -> which update
    for number, change in enumerate(need.changes, start=1):
        again = tuple(key for key, kb in removed.items() if kb == change.step.kb)
        first += _changed(at, number, change, files, mode, again=again)
        if change.step.does == "remove":
            removed[_change_key(at, number, change)] = change.step.kb
    back = [
        *_resume(at, tuple(removed)),
        *_give_back(at, mode),
        _proof(at, _change_key(at, len(need.changes), need.changes[-1])),
    ]
    return (
        Group(f"fix-{at.key}", tuple(first), on_failure="undo", title=_fix_title(at, need, facts, holds=bool(hold))),
        Group(f"back-{at.key}", tuple(back), revalidate_before=False, title=_back_title(at, mode)),
    )


def _fix_title(at: Place, need: NodeNeed, facts: NodeFacts, *, holds: bool) -> str:
    """What is done to the node while it is empty."""
    hold = ["stop Automatic Updates"] if holds else []
    empty = ["people empty it by hand" if facts.drain is None else "drain it"]
    parts = [
        *(empty + hold if at.is_2008 else hold + empty),
        *(["restart it"] if facts.flags is not None else []),
        *(f"{change.step.does} {change.step.kb}" for change in need.changes),
    ]
    restarts = "restart it" if len(need.changes) == 1 else "a restart after each"
    return f"On {at.node}: {', '.join(parts)}, {restarts}"


def _back_title(at: Place, mode: str) -> str:
    """What is done once the node has its updates."""
    hands = ", people move its guests back" if at.is_2008 else ""
    updates = ", restore Automatic Updates" if mode else ""
    return f"Resume {at.node}{hands}{updates}, check its Setup log"


def listed(need: NodeNeed, facts: NodeFacts) -> tuple[Check, ...]:
    """What the node's own list says of each update that is added: for people, once everything is done."""
    files = {kb: file for kb, file in facts.files.items() if isinstance(file, PackageFile)}
    added = [change.step.kb for change in need.changes if change.step.does != "remove"]
    return tuple(_is_installed(need.node, kb, files[kb].identity) for kb in added)


def _mode(facts: NodeFacts) -> str:
    """How Automatic Updates start; "" where there is nothing to hold."""
    updater = facts.updater
    mode = getattr(updater, "start_mode", "")
    return mode if mode in _MODES else ""


def _updater(node: str) -> Wql:
    return Wql(node, "root/cimv2", "Win32_Service", ("Name", "StartMode"), (Predicate("Name", "=", UPDATER),))


def _starts(node: str, mode: str, within: int = 0) -> Check:
    return exists(_updater(node), Predicate("StartMode", "=", mode), within=within).described_as(
        f"the startup type of {UPDATER} on {node} is {mode}"
    )


def _service(node: str, method: str, accept: tuple[int, ...] = (0,), **params: str) -> InvokeMethod:
    return InvokeMethod(
        node, "root/cimv2", make_params(Name=UPDATER), "Win32_Service", method, make_params(**params), accept
    )


def _hold(at: Place, mode: str) -> Iterator[Step]:
    """Stop Automatic Updates and let nothing start them. In this order, so that an undo starts them last.

    The startup type that is restored afterwards is that of the plan: where someone has set another since, nothing is held.
    """
    if not mode:
        return
    runs_by_itself = mode == "Auto"
    as_planned = (_starts(at.node, mode),)
    yield Step(
        key=f"stop-updates-{at.key}",
        description=f"Stop Automatic Updates ({UPDATER}) on {at.node}",
        act=_service(at.node, "StopService", _ACCEPTED_STOP),
        guard=as_planned,
        done=(is_in_state(at.node, UPDATER, STOPPED, WAIT),),
        before=service_state(at.node, UPDATER).query,
        undo=_service(at.node, "StartService", _ACCEPTED_START) if runs_by_itself else None,
        undone=(is_in_state(at.node, UPDATER, RUNNING, WAIT),) if runs_by_itself else (),
        undo_says=f"Start Automatic Updates on {at.node}" if runs_by_itself else "",
        repeatable=True,
    )
    yield Step(
        key=f"hold-updates-{at.key}",
        description=f"Disable Automatic Updates on {at.node} during the work",
        act=_service(at.node, "ChangeStartMode", StartMode="Disabled"),
        guard=as_planned,
        done=(_starts(at.node, "Disabled", _MODE_SECONDS),),
        before=_updater(at.node),
        undo=_service(at.node, "ChangeStartMode", StartMode=_MODES[mode]),
        undone=(_starts(at.node, mode, _MODE_SECONDS),),
        undo_says=f"Restore the startup type of Automatic Updates on {at.node} ({mode})",
        repeatable=True,
    )


def _give_back(at: Place, mode: str) -> Iterator[Step]:
    if not mode:
        return
    yield Step(
        key=f"give-updates-{at.key}",
        description=f"Restore the startup type of Automatic Updates on {at.node} ({mode})",
        act=_service(at.node, "ChangeStartMode", StartMode=_MODES[mode]),
        done=(_starts(at.node, mode, _MODE_SECONDS),),
        before=_updater(at.node),
        repeatable=True,
        reverts=(f"hold-updates-{at.key}",),
    )
    if mode == "Auto":
        yield Step(
            key=f"start-updates-{at.key}",
            description=f"Start Automatic Updates on {at.node}",
            act=_service(at.node, "StartService", _ACCEPTED_START),
            done=(is_in_state(at.node, UPDATER, RUNNING, WAIT),),
            before=service_state(at.node, UPDATER).query,
            repeatable=True,
            reverts=(f"stop-updates-{at.key}",),
        )


def _empty(at: Place, drain: DrainFacts | None) -> Step:
    """The node gives its guests away: by a drain, or by people where Windows knows none."""
    if drain is not None:
        earlier = drain.state.drain if drain.state else None
        step = drain_step(at.cluster, at.node, earlier=earlier, flags=drain.tells_flags, up=drain.others_up)
        return replace(step, key=f"drain-{at.key}")
    return Step(
        key=f"empty-{at.key}",
        description=f"Pause {at.node} and move its guests away",
        act=ManualStep(
            f"Windows Server 2008 R2 has no drain. In Failover Cluster Manager pause {at.node}, then live-migrate its"
            " guests one after the other to other nodes, and shut down or move what is in no cluster. Press Done when none"
            f" is left. Guests with disks on SCSI controllers: not live, if {at.node} lacks KB2636573.",
            "operator",
        ),
        done=_is_empty(at),
        deadline=LEAVE_HOURS * 3600,
        undo=_resume_2008(at),
        undone=(_is_up(at, within=120),),
        undo_says=f"Resume {at.node}; move its guests back by hand",
    )


def _is_empty(at: Place) -> tuple[Check, ...]:
    """Paused, no role left, and no machine that runs on the host itself, which lists itself to whoever may see any."""
    space = "root/virtualization" if at.is_2008 else "root/virtualization/v2"
    machines = Wql(at.node, space, "Msvm_ComputerSystem", ("Name", "ElementName", "EnabledState"))
    own = Predicate("Name", "like", _A_MACHINE)
    none = (
        (own, Predicate("EnabledState", "!=", _OFF)),
        (own, Predicate("EnabledState", "is null")),  # one that does not tell may run
        (Predicate("Name", "is null"),),
    )
    each = tuple(Expect(terms, at_least=0, at_most=0) for terms in none)
    nothing = Check(machines, (*each, Expect())).described_as(f"no virtual machine runs on {at.node}")
    if not at.is_2008:
        return (*is_drained(at.cluster, at.node), nothing)
    return (_is_in(at, ClusterNodeState.PAUSED, "paused"), nothing)


def _is_in(at: Place, state: ClusterNodeState, word: str, within: int = 0) -> Check:
    return exists(_states(at), Predicate("State", "=", int(state)), within=within).described_as(f"{at.node} is {word}")


def _is_up(at: Place, within: int = 0) -> Check:
    return _is_in(at, ClusterNodeState.UP, "up", within)


def _states(at: Place) -> Wql:
    """The node's state, with columns that exist since 2008."""
    return Wql(at.cluster, NAMESPACE, "MSCluster_Node", ("Name", "State"), (Predicate("Name", "=", at.node),))


def _resume_2008(at: Place) -> InvokeMethod:
    """Its method takes no parameters before 2012 [doc]."""
    return InvokeMethod(at.node, NAMESPACE, make_params(Name=at.node), "MSCluster_Node", "Resume")


def _resume(at: Place, removed: Sequence[str]) -> Iterator[Step]:
    """A node that came back unpaused is resumed already, and that is as good.

    Args:
        at: the node.
        removed: the keys of the steps that removed a package: on a node that has its guests again none is added any more.
    """
    joined = Check(
        _states(at),
        (Expect((Predicate("State", "in", (int(ClusterNodeState.UP), int(ClusterNodeState.PAUSED))),)),),
        900,
    ).described_as(f"{at.node} has joined {at.cluster} again")
    if at.is_2008:
        yield Step(
            key=f"resume-{at.key}",
            description=f"Resume {at.node}; move its guests back by hand",
            act=_resume_2008(at),
            guard=(joined,),
            done=(_is_up(at, within=120),),
            before=_states(at),
            repeatable=True,
            reverts=(f"empty-{at.key}", *removed),
        )
        return
    yield replace(
        resume_step(at.cluster, at.node),
        key=f"resume-{at.key}",
        guard=(joined,),
        reverts=(f"drain-{at.key}", *removed),
    )
    yield replace(arrival_step(at.cluster, at.node), key=f"arrive-{at.key}")


def _is_held(at: Place, mode: str) -> tuple[Check, ...]:
    """Somebody's policy may have let updates start again."""
    return (_starts(at.node, "Disabled"),) if mode else ()


def _guards(at: Place, mode: str) -> tuple[Check, ...]:
    return (*_is_empty(at), *_is_held(at, mode), *_others_take_part(at))


def _others_take_part(at: Place) -> tuple[Check, ...]:
    """With one of them gone meanwhile, this node may be the one that the quorum needs. A paused node still votes."""
    if not at.others:
        return ()
    in_it = Predicate("State", "in", (int(ClusterNodeState.UP), int(ClusterNodeState.PAUSED)))
    each = tuple(Expect((Predicate("Name", "=", name), in_it)) for name in at.others)  # one that is listed twice is one
    nodes = Wql(at.cluster, NAMESPACE, "MSCluster_Node", ("Name", "State"))
    return (Check(nodes, each, within=_RETURN).described_as(f"{', '.join(at.others)} take part in {at.cluster}"),)


def _restart(at: Place, which: str, mode: str, why: str) -> Step:
    return restart_step(at.node, f"restart-{which}-{at.key}", _guards(at, mode), why)


def _settled(at: Place, which: str, done: tuple[Check, ...]) -> Step:
    """What servicing does on the way up has ended, and the node has joined its cluster."""
    joined = exists(
        _states(at), Predicate("State", "in", (int(ClusterNodeState.UP), int(ClusterNodeState.PAUSED))), within=SETTLE
    ).described_as(f"{at.node} has joined {at.cluster} again")
    return Step(
        key=f"settled-{which}-{at.key}",
        description=f"Check that servicing on {at.node} has finished",
        act=None,
        done=(*done, no_servicing_pending(at.node, SETTLE), joined),
    )


def _change_key(at: Place, number: int, change: Change) -> str:
    return f"{number}-{change.step.does}-{step_name(change.step.kb)}-{at.key}"


def _changed(
    at: Place,
    number: int,
    change: Change,
    files: Mapping[str, tuple[str, PackageFile]],
    mode: str,
    *,
    again: tuple[str, ...],
) -> Iterator[Step]:
    """One change, the restart after it, and the look that it is in force; `again`: the steps that removed what this adds."""
    kb, key = change.step.kb, _change_key(at, number, change)
    path, file = files.get(kb, ("", None))
    guard = (*_guards(at, mode), no_servicing_pending(at.node))
    if number == 1:  # every file is read again before the first package is touched
        guard += tuple(_is_file(at.node, one, told.identity) for one, told in files.values())
    if change.step.does == "remove":
        now, then = _is_gone(at.node, kb, change.identity, pending=True), _is_gone(at.node, kb, change.identity)
        yield Step(
            key=key,
            description=f"Remove {kb} from {at.node}",
            act=RunProgram(at.node, "dism remove package", make_params(package=change.identity)),
            guard=(*guard, _is_installed(at.node, kb, change.identity)),
            done=(now,),
            deadline=DISM_SECONDS,
            before=newest_servicing(at.node),
            undo=RunProgram(at.node, "dism add package", make_params(path=path)),
            undo_guard=(_is_file(at.node, path, change.identity),),
            undone=(_is_added(at.node, kb, change.identity),),
            undo_says=f"Add {kb} to {at.node} again; it becomes active after the next restart",
        )
    else:
        assert file is not None
        then = _is_installed(at.node, kb, file.identity, SETTLE)
        yield Step(
            key=key,
            description=f"Add {kb} to {at.node}",
            act=RunProgram(at.node, "dism add package", make_params(path=path)),
            guard=(*guard, _is_file(at.node, path, file.identity)),
            done=(_is_added(at.node, kb, file.identity),),
            deadline=DISM_SECONDS,
            before=newest_servicing(at.node),
            reverts=again,
        )
    yield _restart(
        at, str(number), mode, f": {kb} is {'removed' if change.step.does == 'remove' else 'active'} only after that"
    )
    yield _settled(at, str(number), (then,))


def _is_file(node: str, path: str, identity: str) -> Check:
    return exists(package_file(node, path), Predicate("identity", "=", identity)).described_as(
        f"{path} on {node} is {identity}"
    )


def _is_installed(node: str, kb: str, identity: str, within: int = 0) -> Check:
    return exists(
        package_list(node),
        Predicate("identity", "=", identity),
        Predicate("state", "=", PackageState.INSTALLED.word),
        within=within,
    ).described_as(f"{node} lists {kb} as installed")


def _is_added(node: str, kb: str, identity: str) -> Check:
    states = (PackageState.INSTALLED.word, PackageState.INSTALL_PENDING.word)
    return exists(
        package_list(node), Predicate("identity", "=", identity), Predicate("state", "in", states), within=120
    ).described_as(f"{node} lists {kb} as Installed or Install Pending")


def _is_gone(node: str, kb: str, identity: str, *, pending: bool = False) -> Check:
    also = (PackageState.UNINSTALL_PENDING,) if pending else ()
    says = f"{node} no longer lists {kb}{', or lists it as Uninstall Pending' if pending else ''}"
    return is_gone(node, identity, *also, within=120 if pending else SETTLE).described_as(says)


def newest_servicing(node: str) -> RunReader:
    """The question of a check: the newest of Servicing's events 1 to 5 in the Setup log, one row {event_id, record_id, at, data}."""
    params = make_params(channel="Setup", ids="1,2,3,4,5", most=1, provider=SERVICING)
    return RunReader(node, "wevtutil query events", params)


def _proof(at: Place, last: str) -> Step:
    """The newest event of servicing is newer than the last change, and says that a state was changed: none failed after it."""
    changed = Check(
        newest_servicing(at.node),
        (Expect((Predicate("event_id", "=", str(_CHANGED)),)), CompareToBefore(last, ("record_id",), same=False)),
        within=300,
    )
    return Step(
        key=f"proof-{at.key}",
        description=f"Check the Setup log of {at.node} for the completed change",
        act=None,
        done=(changed.described_as(f"the newest event of servicing on {at.node} is a completed change (2)"),),
    )
