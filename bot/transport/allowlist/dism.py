r"""What `dism /English` prints of packages, and the two values that its rows take.

`/Format:List` prints one block of "Name : value" lines per package, and ends with "The operation completed successfully."
[doc, cap]; `/Get-PackageInfo` prints the same of one, "Description : Fix for KB5016622" among it [seen: community.windows
#421]. `/English` is an option of dism itself [doc]. Exit codes are Windows errors, negative ones HRESULTs [doc].
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from bot.api.queries import Value
from bot.api.rows import Row, Rows
from bot.redaction import clip
from bot.transport.allowlist.definitions import BadOutput, lines_of

NOT_APPLICABLE, PERMANENT, UNKNOWN_NAME, PENDING_WORK = 0x800F081E, 0x800F0825, 0x800F0805, 0x800F0823
DENIED = 5
RESTART = 3010  # ERROR_SUCCESS_REBOOT_REQUIRED [doc]
# What an exit code means. The plain ones: winerror.h [doc]. Of servicing: 0805 CBS_E_INVALID_PACKAGE [doc: "Package Manager
# Errors"], which a name that is not in the image gets as well [src]; 081E CBS_E_NOT_APPLICABLE, also where a newer one contains
# it or a feature is missing [src: public cases]; 0823 CBS_E_NEW_SERVICING_STACK_REQUIRED [doc: "Error 0x800f0823 occurs when you
# install Windows updates"], seen with work that is pending, too [src: public cases]; 0825 CBS_E_CANNOT_UNINSTALL: a component
# that is installed in part, says Microsoft [doc: "Windows Update common errors"], a permanent package, says dism.log [src].
FAULTS: Mapping[int, str] = MappingProxyType(
    {
        2: "dism found no such file (error 2).",
        3: "dism found no such folder (error 3).",
        DENIED: (
            "access denied (error 5): an attack surface reduction rule (event 1121 of Microsoft-Windows-Windows"
            " Defender/Operational) or missing rights. hvops tries no other way around it."
        ),
        50: "dism does not support this request there (error 50).",
        87: "dism does not know an option of the request (error 87).",
        740: "dism needs an elevated administrator (error 740).",
        0x80070002: "dism found no such file (0x80070002).",
        0x80070003: "dism found no such folder (0x80070003).",
        NOT_APPLICABLE: (
            "0x800F081E, which has three meanings and does not tell which: the package does not apply to this Windows, a"
            " newer package that is installed contains it, or the feature that it updates is missing."
        ),
        PERMANENT: (
            "0x800F0825: Windows cannot remove the package. It is permanent, or a component of it is installed in part, which"
            " Microsoft calls a damaged component store; dism.log on the node tells which."
        ),
        UNKNOWN_NAME: "0x800F0805: Windows knows no package of that name, or the file is no valid package.",
        PENDING_WORK: (
            "0x800F0823: the package needs a newer servicing stack, or earlier servicing work waits for a restart."
        ),
    }
)
_IDENTITY = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9_.()-]{0,120}~[0-9a-f]{16}~[A-Za-z0-9_]{1,12}~[A-Za-z-]{0,12}~[0-9]{1,9}(\.[0-9]{1,9}){3}",
    re.ASCII,
)
# A .cab, or the update.mum of an expanded update, on a local drive.
_PATH = re.compile(
    r"[A-Za-z]:(\\(?!\.)[A-Za-z0-9_.()+-]{1,100}(?<!\.)){1,12}(?:\.cab|\\update\.mum)", re.IGNORECASE | re.ASCII
)
_PAIR = re.compile(r"([A-Z][A-Za-z -]{1,40}?) : ?(.*)", re.ASCII)
_JOINED = re.compile(r"(?<=[a-z])(?=[A-Z])", re.ASCII)  # where dism joins two words: UninstallPending [cap]
_DONE = "The operation completed successfully."
_MOST = 5_000  # packages
_LONGEST = 300  # characters of a value


def package_identity(value: Value) -> str:
    """A package's identity as dism lists it: name, key, architecture, language, version. Raises ValueError."""
    if not isinstance(value, str) or not _IDENTITY.fullmatch(value):
        raise ValueError("takes the identity of a package as dism lists it")
    return value


def package_path(value: Value) -> str:
    r"""The path of a package that dism takes online: C:\stage\x.cab, C:\stage\x\update.mum; an .msu is none [doc]. Raises ValueError."""
    if not isinstance(value, str) or not _PATH.fullmatch(value) or ".." in value:
        raise ValueError("takes the local path of a .cab, or of the update.mum of an expanded update")
    return value


def parse_packages(output: str) -> Rows:
    """Rows {identity, state, release}, in the order of the list. A state is as dism words it, with blanks: "Uninstall Pending".

    Raises:
        BadOutput: it breaks off, has no package at all, has a block without identity or state, or is too long.
    """
    rows: list[Row] = []
    for block in _blocks(output):
        if not block.get("State"):
            raise BadOutput("dism listed a package without its state")
        state = _JOINED.sub(" ", block["State"])
        rows.append({"identity": block["Package Identity"], "state": state, "release": block.get("Release Type", "")})
    if not rows:  # no Windows has none
        raise BadOutput("dism listed no package at all")
    if len(rows) > _MOST:
        raise BadOutput(f"dism listed more than {_MOST:,} packages")
    return tuple(rows)


def parse_package(output: str) -> Rows:
    """One row {identity, state, applicable, description, release} of one package. Raises BadOutput."""
    blocks = _blocks(output)
    if len(blocks) != 1:
        raise BadOutput("dism told of more than one package, or of none")
    block = blocks[0]
    return (
        {
            "identity": block["Package Identity"],
            "state": block.get("State", ""),
            "applicable": block.get("Applicable", ""),
            "description": block.get("Description", ""),
            "release": block.get("Release Type", ""),
        },
    )


def parse_done(output: str) -> Rows:
    """No rows: the exit code has said it, and how things are is asked of the list afterwards."""
    del output
    return ()


def _blocks(output: str) -> list[dict[str, str]]:
    """The lines of each package, by name. Raises BadOutput where the end is missing."""
    lines = [line.strip() for line in lines_of(output)]
    if _DONE not in lines[-6:]:
        raise BadOutput("what dism printed breaks off before its last line")
    found: list[dict[str, str]] = []
    for line in lines:
        pair = _PAIR.fullmatch(line)
        if pair is None:
            continue
        name, value = pair[1], clip(pair[2].strip(), _LONGEST)
        if name == "Package Identity":
            if not _IDENTITY.fullmatch(value):
                raise BadOutput("dism named a package that hvops cannot read")
            found.append({})
        if found:
            found[-1].setdefault(name, value)
    return found
