"""The WS-Management, Win32 and WMI codes that hosts answer with, and what each means to an operator.

Sources: wsmerror.h of the Windows SDK (numbers and names), MS-WSMV, "WMI Error Constants" of the WMI SDK [doc]. The
sentences are ours. A code that is not here is shown as a number with the host's own words.
"""

from __future__ import annotations

from typing import NamedTuple

from bot.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    MalformedResponse,
    NotFound,
    QuotaExceeded,
    TargetError,
    TargetFault,
    TargetTimeout,
)


class Known(NamedTuple):
    """A code we know: which error it is, the sentence, what to do about it, and of a refused login whose word that is.

    `is_only_there`: as of `AuthenticationFailed`.
    """

    error: type[TargetError]
    says: str
    do: str = ""
    is_only_there: bool = False


_RIGHTS = "Add the account to Remote Management Users (or Administrators) there, and give it Remote Enable on the WMI namespace."
_SHELLS = "Look with `winrm enumerate shell` there for shells that somebody forgot, or raise MaxShellsPerUser."
_SLOWER = "Ask again in a minute, or raise the quota in winrm/config there."
_OURS = "This is a fault of hvops: please report it."

_BEHIND = "See that the service which answers for it runs there: ClusSvc for the cluster, vmms for Hyper-V."
_PLAIN = 0x10000  # Win32 codes are below it
_HRESULT = 0x80070000  # FACILITY_WIN32: the Win32 code stands in the lower half [doc: HRESULT_FROM_WIN32]


def _denied(says: str, do: str = _RIGHTS) -> Known:
    """What a host says of an account that it has let in."""
    return Known(AuthenticationFailed, says, do, is_only_there=True)


# RPC between WinRM or a provider there and a service, there or on another node [doc: winerror.h]. Nobody refused anything.
RPC: dict[int, Known] = {
    1722: Known(
        ConnectionFailed, "a service that the request needs cannot be reached there (RPC server unavailable).", _BEHIND
    ),
    1723: Known(QuotaExceeded, "a service that the request needs is too busy there (RPC).", _SLOWER),
    1726: Known(
        ConnectionFailed, "a service that the request needs broke the call off there (RPC call failed).", _BEHIND
    ),
    1727: Known(ConnectionFailed, "a service that the request needs did not take the call there (RPC).", _BEHIND),
    1753: Known(ConnectionFailed, "a service that the request needs does not listen there (no RPC endpoint).", _BEHIND),
}

OPERATION_TIMED_OUT = 2150858793  # a Receive that had nothing to deliver yet
PULL_TIMED_OUT = 2150858780  # the enumeration is still valid
STALE_CONTEXT = 2150858779
UNKNOWN_SHELL = 2150858843

