r"""`dism` as far as updates go: packages listed, told of, added and removed, online.

Options and their meaning: the page of DISM's servicing options [doc]. Layout of the lists: published output [cap]; German and
French labels: [mem]. Exit code =
the error, an HRESULT as a negative number [seen: xWindowsUpdate #29]. Reading is allowed to those who may read, as practice
readers are administrators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from lab.windows.machine_protocol import Output
from lab.world import events, servicing
from lab.world.method_call import Call
from lab.world.model import StagedPackage, Windows
from lab.world.servicing import Package

BAD_OPTION, ELEVATION, DENIED, RESTART = 87, 740, 5, 3010


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language."""

    title: str
    image: str
    listing: str
    labels: tuple[str, str, str, str]  # identity, state, release type, install time
    done: str
    error: str


WORDS = {
    "en-US": Words(
        "Deployment Image Servicing and Management tool",
        "Image Version: {}",
        "Packages listing:",
        ("Package Identity", "State", "Release Type", "Install Time"),
        "The operation completed successfully.",
        "Error: {}",
    ),
    "de-DE": Words(
        "Tool zur Imageverwaltung für die Bereitstellung",
        "Abbildversion: {}",
        "Paketliste:",
        ("Paketidentität", "Status", "Releasetyp", "Installationszeit"),
        "Der Vorgang wurde erfolgreich beendet.",
        "Fehler: {}",
    ),
    "fr-FR": Words(
        "Outil Gestion et maintenance des images de déploiement",
        "Version de l’image : {}",
        "Liste des packages :",
        ("Identité du package", "État", "Type de version", "Heure d’installation"),
        "L’opération a réussi.",
        "Erreur : {}",
    ),
}
_ERRORS = {
    servicing.NOT_APPLICABLE: "The specified package is not applicable to this image.",
    servicing.PERMANENT: "An error occurred because the package is permanent and cannot be uninstalled.",
    servicing.UNKNOWN_NAME: "The specified package is not valid Windows package.",
    servicing.PENDING_WORK: "The specified package cannot be added to this Windows Image due to a version mismatch.",
    servicing.NOT_REGULAR: "The system cannot find the file specified.",
    servicing.NOT_FOR_MSU: "An error occurred trying to open - the file is an MSU package. MSU files are not supported here.",
    BAD_OPTION: "An option is unknown.",
    ELEVATION: "Elevated permissions are required to run DISM.",
    DENIED: "Access is denied.",
}


def run(call: Call, arguments: Sequence[str]) -> Output:
    """Run dism with these arguments."""
    options = dict(_option(argument) for argument in arguments)
    words = WORDS["en-US" if "english" in options else call.windows.language]
    if "online" not in options or not all(argument.startswith("/") for argument in arguments):
        return _failed(words, BAD_OPTION)
    verbs = [name for name in options if name in _VERBS]
    if len(verbs) != 1 or options.keys() - {"english", "online", "format", "norestart", "quiet", *verbs, *_OF_VERB}:
        return _failed(words, BAD_OPTION)
    return _VERBS[verbs[0]](call, words, options)


_OF_VERB = ("packagename", "packagepath")
Options = dict[str, str]


def _option(argument: str) -> tuple[str, str]:
    name, _, value = argument.removeprefix("/").partition(":")
    return name.casefold(), value


def _list(call: Call, words: Words, options: Options) -> Output:
    if options.get("format", "list").casefold() != "list":
        return _failed(words, BAD_OPTION)
    blocks = "".join(_block(words, one) for one in servicing.packages(call.windows))
    return Output(f"{_header(call.windows, words)}{words.listing}\r\n\r\n{blocks}{words.done}\r\n")


def _block(words: Words, package: Package) -> str:
    values = (package.identity, package.state, package.release, _time(package.installed))
    return "".join(f"{label} : {value}\r\n" for label, value in zip(words.labels, values, strict=True)) + "\r\n"


def _time(at: datetime | None) -> str:
    return f"{at.month}/{at.day}/{at.year} {at.hour % 12 or 12}:{at:%M} {'AM' if at.hour < 12 else 'PM'}" if at else ""  # noqa: PLR2004


