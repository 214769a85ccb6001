"""Faults that a host answers with -> the error tree. Numbers decide; the host's own words are quoted, never matched.

Whether nothing of an action was begun is read from a list of known refusals alone: what is not on it may have begun.
"""

from __future__ import annotations

from bot.errors import AuthenticationFailed, ConnectionFailed, TargetError, TargetFault, TargetTimeout
from bot.redaction import clip_line
from bot.transport.windows.fault_codes import KNOWN, REFUSALS, SUBCODES, Known, is_refusing_return, meaning_of_return
from bot.transport.windows.wsman import Fault

_LONGEST = 300  # characters of the host's own words


def from_fault(on: str, fault: Fault) -> TargetError:
    """A fault as an error: by the HRESULT of WMI, else by the code, else by the SOAP subcode.

    A refusal it is by the HRESULT alone, where there is one: WinRM wraps many of them in the same code of its own.
    """
    is_refusal = (fault.code if fault.hresult is None else fault.hresult) in REFUSALS
    for code in (fault.hresult, fault.code):
        if code is not None and code in KNOWN:
            return _known(on, code, fault.text, is_refusal=is_refusal)
    if fault.code is None and fault.subcode in SUBCODES:
        return _made(on, SUBCODES[fault.subcode])
    code = fault.code if fault.code is not None else fault.hresult
    number = f"error {code} (0x{code & 0xFFFFFFFF:08X})" if code is not None else f"a fault {fault.subcode}".rstrip()
    words = f": {clip_line(fault.text, _LONGEST)}" if fault.text else "."
    return TargetFault(on, f"it answered with {number}{words}", code=code, is_refusal=is_refusal)


def from_code(on: str, code: int, text: str = "") -> TargetError:
    """A Win32 code or HRESULT that a program or a method returned."""
    return from_fault(on, Fault(code, "", text))


def from_return(on: str, cls: str, method: str, returned: int) -> TargetError:
    """What a method returned, where that means no success.

    An error of Windows by which nothing was refused, such as RPC's, keeps its kind: nobody knows what was done then.
    """
    means = meaning_of_return(cls, returned)
    error = from_code(on, returned) if means is None else None
    says = f"{cls}.{method} returned {returned}: {means if error is None else error.message}"
    if isinstance(error, (ConnectionFailed, TargetTimeout)):
        return type(error)(on, says, error.hint)
    return TargetFault(on, says, code=returned, is_refusal=is_refusing_return(cls, returned))


def _known(on: str, code: int, text: str, *, is_refusal: bool) -> TargetError:
    known = KNOWN[code]
    if issubclass(known.error, TargetFault):
        words = f" It says: {clip_line(text, _LONGEST)}" if text else ""
        found: TargetError = known.error(on, known.says + words, known.do, code=code)
    else:
        found = _made(on, known)
    found.is_refusal = is_refusal
    return found


def _made(on: str, known: Known) -> TargetError:
    if issubclass(known.error, AuthenticationFailed):
        return known.error(on, known.says, known.do, is_only_there=known.is_only_there)
    return known.error(on, known.says, known.do)
