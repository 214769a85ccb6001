"""What is asked of one host over one connection: WQL, one instance, a method, the registry, a program.

All functions block and run on a worker thread. They raise TargetError for what the host says, and whatever the
libraries raise for what happens to the connection: `reach` translates that, and decides about a second try.
"""

from __future__ import annotations

import codecs
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

from bot.api.actions import InvokeMethod
from bot.api.host_names import host_key, host_parts
from bot.api.queries import Fields
from bot.api.rows import Cell, CellError, Row, Rows, get_int, get_str, get_strs
from bot.api.texts import codec_of
from bot.errors import (
    AuthenticationFailed,
    MalformedResponse,
    OutcomeUnknown,
    PolicyViolation,
    TargetError,
    TargetFault,
)
from bot.redaction import clip
from bot.transport.allowlist import BadOutput
from bot.transport.allowlist.reading_methods import ReadingMethod
from bot.transport.bounds import MAX_ROWS, MAX_WEIGHT, weigh
from bot.transport.windows import wql, wsman
from bot.transport.windows.exception_mapping import DeadlineExceeded, from_exception
from bot.transport.windows.fault_codes import OPERATION_TIMED_OUT, PULL_TIMED_OUT, STALE_CONTEXT
from bot.transport.windows.faults import from_code, from_return
from bot.transport.windows.winrm import Connection, Deadline
from bot.transport.windows.wsman import EnumerationPage, WSManFaultReply

LOCAL_MACHINE = 0x80000002  # HKEY_LOCAL_MACHINE [doc] StdRegProv
CODE_PAGES = r"SYSTEM\CurrentControlSet\Control\Nls\CodePage"
LONGEST_OUTPUT = 6 * 2**20  # bytes: a thousand events have about half of it

_NETBIOS = 15  # characters
_SHORTEST_WAIT = 1.5  # seconds
_NO_SUCH_KEY = 2  # ERROR_FILE_NOT_FOUND, as the methods of StdRegProv return it [doc]
_SHELL_IDLE = "PT180.000S"  # a shell that we could not close ends by itself: WinRM's smallest default [doc]
_METHODS = {  # registry type -> method, and the out-parameter that carries the value [doc] StdRegProv
    1: ("GetStringValue", "sValue"),
    2: ("GetExpandedStringValue", "sValue"),
    3: ("GetBinaryValue", "uValue"),
    4: ("GetDWORDValue", "uValue"),
    7: ("GetMultiStringValue", "sValue"),
    11: ("GetQWORDValue", "uValue"),
}
_BINARY, _MULTI = 3, 7
_MOST_VALUES = 50  # of a key, by a name that ends in "*": each takes a round trip


@dataclass(frozen=True, slots=True)
class Output:
    """What a program printed, decoded."""

    stdout: str
    stderr: str
    exit_code: int


def rows(connection: Connection, namespace: str, query: str, deadline: Deadline) -> tuple[Row, ...]:
    """All rows of a WQL query. An enumeration that the host forgets half-way is begun once more."""
    try:
        return _enumerate(connection, namespace, query, deadline)
    except WSManFaultReply as faulted:
        if faulted.fault.code != STALE_CONTEXT:
            raise
        return _enumerate(connection, namespace, query, deadline)


def instance(connection: Connection, namespace: str, cls: str, keys: Fields, deadline: Deadline) -> Row:
    """One instance by its keys."""
    reply, message_id = connection.ask(wsman.get(wql.namespace(namespace), wql.name(cls), keys), deadline)
    return wsman.read_instance(reply, message_id)


