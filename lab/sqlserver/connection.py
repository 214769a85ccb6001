"""One client: PRELOGIN, perhaps TLS, LOGIN7, then requests until it leaves. An attention cancels what runs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol

from lab.sqlserver import errors
from lab.sqlserver.errors import SqlError
from lab.sqlserver.fault_injection import Kind as FaultKind
from lab.sqlserver.fault_injection import Trouble
from lab.sqlserver.locks import Locks
from lab.sqlserver.procedures import Procedures, Returned
from lab.sqlserver.response_tokens import Reply
from lab.sqlserver.session import Done, Outcome, Session
from lab.sqlserver.store import Instance, Login
from lab.sqlserver.wire import login, requests, tokens
from lab.sqlserver.wire.login import Encryption, Login7, Policy
from lab.sqlserver.wire.packets import Kind, Message, packets, read_message
from lab.sqlserver.wire.requests import Call
from lab.sqlserver.wire.tls import Wire

_FIRST_PACKET = 4096
_VERBS = {"begin": "BEGIN TRANSACTION", "commit": "COMMIT TRANSACTION", "rollback": "ROLLBACK TRANSACTION"}


class Cut(Exception):
    """The connection is to be dropped without a word."""


class Host(Protocol):
    """What a connection needs of the server it belongs to."""

    instance: Instance
    encryption: Policy
    tls: ssl.SSLContext | None
    trouble: Trouble
    statements: list[str]
    locks: Locks

    @property
    def settle(self) -> Callable[[], None]:
        """Lets what is due in the world happen."""
        ...


class Connection:
    """A client's connection, from its first byte on."""

    def __init__(self, server: Host, wire: Wire, process: int) -> None:
        self._server = server
        self._wire = wire
        self._process = process
        self._packet_size = _FIRST_PACKET
        self._session: Session | None = None

    async def serve(self) -> None:
        """Serve until the client leaves, is thrown out, or the server stops. What was open is rolled back."""
        try:
            session = await self._log_in()
            if session is not None:
                self._session = session
                await self._requests(session, Procedures(session))
        except SqlError as error:
            await self._send(tokens.error(error, self._name) + tokens.done(tokens.DONE, tokens.Status.ERROR))
        except (Cut, ssl.SSLError):
            self._wire.abort()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            if self._session is not None:
                self._session.rollback([])
            await self._wire.close()

    @property
    def _name(self) -> str:
        return self._server.instance.name.upper()

    async def _send(self, data: bytes, kind: int = Kind.REPLY) -> None:
        for packet in packets(kind, data, self._packet_size, self._process):
            await self._wire.write(packet)

    # logging in -------------------------------------------------------------------------------------------------------

    async def _log_in(self) -> Session | None:
        hello = await read_message(self._wire)
        if self._server.trouble.mute:
            await self._wire.read(1)  # until the client has had enough
        if hello.kind != Kind.PRELOGIN:
            raise Cut
        agreed = login.agreed(self._server.encryption, login.read_prelogin(hello.data))
        await self._send(login.prelogin(self._server.instance.version, agreed))
        encrypts = agreed is not Encryption.NOT_SUPPORTED
        if encrypts:
            assert self._server.tls is not None
            await self._wire.start_tls(self._server.tls)
        message = await read_message(self._wire)
        if message.kind != Kind.LOGIN:
            raise Cut
        if agreed is Encryption.OFF:
            self._wire.stop_tls()
        wants = login.read_login(message.data)
        known = self._admitted(wants)
        opened = self._server.instance.opened(wants.database or known.default, known)
        if opened is None:
            await self._send(tokens.error(errors.cannot_open(wants.database), self._name) + self._refusal(wants))
            return None
        session = Session(self._process, self._server.instance, self._server.locks, known, opened)
        await self._send(self._welcome(session, wants))
        self._packet_size = wants.packet_size
        return session

    def _admitted(self, wants: Login7) -> Login:
        known = self._server.instance.logins.get(wants.user.casefold())
        if wants.integrated or known is None or known.password != wants.password:
            raise errors.login_failed(wants.user)
        return known

    def _refusal(self, wants: Login7) -> bytes:
        failed = tokens.error(errors.login_failed(wants.user), self._name)
        return failed + tokens.done(tokens.DONE, tokens.Status.ERROR)

    def _welcome(self, session: Session, wants: Login7) -> bytes:
        database, size = session.database.name, str(wants.packet_size)
        changed = tokens.environment(1, database, "master") + tokens.collation()
        changed += tokens.info(5701, f"Changed database context to '{database}'.", self._name)
        changed += tokens.environment(2, "us_english", "")
        changed += tokens.info(5703, "Changed language setting to us_english.", self._name)
        version = min(wants.version, login.TDS_7_4)
        acknowledged = tokens.login_acknowledged(self._server.instance.version, version)
        packet = tokens.environment(4, size, str(_FIRST_PACKET))
        return changed + acknowledged + packet + tokens.done(tokens.DONE, tokens.Status.FINAL)

    # requests ---------------------------------------------------------------------------------------------------------

    async def _requests(self, session: Session, procedures: Procedures) -> None:
        """Answer one request after the other, and listen meanwhile: the client may cancel, or go."""
        reading = asyncio.create_task(read_message(self._wire))
        running: asyncio.Task[bytes] | None = None
        try:
            while True:
                message = await reading
                reading = asyncio.create_task(read_message(self._wire))
                if message.kind == Kind.ATTENTION:
                    await self._send(_attention())
                    continue
                if message.is_ignored:
                    await self._send(tokens.done(tokens.DONE, tokens.Status.ERROR))
                    continue
                running = asyncio.create_task(self._answer(message, session, procedures))
                await asyncio.wait({running, reading}, return_when=asyncio.FIRST_COMPLETED)
                if not running.done() and _interrupts(reading):
                    running.cancel()
                    await asyncio.wait({running})
                    await self._send(_interrupted())
                    await reading  # raises where the client has gone
                    reading = asyncio.create_task(read_message(self._wire))
                    continue
                await self._send(await running)  # a request that came too early waits its turn
        finally:
            for task in (reading, running):
                if task is not None:
                    task.cancel()
            await asyncio.gather(*(task for task in (reading, running) if task), return_exceptions=True)

    async def _answer(self, message: Message, session: Session, procedures: Procedures) -> bytes:
        if message.resets:
            session.reset()
        reply = Reply(self._name)
        if message.kind == Kind.BATCH:
            await self._batch(requests.read_batch(message.data), session, procedures, reply)
        elif message.kind == Kind.RPC:
            for call in requests.read_calls(message.data):
                await self._call(call, session, procedures, reply)
        elif message.kind == Kind.TRANSACTION:
            await self._transaction(message.data, session, reply)
        else:
            raise errors.broken_stream(f"A message of kind {message.kind} is not served here.")
        return reply.finished(in_transaction=session.transaction is not None)

    async def _batch(self, text: str, session: Session, procedures: Procedures, reply: Reply) -> None:
        out: list[Outcome] = []
        fault = await self._inject_fault(text)
        call = session.as_call(text)
        if fault == "deadlock":
            session.lose(out)
        elif call is not None:
            await procedures.call(call, out)
        else:
            await session.run(text, {}, out)
        self._drop_after(fault)
        reply.batch(out)

    async def _call(self, call: Call, session: Session, procedures: Procedures, reply: Reply) -> None:
        out: list[Outcome] = []
        returned: Returned = ()
        text = procedures.text_of(call)
        fault = await self._inject_fault(text) if text else None
        if fault == "deadlock":
            session.lose(out)
        else:
            returned = await procedures.call(call, out)
        self._drop_after(fault)
        reply.procedure(out, returned)

    async def _transaction(self, data: bytes, session: Session, reply: Reply) -> None:
        out: list[Outcome] = []
        request = requests.read_transaction(data)
        fault = await self._inject_fault(_VERBS[request.what])
        try:
            if fault == "deadlock":
                session.lose(out)
            elif request.what == "begin":
                session.begin(out)
            elif request.what == "commit":
                session.commit(out)
            elif session.transaction is None:
                raise errors.no_transaction("ROLLBACK")
            else:
                session.rollback(out)
            if request.begins_another:
                session.begin(out)
        except SqlError as error:
            out.append(error)
        self._drop_after(fault)
        reply.batch([*out, Done("OTHER")])

    async def _inject_fault(self, statement: str) -> FaultKind | None:
        """Let happen to a statement what was planned for it; what happens afterwards is for the caller."""
        trouble = self._server.trouble
        self._server.statements.append(statement)
        if trouble.latency:
            await asyncio.sleep(trouble.latency)
        self._server.settle()
        fault = trouble.inject(statement)
        if fault == "drop before":
            raise Cut
        if fault == "hang":
            await asyncio.get_running_loop().create_future()
        return fault

    def _drop_after(self, fault: FaultKind | None) -> None:
        if fault == "drop after":
            raise Cut


def _attention() -> bytes:
    return tokens.done(tokens.DONE, tokens.Status.ATTENTION)


def _interrupted() -> bytes:
    """The statement that was cut short did not succeed, and the attention is acknowledged."""
    return tokens.done(tokens.DONE, tokens.Status.ERROR | tokens.Status.MORE) + _attention()


def _interrupts(reading: asyncio.Task[Message]) -> bool:
    """Whether what was read meanwhile ends what runs: an attention, or that the client has gone."""
    return reading.exception() is not None or reading.result().kind == Kind.ATTENTION