KNOWN: dict[int, Known] = {
    # Win32
    5: _denied("the login is good, but the account may not do this there."),
    87: Known(TargetFault, "it calls a parameter of the request wrong."),
    995: Known(TargetTimeout, "it broke the operation off."),
    1326: Known(AuthenticationFailed, "user name or password is wrong.", "Check the credentials in the settings."),
    1331: Known(AuthenticationFailed, "the account is disabled.", "Enable it, or set another in the settings."),
    1909: Known(AuthenticationFailed, "the account is locked out.", "Unlock it before asking again."),
    2147942402: Known(NotFound, "it has no such program or file."),
    2147942405: _denied("the login is good, but the account may not do this there."),
    # WS-Management
    2150858752: Known(NotFound, "it has no such object, class or namespace."),
    2150858770: Known(
        ConnectionFailed, "the WinRM service cannot be reached behind its listener.", "Check the service there."
    ),
    2150858771: Known(TargetFault, "it does not know this operation."),
    2150858778: Known(NotFound, "it does not know this class, or one of the columns asked for."),
    STALE_CONTEXT: Known(MalformedResponse, "it has forgotten the enumeration half-way.", "Ask again."),
    PULL_TIMED_OUT: Known(TargetTimeout, "it found no more rows in time."),
    OPERATION_TIMED_OUT: Known(TargetTimeout, "it could not complete the operation in time."),
    2150858806: Known(
        AuthenticationFailed, "it could not verify the login.", "Check the credentials and the host's clock."
    ),
    2150858815: Known(QuotaExceeded, "WinRM there is busy with other requests.", _SLOWER),
    2150858823: Known(
        TargetFault, "it does not allow answers of 150 KB.", "Set MaxEnvelopeSizekb to 150 or more there."
    ),
    2150858824: Known(TargetFault, "one single row is larger than 150 KB."),
    2150858825: Known(
        TargetFault, "one single row is larger than the host's own limit.", "Raise MaxEnvelopeSizekb there."
    ),
    2150858842: Known(TargetFault, "the keys asked for do not name one object.", _OURS),
    UNKNOWN_SHELL: Known(NotFound, "it does not know the object named in the request any more."),
    2150858844: Known(TargetFault, "a key has the wrong type.", _OURS),
    2150858845: Known(TargetFault, "a key has a value it cannot have.", _OURS),
    2150858878: Known(TargetFault, "it calls the answer size asked for too small.", _OURS),
    2150859002: Known(TargetFault, "objects of this class need a key.", _OURS),
    2150859003: Known(TargetFault, "the query was sent to a class instead of the namespace.", _OURS),
    2150859009: Known(TargetFault, "the object refers to one on another machine, which WinRM does not hand out."),
    2150859010: Known(TargetFault, "the WMI provider there cannot do this."),
    2150859012: _denied("WMI there denies access to the account."),
    2150859013: _denied("the WMI provider there denies access to the account."),
    2150859014: _denied("the account may not connect to WMI there."),
    2150859038: Known(TargetFault, "the WMI provider there calls a parameter wrong."),
    2150859173: Known(QuotaExceeded, "the account has too many shells open there.", _SHELLS),
    2150859174: Known(QuotaExceeded, "the account has too many operations running there.", _SLOWER),
    2150859175: Known(QuotaExceeded, "the account has used up its load quota there.", _SLOWER),
    2150859176: Known(QuotaExceeded, "the load quota of the whole host is used up.", _SLOWER),
    2150859177: _denied("the rights of the account changed since its last login.", "Ask again."),
    2150859179: Known(QuotaExceeded, "too many users have shells open there.", _SLOWER),
    2150859180: Known(
        TargetFault, "remote shells are switched off there.", "Set AllowRemoteShellAccess to true there."
    ),
    2150859236: Known(QuotaExceeded, "the account has too many shells open there.", _SHELLS),
    2150859237: Known(QuotaExceeded, "too many users run remote operations there.", _SLOWER),
    2150859238: Known(QuotaExceeded, "too many shells of this kind are open there.", _SHELLS),
    2150859239: Known(QuotaExceeded, "too many operations of this kind are running there.", _SLOWER),
    2150859240: Known(QuotaExceeded, "the account has too many operations running there.", _SLOWER),
    2150859241: Known(QuotaExceeded, "too many programs are running in one shell there.", _SLOWER),
    2150859242: Known(QuotaExceeded, "it has too few resources left for the request.", _SLOWER),
    # WMI
    0x80041001: Known(TargetFault, "WMI there failed without saying why."),
    0x80041002: Known(NotFound, "it has no such object."),
    0x80041003: _denied("WMI there denies access to the account."),
    0x80041004: Known(TargetFault, "the WMI provider there failed."),
    0x80041008: Known(TargetFault, "WMI there calls a parameter wrong."),
    0x8004100C: Known(TargetFault, "WMI there does not support this."),
    0x8004100E: Known(NotFound, "it has no such WMI namespace: the role or feature is not installed."),
    0x80041010: Known(NotFound, "it has no such WMI class: an older Windows, or the role is not installed."),
    0x80041013: Known(
        TargetFault, "WMI there could not load the provider.", "Restart the service Winmgmt in a quiet hour."
    ),
    0x80041017: Known(NotFound, "it does not know one of the columns asked for."),
    0x8004102E: Known(NotFound, "the class there has no such method."),
    0x8004102F: Known(TargetFault, "the method there takes other parameters."),
    0x80041032: Known(TargetFault, "WMI there broke the call off."),
    0x80041033: Known(ConnectionFailed, "WMI there is shutting down.", "Ask again in a minute."),
    0x80041062: _denied("the account lacks a privilege that this needs."),
    0x80041069: Known(TargetTimeout, "WMI there did not finish in time."),
    0x8004106C: Known(QuotaExceeded, "WMI there has run out of its own quotas.", _SLOWER),
    0x80041087: _denied("this WMI namespace takes only encrypted connections.", "Use Kerberos, NTLM or TLS."),
}

