"""Replace what names somebody's inventory by names that say nothing, the same each time: for `hvops record`.

Names of machines, domains and accounts, mail addresses, GUIDs, addresses, hardware addresses, SIDs and serial numbers,
each in the forms that Windows and others write: a NetBIOS name is cut to 15 characters, "straße" is "STRASSE". The order of
names is kept, and a GUID whose first half is written in the other byte order stays recognisable as the same machine
(BIOS GUIDs come in both [doc]). Identifiers that are the same on every Windows stay as they are.
"""

from __future__ import annotations

import hashlib
import html.entities
import ipaddress
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache
from urllib.parse import quote, unquote
from uuid import UUID

from bot.api.texts import replace_lone_surrogates, unescape

# What stands behind these is the same on every Windows: the class id of a VSS writer, in the line after the writer's
# name in any language [cap], and the id of an event provider.
_COMMON_AFTER = re.compile(r"(?:['\"»”’]\s*\r?\n[^\r\n{]*\{|\bGuid=['\"]\{?)$")
_BEFORE = 80  # characters that `_COMMON_AFTER` looks at
COMMON = frozenset(
    {
        "66841cd4-6ded-4f4b-8f17-fd23f8ddc3de",  # Microsoft Hyper-V VSS Writer [doc]
        "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",  # EFI system partition [doc] UEFI specification
        "e3c9e316-0b5c-4db8-817d-f92df00215ae",  # Microsoft reserved partition [doc]
        "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7",  # basic data partition [doc]
        "de94bba4-06d1-4d40-a16a-bfd50179d6ac",  # Windows recovery partition [doc]
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    }
)

_GUID = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Za-z])")
# A dot or a colon behind an address is the end of a sentence, or of a label, unless more of a number follows.
_IPV4 = re.compile(r"(?<!\d)(?<!\d\.)(?:\d{1,3}\.){3}\d{1,3}(?!\.?\d)")
_IPV6 = re.compile(
    r"(?<![\w:])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]{1,39}(?:(?:\.\d{1,3}){3}(?!\.?\d))?(?:%\w{1,15})?(?![0-9A-Za-z_])"
)
_ADDRESS = re.compile(f"{_IPV6.pattern}|{_IPV4.pattern}")
_BARE_GUID = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{32}(?![0-9A-Za-z])")
_DOTTED_HARDWARE = re.compile(  # with a letter: 1000.2000.3000 is a version
    r"(?<![0-9A-Za-z.])(?=[0-9.]*[A-Fa-f])(?:(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}|(?:[0-9A-Fa-f]{2}\.){5}[0-9A-Fa-f]{2})"
    r"(?![0-9A-Za-z.])"
)
_HARDWARE = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f])")
_BARE_HARDWARE = re.compile(r"(?<![0-9A-Fa-f])00155D[0-9A-Fa-f]{6}(?![0-9A-Fa-f])")  # Hyper-V's own prefix [doc]
_SID = re.compile(r"S-1-5-21-\d+-\d+-\d+")
_CLOUD_SID = re.compile(r"S-1-12-1(?:-\d+){4}")  # of Entra ID: the four numbers are the GUID of the object [doc]
_MAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]+@(?:[\w-]+\.)+[A-Za-z][\w-]+")
# Quoted text doubles the backslash.
_ACCOUNT = re.compile(r"(?<![\w\\.:$%/-])([^\W_][\w.-]{0,62})(\\{1,2})([^\W_][\w.-]{0,63}\$?)(?![\w\\%])")
# What stands before a backslash and is no domain: hives of the registry, namespaces, ends of Windows' own authorities, and
# folders of every Windows in a path that begins with them.
_NO_DOMAINS = frozenset(
    {"software", "system", "sam", "security", "hardware", "hklm", "hkcu", "hkcr", "hku", "hkcc", "root", "builtin"}
    | {"authority", "service", "machine", "apppool", "winnt", "cluster", "guest", "microsoft", "standardcimv2"}
    | {
        "system32",
        "syswow64",
        "sysnative",
        "windows",
        "drivers",
        "inetpub",
        "users",
        "temp",
        "programdata",
        "clusterstorage",
    }
)
_FILES = frozenset(
    {
        "exe",
        "dll",
        "sys",
        "log",
        "txt",
        "xml",
        "ini",
        "cfg",
        "config",
        "cab",
        "msu",
        "mum",
        "inf",
        "mui",
        "cat",
        "json",
        "js",
    }
    | {
        "vhd",
        "vhdx",
        "avhd",
        "avhdx",
        "vmcx",
        "vmrs",
        "bin",
        "vsv",
        "iso",
        "ps1",
        "bat",
        "cmd",
        "vbs",
        "evtx",
        "etl",
        "dmp",
    }
    | {"mdf", "ndf", "ldf", "bak", "trn", "htm", "html", "asp", "aspx", "php", "css", "zip", "tmp", "dat", "db"}
)
_NOBODY = frozenset({"administrator", "guest", "krbtgt", "sa", "svc"})  # accounts that are called so everywhere
# What is written in one way wherever it stands.
_PLAIN = re.compile(r"[A-Za-z0-9._-]+")
_IN_JSON = re.compile(r"\\u([0-9A-Fa-f]{4})")
_IN_POWERSHELL = re.compile("_x([0-9A-Fa-f]{4})_")
_MADE = ("mail1@mail.example", "DOMAIN1\\account1", "d01.example", "name")  # what stands in place of names
_NETBIOS = 15  # characters of a name [doc]
_NETBIOS_NAME = re.compile(r"[\w-]+")
_SHORT = 4  # a name this short is only replaced where it stands alone
_SPARE_NETS = ("192.0.2.", "198.51.100.", "203.0.113.")  # RFC 5737: for documentation


