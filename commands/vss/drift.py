"""Writers compared across the nodes of a cluster, as updates are: one that all nodes but one list is missing there.

Only among nodes of one Windows, and of lists that were read whole. A writer is there only while its service runs, and
several services start on demand [doc in-box-vss-writers]: such a one is a note. One that every Windows lists, and whose
absence is known to fail backups, is a finding: the System Writer [doc ntdebugging 2013/08/27].
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.api.report import Finding, Severity
from commands.formatting import join_names, pluralize
from commands.sources.identity import guid
from commands.sources.rules import WriterService, service_of
from commands.sources.vss_writers import HYPER_V, Writer
from commands.vss.node_verdict import NodeVerdict

_Key = tuple[str, str]
NOT_LISTED = "NOT LISTED"


@dataclass(frozen=True, slots=True)
class Missing:
    """A writer that one node lacks. `others` is how many nodes of its Windows list it, `peers` how many there are."""

    writer: Writer
    others: int
    peers: int

    @property
    def rule(self) -> WriterService | None:
        """Its service, where a source names one."""
        return service_of(self.writer.writer_id, self.writer.name)

    @property
    def is_fault(self) -> bool:
        """Whether every Windows lists it."""
        return self.rule is not None and self.rule.everywhere


def missing_writers(nodes: Sequence[NodeVerdict]) -> Mapping[str, tuple[Missing, ...]]:
    """The node's name -> what it lacks and all others of its Windows list; what every Windows has, if one other lists it.

    Several instances of one writer count once: a replica or another instance of an application is no second writer.
    """
    by_build: dict[int, list[NodeVerdict]] = {}
    for node in nodes:
        if node.facts.node.build is not None and _is_whole(node):
            by_build.setdefault(node.facts.node.build, []).append(node)
    return {name: gone for alike in by_build.values() if len(alike) > 1 for name, gone in _missing(alike)}


def with_absent(nodes: Sequence[NodeVerdict], missing: Mapping[str, Sequence[Missing]]) -> tuple[NodeVerdict, ...]:
    """The nodes, each with the writers that it should have whatever is installed."""
    absent = {
        name: tuple(one.rule for one in gone if one.is_fault and one.rule is not None) for name, gone in missing.items()
    }
    return tuple(replace(node, absent=absent.get(node.name, ())) for node in nodes)


def absent_findings(node: NodeVerdict, missing: Sequence[Missing]) -> Iterator[Finding]:
    """What a list without one of them means, and what is known to cause it."""
    for one in missing:
        if not one.is_fault or one.rule is None:
            continue
        lines = (
            ("Means", f"A backup of the system state of {node.name} fails, although no writer in its list has failed."),
            ("Suspect", one.rule.absent),
            ("By hand", f"On {node.name}: see whether {one.rule.service} runs, and what the Application log says of VSS."),
        )  # fmt: skip
        says = f"{one.writer.name} is not listed on {node.name}; {_peers(one)} it."
        yield Finding(Severity.WARNING, NOT_LISTED, node.name, says, tuple(line for line in lines if line[1]))


def missing_notes(missing: Mapping[str, Sequence[Missing]]) -> Iterator[str]:
    """Sentences about the others, one per node, each with its service where a source names one."""
    for name, gone in missing.items():
        rest = [one for one in gone if not one.is_fault]
        told = [
            f"{one.writer.name} (service {one.rule.service})" if one.rule and one.rule.service else one.writer.name
            for one in rest
        ]
        if told:
            yield (
                f"{name} does not list {pluralize(len(told), 'writer')} that {_peers(rest[0])}: {join_names(told, 6)}."
                f" {'Its service' if len(told) == 1 else 'Their services'} may not run there."
            )


def _peers(one: Missing) -> str:
    if one.others == 1:
        return "the other node of its Windows lists" if one.peers == 1 else "one other node of its Windows lists"
    return f"{'the ' if one.others == one.peers else ''}{one.others} other nodes of its Windows list"


def _is_whole(node: NodeVerdict) -> bool:
    return bool(node.writers) and all(guid(one.writer.writer_id) and not one.writer.unreadable for one in node.writers)


def _missing(alike: Sequence[NodeVerdict]) -> Iterator[tuple[str, tuple[Missing, ...]]]:
    """What each lacks. Writers are counted once for all nodes: a host may list thousands that no other one does."""
    shared = _shared_ids(alike)
    listed = [{_key(one.writer, shared): one.writer for one in node.writers} for node in alike]
    writers = {key: writer for own in listed for key, writer in own.items() if key[0] != HYPER_V}
    times = Counter(key for own in listed for key in own)
    peers = len(alike) - 1
    missing = {key: Missing(writer, times[key], peers) for key, writer in writers.items()}
    by_all = [(key, one) for key, one in missing.items() if one.others == peers]
    faults: dict[str, list[tuple[_Key, Missing]]] = {}
    for key, one in sorted(missing.items(), key=lambda pair: -pair[1].others):
        if one.is_fault and one.rule is not None:
            faults.setdefault(one.rule.service, []).append((key, one))
    for node, own in zip(alike, listed, strict=True):
        # Of one service one is enough: whoever writes names can write as many with its id.
        lacks = (next((pair for pair in every if pair[0] not in own), None) for every in faults.values())
        gone = dict(pair for pair in (*lacks, *by_all) if pair is not None and pair[0] not in own)
        if gone:
            yield node.name, tuple(sorted(gone.values(), key=lambda one: one.writer.name.casefold()))


def _shared_ids(alike: Sequence[NodeVerdict]) -> set[str]:
    """The ids under which some node lists several names: Exchange's two."""
    found: set[str] = set()
    for node in alike:
        first: dict[str, str] = {}
        for one in node.writers:
            if first.setdefault(one.writer.writer_id, one.writer.name) != one.writer.name:
                found.add(one.writer.writer_id)
    return found


def _key(writer: Writer, shared: Collection[str]) -> _Key:
    return writer.writer_id, writer.name if writer.writer_id in shared else ""
