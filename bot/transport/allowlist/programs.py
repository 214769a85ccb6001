"""The rows. Read this file to know every program that hvops can run, and how."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bot.transport.allowlist import addresses, auditpol, dism, eventcreate, findstr, vssadmin, wevtutil
from bot.transport.allowlist.definitions import Parameter, Program

_ROWS = (
    Program(
        what="vssadmin list writers",
        marked="reads",
        argv=("vssadmin", "list", "writers"),
        parse=vssadmin.parse_writers,
        seconds=60,  # it waits for every writer, longer while a snapshot is being prepared [cap]
    ),
    Program(
        what="wevtutil query events",
        marked="reads",
        argv=(
            "wevtutil",
            "qe",
            "{channel}",
            "/q:*[System[{ids}{since}{provider}]]",
            "/f:xml",
            "/rd:true",
            "/c:{most}",
            "/uni:true",  # else names in other alphabets become question marks
        ),
        parse=wevtutil.parse_events,
        parameters=(
            Parameter("channel", wevtutil.channel),
            Parameter("ids", wevtutil.event_ids),
            Parameter("since", wevtutil.since, None),
            Parameter("provider", wevtutil.provider, None),
            Parameter("most", wevtutil.parse_limit, 200),
        ),
        absent=MappingProxyType({15007: "it has no event channel {channel}."}),  # ERROR_EVT_CHANNEL_NOT_FOUND [doc]
    ),
    Program(
        what="wevtutil oldest event",
        marked="reads",
        argv=("wevtutil", "qe", "{channel}", "/f:xml", "/rd:false", "/c:1", "/uni:true"),
        parse=wevtutil.parse_events,
        parameters=(Parameter("channel", wevtutil.channel),),
    ),
    Program(
        what="wevtutil enumerate channels",
        marked="reads",
        argv=("wevtutil", "el", "/uni:true"),
        parse=wevtutil.parse_channels,
    ),
    Program(
        what="auditpol get object access",
        marked="reads",
        # The category by its GUID; braces are doubled, since a single one would be the place of a value.
        argv=("auditpol", "/get", "/category:{{6997984A-797A-11D9-BED3-505054503030}}", "/r"),
        parse=auditpol.parse_policy,
    ),
    Program(
        what="findstr boot environment",
        marked="reads",
        argv=("findstr", "/C:Detected boot environment", "{windows}\\Panther\\setupact.log"),
        parse=findstr.parse_boot_environment,
        parameters=(Parameter("windows", findstr.windows_folder),),
        absent=MappingProxyType({1: "setup's own log is gone, or does not name the firmware."}),
    ),
    Program(
        what="findstr hosts file",
        marked="reads",
        argv=("findstr", "/N", ".", "{folder}\\hosts"),
        parse=addresses.parse_hosts,
        parameters=(Parameter("folder", addresses.local_folder),),
        absent=MappingProxyType({1: "its hosts file has no line, or cannot be opened."}),
        is_silent=True,
    ),
    Program(
        what="findstr addresses",
        marked="reads",
        # Lines that may hold an IPv4 address, in the files that configure programs, folders below included.
        argv=("findstr", "/S", "/N", "/R", addresses.ADDRESS, *(f"{{folder}}\\{kind}" for kind in addresses.FILES)),
        parse=addresses.parse_lines,
        parameters=(Parameter("folder", addresses.local_folder),),
        success=(0, 1),  # 1: no line [mem]
        cover=addresses.cover_lines,
        is_silent=True,  # a file that it cannot open may be the one that matters
        seconds=120,
    ),
    Program(
        what="dism list packages",
        marked="reads",
        argv=("dism", "/English", "/Online", "/Get-Packages", "/Format:List"),
        parse=dism.parse_packages,
        faults=dism.FAULTS,
        seconds=180,  # it loads the whole store
    ),
    Program(
        what="dism package",
        marked="reads",
        argv=("dism", "/English", "/Online", "/Get-PackageInfo", "/PackageName:{package}"),
        parse=dism.parse_package,
        parameters=(Parameter("package", dism.package_identity),),
        faults=dism.FAULTS,
        seconds=180,
    ),
    Program(
        what="dism package file",
        marked="reads",
        argv=("dism", "/English", "/Online", "/Get-PackageInfo", "/PackagePath:{path}"),
        parse=dism.parse_package,
        parameters=(Parameter("path", dism.package_path),),
        faults=dism.FAULTS,
        seconds=180,
    ),
    Program(
        what="dism remove package",
        marked="changes",
        argv=("dism", "/English", "/Online", "/Remove-Package", "/PackageName:{package}", "/NoRestart"),
        parse=dism.parse_done,
        parameters=(Parameter("package", dism.package_identity),),
        profile="operator",
        success=(0, dism.RESTART),
        faults=dism.FAULTS,
    ),
    Program(
        what="dism add package",
        marked="changes",
        argv=("dism", "/English", "/Online", "/Add-Package", "/PackagePath:{path}", "/NoRestart"),
        parse=dism.parse_done,
        parameters=(Parameter("path", dism.package_path),),
        profile="operator",
        success=(0, dism.RESTART),
        faults=dism.FAULTS,
    ),
    Program(
        what="auditpol set",
        marked="changes",
        argv=("auditpol", "/set", "/subcategory:{guids}", "/success:{success}", "/failure:{failure}"),
        parse=auditpol.parse_done,
        parameters=(
            Parameter("guids", auditpol.guids),
            Parameter("success", auditpol.parse_switch),
            Parameter("failure", auditpol.parse_switch),
        ),
        profile="operator",
    ),
    Program(
        what="eventcreate",
        marked="changes",
        argv=("eventcreate", "/t", "INFORMATION", "/id", "1", "/l", "APPLICATION", "/so", "hvops", "/d", "{says}"),
        parse=eventcreate.ignore_output,
        parameters=(Parameter("says", eventcreate.parse_message),),
        profile="operator",
        seconds=20,
    ),
)

PROGRAMS: Mapping[str, Program] = MappingProxyType({row.what: row for row in _ROWS})
