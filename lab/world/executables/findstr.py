"""`findstr /C:text file`: lines of the few text files that practice machines have.

Exit codes: 0 where a line was found, 1 where none was, or the file cannot be opened [mem]; with one file named, lines
are printed without its name [doc]. Windows Setup's own log is English in every language of Windows [mem].
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.windows.machine_protocol import Output
from lab.world.model import Windows
from lab.world.wmi_providers.system import installed_at

SETUP_LOG = "c:\\windows\\panther\\setupact.log"


def run(windows: Windows, arguments: Sequence[str]) -> Output:
    """Print the lines of the file that hold the text, as it is written."""
    wanted = [word[3:] for word in arguments if word.casefold().startswith("/c:")]
    files = [word for word in arguments if not word.startswith("/")]
    if len(wanted) != 1 or len(files) != 1:
        return Output("", "FINDSTR: Bad command line\r\n", exit_code=2)
    content = setup_log(windows) if files[0].casefold() == SETUP_LOG else None
    if content is None:
        return Output("", f"FINDSTR: Cannot open {files[0]}\r\n", exit_code=1)
    found = [line for line in content if wanted[0] in line]
    return Output("".join(f"{line}\r\n" for line in found), exit_code=0 if found else 1)


def setup_log(windows: Windows) -> tuple[str, ...]:
    """What Windows Setup wrote when it was installed: of its thousands of lines those about the firmware, and two others."""
    uefi = any(volume.kind == "efi" for volume in windows.volumes)
    word = ("UEFI" if windows.release.at_least("2012") else "EFI") if uefi else "BIOS"  # [doc, seen]
    at = f"{installed_at(windows):%Y-%m-%d %H:%M:%S}"
    return (
        f"{at}, Info                  IBS    InstallWindows:Install Path = C:\\Windows",
        f"{at}, Info                  IBS    Callback_BootEnvironmentDetect:FirmwareType {2 if uefi else 1}.",
        f"{at}, Info                  IBS    Callback_BootEnvironmentDetect: Detected boot environment: {word}",
        f"{at}, Info       [0x0601c1] IBS    InstallWindows:Exit, setup is done.",
    )
