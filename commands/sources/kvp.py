"""What a guest says of itself through Hyper-V's data exchange (KVP): its name and its operating system.

Each item is an escaped CIM-XML INSTANCE of Msvm_KvpExchangeDataItem; attribute order and number of properties vary,
VALUE may be missing [doc, cap]. It is written inside the guest, so it is hostile input: it proves nothing, and a
document with a DTD is refused. There is no disk space in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from xml.etree import ElementTree as ET

from bot.api.texts import clip

LONGEST_ITEM = 20_000  # characters: Name and Data are at most 2 KB each [doc], the rest is markup
LONGEST_TEXT = 128  # characters of a field that people read: the longest name of a system has some sixty
_LONGEST_NAME = 255  # characters of a name of DNS [doc]: RFC 1035
_WINDOWS_NT = "2"  # OSPlatformId, VER_PLATFORM_WIN32_NT
_LINUX_WORDS = ("linux", "ubuntu", "debian", "centos", "red hat", "suse", "sles", "fedora", "rocky", "alma")


class System(StrEnum):
    """Which family of operating systems."""

    WINDOWS = "Windows"
    LINUX = "Linux"
    OTHER = "another system"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class KvpInfo:
    """What a guest told its host.

    Attributes:
        fqdn: its full name as it sees itself; "" where it told none, or what is too long for one.
        os_name: as written inside the guest, and cut where that is long.
        unread: why its host could not say what it told; "" where it could.
    """

    fqdn: str = ""
    os_name: str = ""
    system: System = System.UNKNOWN
    unread: str = ""


def read_items(items: Iterable[str]) -> dict[str, str]:
    """Name -> Data of those items that can be read; a broken item spoils only itself."""
    return dict(pair for pair in map(_item, items) if pair)


def kvp_info(items: Mapping[str, str]) -> KvpInfo:
    """The facts out of a guest's items."""
    os_name = items.get("OSName") or items.get("OSDistributionName") or ""
    fqdn = items.get("FullyQualifiedDomainName", "").strip().rstrip(".")
    return KvpInfo(fqdn if len(fqdn) <= _LONGEST_NAME else "", field_text(os_name), _system(items))


def field_text(text: str) -> str:
    """A field as people read it: a guest can write pages there, and a plan or a table shows it beside others."""
    return clip(text.strip(), LONGEST_TEXT, "…")


def _item(document: str) -> tuple[str, str] | None:
    if len(document) > LONGEST_ITEM or "<!" in document:
        return None
    try:
        instance = ET.fromstring(document)  # noqa: S314 - "<!" is refused above: no DTD, so no entity can be declared
    except (ET.ParseError, ValueError):
        return None
    values = {one.get("NAME"): one.findtext("VALUE") or "" for one in instance.iter("PROPERTY")}
    name = values.get("Name")
    return (name, values.get("Data", "")) if name else None


def _system(items: Mapping[str, str]) -> System:
    """Windows by its name, which is the product's and not localised, or by its platform number; Linux by its name."""
    names = f"{items.get('OSName', '')} {items.get('OSDistributionName', '')}".casefold()
    platform = items.get("OSPlatformId", "")
    if "windows" in names:
        return System.WINDOWS
    if any(word in names for word in _LINUX_WORDS) or items.get("OSDistributionData"):
        return System.LINUX
    if platform == _WINDOWS_NT:
        return System.WINDOWS
    return System.OTHER if names.strip() else System.UNKNOWN
