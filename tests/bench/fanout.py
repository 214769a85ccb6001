"""One question to many hosts: hvops beside plain pywinrm and Ansible, in one run, on one machine.

    python -m tests.bench.fanout [--hosts 500] [--latency 0.3] [--without-ansible]

The hosts are practice WS-Management servers in a process of their own: NTLM with message encryption over HTTP, and the
latency added to every answer. Every client runs in a fresh process; its CPU time and peak memory are its own.

pywinrm's `Session` and Ansible's `raw` can only run a command, which takes a shell and five messages; so a row beside
them sends the very same WQL through pywinrm's `Protocol`, written as a dictionary, as its users do.

The floor is asyncio's streams alone, as wide as hvops: connect, send a request about as long, read the answer, which is
401, since nobody logs in. No login, no encryption, no XML: nothing in Python that waits on sockets can be faster.
"""

# ruff: noqa: PLC0415 - each client is measured with its own imports only

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.bench.hosts import CLASS, COLUMNS, NAMESPACE, PASSWORD, USER, address, served
from tests.bench.process import fresh
from tests.bench.table import Aim, Table, show, times

ROUNDS = 5
BODY_BYTES = 2048  # about as long as the envelope of such a question
ANSIBLE = Path(sys.executable).with_name("ansible")
FASTER_THAN_SESSION, FASTER_THAN_ANSIBLE, CPU_MILLISECONDS = 3.0, 10.0, 2.5


@dataclass(frozen=True)
class Run:
    """One client's measure: all hosts asked once (or `rounds` times, averaged)."""

    client: str
    hosts: int
    answered: int
    wall: float
    cpu: float
    peak_mb: float

    @property
    def rate(self) -> float:
        """Hosts a second."""
        return self.hosts / self.wall

    @property
    def cpu_each(self) -> float:
        """Milliseconds of CPU time for each host."""
        return self.cpu * 1000 / self.hosts


