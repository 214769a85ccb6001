"""Findings about virtual machines that VMM has lost, in words.

The order of what to try: VMM's own refresh, then a live migration to the host that VMM believes in, and the database last,
at one's own risk [src]. `Remove-SCVirtualMachine` without -Force deletes the files [doc].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.api.facts import Unknown
from bot.api.report import Column, Finding, Severity, Table
from commands.formatting import join_names, pluralize
from commands.sources.vmm import SAYS, VmmJob
from commands.vmm.compare import Compared, RecordStatus

_REMOVE = "Do not remove it in VMM: Remove-SCVirtualMachine without -Force deletes its files."
_SEVERITIES = {
    RecordStatus.LOST: (Severity.FAULT, "MISSING"),
    RecordStatus.GONE: (Severity.FAULT, "NOT FOUND"),
    RecordStatus.NOT_HEARD: (Severity.FAULT, "NOT HEARD"),
    RecordStatus.DUPLICATE: (Severity.FAULT, "DUPLICATE"),
    RecordStatus.STALE: (Severity.WARNING, "MISSING"),
    RecordStatus.WRONG_HOST: (Severity.WARNING, "WRONG HOST"),
    RecordStatus.OTHER_STATE: (Severity.WARNING, "OTHER STATE"),
    RecordStatus.BUSY: (Severity.NOTE, "BUSY"),
}
ORDER = tuple(_SEVERITIES)


def findings(
    compared: Sequence[Compared], jobs: Mapping[str, VmmJob], running: int | Unknown | None = None
) -> tuple[Finding, ...]:
    """One finding per record that differs, worst first; duplicates in one per machine, silence in one per host.

    Args:
        compared: all records.
        jobs: VMM's id of a machine -> the job that failed over it.
        running: how many jobs run in VMM, where it tells that: a state of a job that nobody runs was left behind.
    """
    found: list[Finding] = []
    told: set[str] = set()
    for verdict in ORDER:
        if verdict is RecordStatus.NOT_HEARD:
            found += _not_heard(compared)
            continue
        if verdict is RecordStatus.BUSY and running == 0:
            found += [_left_behind(one) for one in compared if one.verdict is verdict]
            continue
        for one in compared:
            if one.verdict is not verdict or (verdict is RecordStatus.DUPLICATE and one.machine.vm_id in told):
                continue
            told.add(one.machine.vm_id)
            found.append(_finding(one, compared, jobs.get(one.machine.object_id)))
    return tuple(found)


def table(compared: Sequence[Compared]) -> Table | None:
    """Everything that differs or is not known, for reading and CSV."""
    names = (
        "virtual machine",
        "VMM says on",
        "VMM state",
        "really on",
        "power",
        "verdict",
        "VM id",
        "object id",
    )
    rows = tuple(
        (
            one.machine.name,
            one.believed,
            f"{one.machine.state} {one.machine.state_name}",
            one.real.host if one.real else "",
            one.real.guest.power.value if one.real else "",
            one.verdict.value,
            one.machine.vm_id,
            one.machine.object_id,
        )
        for one in compared
        if one.verdict not in (RecordStatus.AGREES, RecordStatus.NOT_COMPARED)
    )
    return Table("What VMM believes and what is so", tuple(Column(name) for name in names), rows) if rows else None


def refusal(one: Compared) -> str:
    """Why nothing may be done to this record; "" where something may."""
    name = one.machine.name
    return {
        RecordStatus.AGREES: f"Nothing to mend: VMM and {one.believed} agree about {name}.",
        RecordStatus.DUPLICATE: f"No plan for {name}: VMM has more than one record of this machine, and nobody can tell which one is right.",
        RecordStatus.BUSY: f"No plan for {name}: VMM has it under a job of its own ({one.machine.state_name}).",
        RecordStatus.NOT_HEARD: f"No plan for {name}: VMM does not hear from {_host(one)}, and can refresh nothing there. Mend that first.",
        RecordStatus.OTHER_STATE: (
            f"No plan for {name}: it is where VMM believes it to be, and VMM says {_state(one)}. On the VMM server: {_refresh(one)}"
        ),
        RecordStatus.GONE: f"No plan for {name}: every node answered, and none of them has it. Look for its files.",
        RecordStatus.UNKNOWN: f"No plan for {name}: where it is is not known. {one.why}",
        RecordStatus.NOT_COMPARED: f"No plan for {name}: its host was not asked or did not answer.",
    }.get(one.verdict, "")


def because(one: Compared) -> str:
    """What VMM has, and what is so."""
    assert one.real is not None
    return (
        f"VMM has {one.machine.name} as {one.machine.state_name} ({one.machine.state}) on"
        f" {one.believed or 'a host it does not list'}; it is {one.real.guest.power} on {one.real.host}."
    )


def shown(one: Compared) -> str:
    """The same in a few words: "crm-01 on hv04, Missing (220); it is running on hv06"."""
    assert one.real is not None
    return f"{one.machine.name} on {_host(one)}, {_state(one)}; it is {one.real.guest.power} on {one.real.host}"


def _finding(one: Compared, compared: Sequence[Compared], job: VmmJob | None) -> Finding:
    severity, word = _SEVERITIES[one.verdict]
    lines = [*_LINES[one.verdict](one, compared), *_job(job)]
    return Finding(severity, word, one.machine.name, _says(one, compared), tuple(lines))


def _not_heard(compared: Sequence[Compared]) -> list[Finding]:
    """One finding per host: what VMM says of its machines is only that it does not hear from them."""
    hosts: dict[str, list[Compared]] = {}
    for one in compared:
        if one.verdict is RecordStatus.NOT_HEARD:
            hosts.setdefault(_host(one), []).append(one)
    return [_silent_host(host, records) for host, records in hosts.items()]


def _silent_host(host: str, records: Sequence[Compared]) -> Finding:
    severity, word = _SEVERITIES[RecordStatus.NOT_HEARD]
    there = [one for one in records if one.real is not None]
    where: dict[str, int] = {}
    for one in there:
        assert one.real is not None
        where[one.real.host] = where.get(one.real.host, 0) + 1
    seen = join_names([f"{count} on {node}" for node, count in where.items()])
    says = f"VMM does not hear from {host}: {pluralize(len(records), 'virtual machine')} Host Not Responding (221)"
    says += f"; seen by hvops: {seen}." if seen else "; hvops sees none of them."
    lines = [
        ("Virtual machines", join_names([one.machine.name for one in records], 20)),
        (
            "Means",
            "VMM cannot talk to its agent there, so what it shows of them is old, and its jobs about them fail."
            + (" The machines themselves answer to their host." if there else ""),
        ),
        (
            "By hand",
            (
                f"On {host}: is the service SCVMMAgent running, and does WinRM answer the VMM server? Then on the VMM server:"
                " Get-SCVMHost | Where-Object OverallState -ne OK, and refresh that host with Read-SCVMHost."
            ),
        ),
        (
            "Do not do now",
            _REMOVE.replace("Do not remove it", "Do not remove them or the host").replace("its files", "the files"),
        ),
    ]
    return Finding(severity, word, host, says, tuple(lines))


def _left_behind(one: Compared) -> Finding:
    """A state that a job of VMM's sets while it runs, and no job runs."""
    is_there = f"; it is {one.real.guest.power} on {one.real.host}" if one.real else ""
    lines = (
        ("Means", "No job runs in VMM, so an earlier one has left this state behind."),
        ("By hand", f"On the VMM server: {_refresh(one)} If it stays: {_dismiss(one)}"),
    )
    says = f"VMM says {_state(one)} on {_host(one)}, and runs no job{is_there}."
    return Finding(Severity.WARNING, "LEFT BEHIND", one.machine.name, says, lines)


