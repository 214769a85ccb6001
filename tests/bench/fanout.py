"""One question to many hosts: hvops beside plain pywinrm and Ansible, in one run, on one machine.

    python tests/bench/fanout.py [--hosts 500] [--latency 0.3] [--without-ansible]

The hosts are practice WS-Management servers in a process of their own: NTLM with message encryption over HTTP, and the
latency added to every answer. Every client runs in a fresh process; its CPU time and peak memory are its own.

pywinrm's `Session` and Ansible's `raw` can only run a command, which takes a shell and five messages; so a row beside
them sends the very same WQL through pywinrm's `Protocol`, written as a dictionary, as its users do.
"""

# ruff: noqa: T201, PLC0415 - it prints its table, and each client is measured with its own imports only

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

USER, PASSWORD = "CORP\\reader", "Correct-Horse-7"
NAMESPACE, CLASS, COLUMNS = "root/MSCluster", "MSCluster_Node", ("Name", "State")
ROUNDS = 5


@dataclass(frozen=True)
class Run:
    """One client's measure: all hosts asked once (or `rounds` times, averaged)."""

    client: str
    hosts: int
    answered: int
    wall: float
    cpu: float
    peak_mb: float


def address(number: int) -> str:
    return f"127.77.{number // 250}.{number % 250 + 1}"


# --- the hosts ---------------------------------------------------------------------------------------------------


def serve(hosts: int, latency: float) -> None:
    """Serve until the standard input ends. Prints the port when all hosts listen."""
    from lab.windows import WinRMServer
    from lab.windows.machine import Access, Output, Quotas, Trouble

    @dataclass
    class Host:
        name: str
        fqdn: str
        language: str = "en-US"
        oem_code_page: int = 437
        access: Access = field(default_factory=lambda: Access(accounts={USER: PASSWORD}))
        quotas: Quotas = field(default_factory=Quotas)
        trouble: Trouble = field(default_factory=Trouble)

        def namespaces(self) -> Sequence[str]:
            return [NAMESPACE]

        def instances(self, namespace: str, cls: str) -> Sequence[Mapping[str, object]]:
            del namespace
            return [{"Name": self.name, "State": 0}] if cls.lower() == CLASS.lower() else []

        def registry(self) -> Mapping[str, Mapping[str, object]]:
            return {}

        def run(self, command_line: Sequence[str]) -> Output:
            del command_line
            return Output(f"{self.name}\r\n")

    async def main() -> None:
        async with WinRMServer() as server:
            for number in range(hosts):
                host = Host(f"H{number:04}", f"h{number:04}.corp.example")
                host.trouble.latency = latency
                await server.add(address(number), host)
            print(server.port, flush=True)
            await asyncio.to_thread(sys.stdin.read)

    asyncio.run(main())


