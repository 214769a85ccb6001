"""What dism prints, what its exit codes mean, and what its rows take."""

from __future__ import annotations

import pytest

from bot.api.actions import RunProgram
from bot.api.queries import make_params
from bot.errors import TargetFault
from bot.transport.allowlist import PROGRAMS, BadOutput, dism
from bot.transport.windows.host_operations import Output
from bot.transport.windows.program_output import rows_of

ONE = "Package_for_KB2616676~31bf3856ad364e35~amd64~~6.1.2.0"
LIST = f"""
Deployment Image Servicing and Management tool
Version: 6.1.7600.16385

Image Version: 6.1.7600.16385

Packages listing:

Package Identity : {ONE}
State : Installed
Release Type : Security Update
Install Time : 9/15/2011 3:00 AM

Package Identity : Microsoft-Windows-Foundation-Package~31bf3856ad364e35~amd64~~6.1.7601.17514
State : Uninstall Pending
Release Type : Foundation
Install Time :

The operation completed successfully.
""".replace("\n", "\r\n")


def test_packages_are_read_with_their_state():
    assert dism.parse_packages(LIST) == (
        {"identity": ONE, "state": "Installed", "release": "Security Update"},
        {
            "identity": "Microsoft-Windows-Foundation-Package~31bf3856ad364e35~amd64~~6.1.7601.17514",
            "state": "Uninstall Pending",
            "release": "Foundation",
        },
    )


def test_a_state_whose_words_are_joined_is_told_as_any_other():
    """Checks compare it with the words of the enumeration."""
    joined = LIST.replace("Uninstall Pending", "UninstallPending")
    assert joined != LIST
    assert dism.parse_packages(joined) == dism.parse_packages(LIST)


@pytest.mark.parametrize(
    "output",
    [
        "",
        LIST[: LIST.index("The operation")],
        LIST[: LIST.index("Package Identity")] + LIST[LIST.index("The operation") :],
        LIST.replace("State : Installed\r\n", ""),
        LIST.replace(ONE, "<!channel> ~x~y"),
        LIST.replace(ONE, "Package_for_KB২616676~31bf3856ad364e35~amd64~~6.1.2.0"),
    ],
)
def test_a_list_that_breaks_off_or_cannot_be_read_is_none(output):
    with pytest.raises(BadOutput):
        dism.parse_packages(output)


def test_one_package_is_read_and_two_are_none():
    told = f"Package Identity : {ONE}\r\nApplicable : No\r\nDescription : Fix for KB2616676\r\nState : Staged\r\n\r\n{dism._DONE}\r\n"
    (row,) = dism.parse_package(told)
    assert (row["identity"], row["applicable"], row["description"], row["state"]) == (
        ONE,
        "No",
        "Fix for KB2616676",
        "Staged",
    )
    with pytest.raises(BadOutput):
        dism.parse_package(told.replace("State", f"Package Identity : {ONE}\r\nState"))


@pytest.mark.parametrize(
    "identity",
    [
        "KB2616676",
        "",
        f"{ONE} /NoRestart",
        f"/{ONE}",
        ONE.replace("~", "/"),
        ONE + "\n",
        7,
        None,
        ONE.replace("6.1", "৬.1"),
    ],
)
def test_what_is_no_identity_or_path_is_refused(identity):
    with pytest.raises(ValueError, match="takes the identity"):
        PROGRAMS["dism remove package"].command_line(make_params(package=identity))
    with pytest.raises(ValueError, match="takes the local path"):
        PROGRAMS["dism add package"].command_line(make_params(path=identity))


@pytest.mark.parametrize(
    ("path", "is_taken"),
    [
        (r"C:\hvops\KB2607712.cab", True),
        (r"D:\a\b\update.mum", True),
        (r"C:\hvops\KB2607712.msu", False),
        (r"\\fs01\share\KB2607712.cab", False),
        (r"C:\hvops\..\KB2607712.cab", False),
        (r"C:\hvops\x.cab /ScratchDir:C:\y.cab", False),
        (r"C:\hvops\other.mum", False),
    ],
)
def test_only_a_local_cab_or_an_expanded_update_is_a_path(path, is_taken):
    if is_taken:
        words = PROGRAMS["dism add package"].command_line(make_params(path=path))
        assert words == ("dism", "/English", "/Online", "/Add-Package", f"/PackagePath:{path}", "/NoRestart")
    else:
        with pytest.raises(ValueError, match="takes the local path"):
            PROGRAMS["dism add package"].command_line(make_params(path=path))


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (-2146498530, "0x800F081E, which has three meanings"),
        (0x800F081E, "0x800F081E, which has three meanings"),
        (-2146498523, "0x800F0825: Windows cannot remove the package. It is permanent, or"),
        (-2146498555, "0x800F0805: Windows knows no package of that name"),
        (-2146498525, "0x800F0823: the package needs a newer servicing stack"),
        (5, "access denied (error 5): an attack surface reduction rule (event 1121"),
        (1726, "RPC"),
    ],
)
def test_each_exit_code_has_its_own_words(code, says):
    row, action = PROGRAMS["dism add package"], RunProgram("hv02", "dism add package")
    with pytest.raises(Exception, match="hv02") as raised:
        rows_of("hv02", row, action, Output("Error", "", code))
    assert says in str(raised.value)
    if says != "RPC":
        assert isinstance(raised.value, TargetFault)


@pytest.mark.parametrize("code", [0, 3010])
def test_a_restart_that_is_wanted_is_a_success(code):
    row, action = PROGRAMS["dism add package"], RunProgram("hv02", "dism add package")
    assert rows_of("hv02", row, action, Output("Restart Windows to complete this operation.", "", code)) == ()
