"""Known faults of a load balancer's firmware: what an outsider on its management network can do."""

from __future__ import annotations

from dataclasses import dataclass

from bot.api.report import Finding, Severity
from commands.sources.rules import FirmwareFault, firmware_faults, firmware_version

_ONLY_NETWORK = "Let nobody but administrators and hvops reach its management interface. See the vendor's bulletin."


@dataclass(frozen=True, slots=True)
class KnownFaults:
    """Those that a version has, and those of which no source says whether it has them."""

    has: tuple[FirmwareFault, ...]
    unclear: tuple[FirmwareFault, ...]


def known_faults(version: str) -> KnownFaults:
    """Of one version. Raises ValueError where it is none."""
    numbers = firmware_version(version)
    told = {fault: fault.concerns(numbers) for fault in firmware_faults()}
    return KnownFaults(
        tuple(fault for fault, has in told.items() if has), tuple(fault for fault, has in told.items() if has is None)
    )


def firmware_findings(balancer: str, version: str) -> tuple[Finding, ...]:
    """What is known of a version, one finding for all of its faults."""
    try:
        known = known_faults(version)
    except ValueError:
        return ()
    short = ".".join(map(str, firmware_version(version)))
    found: list[Finding] = []
    if known.has:
        names = ", ".join(fault.key for fault in known.has)
        worst = known.has[0]
        lines = (
            ("Means", f"{worst.says} ({worst.key})."),
            ("By hand", f"Update to {worst.fixed}. {_ONLY_NETWORK}"),
        )
        found.append(Finding(Severity.WARNING, "FIRMWARE", balancer, f"{short} has known faults: {names}.", lines))
    if known.unclear:
        names = ", ".join(fault.key for fault in known.unclear)
        says = f"{short}: no source says whether it is fixed there: {names}."
        found.append(Finding(Severity.NOTE, "CANNOT TELL", balancer, says, (("By hand", _ONLY_NETWORK),)))
    return tuple(found)
