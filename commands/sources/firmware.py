r"""How a host's firmware started Windows, and which firmware it is.

PEFirmwareType below Control is 1 for BIOS and 2 for UEFI [doc: Boot to UEFI mode or legacy BIOS mode, of Windows PE; on an
installed Windows seen in published scripts], from Windows Server 2012 on; 2008 R2 has no such value [seen]. There only
Windows Setup's own log tells, and only what was so at installation: a guess about today. Win32_BIOS is the firmware's
version whichever kind it is [doc].
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.api.queries import Registry, RunReader, Wql, make_params
from bot.api.rows import CellError, Rows, get_build, get_datetime, get_int, get_str, readable
from bot.api.sources import Source
from bot.api.texts import clip_line

_CONTROL = r"SYSTEM\CurrentControlSet\Control"
_VALUE = "PEFirmwareType"
_LONGEST = 60  # characters of what a maker wrote


class Firmware(StrEnum):
    """How Windows was started."""

    BIOS = "BIOS"
    UEFI = "UEFI"


_NUMBERS = {1: Firmware.BIOS, 2: Firmware.UEFI}
_WORDS = {"BIOS": Firmware.BIOS, "UEFI": Firmware.UEFI, "EFI": Firmware.UEFI}


@dataclass(frozen=True, slots=True)
class FirmwareVersion:
    """The firmware of a machine: "2.7.4" of 23 June 2012, as its maker writes it; "" and None for what was not told."""

    version: str
    released: datetime | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A machine's maker and model: "Dell Inc.", "PowerEdge R810"; "" for what was not told."""

    maker: str
    name: str


@dataclass(frozen=True, slots=True)
class WindowsFolder:
    """Where Windows is, and its build; "" and None for what was not told."""

    folder: str
    build: int | None


def firmware_type(on: str) -> Source[Firmware | None]:
    """The question: how was Windows started? None where this Windows keeps no such value."""
    return Source(Registry(on, _CONTROL, (_VALUE,)), _read_type)


def firmware_version(on: str) -> Source[FirmwareVersion]:
    """The question: which firmware is it?"""
    return Source(Wql(on, "root/cimv2", "Win32_BIOS", ("SMBIOSBIOSVersion", "ReleaseDate")), _read_version)


def machine_model(on: str) -> Source[Model]:
    """The question: which machine is it? Firmware versions compare within one model only."""
    return Source(Wql(on, "root/cimv2", "Win32_ComputerSystem", ("Manufacturer", "Model")), _read_model)


def windows_folder(on: str) -> Source[WindowsFolder]:
    """The question: where is Windows, and which build is it?"""
    return Source(Wql(on, "root/cimv2", "Win32_OperatingSystem", ("WindowsDirectory", "BuildNumber")), _read_folder)


def firmware_at_setup(on: str, folder: str) -> Source[tuple[Firmware, str]]:
    """The question: what did Windows Setup find when it installed Windows? And its own word: "EFI"."""
    return Source(RunReader(on, "findstr boot environment", make_params(windows=folder)), _read_setup)


def _read_type(rows: Rows) -> Firmware | None:
    """Raises CellError for a number that is neither."""
    row = rows[0] if rows else {}
    number = get_int(row, _VALUE)
    if number is None:
        return None
    if number not in _NUMBERS:
        raise CellError(_VALUE, row.get(_VALUE))
    return _NUMBERS[number]


def _read_version(rows: Rows) -> FirmwareVersion:
    """Raises ValueError where there is no row."""
    if not rows:
        raise ValueError("Win32_BIOS tells nothing")
    version = clip_line(readable(get_str, rows[0], "SMBIOSBIOSVersion") or "", _LONGEST)
    return FirmwareVersion(version, readable(get_datetime, rows[0], "ReleaseDate"))


def _read_model(rows: Rows) -> Model:
    row = rows[0] if rows else {}
    maker, name = (clip_line(readable(get_str, row, column) or "", _LONGEST) for column in ("Manufacturer", "Model"))
    return Model(maker, name)


def _read_folder(rows: Rows) -> WindowsFolder:
    row = rows[0] if rows else {}
    return WindowsFolder(readable(get_str, row, "WindowsDirectory") or "", readable(get_build, row, "BuildNumber"))


def _read_setup(rows: Rows) -> tuple[Firmware, str]:
    """The latest word. Raises ValueError where the log has none, another one, or two that differ: one of them is of a setup before."""
    words = [get_str(row, "environment") for row in rows]
    found = {_WORDS.get(word.upper()) for word in words}
    if len(found) != 1 or None in found:
        raise ValueError(f"setup's own log names the firmware {' and '.join(dict.fromkeys(words)) or 'nowhere'}")
    return _WORDS[words[-1].upper()], words[-1]
