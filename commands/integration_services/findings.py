"""Integration services in words: worst first, by family; where versions were read, and what can be done by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from bot.api.facts import Unknown
from bot.api.report import Bar, Chart, Column, Finding, Healthy, Severity, Table
from commands.formatting import join_gaps, join_names, pluralize, tell_apart
from commands.integration_services.facts import LOOK_BACK, HostServices, IntegrationFacts
from commands.integration_services.judgement import (
    Disagreement,
    GuestServices,
    Snapshot,
    State,
)
from commands.sources.event_log import EventLog, named_guest
from commands.sources.integration import INSTALLER, PLACES, Component, Expected
from commands.sources.kvp import System

Names = Mapping[str, str]  # VM id -> the guest's name as it is shown
Lines = tuple[tuple[str, str], ...]

_AGAIN = "then Check Again"
_DAEMON = "Linux: install and start the KVP daemon (hypervkvpd; on Ubuntu hv-kvp-daemon)."
_SERVICE = "Windows: start the service vmickvpexchange."
_SETUP = (
    "insert the host's integration services setup disk (vmguest.iso), run setup in the guest, restart the guest at a quiet"
    " time"
)
_MOST = 12  # guests that one finding names; the table has all
WANT_ACTION = (State.INCOMPATIBLE, State.NO_CONTACT, State.EXCHANGE_OFF, State.NO_DATA, State.OLDER)
_FINE = (State.UP_TO_DATE, State.NEWER, State.BY_UPDATE)
_LABELS = {State.EXCHANGE_OFF: "data exchange off", State.BY_UPDATE: "Windows Update", State.OLDER_OWN: "older, own"}


def guest_names(judged: Sequence[GuestServices]) -> Names:
    """VM id -> name, told apart from its namesakes."""
    return tell_apart((one.guest.vm_id, one.guest.name) for one in judged)


def findings_of(judged: Sequence[GuestServices], apart: Sequence[Disagreement]) -> tuple[Finding, ...]:
    """Worst first: what does not work, what cannot be told, hosts that differ, what is only older."""
    names = guest_names(judged)
    return (
        *_by_family(judged, State.INCOMPATIBLE, names, _incompatible),
        *_together(judged, State.NO_CONTACT, names, _no_contact),
        *_together(judged, State.EXCHANGE_OFF, names, _exchange_off),
        *_by_system(judged, names),
        *_snapshot_findings(judged, names),
        *map(_hosts_differ, apart),
        *_by_family(judged, State.OLDER, names, _older),
        *_by_family(judged, State.OLDER_OWN, names, _older_own),
    )


def _by_family(
    judged: Sequence[GuestServices],
    state: State,
    names: Names,
    make: Callable[[Sequence[GuestServices], Names], Finding],
) -> list[Finding]:
    """One finding per family of guests."""
    families: dict[str, list[GuestServices]] = {}
    for one in judged:
        if one.state is state:
            families.setdefault(one.family, []).append(one)
    return [make(own, names) for own in families.values()]


def _together(
    judged: Sequence[GuestServices],
    state: State,
    names: Names,
    make: Callable[[Sequence[GuestServices], Names], Finding],
) -> list[Finding]:
    found = [one for one in judged if one.state is state]
    return [make(found, names)] if found else []


def _by_system(judged: Sequence[GuestServices], names: Names) -> list[Finding]:
    """Guests without data: those known to be Linux apart from those of which nothing tells what they are."""
    found = [one for one in judged if one.state is State.NO_DATA]
    linux = [one for one in found if one.system in (System.LINUX, System.OTHER)]
    rest = [one for one in found if one.system not in (System.LINUX, System.OTHER)]
    return [*([_daemon(linux, names)] if linux else []), *([_no_data(rest, names)] if rest else [])]


def _whose(found: Sequence[GuestServices], names: Names) -> str:
    return names[found[0].guest.vm_id] if len(found) == 1 else pluralize(len(found), "guest")


def _each(found: Sequence[GuestServices], names: Names, says: Callable[[GuestServices], str]) -> str:
    """Every guest with what is said of it; one alone is named already."""
    if len(found) == 1:
        return says(found[0])
    return join_names((f"{names[one.guest.vm_id]} {says(one)}".strip() for one in found), _MOST)


def _on(one: GuestServices) -> str:
    return f"on {one.host}"


def _version(one: GuestServices) -> str:
    """What it runs: "6.1.7600.16385, no service pack"."""
    version = one.version or "version not reported"
    pack = one.exchange.service_pack if one.exchange else None
    old = one.exchange is not None and one.exchange.family is not None and one.exchange.family <= (6, 1)
    return f"{version}, no service pack" if old and pack == "" else version


def _incompatible(found: Sequence[GuestServices], names: Names) -> Finding:
    foreign = found[0].system in (System.LINUX, System.OTHER)
    by_hand = (
        "Update the guest's kernel or its Hyper-V packages (hyperv-daemons, linux-cloud-tools), " + _AGAIN + "."
        if foreign
        else f"{_upper(_SETUP)}, {_AGAIN}."
    )
    return Finding(
        Severity.WARNING if foreign else Severity.FAULT,
        "INCOMPATIBLE",
        _whose(found, names),
        f"{_system(found[0])}: {_each(found, names, _broken)}.",
        (
            ("Means", "Host and guest have no version in common: these services do not work in the guest."),
            ("By hand", by_hand),
        ),
    )


def _system(one: GuestServices) -> str:
    """Its family, as it begins a sentence."""
    return f"Windows {one.family}" if one.system is System.WINDOWS else one.family


def _broken(one: GuestServices) -> str:
    wanted = f", {one.host} expects {one.expected}" if one.expected else f" on {one.host}"
    return f"{_version(one)}{wanted} ({join_names(one.broken)})"


def _no_contact(found: Sequence[GuestServices], names: Names) -> Finding:
    return Finding(
        Severity.WARNING,
        "NO CONTACT",
        _whose(found, names),
        f"{_each(found, names, _on)}.",
        (
            (
                "Means",
                "Runs, and neither heartbeat nor data exchange answers: starting, hung, or without the services.",
            ),
            ("By hand", f"Look at its console. If the guest is up, install integration services, {_AGAIN}."),
        ),
    )


def _exchange_off(found: Sequence[GuestServices], names: Names) -> Finding:
    return Finding(
        Severity.WARNING,
        "DATA EXCHANGE OFF",
        _whose(found, names),
        f"{_each(found, names, _on)}: data exchange is off in the VM's settings.",
        (
            ("Means", "hvops cannot see its version, and Windows Update cannot offer it a newer one."),
            ("By hand", f"Turn on Data Exchange in the VM's settings, Integration Services, {_AGAIN}."),
        ),
    )


def _daemon(found: Sequence[GuestServices], names: Names) -> Finding:
    return Finding(
        Severity.WARNING,
        "NO DAEMON",
        _whose(found, names),
        f"{_each(found, names, _on)}: {found[0].system} whose KVP daemon does not answer. Data exchange is switched on.",
        (("By hand", f"{_DAEMON[7:].capitalize()[:-1]}, {_AGAIN}."),),
    )


def _no_data(found: Sequence[GuestServices], names: Names) -> Finding:
    beats = sum(one.heartbeat is not None and one.heartbeat.has_answered for one in found)
    alive = "the heartbeat answers" if len(found) == 1 else f"{beats} of {len(found)} heartbeats answer"
    says = f" and {alive}" if beats else ""
    who = "the guest reports" if len(found) == 1 else "the guests report"
    silent = [one for one in found if one.snapshot is Snapshot.SILENT]
    whose = f": {join_names(names[one.guest.vm_id] for one in silent)}" if len(found) > 1 else ""
    also = f" VSS does not answer either{whose}." if silent else ""
    return Finding(
        Severity.WARNING,
        "NO DATA",
        _whose(found, names),
        f"{_each(found, names, _on)}: data exchange is on{says}, but {who} nothing.{also}",
        (
            (
                "Means",
                "hvops cannot see its operating system or version: nothing in the guest answers data exchange.",
            ),
            ("By hand", f"{_DAEMON} {_SERVICE[:-1]}, {_AGAIN}."),
        ),
    )


def _older(found: Sequence[GuestServices], names: Names) -> Finding:
    """Guests of one family that work with an older version than their host has."""
    return Finding(
        Severity.WARNING,
        "OLDER",
        _whose(found, names),
        f"{_system(found[0])}: {_older_each(found, names)}.",
        (("Means", _older_means(found)), *_where(found), ("By hand", _upgrade(found))),
    )


def _older_each(found: Sequence[GuestServices], names: Names) -> str:
    """Each with what it runs; what their hosts expect is said once where it is the same."""
    wanted = {one.expected for one in found}
    if len(found) == 1 or len(wanted) > 1 or "" in wanted:
        return _each(found, names, _older_than)
    return f"{_each(found, names, lambda one: f'{_version(one)} on {one.host}')}; their hosts expect {wanted.pop()}"


def _older_than(one: GuestServices) -> str:
    wanted = f", {one.host} expects {one.expected}" if one.expected else f" on {one.host}"
    mismatch = f" (protocol of {join_names(one.degraded)})" if one.degraded else ""
    return f"{_version(one)}{wanted}{mismatch}"


def _older_means(found: Sequence[GuestServices]) -> str:
    not_proved = [one for one in found if not one.degraded and not _reports_health(one)]
    if not_proved:
        return f"Older is not incompatible. Whether all services work is not known of {pluralize(len(not_proved), 'guest')}."
    return "Older is not incompatible: host and guest agreed on a version, and the services work."


def _reports_health(one: GuestServices) -> bool:
    return one.exchange is not None and one.exchange.component.has_answered


def _where(found: Sequence[GuestServices]) -> Lines:
    values = {_short(one.read_from) for one in found if one.read_from}
    return (
        (("Because", f"The expected version is {join_names(sorted(values))} in the host's registry."),)
        if values
        else ()
    )


def _short(value: str) -> str:
    """The name of a registry value without what all of them begin with."""
    return value.removeprefix("Microsoft-Hyper-V-")


def _upgrade(found: Sequence[GuestServices]) -> str:
    if any(one.offered_nothing for one in found):
        return f"Windows Update offers Vista and 2008 no integration services. {_upper(_SETUP)}, {_AGAIN}."
    if all(one.own_windows or not one.expected for one in found):
        return f"Install the guest's Windows updates, restart it at a quiet time, {_AGAIN}."
    return f"{_upper(_SETUP)}, {_AGAIN}."


def _older_own(found: Sequence[GuestServices], names: Names) -> Finding:
    return Finding(
        Severity.NOTE,
        "OLDER",
        _whose(found, names),
        f"{_system(found[0])}, like their hosts: {_each(found, names, _older_than)}."
        if len(found) > 1
        else f"{_system(found[0])}, like its host: {_older_than(found[0])}.",
        (
            (
                "Means",
                "The services are part of the guest's own Windows, report no mismatch, and come with its updates.",
            ),
            ("By hand", f"Install the updates that the host has, {_AGAIN}."),
        ),
    )


def _upper(words: str) -> str:
    return words[:1].upper() + words[1:]


def _snapshot_findings(judged: Sequence[GuestServices], names: Names) -> list[Finding]:
    """The VSS requestor: off, or silent in a guest that is not known to be Linux."""
    off = [one for one in judged if one.snapshot is Snapshot.OFF]
    silent = [one for one in judged if one.snapshot is Snapshot.SILENT]
    rest = [one for one in silent if one.system is System.WINDOWS or _is_nameless(one)]
    found = []
    if off:
        found.append(
            Finding(
                Severity.WARNING,
                "VSS OFF",
                _whose(off, names),
                f"{_each(off, names, _on)}: backup (VSS) is off in the VM's settings.",
                (
                    (
                        "Means",
                        "The backup may put the VM in saved state (it is down meanwhile), or fail.",
                    ),
                    ("By hand", f"Turn on Backup in the VM's settings, Integration Services, {_AGAIN}."),
                ),
            )
        )
    if rest:
        found.append(
            Finding(
                Severity.WARNING,
                "VSS NOT ANSWERING",
                _whose(rest, names),
                f"{_each(rest, names, _on)}: its VSS requestor does not answer the host."
                if len(rest) == 1
                else f"{_each(rest, names, _on)}: the VSS requestor does not answer the host.",
                (
                    (
                        "Means",
                        "The backup may put the VM in saved state (it is down meanwhile), or fail.",
                    ),
                    ("By hand", f"In the guest, start the service vmicvss, {_AGAIN}."),
                ),
            )
        )
    return found


def _is_nameless(one: GuestServices) -> bool:
    """Of which nothing tells its system, and whose other services answer: without data it has a finding already."""
    return one.system is System.UNKNOWN and one.state is not State.NO_DATA


def _hosts_differ(one: Disagreement) -> Finding:
    each = "; ".join(
        f"{join_names(hosts)} expect{'s' if len(hosts) == 1 else ''} {version}"
        for version, hosts in one.by_version.items()
    )
    most = max(map(len, one.by_version.values()))
    fewer = [hosts for hosts in one.by_version.values() if len(hosts) < most] or list(one.by_version.values())
    return Finding(
        Severity.WARNING,
        "HOSTS DIFFER",
        join_names([name for hosts in fewer for name in hosts], 4),
        f"{each} ({_short(one.name)}).",
        (
            ("Means", "A guest that is up to date on one host can count as older or newer on another."),
            ("By hand", "Install the same updates on these hosts first, then on the guests."),
        ),
    )


def fine_of(judged: Sequence[GuestServices]) -> tuple[Healthy, ...]:
    """The guests that are well, by family, with their version where it is one."""
    names = guest_names(judged)
    groups: dict[tuple[State, str], list[GuestServices]] = {}
    for one in judged:
        if one.state in _FINE:
            groups.setdefault((one.state, one.family), []).append(one)
    return tuple(
        Healthy(state.word.upper(), _shown(own, names), _family_and_version(own)) for (state, _), own in groups.items()
    )


def _shown(own: Sequence[GuestServices], names: Names) -> tuple[str, ...]:
    every = sorted(names[one.guest.vm_id] for one in own)
    return tuple(every) if len(every) <= _MOST else (pluralize(len(every), "guest"),)


def _family_and_version(own: Sequence[GuestServices]) -> str:
    versions = sorted({_version(one) for one in own if one.version})
    said = f", {join_names(versions, 3)}" if versions else ""
    nothing = (
        "; Windows Update offers them nothing: by the setup disk" if any(one.offered_nothing for one in own) else ""
    )
    return f"{own[0].family}{said}{nothing}"


def unknown_of(facts: IntegrationFacts, judged: Sequence[GuestServices]) -> tuple[Unknown, ...]:
    """Hosts that did not answer, parts of an answer that are missing, guests that no version can judge."""
    names = guest_names(judged)
    found = list(facts.silent)
    for host in facts.hosts:
        found += _missing_parts(host)
    for one in judged:
        if one.state is State.NOT_JUDGED and not _by_its_host(one, facts):
            found.append(Unknown(names[one.guest.vm_id], "not checked", f"on {one.host}: {one.why}"))
    missing = [one for one in judged if one.snapshot is Snapshot.NOT_KNOWN and not _by_its_host(one, facts)]
    if missing:
        whose = join_names(names[one.guest.vm_id] for one in missing)
        found.append(Unknown(_whose(missing, names), "not reported", f"no VSS requestor is reported of {whose}."))
    return tuple(found)


def _missing_parts(host: HostServices) -> tuple[Unknown, ...]:
    gaps = (
        (host.exchanges, "what its guests report of themselves"),
        (host.snapshots, "whether their VSS requestors answer"),
        (host.heartbeats, "whether their heartbeats answer"),
        (host.expected, "which versions it expects"),
    )
    return join_gaps(host.node.name, gaps)


def _by_its_host(one: GuestServices, facts: IntegrationFacts) -> bool:
    """Whether a host's own gap explains it, which is said once, of the host."""
    host = next((part for part in facts.hosts if part.node.name == one.host), None)
    if host is None:
        return False
    if one.snapshot is Snapshot.NOT_KNOWN and one.state is not State.NOT_JUDGED:
        return isinstance(host.snapshots, Unknown)
    return isinstance(host.exchanges, Unknown) or (isinstance(host.expected, Unknown) and bool(one.version))


