"""wsmid:Identify: which WS-Management stack answers.

The product's name and version format are those of Windows hosts [doc: WinRM, "Detecting whether a remote computer supports
WS-Management"]; the version comes from the machine's own Win32_OperatingSystem.
"""

from __future__ import annotations

from lab.windows import wsman_constants
from lab.windows.machine_protocol import Machine

PRODUCT = "Microsoft Corporation"


def answer(machine: Machine | None) -> str:
    """The envelope; without a machine it says what a sender who has not logged in may know: version 0.0.0."""
    version, stack = "0.0.0", "3.0"
    if machine is not None:
        systems = machine.instances("root/cimv2", "Win32_OperatingSystem")
        version = str(next((each.get("Version") for each in systems), None) or version)
        stack = "2.0" if version.startswith("6.1") else "3.0"  # 2008 R2 ships WinRM 2.0
    return (
        f'<s:Envelope xml:lang="" xmlns:s="{wsman_constants.SOAP}"><s:Header/><s:Body>'
        f'<wsmid:IdentifyResponse xmlns:wsmid="{wsman_constants.IDENTITY}">'
        f"<wsmid:ProtocolVersion>{wsman_constants.WSMAN}</wsmid:ProtocolVersion>"
        f"<wsmid:ProductVendor>{PRODUCT}</wsmid:ProductVendor>"
        f"<wsmid:ProductVersion>OS: {version} SP: 0.0 Stack: {stack}</wsmid:ProductVersion>"
        "</wsmid:IdentifyResponse></s:Body></s:Envelope>"
    )
