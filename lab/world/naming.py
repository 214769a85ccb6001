"""Which guests there are: names, and what is special about some of them."""

from __future__ import annotations

from dataclasses import dataclass

from lab.world.model import GuestState


@dataclass(frozen=True, slots=True)
class GuestPlan:
    """A guest before it is built. `login` False: its administrators refuse the guest account."""

    name: str
    linux: bool = False
    state: GuestState = "running"
    login: bool = True
    reports_address: bool = True
    hangs: bool = False
    node: str = ""  # empty: wherever there is room
    managed_by_vmm: bool = False
    priority: int = 2000


def _series(prefix: str, first: int, last: int) -> list[str]:
    return [f"{prefix}-{number:02d}" for number in range(first, last + 1)]


_PROD = [
    "test-tfs-01",
    *_series("sql-stage", 1, 2),
    *_series("web-dev", 1, 4),
    *_series("file", 1, 2),
    *_series("crm", 1, 4),
    "sap-old-01",
    *_series("lab-dc", 1, 2),
    *_series("lin", 1, 5),
    *_series("vdi", 1, 12),
    "old-02",
    *_series("dev", 1, 11),
    *_series("sql", 1, 8),
    *_series("web", 1, 6),
    *_series("app", 1, 5),
]
_BRANCH = [
    *_series("pos", 1, 12),
    *_series("branch-file", 1, 4),
    *_series("branch-sql", 1, 4),
    *_series("branch-web", 1, 6),
    *_series("branch-app", 1, 10),
    *_series("branch-vdi", 1, 10),
    *_series("branch-dc", 1, 2),
    *_series("lin", 11, 16),
    "old-11",
    "dev-21",
]
# Nine of these eleven run.
_ON_HV03 = {
    "test-tfs-01",
    "crm-02",
    "crm-03",
    "sql-07",
    "app-01",
    "web-03",
    "dev-04",
    "dev-05",
    "vdi-01",
    "vdi-07",
    "dev-11",
}
_OFF = {"vdi-07", "vdi-09", "old-02", "old-11"}
_SAVED = {"dev-11", "dev-21"}
_NO_LOGIN = {"crm-03", "branch-app-09"}
_NO_ADDRESS = {"lab-dc-02"}
_HANGS = {"sap-old-01"}
LOW = 1000  # priority of a group that a drain moves by quick migration


def _plan(name: str) -> GuestPlan:
    return GuestPlan(
        name,
        linux=name.startswith("lin-"),
        state="off" if name in _OFF else "saved" if name in _SAVED else "running",
        login=name not in _NO_LOGIN,
        reports_address=name not in _NO_ADDRESS,
        hangs=name in _HANGS,
        node="hv03" if name in _ON_HV03 else "",
        managed_by_vmm=name.startswith(("crm-", "sap-", "branch-app-")),
        priority=LOW if name.startswith(("lab-", "old-")) else 2000,
    )


PROD = tuple(_plan(name) for name in _PROD)
BRANCH = tuple(_plan(name) for name in _BRANCH)


def numbered(cluster: str, count: int) -> tuple[GuestPlan, ...]:
    """Plain guests for a cluster of measuring size."""
    return tuple(GuestPlan(f"{cluster}-vm-{number:04d}") for number in range(1, count + 1))