def notes_of(facts: IntegrationFacts, judged: Sequence[GuestServices]) -> tuple[str, ...]:
    """What each host expects and where it stands; who is not judged by a version, and why; what the logs say."""
    names = guest_names(judged)
    return tuple(
        part
        for part in (
            *_expected_notes(facts.hosts),
            _ignored_note(judged, names),
            _linux_backup_note(judged, names),
            _idle_note(judged, names),
            *_log_notes(facts, judged, names),
        )
        if part
    )


def _expected_notes(hosts: Iterable[HostServices]) -> list[str]:
    """Hosts with the same answer share a sentence."""
    told: dict[str, list[str]] = {}
    for host in hosts:
        if isinstance(host.expected, Expected):
            told.setdefault(_says_expected(host.expected, host), []).append(host.node.name)
    return [f"{join_names(names)}: {says}" for says, names in told.items()]


def _says_expected(expected: Expected, host: HostServices) -> str:
    update = "Windows Update brings the guests' versions, so only their components are checked."
    modern = host.node.build is not None and host.node.build >= 14393  # noqa: PLR2004 - 2016
    if not expected.versions:
        return f"no expected version in {INSTALLER.rpartition(chr(92))[2]}; " + (
            update if modern else "guests cannot be compared."
        )
    each = ", ".join(f"{_short(name)} {version}" for name, version in sorted(expected.versions.items()))
    place = "GuestInstaller\\Version" if expected.place == PLACES[0] else "GuestInstaller"
    return f"{each} (in {place})" + (f"; not compared: {update}" if modern else ".")


