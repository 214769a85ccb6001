"""root/cimv2 about the machine itself: operating system, computer, firmware, updates and services.

Property meanings: the CIMWin32Prov pages [doc]. In a guest, UUID shows the same text as the host's BIOSGUID without its
braces: Windows prints the first three fields in their own byte order, where tools under Linux print them swapped [mem].
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from lab.windows.machine_protocol import Instance, Reference
from lab.world.class_availability import instance
from lab.world.locales import LANGUAGES
from lab.world.model import KIB, Guest, Node, Service, Update, Windows
from lab.world.wmi_providers import Scene, View
from lab.world.wmi_providers.hyper_v import serial_number

CIMV2 = "root/cimv2"
DATACENTER, SERVER = 8, 3


def operating_systems(scene: Scene) -> Iterator[Instance]:
    """Win32_OperatingSystem: exactly one. Memory in KB."""
    windows, release = scene.windows, scene.windows.release
    language = LANGUAGES[windows.language]
    disk = "\\Device\\Harddisk0\\Partition2"
    yield instance(
        "Win32_OperatingSystem",
        release,
        Name=f"{release.caption}|C:\\Windows|{disk}",
        Caption=release.caption,
        Version=release.version,
        BuildNumber=release.build,
        BuildType="Multiprocessor Free",
        BootDevice="\\Device\\HarddiskVolume1",
        SystemDevice="\\Device\\HarddiskVolume2",
        SystemDirectory="C:\\Windows\\system32",
        SystemDrive="C:",
        WindowsDirectory="C:\\Windows",
        CodeSet=str(language.ansi),
        CountryCode=language.country,
        CreationClassName="Win32_OperatingSystem",
        CSCreationClassName="Win32_ComputerSystem",
        CSName=windows.name.upper(),
        CSDVersion=f"Service Pack {release.service_pack}" if release.service_pack else None,
        ServicePackMajorVersion=release.service_pack,
        ServicePackMinorVersion=0,
        CurrentTimeZone=0,
        FreePhysicalMemory=_free_memory(windows) // KIB,
        TotalVisibleMemorySize=windows.memory // KIB,
        InstallDate=installed_at(windows),
        LastBootUpTime=windows.booted,
        LocalDateTime=scene.now + windows.clock_ahead,
        Locale=f"{language.id:04x}",
        Manufacturer="Microsoft Corporation",
        MUILanguages=(windows.language,),
        OperatingSystemSKU=DATACENTER,
        OSArchitecture="64-bit",
        OSLanguage=language.id,
        OSProductSuite=400,
        OSType=18,
        ProductType=SERVER,
        Primary=True,
        Status="OK",
        SuiteMask=400,
    )


def installed_at(windows: Windows) -> datetime:
    """When its Windows was installed."""
    return windows.booted - timedelta(days=400)


def _free_memory(windows: Windows) -> int:
    return windows.free_memory if isinstance(windows, Node) else windows.memory // 3


def computer_systems(scene: Scene) -> Iterator[Instance]:
    """Win32_ComputerSystem: exactly one. Memory in bytes."""
    windows = scene.windows
    virtual = isinstance(windows, Guest)
    yield instance(
        "Win32_ComputerSystem",
        windows.release,
        Name=windows.name.upper(),
        Caption=windows.name.upper(),
        DNSHostName=windows.name,
        Domain=windows.domain,
        DomainRole=3,
        PartOfDomain=True,
        CreationClassName="Win32_ComputerSystem",
        Manufacturer="Microsoft Corporation" if virtual else "Dell Inc.",
        Model="Virtual Machine" if virtual else "PowerEdge R730",
        HypervisorPresent=True,
        NumberOfProcessors=1 if virtual else 2,
        NumberOfLogicalProcessors=windows.processors,
        TotalPhysicalMemory=windows.memory,
        SystemType="x64-based PC",
        BootupState="Normal boot",
        CurrentTimeZone=0,
        Status="OK",
    )


def products(scene: Scene) -> Iterator[Instance]:
    """Win32_ComputerSystemProduct: exactly one, with the BIOS GUID."""
    windows = scene.windows
    virtual = isinstance(windows, Guest)
    yield instance(
        "Win32_ComputerSystemProduct",
        windows.release,
        Caption="Computer System Product",
        Description="Computer System Product",
        IdentifyingNumber=_serial(windows),
        Name="Virtual Machine" if virtual else "PowerEdge R730",
        UUID=windows.bios_guid.upper(),
        Vendor="Microsoft Corporation" if virtual else "Dell Inc.",
        Version="7.0" if virtual else "",
    )


def _serial(windows: Windows) -> str:
    return serial_number(windows) if isinstance(windows, Guest) else windows.bios_guid[:7].upper()


def firmware(scene: Scene) -> Iterator[Instance]:
    """Win32_BIOS: exactly one. On metal as Dell's servers fill it [mem]; the class has no word for UEFI or BIOS [doc]."""
    windows = scene.windows
    if isinstance(windows, Node):
        yield _server_firmware(windows)
        return
    uefi = isinstance(windows, Guest) and windows.generation == 2  # noqa: PLR2004 (Hyper-V's generation 2)
    name = "Hyper-V UEFI Release v4.0" if uefi else "BIOS Date: 02/22/20 20:54:04  Ver: 09.00.08"
    yield instance(
        "Win32_BIOS",
        windows.release,
        Name=name,
        Caption=name,
        Description=name,
        SoftwareElementID=name,
        SoftwareElementState=3,
        TargetOperatingSystem=0,
        BIOSVersion=("VRTUAL - 1",),
        Manufacturer="Microsoft Corporation" if uefi else "American Megatrends Inc.",
        PrimaryBIOS=True,
        SerialNumber=_serial(windows),
        SMBIOSBIOSVersion="Hyper-V UEFI Release v4.0" if uefi else "090008",
        SMBIOSPresent=True,
        Status="OK",
        Version="VRTUAL - 1",
    )


