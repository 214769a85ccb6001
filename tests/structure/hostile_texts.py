"""Search texts made to be slow with every pattern of `bot` and `commands`, at a length that forgives no quadratic search.

    python -m tests.structure.hostile_texts [PATTERN …]     # names hold PATTERN

For each pattern texts are made out of what it looks for: what stands before each repetition, then much of what is repeated, then
something that ends it badly; each also many times over. Short ones show which are the slowest, and those that are not quick are
searched again at full length: there a search whose time grows with the square of the length takes many minutes, one that grows
with the length takes a second. It prints each pattern before it is searched, so that the last line names the one that does not end.
"""

# ruff: noqa: T201 - it prints which pattern is searched

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import random
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from itertools import product
from pathlib import Path
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = ("bot", "commands")
LENGTH = 2_000_000  # characters: their square is many minutes of the fastest loop there is
# Of the texts for a pattern, at how many characters they are compared, and how many of the slowest are looked at again.
_LOOKS = ((400, 16), (4_000, 3))
_LOOKED = 50_000
# Seconds a character: what takes less is far from a quadratic search of that many. It chooses what is searched at full length.
_QUICK = 300e-9
_MANY = 32  # a repetition that may be at least this long can be pumped
_DEPTH = 6  # of tables in tables
_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
_SINGLE = [[code] for code in (codes.IN, codes.LITERAL, codes.NOT_LITERAL, codes.ANY)]
_STARTS = 80  # as many beginnings as stand in the windows of some hundred characters that patterns look through
_LETTERS = "a0A \t\n-_.,:;=+~*/\\\"'`<>&%|@#$?!()[]{}\u0301\u00e9\u2009\U0001d400"
_UNITS = (
    *(
        "a",
        "0",
        " ",
        "\n",
        "\t",
        "\r\n",
        ":",
        ";",
        ",",
        "-",
        "_",
        "*",
        "~",
        ".",
        "/",
        "\\",
        '"',
        '\\"',
        "'",
        "=",
        "<",
        ">",
        "&",
    ),
    *(
        "&amp;",
        "&lt;",
        "a\u0301",
        "\u0301",
        "\u2009",
        "a-",
        "-.",
        "_a",
        "a*",
        "*a ",
        "@a",
        "/user:",
        " -p",
        "[a] ",
        "(1) ",
        "||",
    ),
)
_BEFORE = ("", ":", '"')
_AFTER = ("\0", "\n", " ")


def patterns() -> dict[str, re.Pattern[str]]:
    """Every pattern that a module of ours holds, by itself, in a class or in a table."""
    found: dict[str, re.Pattern[str]] = {}
    seen: set[int] = set()
    for package in PACKAGES:
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if not module.name.endswith("__main__"):
                for name, value in vars(importlib.import_module(module.name)).items():
                    _collect(f"{module.name}.{name}", value, found, seen)
    return found


def _collect(name: str, value: Any, found: dict[str, re.Pattern[str]], seen: set[int], depth: int = 0) -> None:
    if isinstance(value, re.Pattern):
        if isinstance(value.pattern, str) and id(value) not in seen:
            found[name] = value
        seen.add(id(value))
    elif depth < _DEPTH and id(value) not in seen:
        inside = _parts(name, value)
        seen.update([id(value)] if inside else [])
        for part, one in inside:
            _collect(part, one, found, seen, depth + 1)


def _parts(name: str, value: Any) -> list[tuple[str, Any]]:
    """What a table, a class of ours or an object with fields holds."""
    if isinstance(value, Mapping):
        return [(f"{name}[{key}]", one) for pair in [*value.items()] for key, one in ((pair[0], part) for part in pair)]
    if isinstance(value, (tuple, list, set, frozenset)):
        return [(f"{name}[{at}]", one) for at, one in enumerate(value)]
    if isinstance(value, type):
        own = value.__module__.partition(".")[0] in PACKAGES
        return [(f"{name}.{key}", one) for key, one in vars(value).items() if own and not key.startswith("__")]
    if is_dataclass(value):
        return [(f"{name}.{one.name}", getattr(value, one.name, None)) for one in fields(value)]
    return []


