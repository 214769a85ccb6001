"""Break the code in small ways, each in a copy, and see whether the nearest tests notice: `make mutants`.

python -m tests.mutants [--mutants 60] [MODULE …]

What is broken is drawn by a fixed seed, line by line: a line that stays as it is keeps its place in the draw. What the
tests do not notice must stand in tests/mutants.md with the reason why it may.
"""

# ruff: noqa: T201 - it prints its table

from __future__ import annotations

import argparse
import ast
import compileall
import contextlib
import difflib
import hashlib
import os
import py_compile
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from tests.mutants import operators

ROOT = Path(__file__).parents[2]
ACCEPTED = ROOT / "tests" / "mutants.md"
SEED = "hvops"
MUTANTS = 60
WORKERS = min(2, os.cpu_count() or 1)
EXECUTOR = "tests/bot/executor"
NEAREST = {  # a module, and the tests that must notice, those that notice soonest first
    "bot/ledger/ticket_state.py": ("tests/bot/ledger/test_ticket_state.py",),
    "bot/tickets/decisions.py": (f"{EXECUTOR}/test_decide.py", f"{EXECUTOR}/test_matrix.py"),
    "bot/tickets/conditions.py": ("tests/bot/tickets/test_conditions.py",),
    "bot/tickets/plan_digest.py": ("tests/bot/tickets/test_plan_digest.py",),
    "bot/redaction.py": ("tests/bot/test_redaction.py",),
    "bot/executor/ticket_run.py": tuple(
        f"{EXECUTOR}/test_{name}.py"
        for name in ("run", "altered_ledger", "ripening", "undo", "permissions", "last_time")
    ),
    "bot/executor/step.py": (f"{EXECUTOR}/test_run.py",),
    "bot/executor/outcome.py": (f"{EXECUTOR}/test_run.py",),
    "commands/vss/writer_verdict.py": ("tests/commands/vss/test_writer_verdict.py",),
}
# Of cosmic-ray's operators those whose mutants mean something: `a + b` to `a ** b` only ever dies of a TypeError.
WANTED = re.compile(
    r"core/(?:ReplaceBinaryOperator_(?:Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Mul|Mod_Mul|BitOr_BitAnd|BitAnd_BitOr)"
    r"|ReplaceComparisonOperator_(?:Eq_NotEq|NotEq_Eq|Lt_LtE|Lt_GtE|LtE_Lt|LtE_Gt|Gt_GtE|Gt_LtE|GtE_Gt|GtE_Lt)"
    r"|ReplaceComparisonOperator_(?:Is_IsNot|IsNot_Is)|ReplaceUnaryOperator_(?:USub_UAdd|Delete_Not)|AddNot"
    r"|Replace(?:TrueWithFalse|FalseWithTrue|AndWithOr|OrWithAnd|BreakWithContinue|ContinueWithBreak)"
    r"|ExceptionReplacer|NumberReplacer|RemoveDecorator|ZeroIterationForLoop)"
)
OURS = (operators.DropStatement, operators.LowerRole, operators.NegateIn)
# What no run could notice, or need not: how strict a dataclass is with whoever writes code, and what only the log says.
PASSED_OVER = re.compile(r"@dataclass\(|log\.")
LINE = re.compile(r"- `(?P<where>[^`]+)`: `` (?P<old>.+?) `` → `` (?P<new>.+?) ``: (?P<why>\S.*)")
NOTHING = "(nothing)"


@dataclass(frozen=True, order=True)
class Mutant:
    """A module with one thing broken."""

    module: str
    where: str
    old: str
    new: str
    code: str = field(repr=False, compare=False)

    @property
    def line(self) -> str:
        """How it stands in tests/mutants.md, before its reason."""
        return f"- `{self.where}`: `` {self.old or NOTHING} `` → `` {self.new or NOTHING} ``"

    @property
    def lot(self) -> str:
        """Its place in the draw."""
        return hashlib.sha256(f"{SEED} {self.module} {self.line}".encode()).hexdigest()


def mutants_of(module: str) -> list[Mutant]:
    """All of them, in the order of the draw; none that means the same as the module itself, or as another."""
    code = (ROOT / module).read_text()
    tree = ast.parse(code)
    means, found = {meaning(code)}, set[Mutant]()
    kinds = [get_operator(name) for name in sorted(operator_names()) if WANTED.fullmatch(name)]
    for kind in (*kinds, *OURS):
        occurrence = 0
        while (broken := mutate_code(code, kind(), occurrence)) is not None:
            occurrence += 1
            try:
                says = meaning(broken)
            except SyntaxError:
                continue
            if says in means:
                continue
            means.add(says)
            mutant = described(module, code, broken, tree)
            same_but_the_star = mutant.new == mutant.old.replace(", *,", ", /,")  # how it may be called, for no caller
            if not PASSED_OVER.match(mutant.old) and not same_but_the_star:
                found.add(mutant)
    return sorted(found, key=lambda one: one.lot)