def check_itself(connection: Connection, deadline: Deadline) -> None:
    """Let a change go out over this connection: the machine at its other end calls itself what the way to it is called.

    Kerberos and TLS prove the name by themselves; NTLM proves only that the account is known there, so an address that leads
    to another machine (old DNS, a load balancer) would have that one changed, and the ledger name this one. Win32_ComputerSystem
    has one instance, its Name is the NetBIOS one, 15 characters at most [doc]; DNSHostName is the whole one [doc].

    Raises:
        PolicyViolation: it is another machine, or does not tell.
    """
    name = connection.way.name
    label, _ = host_parts(name)
    (told, *_) = (*rows(connection, "root/cimv2", "SELECT Name, DNSHostName FROM Win32_ComputerSystem", deadline), None)
    short_said, whole_said = (get_str(told or {}, column) for column in ("Name", "DNSHostName"))
    short, whole = host_key(short_said), host_key(whole_said)
    if label in (short, whole) or (not whole and short == label[:_NETBIOS]):
        return
    says = (
        # As it spells itself: a secret in small letters is found by no mask.
        f"its address leads to a machine that calls itself {clip(repr(whole_said if whole else short_said), 80)}"
        if short
        else "it does not tell its own name"
    )
    raise PolicyViolation(
        name,
        f"{says}, so nothing was sent there.",
        "Correct DNS, the load balancer or [endpoints]; in the inventory a host has the name that it gives itself.",
    )


def call(connection: Connection, action: InvokeMethod, deadline: Deadline, look: Callable[[], None]) -> Row:
    """Call a method. Answers its out-parameters; raises where `ReturnValue` is none of those that mean success.

    `look` is called before it goes out, and raises Withheld where it may do so no more.
    """
    namespace, cls, method = wql.namespace(action.namespace), wql.name(action.cls), wql.name(action.method)
    with connection.changing(look):
        out = _invoke(
            connection,
            wsman.invoke(namespace, cls, method, action.params, action.path, references=references_of(action)),
            deadline,
        )
    if get_str(out, "ReturnValue").lower() in ("true", "false"):
        return out  # a method that answers a question, such as WillOfflineLoseQuorum [doc], has no return code
    returned = get_int(out, "ReturnValue")
    if returned is not None and returned not in action.accept:
        raise from_return(action.on, action.cls, action.method, returned)
    return out


def references_of(action: InvokeMethod) -> tuple[wsman.Reference, ...]:
    """The parameters of an action that refer to instances. Raises PolicyViolation for a class that is none."""
    return tuple((one.name, wql.name(one.cls), one.keys) for one in action.references)


def read_method(connection: Connection, row: ReadingMethod, keys: Fields, deadline: Deadline) -> Rows:
    """Call a method that only reads. Raises MalformedResponse for an answer that its row cannot read."""
    namespace, cls, method = wql.namespace(row.namespace), wql.name(row.cls), wql.name(row.method)
    name, other = row.reference
    out = _invoke(
        connection,
        wsman.invoke(namespace, cls, method, (), row.path, references=((name, wql.name(other), keys),)),
        deadline,
    )
    try:
        return row.parse(out)
    except BadOutput as error:
        raise MalformedResponse(connection.way.name, f"{error}.") from None


def registry(connection: Connection, key: str, names: Sequence[str], deadline: Deadline) -> Row:
    """Values of a key under HKEY_LOCAL_MACHINE, or its subkeys where no names are asked for.

    The types are learnt first, because StdRegProv has one method per type and fails on the wrong one [doc].

    Raises:
        MalformedResponse: more values begin with a name that ends in `*` than are read one by one.
    """
    ask = _Hive(connection, key, deadline)
    if not names:
        found = ask("EnumKey")
        return {"subkeys": None if found is None else get_strs(found, "sNames")}
    found = ask("EnumValues") or {}
    types = zip(get_strs(found, "sNames"), get_strs(found, "Types"), strict=False)
    known = {name.casefold(): (name, int(kind)) for name, kind in types}
    wanted = [one for name in names for one in (_beginning(name, known) if name.endswith("*") else (name,))]
    if len(wanted) > len(names) + _MOST_VALUES:
        raise MalformedResponse(connection.way.name, f"HKLM\\{key} has too many values to read them one by one.")
    return {name: ask.value(*known[name.casefold()]) if name.casefold() in known else None for name in wanted}


def _beginning(name: str, known: Mapping[str, tuple[str, int]]) -> list[str]:
    """The names of all values that begin as one that ends in `*` says."""
    begin = name[:-1].casefold()
    return [shown for folded, (shown, _) in known.items() if folded.startswith(begin)]


def oem_code_page(connection: Connection, deadline: Deadline) -> int:
    """The code page of console programs there: 437, 850, 932 … [doc] NLS; 437 where it cannot be learnt."""
    try:
        row = registry(connection, CODE_PAGES, ("OEMCP",), deadline)
    except (TargetFault, AuthenticationFailed, WSManFaultReply):
        return 437
    page = get_str(row, "OEMCP")
    return int(page) if page.isascii() and page.isdigit() and len(page) < 6 else 437  # noqa: PLR2004 - 65001


