"""What a machine answers otherwise than the model would: rows of classes, registry values, what programs print.

Each is put in from outside, by a case; the model goes on underneath, and answers whatever is not named here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lab.windows.machine_protocol import Instance, Output


@dataclass(slots=True)
class ClassRows:
    """Instances of a class, in place of the provider's, or beside them.

    Attributes:
        rows: by the names that the class's definition has.
        by: with these properties a row names an instance that is there, and changes it; () replaces all of them.
        asked: whether anybody has asked for the class.
    """

    rows: Sequence[Instance]
    by: tuple[str, ...] = ()
    asked: bool = False

    def over(self, provided: Iterable[Instance]) -> list[Instance]:
        """What is answered, given what the provider says."""
        self.asked = True
        if not self.by:
            return list(self.rows)
        changes = {self._key(row): row for row in self.rows}
        found = [{**row, **changes.pop(self._key(row), {})} for row in provided]
        return [*found, *changes.values()]

    def _key(self, row: Instance) -> tuple[str, ...]:
        return tuple(str(row.get(name)).casefold() for name in self.by)


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A registry key that is otherwise: values that are set, values that are not there, or no key at all."""

    key: str
    values: Mapping[str, object] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    absent: bool = False


@dataclass(slots=True)
class Printed:
    """What a program prints whose command line begins with these words."""

    argv: tuple[str, ...]
    output: Output
    asked: bool = False

    def matches(self, words: Sequence[str]) -> bool:
        """Whether a command line begins so. Programs and words in any case, the program with or without .exe."""
        return len(words) >= len(self.argv) and folded(words)[: len(self.argv)] == list(self.argv)


def folded(words: Sequence[str]) -> list[str]:
    """A command line's words as they are compared."""
    low = [word.casefold() for word in words]
    return [low[0].rpartition("\\")[2].removesuffix(".exe"), *low[1:]] if low else []


@dataclass(slots=True)
class Overrides:
    """All that is otherwise on one machine."""

    rows: dict[tuple[str, str], list[ClassRows]] = field(default_factory=dict)  # by namespace and class, folded
    keys: list[KeyChange] = field(default_factory=list)
    programs: list[Printed] = field(default_factory=list)

    def instances(self, namespace: str, cls: str, provided: Iterable[Instance]) -> list[Instance]:
        """The instances of a class, given the provider's."""
        found: list[Instance] = list(provided)
        for one in self.rows.get((namespace.casefold(), cls.casefold()), ()):
            found = one.over(found)
        return found

    def registry(self, tree: Mapping[str, Mapping[str, object]]) -> Mapping[str, Mapping[str, object]]:
        """HKEY_LOCAL_MACHINE, given the model's."""
        if not self.keys:
            return tree
        found = {path: dict(values) for path, values in tree.items()}
        for change in self.keys:
            wanted = change.key.casefold()
            if change.absent:
                found = {path: values for path, values in found.items() if not _is_under(path.casefold(), wanted)}
                continue
            path = next((path for path in found if path.casefold() == wanted), change.key)
            gone = change.without | {name.casefold() for name in change.values}
            kept = {name: value for name, value in found.get(path, {}).items() if name.casefold() not in gone}
            found[path] = {**kept, **change.values}
        return found

    def printed(self, words: Sequence[str]) -> Output | None:
        """What a command line prints; None where nothing is said of it. The one that says most words of it counts."""
        found = [one for one in self.programs if one.matches(words)]
        if not found:
            return None
        best = max(found, key=lambda one: len(one.argv))
        best.asked = True
        return best.output


def _is_under(path: str, key: str) -> bool:
    return path == key or path.startswith(f"{key}\\")
