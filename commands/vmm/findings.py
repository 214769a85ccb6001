"""Findings about virtual machines that VMM has lost, in words.

The order of what to try: VMM's own refresh, then a live migration to the host that VMM believes in, and the database last,
at one's own risk [src]. `Remove-SCVirtualMachine` without -Force deletes the files [doc].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bot.api.facts import Unknown
from bot.api.report import Column, Finding, Severity, Table
from commands.formatting import join_first, join_names, pluralize, sentences, tell_apart
from commands.sources.vmm import SAYS, VmmJob
from commands.vmm.compare import Compared, Namesake, Place, RecordStatus

_SHOWN = 4
# VMM's error for whatever a host answers to a question of WMI [doc]; 0x1395 in it is 5013, ERROR_GROUP_NOT_FOUND [1 note]
_WMI_FAILED = 12711
_REMOVE = "Don't remove it in VMM: even without -Force, Remove-SCVirtualMachine deletes its files."
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
    called = _told_apart(compared)
    same = _duplicates(compared)
    for verdict in ORDER:
        if verdict is RecordStatus.NOT_HEARD:
            found += _not_heard(compared, called)
            continue
        if verdict is RecordStatus.BUSY and running == 0:
            found += [_left_behind(one, called[_key(one)]) for one in compared if one.verdict is verdict]
            continue
        for one in compared:
            if one.verdict is not verdict or (verdict is RecordStatus.DUPLICATE and one.machine.vm_id in told):
                continue
            told.add(one.machine.vm_id)
            found.append(
                _finding(one, called[_key(one)], same.get(one.machine.vm_id, ()), jobs.get(one.machine.object_id))
            )
    return tuple(found)


def _key(one: Compared) -> str:
    return one.machine.vm_id or one.machine.object_id


def _told_apart(compared: Sequence[Compared]) -> dict[str, str]:
    """The names of records by the id of their machine, as they are shown: of namesakes with the beginning of the id."""
    return tell_apart((_key(one), one.machine.name) for one in compared)


def table(compared: Sequence[Compared]) -> Table | None:
    """Everything that differs or is not known, for reading and CSV."""
    names = (
        "virtual machine",
        "VMM says on",
        "VMM state",
        "actually on",
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
    return Table("VMM's records and the hosts' answers", tuple(Column(name) for name in names), rows) if rows else None


def refusal(one: Compared) -> str:
    """Why nothing may be done to this record; "" where something may."""
    name = one.machine.name
    return {
        RecordStatus.AGREES: f"Nothing to fix: VMM and {one.believed} agree about {name}.",
        RecordStatus.DUPLICATE: f"No plan for {name}: VMM has more than one record of this machine, and nobody can tell which one is right.",
        RecordStatus.BUSY: f"No plan for {name}: VMM has it under a job of its own ({one.machine.state_name}).",
        RecordStatus.NOT_HEARD: f"No plan for {name}: VMM does not hear from {_host(one)}, and can refresh nothing there. Fix that first.",
        RecordStatus.OTHER_STATE: (
            f"No plan for {name}: it is where VMM believes it to be, and VMM says {_state(one)}. On the VMM server: {_refresh(one)}"
        ),
        RecordStatus.GONE: sentences(
            (
                f"No plan for {name}: every node answered, and none of them has {_which(one)}.",
                *((_strangers(one), *_adopt(one)) if one.namesakes else ("Look for its files.",)),
                _copies(one),
            )
        ),
        RecordStatus.UNKNOWN: sentences(
            (f"No plan for {name}: its location is not known. {one.why}", _strangers(one), _copies(one))
        ),
        RecordStatus.NOT_COMPARED: sentences(
            (f"No plan for {name}: its host was not asked or did not answer.", _strangers(one))
        ),
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


def seen_at(place: Place) -> str:
    """Where a machine is, and what it does there: "running on hv01"."""
    return f"{place.guest.power.value} on {place.host}"


def _namesake(one: Namesake) -> str:
    recorded = "VMM has a record of its own for it" if one.is_recorded else "VMM has no record of it"
    return f"id {one.place.guest.vm_id}, {seen_at(one.place)}, {recorded}"


def _strangers(one: Compared) -> str:
    """The machines of the record's name with another id, in a sentence; "" for none."""
    if not one.namesakes:
        return ""
    told = join_first([_namesake(other) for other in one.namesakes.first], one.namesakes.count, _SHOWN)
    subject = "Another machine of that name has" if one.namesakes.count == 1 else "Other machines of that name have"
    return f"{subject} another id: {told}. hvops never points this record at it."


def _which(one: Compared) -> str:
    return f"the machine of this record, id {one.machine.vm_id}" if one.namesakes else "it"


def _adopt(one: Compared) -> Iterator[str]:
    """How VMM learns of a machine that was restored, and how the old record goes. Each by id: the name means both."""
    if one.namesakes.new_on:
        hosts = join_names(one.namesakes.new_on, _SHOWN)
        yield f"Is it the same machine, restored? Then refresh {hosts} in VMM (Read-SCVMHost): VMM records the new id by itself."
    yield f"Only when the old one is really gone, its record alone, by its own id and never by its name: {_remove_record(one)}"