@contextmanager
def served(hosts: int, latency: float):
    command = [sys.executable, __file__, "--serve", str(hosts), str(latency)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()


# --- the clients -------------------------------------------------------------------------------------------------


def measured(client: str, hosts: int, work: Callable[[], int], rounds: int = 1) -> Run:
    began, cpu = time.perf_counter(), time.process_time()
    answered = sum(work() for _ in range(rounds)) // rounds
    wall, cpu = (time.perf_counter() - began) / rounds, (time.process_time() - cpu) / rounds
    return Run(client, hosts, answered, wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def ask_hvops(hosts: int, port: int, at_once: int) -> list[Run]:
    from bot.estate import Estate
    from bot.reach.reach import Reach
    from bot.reach.ways import Credentials, Ways
    from bot.vocabulary.questions import Wql

    names = [f"h{number:04}" for number in range(hosts)]
    estate = Estate.model_validate(
        {
            "hosts": {name: {"domain": "corp.example"} for name in names},
            "endpoints": {name: f"http://{address(number)}:{port}/wsman" for number, name in enumerate(names)},
        }
    )

    async def main() -> list[Run]:
        reach = Reach(Ways(estate, {"reader": Credentials("ntlm", USER, PASSWORD)}), at_once=at_once)

        async def ask_all() -> int:
            questions = [Wql(name, NAMESPACE, CLASS, COLUMNS) for name in names]
            answers = await asyncio.gather(*(reach.answer(question, 60.0) for question in questions))
            return sum(len(answer.rows) == 1 for answer in answers)

        runs = []
        for label, rounds in (("first question", 1), ("kept open", ROUNDS)):
            began, cpu = time.perf_counter(), time.process_time()
            answered = 0
            for _ in range(rounds):
                answered += await ask_all()
            wall, cpu = (time.perf_counter() - began) / rounds, (time.process_time() - cpu) / rounds
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            runs.append(Run(f"hvops, {at_once} at once, {label}", hosts, answered // rounds, wall, cpu, peak))
        reach.close()
        return runs

    return asyncio.run(main())


def ask_session(hosts: int, port: int, threads: int) -> list[Run]:
    import winrm

    def one(number: int) -> bool:
        url = f"http://{address(number)}:{port}/wsman"
        session = winrm.Session(url, (USER, PASSWORD), transport="ntlm", read_timeout_sec=70, operation_timeout_sec=60)
        return session.run_cmd("hostname").status_code == 0

    with ThreadPoolExecutor(threads) as pool:
        return [measured(f"pywinrm Session, {threads} threads", hosts, lambda: sum(pool.map(one, range(hosts))))]


def ask_protocol(hosts: int, port: int, threads: int) -> list[Run]:
    import xmltodict
    from winrm.protocol import Protocol

    uri = f"http://schemas.microsoft.com/wbem/wsman/1/wmi/{NAMESPACE}/*"
    query = f"SELECT {', '.join(COLUMNS)} FROM {CLASS}"

    def one(protocol: Protocol) -> bool:
        envelope = protocol.build_wsman_header("http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate", uri)
        envelope["env:Body"] = {
            "n:Enumerate": {
                "w:OptimizeEnumeration": None,
                "w:MaxElements": "32000",
                "w:Filter": {"@Dialect": "http://schemas.microsoft.com/wbem/wsman/1/WQL", "#text": query},
            }
        }
        reply = xmltodict.parse(protocol.send_message(xmltodict.unparse({"env:Envelope": envelope})))
        return "n:EnumerateResponse" in reply["s:Envelope"]["s:Body"]

    made = [
        Protocol(f"http://{address(number)}:{port}/wsman", transport="ntlm", username=USER, password=PASSWORD,
                 read_timeout_sec=70, operation_timeout_sec=60)
        for number in range(hosts)
    ]  # fmt: skip
    with ThreadPoolExecutor(threads) as pool:
        name = f"pywinrm Protocol, {threads} threads"
        return [
            measured(f"{name}, first question", hosts, lambda: sum(pool.map(one, made))),
            measured(f"{name}, kept open", hosts, lambda: sum(pool.map(one, made)), ROUNDS),
        ]


CLIENTS = {"hvops": ask_hvops, "session": ask_session, "protocol": ask_protocol}


def ask_ansible(hosts: int, port: int, forks: int) -> list[Run]:
    """Ansible's own processes are children: their CPU time is counted when they have ended."""
    with tempfile.TemporaryDirectory() as folder:
        inventory = Path(folder) / "inventory"
        lines = [f"h{number:04} ansible_host={address(number)}" for number in range(hosts)]
        variables = {
            "ansible_connection": "winrm", "ansible_winrm_scheme": "http", "ansible_winrm_transport": "ntlm",
            "ansible_port": port, "ansible_user": USER.replace("\\", "\\\\"), "ansible_password": PASSWORD,
        }  # fmt: skip
        settings = [f'{name}="{value}"' for name, value in variables.items()]
        inventory.write_text("\n".join(["[all]", *lines, "", "[all:vars]", *settings, ""]))
        ansible = Path(sys.executable).parent / "ansible"
        environment = {**os.environ, "HOME": folder, "ANSIBLE_LOCAL_TEMP": folder, "LC_ALL": "C.UTF-8"}
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            [ansible, "all", "-i", inventory, "-m", "raw", "-a", "hostname", "-f", str(forks), "-o"],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    answered = sum("rc=0" in line for line in done.stdout.splitlines())
    if not answered:
        print(done.stdout[-500:], done.stderr[-500:], file=sys.stderr)
    return [Run(f"ansible raw, {forks} forks", hosts, answered, wall, cpu, after.ru_maxrss / 1024)]


# --- the table ---------------------------------------------------------------------------------------------------


def apart(client: str, hosts: int, port: int, width: int) -> list[Run]:
    """Run one client in a fresh process."""
    command = [sys.executable, __file__, "--client", client, str(hosts), str(port), str(width)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise SystemExit(f"{client} failed:\n{done.stderr[-2000:]}")
    return [Run(**run) for run in json.loads(done.stdout)]


def table(runs: Sequence[Run]) -> str:
    base = next(run for run in runs if run.client.startswith("hvops") and run.client.endswith("kept open"))
    head = f"{'client':<44}{'answered':>10}{'wall s':>9}{'hosts/s':>9}{'CPU ms/host':>13}{'peak MB':>9}{'hvops is':>10}"
    lines = [head, "-" * len(head)]
    for run in runs:
        times = (run.wall / run.hosts) / (base.wall / base.hosts)
        lines.append(
            f"{run.client:<44}{f'{run.answered}/{run.hosts}':>10}{run.wall:>9.2f}{run.hosts / run.wall:>9.0f}"
            f"{run.cpu * 1000 / run.hosts:>13.2f}{run.peak_mb:>9.0f}{f'{times:.1f} x':>10}"
        )
    lines.append(
        f"'hvops is': how many times faster than this row hvops is with connections kept open ({base.client})."
    )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=500)
    parser.add_argument("--latency", type=float, default=0.3, help="seconds added to every answer")
    parser.add_argument("--without-ansible", action="store_true")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--client", nargs=4, help=argparse.SUPPRESS)
    told = parser.parse_args(argv)
    if told.serve:
        serve(int(told.serve[0]), float(told.serve[1]))
        return
    if told.client:
        client, *numbers = told.client
        print(json.dumps([vars(run) for run in CLIENTS[client](*map(int, numbers))]))
        return
    hosts = told.hosts
    with served(hosts, told.latency) as port:
        runs = [
            *apart("hvops", hosts, port, 128),
            *apart("hvops", hosts, port, 512),
            *apart("session", hosts, port, 64),
            *apart("session", hosts, port, 128),
            *apart("protocol", hosts, port, 128),
            *([] if told.without_ansible else ask_ansible(hosts, port, 50)),
        ]
    print(f"{hosts} hosts, {told.latency * 1000:.0f} ms latency per answer, NTLM with message encryption")
    print(table(runs))


if __name__ == "__main__":
    main()
