r"""Packages of Component Based Servicing: what a host lists, and what lies there as a file.

Identity and state come from the host's own `dism /English /Online /Get-Packages` and from nothing else: a KB number is in the
name of most packages, and in none of the cumulative ones from 2016 on, which are called Package_for_RollupFix and tell it
in their description only [seen: community.windows #421]. So a number means a package where the name says exactly that
number, and no other way. States: DismPackageFeatureState [doc].
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from bot.api.plan import Check, Expect
from bot.api.queries import Predicate, RunReader, make_params
from bot.api.rows import Rows, get_str
from bot.api.sources import Source

LIST, ONE, FILE = "dism list packages", "dism package", "dism package file"
_NAME = "package_for_"
_CUMULATIVE = "package_for_rollupfix"


class PackageState(IntEnum):
    """DismPackageFeatureState [doc]; UNKNOWN for a word that no document lists."""

    NOT_PRESENT = 0
    UNINSTALL_PENDING = 1
    STAGED = 2
    REMOVED = 3
    INSTALLED = 4
    INSTALL_PENDING = 5
    SUPERSEDED = 6
    PARTIALLY_INSTALLED = 7
    UNKNOWN = -1

    @property
    def word(self) -> str:
        """As dism prints it: "Install Pending"."""
        return self.name.replace("_", " ").title()


# What dism prints -> state; its words are those of the enumeration with spaces, also seen without [cap].
_STATES = {state.name.replace("_", ""): state for state in PackageState if state >= 0}
# Of a package that is not in force and will not be. Any other word, and one that nobody knows, may be of one that is.
_GONE = tuple(
    state.word
    for state in (PackageState.NOT_PRESENT, PackageState.REMOVED, PackageState.STAGED, PackageState.SUPERSEDED)
)


@dataclass(frozen=True, slots=True)
class Package:
    """A package as the host lists it.

    Attributes:
        identity: name, key, architecture, language and version: what dism takes, exactly.
        state: its number; `told` is the host's own word.
    """

    identity: str
    state: PackageState
    told: str = ""

    @property
    def is_cumulative(self) -> bool:
        """Whether it is a month's whole level, which is not split."""
        return is_cumulative(self.identity)


@dataclass(frozen=True, slots=True)
class PackageFile:
    """What dism tells of one package, by file or by name.

    Attributes:
        applies: whether dism says that it applies; None where it does not say.
        description: "Fix for KB2607712".
    """

    identity: str
    applies: bool | None
    description: str = ""

    @property
    def is_cumulative(self) -> bool:
        """Whether it is a month's whole level."""
        return is_cumulative(self.identity)


def is_cumulative(identity: str) -> bool:
    """Whether an identity is that of a cumulative update [seen]."""
    return identity.partition("~")[0].casefold() == _CUMULATIVE


def is_of(kb: str, identity: str) -> bool:
    """Whether a package's name says exactly this number."""
    return identity.partition("~")[0].casefold() == f"{_NAME}{kb.casefold()}"


def packages_of(kb: str, packages: Iterable[Package]) -> tuple[Package, ...]:
    """Those whose name says exactly this number."""
    return tuple(one for one in packages if is_of(kb, one.identity))


def listed_packages(on: str) -> Source[tuple[Package, ...]]:
    """The question: which packages does the host list, and how are they?"""
    return Source(package_list(on), _read_packages)


def package_list(on: str) -> RunReader:
    """The same, for a check: rows {identity, state, release}."""
    return RunReader(on, LIST)


def is_gone(on: str, identity: str, *also: PackageState, within: int = 0) -> Check:
    """The host lists that package no more, or as one that is gone, or in one of some other states; and it lists others."""
    gone = Predicate("state", "in", (*_GONE, *(state.word for state in also)))
    own = Expect((Predicate("identity", "=", identity),), (gone,), at_least=0)
    return Check(package_list(on), (own, Expect()), within)


def staged_package(on: str, path: str) -> Source[PackageFile]:
    """The question: what is the package in that file? A file that is not there is refused by dism itself."""
    return Source(package_file(on, path), _read_package)


def package_file(on: str, path: str) -> RunReader:
    """The same, for a check: one row {identity, state, applicable, description, release}."""
    return RunReader(on, FILE, make_params(path=path))


def told_of(on: str, identity: str) -> Source[PackageFile]:
    """The question: what does dism tell of a package that the host lists?"""
    return Source(RunReader(on, ONE, make_params(package=identity)), _read_package)


def _read_packages(rows: Rows) -> tuple[Package, ...]:
    """Every package. Raises CellError, and ValueError for a list without any: no Windows has none."""
    found = tuple(
        Package(get_str(row, "identity"), _state(get_str(row, "state")), get_str(row, "state")) for row in rows
    )
    if not found:
        raise ValueError("dism listed no package at all")
    return found


def _state(word: str) -> PackageState:
    return _STATES.get(word.replace(" ", "").upper(), PackageState.UNKNOWN)


def _read_package(rows: Rows) -> PackageFile:
    """One package. Raises CellError, and ValueError for none."""
    if len(rows) != 1:
        raise ValueError("dism told of no package, or of several")
    applies = {"yes": True, "no": False}.get(get_str(rows[0], "applicable").casefold())
    return PackageFile(get_str(rows[0], "identity"), applies, get_str(rows[0], "description"))
