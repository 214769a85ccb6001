"""A case, from its file to a running estate and a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.cases import schema
from lab.cases.environment import CaseEnvironment, clock_of, prepare
from lab.cases.errors import CaseError
from lab.cases.expectations import Answer, failures
from lab.cases.schema import CaseFile
from lab.scenarios import begin, stories


@dataclass(frozen=True, slots=True)
class Case:
    """An incident that can be played. Made by `load`.

    Attributes:
        file: where it stands.
        told: what stands there.
    """

    file: Path
    told: CaseFile

    @property
    def title(self) -> str:
        """What is right, in a sentence."""
        return self.told.title

    @property
    def line(self) -> str:
        """What is typed."""
        return self.told.line

    @property
    def wrong_today(self) -> str:
        """Why hvops is known to get it wrong; empty where it is right."""
        return self.told.wrong_today

    @property
    def earlier(self) -> Sequence[tuple[float, str, bool]]:
        """Lines that were asked before, the oldest first: the seconds before the line itself, and whether it was carried out."""
        at = self.told.at
        found = [((at - one.at).total_seconds(), one.line, one.done) for one in self.told.earlier if at is not None]
        return sorted(found, reverse=True)

    def start(self, directory: Path) -> CaseEnvironment:
        """Its estate, as a context manager; within, `settings_path` leads a bot there."""
        return CaseEnvironment(self.told, directory)

    def judge(
        self, *, text: str, title: str, exit_code: int, possible: bool | None, plan: Mapping[str, Any] | None
    ) -> list[str]:
        """What is wrong with an answer, a sentence for each expectation; nothing where it is right."""
        return failures(self.told, Answer(text, title, exit_code, possible, plan))


def load(file: Path) -> Case:
    """Read a file and see that all of it can be carried. Raises CaseError, which names file and key."""
    told = schema.read(file)
    try:
        _check(told)
    except CaseError as error:
        raise error.of(str(file)) from None
    return Case(file, told)


def _check(told: CaseFile) -> None:
    if told.scenario not in stories():
        raise CaseError("scenario", f"there is no {told.scenario!r}; there are {', '.join(stories())}.")
    for at, one in enumerate(told.earlier):
        if told.at is not None and one.at >= told.at:
            raise CaseError(f"earlier[{at}].at", "is not before the line.")
    prepare(told, begin(told.scenario, clock=clock_of(told)))
