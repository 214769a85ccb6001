"""Small checks that are put together into the shape of every Block Kit object.

A check takes the collected problems, a JSON node and its JSON pointer, and adds what is wrong. `shape` puts checks
together for an object: unknown keys and missing required ones are problems too, as Slack finds them.

Not as pydantic models: a class for each of some seventy objects is longer than these tables, its errors have to be
led back to Slack's words and pointers, and what concerns several keys is only found once all types are right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One thing that Slack would refuse: a JSON pointer and what is wrong there."""

    pointer: str
    says: str

    def __str__(self) -> str:
        return f"{self.says} [json-pointer:{self.pointer}]"


@dataclass
class Problems:
    """What was found so far.

    Attributes:
        surface: "message", "modal" or "home", for what is allowed on one only.
    """

    surface: str
    found: list[Problem] = field(default_factory=list)

    def add(self, pointer: str, says: str) -> None:
        """One more problem."""
        self.found.append(Problem(pointer, says))


Check = Callable[[Problems, Any, str], None]


@dataclass(frozen=True)
class Key:
    """A key of an object."""

    check: Check
    required: bool = False


def required(check: Check) -> Key:
    """A key that has to be there."""
    return Key(check, required=True)


def optional(check: Check) -> Key:
    """A key that may be left out."""
    return Key(check)


def shape(keys: Mapping[str, Key]) -> Check:
    """An object with these keys and no others. `type` is always allowed: who looked it up has checked it."""

    def check(problems: Problems, node: Any, pointer: str) -> None:
        if not isinstance(node, dict):
            problems.add(pointer, "must provide an object")
            return
        for name, key in keys.items():
            if name not in node or node[name] is None:
                if key.required:
                    problems.add(pointer, f"missing required field: {name}")
            else:
                key.check(problems, node[name], f"{pointer}/{name}")
        for name in node:
            if name not in keys and name != "type":
                problems.add(f"{pointer}/{name}", f"invalid additional property: {name}")

    return check


def by_type(shapes: Mapping[str, Check], unknown: str = "unsupported type") -> Check:
    """An object whose `type` says which of these shapes it has."""

    def check(problems: Problems, node: Any, pointer: str) -> None:
        if not isinstance(node, dict):
            problems.add(pointer, "must provide an object")
        elif "type" not in node:
            problems.add(pointer, "missing required field: type")
        elif not isinstance(node["type"], str) or node["type"] not in shapes:
            problems.add(f"{pointer}/type", f"{unknown}: {node['type']}")
        else:
            shapes[node["type"]](problems, node, pointer)

    return check


def string(longest: int, shortest: int = 0) -> Check:
    """A text of so many characters."""

    def check(problems: Problems, node: Any, pointer: str) -> None:
        if not isinstance(node, str):
            problems.add(pointer, "must be a string")
        elif len(node) < shortest:
            problems.add(pointer, f"must be more than {shortest - 1} characters")
        elif len(node) > longest:
            problems.add(pointer, f"must be less than {longest + 1} characters")

    return check


def number(least: float | None = None, most: float | None = None, *, whole: bool = False) -> Check:
    """A number within bounds."""

    def check(problems: Problems, node: Any, pointer: str) -> None:
        if isinstance(node, bool) or not isinstance(node, int if whole else int | float):
            problems.add(pointer, "must be an integer" if whole else "must be a number")
        elif least is not None and node < least:
            problems.add(pointer, f"must be at least {least}")
        elif most is not None and node > most:
            problems.add(pointer, f"must be at most {most}")

    return check


def choice(*values: str) -> Check:
    """One of these words."""

    def check(problems: Problems, node: Any, pointer: str) -> None:
        if node not in values:
            problems.add(pointer, f"must be a valid enum value: {', '.join(values)}")

    return check


def boolean(problems: Problems, node: Any, pointer: str) -> None:
    """A yes or no."""
    if not isinstance(node, bool):
        problems.add(pointer, "must be a boolean")


def items(each: Check, most: int, least: int = 1) -> Check:
    """A list of so many."""

    def check(problems: Problems, node: Any, pointer: str) -> None:
        if not isinstance(node, list):
            problems.add(pointer, "must be an array")
            return
        if len(node) > most:
            problems.add(pointer, f"no more than {most} items allowed")
        if len(node) < least:
            problems.add(pointer, f"no fewer than {least} items allowed")
        for at, item in enumerate(node):
            each(problems, item, f"{pointer}/{at}")

    return check


def both(*checks: Check) -> Check:
    """All of these."""

    def check(problems: Problems, node: Any, pointer: str) -> None:
        for one in checks:
            one(problems, node, pointer)

    return check


def one_of(*names: str) -> Check:
    """An object that has at least one of these keys."""

    def check(problems: Problems, node: Any, pointer: str) -> None:
        if isinstance(node, dict) and not any(node.get(name) for name in names):
            problems.add(pointer, f"must define at least one of: {', '.join(names)}")

    return check


def unique(name: str) -> Check:
    """A list of objects, no two of which have the same value under this key."""

    def check(problems: Problems, node: Any, pointer: str) -> None:
        seen: set[Any] = set()
        for at, item in enumerate(node if isinstance(node, list) else []):
            value = item.get(name) if isinstance(item, dict) else None
            if value is not None and str(value) in seen:
                problems.add(f"{pointer}/{at}/{name}", f"`{name}` {value!r} already exists")
            seen.add(str(value))

    return check


def anything(problems: Problems, node: Any, pointer: str) -> None:
    """Not checked here."""
    del problems, node, pointer


def only_on(*surfaces: str) -> Check:
    """Allowed on these surfaces and nowhere else."""

    def check(problems: Problems, node: Any, pointer: str) -> None:
        if problems.surface not in surfaces:
            problems.add(f"{pointer}/type", f"unsupported type: {node['type']} is for {' and '.join(surfaces)} only")

    return check


def on(surfaces: tuple[str, ...], check: Check) -> Check:
    """A block for these surfaces only, with this shape."""
    return both(only_on(*surfaces), check)
