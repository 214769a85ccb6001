"""Is this the one we meant? Virtual-machine ids, BIOS GUIDs and typed names compared."""

from __future__ import annotations

import re
from uuid import UUID

from bot.api.queries import Predicate

_GUID = re.compile(r"\s*\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?\s*", re.IGNORECASE)
# Straight and typographic quotes of Windows' languages, and the ASCII ones that people type.
_NO_QUOTES = dict.fromkeys(map(ord, "\"'`\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u2039\u203a\u00ab\u00bb"), None)
_NOBODY = {UUID(int=0), UUID(int=2**128 - 1)}  # firmware that was never given an id


def guid(text: str) -> str:
    """The GUID in its plain form (upper case, no braces); "" where the text is none.

    Event logs and cluster properties carry virtual-machine ids with and without braces, in either case [doc].
    """
    found = _GUID.fullmatch(text)
    return found[1].upper() if found else ""


def is_machine(column: str, vm_id: str) -> Predicate:
    """That a column has the id of this virtual machine: with braces or without, in either case. Told nothing, it is not it."""
    return Predicate(column, "in", (vm_id, f"{{{vm_id}}}"))


def is_another_machine(column: str, vm_id: str) -> tuple[Predicate, ...]:
    """That a column has another id than this virtual machine's. Told nothing, it may still be it."""
    return tuple(Predicate(column, "!=", one) for one in ("", vm_id, f"{{{vm_id}}}"))


def identifies(bios: str) -> bool:
    """Whether a BIOS GUID identifies a machine at all: all zeros or all ones is firmware that was never given one."""
    return bool(guid(bios)) and UUID(guid(bios)) not in _NOBODY


def same_bios(one: str, other: str) -> bool:
    """Whether two BIOS GUIDs are of one machine, whichever byte order each side prints.

    SMBIOS stores the first three groups little-endian since version 2.6; Hyper-V's `BIOSGUID` and the guest's
    `Win32_ComputerSystemProduct.UUID` were seen to disagree about it [mem], so both orders count as the same.
    """
    if not identifies(one) or not identifies(other):
        return False
    left, right = UUID(guid(one)), UUID(guid(other))
    return left in (right, UUID(bytes_le=right.bytes))


def fold_name(name: str) -> str:
    """A name as typed and printed names are compared: without quotes, case and repeated spaces."""
    return " ".join(name.translate(_NO_QUOTES).split()).casefold()
