"""The few functions of MIT's libkrb5 that turn a password into a ticket, and one by which a thread uses it, called through ctypes.

pykerberos, which pywinrm speaks, has none for that, and brings libkrb5 into the process anyway; a second binding would be
compiled for these alone. Names, arguments and the size of `krb5_creds` are the library's public interface, the same
since 1.6 [src: krb5.h of MIT krb5]. A ticket is not for two threads at once: its context keeps its last error. Two tickets
are, as each has a context of its own.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

_NAME = "libkrb5.so.3"  # MIT's; Heimdal's has another number
_GSS_NAME = "libgssapi_krb5.so.2"  # that of the same package, which pykerberos logs in by
_CREDENTIALS = 1024  # bytes; krb5_creds has 120 where pointers have 8
_POINTER = ctypes.c_void_p
_TEXT = ctypes.c_char_p
_SIGNATURES: dict[str, tuple[type | None, ...]] = {  # what it answers, then its arguments
    "krb5_init_context": (ctypes.c_int32, _POINTER),
    "krb5_free_context": (None, _POINTER),
    "krb5_parse_name": (ctypes.c_int32, _POINTER, _TEXT, _POINTER),
    "krb5_free_principal": (None, _POINTER, _POINTER),
    "krb5_get_init_creds_opt_alloc": (ctypes.c_int32, _POINTER, _POINTER),
    "krb5_get_init_creds_opt_free": (None, _POINTER, _POINTER),
    "krb5_get_init_creds_password": (
        *(ctypes.c_int32, _POINTER, _POINTER, _POINTER, _TEXT),
        *(_POINTER, _POINTER, ctypes.c_int32, _TEXT, _POINTER),
    ),
    "krb5_free_cred_contents": (None, _POINTER, _POINTER),
    "krb5_cc_resolve": (ctypes.c_int32, _POINTER, _TEXT, _POINTER),
    "krb5_cc_initialize": (ctypes.c_int32, _POINTER, _POINTER, _POINTER),
    "krb5_cc_store_cred": (ctypes.c_int32, _POINTER, _POINTER, _POINTER),
    "krb5_cc_close": (ctypes.c_int32, _POINTER, _POINTER),
    "krb5_get_error_message": (_POINTER, _POINTER, ctypes.c_int32),
    "krb5_free_error_message": (None, _POINTER, _POINTER),
}


class _Beginning(ctypes.Structure):
    """What krb5_creds begins with. Times are read as unsigned, as the library does: they end in 2106."""

    _fields_ = (
        ("magic", ctypes.c_int32),
        ("client", _POINTER),
        ("server", _POINTER),
        ("key_magic", ctypes.c_int32),
        ("key_type", ctypes.c_int32),
        ("key_length", ctypes.c_uint),
        ("key", _POINTER),
        ("authtime", ctypes.c_uint32),
        ("starttime", ctypes.c_uint32),
        ("endtime", ctypes.c_uint32),
    )


class Krb5Error(Exception):
    """libkrb5 or a KDC refused. `number` is the error of krb5.h; the text is the library's own."""

    def __init__(self, number: int, words: str) -> None:
        super().__init__(words)
        self.number = number


class PasswordTicket:
    """The ticket that a KDC gives for a password, with which others are got.

    Args:
        principal: name@REALM; without a realm, the one of krb5.conf.
        password: of the account.

    Raises:
        OSError: libkrb5 is not installed.
        Krb5Error: no KDC can be asked, or it refuses.
    """

    def __init__(self, principal: str, password: str) -> None:
        self._library = load()
        self._context = _POINTER()
        self._principal = _POINTER()
        self._credentials = ctypes.create_string_buffer(_CREDENTIALS)
        failed = self._library.krb5_init_context(ctypes.byref(self._context))
        if failed:
            raise Krb5Error(failed, f"libkrb5 does not start ({failed})")
        self._call("krb5_parse_name", principal.encode(), ctypes.byref(self._principal))
        options = _POINTER()
        self._call("krb5_get_init_creds_opt_alloc", ctypes.byref(options))
        try:
            asked = (self._principal, password.encode(), None, None, 0, None, options)
            self._call("krb5_get_init_creds_password", self._credentials, *asked)
        finally:
            self._library.krb5_get_init_creds_opt_free(self._context, options)

    @property
    def ends(self) -> float:
        """When it ends, in seconds since 1970."""
        return float(_Beginning.from_buffer(self._credentials).endtime)

    def write(self, file: Path) -> None:
        """Write it, alone, as a cache of tickets that only the owner may read. Raises Krb5Error."""
        tickets = _POINTER()
        self._call("krb5_cc_resolve", f"FILE:{file}".encode(), ctypes.byref(tickets))
        try:
            self._call("krb5_cc_initialize", tickets, self._principal)
            self._call("krb5_cc_store_cred", tickets, self._credentials)
        finally:
            self._library.krb5_cc_close(self._context, tickets)

    def _call(self, name: str, *arguments: object) -> None:
        number = getattr(self._library, name)(self._context, *arguments)
        if number:
            told = self._library.krb5_get_error_message(self._context, number)
            words = (ctypes.string_at(told) if told else b"").decode(errors="replace")
            self._library.krb5_free_error_message(self._context, told)
            raise Krb5Error(number, words)

    def __del__(self) -> None:
        if not getattr(self, "_context", None):
            return
        self._library.krb5_free_cred_contents(self._context, self._credentials)
        if self._principal:
            self._library.krb5_free_principal(self._context, self._principal)
        self._library.krb5_free_context(self._context)


@cache
def load() -> ctypes.CDLL:
    """Load the library, its functions declared. Raises OSError where there is none."""
    library = ctypes.CDLL(_NAME)
    for name, (answers, *takes) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = answers, takes
    return library


def set_ticket_cache(name: str | None) -> None:
    """Let GSS-API look for this thread's tickets there and nowhere else; None: where the process does [src: set_ccache.c of MIT krb5].

    Raises:
        OSError: GSS-API is not installed.
        Krb5Error: it does not take that.
    """
    minor = ctypes.c_uint32()
    failed = _gss().gss_krb5_ccache_name(ctypes.byref(minor), None if name is None else name.encode(), None)
    if failed:
        raise Krb5Error(minor.value, f"GSS-API looks for tickets nowhere else ({failed:#x})")


@cache
def _gss() -> ctypes.CDLL:
    library = ctypes.CDLL(_GSS_NAME)
    function = library.gss_krb5_ccache_name
    function.restype, function.argtypes = ctypes.c_uint32, (_POINTER, _TEXT, _POINTER)
    return library
