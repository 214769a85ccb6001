"""Methods of WMI that only read. Each is a row: what it is called on, and how its answer is read.

GetReplicationStatistics(in CIM_ComputerSystem REF ComputerSystem, out string ReplicationStatistics[], out string
ReplicationHealthIssues[], out CIM_ConcreteJob REF Job) of Msvm_ReplicationService, 2012 and later [doc]. Each text is an
instance of Msvm_ReplicationStatistics as CIM-XML, the way Hyper-V embeds instances elsewhere [src]; 0 is success, 4096 a
job that nobody waits for here [doc].
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from xml.etree import ElementTree as ET

from bot.api.queries import Fields, Value
from bot.api.rows import Row, Rows, get_int, get_strs
from bot.redaction import clip
from bot.transport.allowlist.definitions import BadOutput, Parameter, bind_parameters

_LONGEST = 60_000  # characters of one embedded instance
_MOST = 16  # instances of one answer: one a relationship, of which a machine has two at most
_TIME = re.compile(
    r"([0-9]{4})([0-9][0-9])([0-9][0-9])([0-9][0-9])([0-9][0-9])([0-9][0-9])\.([0-9*]{6})([+-])([0-9]{3})", re.ASCII
)
_HEX = frozenset("0123456789ABCDEFabcdef")


@dataclass(frozen=True, slots=True)
class ReadingMethod:
    """One method that reads.

    Attributes:
        path: the selectors of the instance that it is called on.
        reference: the name of the parameter that refers to an instance, and the class of that.
        keys: the selectors of that instance, "{name}" standing for a parameter of the row.
        parse: makes rows of the out-parameters; raises BadOutput.
    """

    what: str
    namespace: str
    cls: str
    method: str
    path: Fields
    reference: tuple[str, str]
    keys: Fields
    parse: Callable[[Row], Rows]
    parameters: tuple[Parameter, ...] = ()

    def bound_keys(self, params: Fields) -> Fields:
        """The selectors of the instance that is referred to. Raises ValueError."""
        values = bind_parameters(self.what, self.parameters, params)
        return tuple((name, str(value).format_map(values)) for name, value in self.keys)


def machine_id(value: Value) -> str:
    """The id of a virtual machine, as Msvm_ComputerSystem.Name has it: upper case, without braces. Raises ValueError."""
    parts = value.split("-") if isinstance(value, str) else []
    if [len(part) for part in parts] != [8, 4, 4, 4, 12] or not _HEX.issuperset("".join(parts)):
        raise ValueError("takes the id of a virtual machine")
    return "-".join(parts).upper()


def parse_statistics(out: Row) -> Rows:
    """One row per relationship, its properties as text.

    Raises:
        BadOutput: it did not succeed, or one of its instances cannot be read.
    """
    returned = get_int(out, "ReturnValue")
    if returned != 0:
        raise BadOutput(f"GetReplicationStatistics returned {returned}")
    documents = get_strs(out, "ReplicationStatistics")
    if len(documents) > _MOST:
        raise BadOutput(f"GetReplicationStatistics answered with {len(documents):,} statistics for one virtual machine")
    return tuple(_instance(document) for document in documents)


def _instance(document: str) -> Row:
    if len(document) > _LONGEST or "<!" in document:
        raise BadOutput("one of the statistics is no instance that can be read")
    try:
        instance = ET.fromstring(document)  # noqa: S314 - "<!" is refused above: no DTD, so no entity can be declared
    except (ET.ParseError, ValueError):
        raise BadOutput("one of the statistics is no XML") from None
    if instance.get("CLASSNAME") != "Msvm_ReplicationStatistics":
        raise BadOutput("one of the statistics is of another class")
    return {
        one.get("NAME", ""): iso_time(one.findtext("VALUE")) if one.get("TYPE") == "datetime" else one.findtext("VALUE")
        for one in instance.iter("PROPERTY")
    }


def iso_time(told: str | None) -> str | None:
    """A time as CIM writes it, "20260512091500.000000+120", in ISO 8601; None for none.

    The offset is in minutes; asterisks stand for what is not told [doc: DSP0004]. Raises BadOutput.
    """
    if not told:
        return None
    found = _TIME.fullmatch(told)
    if not found:
        raise BadOutput(f"{clip(repr(told), 40)} is no time")
    year, month, day, hour, minute, second, fraction, sign, offset = found.groups()
    shift = f"{sign}{int(offset) // 60:02d}:{int(offset) % 60:02d}"
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}.{fraction.replace('*', '0')}{shift}"


METHODS = MappingProxyType(
    {
        row.what: row
        for row in (
            ReadingMethod(
                what="replication statistics",
                namespace="root/virtualization/v2",
                cls="Msvm_ReplicationService",
                method="GetReplicationStatistics",
                path=(("CreationClassName", "Msvm_ReplicationService"),),
                reference=("ComputerSystem", "Msvm_ComputerSystem"),
                keys=(("CreationClassName", "Msvm_ComputerSystem"), ("Name", "{vm_id}")),
                parse=parse_statistics,
                parameters=(Parameter("vm_id", machine_id),),
            ),
        )
    }
)
