"""Digits are those of ASCII, and few: other scripts have their own, and Python reads no number of 5,000 digits."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = [*ROOT.glob("bot/**/*.py"), *ROOT.glob("commands/**/*.py")]
# Masks look for more than digits of ASCII, never for less; characters are judged by what they look like.
EXEMPT = {"bot/cli/anonymizer.py", "bot/redaction.py", "bot/control_chars.py"}
ANY_DIGIT = re.compile(r"(?<!\\)(?:\\\\)*\\d(?![a-z])")
OF_ALL_SCRIPTS = {"isdigit", "isdecimal", "isnumeric"}


def found(tree: ast.AST) -> list[str]:
    """What takes digits of any script, with its line."""
    bad = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and ANY_DIGIT.search(node.value):
            bad.append(f"{node.lineno}: \\d in {node.value[:60]!r}")
        if isinstance(node, ast.BoolOp):
            asked = {call.func.attr for call in ast.walk(node) if is_method(call)}
            if "isascii" in asked:
                for call in ast.walk(node):
                    if is_method(call) and call.func.attr in OF_ALL_SCRIPTS:
                        call.func.attr = "seen"
    return bad + [
        f"{node.lineno}: {node.func.attr}()"
        for node in ast.walk(tree)
        if is_method(node) and node.func.attr in OF_ALL_SCRIPTS
    ]


def is_method(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)


@pytest.mark.parametrize(
    ("code", "is_bad"),
    [
        ("text.isdigit()", True), ("text.isascii() and text.isdigit()", False), ("re.compile(r'\\d+')", True),
        ("re.compile('[0-9]+')", False), ("path + '\\\\drivers'", False),
    ],
)  # fmt: skip
def test_the_rule(code, is_bad):
    assert bool(found(ast.parse(code))) is is_bad


def test_no_text_of_others_is_read_with_the_digits_of_all_scripts():
    told = {}
    for file in FILES:
        name = file.relative_to(ROOT).as_posix()
        if name not in EXEMPT and (bad := found(ast.parse(file.read_text(encoding="utf-8")))):
            told[name] = bad
    assert not told