class Anonymiser:
    """Replaces names. Immutable but for the tables of what was met, so one object serves one capture."""

    def __init__(self, names: Mapping[str, str], common: Iterable[str] = ()) -> None:
        """Take the tables.

        Args:
            names: name -> replacement; upper and lower case make no difference, longer names go first.
            common: GUIDs that stay, beside those that are known here.
        """
        self._common = COMMON | {guid.lower() for guid in common}
        self._names = {_folded(name): new for name, new in names.items() if name}
        for name, new in tuple(self._names.items()):
            if len(name) > _NETBIOS and _NETBIOS_NAME.fullmatch(name[:_NETBIOS]):
                self._names.setdefault(name[:_NETBIOS], new[:_NETBIOS])
        ordered = sorted(self._names, key=lambda name: (-len(name), name))
        # Those of which a part could be taken for an account or an address go before these.
        self._odd = [name for name in ordered if not _PLAIN.fullmatch(name) or _is_like_another(name)]
        self._first = _any_of(self._odd)
        self._last = _any_of(name for name in ordered if name not in set(self._odd))
        self._addresses: dict[str, str] = {}
        self._hardware: dict[str, str] = {}
        self._met: dict[tuple[str, str], int] = {}

    def text(self, text: str) -> str:
        """The text with everything replaced."""
        text = self._without_names(self._first, text)
        text = _MAIL.sub(lambda found: f"mail{self._number('mail', found[0])}@mail.example", text)
        text = _ACCOUNT.sub(self._account, text)
        text = _GUID.sub(self._guid, text)
        text = _BARE_GUID.sub(self._guid, text)
        text = _CLOUD_SID.sub(lambda found: f"S-1-12-1-{self._number('sid', found[0])}-1-1-1", text)
        text = _DOTTED_HARDWARE.sub(lambda found: self._mac(found[0]), text)
        text = _SID.sub("S-1-5-21-1-2-3", text)
        text = _HARDWARE.sub(lambda found: self._mac(found[0]), text)
        text = _BARE_HARDWARE.sub(lambda found: self._mac(found[0]), text)
        text = _ADDRESS.sub(lambda found: self._address(found[0]), text)
        return self._without_names(self._last, text)

    def _without_names(self, pattern: re.Pattern[str] | None, text: str) -> str:
        return text if pattern is None else pattern.sub(lambda found: self._name(found[0]), text)

    def _name(self, word: str) -> str:
        """What stands for a name in whatever way it was written."""
        key = _folded(word)
        if key not in self._names:
            written = (name for name in self._odd if re.fullmatch(_spelled(name), word, re.IGNORECASE))
            name = next(written, "")
            self._names[key] = self._names[name] if name else "name"
        return self._names[key]

    def _guid(self, found: re.Match[str]) -> str:
        word = found[0]
        guid = UUID(word)
        if str(guid) in self._common:
            return word
        new = str(other_guid(guid)) if "-" in word else other_guid(guid).hex
        return new.upper() if word.upper() == word else new

    def _number(self, kind: str, word: str) -> int:
        return self._met.setdefault((kind, _folded(word)), sum(one == kind for one, _ in self._met) + 1)

    def _account(self, found: re.Match[str]) -> str:
        r"""CORP\somebody: a domain in whatever letters, and no folder with a file in it."""
        domain, between, user = found.groups()
        is_known = _folded(domain) in self._names
        is_path = user.rpartition(".")[2].lower() in _FILES and "." in user
        if _folded(domain) in _NO_DOMAINS or (not is_known and (is_path or len(domain) > _NETBIOS)):
            return found[0]
        where = domain if is_known else f"DOMAIN{self._number('domain', domain)}"
        bare = user.removesuffix("$")
        who = (
            bare
            if _folded(bare) in self._names or _folded(bare) in _NOBODY
            else f"account{self._number('account', bare)}"
        )
        return f"{where}{between}{who}{user[len(bare) :]}"

    def _mac(self, word: str) -> str:
        bare = re.sub("[.:-]", "", word).upper()
        new = self._hardware.setdefault(bare, f"00155D{len(self._hardware) + 1:06X}")
        if len(word) == len(bare):
            return new
        size = 4 if word[4] == "." else 2
        return word[size].join(new[at : at + size] for at in range(0, len(new), size))

    def _address(self, word: str) -> str:
        if ":" not in word:
            return self._ipv4(word)
        for written in (word, word.removesuffix(":")):
            try:
                address = ipaddress.IPv6Address(written.partition("%")[0])
            except ValueError:
                continue
            return self._ipv6(address, written) + word[len(written) :]
        # a time, a hardware address, or a port before an address
        return _IPV4.sub(lambda found: self._ipv4(found[0]), word)

    def _ipv4(self, word: str) -> str:
        try:
            address = ipaddress.IPv4Address(".".join(str(int(part)) for part in word.split(".")))
        except ValueError:
            return word
        if address.is_loopback or address.is_unspecified or word.startswith("255."):
            return word
        return self._addresses.setdefault(str(address), _spare(len(self._addresses)))

    def _ipv6(self, address: ipaddress.IPv6Address, word: str) -> str:
        if address.is_loopback or address.is_unspecified:
            return word
        return self._addresses.setdefault(str(address), f"2001:db8::{len(self._addresses) + 1:x}")


