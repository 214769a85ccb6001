r"""When a certificate of a machine ends: out of the machine's own store, in the registry.

`SOFTWARE\Microsoft\SystemCertificates\MY\Certificates\<thumbprint>`, value Blob: elements of property id, encoding and length
(each four octets, little endian) and their octets; the one with the id 32 is the certificate in DER [src: published parsers of
such blobs; doc: CertSerializeCertificateStoreElement, wincrypt.h CERT_CERT_PROP_ID]. Its validity is the fifth part behind the
version of what is signed: two times, UTCTime or GeneralizedTime [doc: RFC 5280]. No key is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from bot.api.queries import Registry
from bot.api.rows import Rows, get_str
from bot.api.sources import Source
from bot.api.texts import clip

_STORE = "SOFTWARE\\Microsoft\\SystemCertificates\\MY\\Certificates"
_THUMBPRINT = re.compile(r"[0-9A-F]{40}", re.ASCII)
_CERTIFICATE = 32
_HEAD = 12
_LARGEST = 65_536
_SEQUENCE, _VERSION = 0x30, 0xA0
_TIMES = {0x17: (13, "%y%m%d%H%M%SZ"), 0x18: (15, "%Y%m%d%H%M%SZ")}  # UTCTime, GeneralizedTime
_LONG, _WIDEST = 0x80, 4


def certificate_end(on: str, thumbprint: str) -> Source[datetime]:
    """The question: until when is that certificate of the machine valid, UTC? A thumbprint is 40 hexadecimal digits.

    Raises:
        ValueError: it is none.
    """
    told = thumbprint.replace(" ", "").upper()
    if not _THUMBPRINT.fullmatch(told):
        raise ValueError(f"{clip(thumbprint, 60)} is no thumbprint of a certificate")
    return Source(Registry(on, f"{_STORE}\\{told}", ("Blob",)), _read_end)


def _read_end(rows: Rows) -> datetime:
    """Raises ValueError where the store has no such certificate, or one that cannot be read."""
    told = get_str(rows[0], "Blob") if rows else ""
    if not told:
        raise ValueError("its store has no certificate with that thumbprint")
    if len(told) > 2 * _LARGEST:
        raise ValueError("what its store has is too long for a certificate")
    return _valid_until(_certificate(bytes.fromhex(told)))


def _certificate(blob: bytes) -> bytes:
    at = 0
    while at + _HEAD <= len(blob):
        kind, size = (int.from_bytes(blob[at + start : at + start + 4], "little") for start in (0, 8))
        at += _HEAD
        if kind == _CERTIFICATE:
            return blob[at : at + size]
        at += size
    raise ValueError("what its store has holds no certificate")


def _valid_until(der: bytes) -> datetime:
    signed = next(_parts(_inside(der)))[1]
    parts = [part for part in _parts(signed) if part[0] != _VERSION]
    if len(parts) < 4 or parts[3][0] != _SEQUENCE:  # noqa: PLR2004 - serial number, algorithm, issuer, validity
        raise ValueError("its certificate has no validity where one is")
    kind, text = list(_parts(parts[3][1]))[-1]
    size, form = _TIMES.get(kind, (0, ""))
    if len(text) != size:
        raise ValueError("the end of its certificate is no time")
    return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC)


def _inside(der: bytes) -> bytes:
    return next(_parts(der))[1]


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each part. Raises ValueError where there is none, or one goes beyond the end."""
    at = 0
    while at < len(der):
        tag, size = der[at], der[at + 1] if at + 1 < len(der) else -1
        at += 2
        if size & _LONG and size > 0:
            width = size & ~_LONG
            if not 0 < width <= _WIDEST:
                raise ValueError("its certificate has a part of a length that none has")
            size = int.from_bytes(der[at : at + width], "big")
            at += width
        if size < 0 or at + size > len(der):
            raise ValueError("its certificate breaks off")
        yield tag, der[at : at + size]
        at += size
    if not der:
        raise ValueError("its certificate is empty")
