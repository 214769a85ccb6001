"""What a database, or the driver on the way to it, says went wrong -> the error tree. Pure.

The server's own number tells most; where there is none, the SQLSTATE does [doc: ODBC appendix A, sys.messages]. Drivers
differ: a refused connection is 08001 in one and HYT00 in the other, a refused login 28000 or 42000 with number 18456 [cap].
"""

from __future__ import annotations

import re

from bot.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    MalformedResponse,
    NotFound,
    PolicyViolation,
    TargetError,
    TargetFault,
    TargetTimeout,
)
from bot.redaction import clip_line, clip_middle, strip_end
from bot.transport.connection_reasons import TLS, unpack_tls_reason

_PACKED = re.compile(r"\berror:([0-9A-Fa-f]{8}):")  # OpenSSL's own code, as drivers print it [cap]
_FUNCTION = re.compile(r"\((SQL\w+)\)")  # of ODBC, as pyodbc adds it
_NATIVE = re.compile(r"\((-?[0-9]{1,10})\) \(SQL\w+\)|\((-?[0-9]{1,10})\);? \[")
_PREFIX = re.compile(r"^(?:\[[^\]]*\]\s*)+")
_TAIL = re.compile(r"\(-?[0-9]{1,10}\)(?:\s{0,8}\(SQL\w{1,40}\)|;? \[)")  # and all that follows
_LONGEST = 1_000  # characters of either end that are looked at
_LONGEST_WHOLE = 2**16  # characters of what is handed on whole; a message of TDS has 32,767 at most [doc]

_LOGIN = "Check [credentials.vmm] in the settings, and that the server accepts this kind of login."
_RIGHTS = "Give the login the rights in deploy/rights.md."
_SERVER = "Check server, port and instance below [vmm] in the inventory, and that no firewall blocks the connection."
_SCHEMA = "This VMM may be of a version that hvops does not know."
_DRIVER = "Install msodbcsql18 or tdsodbc, or name another driver below [vmm] in the inventory."
_TRUST = "Let an authority that this machine trusts sign it, or write trust_certificate = true below [vmm]."

LOCK_TIMEOUT, DEADLOCK = 1222, 1205
_KEPT_OUT = "Wait until its administrators let others in again."
_DEFAULT = ("the default database of the login cannot be opened", "Give the login a default database that is there.")
# Why SQL Server lets a login not in, by its number [doc: sys.messages], and what to do about it.
LOGINS: dict[int, tuple[str, str]] = {
    4060: (
        "the login holds, but opens no database of this name",
        "Check database below [vmm] in the inventory, and that the login is a user of it (deploy/rights.md#vmm).",
    ),
    4062: _DEFAULT,
    4064: _DEFAULT,
    18450: ("it is no login that the server takes over a trusted connection", _LOGIN),
    18451: ("only administrators may connect at this time", _KEPT_OUT),
    18452: (
        "it is of a domain that the server does not trust, or the server takes only logins of Windows",
        'Compare login below [credentials.vmm] with what the server accepts ("sql" or "kerberos").',
    ),
    18456: ("", _LOGIN),  # which of them is wrong is told to nobody, on purpose
    18461: ("the server is in single-user mode, and somebody is in", _KEPT_OUT),
    18470: ("the login is disabled", "Enable it (ALTER LOGIN … ENABLE)."),
    18486: ("the login is locked out", "Unlock it before asking again (ALTER LOGIN … UNLOCK)."),
    18487: ("its password has expired", "Set a new one for the login, and in the settings."),
    18488: ("its password must be changed at the first login", "Set a new one for the login, and in the settings."),
}
_DENIED = {229, 230, 262, 297, 300, 916}
_ABSENT = {207, 208, 911, 2812, 4104}
_OTHER_TYPE = {206, 241, 245, 257, 8114, 8169}
_LATE = {"HYT00", "HYT01", "HY008", "S1T00"}
_GONE = {"08001", "08S01", "08004", "08007", "08003", "01002", "01000"}
_NO_LOGIN = "28000"
_NO_MEMORY = "HY001"  # [doc]: memory allocation error
_NO_DRIVER = {"IM002", "IM003", "IM004"}
_MANAGER, _SERVER_SAID = "[Driver Manager]", "[SQL Server]"  # components that a sentence is from [doc]
_WARNING = "01000"  # of the driver manager: a driver that it cannot load [cap]
_CONNECT, _ANOTHER = "SQLDriverConnect", "SQLExecDirectW"
TOO_LONG = "it said more than any database does"
_FREETDS_OWN = range(20_000, 21_000)  # FreeTDS's client library: 20009 unreachable, 20017 end of stream [cap]


class DriverError(Exception):
    """What a driver raised, for `from_database`.

    Attributes:
        said: what `to_texts` makes of it.
        seconds: how long was waited.
    """

    def __init__(self, said: tuple[str, ...], seconds: float) -> None:
        super().__init__(*said)
        self.said, self.seconds = said, seconds