def common_in(text: str) -> set[str]:
    """The GUIDs in a text that are the same on every Windows, as far as their place shows it."""
    return {
        found[0].lower()
        for found in _GUID.finditer(text)
        if _COMMON_AFTER.search(text, max(0, found.start() - _BEFORE), found.start())
    }


def other_guid(guid: UUID) -> UUID:
    """Another GUID, always the same for the same one; of the two byte orders of one, the two byte orders of it."""
    swapped = UUID(bytes_le=guid.bytes)
    first = min(guid, swapped)
    made = UUID(bytes=hashlib.sha256(b"hvops" + first.bytes).digest()[:16])
    return made if guid == first else UUID(bytes_le=made.bytes)


def numbered(names: Iterable[str], pattern: str) -> dict[str, str]:
    """Names -> "host01", "host02" … in the order in which people sort them."""
    ordered = sorted({name.lower() for name in names if name})
    return {name: pattern.format(number) for number, name in enumerate(ordered, 1)}


def occurs(name: str, text: str) -> bool:
    """Whether a name would be replaced in that text."""
    return re.search(_spelled(name), text, re.IGNORECASE) is not None


def left_in(names: Mapping[str, str], texts: Iterable[str]) -> str:
    """The first of these names that still stands in one of the texts, in any case; "" for none.

    A name that a replacement has in it tells nothing, and is not looked for.
    """
    made = "\n".join({*names.values(), *_MADE})
    wanted = sorted(name for name in names if name and not occurs(name, made))
    pattern = _any_of(wanted)
    found = (pattern.search(text) for text in texts) if pattern is not None else ()
    return next((one[0] for one in found if one is not None), "")