def _dismiss(one: Compared) -> str:
    """What makes VMM forget a failed job of its own about a machine [doc: Repair-SCVirtualMachine]."""
    return f"Get-SCVirtualMachine -ID {one.machine.object_id} | Repair-SCVirtualMachine -Dismiss"


def _says(one: Compared, compared: Sequence[Compared]) -> str:
    if one.verdict is RecordStatus.DUPLICATE:
        records = sum(other.machine.vm_id == one.machine.vm_id for other in compared)
        return f"VMM has {records} records of this one virtual machine."
    if one.verdict is RecordStatus.BUSY:
        return f"VMM says {_state(one)} on {_host(one)}: a job of its own should be at work."
    is_there = f"{one.real.guest.power.value} on {one.real.host}" if one.real else "on no node"
    return f"VMM says {_state(one)} on {_host(one)}; it is {is_there}."


def _state(one: Compared) -> str:
    return f"{one.machine.state_name} ({one.machine.state})"


def _host(one: Compared) -> str:
    return one.believed or "a host it does not list"


def _refresh(one: Compared) -> str:
    """By VMM's own id: a name could be anybody's, and could carry quotes."""
    return f"Get-SCVirtualMachine -ID {one.machine.object_id} | Read-SCVirtualMachine -Force"


Lines = list[tuple[str, str]]


