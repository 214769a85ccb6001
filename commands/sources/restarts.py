r"""Restarting a host, what asks for it, and what proves it.

`Win32_OperatingSystem.Reboot` asks only [doc]: it forces nobody's program to end, and returns before anything happens. What
proves a restart is the start after it: Windows writes event 12 of Kernel-General into the System log each time [cap].
LastBootUpTime says the same time, but is computed anew and moves with the clock when that is set [mem], so that another
value of it alone proves nothing; people are shown it. What asks for a restart: the key RebootPending of Component Based
Servicing [doc], RebootRequired of Windows Update [doc], PendingFileRenameOperations of the session manager [doc], which other
programs fill as well.
"""

from __future__ import annotations

from bot.api.actions import InvokeMethod
from bot.api.plan import Check, CompareToBefore, Step, exists
from bot.api.queries import Predicate, Registry, RunReader, Wql, make_params
from bot.api.rows import Rows, get_strs
from bot.api.sources import Source

LONGEST = 60 * 60  # seconds of a restart: servers test much memory for long, and updates are configured on the way
EVERY = 10  # seconds between two looks at a host that is silent
SERVICING = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing"
_SESSION_MANAGER = r"SYSTEM\CurrentControlSet\Control\Session Manager"
_KERNEL = "Microsoft-Windows-Kernel-General"


def newest_start(on: str) -> RunReader:
    """The question of a check: the newest start of Windows in the System log, one row {event_id, record_id, at, …}."""
    return RunReader(on, "wevtutil query events", make_params(channel="System", ids="12", most=1, provider=_KERNEL))


def pending_key(on: str) -> Registry:
    """The question of a check: does servicing want a restart? {"subkeys": None} where it does not."""
    return Registry(on, rf"{SERVICING}\RebootPending")


def no_servicing_pending(on: str, within: int = 0) -> Check:
    """Servicing wants no restart."""
    return exists(pending_key(on), Predicate("subkeys", "is null"), within=within).described_as(
        f"no servicing reboot is pending on {on}"
    )


def file_renames(on: str) -> Source[bool]:
    """The question: are files to be renamed at the next start? Any program can ask for that."""
    return Source(Registry(on, _SESSION_MANAGER, ("PendingFileRenameOperations",)), _read_renames)


def _read_renames(rows: Rows) -> bool:
    """Whether the value holds any. Raises CellError."""
    return bool(rows) and any(get_strs(rows[0], "PendingFileRenameOperations"))


def restart_step(on: str, key: str, guard: tuple[Check, ...], why: str) -> Step:
    """Restart a host, and wait for the start after it. It is not begun twice: a host that is slow is waited for.

    Args:
        on: the host.
        key: of the step.
        guard: what must hold before: that it is empty.
        why: what waits for the restart.
    """
    started = Check(
        newest_start(on), (CompareToBefore(key, ("record_id",), same=False),), LONGEST, EVERY, silence="wait"
    ).described_as(f"{on} has started Windows again")
    is_there = exists(
        Wql(on, "root/cimv2", "Win32_OperatingSystem", ("LastBootUpTime",)),
        Predicate("LastBootUpTime", "is not null"),
        within=LONGEST,
        every=EVERY,
        silence="wait",
    ).described_as(f"{on} says when it started")
    return Step(
        key=key,
        description=f"Restart {on}{why}",
        act=InvokeMethod(on, "root/cimv2", (), "Win32_OperatingSystem", "Reboot"),
        guard=guard,
        done=(started, is_there),
        before=newest_start(on),
        # A host goes down minutes after it was asked: whoever left it then could bring guests back to it before that.
        finishes=True,
    )
