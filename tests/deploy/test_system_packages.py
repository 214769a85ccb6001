"""What deploy/system-packages.sh installs is what the tests run."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = (ROOT / "deploy" / "system-packages.sh").read_text()
CONFTEST = (ROOT / "tests" / "conftest.py").read_text()


def test_every_tool_that_a_test_runs_is_installed_by_the_script(tools):
    wanted = set(re.findall(r"(?m)^ +need (\S+)", SCRIPT.partition("= test ]")[2]))
    assert wanted == set(tools.values()), "what is needed for tests alone stands indented in the script"


def test_every_tool_is_here(tools, need_tool):
    assert all(need_tool(name) for names in tools for name in names)


SKIPS = """
import pytest

def test_fine():
    pytest.skip("not a git work tree: an unpacked archive")

def test_gap():
    pytest.skip("no tape drive")

def test_runs():
    pass
"""


@pytest.fixture
def run(tmp_path):
    """The summary of a small suite under our conftest, run with these options."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_all.py").write_text(SKIPS)

    def said(*options):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, *options]
        done = subprocess.run([*command, "."], cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    return said


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["here", "in workers"])
def test_a_skip_fails_where_nothing_may_be_left_out_unless_nobody_could_help_it(run, workers):
    code, said = run("--no-skips", *workers)
    assert code == 1
    assert "1 failed, 1 passed, 1 skipped" in said
    assert "test_gap" in said
    assert "leaves nothing out: no tape drive" in said
    assert "Skipped 1: not a git work tree: an unpacked archive" in said


@pytest.mark.long
def test_a_module_that_is_skipped_fails_as_well(run, tmp_path):
    (tmp_path / "test_module.py").write_text("import pytest\npytest.importorskip('tape_drive')\n")
    code, said = run("--no-skips")
    assert code == 2
    assert "leaves nothing out: could not import 'tape_drive'" in said


def test_the_longest_tests_start_first_whatever_their_name():
    """The list is of files that are there; the order itself is a sort."""
    tree = ast.parse(CONFTEST)
    (names,) = (
        ast.literal_eval(each.value)
        for each in tree.body
        if isinstance(each, ast.AnnAssign) and each.target.id == "LONGEST"
    )
    assert [name for name in names if not (ROOT / "tests" / name).is_file()] == []
    assert len(set(names)) == len(names)


@pytest.mark.long
def test_what_was_skipped_is_said_at_the_end_and_that_nothing_was(run):
    code, said = run()
    assert code == 0
    assert "Skipped 1: no tape drive" in said
    code, said = run("-k", "runs", "--no-skips")
    assert code == 0
    assert "Nothing was skipped." in said