def _tell(call: Call, words: Words, options: Options) -> Output:
    """One package, by its name in the store or by a file."""
    if "packagepath" in options:
        path = options["packagepath"]
        if path.casefold().endswith(".msu"):
            return _failed(words, servicing.NOT_FOR_MSU)
        file = servicing.staged(call.windows, path)
        if file is None:
            return _failed(words, servicing.NOT_REGULAR)
        return Output(_information(call.windows, words, _of_file(call.windows, file)))
    found = servicing.find(call.windows, options.get("packagename", ""))
    if found is None:
        return _failed(words, servicing.UNKNOWN_NAME)
    return Output(_information(call.windows, words, found))


def _of_file(windows: Windows, file: StagedPackage) -> Package:
    state = servicing.state_of(windows, file.kb)
    return Package(servicing.identity_of(windows, file.kb, file.revision), file.kb, state, None, file.description)


def _information(windows: Windows, words: Words, package: Package) -> str:
    lines = (
        ("Package Identity", package.identity),
        ("Applicable", "Yes" if servicing.applicable(windows, package.kb) else "No"),
        ("Copyright", "Microsoft Corporation"),
        ("Company", "Microsoft Corporation"),
        ("Creation Time", ""),
        ("Description", f"Fix for {package.kb}"),
        ("Install Client", "DISM Package Manager Provider"),
        ("Install Time", _time(package.installed)),
        ("Name", "default"),
        ("Product Name", package.identity.partition("~")[0]),
        ("Release Type", package.release),
        ("Restart Required", "Possible"),
        ("Support Information", f"http://support.microsoft.com/?kbid={servicing.number_of(package.kb)}"),
        ("State", package.state),
        ("Completely offline capable", "Undetermined"),
    )
    told = "".join(f"{name} : {value}\r\n" for name, value in lines)
    return (
        f"{_header(windows, words)}Package information:\r\n\r\n{told}\r\nCustom Properties:\r\n\r\n(No custom properties found)"
        f"\r\n\r\nFeatures listing for package : {package.identity}\r\n\r\n(No features found for this package)\r\n\r\n{words.done}\r\n"
    )


def _remove(call: Call, words: Words, options: Options) -> Output:
    name = options.get("packagename", "")
    return _change(call, words, f"removing package {name}", "Remove-Package", lambda: servicing.remove(call.world, call.windows, name))  # fmt: skip


def _add(call: Call, words: Words, options: Options) -> Output:
    path = options.get("packagepath", "")
    return _change(call, words, f"adding package {path}", "Add-Package", lambda: servicing.add(call.world, call.windows, path))  # fmt: skip


def _change(call: Call, words: Words, doing: str, verb: str, act: Callable[[], int]) -> Output:
    if not call.may_change:
        return _failed(words, ELEVATION)
    call.world.is_asked(call.windows.name, f"dism /{verb} {doing.rpartition(' ')[2]}")
    if call.windows.attack_surface_blocks:
        call.world.log(call.windows, events.attack_surface_rule(call.world.now))
        return _failed(words, DENIED)
    code = act()
    if code not in (0, RESTART):
        return _failed(words, code)
    bar = f"[{'=' * 26}100.0%{'=' * 26}]"
    more = "Restart Windows to complete this operation.\r\n" if code == RESTART else ""
    return Output(
        f"{_header(call.windows, words)}Processing 1 of 1 - {doing}\r\n{bar}\r\n{words.done}\r\n{more}", exit_code=code
    )


def _header(windows: Windows, words: Words) -> str:
    version = f"{windows.release.version}.{windows.release.revision or 17514}"
    return f"\r\n{words.title}\r\nVersion: {version}\r\n\r\n{words.image.format(version)}\r\n\r\n"


def _failed(words: Words, code: int) -> Output:
    shown = f"0x{code:08x}" if code >= 2**31 else str(code)
    log = "The DISM log file can be found at C:\\Windows\\Logs\\DISM\\dism.log"
    text = f"\r\n{words.title}\r\n\r\n{words.error.format(shown)}\r\n\r\n{_ERRORS.get(code, '')}\r\n\r\n{log}\r\n"
    return Output(text, exit_code=code - 2**32 if code >= 2**31 else code)


_VERBS = {"get-packages": _list, "get-packageinfo": _tell, "remove-package": _remove, "add-package": _add}
