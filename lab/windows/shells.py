"""Command shells: Create, Command, Send, Receive, Signal, Delete, as winrs and pywinrm use them.

Source: MS-WSMV 3.1.4.5 to 3.1.4.14 [doc]; the faults are captured ones [cap] where marked in `lab.windows.faults`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from lab.windows import wsman_constants
from lab.windows.command_line import split_command_line
from lab.windows.console_output import Stream, encode
from lab.windows.envelope import Request, answer, escape, parse_duration
from lab.windows.faults import TIMED_OUT, TOO_MANY_SHELLS, UNEXPECTED_SELECTORS, Fault, Provider
from lab.windows.machine_protocol import Machine, Output, impersonate

_R = f"{{{wsman_constants.SHELL}}}"
_STATE = wsman_constants.SHELL + "/CommandState/"
_SIGNALS = ("terminate", "ctrl_c", "ctrl_break", "exit")
_UNKNOWN_PROGRAM = 9009  # what cmd.exe exits with when it knows no such program
_PREFIXES = "s a x w rsp p"


@dataclass(slots=True)
class _Command:
    """A program under way or ended. Its output is there once `ready` is done."""

    stdout: Stream
    stderr: Stream
    exit_code: int
    ready: asyncio.Future[None]
    timer: asyncio.TimerHandle | None


@dataclass(slots=True)
class _Shell:
    """An open shell."""

    owner: str
    code_page: int
    idle: float  # seconds without a request after which the shell is closed
    deadline: float
    busy: int = 0  # requests under way, during which it is not idle
    commands: dict[str, _Command] = field(default_factory=dict)


class Shells:
    """The shells of one machine."""

    def __init__(self, machine: Machine, clock: Callable[[], float]) -> None:
        self._machine = machine
        self._clock = clock
        self._shells: dict[str, _Shell] = {}

    def __len__(self) -> int:
        return len(self._shells)

    def create(self, request: Request, user: str, to: str) -> str:
        """Open a shell.

        Raises:
            Fault: the user has as many as are allowed, or an option is wrong.
        """
        self._drop_idle()
        quotas = self._machine.quotas
        if sum(shell.owner == user for shell in self._shells.values()) >= quotas.max_shells_per_user:
            raise Fault(TOO_MANY_SHELLS)
        name = str(uuid.uuid4()).upper()
        idle = self._idle(request.body)
        code_page = self._code_page(request.options)
        self._shells[name] = _Shell(user, code_page, idle, self._clock() + idle)
        created = (
            f"<x:ResourceCreated><a:Address>{escape(to)}</a:Address><a:ReferenceParameters>"
            f"<w:ResourceURI>{wsman_constants.CMD_SHELL}</w:ResourceURI><w:SelectorSet>"
            f'<w:Selector Name="ShellId">{name}</w:Selector></w:SelectorSet></a:ReferenceParameters></x:ResourceCreated>'
        )
        described = (
            f"<rsp:Shell><rsp:ShellId>{name}</rsp:ShellId><rsp:ResourceUri>{wsman_constants.CMD_SHELL}</rsp:ResourceUri>"
            f"<rsp:Owner>{escape(user)}</rsp:Owner><rsp:ClientIP>127.0.0.1</rsp:ClientIP>"
            f"<rsp:IdleTimeOut>PT{idle:.3f}S</rsp:IdleTimeOut><rsp:InputStreams>stdin</rsp:InputStreams>"
            "<rsp:OutputStreams>stdout stderr</rsp:OutputStreams></rsp:Shell>"
        )
        return self._answer(request, wsman_constants.CREATE + "Response", created + described)

    def command(self, request: Request, user: str) -> str:
        """Start a program.

        Raises:
            Fault: no such shell; no command; without cmd.exe in between, no such program [cap].
        """
        shell = self._shell(request, user)
        line = request.body
        if line is None or line.tag != f"{_R}CommandLine":
            raise Fault(2150858791)
        words = _command_line(line, skip_shell=_flag(request.options, "WINRS_SKIP_CMD_SHELL", default=False))
        if not words:
            raise Fault(87, provider=Provider("Shell cmd plugin", nested=False))
        output = impersonate(user, self._machine).run(words)
        if output.exit_code == _UNKNOWN_PROGRAM and _flag(request.options, "WINRS_SKIP_CMD_SHELL", default=False):
            raise Fault(2147942402, provider=Provider("Shell cmd plugin", nested=False))
        name = (line.get("CommandId") or str(uuid.uuid4())).upper()
        shell.commands[name] = _start(output, shell.code_page)
        body = f"<rsp:CommandResponse><rsp:CommandId>{name}</rsp:CommandId></rsp:CommandResponse>"
        return self._answer(request, wsman_constants.COMMAND + "Response", body)

    def send(self, request: Request, user: str) -> str:
        """Take input for a program; the practice world's programs read none.

        Raises:
            Fault: no such shell or command.
        """
        shell = self._shell(request, user)
        stream = None if request.body is None else request.body.find(f"{_R}Stream")
        if stream is None:
            raise Fault(2150858791)
        _command(shell, stream.get("CommandId", ""))
        body = "<rsp:SendResponse></rsp:SendResponse>"
        return self._answer(request, wsman_constants.SEND + "Response", body)

    async def receive(self, request: Request, user: str) -> str:
        """Wait for a program's output, at most for the operation timeout.

        Raises:
            Fault: no such shell or command, none named as there is before the first one (87) [cap], or nothing came in
                time (`TIMED_OUT`); then ask again.
        """
        shell = self._shell(request, user)
        desired = None if request.body is None else request.body.find(f"{_R}DesiredStream")
        if desired is None:
            raise Fault(2150858791)
        if not desired.get("CommandId"):
            raise Fault(87, provider=Provider("Shell cmd plugin", nested=False))
        name = desired.get("CommandId", "").upper()
        command = _command(shell, name)
        shell.busy += 1
        try:
            await self._until_ready(command, request.timeout)
        finally:
            shell.busy -= 1
            shell.deadline = self._clock() + shell.idle
        return self._answer(request, wsman_constants.RECEIVE + "Response", self._output(command, name, request))

    async def _until_ready(self, command: _Command, seconds: float) -> None:
        longest = self._machine.quotas.max_timeout_ms / 1_000
        done, _waiting = await asyncio.wait({command.ready}, timeout=min(seconds, longest))
        if not done:
            raise Fault(TIMED_OUT)

    def _output(self, command: _Command, name: str, request: Request) -> str:
        """As much output as the envelope holds; the state is Done when all of it has been read."""
        asked = request.max_envelope_size or 153_600
        room = min(asked, self._machine.quotas.max_envelope_kb * 1_024) // 2 - 2_000
        parts: list[str] = []
        for label, stream in (("stdout", command.stdout), ("stderr", command.stderr)):
            chunk = stream.take(room)
            room -= len(chunk)
            if chunk:
                parts.append(f'<rsp:Stream Name="{label}" CommandId="{name}">{chunk}</rsp:Stream>')
        ended = command.stdout.empty and command.stderr.empty
        state = f'<rsp:CommandState CommandId="{name}" State="{_STATE}Running"></rsp:CommandState>'
        if ended:
            parts += [
                f'<rsp:Stream Name="{label}" CommandId="{name}" End="true"></rsp:Stream>'
                for label in ("stdout", "stderr")
            ]
            state = (
                f'<rsp:CommandState CommandId="{name}" State="{_STATE}Done">'
                f"<rsp:ExitCode>{command.exit_code}</rsp:ExitCode></rsp:CommandState>"
            )
        return f"<rsp:ReceiveResponse>{''.join(parts)}{state}</rsp:ReceiveResponse>"

    def signal(self, request: Request, user: str) -> str:
        """End a program.

        Raises:
            Fault: no such shell, command or signal.
        """
        shell = self._shell(request, user)
        body = request.body
        if body is None or body.tag != f"{_R}Signal":
            raise Fault(2150858791)
        code = (body.findtext(f"{_R}Code") or "").strip().rpartition("/signal/")[2].lower()
        if code not in _SIGNALS:
            raise Fault(87, provider=Provider("Shell cmd plugin", nested=False))
        name = body.get("CommandId", "").upper()
        command = _command(shell, name)
        _stop(command)
        if code in {"terminate", "exit"}:
            del shell.commands[name]
        return self._answer(request, wsman_constants.SIGNAL + "Response", "<rsp:SignalResponse></rsp:SignalResponse>")

    def delete(self, request: Request, user: str) -> str:
        """Close a shell with its programs.

        Raises:
            Fault: no such shell.
        """
        shell = self._shell(request, user)
        self._close(request.selectors["ShellId"].upper(), shell)
        return self._answer(request, wsman_constants.DELETE + "Response", "")

    def close_all(self) -> None:
        """Close every shell, as a restarted service does."""
        for name, shell in list(self._shells.items()):
            self._close(name, shell)

    def _close(self, name: str, shell: _Shell) -> None:
        for command in shell.commands.values():
            _stop(command)
        del self._shells[name]

    def _shell(self, request: Request, user: str) -> _Shell:
        self._drop_idle()
        shell = self._shells.get(request.selectors.get("ShellId", "").upper())
        if shell is None or shell.owner != user:
            raise Fault(UNEXPECTED_SELECTORS, provider=Provider("Shell provider"))
        shell.deadline = self._clock() + shell.idle
        return shell

    def _drop_idle(self) -> None:
        now = self._clock()
        for name, shell in list(self._shells.items()):
            if shell.deadline < now and not shell.busy:
                self._close(name, shell)

    def _idle(self, body: Element | None) -> float:
        longest = self._machine.quotas.idle_timeout_ms / 1_000
        text = None
        if body is not None:
            text = body.findtext(f"{_R}IdleTimeOut") or body.findtext(f"{_R}IdleTimeout")
        duration = None if text is None else parse_duration(text.strip())
        return longest if duration is None else min(duration.total_seconds(), longest)

    def _code_page(self, options: Mapping[str, str]) -> int:
        wanted = options.get("WINRS_CODEPAGE")
        if wanted is None:
            return self._machine.oem_code_page
        try:
            encode("", int(wanted))
        except (ValueError, LookupError) as error:
            raise Fault(2150858809) from error
        return int(wanted)

    def _answer(self, request: Request, action: str, body: str) -> str:
        return answer(request, action, body, language=self._machine.language, prefixes=_PREFIXES)


def _flag(options: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = options.get(name)
    return default if value is None else value.strip().upper() in {"TRUE", "1"}


def _command_line(line: Element, *, skip_shell: bool) -> list[str]:
    """The words of a command line.

    Without cmd.exe the command is one program, and only the arguments are split. With it, the whole is one line for
    cmd.exe, of which this lab reads no more than words and quotation marks.
    """
    command = (line.findtext(f"{_R}Command") or "").strip()
    arguments = " ".join(each.text or "" for each in line.iterfind(f"{_R}Arguments"))
    if skip_shell:
        return [command.strip('"'), *split_command_line(arguments)] if command.strip('"') else []
    return split_command_line(f"{command} {arguments}")


def _command(shell: _Shell, name: str) -> _Command:
    command = shell.commands.get(name.upper())
    if command is None:
        raise Fault(UNEXPECTED_SELECTORS)
    return command


def _start(output: Output, code_page: int) -> _Command:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    page = None if output.utf16 else output.code_page or code_page
    stdout = Stream(encode(output.stdout, page))
    stderr = Stream(encode(output.stderr, page))
    timer = None
    if output.after > 0:
        timer = loop.call_later(output.after, ready.set_result, None)
    else:
        ready.set_result(None)
    return _Command(stdout, stderr, output.exit_code, ready, timer)


def _stop(command: _Command) -> None:
    """Ctrl+C: what was not yet printed never is [inf]."""
    if command.timer is not None:
        command.timer.cancel()
    if not command.ready.done():
        command.stdout = Stream(b"")
        command.stderr = Stream(b"")
        command.exit_code = 0xC000013A  # STATUS_CONTROL_C_EXIT
        command.ready.set_result(None)
