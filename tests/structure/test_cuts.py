"""Half a secret is found by no mask: a text that others wrote is cut, and its blanks are joined, by `bot.redaction` alone.

Found are slices with an end, precisions of texts (`{name:.60}`), blanks that are joined, `textwrap`. Those that stay are
listed beside this file, in cuts.toml, each for one of its reasons.
"""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KEPT = tomllib.loads((Path(__file__).parent / "cuts.toml").read_text())
OWN = {"bot/redaction.py", "bot/api/texts.py"}
PRECISION = re.compile(r"\.(\d+|\{\w+\})s?")


def cuts(source: str) -> list[str]:
    """What a source cuts or joins by itself, as it is written there."""
    return [ast.unparse(node) for node in ast.walk(ast.parse(source)) if _cuts(node)]


def _cuts(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        end = node.slice.upper
        is_one = isinstance(end, ast.Constant) and end.value in (0, 1, 2)  # a letter, or the first of some
        return end is not None and not is_one and not isinstance(end, ast.UnaryOp)
    if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
        return PRECISION.fullmatch(ast.unparse(node.format_spec)[2:-1]) is not None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join":
        return any(
            isinstance(one, ast.Call)
            and isinstance(one.func, ast.Attribute)
            and one.func.attr == "split"
            and not one.args
            for one in node.args
        )
    return isinstance(node, ast.Import) and any(one.name == "textwrap" for one in node.names)


def told() -> dict[str, list[str]]:
    paths = (path for room in ("bot", "commands") for path in sorted((ROOT / room).rglob("*.py")))
    named = {path.relative_to(ROOT).as_posix(): cuts(path.read_text(encoding="utf-8")) for path in paths}
    return {name: found for name, found in named.items() if found and name not in OWN}


def test_what_others_wrote_is_masked_before_it_is_cut_or_joined():
    kept = {(path, cut) for reason in KEPT.values() for path, listed in reason.items() for cut in listed}
    found = {(path, cut) for path, listed in told().items() for cut in listed}
    new, gone = sorted(found - kept), sorted(kept - found)
    assert not new, "cut by clip, clip_line or clip_middle of bot.redaction, or of bot.api.texts in a command"
    assert not gone, "no longer there: take it out of cuts.toml"


@pytest.mark.parametrize(
    "source",
    [
        "says[:300]",
        "str(error)[:_LONGEST]",
        "says[: 150 - len(rest)]",
        'f"{name:.60}"',
        'f"{name!r:.60}"',
        'f"{error!s:.{_LONGEST}}"',
        '" ".join(says.split())',
        "import textwrap",
    ],
)
def test_every_way_to_cut_is_found(source):
    assert len(cuts(source)) == 1


@pytest.mark.parametrize(
    "source", ["says[1:]", "says[:-1]", "says[:1].upper()", 'f"{share:.1f}"', '",".join(x.split(";"))']
)
def test_what_cuts_nothing_is_left_alone(source):
    assert cuts(source) == []
