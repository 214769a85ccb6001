"""A command is a file; a bad file is refused by name."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.api.command import Role
from bot.dispatch.authorization import Person
from bot.dispatch.builtins import BUILTINS
from bot.dispatch.help import help_for
from bot.dispatch.registry import Command, Registry, commands_of
from bot.errors import SettingsError

COMMANDS = Path(__file__).parents[3] / "commands"
GOOD = '''"""Count sheep."""
from dataclasses import dataclass
from bot.api.arguments import Target
from bot.api.command import Diagnostic, Role

@dataclass(frozen=True)
class Args:
    target: Target

async def collect(args, ask): ...
def judge(args, facts): ...

COMMAND = Diagnostic(Role.VIEWER, Args, collect, judge)
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch):
    """A package of commands; write files into its rooms, then load it."""

    def load(files: dict[str, str]):
        root = tmp_path / "flock"
        for name, text in {"__init__.py": "", "diagnostics/__init__.py": "", **files}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        for name in [name for name in sys.modules if name.split(".")[0] == "flock"]:
            del sys.modules[name]
        return list(commands_of(__import__("flock")))

    monkeypatch.syspath_prepend(str(tmp_path))
    return load


def test_a_file_is_a_command(package):
    (command,) = package({"diagnostics/count_sheep.py": GOOD})
    assert command.name == "count-sheep"
    assert command.help == "Count sheep."
    assert command.usage == "/count-sheep <cluster|host>"
    assert command.role is Role.VIEWER
    assert not command.changes


@pytest.mark.parametrize(
    ("args", "examined"),
    [
        ("target: Target", "target"),
        ("target: Target; most: int = 3", "target"),
        ("target: Target; words: tuple[str, ...] = ()", "target"),
        ("target: Target; most: int", None),
        ("target: Target; words: tuple[str, ...]", None),
        ("words: tuple[str, ...]", None),
        ("name: str", None),
        ("most: int = 3", None),
    ],
)
def test_what_examines_hosts_takes_one_target(package, args, examined):
    (command,) = package({"diagnostics/count_sheep.py": GOOD.replace("target: Target", args)})
    assert not command.examines
    assert (command.examined and command.examined.name) == examined
    text = GOOD.replace("target: Target", args).replace("judge)", "judge, examines=True)")
    if examined is None:
        with pytest.raises(SettingsError, match="takes one target, and nothing else that doctor would have to know"):
            package({"diagnostics/count_sheep.py": text})
        return
    assert [command.examines for command in package({"diagnostics/count_sheep.py": text})] == [True]


@pytest.mark.parametrize(
    ("spoilt", "says"),
    [
        (GOOD.replace("COMMAND =", "OTHER ="), r"flock\.diagnostics\.count_sheep must end with COMMAND = Diagnostic"),
        (GOOD.replace("Count sheep.", "Count sheep"), "one sentence with a full stop"),
        (GOOD.replace("@dataclass(frozen=True)", ""), "Args must be a frozen dataclass"),
        (GOOD.replace("@dataclass(frozen=True)", "@dataclass"), "Args must be a frozen dataclass"),
        (GOOD.replace("Role.VIEWER", "'viewer'"), "'viewer' is no role; write Role.VIEWER"),
        (
            GOOD.replace("target: Target", "target: Target; deep: bool = False"),
            r"Args\.deep is .*bool.*nobody can type",
        ),
        (GOOD.replace("target: Target", "target: Target; size: int | None = None"), r"Args\.size is int \| None"),
        (GOOD.replace("def judge", "def judge("), r"cannot be imported: SyntaxError: .*count_sheep\.py, line 11"),
        (GOOD.replace("Target\n", "Tarjet\n"), r"cannot be imported: ImportError: .*Tarjet.*python -c 'import flock"),
    ],
)
def test_a_bad_file_is_refused_by_name(package, spoilt, says):
    with pytest.raises(SettingsError, match=says):
        package({"diagnostics/count_sheep.py": spoilt})


def test_a_diagnostic_in_the_room_of_remediations_is_refused(package):
    with pytest.raises(SettingsError, match="must end with COMMAND = Remediation"):
        package({"remediations/__init__.py": "", "remediations/count_sheep.py": GOOD})


def test_the_product_offers_every_file_of_its_folders():
    registry = Registry.load()
    files = [
        sorted(path.stem.replace("_", "-") for path in (COMMANDS / folder).glob("[!_]*.py"))
        for folder in ("diagnostics", "remediations")
    ]
    assert [command.name for command in registry] == [*files[0], *files[1]]
    assert registry.get("/Check-Writers") is registry.commands["check-writers"]
    assert registry.get("format-disk") is None


@pytest.mark.parametrize("name", [*BUILTINS, "hvops"])
def test_a_command_never_has_the_name_of_a_builtin(package, monkeypatch, name):
    (command,) = package({f"diagnostics/{name}.py": GOOD})
    entry = SimpleNamespace(load=lambda: "flock")
    monkeypatch.setattr("bot.dispatch.registry.entry_points", lambda group: [entry])
    monkeypatch.setattr("bot.dispatch.registry.commands_of", lambda _: [command])
    with pytest.raises(SettingsError, match=f"^/{name} is a word of hvops itself"):
        Registry.load()


@pytest.mark.parametrize("role", [None, *Role])
def test_help_lists_the_builtins_of_the_registry(role):
    person = Person("U1", "somebody", {role: frozenset({"*"})} if role else {})
    told = help_for(person, Registry(dict[str, Command]()))
    usages = [[line.usage.split(" [")[0] for line in lines] for lines in told.builtins]
    audit = [["/audit"]] if role else []
    assert usages == [*audit, ["/hvops status"], ["/hvops runs", "/hvops stop <why>", "/hvops go"]]
