"""For all tests: what is skipped and why, in which order they start, the tools they need, and a real MIT KDC."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import krb5
import pytest

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)
ADDRESS = "127.0.8.8"
REALM = "CORP.EXAMPLE"
# What tests run beside Python: names it may have -> the package that brings it; deploy/system-packages.sh installs them.
TOOLS = {
    ("krb5kdc",): "krb5-kdc",
    ("kdb5_util",): "krb5-kdc",
    ("kadmin.local",): "krb5-admin-server",
    ("chromium", "chromium-browser"): "chromium",
    ("curl",): "curl",
    ("git",): "git",
}
# Skips that are no gap: nothing that could be installed for a test run would change them.
FINE_SKIPS = ("not a git work tree", "ansible-core is for `make bench` only")
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

CLIENT_SETTINGS = """\
[libdefaults]
  default_realm = {realm}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
[realms]
  {realm} = {{
    kdc = {address}:{port}
  }}
[domain_realm]
  .corp.example = {realm}
"""
KDC_SETTINGS = """\
[realms]
  {realm} = {{
    database_name = {directory}/principal
    key_stash_file = {directory}/stash
    kdc_listen = ""
    kdc_tcp_listen = {address}:{port}
    supported_enctypes = aes256-cts-hmac-sha1-96:normal
  }}
[logging]
  kdc = FILE:{directory}/kdc.log
"""

# Files with a test of more than five seconds, the longest first: what starts last must be short, or the other workers
# wait for it. Only the order of magnitude counts; `pytest --durations 30` measures it.
LONGEST: tuple[str, ...] = (
    "lab/page/test_hvops_demo.py",
    "lab/page/test_reset_in_the_page.py",
    "bench/test_bench.py",
    "stories/test_reset_writer.py",
    "stories/test_missing_vm.py",
    "stories/test_drain.py",
    "stories/test_audit_channel.py",
    "stories/test_audit.py",
    "stories/test_a_thousand_hosts.py",
    "stories/test_killed.py",
    "stories/test_remote_browsing.py",
    "bot/slack/changes/test_faults.py",
    "bot/executor/test_kill.py",
    "lab/page/test_demo.py",
    "bot/slack/render/test_ticket.py",
    "stories/test_stuck_writer.py",
    "stories/test_hostile_names.py",
    "lab/page/test_the_demo_ends.py",
    "stories/test_two_bots.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped test fails; `make test` says so")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, everything else as it stands; a file's tests stay together."""
    order = {name: place for place, name in enumerate(LONGEST)}
    root = Path(__file__).parent
    items.sort(key=lambda item: order.get(item.path.relative_to(root).as_posix(), len(order)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return fail_where_skipped((yield), item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return fail_where_skipped((yield), collector.config)


def fail_where_skipped(report: Report, config: pytest.Config) -> Report:
    """Under --no-skips a skip is a failure, unless nothing could be done about it."""
    if config.getoption("--no-skips") and report.skipped and not hasattr(report, "wasxfail"):
        why = reason(report)
        if not why.startswith(FINE_SKIPS):
            report.outcome = "failed"
            report.longrepr = f"skipped, and a run with --no-skips leaves nothing out: {why}"
    return report


def reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    said = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return said.removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Last of all, what a green run left out."""
    skipped = Counter(reason(report) for report in terminalreporter.stats.get("skipped", []))
    if not skipped:
        terminalreporter.write_line("Nothing was skipped.")
    for why, times in skipped.most_common():
        terminalreporter.write_line(f"Skipped {times}: {why}")


@dataclass(frozen=True)
class Kdc:
    """A running KDC: `environment` leads any Kerberos library to it and to the keytab of the services."""

    directory: Path
    environment: dict[str, str]
    realm: str = REALM

    def add_user(self, name: str, password: str) -> None:
        self._administer("addprinc", "-pw", password, name)

    def change_user(self, name: str, *options: str) -> None:
        """As kadmin's `modprinc` takes them: `change_user("reader", "-allow_tix")`."""
        self._administer("modprinc", *options, name)

    def add_service(self, service: str, host: str) -> None:
        """A service with a random key in the keytab: `add_service("HTTP", "hv01.corp.example")`."""
        self._administer("addprinc", "-randkey", f"{service}/{host}")
        self._administer("ktadd", "-k", self.environment["KRB5_KTNAME"].removeprefix("FILE:"), f"{service}/{host}")

    def log_in(self, name: str, password: str) -> None:
        """Put a ticket into the credential cache that `environment` names; call it with `environment` in force."""
        context = krb5.init_context()
        principal = krb5.parse_name_flags(context, f"{name}@{self.realm}".encode())
        options = krb5.get_init_creds_opt_alloc(context)
        ticket = krb5.get_init_creds_password(context, principal, options, password.encode())
        cache = krb5.cc_resolve(context, self.environment["KRB5CCNAME"].encode())
        krb5.cc_initialize(context, cache, principal)
        krb5.cc_store_cred(context, cache, ticket)

    def _administer(self, *words: str) -> None:
        run_tool("kadmin.local", "-r", self.realm, *words, environment=self.environment)


@pytest.fixture(scope="session")
def tools() -> dict[tuple[str, ...], str]:
    """All of them."""
    return TOOLS


def needed(name: str) -> str:
    """Where the tool is; without it the test fails, since a run that leaves it out proves less than it says."""
    names, package = next((names, package) for names, package in TOOLS.items() if name in names)
    found = next(filter(None, (shutil.which(each, path=SEARCH) for each in names)), None)
    return found or pytest.fail(f"{name} is missing. Install it: apt-get install {package}", pytrace=False)


@pytest.fixture(scope="session")
def need_tool() -> Callable[[str], str]:
    """Where a tool is that the test runs: `need_tool("curl")`."""
    return needed


def run_tool(name: str, *words: str, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [needed(name), *words],
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    """The KDC says nowhere but in its log that it is ready, so a connection is the condition."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, "the KDC ended"
        with socket.socket() as probe:
            if probe.connect_ex((ADDRESS, port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("the KDC does not listen")


def free_tcp_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def kdc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    """Started once; ended by its own process id."""
    directory = tmp_path_factory.mktemp("kdc")
    facts = {"realm": REALM, "address": ADDRESS, "port": free_tcp_port(), "directory": directory}
    (directory / "krb5.conf").write_text(CLIENT_SETTINGS.format(**facts))
    (directory / "kdc.conf").write_text(KDC_SETTINGS.format(**facts))
    environment = {
        "KRB5_CONFIG": str(directory / "krb5.conf"),
        "KRB5_KDC_PROFILE": str(directory / "kdc.conf"),
        "KRB5_KTNAME": f"FILE:{directory / 'services.keytab'}",
        "KRB5CCNAME": f"FILE:{directory / 'tickets'}",
        "KRB5RCACHETYPE": "none",  # no replay cache in the common temporary directory
    }
    run_tool("kdb5_util", "create", "-s", "-r", REALM, "-P", "master", environment=environment)
    process = subprocess.Popen(
        [needed("krb5kdc"), "-n", "-r", REALM],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_listening(process, facts["port"])
        yield Kdc(directory, environment)
    finally:
        process.terminate()
        process.wait(timeout=10)
