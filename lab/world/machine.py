"""One Windows of the world as the WS-Management server sees it (`lab.windows.machine_protocol.Machine`)."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from lab.windows.machine_protocol import Access, Instance, Output, Quotas, Trouble, Wmi, WmiFailure
from lab.world import class_availability, executables, methods, registry
from lab.world.locales import LANGUAGES
from lab.world.method_call import Call
from lab.world.model import Guest, Node, Windows
from lab.world.overrides import Overrides
from lab.world.wmi_providers import (
    Scene,
    View,
    cluster,
    cluster_links,
    cluster_update,
    event_log,
    hyper_v,
    hyper_v_settings,
    hyper_v_v1,
    ping,
    replica,
    storage,
    system,
)

if TYPE_CHECKING:
    from lab.world.world import World

_CIMV2 = system.VIEWS | storage.VIEWS | event_log.VIEWS
_STORAGE = "root/Microsoft/Windows/Storage"
VIEWS: dict[str, dict[str, View]] = {
    namespace.casefold(): {name.casefold(): view for name, view in views.items()}
    for namespace, views in (
        ("root/cimv2", _CIMV2),
        (cluster_links.NAMESPACE, cluster.VIEWS),
        (cluster_update.NAMESPACE, cluster_update.VIEWS),
        (hyper_v.NAMESPACE, hyper_v.VIEWS | hyper_v_settings.VIEWS | replica.VIEWS),
        (hyper_v_v1.NAMESPACE, hyper_v_v1.VIEWS),
        (_STORAGE, storage.MSFT_VIEWS),
    )
}
# Without its service a provider does not answer: Hyper-V's lives in vmms.exe [doc, concluded], the cluster's asks ClusSvc.
_SERVICE_OF = {
    hyper_v.NAMESPACE.casefold(): ("vmms", 0x80041013, "Provider load failure "),
    hyper_v_v1.NAMESPACE.casefold(): ("vmms", 0x80041013, "Provider load failure "),
    cluster_links.NAMESPACE.casefold(): (
        "clussvc",
        0x800706D9,
        "There are no more endpoints available from the endpoint mapper. ",
    ),
}

# Seconds that one row of MSCluster_Resource takes with its private properties, which the provider reads one resource after the
# other, and with a condition beside them: measured on a real cluster, charlespick/hyper-v-csi [src].
_PRIVATE, _PRIVATE_FILTERED = 0.019, 0.008


class WorldMachine:
    """A machine of the practice estate. What is due happens before anything is answered."""

    def __init__(self, windows: Windows, access: Access, world: World) -> None:
        self.windows = windows
        self.name = windows.name.upper()[:15]
        self.fqdn = windows.fqdn
        self.language = windows.language
        self.oem_code_page = LANGUAGES[windows.language].oem
        self.access = access
        self.quotas = (
            Quotas() if windows.release.at_least("2012") else Quotas(max_envelope_kb=150, max_shells_per_user=5)
        )
        self.trouble = Trouble()
        self.overrides = Overrides()
        self._world = world
        self._user: str | None = None  # None: the machine itself, which may do everything

    def acting_for(self, user: str) -> WorldMachine:
        """The same machine, with this account's rights."""
        other = copy.copy(self)
        other._user = user  # noqa: SLF001 (its own class)
        return other

    @property
    def _may_change(self) -> bool:
        operators = self.access.operators
        known = None if operators is None else {operator.casefold() for operator in operators}
        return self._user is None or known is None or self._user.casefold() in known

    def _call(self, keys: Mapping[str, str] | None = None, params: Mapping[str, Wmi] | None = None) -> Call:
        self._world.settle()
        return Call(self._world, self.windows, self._may_change, keys or {}, params or {})

    def namespaces(self) -> Iterable[str]:
        """The namespaces of this machine: by what it is, and by how old it is."""
        found = ["root", "root/cimv2", "root/default"]
        modern = self.windows.release.at_least("2012")
        if modern:
            found.append(_STORAGE)
        if isinstance(self.windows, Node):
            found.append(cluster_links.NAMESPACE)
            if not self.windows.release.at_least("2012R2"):
                found.append(hyper_v_v1.NAMESPACE)
            if modern:
                found += [hyper_v.NAMESPACE, cluster_update.NAMESPACE]
        return found

    def absent(self, cls: str) -> frozenset[str]:
        """Documented properties that the class does not yet have on this Windows."""
        return class_availability.absent(cls, self.windows.release.key)

    def lacks(self, namespace: str, cls: str) -> bool:
        """Classes that this Windows does not have; one that a case gives rows to is there."""
        given = (namespace.casefold(), cls.casefold()) in self.overrides.rows
        return not given and class_availability.lacks(cls, self.windows.release.key)

    def instances(self, namespace: str, cls: str) -> Iterable[Instance]:
        """The instances of exactly this class.

        Raises:
            WmiFailure: the service behind the namespace does not run.
        """
        self._world.settle()
        space = namespace.casefold()
        if space not in {name.casefold() for name in self.namespaces()}:
            return ()
        self._check_service(space)
        view = None if self.lacks(space, cls) else VIEWS.get(space, {}).get(cls.casefold())
        provided = view(Scene(self.windows, self._world.now)) if view else ()
        return self.overrides.instances(space, cls, provided)

    def asked(self, cls: str, terms: Mapping[str, str]) -> Iterable[Instance] | None:
        """A ping is made of what is asked; a case may give its rows."""
        given = ("root/cimv2", cls.casefold()) in self.overrides.rows
        if cls != ping.CLASS or given:
            return None
        self._world.settle()
        return ping.pings(self._world, self.windows, terms)

    def charge(self, cls: str, columns: Sequence[str] | None, rows: int, *, filtered: bool) -> None:
        """Private properties of cluster resources are read one by one."""
        private = columns is None or any(name.casefold() == "privateproperties" for name in columns)
        if cls == "MSCluster_Resource" and private:
            self.trouble.owed += rows * (_PRIVATE_FILTERED if filtered else _PRIVATE)

    def invoke(
        self, namespace: str, cls: str, keys: Mapping[str, str], method: str, params: Mapping[str, Wmi]
    ) -> Mapping[str, Wmi]:
        """Call a method.

        Raises:
            WmiFailure: the provider refuses.
        """
        call = self._call(keys, params)
        self._check_service(namespace.casefold())
        return methods.invoke(call, namespace, cls, method)

    def _check_service(self, namespace: str) -> None:
        if namespace in _SERVICE_OF:
            service, hresult, text = _SERVICE_OF[namespace]
            if self.windows.service(service).state != "Running":
                raise WmiFailure(hresult, text)

    def registry(self) -> Mapping[str, Mapping[str, object]]:
        """HKEY_LOCAL_MACHINE."""
        self._world.settle()
        return self.overrides.registry(registry.keys(self.windows, self.oem_code_page))

    def run(self, command_line: Sequence[str]) -> Output:
        """Run an executable."""
        printed = self.overrides.printed(executables.without_shell(command_line))
        if printed is not None:
            return printed
        return executables.run(self._call(), command_line)

    @property
    def answers(self) -> bool:
        """Whether WinRM listens here at all: not in a Linux guest, nor in one that does not run."""
        if isinstance(self.windows, Guest):
            return self.windows.state == "running" and self.windows.release.family == "windows"
        return True