def measured(client: str, hosts: int, work: Callable[[], int], rounds: int = 1) -> Run:
    began, cpu = time.perf_counter(), time.process_time()
    answered = sum(work() for _ in range(rounds)) // rounds
    wall, cpu = (time.perf_counter() - began) / rounds, (time.process_time() - cpu) / rounds
    return Run(client, hosts, answered, wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def ask_hvops(hosts: int, port: int, at_once: int) -> list[Run]:
    from bot.api.queries import Wql
    from bot.config.inventory_file import InventoryFile
    from bot.transport.client import TargetClient
    from bot.transport.routing import Credentials, Router

    names = [f"h{number:04}" for number in range(hosts)]
    estate = InventoryFile.model_validate(
        {
            "hosts": {name: {"domain": "corp.example"} for name in names},
            "endpoints": {name: f"http://{address(number)}:{port}/wsman" for number, name in enumerate(names)},
        }
    )

    async def main() -> list[Run]:
        reach = TargetClient(Router(estate, {"reader": Credentials("ntlm", USER, PASSWORD)}), at_once=at_once)

        async def ask_all() -> int:
            questions = [Wql(name, NAMESPACE, CLASS, COLUMNS) for name in names]
            answers = await asyncio.gather(*(reach.answer(question, 60.0) for question in questions))
            return sum(len(answer.rows) == 1 for answer in answers)

        runs = []
        for label, rounds in (("first", 1), ("kept open", ROUNDS)):
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


def ask_streams(hosts: int, port: int, at_once: int) -> list[Run]:
    body = b" " * BODY_BYTES
    head = f"POST /wsman HTTP/1.1\r\nHost: floor\r\nContent-Type: text/plain\r\nContent-Length: {BODY_BYTES}\r\n\r\n"
    request = head.encode() + body

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(request)
        await writer.drain()
        answer = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *([0-9]{1,6})", answer)
        await reader.readexactly(int(length[1]) if length else 0)
        return answer.startswith(b"HTTP/1.1 401")

    async def main() -> list[Run]:
        opened: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        turns = asyncio.Semaphore(at_once)

        async def one(number: int) -> bool:
            async with turns:
                if number not in opened:
                    opened[number] = await asyncio.open_connection(address(number), port)
                return await exchange(*opened[number])

        runs = []
        for label, rounds in (("first", 1), ("kept open", ROUNDS)):
            began, cpu = time.perf_counter(), time.process_time()
            answered = 0
            for _ in range(rounds):
                answered += sum(await asyncio.gather(*map(one, range(hosts))))
            wall, cpu = (time.perf_counter() - began) / rounds, (time.process_time() - cpu) / rounds
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            runs.append(Run(f"asyncio streams, {at_once} at once, {label}", hosts, answered // rounds, wall, cpu, peak))
        for _, writer in opened.values():
            writer.close()
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
            measured(f"{name}, first", hosts, lambda: sum(pool.map(one, made))),
            measured(f"{name}, kept open", hosts, lambda: sum(pool.map(one, made)), ROUNDS),
        ]


def ask_ansible(hosts: int, port: int, forks: int) -> list[Run]:
    """Ansible's own processes are children: their CPU time is counted when they have ended.

    Its peak memory is the one of its largest process; as many as `forks` of them run at a time.
    """
    with tempfile.TemporaryDirectory() as folder:
        inventory = Path(folder) / "inventory"
        lines = [f"h{number:04} ansible_host={address(number)}" for number in range(hosts)]
        variables = {
            "ansible_connection": "winrm", "ansible_winrm_scheme": "http", "ansible_winrm_transport": "ntlm",
            "ansible_port": port, "ansible_user": USER.replace("\\", "\\\\"), "ansible_password": PASSWORD,
        }  # fmt: skip
        settings = [f'{name}="{value}"' for name, value in variables.items()]
        inventory.write_text("\n".join(["[all]", *lines, "", "[all:vars]", *settings, ""]))
        environment = {**os.environ, "HOME": folder, "ANSIBLE_LOCAL_TEMP": folder, "LC_ALL": "C.UTF-8"}
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            [ANSIBLE, "all", "-i", inventory, "-m", "raw", "-a", "hostname", "-f", str(forks), "-o"],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    answered = sum("rc=0" in line for line in done.stdout.splitlines())
    if not answered:
        sys.stderr.write(done.stdout[-500:] + done.stderr[-500:])
    return [Run(f"ansible raw, {forks} forks", hosts, answered, wall, cpu, after.ru_maxrss / 1024)]


CLIENTS = {
    "hvops": ask_hvops,
    "streams": ask_streams,
    "session": ask_session,
    "protocol": ask_protocol,
    "ansible": ask_ansible,
}


# --- the table ---------------------------------------------------------------------------------------------------


def apart(client: str, hosts: int, port: int, width: int) -> list[Run]:
    """Run one client in a fresh process."""
    told = fresh("tests.bench.fanout", "--client", client, str(hosts), str(port), str(width))
    return [Run(**run) for run in json.loads(told)]


def measure(hosts: int, latency: float, *, with_ansible: bool) -> list[Run]:
    """Every client, one after another."""
    widths = [("hvops", 128), ("hvops", 512), ("streams", 128), ("session", 64), ("session", 128), ("protocol", 128)]
    widths += [("ansible", 50)] if with_ansible else []
    with served(hosts, latency) as port:
        return [run for client, width in widths for run in apart(client, hosts, port, width)]


def table(runs: Sequence[Run], latency: float) -> Table:
    """The runs beside hvops as it is set up by default, with connections kept open."""
    base = next(run for run in runs if run.client.startswith("hvops") and run.client.endswith("kept open"))
    columns = ("client", "answered", "wall s", "hosts/s", "CPU ms/host", "peak MB", "hvops is")
    rows = [
        (run.client, f"{run.answered}/{run.hosts}", f"{run.wall:.2f}", f"{run.rate:.0f}", f"{run.cpu_each:.2f}",
         f"{run.peak_mb:.0f}", times(base.rate / run.rate))
        for run in runs
    ]  # fmt: skip
    reading = (
        f"'hvops is': how many times faster than this row is '{base.client}'. 'first': connecting and logging in "
        "included; Session and Ansible do that every time. 'asyncio streams': the floor, without login, encryption or XML."
    )
    notes = [reading]
    if not any(run.client.startswith("ansible") for run in runs):
        notes.append("Ansible was left out: not installed (make bench installs it), or not wanted.")
    title = f"Fan-out: {base.hosts} hosts, {latency * 1000:.0f} ms latency per answer, NTLM with message encryption"
    return Table(title, columns, rows, notes, aims(base, runs))


def aims(base: Run, runs: Sequence[Run]) -> list[Aim]:
    """What was wanted of the fan-out, beside what was found."""
    first = next(run for run in runs if run.client.startswith("hvops"))
    answered = all(run.answered == run.hosts for run in runs if run.client.startswith("hvops"))
    judged = [Aim("hvops has every host's answer", "all of them" if answered else "some are missing", answered)]
    for name, least in (("pywinrm Session", FASTER_THAN_SESSION), ("ansible", FASTER_THAN_ANSIBLE)):
        rates = [run.rate for run in runs if run.client.startswith(name) and run.answered == run.hosts]
        wanted = f"at least {least:.0f} times the hosts/s of {name}"
        if not rates:
            judged.append(Aim(wanted, "it has no run that every host answered", None))
            continue
        kept, new = base.rate / max(rates), first.rate / max(rates)
        judged.append(Aim(wanted, f"{times(kept)} with connections kept open, {times(new)} without", kept >= least))
    wanted = f"under {CPU_MILLISECONDS} ms CPU per host with connections kept open"
    return [*judged, Aim(wanted, f"{base.cpu_each:.2f} ms", base.cpu_each < CPU_MILLISECONDS)]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=500)
    parser.add_argument("--latency", type=float, default=0.3, help="seconds added to every answer")
    parser.add_argument("--without-ansible", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--client", nargs=4, help=argparse.SUPPRESS)
    told = parser.parse_args(argv)
    if told.client:
        client, *numbers = told.client
        print(json.dumps([vars(run) for run in CLIENTS[client](*map(int, numbers))]))  # noqa: T201 - for `apart`
        return
    with_ansible = ANSIBLE.exists() and not told.without_ansible
    runs = measure(told.hosts, told.latency, with_ansible=with_ansible)
    show([table(runs, told.latency)], as_json=told.json)


if __name__ == "__main__":
    main()
