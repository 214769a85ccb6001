"""The command line itself: help, refusals, and what it does not import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from entry_samples import entry_data

import bot
from bot.dispatch.registry import Registry
from bot.ledger import Ledger
from bot.slack.manifest import manifest_yaml


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_alone_it_shows_its_help(hvops, words):
    ended = hvops(*words)
    assert ended.code == 0
    for command in ("ask", "audit", "run", "doctor", "record", "manifest", "demo"):
        assert f"\n  {command} " in ended.out
    assert all(len(line) <= 80 for line in ended.out.splitlines())


def packages_loaded(*words: object) -> set[str]:
    """The packages that one command line imports, in a process of its own."""
    code = (
        f"import sys\nfrom bot.__main__ import main\nsys.argv = {['hvops', *map(str, words)]!r}\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code, ended.code\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ast.literal_eval(ran.stderr.splitlines()[-1]))


COMMANDS = (
    "ask",
    "run",
    "worker",
    "runs",
    "stop",
    "go",
    "doctor",
    "record",
    "manifest",
    "demo",
    "audit",
    "ledger",
    "ledger move",
)
COMMANDS += tuple(f"audit {one}" for one in ("list", "show", "search", "export", "rebuild", "verify"))


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_narrow_terminal_and_names_no_python_type(hvops, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    told = hvops(*command.split(), "--help").out
    lines = told.splitlines()
    assert max(map(len, lines)) <= 80
    assert not re.search(r"<(?:list|str|int|float|path|bool)|\[Path]|x[<>]=", told)
    assert not [line for line in lines if re.search(r"[a-z0-9]-$|\.\.\.$", line) and not line.startswith("Usage:")]


def test_help_imports_nothing_heavy():
    assert not packages_loaded("--help") & {
        "pydantic",
        "slack_sdk",
        "slack_bolt",
        "winrm",
        "requests",
        "rich",
        "sqlite_utils",
        "structlog",
    }


@pytest.mark.parametrize("words", [["audit", "list"], ["audit", "show", "1"], ["audit", "export"]])
def test_who_only_reads_the_ledger_does_not_wait_for_sqlite_utils(tmp_path, words):
    """Its import takes as long as the whole rest of such a command."""
    with Ledger(tmp_path / "ledger.db", tmp_path / "ledger.key", tmp_path / "anchors.txt") as ledger:
        ledger.append("os:ops1", entry_data("asked"))
    loaded = packages_loaded(*words, "--file", tmp_path / "ledger.db")
    assert "bot" in loaded
    assert "sqlite_utils" not in loaded


def test_sqlite_utils_is_imported_in_one_function_of_one_file():
    found = []
    for file in Path(bot.__file__).parent.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        inside = {id(node) for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) for node in ast.walk(one)}
        for node in ast.walk(tree):
            named = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            named += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if any(name.partition(".")[0] == "sqlite_utils" for name in named) and not is_for_types(tree, node):
                found.append((file.name, id(node) in inside))
    assert found == [("sqlite_store.py", True)]


def is_for_types(tree: ast.AST, node: ast.AST) -> bool:
    """It stands below `if TYPE_CHECKING`, where nothing is imported."""
    types = [
        one for one in ast.walk(tree) if isinstance(one, ast.If) and getattr(one.test, "id", "") == "TYPE_CHECKING"
    ]
    return any(node in ast.walk(one) for one in types)


def test_a_word_that_is_no_command_is_refused(hvops):
    ended = hvops("aks")
    assert ended.code == 2
    assert "aks" in ended.err


@pytest.mark.parametrize(
    "words", [["ask", "/x"], ["audit", "list"], ["audit", "verify"], ["run"], ["record", "/x", "-o", "f"]]
)
def test_without_settings_it_says_what_to_write(hvops, words):
    ended = hvops(*words)
    assert ended.code == 2
    assert "there is no such settings file. Copy deploy/settings.toml there" in " ".join(ended.err.split())
    assert ended.out == ""


def test_the_manifest_is_that_of_the_commands_there_are(hvops):
    ended = hvops("manifest")
    assert ended.code == 0
    assert ended.out == manifest_yaml(Registry.load())


def test_the_demo_comes_through_the_entry_point(hvops, monkeypatch):
    asked = []

    class Practice:
        def stories(self):
            return {"usual": "What usually happens.", "other": "Something else."}

        def demo(self, port, story, *, directory, bot):
            asked.append((port, story, directory, bot))
            return len(asked) - 1

    monkeypatch.setattr("bot.cli.lab_plugin.find", Practice)
    assert hvops("demo", "--port", "0").code == 0
    assert hvops("demo", "--scenario", "other", "--directory", "kept", "--no-bot").code == 1  # what the demo ended with
    assert asked == [(0, "usual", None, True), (8321, "other", Path("kept"), False)]
    unknown = hvops("demo", "--scenario", "none")
    assert unknown.code == 2
    assert "There is no scenario “none”." in unknown.err
    assert "other: Something else." in unknown.err
    assert len(asked) == 2


def test_without_a_practice_estate_it_says_how_to_install_one(hvops, monkeypatch):
    monkeypatch.setattr("bot.cli.lab_plugin.entry_points", lambda group: [])
    ended = hvops("ask", "--lab", "/check-writers prod")
    assert ended.code == 2
    assert "pip install hvops-lab" in ended.err


def test_the_bot_is_run_with_the_settings(hvops, monkeypatch, stuck):
    ran = []
    monkeypatch.setattr("bot.app.run", ran.append)
    assert hvops("run", "--settings", stuck).code == 0
    assert [settings.file for settings in ran] == [stuck]
