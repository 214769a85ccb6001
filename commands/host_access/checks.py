"""One verdict for each check of a host, and of the cluster itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bot.api.facts import Unknown
from bot.api.report import Finding, Severity
from bot.api.texts import codec_of
from commands.host_access.facts import HostFacts, HypervisorFacts
from commands.host_access.verdict import RIGHTS, NotKnown, Passed, Verdict, finding, not_known, says_no
from commands.sources.event_log import INTEGRATION_LOG, VMMS_LOG
from commands.sources.guests import namespace
from commands.sources.operating_system import OperatingSystem
from commands.sources.vss_writers import Writer
from commands.sources.winrm import WinRMQuotas

LOGIN, QUOTAS, CODE_PAGE, HYPER_V = "LOGIN", "QUOTAS", "CODE PAGE", "HYPER-V"
CHANNELS, WRITERS, CLUSTER, VM_IDS = "EVENT CHANNELS", "WRITERS", "CLUSTER WMI", "VM IDS"
FEWEST_SHELLS = 6  # hvops opens up to four at once on a host, and others may be working there; WinRM 2.0 has 5 [doc]
LEAST_MEMORY = 256  # MB per shell; WinRM 2.0 has 150 [doc], and programs then die in the middle

_PAGE = re.compile("[0-9]{1,5}")


def check_host(host: HostFacts) -> Iterator[Verdict]:
    """Every check of one host. Where the login fails there is no other."""
    name, login = host.name, host.login
    if isinstance(login, Unknown):
        yield check_login(name, login)
        return
    yield check_login(name, login.system)
    yield check_quotas(name, login.quotas)
    yield check_code_page(name, login.code_page)
    if login.hypervisor is not None:
        yield from _hypervisor(name, login.hypervisor)
    if login.cluster is not None:
        yield check_cluster(name, login.cluster)


def _hypervisor(name: str, told: HypervisorFacts) -> Iterator[Verdict]:
    yield check_hyper_v(name, told)
    yield check_channels(name, told.channels)
    yield check_writers(name, told.writers)


def check_login(host: str, system: OperatingSystem | Unknown) -> Verdict:
    """May hvops log in, and is it told which Windows that is?"""
    if isinstance(system, Unknown):
        if not says_no(system):
            return NotKnown(LOGIN, system)
        means = "The first query was refused, so nothing else was checked on this host."
        does = system.remedy or RIGHTS
        return finding(Severity.FAULT, LOGIN, host, system.why, means=means, by_hand=does)
    if not str(system):
        says = "login works, but Win32_OperatingSystem returned no data"
        return finding(Severity.WARNING, LOGIN, host, says, by_hand=RIGHTS)
    return Passed(LOGIN, host, str(system))


def check_quotas(host: str, quotas: WinRMQuotas | Unknown) -> Verdict:
    """Does WinRM leave room for others? hvops works without knowing it, so a login that is not told it lacks nothing."""
    if isinstance(quotas, Unknown):
        if not says_no(quotas):
            return NotKnown(QUOTAS, quotas)
        means = "Only administrators can read them. hvops works without them."
        return finding(Severity.NOTE, QUOTAS, host, f"WinRM quotas could not be read: {quotas.why}", means=means)
    told, does = [], []
    if quotas.shells < FEWEST_SHELLS:
        told.append(f"MaxShellsPerUser is {quotas.shells} (at least {FEWEST_SHELLS})")
        does.append('winrm set winrm/config/winrs @{MaxShellsPerUser="30"}')
    if quotas.memory < LEAST_MEMORY:
        told.append(f"MaxMemoryPerShellMB is {quotas.memory} (at least {LEAST_MEMORY})")
        does.append('winrm set winrm/config/winrs @{MaxMemoryPerShellMB="1024"}')
    if quotas.allows_unencrypted:
        told.append("AllowUnencrypted is on, which hvops never needs")
        does.append('winrm set winrm/config/service @{AllowUnencrypted="false"}')
    if told:
        return finding(Severity.WARNING, QUOTAS, host, ", ".join(told), by_hand="; ".join(does))
    return Passed(QUOTAS, host, f"{quotas.shells} shells, {quotas.memory} MB each")


def check_code_page(host: str, page: str | Unknown) -> Verdict:
    """Programs print in the OEM code page of the host's language: is it one that can be read here?"""
    if isinstance(page, Unknown):
        return not_known(CODE_PAGE, host, page)
    if not _can_decode(page):
        says = f"hvops cannot decode OEM code page {page or '(not set)'}"
        return finding(Severity.WARNING, CODE_PAGE, host, says, means="Output of command-line tools may be garbled.")
    return Passed(CODE_PAGE, host, f"OEM {page}")


