"""What a row of the catalogue is. A row says all there is to say about a program: nothing of it comes from chat.

The argument list is a template whose words stay words: a value fills a place inside of one word, is checked by its
type before, and no command interpreter stands between, so that it cannot become an option or a second command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from bot.api.queries import Fields, Value
from bot.api.rows import Rows

MOST_LINES = 20_000  # of one output: a thousand events, pretty-printed, have fewer
_LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"  # as str.splitlines takes them


class BadOutput(ValueError):
    """A program printed something else than its parser knows, or stopped in the middle."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value of a row's template.

    Attributes:
        read: checks the value and makes text of it; raises ValueError saying what it takes.
        default: the value where none is given; a parameter without default must be given.
    """

    name: str
    read: Callable[[Value], str]
    default: Value | Literal["required"] = "required"


@dataclass(frozen=True, slots=True)
class Program:
    """One thing that may be done with one program.

    Attributes:
        what: its name in a question: "vssadmin list writers".
        marked: "reads" or "changes". A question may only name a row that reads.
        argv: program and arguments; "{name}" stands for a parameter.
        parse: makes rows of what it printed; raises BadOutput.
        profile: the login it needs.
        seconds: how long it may take on a host that answers meanwhile.
        success: the exit codes that mean success.
        absent: the exit codes that mean that there is no such thing, with the sentence to say.
        faults: what other exit codes of this program mean, as unsigned numbers, with the sentence to say. They come before
            what Windows means by a number elsewhere.
        cover: makes what is kept of the output, where the rest may be somebody's secret; nothing else leaves the worker.
        is_silent: whether anything on its error output means that it has not read all of it.
    """

    what: str
    marked: Literal["reads", "changes"]
    argv: tuple[str, ...]
    parse: Callable[[str], Rows]
    parameters: tuple[Parameter, ...] = ()
    profile: Literal["reader", "operator"] = "reader"
    seconds: int = 60
    success: tuple[int, ...] = (0,)
    absent: Mapping[int, str] | None = None
    faults: Mapping[int, str] | None = None
    cover: Callable[[str], str] | None = None
    is_silent: bool = False

    def bind(self, params: Fields) -> dict[str, str]:
        """The values as text, by name. Raises ValueError for one that is unknown, missing or of another kind."""
        return bind_parameters(self.what, self.parameters, params)

    def command_line(self, params: Fields) -> tuple[str, ...]:
        """Program and arguments. Raises ValueError as `values` does."""
        values = self.bind(params)
        return tuple(word.format_map(values) if "{" in word else word for word in self.argv)


def lines_of(output: str, most: int = MOST_LINES) -> list[str]:
    """The lines that are not blank. They are counted before any is made: an object for each two bytes is forty times as much.

    Raises:
        BadOutput: there are more than `most` of them, blank ones included.
    """
    if sum(map(output.count, _LINE_ENDS)) - output.count("\r\n") > most:
        raise BadOutput(f"it printed more than {most:,} lines")
    return [line for line in output.splitlines() if line.strip()]


def bind_parameters(what: str, parameters: tuple[Parameter, ...], params: Fields) -> dict[str, str]:
    """The values of any row as text, by name. Raises ValueError for one that is unknown, missing or of another kind."""
    given = dict(params)
    if strangers := given.keys() - {parameter.name for parameter in parameters}:
        raise ValueError(f"{what} takes no {', '.join(sorted(strangers))}")
    return {parameter.name: _read(what, parameter, given) for parameter in parameters}


def _read(what: str, parameter: Parameter, given: Mapping[str, Value]) -> str:
    value = given.get(parameter.name, parameter.default)
    if value == "required" and parameter.name not in given:
        raise ValueError(f"{what} needs {parameter.name}")
    try:
        return parameter.read(value)
    except ValueError as error:
        raise ValueError(f"{what}: {parameter.name} {error}") from None
