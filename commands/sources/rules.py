"""The rule files: data that people maintain, read once and checked when it is read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from bot.api.texts import clip
from bot.api.updates import UpdateStep
from commands.sources.identity import fold_name, guid

_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}(?![0-9])")


@dataclass(frozen=True, slots=True)
class KnownIssue:
    """A known trap about updates.

    Attributes:
        builds: the Windows builds it can happen on; it fires nowhere else.
        listed: fires only where this update is listed ("" = always).
        missing: fires only where this update is not listed.
        unless: never fires where one of these is listed.
        needs: an extra condition that the command must look up ("" or "scsi disks").
        by_hand: the steps per node, in order.
        steps: the same as changes of updates; () where hvops does not do them.
    """

    key: str
    says: str
    means: str
    builds: tuple[int, ...]
    listed: str
    missing: str
    unless: tuple[str, ...]
    needs: Literal["", "scsi disks"]
    by_hand: tuple[str, ...]
    source: str
    date: str
    steps: tuple[UpdateStep, ...] = ()


@dataclass(frozen=True, slots=True)
class WriterService:
    """Which service hosts a VSS writer, and whether a person may restart it.

    Attributes:
        by_name: the id alone does not tell the writer: others have it too, so the name must be that of the rule.
        beside: the rule holds only on a host that lists a writer of this name as well; "" where it always does.
        everywhere: every Windows Server lists it, so that a list without it is not well.
        absent: what is known to keep it off the list, in sentences.
        log: where its application says why it failed, in words that follow "see"; "" where no source names it.
    """

    name: str
    writer_id: str
    service: str
    restart: Literal["by hand", "never", "unknown"]
    why: str
    by_name: bool = False
    beside: str = ""
    everywhere: bool = False
    absent: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True)
class StopRule:
    """A stop of guests that a hotfix of their hosts prevents.

    Attributes:
        key: the hotfix.
        builds: the builds of hosts on which it happens.
        stop: the number of the stop.
        driver: the file in the guest.
        fixed: branch of the file ("GDR", "LDR") -> first fixed version; a branch that is left out is not known.
    """

    key: str
    builds: tuple[int, ...]
    stop: int
    driver: str
    fixed: Mapping[str, str]
    source: str


@cache
def storvsc_rule() -> StopRule:
    """The rule about storvsc. Raises ValueError for a bad one."""
    ((key, rule),) = _load("storvsc").items()
    if not (rule.get("source") and rule.get("date") and rule.get("builds") and rule.get("stop")):
        raise ValueError(f"storvsc.toml: {key} needs source, date, builds and stop.")
    told = {"GDR": rule["fixed_gdr"], "LDR": rule["fixed_ldr"]}
    return StopRule(
        key,
        tuple(rule["builds"]),
        rule["stop"],
        rule["driver"],
        {branch: version for branch, version in told.items() if version != "unknown"},
        rule["source"],
    )


Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FirmwareFault:
    """A known fault of a load balancer's firmware.

    Attributes:
        affected: ranges of versions, the second end excluded.
        unclear: likewise, where no source says which of them are fixed.
        fixed: the versions that are, in words.
    """

    key: str
    says: str
    affected: tuple[tuple[Version, Version], ...]
    unclear: tuple[tuple[Version, Version], ...]
    fixed: str
    source: str
    date: str

    def concerns(self, version: Version) -> bool | None:
        """Whether that version has it; None where no source says so."""
        if any(begin <= version < end for begin, end in self.affected):
            return True
        return None if any(begin <= version < end for begin, end in self.unclear) else False


@cache
def firmware_faults() -> tuple[FirmwareFault, ...]:
    """Known faults of LoadMaster firmware, in the order of the file. Raises ValueError for a bad rule."""
    return tuple(_fault(rule) for rule in _load("loadmaster_faults")["fault"])


def firmware_version(text: str) -> Version:
    """The numbers that a version begins with: "7.2.63.2.24350.RELEASE" is (7, 2, 63, 2). Raises ValueError."""
    found = _VERSION.match(text)
    if not found:
        raise ValueError(f"{clip(repr(text), 60)} is no version of a firmware")
    return tuple(int(number) for number in found[0].split("."))


@cache
def traps() -> tuple[KnownIssue, ...]:
    """The known traps about updates, in the order of the file. Raises ValueError for a bad rule."""
    return tuple(_trap(key, rule) for key, rule in _load("superseded_kbs").items())


@cache
def writer_services() -> tuple[WriterService, ...]:
    """Writers and their services, in the order of the file. Raises ValueError for a bad rule."""
    return tuple(_service(rule) for rule in _load("writer_services")["writer"])


def folded_names(names: Iterable[str]) -> frozenset[str]:
    """The names of all writers of a host, as `service_of` compares them: once, for it may be asked of each of thousands."""
    return frozenset(map(fold_name, names))


def service_of(writer_id: str, name: str, listed: Collection[str] = frozenset()) -> WriterService | None:
    """The service of a writer; None where no source names one.

    By id and name where writers share an id, else by id, and by name where no rule has the id.

    Args:
        writer_id: a GUID in any form.
        name: as vssadmin prints it.
        listed: the names of all writers of the host (`folded_names`).
    """
    own = guid(writer_id)
    by_id = [rule for rule in writer_services() if own and rule.writer_id == own]
    same = [rule for rule in by_id or writer_services() if fold_name(rule.name) == fold_name(name)]
    alone = [rule for rule in by_id if not rule.by_name]
    fitting = [rule for rule in same or alone if not rule.beside or fold_name(rule.beside) in listed]
    return max(fitting, key=lambda rule: bool(rule.beside), default=None)


def writers_of(writer_id: str) -> tuple[str, ...]:
    """The names of the writers that have an id: Exchange's two share one."""
    own = guid(writer_id)
    return tuple(dict.fromkeys(rule.name for rule in writer_services() if own and rule.writer_id == own))


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads(files("commands.rules").joinpath(f"{name}.toml").read_text("utf-8"))