def to_texts(args: tuple[object, ...]) -> tuple[str, ...]:
    """What pyodbc raises, for the process that has the masks, which alone may cut it: half a secret is found by no mask.

    It stays whole. Of what is longer than any honest one no word is handed on, but what it means.
    """
    texts = tuple(map(str, args[:2]))
    if sum(map(len, texts)) <= _LONGEST_WHOLE:
        return texts
    state, number, _ = read(args)
    speaks = _SERVER_SAID if number else ""
    function = _CONNECT if _CONNECT in _FUNCTION.findall(_text(args)) else _ANOTHER
    return state, f"[{state}] {speaks}{TOO_LONG} ({number}) ({function})"


def read(args: tuple[object, ...]) -> tuple[str, int, str]:
    """SQLSTATE, the server's number (0 for none) and the sentence, out of what pyodbc raises."""
    state = str(args[0])[:5] if args else ""
    text = _text(args) or state
    found = _NATIVE.search(text)
    number = int(found[1] or found[2]) if found else 0
    if _SERVER_SAID not in _components(text) or number in _FREETDS_OWN:
        number = 0  # the driver's own, which says nothing in the server's terms
    says = _PREFIX.sub("", text)
    tail = _TAIL.search(says)
    return state, number, (says[: tail.start()] if tail else says).strip()


def _text(args: tuple[object, ...]) -> str:
    """What the driver says: the beginning, where the sentence is, and the end, where the driver adds its own.

    A server's sentence may have 32,000 characters, and a search holds Python's lock to its end.
    """
    text = str(args[1]) if len(args) > 1 else ""
    return clip_middle(text, 2 * _LONGEST + 1, _LONGEST, " ")


def from_database(on: str, args: tuple[object, ...], seconds: float = 0) -> TargetError:
    """The error of ours. `args` are those of pyodbc's exception, `seconds` how long was waited."""
    state, number, says = read(args)
    if number == LOCK_TIMEOUT:
        return TargetTimeout(on, "somebody else has that row locked, and did not let go in time.", "Ask again.")
    if number == DEADLOCK:
        met = "its transaction met another one's, and the database rolled ours back (deadlock)."
        return TargetFault(on, met, "Ask again.", code=number)
    if number in LOGINS or (state == _NO_LOGIN and number <= 0):
        why, do = LOGINS.get(number, ("", _LOGIN))
        told = f" ({number})" if number in LOGINS else ""
        return AuthenticationFailed(on, f"the database refused the login{told}{why and f': {why}'}.", do)
    if state == _NO_LOGIN:
        return AuthenticationFailed(on, f"the database refused the login ({number}): {_short(says)}")
    return _by_number(on, number, says) or _by_driver(on, args, seconds) or _by_state(on, state, says, seconds)


def _by_number(on: str, number: int, says: str) -> TargetError | None:
    if number in _DENIED:
        return AuthenticationFailed(on, f"the login may not do that: {_short(says)}", _RIGHTS)
    if number in _ABSENT:
        return NotFound(on, f"the database does not have that: {_short(says)}", _SCHEMA, code=number)
    if number in _OTHER_TYPE:
        return TargetFault(on, f"a column is of another type than known: {_short(says)}", _SCHEMA, code=number)
    return TargetFault(on, f"the database refused: {_short(says)}", code=number) if number > 0 else None


def _by_driver(on: str, args: tuple[object, ...], seconds: float) -> TargetError | None:
    """What the driver's own enumerated parts tell: OpenSSL's code, the component that speaks, ODBC's function."""
    state, _, says = read(args)
    text = _text(args)
    packed = _PACKED.search(text)
    reason = unpack_tls_reason(int(packed[1], 16)) if packed else ""
    if reason == "CERTIFICATE_VERIFY_FAILED":
        return ConnectionFailed(on, f"its certificate is not trusted: {_short(says)}", _TRUST)
    if reason in TLS:
        return ConnectionFailed(on, TLS[reason].says, TLS[reason].do)
    if packed:
        return ConnectionFailed(on, f"no TLS connection to its database: {_short(says)}")
    if state in _NO_DRIVER or (state == _WARNING and _MANAGER in _components(text)):
        return PolicyViolation(on, f"the ODBC driver cannot be used: {_short(says)}", _DRIVER)
    if state in _LATE and _CONNECT in _FUNCTION.findall(text):
        return TargetTimeout(on, f"no connection to its database in {seconds:.0f} s.", _SERVER)
    return None


def _components(text: str) -> str:
    """The tags before the sentence, which say who speaks: "[08001] [Microsoft][ODBC Driver 18 for SQL Server]"."""
    found = _PREFIX.match(text)
    return found[0] if found else ""


def too_much_memory(on: str) -> MalformedResponse:
    """A server made its driver keep more than any answer takes: columns, messages or cells without an end."""
    says = "what its database sent takes more memory than any answer should, so it was not read to its end."
    return MalformedResponse(on, says, "Check what answers at the server below [vmm] in the inventory.")


def _by_state(on: str, state: str, says: str, seconds: float) -> TargetError:
    if state == _NO_MEMORY:
        return too_much_memory(on)
    if state in _LATE:
        return TargetTimeout(on, TargetTimeout.after(seconds))
    if state in _GONE:
        return ConnectionFailed(on, f"no connection to its database: {_short(says)}", _SERVER)
    return MalformedResponse(on, f"the driver failed: {_short(says) or state or 'without a word'}")


def _short(says: str) -> str:
    """A sentence of somebody else's, not too long, with its full stop."""
    text = strip_end(clip_line(says, 200))
    return f"{text}." if text else ""
