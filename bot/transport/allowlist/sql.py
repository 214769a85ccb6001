"""What may be asked of SCVMM's database, and which of its columns may be changed: closed rows, like the programs.

Values travel as typed parameters; nothing that comes from chat, from a host or from the database is ever part of a text.
Names of tables and columns are those of Microsoft's own clean-up scripts (KB3102955, KB2756886, the Site Recovery
script: VMInstanceId = ObjectId) [doc]; FailedJobID and VMId are in one real database [cap]; TaskState is in two public
notes [src], TaskID in KB2795040 for the same jobs [doc], that it joins FailedJobID is concluded [inf].
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from bot.api.actions import RowTransaction, Update
from bot.api.queries import Fields, Value
from bot.errors import PolicyViolation
from bot.redaction import clip

VMM = "vmm"  # the database of a VMM server, whatever it is called there
Kind = Literal["guid", "text", "number"]
Sent = uuid.UUID | str | int | None  # what goes to the driver
_GUID = re.compile(r"\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?", re.IGNORECASE)
_NUMBER_END = 2**31  # int
_LONGEST_TEXT = 256  # nvarchar(256), as long as VMM's names get


@dataclass(frozen=True, slots=True)
class Query:
    """One select.

    Attributes:
        what: its name in a question: "vmm hosts".
        text: the statement; every `?` stands for a parameter, in order.
        parameters: name -> kind, in the order of the text.
    """

    what: str
    text: str
    parameters: Mapping[str, Kind] = field(default_factory=dict)
    marked: Literal["reads", "changes"] = "reads"
    profile: Literal["vmm"] = "vmm"

    def bind(self, params: Fields) -> tuple[Sent, ...]:
        """The values, typed, in order. Raises ValueError for one that is unknown, missing or of another kind."""
        given = dict(params)
        if strangers := given.keys() - self.parameters.keys():
            raise ValueError(f"{self.what} takes no {', '.join(sorted(strangers))}")
        if missing := self.parameters.keys() - given.keys():
            raise ValueError(f"{self.what} needs {', '.join(sorted(missing))}")
        return tuple(typed(kind, given[name], f"{self.what}: {name}") for name, kind in self.parameters.items())


@dataclass(frozen=True, slots=True)
class UpdatableTable:
    """A table of which rows may be changed: by their key, and only in these columns."""

    table: str
    key: str
    columns: Mapping[str, Kind]

    def select(self, update: Update) -> tuple[str, tuple[Sent, ...]]:
        """The row as it is, kept for us until the transaction ends. Raises ValueError."""
        names = ", ".join(f"[{name}]" for name in self._shown(update))
        text = f"SELECT {names} FROM [dbo].[{self.table}] WITH (UPDLOCK, ROWLOCK) WHERE [{self.key}] = ?"  # noqa: S608 - names of this file
        return text, (self._identity(update),)

    def update(self, update: Update) -> tuple[str, tuple[Sent, ...]]:
        """The change: it finds the row only while the values seen are still there. Raises ValueError."""
        becomes, was = self._typed(update.becomes), self._typed(update.was)
        sets = ", ".join(f"[{name}] = ?" for name in becomes)
        still = " AND ".join(f"[{name}] IS NULL" if value is None else f"[{name}] = ?" for name, value in was.items())
        text = f"UPDATE [dbo].[{self.table}] SET {sets} WHERE [{self.key}] = ? AND {still}"  # noqa: S608 - names of this file
        return text, (*becomes.values(), self._identity(update), *(one for one in was.values() if one is not None))

    def expected(self, update: Update) -> dict[str, Sent]:
        """What must still be there. Raises ValueError."""
        return self._typed(update.was)

    def _shown(self, update: Update) -> tuple[str, ...]:
        return (self.key, *sorted({name for name, _ in (*update.was, *update.becomes)}))

    def _identity(self, update: Update) -> Sent:
        """The key: exactly one, and never NULL, which would name many rows."""
        (name, value), *others = update.key or (("", None),)
        if name != self.key or others or value is None:
            raise ValueError(f"rows of {self.table} are changed by their {self.key} alone")
        return typed("guid", value, self.key)

    def _typed(self, pairs: Fields) -> dict[str, Sent]:
        if not pairs:
            raise ValueError(f"a change of {self.table} says what was there and what it becomes")
        if strangers := dict(pairs).keys() - self.columns.keys():
            raise ValueError(f"{', '.join(sorted(strangers))} of {self.table} may not be changed")
        return {name: None if value is None else typed(self.columns[name], value, name) for name, value in pairs}


def typed(kind: Kind, value: Value, name: str) -> Sent:
    """A value as the driver gets it. Raises ValueError that says what it takes."""
    if kind == "guid" and isinstance(value, str) and (found := _GUID.fullmatch(value)):
        return uuid.UUID(found[1])
    if kind == "text" and isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT and "\x00" not in value:
        return value
    if kind == "number" and isinstance(value, int) and not isinstance(value, bool) and abs(value) < _NUMBER_END:
        return value
    wants = {"guid": "a GUID", "text": f"a text of up to {_LONGEST_TEXT} characters", "number": "a whole number"}
    raise ValueError(f"{name} takes {wants[kind]}")


_MACHINES = (
    "SELECT o.[ObjectId], o.[Name], o.[ObjectState], o.[HostId], i.[VMId] FROM [dbo].[tbl_WLC_VObject] o "
    "JOIN [dbo].[tbl_WLC_VMInstance] i ON i.[VMInstanceId] = o.[ObjectId] "
)
_ROWS = (
    Query(
        what="vmm columns",
        text=(
            "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE FROM INFORMATION_SCHEMA.COLUMNS "
            "WHERE TABLE_SCHEMA = N'dbo' AND TABLE_NAME IN "
            "(N'tbl_ADHC_Host', N'tbl_WLC_VObject', N'tbl_WLC_VMInstance', N'tbl_TR_TaskTrail')"
        ),
    ),
    Query(what="vmm hosts", text="SELECT [HostID], [ComputerName] FROM [dbo].[tbl_ADHC_Host]"),
    Query(what="vmm virtual machines", text=f"{_MACHINES}WHERE o.[HostId] IS NOT NULL"),  # the others lie in a library
    Query(what="vmm virtual machine", text=f"{_MACHINES}WHERE o.[ObjectId] = ?", parameters={"object": "guid"}),
    Query(
        what="vmm failed jobs",
        text=(
            "SELECT o.[ObjectId], o.[FailedJobID], t.[TaskState] FROM [dbo].[tbl_WLC_VObject] o "
            "LEFT JOIN [dbo].[tbl_TR_TaskTrail] t ON t.[TaskID] = o.[FailedJobID] WHERE o.[FailedJobID] IS NOT NULL"
        ),
    ),
    Query(
        what="vmm running jobs",
        text="SELECT TOP 100 [TaskID], [TaskState] FROM [dbo].[tbl_TR_TaskTrail] WHERE [TaskState] = N'Running'",
    ),
    Query(  # type D is a full backup of a database; times are the server's local ones [doc] backupset
        what="vmm last full backup",
        text=(
            "SELECT TOP 1 [backup_finish_date], GETDATE() AS [server_now] FROM [msdb].[dbo].[backupset] "
            "WHERE [database_name] = DB_NAME() AND [type] = 'D' ORDER BY [backup_finish_date] DESC"
        ),
    ),
)

QUERIES: Mapping[str, Query] = MappingProxyType({row.what: row for row in _ROWS})

CHANGEABLE: Mapping[str, UpdatableTable] = MappingProxyType(
    {
        row.table: row
        for row in (
            UpdatableTable(
                "tbl_WLC_VObject", "ObjectId", MappingProxyType({"HostId": "guid", "ObjectState": "number"})
            ),
        )
    }
)


def changes_of(action: RowTransaction) -> list[tuple[UpdatableTable, Update]]:
    """Every change with the table it is allowed in. Raises PolicyViolation for any other."""
    if action.database != VMM or not action.rows:
        raise PolicyViolation(action.on, "a change names rows of the VMM database, and no other.")
    changes = []
    for row in action.rows:
        table = CHANGEABLE.get(row.table)
        if table is None:
            raise PolicyViolation(action.on, f"rows of {clip(repr(row.table), 60)} may not be changed.")
        try:
            table.update(row)
            table.select(row)
        except ValueError as error:
            raise PolicyViolation(action.on, f"{error}.") from None
        changes.append((table, row))
    return changes
