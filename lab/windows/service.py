"""What a machine's WS-Management service does with a request, once its sender is known.

Dispatch goes by action and resource URI alone.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from lab.windows import configuration, envelope, fault_xml, identify, wmi, wsman_constants
from lab.windows.enumeration import Enumerations
from lab.windows.envelope import Request
from lab.windows.faults import ACCESS_DENIED, TOO_MANY_OPERATIONS, Fault, Provider
from lab.windows.machine_protocol import Machine, impersonate
from lab.windows.shells import Shells

OK, FAULTED = 200, 500
_WMI_DENIED = 2150859013


class Service:
    """One machine's service: its shells, enumerations and quotas."""

    def __init__(self, machine: Machine, clock: Callable[[], float] = time.monotonic) -> None:
        self.machine = machine
        self.shells = Shells(machine, clock)
        self.enumerations = Enumerations(machine, clock)
        self._under_way: Counter[str] = Counter()

    async def answer(self, data: bytes, user: str | None, host: str, to: str) -> tuple[int, str]:
        """Answer a SOAP request: the HTTP status and the envelope.

        Args:
            data: the request, deciphered.
            user: the account that sent it; None for one without any rights here.
            host: the name or address that the client called, as faults name it.
            to: the URL that the client called, as a new shell's address names it.
        """
        request = Request("", "", "")
        try:
            request = envelope.parse(data)
            return OK, await self._operate(request, self._admit(user), to)
        except Fault as fault:
            asked = request if request.message_id else Request("", "", fault.message_id)
            machine = self.machine
            return FAULTED, fault_xml.render(fault, asked, host=host, machine=machine.fqdn, language=machine.language)

    def _admit(self, user: str | None) -> str:
        """The user, unless there is none or a trouble stands in the way."""
        trouble = self.machine.trouble
        if user is None or trouble.deny:
            raise Fault(ACCESS_DENIED)
        if trouble.fault:
            code = trouble.fault
            if trouble.fault_times:
                trouble.fault_times -= 1
                if not trouble.fault_times:
                    trouble.fault = 0
            raise Fault(code)
        return user

    async def _operate(self, request: Request, user: str, to: str) -> str:
        if request.identify:
            return identify.answer(self.machine)
        allowed = self.machine.quotas.max_concurrent_operations_per_user
        if self._under_way[user] >= allowed:
            raise Fault(TOO_MANY_OPERATIONS)
        self._under_way[user] += 1
        try:
            return await self._dispatch(request, user, to)
        finally:
            self._under_way[user] -= 1

    async def _dispatch(self, request: Request, user: str, to: str) -> str:
        uri = request.resource_uri
        if not uri:
            raise Fault(2150858811)
        lower = uri.lower()
        if lower.startswith(wsman_constants.POWERSHELL):
            # Where no PowerShell remoting is set up, its configuration cannot be found.
            raise Fault(2150858752)
        if lower in (wsman_constants.CMD_SHELL, wsman_constants.SHELL):
            return await self._shell(request, user, to)
        if lower == wsman_constants.CONFIG or lower.startswith(wsman_constants.CONFIG + "/"):
            if request.action != wsman_constants.GET:
                raise Fault(ACCESS_DENIED)
            return configuration.get(self.machine, request)
        path = _wmi_path(request)
        if path is None:
            raise Fault(2150858752)
        return self._wmi(request, user, path)

    def _wmi(self, request: Request, user: str, path: tuple[str, str]) -> str:
        readers = self.machine.access.readers
        if readers is not None and user.lower() not in {reader.lower() for reader in readers}:
            raise Fault(_WMI_DENIED, provider=Provider("WMI Provider"))
        if request.action == wsman_constants.ENUMERATE:
            return self.enumerations.enumerate(request, user, path)
        if request.action == wsman_constants.PULL:
            return self.enumerations.pull(request, user)
        if request.action == wsman_constants.RELEASE:
            return self.enumerations.release(request, user)
        if request.action == wsman_constants.GET:
            return wmi.get(self.machine, request, path)
        if request.action.lower().startswith(request.resource_uri.lower() + "/"):
            return wmi.invoke(impersonate(user, self.machine), request, path)
        raise Fault(2150858753)

    async def _shell(self, request: Request, user: str, to: str) -> str:
        shells = self.shells
        match request.action:
            case wsman_constants.CREATE:
                return shells.create(request, user, to)
            case wsman_constants.COMMAND:
                return shells.command(request, user)
            case wsman_constants.SEND:
                return shells.send(request, user)
            case wsman_constants.RECEIVE:
                return await shells.receive(request, user)
            case wsman_constants.SIGNAL:
                return shells.signal(request, user)
            case wsman_constants.DELETE:
                return shells.delete(request, user)
            case _:
                raise Fault(2150858753)


def _wmi_path(request: Request) -> tuple[str, str] | None:
    """Namespace and class; those of a DMTF URI stand in its last part and in the selector __cimnamespace."""
    uri = request.resource_uri
    if uri.lower().startswith(wsman_constants.DMTF_CLASSES):
        chosen = {name.lower(): value for name, value in request.selectors.items()}
        return chosen.get("__cimnamespace", "root/cimv2").replace("\\", "/").lower(), uri.rpartition("/")[2]
    return wsman_constants.wmi_path(uri)
