"""`vssadmin list writers` as it prints in English, German and French.

Lines and labels: published captures of English and French output [cap]; the French words: the resource table of
vssadmin.exe.mui [cap]; German labels: two authors' scripts that agree [src]; the German header and the words for states
other than stable, failed and waiting for completion: [mem]. Copyright years: 2001-2005 up to 2008 R2, 2001-2013 from
2012 R2 [cap].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.windows.machine_protocol import Output
from lab.world.model import Windows, Writer
from lab.world.services import registered_writers


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language; `name` to `error` are whole lines to be filled."""

    title: str
    name: str
    id: str
    instance: str
    state: str
    error: str
    states: tuple[str, ...]  # by state number; the last one stands for every failure
    errors: dict[str, str]
    invalid: str


WORDS = {
    "en-US": Words(
        title="vssadmin 1.1 - Volume Shadow Copy Service administrative command-line tool",
        name="Writer name: '{}'",
        id="   Writer Id: {{{}}}",
        instance="   Writer Instance Id: {{{}}}",
        state="   State: [{}] {}",
        error="   Last error: {}",
        states=("Unknown", "Stable", "Waiting for freeze", "Frozen", *["Waiting for completion"] * 2, "Failed"),
        errors={
            "none": "No error",
            "retryable": "Retryable error",
            "unexpected": "Unexpected error",
            "timed out": "Timed out",
            "inconsistent": "Inconsistent shadow copy",
            "non-retryable": "Non-retryable error",
        },
        invalid="Error: Invalid command.",
    ),
    "de-DE": Words(
        title="vssadmin 1.1 - Verwaltungsbefehlszeilenprogramm des Volumeschattenkopie-Diensts",
        name='Verfassername: "{}"',
        id="   Verfasserkennung: {{{}}}",
        instance="   Verfasserinstanzkennung: {{{}}}",
        state="   Status: [{}] {}",
        error="   Letzter Fehler: {}",
        states=(
            "Unbekannt",
            "Stabil",
            "Warten auf Fixierung",
            "Fixiert",
            *["Warten auf Abschluss"] * 2,
            "Fehlgeschlagen",
        ),
        errors={
            "none": "Kein Fehler",
            "retryable": "Wiederholbarer Fehler",
            "unexpected": "Unerwarteter Fehler",
            "timed out": "Zeitüberschreitung",
            "inconsistent": "Inkonsistente Schattenkopie",
            "non-retryable": "Nicht wiederholbarer Fehler",
        },
        invalid="Fehler: Ungültiger Befehl.",
    ),
    "fr-FR": Words(
        title="vssadmin 1.1 - Outil ligne de commande d'administration du service de cliché instantané de volume",
        name="Nom du rédacteur : '{}'",
        id="   ID du rédacteur : {{{}}}",
        instance="   ID de l’instance du rédacteur : {{{}}}",
        state="   État : [{}] {}",
        error="   Dernière erreur : {}",
        states=("Inconnu", "Stable", "En attente pour figer", "Gelé", *["En attente de la conclusion"] * 2, "Échec"),
        errors={
            "none": "Aucune erreur",
            "retryable": "Erreur récupérable",
            "unexpected": "Erreur inattendue",
            "timed out": "Délai dépassé",
            "inconsistent": "Cliché instantané incohérent",
            "non-retryable": "Erreur non récupérable",
        },
        invalid="Erreur : Commande non valide.",
    ),
}


def _header(windows: Windows) -> str:
    years = "2001-2013" if windows.release.at_least("2012R2") else "2001-2005"
    return f"{WORDS[windows.language].title}\r\n(C) Copyright {years} Microsoft Corp.\r\n\r\n"


def _block(writer: Writer, words: Words) -> str:
    state = words.states[min(writer.state, len(words.states) - 1)]
    lines = (
        words.name.format(writer.name),
        words.id.format(writer.id),
        words.instance.format(writer.instance),
        words.state.format(writer.state, state),
        words.error.format(words.errors[writer.error]),
    )
    return "".join(f"{line}\r\n" for line in lines) + "\r\n"


def run(windows: Windows, arguments: Sequence[str]) -> Output:
    """Answer `list writers`; anything else is refused with exit code 1, as an unknown command is."""
    words = WORDS[windows.language]
    if [argument.casefold() for argument in arguments[:2]] != ["list", "writers"]:
        return Output(_header(windows) + words.invalid + "\r\n", exit_code=1)
    blocks = "".join(_block(writer, words) for writer in registered_writers(windows))
    return Output(_header(windows) + blocks, after=0.2)
