"""What may be asked. A question cannot change anything.

`on` is always a name: of a cluster or host of the inventory, of a node discovered from a cluster, or of a guest
discovered from a node. A question to a cluster goes to whichever of its entry hosts answers first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Value = str | int | bool | None  # integers beyond 2**53 as text; no floats
Fields = tuple[tuple[str, Value], ...]  # sorted pairs: hashable and canonical

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "like", "in", "is null", "is not null"]


def make_params(**values: Value) -> Fields:
    """Make sorted pairs out of keyword arguments."""
    return tuple(sorted(values.items()))


def object_path(cls: str, key: str, value: str) -> str:
    """The path of one instance, which is what a REF column is compared with: 'MSCluster_Node.Name="HV01"'.

    Source: "WMI Object Path Requirements" [doc]: REF values are paths that compare as text without case; a quotation mark
    in a key is escaped as in C. Relative to the namespace, in double quotes, because WMI writes it so itself.
    """
    return f'{cls}.{key}="' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True, slots=True)
class Predicate:
    """One comparison. A tuple of terms is read as AND; `in` takes a tuple of values."""

    column: str
    op: Operator
    value: Value | tuple[Value, ...] = None


@dataclass(frozen=True, slots=True)
class Wql:
    """One WQL query, one round trip where the answer fits a page.

    Answers rows: one per instance, columns as asked (all of the class's when `columns` is empty).
    """

    on: str
    namespace: str  # "root/MSCluster", "root/virtualization/v2", "root/cimv2"
    cls: str
    columns: tuple[str, ...] = ()
    where: tuple[Predicate, ...] = ()


@dataclass(frozen=True, slots=True)
class Registry:
    """Named values of one key under HKEY_LOCAL_MACHINE, read through StdRegProv.

    Answers exactly one row: value name -> text, decimal text, tuple of texts, or None where there is no such value. A name
    that ends in * stands for every value whose name begins so, under the name that it has there: none may be there.
    With no `names` the row is {"subkeys": (names of the subkeys, ...)} instead, or {"subkeys": None} where
    there is no such key.
    """

    on: str
    key: str  # "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunReader:
    """A row of the catalogue marked *reads*: an executable, one SQL select, one HTTP call.

    Answers the rows its catalogue parser makes.
    """

    on: str
    what: str  # "vssadmin list writers"
    params: Fields = ()


@dataclass(frozen=True, slots=True)
class WinRMConfig:
    """The settings of a host's WinRM, as `winrm get winrm/config` shows them: quotas, and which logins it takes.

    Answers exactly one row, nested as the settings are: {"MaxEnvelopeSizekb": "500", "Service": {...}, "Winrs": {...}}.
    Takes an administrator [mem]; another login is refused.
    """

    on: str


@dataclass(frozen=True, slots=True)
class GuestWql:
    """A WQL query inside a guest, by the guest's own name, with the *guest* credential profile.

    `vm_id` and `fqdn` come from the host that runs the guest. Allowed only when `fqdn` lies in one of the
    inventory's guest domains. The caller checks that the answer came from that very machine (BIOS GUID or VM id).
    """

    on: str  # the guest's name as the host knows it
    fqdn: str
    vm_id: str
    namespace: str
    cls: str
    columns: tuple[str, ...] = ()
    where: tuple[Predicate, ...] = ()


@dataclass(frozen=True, slots=True)
class GuestRegistry:
    """Registry values inside a guest: `Registry` for the guest's own name and credentials."""

    on: str
    fqdn: str
    vm_id: str
    key: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GuestRunReader:
    """A row of the catalogue marked *reads*, run inside a guest: `RunReader` for the guest's own name and credentials."""

    on: str
    fqdn: str
    vm_id: str
    what: str
    params: Fields = ()


@dataclass(frozen=True, slots=True)
class SampleHistory:
    """What earlier answers remembered about a target: the samples in the ledger, oldest first.

    Answers rows: the sample's fields, and "at" (ISO 8601, UTC) of the answer that carried it.
    """

    on: str
    what: str  # the name of the sample, "writer"
    hours: int = 72


EVERY_ENDING = ("done", "failed", "cancelled", "voided", "closed")  # of a change that has started


@dataclass(frozen=True, slots=True)
class DoneChanges:
    """Which changes of one command have run to their end, as the proved entries of the ledger say, in the order in which they ended.

    A ticket counts where `on` is its target, or else one of its places, as `among` says, without case. Both at once would let a
    virtual machine that is called like a cluster stand for it. One that only takes another back counts as no change of its own.
    Entries that this version cannot read prove nothing, and are left out.

    Answers rows:
        ticket: "T-12".
        target, places: what it was typed for; the clusters, and hosts that stand alone, that it was about.
        line: as it was typed.
        ending: the kind of the entry that ended it, one of `endings`.
        started, ended: ISO 8601, UTC.
        message: what its end says: "all 4 steps are done", or the reason.
        measured: how it stood at the end, in words, as it was read then.
        changed: the keys of its steps that were not so before and were so afterwards; in all their rounds.
        undone_by: the ticket that took it back and is done; "" where none did.
        begun: the keys of all that was begun, of what takes a step back ("undo-drain") too.
        before: step -> the rows noted before it was first begun, of those of `images` that have any.
    """

    on: str
    command: str  # its name without the slash: "drain-node"
    since: str = ""  # ISO 8601 with a zone: ended then or later; "" for ever
    endings: tuple[str, ...] = ("done",)  # of `EVERY_ENDING`
    among: Literal["target", "places"] = "target"  # what `on` is: what it was typed for, or a place that it was about
    images: tuple[str, ...] = ()  # keys of steps whose before-images are told; they can be long


GuestQuery = GuestWql | GuestRegistry | GuestRunReader
LedgerQuery = SampleHistory | DoneChanges  # asked of the ledger, and of no host
Query = Wql | Registry | RunReader | WinRMConfig | GuestQuery | LedgerQuery
