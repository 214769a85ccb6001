"""What `/hvops` itself answers: values with a role, a usage line and a help line, listed by the registry like commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bot.api.command import Role

FRONT_DOOR = "hvops"  # `/hvops check-writers prod` reaches every command by name


@dataclass(frozen=True, slots=True)
class Builtin:
    """One word behind `/hvops`.

    Attributes:
        name: "stop".
        help: what it does, one sentence. Builtins of one `section` share a line of the help.
        role: the least role that may use it, for the help. The switches ask the settings, which may demand more.
        hint: its arguments as people type them.
        section: which line of the help it stands in; "" where the help does not list it.
        is_slash_command: whether it is a slash command of its own too (`/audit`); it is then listed as commands are,
            for those who may use it.
    """

    name: str
    help: str
    role: Role = Role.NOBODY
    hint: str = ""
    section: str = ""
    is_slash_command: bool = False

    @property
    def line(self) -> str:
        """How it is typed, without its arguments: "/hvops stop"."""
        return f"/{self.name}" if self.is_slash_command else f"/{FRONT_DOOR} {self.name}"

    @property
    def usage(self) -> str:
        """The whole line: "/hvops stop <why>"."""
        return f"{self.line} {self.hint}".rstrip()


AUDIT = Builtin(
    "audit",
    "Show from the ledger what was asked, refused, decided and done.",
    Role.VIEWER,
    "[cluster|host|T-412] [--who person] [--what command] [--outcome word] [--when 24h] [--since date] [--until date]",
    section="audit",
    is_slash_command=True,
)
STATUS = Builtin("status", "Connections, the ledger, who you are and what you may do.", section="status")
RUNS = Builtin("runs", "What is open.", Role.VIEWER, section="changes")
STOP = Builtin("stop", "Stop changes: nothing new starts.", Role.OPERATOR, "<why>", section="changes")
GO = Builtin("go", "Let changes start again.", Role.APPROVER, section="changes")
HELP = Builtin("help", "What you can ask.")

BUILTINS: Mapping[str, Builtin] = MappingProxyType({one.name: one for one in (AUDIT, STATUS, RUNS, STOP, GO, HELP)})