def _can_decode(page: str) -> bool:
    return _PAGE.fullmatch(page) is not None and bool(codec_of(int(page)))


def check_hyper_v(host: str, told: HypervisorFacts) -> Verdict:
    """Does the account see Hyper-V's namespace? What is empty is not seen: the host itself is in it."""
    where = namespace(told.node)
    if isinstance(told.systems, Unknown):
        if told.systems.kind == "absent":
            does = "Check that the Hyper-V role is installed on the host."
            return finding(Severity.FAULT, HYPER_V, host, f"no Hyper-V namespace {where}", by_hand=does)
        return not_known(HYPER_V, host, told.systems, where)
    if not told.systems:
        does = f"Add the reader account to Hyper-V Administrators on the host. {RIGHTS}"
        return finding(Severity.FAULT, HYPER_V, host, f"{where} is empty for this account", by_hand=does)
    return Passed(HYPER_V, host, f"{where} answers")


def check_channels(host: str, channels: frozenset[str] | Unknown) -> Verdict:
    """Are the event channels there in which commands look?"""
    if isinstance(channels, Unknown):
        return not_known(CHANNELS, host, channels)
    if VMMS_LOG.lower() not in channels:
        means = "hvops cannot search this host for event 10102 (a guest's shadow copy failed)."
        return finding(Severity.WARNING, CHANNELS, host, f"no {VMMS_LOG}", means=means)
    if INTEGRATION_LOG.lower() not in channels:  # nothing depends on it
        return Passed(CHANNELS, host, f"{VMMS_LOG} exists; {INTEGRATION_LOG} is missing, which is fine")
    return Passed(CHANNELS, host, f"{VMMS_LOG} exists")


def check_writers(host: str, writers: tuple[Writer, ...] | Unknown) -> Verdict:
    """Does vssadmin list VSS writers? How they are is another command's question."""
    if isinstance(writers, Unknown):
        return not_known(WRITERS, host, writers)
    if not writers:
        means = "Every Windows host has VSS writers, so an empty list means that VSS is broken: see KB2009550."
        return finding(Severity.WARNING, WRITERS, host, "vssadmin lists no VSS writers", means=means)
    return Passed(WRITERS, host, "vssadmin lists them")


def check_cluster(host: str, cluster: str | Unknown) -> Verdict:
    """Does the node tell of its cluster?"""
    if isinstance(cluster, Unknown):
        return not_known(CLUSTER, host, cluster)
    if not cluster:
        does = f"Check that the Cluster service is running. If {host} left the cluster, correct inventory.toml."
        return finding(Severity.WARNING, CLUSTER, host, "root/MSCluster names no cluster", by_hand=does)
    return Passed(CLUSTER, host, "root/MSCluster answers")


def check_nodes(cluster: str, unfound: Unknown) -> Verdict:
    """Why a cluster did not name its nodes."""
    return not_known(CLUSTER, cluster, unfound)


def check_vm_ids(cluster: str, vm_ids: tuple[str, ...] | Unknown) -> Verdict:
    """How WMI writes a resource's private properties was never captured; the hive is read where it cannot be."""
    if isinstance(vm_ids, Unknown):
        return not_known(VM_IDS, cluster, vm_ids)
    if not vm_ids:
        return Finding(Severity.NOTE, VM_IDS, cluster, "the cluster has no virtual machines")
    readable = sum(map(bool, vm_ids))
    if readable == len(vm_ids):
        return Passed(VM_IDS, cluster, "read from PrivateProperties")
    says = f"in PrivateProperties for {readable} of {len(vm_ids)} resources; the rest are read from the registry"
    does = f'Nothing is broken. Please run hvops record "/check-host-access {cluster}" and open an issue.'
    return finding(Severity.WARNING, VM_IDS, cluster, says, by_hand=does)
