"""Whether an answer is right."""

from __future__ import annotations

import pytest

from lab.cases.expectations import Answer, failures

PLAN = {
    "gates": [{"description": "No guest is locked", "outcome": "blocked"}],
    "groups": [{"steps": [{"description": "Stop vmms"}]}, {"steps": [{"description": "Start vmms"}]}],
}
ANSWER = Answer("prod: all\nwell  on hv03.\n", "prod: all", 0)
PREVIEW = Answer("A plan", "A plan", 0, possible=True, plan=PLAN)


@pytest.mark.parametrize(
    ("expect", "answer", "wrong"),
    [
        ('title = "prod: all"', ANSWER, []),
        ('title = "none"', ANSWER, ["title: is not “none”, but “prod: all”"]),
        ('says = ["all well on", { re = "hv0\\\\d" }]', ANSWER, []),
        ('says = ["ill", { re = "(?i)ILL" }]', ANSWER, ["says: “ill” is missing", "says: “re (?i)ILL” is missing"]),
        ('never = ["ill"]', ANSWER, []),
        ('never = [{ re = "w.ll on" }]', ANSWER, ["never: “well on” is said"]),
        ("exit = 1", ANSWER, ["exit: is not 1, but 0"]),
        ("blocked = true", ANSWER, ["blocked: this line asks for no plan"]),
        ("blocked = true", PREVIEW, ["blocked: a plan is possible"]),
        ("blocked = false", PREVIEW, []),
        ("blocked = false", Answer("x", "No plan", 1, possible=False), ["blocked: no plan is possible: No plan"]),
        ("blocked = true", Answer("x", "No plan", 1, possible=False), []),
        ('gates = [{ says = "locked", outcome = "blocked" }]', PREVIEW, []),
        (
            'gates = [{ says = "locked", outcome = "passed" }]',
            PREVIEW,
            ["gates: “No guest is locked” is not passed, but blocked"],
        ),
        ('gates = [{ says = "quorum", outcome = "passed" }]', PREVIEW, ["gates: there is none of “quorum”"]),
        ('steps = ["Stop", "Start"]', PREVIEW, []),
        ('steps = ["Start", "Stop"]', PREVIEW, ["steps: “Stop” is missing, or not in this place"]),
        ('steps = ["Stop"]', ANSWER, ["steps: “Stop” is missing, or not in this place"]),
        ('never_steps = ["vmms"]', PREVIEW, ["never_steps: “Stop vmms” is planned"]),
    ],
)
def test_each_expectation_that_is_not_met_is_named(loaded, expect, answer, wrong):
    case = loaded(end=f"[expect]\n{expect}\n")
    assert failures(case.told, answer) == wrong


def test_what_is_quoted_stays_short(loaded):
    case = loaded(end='[expect]\nnever = [{ re = "x+" }]\n')
    (said,) = failures(case.told, Answer("x" * 999, "", 0))
    assert len(said) < 130


def test_what_was_asked_earlier_comes_in_its_order(loaded):
    case = loaded(
        """
[[earlier]]
at = 2026-11-22T22:31:00Z
line = "/second"
[[earlier]]
at = 2026-11-22T22:21:00Z
line = "/first"
""",
        "at = 2026-11-22T22:41:00Z",
    )
    assert case.earlier == [(1200.0, "/first", False), (600.0, "/second", False)]
