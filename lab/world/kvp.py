"""What a guest's Data Exchange service tells its host: GuestIntrinsicExchangeItems as CIM-XML text.

Item names: Msvm_KvpExchangeDataItem [doc]; the XML shape of one item, with the inherited properties empty: a published
example of that page [doc]. Values of Linux guests: the kernel's KVP daemon [mem].
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from lab.world.model import Guest

_ITEM = (
    '<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem">'
    '<PROPERTY NAME="Caption" PROPAGATED="true" TYPE="string"></PROPERTY>'
    '<PROPERTY NAME="Data" TYPE="string"><VALUE>{data}</VALUE></PROPERTY>'
    '<PROPERTY NAME="Description" PROPAGATED="true" TYPE="string"></PROPERTY>'
    '<PROPERTY NAME="ElementName" PROPAGATED="true" TYPE="string"></PROPERTY>'
    '<PROPERTY NAME="Name" TYPE="string"><VALUE>{name}</VALUE></PROPERTY>'
    '<PROPERTY NAME="Source" TYPE="uint16"><VALUE>2</VALUE></PROPERTY></INSTANCE>'
)


def _windows(guest: Guest) -> dict[str, str]:
    release = guest.release
    return {
        "CSDVersion": f"Service Pack {release.service_pack}" if release.service_pack else "",
        "IntegrationServicesVersion": release.version,
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
    """One CIM-XML instance per item; None for a guest that does not run and so exchanges nothing."""
    if guest.state not in {"running", "paused"}:
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
    return tuple(_ITEM.format(name=name, data=escape(data)) for name, data in sorted(values.items()))
