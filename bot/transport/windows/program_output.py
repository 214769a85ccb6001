"""What a program of the catalogue printed, judged by its exit code and read by its parser."""

from __future__ import annotations

from bot.api.actions import RunProgram
from bot.api.queries import GuestRunReader, RunReader
from bot.api.rows import Rows
from bot.errors import MalformedResponse, NotFound, ProgramFailed, TargetFault
from bot.redaction import clip, clip_line
from bot.transport.allowlist import Program
from bot.transport.bounds import MAX_EVIDENCE, MAX_ROWS, MAX_WEIGHT, weigh
from bot.transport.windows.fault_codes import KNOWN, REFUSALS
from bot.transport.windows.faults import from_code
from bot.transport.windows.host_operations import Output


class OutputNotParsed(MalformedResponse):
    """A program's output that its parser does not accept, with that output."""

    def __init__(self, on: str, says: str, raw: str) -> None:
        super().__init__(on, says)
        self.raw = raw


def rows_of(on: str, program: Program, asked: RunReader | GuestRunReader | RunProgram, output: Output) -> Rows:
    """What it printed, as rows. Raises TargetError."""
    _judge_exit(on, program, asked, output)
    if program.is_silent and output.stderr.strip():
        said = clip_line(output.stderr, 200)
        raise OutputNotParsed(on, f"{program.argv[0]} has not read all of it: {said}", _kept(output))
    try:
        rows = program.parse(output.stdout)
    except ValueError as error:
        raise OutputNotParsed(on, f"{error}.", _kept(output)) from error
    if len(rows) > MAX_ROWS or weigh(rows) > MAX_WEIGHT:
        raise OutputNotParsed(on, "its answer exceeds the size limit.", "")
    return rows


def _kept(output: Output) -> str:
    """What it printed, as much as an answer's evidence takes: of what no parser takes nobody has counted anything."""
    return clip(output.stdout + output.stderr, MAX_EVIDENCE)


def _judge_exit(on: str, program: Program, asked: RunReader | GuestRunReader | RunProgram, output: Output) -> None:
    """Raise what an exit code means, unless it is one of success. 5 is Windows' own "access denied" [doc]."""
    code = output.exit_code
    if code in program.success:
        return
    if program.absent and code in program.absent:
        raise NotFound(on, program.absent[code].format_map(program.bind(asked.params)), code=code)
    said = clip_line(f"{output.stderr} {output.stdout}", 300)
    if program.faults and (number := code & 0xFFFFFFFF) in program.faults:  # an HRESULT comes as a negative number
        # What the row of a program lists are its refusals; any other code may be one after it has begun.
        raise TargetFault(on, program.faults[number], code=number, is_refusal=True)
    if code in KNOWN:
        raise from_code(on, code, said)
    says = f"{program.argv[0]} ended with exit code {code}{': ' + said if said else '.'}"
    raise ProgramFailed(on, says, code=code, is_refusal=code & 0xFFFFFFFF in REFUSALS)
