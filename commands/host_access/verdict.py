"""What one check of one host found: it passed, something is wrong, or it is not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from bot.api.facts import Unknown
from bot.api.report import Finding, Severity

RIGHTS = "See deploy/rights.md."
# Kinds of silence that are an answer: the host, or a rule of our own, says no.
_SAYS_NO = ("login refused", "refused", "absent", "not allowed")


@dataclass(frozen=True, slots=True)
class Passed:
    """A check that a host passed: "CODE PAGE hv01: OEM 437"."""

    word: str
    host: str
    says: str


@dataclass(frozen=True, slots=True)
class NotKnown:
    """A check that could not be made."""

    word: str
    why: Unknown


Verdict: TypeAlias = Passed | Finding | NotKnown


def finding(severity: Severity, word: str, host: str, says: str, *, means: str = "", by_hand: str = "") -> Finding:
    """A finding with its lines."""
    lines = [("Means", means)] if means else []
    lines += [("By hand", by_hand)] if by_hand else []
    return Finding(severity, word, host, says, tuple(lines))


def not_known(word: str, host: str, why: Unknown, what: str = "") -> Finding | NotKnown:
    """What hvops needs and was not told: a fault where the host said no, not known where it said nothing.

    Args:
        word: the check.
        host: whose it is.
        why: what was not told.
        what: what was asked, where the reason alone does not name it: "root/virtualization/v2".
    """
    if not says_no(why):
        return NotKnown(word, why)
    says = f"{what}: {why.why}" if what else why.why
    return finding(Severity.FAULT, word, host, says, by_hand=why.remedy or RIGHTS)


def says_no(why: Unknown) -> bool:
    """Whether there was an answer: no."""
    return why.kind in _SAYS_NO