# Errors of the cluster service, which its WMI provider reports as HRESULTs made of them [inf]; their meaning: Microsoft's list
# of system errors and the pages of its control codes [doc].
CLUSTER: dict[int, Known] = {
    1: Known(TargetFault, "the cluster there does not know this control code, or not for this resource (1)."),
    170: Known(TargetFault, "the cluster calls what it is about busy (170), as during a migration or a backup."),
    5023: Known(
        TargetFault,
        "the cluster calls it in the wrong state for this (5023): a virtual machine moves live only while it runs.",
    ),
    5042: Known(TargetFault, "the cluster has no node of that name (5042)."),
    5908: Known(TargetFault, "the role is being moved already (5908)."),
    5957: Known(TargetFault, "the other node does not have enough resources for it (5957)."),
    5960: Known(TargetFault, "one of its resources is locked (5960), as while a backup holds it."),
}
KNOWN |= {_HRESULT + code: known for code, known in CLUSTER.items()}

KNOWN |= RPC | {_HRESULT + code: known for code, known in RPC.items()}
KNOWN |= {
    0x80010108: Known(ConnectionFailed, "the object that the request needs is disconnected there.", "Ask again."),
    0x800401FD: Known(ConnectionFailed, "the object that the request needs has gone there.", "Ask again."),
}

SUBCODES: dict[str, Known] = {  # WinRM 1.1 gives nothing else
    "AccessDenied": KNOWN[5],
    "QuotaLimit": KNOWN[2150858815],
    "TimedOut": KNOWN[OPERATION_TIMED_OUT],
    "CannotProcessFilter": KNOWN[2150858778],
    "InvalidEnumerationContext": KNOWN[STALE_CONTEXT],
    "DestinationUnreachable": KNOWN[2150858752],
    "FailedAuthentication": KNOWN[2150858806],
}

# The answers by which nothing of an action was begun. Any other, and a code that is not known here, may come from a provider
# that has begun it: a move that goes on is reported as a general error [src: os-win], a generic failure tells nothing, and with
# 1115 (a shutdown is in progress) a restart may be answered that was taken [doc: winerror.h]. Not among them on purpose:
# 0x80338048 and 0x80338049, by which the *answer* was too long, and whatever RPC reports.
REFUSALS: frozenset[int] = frozenset(
    {
        # Win32 [doc: winerror.h]: access denied; invalid parameter; logon failure, account disabled, locked out; no privilege.
        *(5, 87, 1314, 1326, 1331, 1909),
        0x80070005,
        # WS-Management, of the envelope, before any provider is asked [doc: wsmerror.h]: no such resource; unknown action; no
        # such class; the login is not verified; selectors; a parameter; the asked envelope size, above the limit or too small; keys.
        *(0x80338000, 0x80338013, 0x8033801A, 0x80338036, 0x8033805A, 0x8033805B, 0x8033805C, 0x8033805D),
        *(0x8033803A, 0x80338047, 0x8033807E, 0x803380FA, 0x803380FB),
        # The provider is not capable; access denied by WMI, by the provider, at the connection; a wrong parameter [doc].
        *(0x80338102, 0x80338104, 0x80338105, 0x80338106, 0x8033811E),
        # Quotas, and remote shells that are switched off [doc: wsmerror.h].
        *(0x8033803F, 0x803381A5, 0x803381A6, 0x803381A7, 0x803381A8, 0x803381A9, 0x803381AB, 0x803381AC),
        *(0x803381E4, 0x803381E5, 0x803381E6, 0x803381E7, 0x803381E8, 0x803381E9, 0x803381EA),
        # WMI [doc: WMI Error Constants]: no such object; access denied; invalid parameter; not supported; invalid namespace and
        # class; the provider could not be loaded; invalid query; invalid method and its parameters; privilege; quota; encryption.
        *(0x80041002, 0x80041003, 0x80041008, 0x8004100C, 0x8004100E, 0x80041010, 0x80041013, 0x80041017),
        *(0x8004102E, 0x8004102F, 0x80041062, 0x8004106C, 0x80041087),
        # The cluster service [doc: System Error Codes]; that it reports them as HRESULTs is [inf]. Unknown control code; busy;
        # the wrong state; no such node; "unable to accept the request since it is moving"; too few resources; locked.
        *(_HRESULT + code for code in (1, 170, 5023, 5042, 5908, 5957, 5960)),
    }
)

