"""A guess may be shown, and nothing may depend on it: mypy refuses one wherever something is decided."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

GOOD = """
from datetime import UTC, datetime

from bot.api.facts import Guess, Known, Unknown, value_of
from bot.api.plan import Check, CompareToBefore, Expect, FlagPredicate, Gate, GateOutcome, exists
from bot.api.queries import Predicate, Wql
from commands.vmm.gates import no_vmm_job

ASKED = Wql("hv03", "root/MSCluster", "MSCluster_Node")
NOW = datetime.now(UTC)
known = Known(3, NOW, NOW)
holds = Known(True, NOW, NOW)
guess = Guess(3, "the newest sample in the ledger")
silent = Unknown("hv03", "timed out", "no answer.")

Gate("three", GateOutcome.of(holds.value))
Predicate("State", "=", known.value)
no_vmm_job("vmm", value_of(known))
no_vmm_job("vmm", silent)
"""

REFUSED = {
    "gate": ('Gate("three", guess)', "arg-type"),
    "outcome": ("GateOutcome.of(guess)", "arg-type"),
    "a gate's own fact": ('no_vmm_job("vmm", guess)', "arg-type"),
    "term": ('Predicate("State", "=", guess)', "arg-type"),
    "terms of flags": ('FlagPredicate("Status", guess)', "arg-type"),
    "check": ("Check(ASKED, (guess,))", "arg-type"),
    "check's terms": ("exists(ASKED, guess)", "arg-type"),
    "expected rows": ("Expect(at_least=guess)", "arg-type"),
    "comparison": ('CompareToBefore("drain", where=(guess,))', "arg-type"),
    "value of": ("value_of(guess)", "arg-type"),
    "an unknown as outcome": ("GateOutcome.of(silent)", "arg-type"),
    "a known without its value": ("GateOutcome.of(holds)", "arg-type"),
}


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    """Line -> code of every error that mypy finds in one file with all of them."""
    file = tmp_path_factory.mktemp("types") / "guesses.py"
    file.write_text(GOOD + "\n".join(line for line, _ in REFUSED.values()) + "\n")
    command = [sys.executable, "-m", "mypy", "--no-incremental", "--follow-imports=silent", "--no-error-summary"]
    done = subprocess.run([*command, str(file)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    found = re.findall(r"^\S+?guesses\.py:(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    return {int(line): code for line, code in found}


def test_what_is_known_is_taken(errors):
    assert not [line for line in errors if line <= GOOD.count("\n")]


@pytest.mark.parametrize("name", REFUSED)
def test_a_guess_decides_nothing(errors, name):
    line = GOOD.count("\n") + 1 + list(REFUSED).index(name)
    assert errors.get(line) == REFUSED[name][1]
