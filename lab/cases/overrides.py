"""Put into a world what a case says is otherwise. Whatever the world cannot carry is an error that names the key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from lab.cases import load_balancers, values, websites
from lab.cases.errors import CaseError
from lab.cases.schema import CaseFile, Event, Job, Machine, Program, Registry, Replica, Rows, Sql
from lab.cases.values import Shift
from lab.sqlserver.store import Row, Table
from lab.windows import schema
from lab.windows.console_output import encode
from lab.windows.machine_protocol import Output, Page, Quotas
from lab.windows.schema import ClassDefinition
from lab.world import class_availability, defaults, model
from lab.world.executables import wevtutil
from lab.world.model import BackupJob, Node
from lab.world.os_releases import RELEASES
from lab.world.overrides import ClassRows, KeyChange, Printed, folded
from lab.world.registry import Keys
from lab.world.replication import replicate
from lab.world.world import MachineLike, World

_LEVELS = {"error": 2, "warning": 3, "information": 4}
_HIVES = ("hklm\\", "hkey_local_machine\\")
_OLD = Quotas(max_envelope_kb=150, max_shells_per_user=5)


def apply(case: CaseFile, world: World, shift: Shift) -> list[tuple[str, ClassRows | Printed]]:
    """Change the world. Raises CaseError.

    Args:
        case: what is otherwise.
        world: its scenario has just begun.
        shift: moves the file's times to those at which it is played.

    Returns:
        What tells by itself whether it was asked for, each with its name: "MSFT_VirtualDisk on hv03".
    """
    told: list[tuple[str, ClassRows | Printed]] = []
    for name, machine in case.machines.items():
        for one in _machines(world, name, f"machines.{name}"):
            _change(world, one, machine, shift, f"machines.{name}")
    for at, rows in enumerate(case.rows):
        told.append((f"{rows.cls} on {_spoken(rows.on)}", _rows(world, rows, shift, f"rows[{at}]")))
    for at, registry in enumerate(case.registry):
        _registry(world, registry, f"registry[{at}]")
    for at, program in enumerate(case.programs):
        told.append((f"{' '.join(program.argv)} on {_spoken(program.on)}", _program(world, program, f"programs[{at}]")))
    for number, event in sorted(enumerate(case.events), key=lambda one: one[1].at):
        _event(world, event, shift, f"events[{number}]")
    for at, sql in enumerate(case.sql):
        _sql(world, sql, shift, f"sql[{at}]")
    for at, job in enumerate(case.jobs):
        _job(world, job, shift, f"jobs[{at}]")
    _continuity(case, world, shift)
    websites.apply(case, world)
    load_balancers.apply(case, world)
    return told


def _continuity(case: CaseFile, world: World, shift: Shift) -> None:
    """What a disaster would show: replicas, what stands in files, what lies between two clusters."""
    for at, replica in enumerate(case.replicas):
        _replica(world, replica, shift, f"replicas[{at}]")
    for at, file in enumerate(case.text_files):
        for one in _machines(world, file.on, f"text_files[{at}].on"):
            one.windows.text_files[file.path] = file.text
    world.link_delay, world.link_loss = case.link.milliseconds, case.link.loss


def _replica(world: World, told: Replica, shift: Shift, key: str) -> None:
    try:
        guest, node = world.guest(told.guest), world.node(told.to)
    except (KeyError, AssertionError):
        raise CaseError(key, f"{world.story} has no guest {told.guest!r}, or no node {told.to!r}.") from None
    if node.cluster is guest.node.cluster:
        raise CaseError(f"{key}.to", f"{told.to} is a node of the guest's own cluster.")
    last = None if told.last is None else shift(told.last)
    copy = replicate(guest, node, last=last)
    copy.configuration = told.configuration
    for end in (guest.replication, copy.replication):
        assert end is not None
        end.state, end.health, end.interval = told.state, told.health, told.interval
        end.cycles, end.latency, end.missed = told.cycles, told.latency, told.missed
    assert copy.replication is not None
    copy.replication.tested = None if told.tested is None else shift(told.tested)
    copy.replication.extended = (told.state, told.health) if told.extended else None


def _spoken(on: str | Sequence[str]) -> str:
    return on if isinstance(on, str) else ", ".join(on)


def _machines(world: World, on: str | Sequence[str], key: str) -> list[MachineLike]:
    found: list[MachineLike] = []
    for name in [on] if isinstance(on, str) else on:
        if name == "*":
            found += [world.machine(node.name) for cluster in world.clusters.values() for node in cluster.nodes]
        elif name in world.clusters:
            found += [world.machine(node.name) for node in world.clusters[name].nodes]
        else:
            try:
                found.append(world.machine(name))
            except KeyError:
                raise CaseError(key, f"{world.story} has no machine or cluster {name!r}.") from None
    return found


def _change(world: World, machine: MachineLike, told: Machine, shift: Shift, key: str) -> None:
    windows = machine.windows
    if told.windows is not None:
        if not isinstance(windows, Node):
            raise CaseError(f"{key}.windows", "only nodes can run another Windows; give a guest rows instead.")
        release = windows.release = RELEASES[told.windows]
        windows.updates = defaults.updates(release)
        windows.writers = defaults.writers(windows.fqdn, release=release, node=True)
        machine.quotas = Quotas() if release.at_least("2012") else replace(_OLD)
    if told.revision is not None:
        windows.release = replace(windows.release, revision=told.revision)
    if told.code_page is not None:
        _bytes("", told.code_page, f"{key}.code_page")
        machine.oem_code_page = told.code_page
    if told.booted is not None:
        windows.booted = shift(told.booted)
    if told.trouble is not None:
        world.trouble(windows.name, told.trouble, on=True)
    if told.http is not None:
        machine.trouble.page = Page(told.http.status, told.http.body)


def _rows(world: World, told: Rows, shift: Shift, key: str) -> ClassRows:
    space = told.namespace.replace("\\", "/").strip("/").casefold()
    definition = schema.find(space, told.cls)
    if definition is None:
        raise CaseError(f"{key}.class", f"{told.namespace} has no class {told.cls!r}.")
    by = _by(definition, told, key)
    made = ClassRows((), by)
    for machine in _machines(world, told.on, f"{key}.on"):
        if space not in {name.casefold() for name in machine.namespaces()}:
            says = f"{machine.windows.name} has no namespace {told.namespace}, so nobody can ask it for {told.cls}."
            raise CaseError(f"{key}.namespace", says)
        missing = class_availability.absent(definition.name, machine.windows.release.key)
        rows = [
            values.instance(definition, row, missing, shift, f"{key}.rows[{at}]") for at, row in enumerate(told.rows)
        ]
        for at, row in enumerate(rows):
            lacking = [name for name in by if row.get(name) is None]
            if lacking:
                raise CaseError(f"{key}.rows[{at}]", f"{lacking[0]} is missing: it says which row is meant.")
        made.rows = rows
        machine.overrides.rows.setdefault((space, definition.name.casefold()), []).append(made)
    return made


def _by(definition: ClassDefinition, told: Rows, key: str) -> tuple[str, ...]:
    if not told.merge:
        if told.by:
            raise CaseError(f"{key}.by", "says which rows are changed, and needs merge = true.")
        return ()
    unknown = [name for name in told.by if name.lower() not in definition.properties]
    if unknown:
        raise CaseError(f"{key}.by", f"{definition.name} has no property {unknown[0]!r}.")
    by = tuple(definition.properties[name.lower()].name for name in told.by) or definition.keys
    if not by:
        raise CaseError(
            f"{key}.by", f"{definition.name} has no keys here: name the properties that tell its rows apart."
        )
    return by


def _registry(world: World, told: Registry, key: str) -> None:
    path = told.key.strip("\\")
    hive = next((hive for hive in _HIVES if path.casefold().startswith(hive)), "")
    if not hive and path.casefold().startswith("hkey_"):
        raise CaseError(f"{key}.key", "only HKEY_LOCAL_MACHINE is served.")
    path = path[len(hive) :]
    without = frozenset(name.casefold() for name in told.without)
    for machine in _machines(world, told.on, f"{key}.on"):
        before: Keys = {name.casefold(): dict(values) for name, values in machine.registry().items()}
        if told.absent and not any(f"{name}\\".startswith(f"{path.casefold()}\\") for name in before):
            raise CaseError(f"{key}.absent", f"{machine.windows.name} has no key {path} anyway.")
        there = {name.casefold() for name in before.get(path.casefold(), {})}
        in_vain = [name for name in told.without if name.casefold() not in there]
        if in_vain:
            raise CaseError(f"{key}.without", f"{machine.windows.name} has no value {in_vain[0]} in {path} anyway.")
        machine.overrides.keys.append(KeyChange(path, dict(told.values), without, told.absent))


def _program(world: World, told: Program, key: str) -> Printed:
    stdout, stderr = _printed(told.stdout), _printed(told.stderr)
    output = Output(stdout, stderr, told.exit_code, told.seconds, code_page=told.code_page)
    made = Printed(tuple(folded(told.argv)), output)
    for machine in _machines(world, told.on, f"{key}.on"):
        page = told.code_page or machine.oem_code_page
        _bytes(stdout, page, f"{key}.stdout")
        _bytes(stderr, page, f"{key}.stderr")
        machine.overrides.programs.append(made)
    return made


def _printed(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def _bytes(text: str, page: int, key: str) -> None:
    """See that a code page has all of a text."""
    try:
        there = encode(text, page)
    except LookupError:
        raise CaseError(key, f"there is no code page {page}.") from None
    if there.count(b"?") != text.count("?"):
        lost = next(sign for sign in text if sign != "?" and encode(sign, page) == b"?")
        raise CaseError(key, f"code page {page} has no {lost!r}: give the code page in which the program writes.")


def _event(world: World, told: Event, shift: Shift, key: str) -> None:
    for machine in _machines(world, told.on, f"{key}.on"):
        windows = machine.windows
        known = {name.casefold(): name for name in wevtutil.channels(windows)}
        if told.log.casefold() not in known:
            raise CaseError(f"{key}.log", f"{windows.name} has no log {told.log}; it has {', '.join(known.values())}.")
        level = _LEVELS[told.level]
        data = tuple(told.data)
        log, at = known[told.log.casefold()], shift(told.at)
        event = model.Event(log, told.provider, told.id, level, at, data, told.message, hyper_v=told.hyper_v)
        world.log(windows, event)


def _sql(world: World, told: Sql, shift: Shift, key: str) -> None:
    assert world.vmm is not None
    database = world.vmm.instance.databases.get(told.database.casefold())
    if database is None:
        raise CaseError(f"{key}.database", f"there is no {told.database}.")
    table = database.tables.get(f"dbo.{told.table}".casefold())
    if table is None:
        there = ", ".join(sorted(one.name for one in database.tables.values()))
        raise CaseError(f"{key}.table", f"{told.database} has no table {told.table}; it has {there}.")
    world.vmm.looks = False
    rows = [_cells(table, row, shift, f"{key}.rows[{at}]") for at, row in enumerate(told.rows)]
    by = [_column(table, name, f"{key}.by") for name in told.by] or ([table.key] if table.key else [])
    if not told.merge:
        if told.by:
            raise CaseError(f"{key}.by", "says which rows are changed, and needs merge = true.")
        table.rows.clear()
        by = []
    elif not by:
        raise CaseError(f"{key}.by", f"{table.name} has no primary key: name the columns that tell its rows apart.")
    for at, row in enumerate(rows):
        _put(table, row, by, f"{key}.rows[{at}]")


def _cells(table: Table, told: dict[str, Any], shift: Shift, key: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in told.items():
        column = table.columns[table.index(_column(table, name, f"{key}.{name}")) or 0]
        found[column.name] = values.cell(column, value, shift, f"{key}.{name}")
    return found


def _column(table: Table, name: str, key: str) -> str:
    at = table.index(name)
    if at is None:
        raise CaseError(key, f"{table.name} has no column {name}.")
    return table.columns[at].name


def _put(table: Table, row: dict[str, Any], by: Sequence[str], key: str) -> None:
    """Change the rows that are meant, or put one in."""
    lacking = [name for name in by if row.get(name) is None]
    if lacking:
        raise CaseError(key, f"{lacking[0]} is missing: it says which row is meant.")
    meant: list[Row] = list(table.find(**{name: row[name] for name in by})) if by else []
    for one in meant:
        table.change(one, **row)
    if meant:
        return
    absent = [column.name for column in table.columns if not column.nullable and row.get(column.name) is None]
    if absent:
        what = "no row is that one, and a new one" if by else "a row"
        raise CaseError(key, f"{what} of {table.name} needs {absent[0]}, which cannot be NULL.")
    table.insert(**row)


def _job(world: World, told: Job, shift: Shift, key: str) -> None:
    nodes = {node.name.casefold(): node for cluster in world.clusters.values() for node in cluster.nodes}
    node = nodes.get(told.node.casefold())
    if node is None:
        raise CaseError(f"{key}.node", f"{world.story} has no node {told.node!r}.")
    reason = f"[{told.reason_code}] {told.reason}" if told.reason else ""
    started = shift(told.started)
    changed = shift(told.changed) if told.changed else started
    if changed < started:
        raise CaseError(f"{key}.changed", "is before the job was started.")
    world.jobs[told.id] = BackupJob(told.id, node, told.state, reason, started, changed, told.client)


def shift_from(at: datetime | None, now: datetime) -> Callable[[datetime], datetime]:
    """Moves times so that `at` is now."""
    moved = now - at if at is not None else None
    return lambda moment: moment + moved if moved is not None else moment
