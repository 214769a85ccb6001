"""Which way of starting a live migration has been proved on a cluster: what the ledger says of `/prove-migration`.

No real Windows was ever seen to take either way over WS-Management, so neither is used before it was seen to work on that very
cluster, with a guest that somebody named for that. The newest attempt of a way counts: one that failed takes the proof away, and
so does one that people ended half-way: of a move that hangs, nobody else says that it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from bot.api.queries import EVERY_ENDING, DoneChanges
from bot.api.rows import Row, Rows, get_datetime, get_str, get_strs
from bot.api.sources import Source

COMMAND = "prove-migration"
OPTION = "--way"
_TOLD = ("done", "failed")  # endings by which the run itself says what became of it


class Way(StrEnum):
    """How a live migration is started."""

    CONTROL = "control"  # MSCluster_Resource.ExecuteResourceControl
    PARAMETERS = "parameters"  # MSCluster_ResourceGroup.MoveToNewNodeParams

    @property
    def method(self) -> str:
        """What is called."""
        return "ExecuteResourceControl" if self is Way.CONTROL else "MoveToNewNodeParams"


@dataclass(frozen=True, slots=True)
class Proof:
    """The newest attempt to prove a way.

    Attributes:
        holds: it went there and back.
        guest: that was moved, as it was typed.
        is_half_done: it neither went there and back nor failed: it was cancelled or closed on the way.
    """

    way: Way
    holds: bool
    ticket: str
    at: datetime
    guest: str
    is_half_done: bool = False

    @property
    def says(self) -> str:
        """In words: "ExecuteResourceControl, proved with crm-01 in T-12 on 28 Nov 2026"."""
        verb = "proved" if self.holds else "stopped half-way" if self.is_half_done else "failed"
        return f"{self.way.method}, {verb} with {self.guest} in {self.ticket} on {self.at:%d %b %Y}"


def step_keys(way: Way) -> tuple[str, str]:
    """The keys of the two steps that prove a way: there, and back."""
    return f"{way}-there", f"{way}-back"


def proofs(cluster: str) -> Source[tuple[Proof, ...]]:
    """The question: which ways were proved there? The newest attempt of each, the way to prefer first.

    Of the cluster as a place, never as a target: a guest can be called like a cluster on which it never was.
    """
    return Source(DoneChanges(cluster, COMMAND, endings=EVERY_ENDING, among="places"), read_proofs)


def read_proofs(rows: Rows) -> tuple[Proof, ...]:
    """The newest attempt of each way, the way to prefer first. Raises CellError, ValueError."""
    newest = {one.way: one for one in map(_proof, filter(_has_tried, rows))}
    return tuple(newest[way] for way in Way if way in newest)


def _has_tried(row: Row) -> bool:
    """Whether an attempt says anything of its way: one that was ended before its first move says nothing."""
    keys = step_keys(_way(get_str(row, "line")))
    return get_str(row, "ending") in _TOLD or not set(keys).isdisjoint(get_strs(row, "begun"))


def _proof(row: Row) -> Proof:
    way, ended = _way(get_str(row, "line")), get_datetime(row, "ended")
    if ended is None:
        raise ValueError("a change that has ended tells when")
    holds = get_str(row, "ending") == "done" and set(step_keys(way)) <= set(get_strs(row, "changed"))
    is_half_done = get_str(row, "ending") not in _TOLD
    return Proof(way, holds, get_str(row, "ticket"), ended, get_str(row, "target"), is_half_done)


def _way(line: str) -> Way:
    """Which way a line proves; the first where it names none."""
    words = line.split()
    named = [after for word, after in pairwise(words) if word == OPTION]
    return Way(named[-1]) if named and named[-1] in list(Way) else Way.CONTROL


def way_to_use(found: tuple[Proof, ...]) -> Proof | None:
    """The proof of the way to prefer; None where none is proved."""
    return next((one for one in found if one.holds), None)