def run(
    connection: Connection,
    argv: Sequence[str],
    code_page: int,
    deadline: Deadline,
    look: Callable[[], None] | None = None,
) -> Output:
    """Run a program without a command interpreter between: nothing in an argument can become a second command.

    `look` is called before a program that changes something is begun, and raises Withheld where it may be no more.
    Bare program names are safe: CreateProcess looks first beside the shell host, which is in System32 [doc].
    """
    stdout, stderr = bytearray(), bytearray()
    shell = _shell(connection, code_page, deadline)
    with shell as shell_id, _command(connection, shell_id, argv, deadline, look) as command:
        while not command.is_done:
            try:
                out, err = _receive(connection, shell_id, command, deadline)
            except Exception as error:
                if look is not None and (failed := from_exception(connection.way.name, error)).is_refusal:
                    # It refuses to tell how the program goes on, not to begin it.
                    says = f"{argv[0]} was started, and then: {failed.message}"
                    raise OutcomeUnknown(connection.way.name, says, failed.hint) from error
                raise
            stdout += out
            stderr += err
            if len(stdout) + len(stderr) > LONGEST_OUTPUT:
                raise MalformedResponse(connection.way.name, f"{argv[0]} printed more than {LONGEST_OUTPUT >> 20} MB.")
    return Output(decode(bytes(stdout), code_page), decode(bytes(stderr), code_page), command.exit_code)


def decode(output: bytes, code_page: int) -> str:
    """What a console program printed, as text: a byte order mark says how, UTF-16 shows by itself, else the OEM page."""
    if output.startswith(codecs.BOM_UTF8):
        return output[len(codecs.BOM_UTF8) :].decode("utf-8", "replace")
    if output.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return output.decode("utf-16", "replace")
    if len(output) > 1 and output[1] == 0 and output[0] != 0:
        return output.decode("utf-16-le", "replace")  # wevtutil /uni:true writes no mark into a pipe [inf]
    return output.decode(codec_of(code_page) or "cp437", "replace")


def _enumerate(connection: Connection, namespace: str, query: str, deadline: Deadline) -> tuple[Row, ...]:
    page = _page(connection, wsman.enumerate_wql(namespace, query), deadline)
    found, weight = list(page.rows), weigh(page.rows)
    context = page.context
    try:
        while context:
            page = _page(connection, wsman.pull(namespace, context), deadline, keep=context)
            found += page.rows
            weight += weigh(page.rows)
            _check_size(connection, len(found), weight)
            context = page.context
    except BaseException:
        _release(connection, namespace, context)
        raise
    return tuple(found)


def _check_size(connection: Connection, count: int, weight: int) -> None:
    """Raises MalformedResponse for an answer over the limit: pages can be small, but endless."""
    if count > MAX_ROWS or weight > MAX_WEIGHT:
        raise MalformedResponse(connection.way.name, "its answer exceeds the size limit.")


def _page(connection: Connection, message: wsman.Message, deadline: Deadline, keep: str = "") -> EnumerationPage:
    """One page. A Pull that found nothing in time may be repeated: the enumeration stays valid [doc]."""
    if not deadline.left:
        raise DeadlineExceeded
    try:
        reply, message_id = connection.ask(message, deadline)
    except WSManFaultReply as faulted:
        if keep and faulted.fault.code in (PULL_TIMED_OUT, OPERATION_TIMED_OUT) and deadline.left:
            return EnumerationPage((), keep)
        raise
    return wsman.read_page(reply, message_id)


def _release(connection: Connection, namespace: str, context: str) -> None:
    if not connection.is_broken:
        with suppress(Exception):  # best effort: the context expires by itself
            connection.ask(wsman.release(namespace, context), Deadline.of(2))


def _invoke(connection: Connection, message: wsman.Message, deadline: Deadline) -> Row:
    reply, message_id = connection.ask(message, deadline)
    return wsman.read_instance(reply, message_id)