def ways() -> dict[tuple[str, str], set[str]]:
    """How each module uses each name: "fullmatch", "search", …; for a pattern that is handed on, everywhere in a text."""
    found: dict[tuple[str, str], set[str]] = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            tree = ast.parse(path.read_text(encoding="utf-8"))
            called = {
                id(node.value): node.attr
                for node in ast.walk(tree)
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                    found.setdefault((module, node.id), set()).add(called.get(id(node), "search"))
                elif isinstance(node, ast.alias):
                    found.setdefault((module, node.name), set()).add("search")
    return found


def _search(name: str, pattern: re.Pattern[str], used: Mapping[tuple[str, str], set[str]]) -> Callable[[str], object]:
    """How a pattern is used, at its most costly: a whole match, a match at the beginning, or everywhere."""
    module, _, own_name = name.rpartition(".")
    own = used.get((module, own_name), {"search"})
    if own <= {"fullmatch", "pattern", "groups"}:
        return pattern.fullmatch
    if own <= {"match", "fullmatch", "pattern", "groups"}:
        return pattern.match
    return lambda text: sum(1 for _ in pattern.finditer(text))


def texts(pattern: re.Pattern[str]) -> Iterator[Callable[[int], str]]:
    """Texts of any length that are made to be slow to search."""
    tree = parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    for before, unit in sorted(set(_pumps(list(tree), ""))):
        for after in _AFTER:
            yield lambda length, a=before, b=unit, c=after: a + b * ((length - len(a)) // len(b)) + c
        yield lambda length, a=before, b=unit: a * _STARTS + b * (length // len(b)) + "\0"
        yield lambda length, a=before, b=unit: (a + b) * (length // len(a + b))
        yield lambda length, a=before, b=unit: (a + b * 400 + "\n") * (length // (len(a) + 400 * len(b) + 1) + 1)
    for before, unit in product(_BEFORE, _UNITS):
        yield lambda length, a=before, b=unit: a + b * (length // len(b)) + "\0"
    for seed in range(3):
        whole = _sample(list(tree), random.Random(seed))
        if whole:
            yield lambda length, a=whole: a * (length // len(a))
            yield lambda length, a=whole[:-1] or whole: a * (length // len(a))


def _pumps(items: list[Any], before: str) -> Iterator[tuple[str, str]]:
    """Of each repetition: what stands before it, and one turn of it in some ways."""
    chance = random.Random(1)
    for at, (code, value) in enumerate(items):
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            _, most, body = value
            if most == codes.MAXREPEAT or most >= _MANY:
                for unit in _turns(list(body)):
                    yield before, unit
            yield from _pumps(list(body), before)
        for inner in _inside(code, value):
            yield from _pumps(inner, before)
        before += _sample([items[at]], chance)


def has_possessive_group(pattern: re.Pattern[str]) -> bool:
    """Whether it takes more than single characters in a way that is never given back, in whatever depth."""
    return _is_possessive(list(parser.parse(pattern.pattern, pattern.flags)))


def _is_possessive(items: list[Any]) -> bool:
    for code, value in items:
        inside = [list(value[2])] if code in _REPEATS else _inside(code, value)
        groups = code is codes.POSSESSIVE_REPEAT and [one for one, _ in value[2]] not in _SINGLE
        if code is codes.ATOMIC_GROUP or groups or any(map(_is_possessive, inside)):
            return True
    return False


def _inside(code: Any, value: Any) -> list[list[Any]]:
    if code is codes.SUBPATTERN:
        return [list(value[-1])]
    if code is codes.ATOMIC_GROUP:
        return [list(value)]
    if code is codes.BRANCH:
        return [list(one) for one in value[1]]
    if code in (codes.ASSERT, codes.ASSERT_NOT):
        return [list(value[1])]
    return []


def _turns(body: list[Any]) -> set[str]:
    if len(body) == 1 and body[0][0] in (codes.IN, codes.LITERAL, codes.NOT_LITERAL, codes.ANY):
        return {one for one in _LETTERS if _is_letter_of(body[0], one)} or {_sample(body, random.Random(0))}
    return {turn for seed in range(6) if (turn := _sample(body, random.Random(seed)))}


def _sample(items: list[Any], chance: random.Random) -> str:
    """Something that these would match, but for what they look ahead or behind for."""
    made = ""
    for code, value in items:
        if code in (codes.LITERAL, codes.NOT_LITERAL, codes.IN, codes.ANY):
            made += _letter_of((code, value), chance)
        elif code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            made += "".join(
                _sample(list(value[2]), chance) for _ in range(min(value[0] + chance.randint(0, 1), value[1]))
            )
        elif code is codes.BRANCH:
            made += _sample(list(chance.choice(value[1])), chance)
        elif code in (codes.SUBPATTERN, codes.ATOMIC_GROUP):
            made += _sample(_inside(code, value)[0], chance)
    return made


def _letter_of(item: tuple[Any, Any], chance: random.Random) -> str:
    if item[0] is codes.LITERAL:
        return chr(item[1])
    good = [one for one in _LETTERS if _is_letter_of(item, one)]
    if good:
        return good[0] if chance.random() < 0.5 else chance.choice(good)
    first = (
        next((one for one in item[1] if one[0] in (codes.LITERAL, codes.RANGE)), None) if item[0] is codes.IN else None
    )
    return "" if first is None else chr(first[1] if first[0] is codes.LITERAL else first[1][0])


def _is_letter_of(item: tuple[Any, Any], letter: str) -> bool:
    code, value = item
    if code is codes.ANY:
        return letter != "\n"
    if code in (codes.LITERAL, codes.NOT_LITERAL):
        return (value == ord(letter)) is (code is codes.LITERAL)
    is_not = value[0][0] is codes.NEGATE
    return any(_is_in(one, letter) for one in value) is not is_not


def _is_in(one: tuple[Any, Any], letter: str) -> bool:
    code, value = one
    if code is codes.LITERAL:
        return value == ord(letter)
    if code is codes.RANGE:
        return value[0] <= ord(letter) <= value[1]
    if code is codes.CATEGORY:
        kind = str(value).rpartition("_")[2]
        found = {"DIGIT": letter.isdigit(), "SPACE": letter.isspace(), "WORD": letter.isalnum() or letter == "_"}[kind]
        return found is not ("_NOT_" in str(value))
    return False


def main(wanted: list[str]) -> None:
    """Search them all."""
    used = ways()
    for name, pattern in patterns().items():
        if wanted and not any(one in name for one in wanted):
            continue
        search = _search(name, pattern, used)
        print(f"{name}: {pattern.pattern[:120]!r}", flush=True)
        made = list(texts(pattern))
        for length, kept in _LOOKS:
            made = _slowest(search, made, length)[:kept]
        for make in made:
            began = time.perf_counter()
            search(make(_LOOKED))
            if time.perf_counter() - began > _LOOKED * _QUICK:
                text = make(LENGTH)
                print(f"    {text[:40]!r} … {text[-20:]!r}: ", end="", flush=True)
                began = time.perf_counter()
                search(text)
                print(f"{time.perf_counter() - began:.2f} s", flush=True)


def _slowest(
    search: Callable[[str], object], made: list[Callable[[int], str]], length: int
) -> list[Callable[[int], str]]:
    taken = []
    for number, make in enumerate(made):
        text = make(length)
        began = time.perf_counter()
        search(text)
        taken.append((began - time.perf_counter(), number, make))
    return [make for *_, make in sorted(taken, key=lambda one: one[:2])]


if __name__ == "__main__":
    if seconds := int(os.environ.get("HOSTILE_SECONDS", "0")):
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    main(sys.argv[1:])
