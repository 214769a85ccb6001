"""Many live migrations one after another, and what is watched between them.

A guest that stops in a migration starts again by itself within a minute, so nobody may notice: its boot time tells, its own
System log (1001 of a bugcheck, 6008 and 41 of a start that no shutdown came before [doc]) and its host's (Worker 18590 with the
codes, 18560 after a triple fault [seen]). All are compared with how they were before the first move. A boot time is the clock
minus the time since the start, so it moves a little whenever the clock is set right, as after a migration: some minutes are
no restart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from bot.api.plan import Check, CompareToBefore, Expect, Group, Step, exists
from bot.api.queries import GuestRegistry, GuestWql, Predicate, Query, RunReader, make_params
from commands.migration.proof import Way
from commands.migration.steps import Machine, live_move_step, ready_to_move
from commands.sources.bugchecks import WORKER_LOG, WORKER_PROVIDER
from commands.sources.guests import VM_PARAMETERS, HostedGuest
from commands.sources.identity import is_machine

UNIT = "live migration"
BOOT_TOLERANCE = 300  # seconds by which a boot time may move with the clock
ANSWERS = 300  # seconds that a guest has to answer after a move
WAITS = 6 * 3600  # seconds for a backup, a lock or a migration of somebody else to end
A_MOVE = 180  # seconds of the run's time that one move has on average
SOAK_SECONDS = 24 * 3600  # for windows, backups, and for giving way
BASELINE_BOOT, BASELINE_LOG = "baseline-boot", "baseline-log"
BASELINE_HOSTS = ("baseline-host-1", "baseline-host-2")
_HOST_EVENTS = (18560, 18590)
_GUEST_EVENTS = (41, 1001, 6008)
_PROVIDERS = ("BugCheck", "EventLog", "Microsoft-Windows-Kernel-Power", "Microsoft-Windows-WER-SystemErrorReporting")
MOST_EVENTS = 200  # of stops of all guests of a host; a list as long as that may lack those of one of them
_NAMES_GUEST = ("data.VmId", "data.Parameter1")
_WHOLE = Expect(at_least=0, at_most=MOST_EVENTS - 1)


@dataclass(frozen=True, slots=True)
class Watched:
    """A guest that is asked by its own name.

    Attributes:
        hosted: with all that is needed to ask it.
        booted: when it started; only its day is used, to ask for no older events.
        has_id: it knows the id of its virtual machine; else its firmware tells which machine it is.
        firmware: its firmware id as it tells it itself.
    """

    hosted: HostedGuest
    booted: datetime
    has_id: bool
    firmware: str = ""

    @property
    def name(self) -> str:
        """Its name."""
        return self.hosted.guest.name

    def query(self, cls: str, columns: tuple[str, ...], where: tuple[Predicate, ...] = ()) -> GuestWql:
        """A question to the guest itself."""
        guest = self.hosted.guest
        return GuestWql(guest.name, self.hosted.told.fqdn, guest.vm_id, "root/cimv2", cls, columns, where)


def boot_query(of: Watched) -> GuestWql:
    """When it was started."""
    return of.query("Win32_OperatingSystem", ("LastBootUpTime",))


def log_query(of: Watched) -> GuestWql:
    """Its own events that tell of a stop, since the day of its start."""
    return of.query(
        "Win32_NTLogEvent",
        ("RecordNumber", "EventCode", "SourceName", "TimeGenerated"),
        (
            Predicate("Logfile", "=", "System"),
            Predicate("SourceName", "in", _PROVIDERS),
            Predicate("EventCode", "in", _GUEST_EVENTS),
            Predicate("TimeGenerated", ">=", of.booted.strftime("%Y%m%d000000.000000+000")),  # DMTF, UTC [doc]
        ),
    )


def host_query(of: Watched, node: str) -> RunReader:
    """The same of a host's log, of all its guests."""
    asked = make_params(
        channel=WORKER_LOG,
        ids=",".join(map(str, _HOST_EVENTS)),
        most=MOST_EVENTS,
        provider=WORKER_PROVIDER,
        since=of.booted.strftime("%Y-%m-%dT00:00:00Z"),
    )
    return RunReader(node, "wevtutil query events", asked)


def soak_groups(of: Watched, one: Machine, nodes: tuple[str, str], count: int, way: Way) -> tuple[Group, ...]:
    """The whole of it: how it is before, `count` moves between two nodes, and one more look at its end.

    Each round is there and back, and the number of rounds is signed, so the plan is no longer for more of them.
    """
    here, there = nodes
    rounds, odd = divmod(count, 2)
    groups = [Group("baseline", tuple(_baselines(of, nodes)))]
    if rounds:
        steps = (
            _rest(of, one, nodes, here, "ready-there"),
            _move(one, here, there, "there", way),
            _rest(of, one, nodes, there, "ready-back"),
            _move(one, there, here, "back", way),
        )
        groups.append(Group("soak", steps, times=rounds, seconds=rounds * 2 * A_MOVE + WAITS, unit=UNIT))
    if odd:
        steps_left = (_rest(of, one, nodes, here, "ready-last"), _move(one, here, there, "last", way))
        groups.append(Group("last", steps_left, seconds=A_MOVE + WAITS, unit=UNIT, revalidate_before=False))
    end = Step(
        key="watch",
        description=f"See that {of.name} has neither stopped nor restarted",
        act=None,
        done=tuple(watch(of, nodes)),
    )
    return (*groups, Group("end", (end,), revalidate_before=False))