@dataclass(frozen=True, slots=True)
class _Hive:
    """StdRegProv, aimed at one key."""

    connection: Connection
    key: str
    deadline: Deadline

    def __call__(self, method: str, name: str | None = None) -> Row | None:
        """Call a method; None where there is no such key or value."""
        params: Fields = (("hDefKey", LOCAL_MACHINE), ("sSubKeyName", self.key))
        if name is not None:
            params += (("sValueName", name),)
        out = _invoke(self.connection, wsman.invoke("root/default", "StdRegProv", method, params), self.deadline)
        returned = get_int(out, "ReturnValue")
        if returned == _NO_SUCH_KEY:
            return None
        if returned:
            raise _registry_error(self.connection.way.name, self.key, returned)
        return out

    def value(self, name: str, kind: int) -> Cell:
        """One value: text, decimal text, hexadecimal text for binary, a tuple for a multi-string."""
        if kind not in _METHODS:
            return None
        method, column = _METHODS[kind]
        found = self(method, name)
        if found is None:
            return None
        if kind == _MULTI:
            return get_strs(found, column)
        if kind == _BINARY:
            return bytes(_byte(column, one) for one in get_strs(found, column)).hex()
        return get_str(found, column)


def _byte(column: str, text: str) -> int:
    """Raises CellError."""
    if not (text.isascii() and text.isdigit() and len(text) < 4 and int(text) < 256):  # noqa: PLR2004 - a byte
        raise CellError(column, text)
    return int(text)


def _registry_error(on: str, key: str, returned: int) -> TargetError:
    error = from_code(on, returned)
    if isinstance(error, TargetFault):
        return TargetFault(on, f"reading HKLM\\{key} failed with error {returned}.", code=returned)
    return error


@dataclass(slots=True)
class _Running:
    id: str
    is_done: bool = False
    exit_code: int = -1


@contextmanager
def _shell(connection: Connection, code_page: int, deadline: Deadline) -> Iterator[str]:
    """A command shell, closed whatever happens: each counts against the user's quota."""
    connection.expect(deadline)
    connection.protocol.operation_timeout_sec = max(1, int(deadline.left))
    shell_id = connection.protocol.open_shell(codepage=code_page, noprofile=True, idle_timeout=_SHELL_IDLE)
    try:
        yield shell_id
    finally:
        if not connection.is_broken:
            with suppress(Exception):  # the answer counts; a shell that stays open ends when it has been idle
                connection.expect(Deadline.of(2))
                connection.protocol.close_shell(shell_id, close_session=False)


@contextmanager
def _command(
    connection: Connection, shell_id: str, argv: Sequence[str], deadline: Deadline, look: Callable[[], None] | None
) -> Iterator[_Running]:
    """A program in the shell. Closing the shell ends it; only one that still runs is told so before."""
    connection.expect(deadline)
    line = subprocess.list2cmdline(argv[1:])  # quotes as the C runtime of Windows takes arguments apart
    arguments = [line] if line else []
    if look is not None:
        look()  # here the connection stays whole, and its shell is closed
    with connection.changing(look) if look is not None else nullcontext():
        running = _Running(connection.protocol.run_command(shell_id, argv[0], arguments, skip_cmd_shell=True))
    try:
        yield running
    finally:
        if not running.is_done and not connection.is_broken:
            with suppress(Exception):
                connection.expect(Deadline.of(2))
                connection.protocol.cleanup_command(shell_id, running.id)


def _receive(connection: Connection, shell_id: str, command: _Running, deadline: Deadline) -> tuple[bytes, bytes]:
    """What the program printed since; nothing where it printed nothing. A host that answers so is not silent."""
    if deadline.left < _SHORTEST_WAIT:
        raise DeadlineExceeded  # while there is still time to end the program and close its shell
    wait = max(1, int(min(deadline.silence, deadline.left) * 0.75))  # pywinrm takes whole seconds
    connection.protocol.operation_timeout_sec = wait
    connection.expect(Deadline(deadline.ends, wait + max(1.0, deadline.silence / 4)))
    try:
        out, err, command.exit_code, command.is_done = connection.protocol.get_command_output_raw(shell_id, command.id)
    except WSManFaultReply as faulted:
        if faulted.fault.code != OPERATION_TIMED_OUT:
            raise
        return b"", b""
    return out, err
