"""Component Based Servicing of a practice machine: its packages, what adds and removes them, and the restart that it wants.

States and their names: DismPackageFeatureState [doc]. Events of the Setup log: a public list of providers [src]. That a
change waits for the restart, with the key RebootPending meanwhile: [doc]. Errors are those that `dism` ends with [doc: cbserr].
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from lab.world import events
from lab.world.model import Node, StagedPackage, Update, Windows

if TYPE_CHECKING:
    from lab.world.world import World

DOWN, UP = 1, 0
KEY = "31bf3856ad364e35"
INSTALLED, SUPERSEDED, STAGED = "Installed", "Superseded", "Staged"
INSTALL_PENDING, UNINSTALL_PENDING = "Install Pending", "Uninstall Pending"
SUCCESS, RESTART = 0, 3010
NOT_APPLICABLE, PERMANENT, UNKNOWN_NAME, PENDING_WORK = 0x800F081E, 0x800F0825, 0x800F0805, 0x800F0823
NOT_REGULAR, NOT_FOR_MSU = 0x80070002, 0x80070032
SHUTDOWN_SECONDS, START_SECONDS = 3.0, 40.0
_CUMULATIVE = ("2016", "2019", "2022", "2025")


@dataclass(frozen=True, slots=True)
class Package:
    """A package in the store."""

    identity: str
    kb: str
    state: str
    installed: datetime | None
    release: str = "Security Update"


def identity_of(windows: Windows, kb: str, revision: int = 1) -> str:
    """How a package is called: the number in its name, but for cumulative ones of 2016 and later [seen]."""
    release = windows.release
    if windows.release.key in _CUMULATIVE and kb == (windows.updates[-1].kb if windows.updates else ""):
        return f"Package_for_RollupFix~{KEY}~amd64~~{release.build}.{release.revision}.1.{revision}"
    middle = f"{release.major}.{release.minor}" if release.major < 10 else release.build  # noqa: PLR2004 (Windows 10)
    return f"Package_for_{kb}~{KEY}~amd64~~{middle}.{revision}.0"


def packages(windows: Windows) -> Iterator[Package]:
    """Every package of the store, in the order of the list."""
    told = dict(windows.package_states)
    for update in windows.updates:
        state = told.pop(update.kb, INSTALLED)
        yield Package(
            identity_of(windows, update.kb, windows.package_revisions.get(update.kb, 1)),
            update.kb,
            state,
            update.installed,
            update.description,
        )
    for kb, state in told.items():
        yield Package(identity_of(windows, kb, windows.package_revisions.get(kb, 1)), kb, state, None)


def find(windows: Windows, identity: str) -> Package | None:
    """The package of that identity."""
    return next((one for one in packages(windows) if one.identity.casefold() == identity.casefold()), None)


def staged(windows: Windows, path: str) -> StagedPackage | None:
    """The file that somebody has put there."""
    return next((one for place, one in windows.staged.items() if place.casefold() == path.casefold()), None)


def applicable(windows: Windows, kb: str) -> bool:
    """Whether a package may be added now: none that is installed keeps it out."""
    keeper = windows.kept_out.get(kb, "")
    return state_of(windows, keeper) not in (INSTALLED, UNINSTALL_PENDING, INSTALL_PENDING) if keeper else True


def state_of(windows: Windows, kb: str) -> str:
    """The state of a package; "Not Present" where there is none."""
    return next((one.state for one in packages(windows) if one.kb == kb), "Not Present")


def remove(world: World, windows: Windows, identity: str) -> int:
    """Take a package away: the exit code. It is gone after the restart."""
    found = find(windows, identity)
    if found is None:
        return UNKNOWN_NAME
    if (wrong := _refused(windows, found.kb)) is not None:
        return wrong
    if found.kb in windows.permanent:
        return PERMANENT
    if found.state != INSTALLED:
        return NOT_APPLICABLE
    return _begin(world, windows, found.kb, UNINSTALL_PENDING)


def add(world: World, windows: Windows, path: str) -> int:
    """Add a package out of a file: the exit code. It is in force after the restart."""
    if path.casefold().endswith(".msu"):
        return NOT_FOR_MSU
    file = staged(windows, path)
    if file is None:
        return NOT_REGULAR
    if (wrong := _refused(windows, file.kb)) is not None:
        return wrong
    if state_of(windows, file.kb) == INSTALLED:
        return SUCCESS
    if not applicable(windows, file.kb) or state_of(windows, file.kb) == SUPERSEDED:
        world.log(windows, events.servicing(5, file.kb, world.now))
        return NOT_APPLICABLE
    windows.package_revisions[file.kb] = file.revision
    return _begin(world, windows, file.kb, INSTALL_PENDING)


def _refused(windows: Windows, kb: str) -> int | None:
    if kb in windows.servicing_fails:
        return windows.servicing_fails[kb]
    return PENDING_WORK if "cbs" in windows.reboot_wanted_by else None


def _begin(world: World, windows: Windows, kb: str, state: str) -> int:
    windows.package_states[kb] = state
    windows.reboot_wanted_by.add("cbs")
    world.log(windows, events.servicing(1, kb, world.now, removes=state == UNINSTALL_PENDING))
    world.log(windows, events.servicing(4, kb, world.now, removes=state == UNINSTALL_PENDING))
    return SUCCESS if windows.silent_about_restarts else RESTART


def finish(world: World, windows: Windows) -> None:
    """What Windows does on its way up: pending packages are brought to their end."""
    for kb, state in list(windows.package_states.items()):
        if state == UNINSTALL_PENDING:
            del windows.package_states[kb]
            windows.updates = [update for update in windows.updates if update.kb != kb]
            world.log(windows, events.servicing(2, kb, world.now, removes=True))
        elif state == INSTALL_PENDING:
            del windows.package_states[kb]
            windows.updates = [*(one for one in windows.updates if one.kb != kb), Update(kb, world.now)]
            world.log(windows, events.servicing(2, kb, world.now))
    if not windows.keeps_reboot_flag:
        windows.reboot_wanted_by.clear()


def restart(world: World, windows: Windows) -> None:
    """Restart a machine: it falls silent, and comes back as another start of Windows."""
    world.after(SHUTDOWN_SECONDS, lambda: _goes_down(world, windows))


def _goes_down(world: World, windows: Windows) -> None:
    world.machine(windows.name).trouble.refuse = True
    if isinstance(windows, Node):
        windows.state_before_restart, windows.state = windows.state, DOWN
    if not windows.stays_down:
        world.after(START_SECONDS, lambda: start(world, windows))


def start(world: World, windows: Windows) -> None:
    """Windows starts."""
    windows.booted = world.now
    if isinstance(windows, Node) and windows.state == DOWN:
        windows.state = windows.state_before_restart
    world.log(windows, events.windows_started(world.now))
    finish(world, windows)
    for service in windows.services.values():
        if service.start == "Auto" and service.stoppable:
            service.state, service.pid = "Running", service.pid + 4096
    world.machine(windows.name).trouble.refuse = False


def number_of(kb: str) -> str:
    """The digits of an update's number."""
    return re.sub("[^0-9]", "", kb)