def _remove_record(one: Compared) -> str:
    """With -Force only the record of a machine that VMM misses goes [src: a management product's own change]."""
    return f"Get-SCVirtualMachine -ID {one.machine.object_id} | Remove-SCVirtualMachine -Force"


def _copies(one: Compared) -> str:
    """Replicas of the record's machine, in a sentence; "" for none."""
    copies = [place for place in one.replicas if place.guest.is_copy]
    if not copies:
        return ""
    told = join_names([f"{seen_at(place)} ({_part(place)})" for place in copies], _SHOWN)
    return f"It has a copy in Hyper-V Replica: {told}. That is no second machine, and no place for this record."


def _part(place: Place) -> str:
    return place.guest.replication.word if place.guest.replication is not None else "not known"


def replica_notes(compared: Sequence[Compared], strangers: Sequence[Place]) -> tuple[str, ...]:
    """Copies that are there beside their machine, and those that run: somebody failed over to them, or tests that.

    Args:
        compared: all records.
        strangers: machines without a record.
    """
    copies: dict[tuple[str, str], Place] = {}
    # The records of one machine share them, and there can be thousands of those.
    replicas = {id(one.replicas): one.replicas for one in compared}.values()
    for place in (*(place for same in replicas for place in same), *(one.real for one in compared if one.real)):
        if place.guest.is_copy:
            copies[place.host, place.guest.vm_id] = place
    copies |= {(place.host, place.guest.vm_id): place for place in strangers if place.guest.is_copy}
    running = [place for place in copies.values() if place.guest.power.runs]
    resting = [place for place in copies.values() if not place.guest.power.runs]
    notes = []
    if running:
        told = join_names([f"{place.guest.name} on {place.host} ({_part(place)})" for place in running], _SHOWN)
        notes.append(f"Copies of Hyper-V Replica that run, by a failover or a test of one: {told}.")
    if resting:
        told = join_names([f"{place.guest.name} on {place.host}" for place in resting], _SHOWN)
        notes.append(f"Copies of Hyper-V Replica, which are no second machines: {told}.")
    return tuple(notes)


def _finding(one: Compared, called: str, same: Sequence[Compared], job: VmmJob | None) -> Finding:
    severity, word = _SEVERITIES[one.verdict]
    lines = [*_LINES[one.verdict](one, same), *_job(job)]
    if copies := _copies(one):
        lines.insert(1, ("Replica", copies))
    return Finding(severity, word, called, _says(one, same), tuple(lines))


def _not_heard(compared: Sequence[Compared], called: Mapping[str, str]) -> list[Finding]:
    """One finding per host: what VMM says of its machines is only that it does not hear from them."""
    hosts: dict[str, list[Compared]] = {}
    for one in compared:
        if one.verdict is RecordStatus.NOT_HEARD:
            hosts.setdefault(_host(one), []).append(one)
    return [_silent_host(host, records, called) for host, records in hosts.items()]


def _silent_host(host: str, records: Sequence[Compared], called: Mapping[str, str]) -> Finding:
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
        ("Virtual machines", join_names([called[_key(one)] for one in records], 20)),
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
            "Caution",
            _REMOVE.replace("Don't remove it", "Don't remove them or the host").replace("its files", "the files"),
        ),
    ]
    return Finding(severity, word, host, says, tuple(lines))


def _left_behind(one: Compared, called: str) -> Finding:
    """A state that a job of VMM's sets while it runs, and no job runs."""
    is_there = f"; it is {one.real.guest.power} on {one.real.host}" if one.real else ""
    lines = (
        ("Means", "VMM is idle, so an earlier one has left this state behind."),
        ("By hand", f"On the VMM server: {_refresh(one)} If it stays: {_dismiss(one)}"),
    )
    says = f"VMM says {_state(one)} on {_host(one)}, and runs no job{is_there}."
    return Finding(Severity.WARNING, "LEFT BEHIND", called, says, lines)


def _dismiss(one: Compared) -> str:
    """What makes VMM forget a failed job of its own about a machine [doc: Repair-SCVirtualMachine]."""
    return f"Get-SCVirtualMachine -ID {one.machine.object_id} | Repair-SCVirtualMachine -Dismiss"


def _says(one: Compared, same: Sequence[Compared]) -> str:
    if one.verdict is RecordStatus.DUPLICATE:
        return f"VMM has {len(same)} records of this one virtual machine."
    if one.verdict is RecordStatus.BUSY:
        return f"VMM says {_state(one)} on {_host(one)}: a job of its own should be at work."
    if one.namesakes and not one.real:
        places = join_first([seen_at(other.place) for other in one.namesakes.first], one.namesakes.count, _SHOWN)
        others = "another machine of its name is" if one.namesakes.count == 1 else "other machines of its name are"
        return f"VMM says {_state(one)} on {_host(one)}; it is on no node, and {others} {places}."
    return f"VMM says {_state(one)} on {_host(one)}; it is {seen_at(one.real) if one.real else 'on no node'}."