def readings(text: str) -> set[str]:
    """What a text says in each way in which letters are escaped: XML, XML within XML, JSON, PowerShell's, that of a URL."""
    once = unescape(text)
    found = {text, once, unescape(once)}
    for pattern in (_IN_JSON, _IN_POWERSHELL):
        found.add(pattern.sub(lambda escape: chr(int(escape[1], 16)), once))
    found.add(unquote(once, errors="replace"))
    return {replace_lone_surrogates(one) for one in found}


def _any_of(names: Iterable[str]) -> re.Pattern[str] | None:
    """What finds each of these names, the first of them before the others."""
    found = "|".join(map(_spelled, names))
    return re.compile(found, re.IGNORECASE) if found else None


def _is_like_another(name: str) -> bool:
    """Whether something in a name is replaced by itself: an address, a GUID."""
    others = (_GUID, _BARE_GUID, _CLOUD_SID, _DOTTED_HARDWARE, _SID, _HARDWARE, _BARE_HARDWARE, _ADDRESS)
    return any(pattern.search(name) for pattern in others)


def _spelled(name: str) -> str:
    """A short name must stand alone; a long one goes wherever it occurs, as in a path."""
    folded = _folded(name)
    letters = re.escape(folded) if _PLAIN.fullmatch(folded) else "".join(map(_written, folded))
    escaped = letters.replace("ss", "(?:ss|ß|ẞ)")
    return rf"(?<![A-Za-z0-9]){escaped}(?![A-Za-z0-9])" if len(name) <= _SHORT else escaped


@cache
def _written(letter: str) -> str:
    """The pattern of a letter that is written in many ways: see `readings`. Quotes and backslashes have backslashes before them."""
    if _PLAIN.fullmatch(letter):
        return re.escape(letter)
    ways: set[str] = set()
    for one in {letter, letter.lower(), letter.upper()}:
        if len(one) != 1:
            continue
        code = ord(one)
        named = [html.entities.codepoint2name[code]] if code in html.entities.codepoint2name else []
        named += ["apos"] if one == "'" else []
        entity = "|".join([*named, f"#0{{0,5}}{code}", f"#x0{{0,5}}{code:x}"])
        ways |= {re.escape(one), re.escape(unicodedata.normalize("NFD", one)), f"&(?:amp;){{0,2}}(?:{entity});"}
        escapes = [
            json.dumps(one)[1:-1],
            "".join(f"\\u{unit:04x}" for unit in _units(one)),
            quote(one, safe="", errors="surrogatepass"),
        ]
        escapes += ["".join(f"_x{unit:04x}_" for unit in _units(one))]
        ways |= {re.escape(escape) for escape in escapes}
    ways |= {r"\+", "\xa0", r"&(?:amp;){0,2}(?:nbsp|#160|#xa0);"} if letter == " " else set()
    ways |= {"''"} if letter == "'" else set()
    before = r"\\{0,4}" if letter in "'\"\\" else ""
    return f"{before}(?:{'|'.join(sorted(ways, key=lambda way: (-len(way), way)))})"


def _units(letter: str) -> list[int]:
    data = letter.encode("utf-16-be", "surrogatepass")
    return [256 * high + low for high, low in zip(data[::2], data[1::2], strict=True)]


def _folded(name: str) -> str:
    """A name in the form in which upper and lower case are one: "strasse" for "STRAßE", also where "İ" stands for "i"."""
    return unicodedata.normalize("NFC", name).casefold().replace("i\u0307", "i").replace("ı", "i")


def _spare(number: int) -> str:
    net, host = divmod(number, 254)
    return f"{_SPARE_NETS[net]}{host + 1}" if net < len(_SPARE_NETS) else f"100.64.{net % 256}.{host + 1}"
