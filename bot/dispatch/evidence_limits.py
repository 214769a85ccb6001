"""How much of answers is kept for one person, raw and as a report, and when nothing is: the ledger keeps it for good.

Decisions need room. Whoever asks is shown the whole report all the same, and its entry is written.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from bot.api.report import Finding, Remedy, Report, Severity
from bot.dispatch.person_rate import PersonRate
from bot.redaction import clip
from bot.serialization import Evidence, evidence_to_bytes

AT_ONCE = 256 * 2**20  # bytes of raw answers and reports for one person; some fifty of the longest answers
A_SECOND = 35_000  # bytes that are added to that again: some 120 MB an hour
LEAST_FREE = 512 * 2**20  # bytes of the disk that entries have to themselves
MOST_OF_THE_REST = 2**14  # bytes of the questions, and of the buttons, of what is not kept
_LINE = 500  # characters of its title


def free_bytes(place: object) -> int | None:
    """What is free on the disk of a ledger in a file; None where it is elsewhere, or cannot be told."""
    if not isinstance(place, Path):
        return None
    try:
        return shutil.disk_usage(place.parent).free
    except OSError:
        return None


class EvidenceLimits:
    """What of an answer is kept. Safe between threads."""

    def __init__(
        self,
        free: Callable[[], int | None],
        clock: Callable[[], float] = time.monotonic,
        used_up: str = "you have used up your storage quota for answers",
    ) -> None:
        """Take what tells how much room there is (`free_bytes`), and a clock that nobody sets, in seconds.

        Args:
            free: bytes of the ledger's disk; None where nobody knows.
            clock: seconds.
            used_up: what is said where a person's room is used up.
        """
        self._free, self._used_up = free, used_up
        self._room = PersonRate(AT_ONCE, 1 / A_SECOND, clock)
        self._lock = threading.Lock()

    def kept(self, person: str, evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
        """The evidence as it is kept: all of it, or without raw answers where there is no room, and of its questions a few."""
        evidence = tuple(evidence)
        why = self.why_not(person, len(evidence_to_bytes(evidence)))
        return tuple(_without_answers(evidence, f"[not stored: {why}.]")) if why else evidence

    def why_not(self, person: str, size: int) -> str:
        """Why so many bytes are not kept for somebody, without a full stop; "" where they are, and count from now on."""
        free = self._free()
        if free is not None and free < LEAST_FREE:
            return f"the ledger's disk has only {free >> 20} MB free"
        with self._lock:
            may = self._room.take(person, size)
        return "" if may else f"{self._used_up}; some 120 MB of it is free again after an hour"


def not_stored_finding(why: str) -> Finding:
    """What an answer says first that is not kept, when it is shown and whenever somebody comes back to it."""
    return Finding(
        Severity.NOTE, "NOT STORED", "this answer", f"{why}. To see the full answer again, rerun the command."
    )


def stored_remainder(report: Report, why: str) -> Report:
    """What is kept of a report for which there is no room: its title, and what its buttons start. Without secrets before."""
    return Report(
        clip(report.title, _LINE),
        clip(report.summary, _LINE),
        clip(report.of, _LINE),
        report.asked,
        report.answered,
        findings=(not_stored_finding(why),),
        remedies=tuple(_first(report.remedies)),
        did=clip(report.did, _LINE),
    )


def _first(remedies: Iterable[Remedy]) -> Iterator[Remedy]:
    """As many as there is room for, in their order: a button says which one it is by its number."""
    left = MOST_OF_THE_REST
    for one in remedies:
        left -= len(f"{one.label}{one.line}".encode())
        if left < 0:
            return
        yield one


def _without_answers(evidence: tuple[Evidence, ...], why: str) -> Iterator[Evidence]:
    """What was asked, as far as there is room for it, and each error; why there is no answer in the place of each."""
    left = MOST_OF_THE_REST
    for at, one in enumerate(evidence):
        asked = replace(one, raw=why, rendered="") if one.raw or one.rendered else one
        left -= len(evidence_to_bytes((asked,)))
        if left < 0:
            yield Evidence(clip(one.on, _LINE), f"and {len(evidence) - at:,} more", why)
            return
        yield asked