def _duplicates(compared: Sequence[Compared]) -> dict[str, list[Compared]]:
    """Virtual-machine id -> the records among which nobody can tell; that of a replica on its own host is none of them."""
    found: dict[str, list[Compared]] = {}
    for one in compared:
        if one.verdict is RecordStatus.DUPLICATE:
            found.setdefault(one.machine.vm_id, []).append(one)
    return found


def _state(one: Compared) -> str:
    return f"{one.machine.state_name} ({one.machine.state})"


def _host(one: Compared) -> str:
    return one.believed or "a host it does not list"


def _refresh(one: Compared) -> str:
    """By VMM's own id: a name could be anybody's, and could carry quotes."""
    return f"Get-SCVirtualMachine -ID {one.machine.object_id} | Read-SCVirtualMachine -Force"


Lines = list[tuple[str, str]]


def _lost(one: Compared, _same: Sequence[Compared]) -> Lines:
    move = f"live-migrate it to {one.believed} in Failover Cluster Manager and wait for VMM's next refresh"
    tries = [f"on the VMM server: {_refresh(one)}", *([move] if one.believed else [])]
    tries.append("last, and at your own risk, VMM's database")
    steps = "; ".join(f"({number}) {step}" for number, step in enumerate(tries, start=1))
    return [
        (
            "Means",
            (
                "The host is right and VMM's record is out of date. This happens after a failed move, or when a host"
                " restarts before it is in maintenance mode."
            ),
        ),
        ("By hand", f"In this order, until it is no longer Missing: {steps}."),
        ("Caution", _REMOVE),
    ]


def _gone(one: Compared, _same: Sequence[Compared]) -> Lines:
    if one.namesakes:
        return [
            ("Means", f"Every node answered, and none of them has its id, {one.machine.vm_id}. {_strangers(one)}"),
            ("Suspect", "It was restored, cloned or imported anew outside of VMM: that makes a machine with a new id."),
            ("By hand", sentences(tuple(_adopt(one)))),
            ("Caution", "Don't remove or change anything in VMM by this name: more than one machine has it."),
        ]
    return [
        (
            "Means",
            (
                "Every node answered, and none of them has a virtual machine with this id: a phantom. VMM's jobs about it may"
                f" fail with error {_WMI_FAILED}; 0x1395 in it says that the cluster has no such role."
            ),
        ),
        ("Suspect", "It was removed, or imported anew with another id, outside of VMM; or its storage is offline."),
        ("By hand", f"Look for its files first. Only when it is really gone, the record alone: {_remove_record(one)}"),
    ]


def _duplicate(one: Compared, same: Sequence[Compared]) -> Lines:
    which = "; ".join(f"{other.machine.object_id} on {_host(other)}, {_state(other)}" for other in same)
    return [
        ("Means", f"Which record is the right one cannot be told by the id: {which}."),
        ("By hand", f"Refresh both first: {_refresh(one)} hvops changes neither of them."),
        ("Caution", _REMOVE),
    ]


def _stale(one: Compared, _same: Sequence[Compared]) -> Lines:
    return [
        ("Means", "It is where VMM believes it to be; only the state was not refreshed since."),
        ("By hand", f"On the VMM server: {_refresh(one)}"),
        ("Caution", _REMOVE),
    ]


def _wrong_host(one: Compared, _same: Sequence[Compared]) -> Lines:
    return [
        (
            "Means",
            "It moved without VMM, which has not refreshed since. VMM usually fixes this on its own; if it does not, it becomes Missing.",
        ),
        ("By hand", f"Check again in a few minutes, or on the VMM server: {_refresh(one)}"),
    ]


def _other_state(one: Compared, _same: Sequence[Compared]) -> Lines:
    if one.machine.state in SAYS:
        means = "It is where VMM believes it to be. VMM refreshes from time to time; a state that stays wrong is not refreshed."
        return [
            ("Means", means),
            ("By hand", f"Check again in a few minutes, or on the VMM server: {_refresh(one)}"),
            ("Caution", "Don't start, stop or remove it based on what VMM shows."),
        ]
    return [
        (
            "Means",
            (
                "It is where VMM believes it to be. What VMM says is about VMM's own management of it, and can be the memory"
                " of a job that failed: no such state is the machine's."
            ),
        ),
        ("By hand", f"On the VMM server: {_refresh(one)} After a failed job: {_dismiss(one)}"),
        ("Caution", _REMOVE),
    ]


def _busy(_one: Compared, _same: Sequence[Compared]) -> Lines:
    return [
        ("Next", "Wait until the job in VMM has ended, then check again. Its record is locked until then (error 2606).")
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
    called = _told_apart(compared)
    return join_names(dict.fromkeys(called[_key(one)] for one in compared if one.verdict in verdicts))
