"""What a look at one thing found, in words: OK, WARN, FAIL or SKIP, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from bot.errors import HvopsError
from bot.slack.outbound.remedies import About, is_passing, remedy


class Status(StrEnum):
    """How it stands."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"
    SKIP = "SKIP"


SLACK_LATER = "See step 3 of deploy/README.md, A real workspace."


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """One look.

    Attributes:
        what: what was looked at: "settings", "time", "writers".
        on: the host or cluster; "" for the bot itself.
        do: what a person does about it, "" where there is nothing to do.
        only_changes: what fails keeps nobody from asking, only from changing something.
    """

    status: Status
    what: str
    says: str
    on: str = ""
    do: str = ""
    only_changes: bool = False


def ok(what: str, says: str, on: str = "") -> DoctorCheck:
    """It is well."""
    return DoctorCheck(Status.OK, what, says, on)


def warn(what: str, says: str, do: str = "", on: str = "") -> DoctorCheck:
    """It works, and somebody should know."""
    return DoctorCheck(Status.WARN, what, says, on, do)


def fail(what: str, says: str, do: str = "", on: str = "") -> DoctorCheck:
    """It does not work."""
    return DoctorCheck(Status.FAIL, what, says, on, do)


def skip(what: str, says: str, do: str = "", on: str = "") -> DoctorCheck:
    """It was not looked at, and why."""
    return DoctorCheck(Status.SKIP, what, says, on, do)


def slack_fault(what: str, error: HvopsError, about: About = "bot", *, of: str = "", do: str = "") -> DoctorCheck:
    """What Slack refused, or why it was not reached, with what to do about that. What passes by itself tells nothing.

    Args:
        what: what was looked at.
        error: NotSent or DeliveryUnknown.
        about: the token that the call was made with.
        of: the group or channel it is about.
        do: what to do where the table knows nothing.
    """
    says = f"{of}: {error}" if of else str(error)
    advice = remedy(error, about) or do
    return warn(what, f"not known: {says}", advice) if is_passing(error) else fail(what, says, advice)


def blocks_remediations(check: DoctorCheck) -> DoctorCheck:
    """The same, for what diagnostics do without."""
    return replace(check, only_changes=True)


def merge_checks(checks: Iterable[DoctorCheck]) -> Iterator[DoctorCheck]:
    """The same words about several hosts as one line, in the order in which they first came."""
    together: dict[DoctorCheck, list[str]] = {}
    for check in checks:
        together.setdefault(replace(check, on=""), []).append(check.on)
    for check, names in together.items():
        yield replace(check, on=" ".join(name for name in names if name))


def summary(checks: Iterable[DoctorCheck]) -> str:
    """One line that says it all."""
    counted = list(checks)
    counts = {status: sum(check.status is status for check in counted) for status in Status}
    failed = [check for check in counted if check.status is Status.FAIL]
    names = ", ".join(dict.fromkeys(f"{check.what} {check.on}".strip() for check in failed))
    works = "No failures."
    if failed:
        only_changes = all(check.only_changes for check in failed)
        works = f"Works: diagnostics. Does not: changes ({names})." if only_changes else f"Does not work: {names}."
    return (
        f"{counts[Status.OK]} ok, {counts[Status.FAIL]} fail, {counts[Status.WARN]} warn, "
        f"{counts[Status.SKIP]} skipped. {works}"
    )