def _trap(key: str, rule: dict[str, Any]) -> KnownIssue:
    if not (rule.get("source") and rule.get("date") and rule.get("builds") and rule.get("missing")):
        raise ValueError(f"superseded_kbs.toml: {key} needs source, date, builds and missing.")
    needs = rule.get("needs", "")
    if needs not in ("", "scsi disks"):
        raise ValueError(f"superseded_kbs.toml: {key} needs {needs!r}, which nothing looks up.")
    return KnownIssue(
        key=key,
        says=rule["says"],
        means=rule["means"],
        builds=tuple(rule["builds"]),
        listed=rule.get("listed", ""),
        missing=rule["missing"],
        unless=tuple(rule.get("unless", ())),
        needs=needs,
        by_hand=tuple(rule["by_hand"]),
        source=rule["source"],
        date=str(rule["date"]),
        steps=tuple(_step(key, written) for written in rule.get("steps", ())),
    )


def _step(key: str, written: str) -> UpdateStep:
    does, _, kb = written.partition(" ")
    if does not in ("remove", "add") or not kb.startswith("KB"):
        raise ValueError(f"superseded_kbs.toml: {key}: {written!r} is no step.")
    return UpdateStep("remove" if does == "remove" else "add", kb)


def _fault(rule: dict[str, Any]) -> FirmwareFault:
    if not (rule.get("source") and rule.get("date") and rule.get("affected")):
        raise ValueError(f"loadmaster_faults.toml: {rule['id']} needs source, date and affected.")
    affected, unclear = (
        tuple((firmware_version(begin), firmware_version(end)) for begin, end in rule.get(name, ()))
        for name in ("affected", "unclear")
    )
    return FirmwareFault(
        rule["id"], rule["says"], affected, unclear, rule.get("fixed", ""), rule["source"], str(rule["date"])
    )


def _service(rule: dict[str, Any]) -> WriterService:
    if rule["restart"] not in ("by hand", "never", "unknown"):
        raise ValueError(f"writer_services.toml: {rule['name']}: restart is by hand, never or unknown.")
    if not (rule.get("source") and rule.get("date")):
        raise ValueError(f"writer_services.toml: {rule['name']} needs source and date.")
    return WriterService(
        rule["name"],
        guid(rule.get("id", "")),
        rule.get("service", ""),
        rule["restart"],
        rule.get("why", ""),
        bool(rule.get("by_name")),
        rule.get("beside", ""),
        bool(rule.get("everywhere")),
        rule.get("absent", ""),
        rule.get("log", ""),
    )