def _server_firmware(node: Node) -> Instance:
    version = node.firmware_version
    return instance(
        "Win32_BIOS",
        node.release,
        Name=f"BIOS Date: 01/04/24 04:51:40 Ver: {version}",
        Caption=f"BIOS Date: 01/04/24 04:51:40 Ver: {version}",
        Description=f"BIOS Date: 01/04/24 04:51:40 Ver: {version}",
        SoftwareElementID=f"BIOS Date: 01/04/24 04:51:40 Ver: {version}",
        SoftwareElementState=3,
        TargetOperatingSystem=0,
        BIOSVersion=("DELL   - 0", version),
        Manufacturer="Dell Inc.",
        PrimaryBIOS=True,
        ReleaseDate=datetime(2024, 1, 4, tzinfo=UTC),
        SerialNumber=_serial(node),
        SMBIOSBIOSVersion=version,
        SMBIOSPresent=True,
        Status="OK",
        Version="DELL   - 0",
    )


def updates(scene: Scene) -> Iterator[Instance]:
    """Win32_QuickFixEngineering: what Component Based Servicing supplied, and nothing else."""
    windows = scene.windows
    for update in windows.updates:
        yield instance(
            "Win32_QuickFixEngineering",
            windows.release,
            HotFixID=update.kb,
            Caption=f"http://support.microsoft.com/?kbid={update.kb.removeprefix('KB')}",
            Description=update.description,
            CSName=windows.name.upper(),
            InstalledBy="NT AUTHORITY\\SYSTEM",
            InstalledOn=_installed_on(windows, update),
            ServicePackInEffect="",
            FixComments="",
        )


def _installed_on(windows: Windows, update: Update) -> str:
    """A date in the machine's language; 2008 R2 prints some as a hexadecimal FILETIME [mem]."""
    if windows.release.key == "2008R2" and int(update.kb[-1]) % 4 == 0:
        return f"{int(update.installed.timestamp() + 11_644_473_600) * 10_000_000:016x}"
    pattern = LANGUAGES[windows.language].date
    date = update.installed.strftime(pattern)
    return date.lstrip("0").replace("/0", "/") if windows.language == "en-US" else date


_DRIVERS = "C:\\Windows\\system32\\drivers"
# The first file of each release, but for 2008 R2, whose service pack brought another [mem].
_DRIVER_VERSIONS = {"2008R2": "6.1.7601.17514", "2012": "6.2.9200.16384", "2012R2": "6.3.9600.16384"}


