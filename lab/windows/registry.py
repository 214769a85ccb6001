"""StdRegProv: the registry over WMI, answered from what a machine says its HKEY_LOCAL_MACHINE holds.

Return values are Win32 errors: 0, 2 (no such key or value), 5, 87; a wrong value type answers 1 [doc: the provider's pages
say only "nonzero"; the numbers are mem]. The provider changes nothing here: the writing methods answer 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.windows.machine_protocol import Wmi

_LOCAL_MACHINE = 0x80000002
_HIVES = range(0x80000000, 0x80000007)
_FILE_NOT_FOUND, _ACCESS_DENIED, _WRONG_TYPE = 2, 5, 1
_REG_SZ, _REG_DWORD, _REG_MULTI_SZ = 1, 4, 7
_READERS: Mapping[str, tuple[str, type | tuple[type, ...]]] = {
    "getdwordvalue": ("uValue", int),
    "getqwordvalue": ("uValue", int),
    "getstringvalue": ("sValue", str),
    "getexpandedstringvalue": ("sValue", str),
    "getmultistringvalue": ("sValue", (list, tuple)),
    "getbinaryvalue": ("uValue", bytes),
}


def call(tree: Mapping[str, Mapping[str, object]], method: str, params: Mapping[str, Wmi]) -> dict[str, Wmi]:
    """Call a method of StdRegProv; answers its out-parameters, ReturnValue last.

    Args:
        tree: key path -> value name -> value.
        method: in any case.
        params: hDefKey, sSubKeyName, sValueName, uRequired by lower-case name, values as text or numbers.
    """
    lower = method.lower()
    hive = int(str(params.get("hdefkey") or _LOCAL_MACHINE))
    path = str(params.get("ssubkeyname") or "").strip("\\")
    keys = _Keys(tree if hive == _LOCAL_MACHINE else {})
    known = hive in _HIVES and keys.exists(path)
    if lower in _READERS:
        return _value(keys, path, str(params.get("svaluename") or ""), *_READERS[lower])
    if lower == "enumkey":
        return {"sNames": keys.children(path), "ReturnValue": 0} if known else _missing("sNames")
    if lower == "enumvalues":
        return _values(keys, path) if known else _missing("sNames", "Types")
    if lower == "checkaccess":
        return {"bGranted": known, "ReturnValue": 0 if known else _FILE_NOT_FOUND}
    return {"ReturnValue": _ACCESS_DENIED}


class _Keys:
    """The tree in any case; a key exists if it or one below it is listed."""

    def __init__(self, tree: Mapping[str, Mapping[str, object]]) -> None:
        self._tree = {path.strip("\\").lower(): (path.strip("\\"), values) for path, values in tree.items()}

    def exists(self, path: str) -> bool:
        lower = path.lower()
        return not lower or lower in self._tree or any(each.startswith(lower + "\\") for each in self._tree)

    def values(self, path: str) -> Mapping[str, object]:
        return self._tree.get(path.lower(), ("", {}))[1]

    def children(self, path: str) -> list[Wmi]:
        depth = len(path.split("\\")) if path else 0
        prefix = path.lower() + "\\" if path else ""
        found: dict[str, str] = {}
        for lower, (cased, _values) in self._tree.items():
            if lower.startswith(prefix) and len(lower) > len(prefix):
                name = cased.split("\\")[depth]
                found.setdefault(name.lower(), name)
        return list(found.values())


def _missing(*names: str) -> dict[str, Wmi]:
    return {**dict.fromkeys(names), "ReturnValue": _FILE_NOT_FOUND}


def _value(keys: _Keys, path: str, wanted: str, out: str, kind: type | tuple[type, ...]) -> dict[str, Wmi]:
    for name, value in keys.values(path).items():
        if name.lower() == wanted.lower():
            if not isinstance(value, kind):
                return {out: None, "ReturnValue": _WRONG_TYPE}
            return {out: list(value) if isinstance(value, (list, tuple, bytes)) else value, "ReturnValue": 0}  # type: ignore[dict-item]  # checked by kind
    return _missing(out)


def _values(keys: _Keys, path: str) -> dict[str, Wmi]:
    values = keys.values(path)
    types: Sequence[Wmi] = [_type_of(value) for value in values.values()]
    return {"sNames": list(values), "Types": types, "ReturnValue": 0}


def _type_of(value: object) -> int:
    if isinstance(value, int):
        return _REG_DWORD
    return _REG_SZ if isinstance(value, str) else _REG_MULTI_SZ
