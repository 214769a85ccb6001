"""How far a host's clock is from ours."""

from __future__ import annotations

from datetime import datetime

from bot.api.facts import Known, Unknown
from bot.api.report import Finding, Severity
from commands.host_access.verdict import Passed, Verdict, finding, not_known

KERBEROS_SECONDS = 300  # the largest difference of clocks that a domain accepts by default [doc]
NOTICEABLE_SECONDS = 60
_WORD = "TIME"


def check_clock(host: str, clock: Known[datetime | None] | Unknown) -> Verdict:
    """Compare with the middle of the time in which the host was asked."""
    if isinstance(clock, Unknown):
        if clock.kind == "bad reply":
            return Finding(Severity.WARNING, _WORD, host, f"its clock cannot be read: {clock.why}")
        return not_known(_WORD, host, clock)
    there = clock.value
    if there is None:
        return Finding(Severity.WARNING, _WORD, host, "it does not say its time")
    seconds = round((there - (clock.asked + (clock.answered - clock.asked) / 2)).total_seconds())
    if abs(seconds) < NOTICEABLE_SECONDS:
        return Passed(_WORD, host, "within a minute of ours")
    severity = Severity.FAULT if abs(seconds) >= KERBEROS_SECONDS else Severity.WARNING
    says = f"{seconds:+d} s; Kerberos fails at {KERBEROS_SECONDS} s"
    return finding(severity, _WORD, host, says, by_hand="w32tm /resync there.")