# What the methods of a class return, where that is no error code of Windows: 5 is no refused login there.
RETURNS: dict[str, dict[int, str]] = {
    "Win32_Service": {  # [doc] StopService, StartService
        1: "the request is not supported",
        2: "the account may not do this with the service",
        3: "other services that run depend on it, and have to be stopped first",
        4: "the service does not know this request, or does not accept it",
        5: "the service accepts no such request in the state it is in",
        6: "the service is not started",
        7: "the service did not answer in time",
        8: "unknown failure",
        9: "the program of the service was not found",
        10: "the service runs already",
        11: "the database of services is locked",
        12: "a service that it depends on is gone",
        13: "a service that it depends on was not found or did not start",
        14: "the service is disabled",
        15: "the account of the service could not log on",
        16: "the service is marked for deletion",
        17: "the service has no thread",
        18: "the services depend on each other in a circle",
        19: "another service has that name",
        20: "the name has characters that no service's name may have",
        21: "it calls a parameter wrong",
        22: "the account of the service is not valid, or may not run it",
        23: "the service exists already",
        24: "the service is paused already",
    },
    "Win32_OperatingSystem": {  # [doc] Reboot: system error codes
        5: "the account may not restart it",
        1115: "it is shutting down already",
        1314: "the login has no privilege to shut it down from a remote system",
    },
}
_MSVM: dict[int, str] = {  # [doc] RequestStateChange and its like; those below 4096 are DMTF's
    1: "it is not supported",
    2: "it failed",
    3: "it was not done in time",
    4: "it calls a parameter wrong",
    5: "the machine is in a state in which this cannot be done",
    4096: "a job was started, and has not ended",
    4097: "from the present state there is no way to the one asked for",
    4098: "no time limit can be set for it",
    4099: "the machine is busy",
    32768: "it failed",
    32769: "the account may not do this with the machine",
    32770: "it is not supported",
    32771: "the state is not known",
    32772: "it was not done in time",
    32773: "it calls a parameter wrong",
    32774: "the machine is in use",
    32775: "the machine is in a state in which this cannot be done",
    32776: "a parameter has the wrong type",
    32777: "the machine is not available",
    32778: "memory has run out",
    32779: "a file was not found",
}
# The return values among them by which nothing was begun [doc: StopService, StartService, Reboot, RequestStateChange]. Not so a
# service that did not answer in time (7), failed without a reason (8), or whose dependencies would not start (13); a host that
# shuts down already (1115); a machine of which a job failed, is not known or was not done in time.
REFUSING_RETURNS: dict[str, frozenset[int]] = {
    "Win32_Service": frozenset(RETURNS["Win32_Service"]) - {7, 8, 13},
    "Win32_OperatingSystem": frozenset({5, 1314}),
}
_REFUSING_MSVM = frozenset({1, 4, 5, 4097, 4098, 4099, 32769, 32770, 32773, 32774, 32775, 32776, 32777})
# Classes whose methods return what Windows itself calls an error: Win32 codes, or HRESULTs [doc] StdRegProv; [mem] MSCluster.
_RETURN_ERRORS = ("StdRegProv", "MSCluster_")


def meaning_of_return(cls: str, returned: int) -> str | None:
    """What a method of the class means by a return value that is no success; None where it is an error of Windows.

    A number means something only together with the class that it is from: 5 is no refused login where a service says it.
    """
    if cls.startswith(_RETURN_ERRORS):
        return None
    table = RETURNS.get(cls) or (_MSVM if cls.startswith("Msvm_") else {})
    return table.get(returned, "the documents have no meaning for it")


def is_refusing_return(cls: str, returned: int) -> bool:
    """Whether a return value of a method of the class says that nothing was begun; False for one that is not listed."""
    if cls.startswith(_RETURN_ERRORS):
        return returned in REFUSALS or (0 < returned < _PLAIN and _HRESULT + returned in REFUSALS)
    return returned in REFUSING_RETURNS.get(cls, _REFUSING_MSVM if cls.startswith("Msvm_") else frozenset())
