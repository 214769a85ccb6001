"""Each gate has a sentence for each of its outcomes, so that what did not pass never shows the words of what did."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.api.plan import Gate, GateOutcome, GateText

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "commands").rglob("*.py"), *(ROOT / "bot" / "tickets").rglob("*.py")])
TEXT = GateText("No guest is locked", "Guests are locked", "It is not known whether guests are locked")
ALL_OUTCOMES = {"bot/tickets/undo.py"}  # repeats the sentences of an approved gate


def _bare_gates(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Gate":
            yield node


def _outcome(call: ast.Call) -> str:
    named = {one.arg: one.value for one in call.keywords}
    return ast.unparse(named["outcome"] if "outcome" in named else call.args[1])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_may_not_pass_has_a_sentence_for_each_outcome(path):
    """`Gate(…)` itself is for what has passed already; all others are made with `Gate.of` and a `GateText`."""
    if path.relative_to(ROOT).as_posix() not in ALL_OUTCOMES:
        assert [_outcome(call) for call in _bare_gates(path) if _outcome(call) != "GateOutcome.PASSED"] == []


def _texts() -> Iterator[tuple[str, list[str]]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "GateText":
                if any(isinstance(one, ast.Starred) for one in node.args):
                    continue
                place = f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"
                yield place, [re.sub(r"\{[^{}]*\}", "x", ast.unparse(one)) for one in node.args]


def test_the_three_sentences_differ():
    """One of a gate that is never blocked may say the same as for not known; none says what passed."""
    found = list(_texts())
    assert len(found) > 60
    for place, (passed, blocked, not_known) in found:
        assert passed not in (blocked, not_known), place


@pytest.mark.parametrize(
    ("outcome", "measured", "finding"),
    [
        (GateOutcome.PASSED, "", "No guest is locked"),
        (GateOutcome.PASSED, "11 guests", "No guest is locked (11 guests)"),
        (GateOutcome.BLOCKED, "9 of 11", "Guests are locked (9 of 11)"),
        (GateOutcome.NOT_KNOWN, "not known: hv03 did not answer.", "It is not known whether guests are locked (hv03 did not answer)"),
        (GateOutcome.NOT_KNOWN, "not known", "It is not known whether guests are locked"),
    ],
)  # fmt: skip
def test_people_read_the_sentence_that_is_true(outcome, measured, finding):
    assert Gate.of(TEXT, outcome, measured).finding == finding


def test_the_digest_and_a_comparison_know_the_first_sentence_alone():
    plain = Gate(TEXT.passed, GateOutcome.BLOCKED, "9 of 11")
    assert plain == Gate.of(TEXT, GateOutcome.BLOCKED, "9 of 11")
    assert plain.finding == "This check failed: No guest is locked (9 of 11)"
