"""What a guest's Data Exchange service tells its host: GuestIntrinsicExchangeItems as CIM-XML text.

Item names: Msvm_KvpExchangeDataItem [doc]; the XML shape of one item, with the inherited properties empty: a published
example of that page [doc]. Values of Linux guests: the kernel's KVP daemon [mem].
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from lab.world.model import Guest
from lab.world.registry import expected_integration

_ITEM = (
    '<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem">'
    '<PROPERTY NAME="Caption" PROPAGATED="true" TYPE="string"></PROPERTY>'
    '<PROPERTY NAME="Data" TYPE="string"><VALUE>{data}</VALUE></PROPERTY>'
    '<PROPERTY NAME="Description" PROPAGATED="true" TYPE="string"></PROPERTY>'
    '<PROPERTY NAME="ElementName" PROPAGATED="true" TYPE="string"></PROPERTY>'
    '<PROPERTY NAME="Name" TYPE="string"><VALUE>{name}</VALUE></PROPERTY>'
    '<PROPERTY NAME="Source" TYPE="uint16"><VALUE>2</VALUE></PROPERTY></INSTANCE>'
)


NO_CONTACT = 12


def integration_version(guest: Guest) -> str:
    """The version of a Windows guest's services: from 2016 on its own Windows', before what its host expects, if anything."""
    expected = "" if guest.release.at_least("2016") else expected_integration(guest.node.release.key, guest.release.key)
    return guest.integration or expected or f"{guest.release.version}.{guest.release.revision or 17514}"


def _windows(guest: Guest) -> dict[str, str]:
    release = guest.release
    return {
        "CSDVersion": f"Service Pack {release.service_pack}" if release.service_pack else "",
        "IntegrationServicesVersion": integration_version(guest),
        "OSBuildNumber": release.build,
        "OSEditionId": "8",
        "OSMajorVersion": str(release.major),
        "OSMinorVersion": str(release.minor),
        "OSName": release.caption.removeprefix("Microsoft ").rstrip(),
        "OSPlatformId": "2",
        "OSVersion": release.version,
        "ProcessorArchitecture": "9",
        "ProductType": "3",
        "ServicePackMajor": str(release.service_pack),
        "ServicePackMinor": "0",
        "SuiteMask": "400",
    }


def _linux(guest: Guest) -> dict[str, str]:
    release = guest.release
    return {
        "IntegrationServicesVersion": "3.1",
        "OSBuildNumber": release.build_lab,
        "OSMajorVersion": str(release.major),
        "OSMinorVersion": str(release.minor),
        "OSName": release.caption,
        "OSVersion": release.version,
        "ProcessorArchitecture": "x86_64",
    }


def items(guest: Guest) -> tuple[str, ...] | None:
    """One CIM-XML instance per item; None for a guest that does not run, or whose service nobody answers for.

    The order differs from host to host [src]: here by name, but for those that come first.
    """
    silent = "kvp" in guest.components_off or NO_CONTACT in guest.component_status.get("kvp", ())
    if guest.state not in {"running", "paused"} or silent:
        return None
    values = _windows(guest) if guest.release.family == "windows" else _linux(guest)
    if guest.reports_address:
        values |= {
            "FullyQualifiedDomainName": guest.fqdn if guest.release.family == "windows" else guest.name,
            "NetworkAddressIPv4": guest.address,
            "NetworkAddressIPv6": "",
            "RDPAddressIPv4": guest.address if guest.release.family == "windows" else "",
            "RDPAddressIPv6": "",
        }
    return tuple(
        _ITEM.format(name=name, data=escape(data))
        for name, data in sorted(values.items(), key=lambda pair: _place(guest, pair[0]))
    )


def _place(guest: Guest, name: str) -> tuple[int, str]:
    first = guest.kvp_first
    return (first.index(name) if name in first else len(first)), name