def _lost(one: Compared, _all: Sequence[Compared]) -> Lines:
    move = f"live-migrate it to {one.believed} in Failover Cluster Manager and wait until VMM has looked again"
    tries = [f"on the VMM server: {_refresh(one)}", *([move] if one.believed else [])]
    tries.append("last, and at your own risk, VMM's database")
    steps = "; ".join(f"({number}) {step}" for number, step in enumerate(tries, start=1))
    return [
        (
            "Means",
            "The virtual machine is as its host says. VMM's record stayed behind, as after a failed move.",
        ),
        ("By hand", f"In this order, until it is no longer Missing: {steps}."),
        ("Do not do now", _REMOVE),
    ]


def _gone(_one: Compared, _all: Sequence[Compared]) -> Lines:
    return [
        ("Means", "Every node answered, and none of them has a virtual machine with this id."),
        ("Suspect", "It was removed, or imported anew with another id, outside of VMM; or its storage is offline."),
        (
            "By hand",
            "Look for its files first. Only when it is really gone: Remove-SCVirtualMachine -Force, the record alone.",
        ),
    ]


def _duplicate(one: Compared, compared: Sequence[Compared]) -> Lines:
    same = [other for other in compared if other.machine.vm_id == one.machine.vm_id]
    which = "; ".join(f"{other.machine.object_id} on {_host(other)}, {_state(other)}" for other in same)
    return [
        ("Means", f"Which record is the right one cannot be told by the id: {which}."),
        ("By hand", f"Refresh both first: {_refresh(one)} hvops changes neither of them."),
        ("Do not do now", _REMOVE),
    ]


def _stale(one: Compared, _all: Sequence[Compared]) -> Lines:
    return [
        ("Means", "It is where VMM believes it to be; only the state was not looked at since."),
        ("By hand", f"On the VMM server: {_refresh(one)}"),
        ("Do not do now", _REMOVE),
    ]


def _wrong_host(one: Compared, _all: Sequence[Compared]) -> Lines:
    return [
        (
            "Means",
            "It moved without VMM, which has not looked since. VMM usually mends this by itself; if it does not, it becomes Missing.",
        ),
        ("By hand", f"Look again in a few minutes, or on the VMM server: {_refresh(one)}"),
    ]


def _other_state(one: Compared, _all: Sequence[Compared]) -> Lines:
    if one.machine.state in SAYS:
        means = (
            "It is where VMM believes it to be. VMM looks from time to time; a state that stays wrong is not looked at."
        )
        return [("Means", means), ("By hand", f"Look again in a few minutes, or on the VMM server: {_refresh(one)}")]
    return [
        (
            "Means",
            (
                "It is where VMM believes it to be. What VMM says is about VMM's own management of it, and can be the memory"
                " of a job that failed: no such state is the machine's."
            ),
        ),
        ("By hand", f"On the VMM server: {_refresh(one)} After a failed job: {_dismiss(one)}"),
        ("Do not do now", _REMOVE),
    ]


def _busy(_one: Compared, _all: Sequence[Compared]) -> Lines:
    return [
        ("Next", "Wait until the job in VMM has ended, then look again. Its record is locked until then (error 2606).")
    ]


def _job(job: VmmJob | None) -> Lines:
    if job is None:
        return []
    state = f"ended as {job.state}" if job.state else "is no longer in VMM's history"
    return [("Because", f"VMM job {job.id} about it {state}.")]


_LINES = {
    RecordStatus.LOST: _lost,
    RecordStatus.GONE: _gone,
    RecordStatus.DUPLICATE: _duplicate,
    RecordStatus.STALE: _stale,
    RecordStatus.WRONG_HOST: _wrong_host,
    RecordStatus.OTHER_STATE: _other_state,
    RecordStatus.BUSY: _busy,
}


def names(compared: Sequence[Compared], *verdicts: RecordStatus) -> str:
    """The machines with these verdicts, in one line."""
    return join_names(dict.fromkeys(one.machine.name for one in compared if one.verdict in verdicts))