def _ignored_note(judged: Sequence[GuestServices], names: Names) -> str:
    found = [one for one in judged if one.state is State.IGNORED]
    if not found:
        return ""
    whose = join_names(names[one.guest.vm_id] for one in found)
    return f"Not Windows: {whose}. Microsoft says to ignore version and degraded warnings for Linux."


def _linux_backup_note(judged: Sequence[GuestServices], names: Names) -> str:
    """Linux needs a daemon to be frozen for a backup of the host; without it that backup is what a power loss leaves."""
    found = [one for one in judged if one.snapshot is Snapshot.SILENT and one.system in (System.LINUX, System.OTHER)]
    if not found:
        return ""
    whose = join_names(names[one.guest.vm_id] for one in found)
    return f"No VSS daemon (hypervvssd, Ubuntu: hv-vss-daemon) in {whose}: a backup of the host does not freeze their file systems."


def _idle_note(judged: Sequence[GuestServices], names: Names) -> str:
    found = [one for one in judged if one.state is State.NOT_RUNNING]
    return f"Not running, so not checked: {join_names(names[one.guest.vm_id] for one in found)}." if found else ""


def _log_notes(facts: IntegrationFacts, judged: Sequence[GuestServices], names: Names) -> list[str]:
    """The log remembers when a guest connected; the components say how it is now."""
    days = LOOK_BACK.days
    logs = {host.node.name: host.log for host in facts.hosts}
    read = {name: log for name, log in logs.items() if isinstance(log, EventLog)}
    without = [name for name, log in logs.items() if log is None]
    failed = [name for name, log in logs.items() if isinstance(log, Unknown)]
    notes = []
    states = {one.guest.vm_id: one for one in judged}
    found: dict[str, str] = {}
    for log in read.values():
        for event in log:
            vm_id, name = named_guest(event)
            one = states.get(vm_id)
            foreign = one is not None and one.state is State.IGNORED
            found[vm_id or name] = (
                f"{names.get(vm_id, name) or 'a guest without a name'}{' (Linux: ignore)' if foreign else ''}"
            )
    if found:
        cut = " The list may be cut." if any(not log.is_whole(facts.now - LOOK_BACK) for log in read.values()) else ""
        notes.append(
            f"Integration-Admin log, last {days} days: version mismatch (event 4010) for {join_names(found.values())}. It is logged when"
            f" a guest connects; the table shows the state now.{cut}"
        )
    elif read:
        notes.append(f"Integration-Admin log of {join_names(read)}, last {days} days: no version warning (4010).")
    if without:
        notes.append(f"No Integration-Admin log on {join_names(without)}.")
    if failed:
        notes.append(f"The Integration-Admin log of {join_names(failed)} could not be read.")
    return notes


