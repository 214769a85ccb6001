r"""Which Windows a host runs, and in which code page its programs print.

Sources: Win32_OperatingSystem [doc]; the value OEMCP below Control\Nls\CodePage [mem].
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.api.queries import Registry, Wql
from bot.api.rows import Rows, get_build, get_str
from bot.api.sources import Source

_CODE_PAGES = r"SYSTEM\CurrentControlSet\Control\Nls\CodePage"


@dataclass(frozen=True, slots=True)
class OperatingSystem:
    """A Windows as it names itself: "Microsoft Windows Server 2012 R2 Datacenter", "6.3.9600", 9600."""

    caption: str
    version: str
    build: int | None

    def __str__(self) -> str:
        """As people write it; "" where no part was told."""
        return f"{self.caption} {self.version}".strip()


def operating_system(on: str) -> Source[OperatingSystem]:
    """The question: which Windows is it? Every account that may log in and read WMI is told."""
    columns = ("Caption", "Version", "BuildNumber")
    return Source(Wql(on, "root/cimv2", "Win32_OperatingSystem", columns), _read_system)


def oem_code_page(on: str) -> Source[str]:
    """The question: in which code page do its programs print? Its number as text, "" where there is none."""
    return Source(Registry(on, _CODE_PAGES, ("OEMCP",)), _read_code_page)


def _read_system(rows: Rows) -> OperatingSystem:
    """The one row; an empty system where there is none. Raises CellError."""
    row = rows[0] if rows else {}
    return OperatingSystem(get_str(row, "Caption").strip(), get_str(row, "Version"), get_build(row))


def _read_code_page(rows: Rows) -> str:
    """The number as text. Raises CellError."""
    return get_str(rows[0], "OEMCP") if rows else ""
