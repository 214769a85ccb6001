"""Which commands there are: one file each, found by walking the package that the entry point names; and the builtins.

    commands/diagnostics/check_writers.py   -> /check-writers, first docstring line = help, COMMAND = Diagnostic(...)
    commands/remediations/drain_node.py     -> /drain-node, COMMAND = Remediation(...)

A bad file is refused at start-up, by name. The bot itself imports no command.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from bot.api.command import Diagnostic, Remediation, Role
from bot.dispatch.argument_parser import Parameter, parameters
from bot.dispatch.builtins import BUILTINS, FRONT_DOOR, Builtin
from bot.errors import SettingsError

ENTRY_POINTS = "hvops.commands"
KINDS: dict[str, type[Diagnostic[Any, Any] | Remediation[Any, Any]]] = {
    "diagnostics": Diagnostic,
    "remediations": Remediation,
}
MOST_COMMANDS = 48  # Slack takes 50 slash commands in a manifest; /hvops and /audit are two of them
_PLAIN_TYPES = (str, int)  # of an argument; every other type brings its own `parse`


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what people type, and the value its file ends with."""

    name: str  # "check-writers"
    help: str
    spec: Diagnostic[Any, Any] | Remediation[Any, Any]
    parameters: tuple[Parameter, ...]

    @property
    def changes(self) -> bool:
        """Whether it is a remediation."""
        return isinstance(self.spec, Remediation)

    @property
    def examines(self) -> bool:
        """Whether doctor runs it."""
        return isinstance(self.spec, Diagnostic) and self.spec.examines

    @property
    def examined(self) -> Parameter | None:
        """Its target, where that is all it has to be told; else None."""
        needed = [one for one in self.parameters if one.kind == "word" or one.needs_one]
        return needed[0] if len(needed) == 1 and needed[0].kind == "word" and needed[0].targets else None

    @property
    def role(self) -> Role:
        """The least role that may use it."""
        return self.spec.role

    @property
    def hint(self) -> str:
        """Its arguments as people type them: "<cluster|host> [--free 1GB]"."""
        return " ".join(parameter.shown for parameter in self.parameters)

    @property
    def usage(self) -> str:
        """The whole line: "/check-writers <cluster|host>"."""
        return f"/{self.name} {self.hint}".rstrip()


class Registry:
    """The commands, by name, in alphabetical order: diagnostics first. And what `/hvops` answers itself.

    Attributes:
        builtins: by name, in the order of the help. A command never has the name of one.
    """

    def __init__(self, commands: dict[str, Command]) -> None:
        ordered = sorted(commands.values(), key=lambda command: (command.changes, command.name))
        self.commands = {command.name: command for command in ordered}
        self.builtins: Mapping[str, Builtin] = BUILTINS

    def __iter__(self) -> Iterator[Command]:
        """Every command, in the order of the help."""
        return iter(self.commands.values())

    def get(self, name: str) -> Command | None:
        """The command of that name, with or without its slash, in any case."""
        return self.commands.get(name.strip().removeprefix("/").casefold())

    @classmethod
    def load(cls) -> Registry:
        """Find the commands of every installed package that offers some.

        Raises:
            SettingsError: a file is no command, two have one name, or one has the name of a builtin.
        """
        found: dict[str, Command] = {}
        for entry in entry_points(group=ENTRY_POINTS):
            for command in commands_of(_package(entry)):
                if command.name in BUILTINS or command.name == FRONT_DOOR:
                    raise SettingsError(f"/{command.name} is a word of hvops itself. Rename the file of that command.")
                if command.name in found:
                    raise SettingsError(f"Two files define /{command.name}. Rename one of them.")
                found[command.name] = command
        if len(found) > MOST_COMMANDS:
            raise SettingsError(f"{len(found)} commands; a Slack app takes {MOST_COMMANDS} beside /hvops and /audit.")
        return cls(found)


def _package(entry: EntryPoint) -> ModuleType:
    try:
        return entry.load()  # type: ignore[no-any-return]
    except Exception as error:  # whatever an installed package does wrong
        says = f"{entry.value}, which offers commands, cannot be imported: {type(error).__name__}: {error}"
        raise SettingsError(f"{says}. Install it again, or remove it.") from error


def commands_of(package: ModuleType) -> Iterator[Command]:
    """Walk one package of commands: its folders `diagnostics` and `remediations`."""
    for folder, kind in KINDS.items():
        try:
            room = importlib.import_module(f"{package.__name__}.{folder}")
        except ModuleNotFoundError as missing:
            if missing.name != f"{package.__name__}.{folder}":
                raise
            continue
        for module in pkgutil.iter_modules(room.__path__):
            if not module.name.startswith("_"):
                yield _command(_imported(f"{room.__name__}.{module.name}"), kind)


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever a command's file does wrong
        where = f"`python -c 'import {name}'` shows where."
        raise SettingsError(f"{name} cannot be imported: {type(error).__name__}: {error}. {where}") from error


def _command(module: ModuleType, kind: type[Diagnostic[Any, Any] | Remediation[Any, Any]]) -> Command:
    spec = getattr(module, "COMMAND", None)
    if not isinstance(spec, kind):
        raise SettingsError(f"{module.__name__} must end with COMMAND = {kind.__name__}(...).")
    sentence = (module.__doc__ or "").strip().partition("\n")[0].strip()
    if not sentence.endswith("."):
        raise SettingsError(f"{module.__name__}: the first docstring line is the help, one sentence with a full stop.")
    if not isinstance(spec.role, Role):
        raise SettingsError(f"{module.__name__}: {spec.role!r} is no role; write Role.VIEWER, or a higher one.")
    name = module.__name__.rpartition(".")[2].replace("_", "-")
    command = Command(name, sentence, spec, _parameters(module.__name__, spec.args))
    if command.examines and command.examined is None:
        says = "what examines hosts takes one target, and nothing else that doctor would have to know"
        raise SettingsError(f"{module.__name__}: {says}; its usage is {command.usage!r}.")
    return command


def _parameters(where: str, args: type[Any]) -> tuple[Parameter, ...]:
    """The fields of `Args`, each of a type that somebody can type."""
    if not dataclasses.is_dataclass(args) or not args.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise SettingsError(f"{where}: Args must be a frozen dataclass.")
    found = parameters(args)
    for one in found:
        if not (one.targets or _is_word(one.type) or hasattr(one.type, "parse")):
            wanted = "take str, int, or a type of bot.api.arguments"
            raise SettingsError(f"{where}: Args.{one.name} is {one.type!r}, which nobody can type; {wanted}.")
    return found


def _is_word(kind: type) -> bool:
    """Whether a word makes one: str, int, or a class of the command's own made of them; a flag is no word."""
    return isinstance(kind, type) and issubclass(kind, _PLAIN_TYPES) and kind is not bool