def chart_of(judged: Sequence[GuestServices]) -> Chart | None:
    """How many guests are in each state, worst first."""
    counts = {state: sum(one.state is state for one in judged) for state in State if state is not State.NOT_RUNNING}
    bars = tuple(Bar(_LABELS.get(state, state.word), 10 * count) for state, count in counts.items() if count)
    return Chart("Running guests by integration services", "guests", bars, one="guest") if bars else None


def table_of(judged: Sequence[GuestServices]) -> Table:
    """Every guest, worst first."""
    names = guest_names(judged)
    columns = ("Guest", "Host", "State", "Family", "Version", "Expected", "Data exchange", "VSS", "Update by")
    rows = tuple(
        (
            names[one.guest.vm_id],
            one.host,
            one.state.word,
            one.family,
            _version(one) if one.version else "",
            one.expected,
            _component(one.exchange.component if one.exchange else None),
            "incompatible" if "VSS requestor" in one.broken else _SNAPSHOTS[one.snapshot],
            _update_by(one),
        )
        for one in judged
    )
    return Table("Integration services, worst first", tuple(map(Column, columns)), rows)


_SNAPSHOTS = {
    Snapshot.OFF: "off",
    Snapshot.SILENT: "silent",
    Snapshot.NOT_KNOWN: "not known",
    Snapshot.WELL: "answers",
    Snapshot.NOT_JUDGED: "",
}


def _component(part: Component | None) -> str:
    if part is None:
        return ""
    if part.is_off:
        return "off"
    if part.is_incompatible:
        return "incompatible"
    if part.is_silent:
        return "silent"
    return "older protocol" if part.is_older else "answers" if part.has_answered else "not known"


def _update_by(one: GuestServices) -> str:
    """Who brings a newer version: said per guest."""
    if one.system in (System.LINUX, System.OTHER):
        return "Linux distribution"
    if one.state is State.NOT_RUNNING or one.exchange is None or one.exchange.family is None:
        return ""
    if one.offered_nothing:
        return "setup disk only"
    if one.expected and not one.own_windows:
        return "setup disk"
    return "Windows Update"