def meaning(code: str) -> str:
    """What Python makes of it, without annotations: nothing here reads them."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return ast.dump(tree)


def described(module: str, code: str, broken: str, tree: ast.Module) -> Mutant:
    """Where it is, and which lines it changes."""
    before, after = code.splitlines(), broken.splitlines()
    changed = [
        one for one in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes() if one[0] != "equal"
    ]
    first, last = changed[0], changed[-1]
    old = " ".join(line.strip() for line in before[first[1] : last[2]]).strip()
    new = " ".join(line.strip() for line in after[first[3] : last[4]]).strip()
    return Mutant(module, place(tree, first[1] + 1), old, new, broken)


def place(tree: ast.Module, line: int) -> str:
    """The innermost class or function that a line is in."""
    names, scope = [], ast.iter_child_nodes(tree)
    while True:
        for node in scope:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                start = min((one.lineno for one in node.decorator_list), default=node.lineno)
                if start <= line <= (node.end_lineno or line):
                    names.append(node.name)
                    scope = ast.iter_child_nodes(node)
                    break
        else:
            return ".".join(names) or "module"


class Copy:
    """The checkout once more, in which things may be broken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        leave = shutil.ignore_patterns("__pycache__", ".*")
        for path in sorted(ROOT.iterdir()):
            if path.is_dir() and path.name in ("bot", "commands", "lab", "tests", "deploy", "docs"):
                shutil.copytree(path, folder / path.name, ignore=leave)
            elif path.is_file() and not path.name.startswith("."):
                shutil.copy(path, folder)
        # Compiled once; by its hash, so that a broken file is never assumed to be the one that was compiled.
        for name in ("bot", "commands", "lab"):
            compileall.compile_dir(
                folder / name, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH
            )

    def passes(self, module: str, code: str, seconds: float) -> tuple[bool, bool]:
        """Whether the nearest tests pass, and whether time was over before."""
        path = self.folder / module
        sound = path.read_text()
        path.write_text(code)
        try:
            return self._run(NEAREST[module], seconds)
        finally:
            path.write_text(sound)

    def _run(self, tests: tuple[str, ...], seconds: float) -> tuple[bool, bool]:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-qx", "--tb=no", "-p", "no:cacheprovider", "--hypothesis-seed=0", *tests],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(seconds) == 0, False
        except subprocess.TimeoutExpired:
            return False, True
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            shutil.rmtree(self.folder / ".hypothesis", ignore_errors=True)  # no mutant learns from another


@dataclass
class Outcome:
    """What became of the mutants of one module."""

    module: str
    of: int
    killed: int = 0
    hung: int = 0
    survived: list[Mutant] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    seconds: float = 0

    @property
    def run(self) -> int:
        return self.killed + len(self.survived)


def accepted() -> dict[tuple[str, str], str]:
    """(module, line without its reason) -> the reason."""
    told, module = {}, ""
    for line in ACCEPTED.read_text().splitlines() if ACCEPTED.exists() else ():
        if line.startswith("## "):
            module = line.removeprefix("## ").strip("` ")
        elif found := LINE.match(line):
            told[module, line[: found.start("why")].rstrip(": ")] = found["why"]
        elif line.startswith("- `"):
            sys.exit(f"{ACCEPTED.name}: not a mutant with a reason: {line}")
    return told


def examine(module: str, many: int, copies: queue.Queue[Copy]) -> Outcome:
    """Break a module, mutant by mutant."""
    whole = mutants_of(module)
    drawn, code = whole[:many], (ROOT / module).read_text()
    outcome, began = Outcome(module, len(whole)), time.monotonic()
    copy = copies.get()
    passes, _ = copy.passes(module, code, 300)
    patience = 20 + 5 * (time.monotonic() - began)
    copies.put(copy)
    if not passes:
        sys.exit(f"{module}: {' '.join(NEAREST[module])} fail as it is; nothing can be told of its mutants.")

    def one(mutant: Mutant) -> tuple[Mutant, bool, bool]:
        copy = copies.get()
        try:
            return mutant, *copy.passes(module, mutant.code, patience)
        finally:
            copies.put(copy)

    reasons = accepted()
    with ThreadPoolExecutor(WORKERS) as pool:
        for number, (mutant, survives, hung) in enumerate(pool.map(one, drawn), 1):
            outcome.hung += hung
            key = (module, mutant.line)
            if survives:
                outcome.survived.append(mutant)
                print(f"  survived{'' if key in reasons else ', new'}: {mutant.line}", flush=True)
            else:
                outcome.killed += 1
                outcome.stale += [mutant.line] if key in reasons else []
            if not number % 10:
                print(f"  {number} of {len(drawn)}", file=sys.stderr, flush=True)
    outcome.seconds = time.monotonic() - began
    return outcome


def report(outcomes: Iterator[Outcome]) -> int:
    """A line for each module, and what to do. How many survived that nobody has accepted."""
    reasons, new = accepted(), 0
    for one in outcomes:
        unknown = [mutant for mutant in one.survived if (one.module, mutant.line) not in reasons]
        new += len(unknown)
        hung = f" ({one.hung} ran into the time limit)" if one.hung else ""
        print(
            f"{one.module}: {one.run} of {one.of} run in {one.seconds:.0f} s, {one.killed} killed{hung}, "
            f"{len(one.survived)} survived, {len(unknown)} of them new",
            flush=True,
        )
        for line in one.stale:
            print(f"  accepted, and killed now; take it out of {ACCEPTED.name}: {line}")
    return new


def main() -> None:
    """Everything, or the modules that are named."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mutants", type=int, default=MUTANTS, help="how many of each module (default: %(default)s)")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="by default all of them")
    told = parser.parse_args()
    if wrong := set(told.modules) - set(NEAREST):
        parser.error(f"no tests are named for {', '.join(sorted(wrong))}")
    copies: queue.Queue[Copy] = queue.Queue()
    with tempfile.TemporaryDirectory(prefix="hvops-mutants-") as folder:
        for number in range(WORKERS):
            copies.put(Copy(Path(folder) / str(number)))
        new = report(examine(module, told.mutants, copies) for module in told.modules or NEAREST)
    if new:
        sys.exit(f"{new} new survivors: write a test that fails for each, or say in {ACCEPTED.name} why it may live.")


if __name__ == "__main__":
    main()
