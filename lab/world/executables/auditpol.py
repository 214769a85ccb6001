"""`auditpol /get` and `/set` for the category Object Access, by GUID or by name.

Syntax: Microsoft's pages [doc]. The report has six columns, localised names and settings, and a blank second line [cap for
the columns; doc]. English texts: its string table [cap] and the system's errors; German and French settings and headers,
exit code = the error: [mem]. Reading needs the right to read the policy, which practice readers were given; setting without
the right is error 1314 [mem].
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from lab.windows.machine_protocol import Output
from lab.world import audit_policy
from lab.world.method_call import Call
from lab.world.model import Windows

BAD_PARAMETER, NO_PRIVILEGE = 0x57, 0x522
_HEADERS = {
    "en-US": "Machine Name,Policy Target,Subcategory,Subcategory GUID,Inclusion Setting,Exclusion Setting",
    "de-DE": "Computername,Richtlinienziel,Unterkategorie,GUID der Unterkategorie,Aufnahmeeinstellung,Ausschlusseinstellung",
    "fr-FR": (
        "Nom de l’ordinateur,Cible de la stratégie,Sous-catégorie,GUID de sous-catégorie,Paramètre d’inclusion,"
        "Paramètre d’exclusion"
    ),
}
_SETTINGS = {
    "en-US": ("No Auditing", "Success", "Failure", "Success and Failure"),
    "de-DE": ("Keine Überwachung", "Erfolg", "Fehler", "Erfolg und Fehler"),
    "fr-FR": ("Pas d’audit", "Succès", "Échec", "Succès et échec"),
}
_TARGETS = {"en-US": "System", "de-DE": "System", "fr-FR": "Système"}
_CATEGORIES = {"en-US": "Object Access", "de-DE": "Objektzugriff", "fr-FR": "Accès aux objets"}
_DONE = {
    "en-US": "The command was successfully executed.",
    "de-DE": "Der Befehl wurde erfolgreich ausgeführt.",
    "fr-FR": "La commande a été correctement exécutée.",
}
_ERRORS = {
    "en-US": ("Error 0x{:08X} occurred:", "The parameter is incorrect.", "A required privilege is not held by the client."),
    "de-DE": ("Fehler 0x{:08X}:", "Falscher Parameter.", "Dem Client fehlt ein erforderliches Recht."),
    "fr-FR": ("Erreur 0x{:08X} :", "Paramètre incorrect.", "Le client ne dispose pas d’un privilège nécessaire."),
}  # fmt: skip


def run(call: Call, arguments: Sequence[str]) -> Output:
    """Run auditpol with these arguments."""
    verb = arguments[0].casefold() if arguments else ""
    options = dict(_option(argument) for argument in arguments[1:])
    if verb == "/get" and options.keys() <= {"category", "subcategory", "r"}:
        return _get(call.windows, options)
    if verb == "/set" and options.keys() <= {"subcategory", "success", "failure"}:
        return _set(call, options)
    return _failed(call.windows, BAD_PARAMETER)


def _option(argument: str) -> tuple[str, str]:
    name, _, value = argument.removeprefix("/").partition(":")
    return name.casefold(), value


def _failed(windows: Windows, code: int) -> Output:
    head, parameter, privilege = _ERRORS[windows.language]
    text = parameter if code == BAD_PARAMETER else privilege
    return Output(f"{head.format(code)}\r\n{text}\r\n\r\n", exit_code=code)


def _chosen(windows: Windows, text: str, *, categories: bool) -> list[audit_policy.Subcategory] | None:
    """The subcategories that a list of GUIDs or names means; None when one of them is unknown."""
    every = list(audit_policy.subcategories(windows))
    if categories:
        known = {audit_policy.OBJECT_ACCESS.casefold(), _CATEGORIES[windows.language].casefold()}
        return every if {_plain(each) for each in text.split(",")} <= known else None
    by_name = {_plain(name): each for each in every for name in (each.guid, each.name)}
    wanted = [by_name.get(_plain(each)) for each in text.split(",")]
    return None if None in wanted else [each for each in wanted if each is not None]


def _plain(text: str) -> str:
    return text.strip().strip('"{}').casefold()


def _get(windows: Windows, options: Mapping[str, str]) -> Output:
    whole = "category" in options
    chosen = _chosen(windows, options.get("category", options.get("subcategory", "")), categories=whole)
    if chosen is None or whole == ("subcategory" in options):
        return _failed(windows, BAD_PARAMETER)
    values, words = audit_policy.policy(windows), _SETTINGS[windows.language]
    if "r" not in options:
        return Output("".join(f"  {each.name:<40}{words[values[each.guid]]}\r\n" for each in chosen))
    rows = [
        (windows.name.upper(), _TARGETS[windows.language], each.name, f"{{{each.guid}}}", words[values[each.guid]], "")
        for each in chosen
    ]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return Output(f"{_HEADERS[windows.language]}\r\n\r\n{text.getvalue()}", after=0.1)


def _set(call: Call, options: Mapping[str, str]) -> Output:
    chosen = _chosen(call.windows, options.get("subcategory", ""), categories=False)
    switches = {"enable": True, "disable": False}
    asked = [options.get(half, "").casefold() for half in ("success", "failure")]
    if chosen is None or any(switch not in switches for switch in asked if switch):
        return _failed(call.windows, BAD_PARAMETER)
    if not call.may_change:
        return _failed(call.windows, NO_PRIVILEGE)
    call.world.is_asked(call.windows.name, "auditpol /set")
    success, failure = (switches.get(switch) for switch in asked)
    if success is None and failure is None:
        success = True  # the page: success is what is set where neither is named [doc]
    for each in chosen:
        audit_policy.change(call.windows, each.guid, success=success, failure=failure)
    return Output(f"{_DONE[call.windows.language]}\r\n", after=0.1)
