"""How hosts start, in words: those that differ first, then what is missing, then what is only noted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bot.api.facts import Unknown
from bot.api.report import Column, Finding, Healthy, Severity, Table
from commands.boot_layout.facts import HostBoot
from commands.boot_layout.layout import Judged, Layout
from commands.formatting import MIB, format_size, join_names
from commands.sources.firmware import FirmwareVersion, Model

_REDEPLOY = "Windows runs and needs no change. UEFI needs a reinstall."
_SHORT = {  # of a table on a phone
    Layout.NO_EFI: "UEFI, no EFI",
    Layout.CONTRADICTS: "no match",
    Layout.EFI_ELSEWHERE: "EFI elsewhere",
    Layout.NO_RESERVED: "no reserved",
    Layout.BIOS: "BIOS, MBR",
    Layout.UEFI: "UEFI, GPT",
}
WORDS = {
    Layout.NO_EFI: "NO EFI PARTITION",
    Layout.CONTRADICTS: "DOES NOT MATCH",
    Layout.EFI_ELSEWHERE: "EFI ELSEWHERE",
    Layout.NO_RESERVED: "NO RESERVED",
    Layout.BIOS: "BIOS MODE",
    Layout.UEFI: "UEFI",
}


def layout_findings(judged: Sequence[Judged], target: str) -> tuple[Finding, ...]:
    """Worst first. BIOS mode alone is a note; beside nodes that start in UEFI mode it is a difference."""
    faults = [one for one in judged if one.layout not in (Layout.UEFI, Layout.BIOS)]
    faults.sort(key=lambda one: (list(Layout).index(one.layout), one.name.casefold()))
    bios = [one for one in judged if one.layout is Layout.BIOS]
    mixed = _mixed(judged, target)
    return (*map(_finding, faults), *mixed, *((_bios(bios),) if bios and not mixed else ()))


def _finding(one: Judged) -> Finding:
    say = {
        Layout.NO_EFI: _no_efi,
        Layout.CONTRADICTS: _contradicts,
        Layout.EFI_ELSEWHERE: _efi_elsewhere,
        Layout.NO_RESERVED: _no_reserved,
    }[one.layout]
    return say(one)


def _no_efi(one: Judged) -> Finding:
    return Finding(
        Severity.FAULT,
        WORDS[one.layout],
        one.name,
        f"UEFI started Windows, but no disk that Windows lists has an EFI partition; {_disk(one)} is GPT.",
        (
            ("Means", "What the firmware starts from cannot be seen. The host may not start again."),
            ("Caution", f"Don't restart {one.name} before someone has looked."),
            (
                "By hand",
                f"On {one.name}: “bcdedit /enum {{bootmgr}}” names the partition that it starts from; “mountvol S: /S” mounts it.",
            ),
        ),
    )


def _contradicts(one: Judged) -> Finding:
    table = "GPT" if one.disk.is_gpt else "MBR"
    return Finding(
        Severity.WARNING,
        WORDS[one.layout],
        one.name,
        f"{one.firmware} started Windows, but it runs from a disk with the {table} partition table ({_disk(one)}).",
        (
            (
                "Means",
                "It starts through another disk, or the firmware was switched since. If that disk goes, the host may not start.",
            ),
            ("By hand", f"On {one.name}: “bcdedit /enum {{bootmgr}}” names the partition that it starts from."),
        ),
    )


def _efi_elsewhere(one: Judged) -> Finding:
    where = f"disk {one.efi.disk}" if one.efi else "another disk"
    return Finding(
        Severity.WARNING,
        WORDS[one.layout],
        one.name,
        f"Windows runs from {_disk(one)}, the EFI partition is on {where}.",
        (("Means", f"The host needs both disks to start. Without {where} it will not."),),
    )


def _no_reserved(one: Judged) -> Finding:
    return Finding(
        Severity.NOTE,
        WORDS[one.layout],
        one.name,
        f"{_disk(one)} has an EFI partition and no reserved one, which Windows gives every GPT disk.",
        (("Means", "Windows starts and runs. Only tools that need that space miss it. Nothing has to be done."),),
    )


def _mixed(judged: Sequence[Judged], target: str) -> tuple[Finding, ...]:
    """Nodes of one cluster that start in different ways, the fewer ones first."""
    ways: dict[str, list[str]] = {}
    for one in judged:
        ways.setdefault(_way(one), []).append(one.name)
    if len(ways) < 2:  # noqa: PLR2004 - two ways differ
        return ()
    parts = sorted(ways.items(), key=lambda item: (len(item[1]), item[0] != _BIOS))
    said = "; ".join(f"{join_names(names)} by {way}" for way, names in parts)
    lines: tuple[tuple[str, str], ...] = (
        (
            "Means",
            "These nodes were installed differently. Guests are not affected; firmware updates, Secure Boot and recovery differ from node to node.",
        ),
    )
    bios = ways.get(_BIOS, [])
    if bios:
        lines = (
            *lines,
            (
                "By hand",
                f"{_REDEPLOY} If you want UEFI: drain and evict {join_names(bios, 4)}, then /redeploy-uefi has the steps.",
            ),
        )
    return (Finding(Severity.WARNING, "DIFFERS", target, f"They boot in different modes: {said}.", lines),)


_BIOS = "BIOS from an MBR disk"


def _way(one: Judged) -> str:
    if one.layout is Layout.CONTRADICTS:
        return f"{one.firmware} with Windows on {'a GPT' if one.disk.is_gpt else 'an MBR'} disk"
    return "UEFI from a GPT disk" if one.layout.is_uefi else _BIOS


def _bios(bios: Sequence[Judged]) -> Finding:
    names = join_names(one.name for one in bios)
    return Finding(
        Severity.NOTE,
        WORDS[Layout.BIOS],
        names,
        f"Boots in BIOS mode from an MBR disk ({join_names(dict.fromkeys(_size(one) for one in bios), 3)}). Firmware mode and disk layout match.",
        (("Means", f"{_REDEPLOY} Only if UEFI was intended: /redeploy-uefi has the steps."),),
    )


def fine(judged: Sequence[Judged]) -> tuple[Healthy, ...]:
    """The hosts with all that UEFI wants."""
    well = tuple(one.name for one in judged if one.layout is Layout.UEFI)
    return (Healthy("UEFI", well, "GPT with EFI and reserved partition"),) if well else ()


def notes(judged: Sequence[Judged]) -> tuple[str, ...]:
    """What is only noted: the order of partitions, and further EFI partitions."""
    found = []
    first = [one.name for one in judged if one.reserved_first]
    if first:
        found.append(
            f"On {join_names(first)} the reserved partition comes before the EFI partition. diskpart (convert gpt) does"
            " that; the order does not matter."
        )
    found += [
        f"{one.name} has an EFI partition on disk {', '.join(map(str, one.other_efi))} as well: it is not the one of Windows' own disk."
        for one in judged
        if one.other_efi
    ]
    return tuple(found[:8])


def version_findings(hosts: Mapping[str, HostBoot]) -> tuple[Finding, ...]:
    """Firmware versions that differ among hosts of one model, the rarer first."""
    models: dict[tuple[str, str], dict[str, str]] = {}
    for name, host in hosts.items():
        version, model = host.version, host.model
        if isinstance(version, Unknown) or isinstance(model, Unknown):
            continue
        if version.version and model.name:
            models.setdefault((model.maker, model.name), {})[name] = version.version
    return tuple(_versions(model, told) for (_, model), told in models.items() if len(set(told.values())) > 1)


def _versions(model: str, told: Mapping[str, str]) -> Finding:
    counted = Counter(told.values())
    order = sorted(counted, key=lambda version: (counted[version], version))
    said = "; ".join(
        f"{version} on {join_names(name for name, own in told.items() if own == version)}" for version in order
    )
    odd = join_names(name for name, own in told.items() if own != order[-1])
    return Finding(
        Severity.NOTE,
        "FIRMWARE DIFFERS",
        odd,
        f"Firmware of {model}: {said}.",
        (
            (
                "Means",
                "Hosts of one model with different firmware can behave differently. See the maker's page for which is newer.",
            ),
        ),
    )


def layout_table(hosts: Mapping[str, HostBoot], judged: Mapping[str, Judged | Unknown]) -> Table:
    """Every host, worst first; empty cells are not known."""
    columns = (
        Column("Host"),
        Column("Layout"),
        Column("Disk"),
        Column("EFI", "number", "MB"),
        Column("Reserved", "number", "MB"),
        Column("Firmware version"),
        Column("Model"),
    )
    order = sorted(
        judged.items(),
        key=lambda item: list(Layout).index(item[1].layout) if isinstance(item[1], Judged) else len(Layout),
    )
    return Table(
        "How each host boots, worst first", columns, tuple(_row(name, one, hosts[name]) for name, one in order)
    )


def _row(name: str, one: Judged | Unknown, host: HostBoot) -> tuple[str, ...]:
    version = host.version.version if isinstance(host.version, FirmwareVersion) else ""
    model = host.model.name if isinstance(host.model, Model) else ""
    if isinstance(one, Unknown):
        return (name, one.kind, "", "", "", version, model)
    efi, reserved = (_mb(part.size) if part else "" for part in (one.efi, one.reserved))
    return (name, _SHORT[one.layout], _size(one), efi, reserved, version, model)


def _mb(size: int | None) -> str:
    return "" if size is None else f"{size / MIB:.1f}".removesuffix(".0")


def _size(one: Judged) -> str:
    return "size not told" if one.disk.size is None else format_size(one.disk.size)


def _disk(one: Judged) -> str:
    """The disk that Windows runs from, as people read it: disk 0 (278 GB)."""
    return f"disk {one.disk.number} ({_size(one)})"
