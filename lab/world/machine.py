"""One Windows of the world as the WS-Management server sees it (`lab.windows.machine.Machine`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from lab.windows.machine import Access, Instance, Output, Quotas, Trouble, Wmi, WmiFailure
from lab.world import classes, methods, programs, registry
from lab.world.languages import LANGUAGES
from lab.world.model import Guest, Node, Windows
from lab.world.views import Scene, View, cluster, event_log, hyper_v, hyper_v_v1, storage, system

_CIMV2 = system.VIEWS | storage.VIEWS | event_log.VIEWS
_STORAGE = "root/Microsoft/Windows/Storage"
VIEWS: dict[str, dict[str, View]] = {
    namespace.casefold(): {name.casefold(): view for name, view in views.items()}
    for namespace, views in (
        ("root/cimv2", _CIMV2),
        (cluster.NAMESPACE, cluster.VIEWS),
        (hyper_v.NAMESPACE, hyper_v.VIEWS),
        (hyper_v_v1.NAMESPACE, hyper_v_v1.VIEWS),
        (_STORAGE, storage.MSFT_VIEWS),
    )
}
# Without its service a provider does not answer: Hyper-V's lives in vmms.exe [doc, concluded], the cluster's asks ClusSvc.
_SERVICE_OF = {
    hyper_v.NAMESPACE.casefold(): ("vmms", 0x80041013, "Provider load failure "),
    hyper_v_v1.NAMESPACE.casefold(): ("vmms", 0x80041013, "Provider load failure "),
    cluster.NAMESPACE.casefold(): (
        "clussvc",
        0x800706D9,
        "There are no more endpoints available from the endpoint mapper. ",
    ),
}


class WorldMachine:
    """A machine of the practice estate. `settle` lets what is due happen before anything is answered."""

    def __init__(
        self, windows: Windows, access: Access, now: Callable[[], datetime], settle: Callable[[], None]
    ) -> None:
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
        self._now = now
        self._settle = settle

    def namespaces(self) -> Iterable[str]:
        """The namespaces of this machine: by what it is, and by how old it is."""
        found = ["root", "root/cimv2", "root/default"]
        modern = self.windows.release.at_least("2012")
        if modern:
            found.append(_STORAGE)
        if isinstance(self.windows, Node):
            found.append(cluster.NAMESPACE)
            if not self.windows.release.at_least("2012R2"):
                found.append(hyper_v_v1.NAMESPACE)
            if modern:
                found.append(hyper_v.NAMESPACE)
        return found

    def absent(self, cls: str) -> frozenset[str]:
        """Documented properties that the class does not yet have on this Windows."""
        return classes.absent(cls, self.windows.release.key)

    def instances(self, namespace: str, cls: str) -> Iterable[Instance]:
        """The instances of exactly this class.

        Raises:
            WmiFailure: the service behind the namespace does not run.
        """
        self._settle()
        space = namespace.casefold()
        if space not in {name.casefold() for name in self.namespaces()}:
            return ()
        if space in _SERVICE_OF:
            service, hresult, text = _SERVICE_OF[space]
            if self.windows.service(service).state != "Running":
                raise WmiFailure(hresult, text)
        view = VIEWS.get(space, {}).get(cls.casefold())
        return list(view(Scene(self.windows, self._now()))) if view else ()

    def invoke(
        self, namespace: str, cls: str, keys: Mapping[str, str], method: str, params: Mapping[str, Wmi]
    ) -> Mapping[str, Wmi]:
        """Call a method.

        Raises:
            WmiFailure: the provider refuses.
        """
        del params  # no method answered so far takes any
        self._settle()
        return methods.invoke(self.windows, namespace, cls, keys, method)

    def registry(self) -> Mapping[str, Mapping[str, object]]:
        """HKEY_LOCAL_MACHINE."""
        self._settle()
        return registry.keys(self.windows)

    def run(self, command_line: Sequence[str]) -> Output:
        """Run an executable."""
        self._settle()
        return programs.run(self.windows, command_line, self._now())

    @property
    def answers(self) -> bool:
        """Whether WinRM listens here at all: not in a Linux guest, nor in one that does not run."""
        if isinstance(self.windows, Guest):
            return self.windows.state == "running" and self.windows.release.family == "windows"
        return True
