"""winrm/config: the service's settings as an instance.

Elements and their order as captured on 2012 R2 and later hosts [cap].
"""

from __future__ import annotations

from lab.windows import wsman_constants
from lab.windows.envelope import Request, answer
from lab.windows.faults import NOT_FOUND, Fault
from lab.windows.machine_protocol import Machine

_ROOT_SDDL = "O:NSG:BAD:P(A;;GA;;;BA)(A;;GR;;;IU)S:P(AU;FA;GA;;;WD)(AU;SA;GXGW;;;WD)"
_LARGEST = 4_294_967_295

Setting = str | int | bool
Settings = dict[str, "Setting | Settings"]


def get(machine: Machine, request: Request) -> str:
    """Answer wxf:Get of the whole configuration or of its parts /service and /winrs.

    Raises:
        Fault: there is no such part.
    """
    everything = _settings(machine)
    part = request.resource_uri[len(wsman_constants.CONFIG) :].strip("/").lower()
    parts = {"": ("Config", everything), "service": ("Service", _service(machine)), "winrs": ("Winrs", _winrs(machine))}
    if part not in parts:
        raise Fault(NOT_FOUND)
    name, settings = parts[part]
    uri = wsman_constants.CONFIG + (f"/{part}" if part else "")
    body = f'<cfg:{name} xmlns:cfg="{uri}">{_xml(settings)}</cfg:{name}>'
    return answer(request, wsman_constants.GET + "Response", body, language=machine.language, prefixes="s a x w p")


def _settings(machine: Machine) -> Settings:
    quotas = machine.quotas
    return {
        "MaxEnvelopeSizekb": quotas.max_envelope_kb,
        "MaxTimeoutms": quotas.max_timeout_ms,
        "MaxBatchItems": quotas.max_batch_items,
        "MaxProviderRequests": _LARGEST,
        "Client": {
            "NetworkDelayms": 5_000,
            "URLPrefix": "wsman",
            "AllowUnencrypted": False,
            "Auth": _authentication(machine, client=True),
            "DefaultPorts": {"HTTP": 5985, "HTTPS": 5986},
            "TrustedHosts": "",
        },
        "Service": _service(machine),
        "Winrs": _winrs(machine),
    }


def _service(machine: Machine) -> Settings:
    return {
        "RootSDDL": _ROOT_SDDL,
        "MaxConcurrentOperations": _LARGEST,
        "MaxConcurrentOperationsPerUser": machine.quotas.max_concurrent_operations_per_user,
        "EnumerationTimeoutms": 240_000,
        "MaxConnections": machine.quotas.max_connections,
        "MaxPacketRetrievalTimeSeconds": 120,
        "AllowUnencrypted": machine.access.allow_unencrypted,
        "Auth": {**_authentication(machine, client=False), "CbtHardeningLevel": "Relaxed"},
        "DefaultPorts": {"HTTP": 5985, "HTTPS": 5986},
        "IPv4Filter": "*",
        "IPv6Filter": "*",
        "EnableCompatibilityHttpListener": False,
        "EnableCompatibilityHttpsListener": False,
        "CertificateThumbprint": "",
        "AllowRemoteAccess": True,
    }


def _authentication(machine: Machine, *, client: bool) -> Settings:
    access = machine.access
    shared: Settings = {"Basic": client or access.basic}
    if client:
        shared["Digest"] = True
    return {
        **shared,
        "Kerberos": client or access.kerberos,
        "Negotiate": client or access.ntlm or access.kerberos,
        "Certificate": client or bool(access.certificates),
        "CredSSP": False,
    }


def _winrs(machine: Machine) -> Settings:
    return {
        "AllowRemoteShellAccess": True,
        "IdleTimeout": machine.quotas.idle_timeout_ms,
        "MaxConcurrentUsers": 10,
        "MaxShellRunTime": 2_147_483_647,
        "MaxProcessesPerShell": 25,
        "MaxMemoryPerShellMB": 1_024,
        "MaxShellsPerUser": machine.quotas.max_shells_per_user,
    }


def _xml(settings: Settings) -> str:
    return "".join(f"<cfg:{name}>{_value(value)}</cfg:{name}>" for name, value in settings.items())


def _value(value: Setting | Settings) -> str:
    if isinstance(value, dict):
        return _xml(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