def files(scene: Scene) -> Iterator[Instance]:
    """CIM_DataFile: of a disk full of files, the drivers that somebody asks for."""
    windows = scene.windows
    usual = _DRIVER_VERSIONS.get(windows.release.key, f"{windows.release.version}.1")
    told = {f"{_DRIVERS}\\storvsc.sys": usual} if isinstance(windows, Guest) else {f"{_DRIVERS}\\storvsp.sys": usual}
    for path, version in (told | windows.files).items():
        folder, _, name = path.rpartition("\\")
        stem, _, extension = name.rpartition(".")
        yield instance(
            "CIM_DataFile",
            windows.release,
            Name=path.lower(),
            Caption=path.lower(),
            Description=path.lower(),
            CreationClassName="CIM_LogicalFile",
            CSCreationClassName="Win32_ComputerSystem",
            CSName=windows.name.upper(),
            FSCreationClassName="Win32_FileSystem",
            FSName="NTFS",
            Drive=path[:2].lower(),
            Path=f"{folder[2:]}\\".lower(),
            FileName=stem.lower(),
            Extension=extension.lower(),
            Manufacturer="Microsoft Corporation",
            Version=version,
            Status="OK",
        )


def directories(scene: Scene) -> Iterator[Instance]:
    """Win32_Directory: of a disk full of folders, those of its text files."""
    windows = scene.windows
    folders = {path.rpartition("\\")[0] for path in windows.text_files}
    for folder in sorted({parent for one in folders for parent in _parents(one)}):
        yield instance(
            "Win32_Directory",
            windows.release,
            Name=folder.lower(),
            Caption=folder.lower(),
            CreationClassName="CIM_LogicalFile",
            Drive=folder[:2].lower(),
            FileName=folder.rpartition("\\")[2].lower(),
            Status="OK",
        )


def _parents(folder: str) -> Iterator[str]:
    parts = folder.split("\\")
    return ("\\".join(parts[:count]) for count in range(2, len(parts) + 1))


def services(scene: Scene) -> Iterator[Instance]:
    """Win32_Service."""
    for service in scene.windows.services.values():
        yield _service(service, scene.windows)


def dependencies(scene: Scene) -> Iterator[Instance]:
    """Win32_DependentService: `Antecedent` is needed by `Dependent`; a stop is refused while one of these runs."""
    windows = scene.windows
    for service in windows.services.values():
        for name in service.needed_by:
            if other := windows.services.get(name.casefold()):
                yield instance(
                    "Win32_DependentService",
                    windows.release,
                    Antecedent=Reference(CIMV2, "Win32_Service", {"Name": service.name}),
                    Dependent=Reference(CIMV2, "Win32_Service", {"Name": other.name}),
                )


def _service(service: Service, windows: Windows) -> Instance:
    running, process = service.state == "Running", service.state != "Stopped"
    return instance(
        "Win32_Service",
        windows.release,
        Name=service.name,
        Caption=service.display,
        DisplayName=service.display,
        PathName=service.path,
        State=service.state,
        Started=process,
        StartMode=service.start,
        StartName=service.account,
        ProcessId=service.pid if process else 0,
        AcceptStop=running and service.stoppable,
        AcceptPause=False,
        DelayedAutoStart=False,
        CreationClassName="Win32_Service",
        SystemCreationClassName="Win32_ComputerSystem",
        SystemName=windows.name.upper(),
        ServiceType="Share Process" if "svchost" in service.path else "Own Process",
        ErrorControl="Normal",
        ExitCode=0 if process else 1077,
        ServiceSpecificExitCode=0,
        Status="OK",
        TagId=0,
        CheckPoint=0,
        WaitHint=0,
        DesktopInteract=False,
    )


VIEWS: dict[str, View] = {
    "Win32_OperatingSystem": operating_systems,
    "Win32_ComputerSystem": computer_systems,
    "Win32_ComputerSystemProduct": products,
    "Win32_BIOS": firmware,
    "Win32_QuickFixEngineering": updates,
    "CIM_DataFile": files,
    "Win32_Directory": directories,
    "Win32_Service": services,
    "Win32_DependentService": dependencies,
}
