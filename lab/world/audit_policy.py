"""The audit policy of the category Object Access, and what toggling it does to remote file browsing.

GUIDs and the order of the subcategories: MS-GPAC and published output of auditpol [doc, cap]; German names: such output
[cap], French ones: likewise. The effect on remote file browsing between Windows Server 2012 consoles and hosts is known from
one field note only: it works again once Object Access auditing was switched on as a whole and off again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.world.model import Node, Windows

OBJECT_ACCESS = "6997984A-797A-11D9-BED3-505054503030"
NONE, SUCCESS, FAILURE, BOTH = 0, 1, 2, 3
FILTERING_PLATFORM = frozenset({"9225", "9226"})
_NUMBERS = {  # first group's last digits -> names in English, German and French
    "921D": ("File System", "Dateisystem", "Système de fichiers"),
    "921E": ("Registry", "Registrierung", "Registre"),
    "921F": ("Kernel Object", "Kernelobjekt", "Objet de noyau"),
    "9220": ("SAM", "SAM", "SAM"),
    "9221": ("Certification Services", "Zertifizierungsdienste", "Services de certification"),
    "9222": ("Application Generated", "Anwendung wurde generiert.", "Généré par application"),
    "9223": ("Handle Manipulation", "Handleänderung", "Manipulation de handle"),
    "9224": ("File Share", "Dateifreigabe", "Partage de fichiers"),
    "9225": (
        "Filtering Platform Packet Drop",
        "Filterplattform: Verworfene Pakete",
        "Rejet de paquet par la plateforme de filtrage",
    ),
    "9226": ("Filtering Platform Connection", "Filterplattformverbindung", "Connexion de la plateforme de filtrage"),
    "9227": ("Other Object Access Events", "Andere Objektzugriffsereignisse", "Autres événements d’accès à l’objet"),
    "9244": ("Detailed File Share", "Detaillierte Dateifreigabe", "Partage de fichiers détaillé"),
    "9245": ("Removable Storage", "Wechselmedien", "Stockage amovible"),
    "9246": ("Central Policy Staging", "Staging zentraler Richtlinien", "Stratégie centralisée intermédiaire"),
}
_SINCE_2012 = frozenset({"9245", "9246"})
LANGUAGES = ("en-US", "de-DE", "fr-FR")


@dataclass(frozen=True, slots=True)
class Subcategory:
    """A subcategory by its GUID, upper case and bare, with its name in one language."""

    guid: str
    name: str


def guid_of(number: str) -> str:
    """The GUID of a subcategory by the four digits that tell it apart, such as 921D."""
    return f"0CCE{number}-69AE-11D9-BED3-505054503030"


def subcategories(windows: Windows) -> Iterator[Subcategory]:
    """Those of Object Access that this Windows has, in auditpol's order."""
    language = LANGUAGES.index(windows.language)
    for number, names in _NUMBERS.items():
        if number not in _SINCE_2012 or windows.release.at_least("2012"):
            yield Subcategory(guid_of(number), names[language])


def policy(windows: Windows) -> dict[str, int]:
    """What is audited, by GUID: 0 nothing, 1 success, 2 failure, 3 both."""
    return {each.guid: windows.audit.get(each.guid, NONE) for each in subcategories(windows)}


def change(windows: Windows, guid: str, *, success: bool | None, failure: bool | None) -> None:
    """Set one subcategory; None leaves that half as it is."""
    old = windows.audit.get(guid, NONE)
    halves = [bool(old & SUCCESS) if success is None else success, bool(old & FAILURE) if failure is None else failure]
    windows.audit[guid] = halves[0] * SUCCESS + halves[1] * FAILURE
    if isinstance(windows, Node):
        _effect(windows)


def _effect(node: Node) -> None:
    """What a person who edits the legacy policy does: everything on, then off again."""
    filtering = {guid_of(number) for number in FILTERING_PLATFORM}
    whole = all(value & SUCCESS for guid, value in policy(node).items() if guid not in filtering)
    if node.browsing == "fails" and whole:
        node.browsing = "toggled"
    elif node.browsing == "toggled" and not whole:
        node.browsing = "works"
