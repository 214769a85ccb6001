"""What a Windows in one language has: code pages and identifiers (Windows NLS tables) [doc]."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    """A display language: `oem` is the console's code page, `ansi` the other one, `id` the LANGID."""

    oem: int
    ansi: int
    id: int
    country: str  # telephone code, as Win32_OperatingSystem.CountryCode has it
    date: str  # strftime pattern of its short date


LANGUAGES = {
    "en-US": Language(437, 1252, 0x0409, "1", "%m/%d/%Y"),
    "de-DE": Language(850, 1252, 0x0407, "49", "%d.%m.%Y"),
    "fr-FR": Language(850, 1252, 0x040C, "33", "%d/%m/%Y"),
}
