"""The string with which a driver is told where to go. Pure; every value is checked or quoted.

Microsoft's driver reads braces as ODBC says, with a closing one doubled. FreeTDS ends a braced value at "};" and doubles
nothing, and misreads the last value when no semicolon follows it [cap: 1.3.17].
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from bot.config.inventory_file import Vmm
from bot.errors import PolicyViolation

PREFERRED = ("ODBC Driver 18 for SQL Server", "ODBC Driver 17 for SQL Server", "FreeTDS")
APPLICATION = "hvops"
_FREETDS = re.compile(r"freetds|tdsodbc", re.IGNORECASE)
_TDS = "7.4"


@dataclass(frozen=True, slots=True)
class DatabaseLogin:
    """The login to a database: one of SQL Server's own, or the ticket of the bot's account."""

    kind: Literal["sql", "kerberos"]
    username: str = ""
    password: str = field(default="", repr=False)


def connection_string(vmm: Vmm, login: DatabaseLogin, installed: list[str]) -> str:
    """The string. Raises PolicyViolation: no driver, or one that cannot do what the inventory asks for."""
    driver = vmm.driver or next((name for name in PREFERRED if name in installed), "")
    if not driver:
        raise PolicyViolation(
            vmm.name, "no ODBC driver for SQL Server is installed here.", "Install msodbcsql18 or tdsodbc."
        )
    is_free = bool(_FREETDS.search(driver))
    told = {"DRIVER": driver, **(_freetds(vmm) if is_free else _microsoft(vmm)), "DATABASE": vmm.database}
    told |= {"APP": APPLICATION}
    told |= (
        {"Trusted_Connection": "Yes"} if login.kind == "kerberos" else {"UID": login.username, "PWD": login.password}
    )
    return "".join(f"{key}={_quoted(vmm.name, value, is_free=is_free)};" for key, value in told.items())


def _microsoft(vmm: Vmm) -> dict[str, str]:
    server = f"{vmm.server}\\{vmm.instance}" if vmm.instance else f"tcp:{vmm.server},{vmm.port}"
    return {
        "SERVER": server,
        "Encrypt": "yes",
        "TrustServerCertificate": "yes" if vmm.trust_certificate else "no",
    }


def _freetds(vmm: Vmm) -> dict[str, str]:
    if not vmm.trust_certificate:
        raise PolicyViolation(
            vmm.name,
            "the driver FreeTDS does not verify the database server's certificate.",
            "Install Microsoft's driver (msodbcsql18), or write trust_certificate = true below [vmm] in the inventory.",
        )
    place = (
        {"SERVER": f"{vmm.server}\\{vmm.instance}"} if vmm.instance else {"SERVER": vmm.server, "PORT": str(vmm.port)}
    )
    return {**place, "TDS_Version": _TDS, "Encryption": "require", "ClientCharset": "UTF-8"}


def _quoted(on: str, value: str, *, is_free: bool) -> str:
    """A value in braces. Raises PolicyViolation for what the driver could not be told."""
    if not is_free:
        return "{" + value.replace("}", "}}") + "}"
    if "};" in value:
        raise PolicyViolation(on, "the driver FreeTDS takes no value with '};' in it.", "Choose another password.")
    return "{" + value + "}"