def watch(of: Watched, nodes: tuple[str, str]) -> Iterator[Check]:
    """What has to be as it was before the first move."""
    yield _same_machine(of)
    boot = CompareToBefore(BASELINE_BOOT, ("LastBootUpTime",), tolerance=BOOT_TOLERANCE)
    yield Check(
        boot_query(of),
        (boot,),
        within=ANSWERS,
        give_up=(replace(boot, same=False),),
        description=f"{of.name} has not been restarted",
        never=f"{of.name} has been restarted",
    )
    log = CompareToBefore(BASELINE_LOG, ("RecordNumber", "EventCode"), nothing_new=True)
    yield Check(
        log_query(of),
        (log,),
        within=ANSWERS,
        give_up=(replace(log, same=False),),
        description=f"the System log of {of.name} has no new stop or unexpected shutdown",
        never=f"the System log of {of.name} has a new stop or unexpected shutdown",
    )
    for key, node in zip(BASELINE_HOSTS, nodes, strict=True):
        yield from (_no_new_event(of, node, key, column) for column in _NAMES_GUEST)


def _no_new_event(of: Watched, node: str, key: str, column: str) -> Check:
    """Of this guest alone; which value names it depends on the Windows of the host [src]. One that names none may be its."""
    vm_id = of.hosted.guest.vm_id
    ours = (is_machine(column, vm_id),)
    nobodys = tuple(Predicate(one, "is null") for one in _NAMES_GUEST)
    compared = CompareToBefore(key, ("record_id", "event_id"), where=ours, nothing_new=True)
    return Check(
        host_query(of, node),
        (compared, replace(compared, where=nobodys), _WHOLE),
        give_up=(replace(compared, same=False),),
        description=f"{node} has logged no new stop of {of.name}",
        never=f"{node} has logged a stop of {of.name} (event 18590 or 18560)",
    )


def _same_machine(of: Watched) -> Check:
    """What answers by that name is the virtual machine that moves."""
    guest = of.hosted.guest
    question: Query
    if of.has_id:
        names = ("VirtualMachineId",)
        question = GuestRegistry(guest.name, of.hosted.told.fqdn, guest.vm_id, VM_PARAMETERS, names)
        term = is_machine("VirtualMachineId", guest.vm_id)
    else:
        question = of.query("Win32_ComputerSystemProduct", ("Name", "UUID"))
        term = Predicate("UUID", "=", of.firmware)
    return exists(question, term, within=ANSWERS).described_as(f"{of.name} answers, and is that virtual machine")


def _baselines(of: Watched, nodes: tuple[str, str]) -> Iterator[Step]:
    """How it is before the first move: each question with a step of its own, whose answer is kept."""
    told = Expect((Predicate("LastBootUpTime", "is not null"),))
    yield _baseline(BASELINE_BOOT, f"Note when {of.name} was started", boot_query(of), told)
    yield _baseline(BASELINE_LOG, f"Note the stops in the System log of {of.name}", log_query(of), Expect(at_least=0))
    for key, node in zip(BASELINE_HOSTS, nodes, strict=True):
        yield _baseline(key, f"Note the stops of guests in the log of {node}", host_query(of, node), _WHOLE)


def _baseline(key: str, says: str, question: Query, expected: Expect) -> Step:
    return Step(
        key=key,
        description=says,
        act=None,
        done=(Check(question, (expected,)).described_as("it answers"),),
        before=question,
    )


def _rest(of: Watched, one: Machine, nodes: tuple[str, str], here: str, key: str) -> Step:
    """Between two moves: nothing has happened to the guest, and nothing keeps it. Here others may have the locks.

    The guard of the move does not ask all of it: right behind this look it holds, and after a wait the look is done again.
    """
    there = nodes[1] if here == nodes[0] else nodes[0]
    ready = (replace(check, within=WAITS, every=15) for check in ready_to_move(one, here, there))
    return Step(
        key=key,
        description=f"See that {of.name} is as before, and ready to move from {here} to {there}",
        act=None,
        done=(*watch(of, nodes), *ready),
        preemptible=True,
    )


def _move(one: Machine, here: str, there: str, key: str, way: Way) -> Step:
    return live_move_step(one, here, there, way=way, key=key)
