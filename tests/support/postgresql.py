"""A real PostgreSQL in a cluster of its own on loopback; for tests and for benches."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import psycopg

from bot.ledger_place import Database

TOOLS = ("initdb", "postgres")
_USER = "hvops"
_ATTEMPTS = 3
_ACCOUNT = "postgres"  # of Debian's package: the server refuses to run as root


def search_path() -> str:
    """Where Debian puts the server: not where commands are looked for, and each version beside the others."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: one.parent.name.rjust(4), reverse=True)
    return os.pathsep.join([*map(str, versions), os.environ.get("PATH", "")])


class Cluster:
    """A server that can be stopped, killed and started again."""

    def __init__(self, folder: Path):
        self.folder, self.data = folder, folder / "data"
        self.password = secrets.token_hex(8)
        self._account = _ACCOUNT if os.geteuid() == 0 else None
        self._numbers = count(1)
        self._server: subprocess.Popen | None = None
        self.port = free_port()

    def make(self) -> None:
        password = self.folder / "password"
        password.write_text(self.password)
        if self._account:
            about = pwd.getpwnam(self._account)
            for path in (self.folder, password):
                os.chown(path, about.pw_uid, about.pw_gid)
        told = ["--username", _USER, "--pwfile", password, "--auth=scram-sha-256", "--no-locale", "--encoding=UTF8"]
        self._run("initdb", "--pgdata", self.data, "--no-sync", *told)

    def start(self, *options: str) -> None:
        told = ["listen_addresses=127.0.0.1", f"port={self.port}", f"unix_socket_directories={self.folder}", *options]
        settings = [part for one in told for part in ("-c", one)]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [_where("postgres"), "-D", self.data, *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._account,
                cwd=self.folder,
            )
        ends = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                if self._server.poll() is not None or time.monotonic() > ends:
                    raise RuntimeError((self.folder / "log").read_text(errors="replace")[-2000:]) from None
                time.sleep(0.05)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends all sessions and writes all down; SIGQUIT, as `pg_ctl stop -m immediate`, just ends."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(60)
            self._server = None

    def end(self) -> None:
        """End it for good: nothing of it is wanted any more. To write all down, or a stuck session, can take a minute."""
        if self._server is None:
            return
        self._server.send_signal(signal.SIGQUIT)
        with suppress(subprocess.TimeoutExpired):
            self._server.wait(20)
        for pid in () if self._server.poll() is not None else (*self._sessions(), self._server.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._server.wait(60)
        self._server = None

    def pause(self, *, still: bool = True) -> None:
        """Let it take no connection: what the kernel has taken for it waits."""
        self._server.send_signal(signal.SIGSTOP if still else signal.SIGCONT)

    def hang(self, *, still: bool = True) -> None:
        """Let it say nothing more, nor take a connection: every process of it stands still, and every connection stays."""
        self.pause(still=still)  # first, so that it makes no more of them
        for child in self._sessions():
            os.kill(child, signal.SIGSTOP if still else signal.SIGCONT)

    def url(self, database: str, port: int | None = None) -> str:
        return f"postgresql://{_USER}:{self.password}@127.0.0.1:{port or self.port}/{database}"

    def database(self) -> Database:
        """A new one, empty."""
        name = f"ledger{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return Database(self.url(name))

    def drop(self, database: Database) -> None:
        """Take it away again, whoever is connected to it: each takes some megabytes."""
        name = database.url.rpartition("/")[2]
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _sessions(self) -> list[int]:
        pid = self._server.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def _run(self, tool: str, *arguments) -> None:
        subprocess.run(
            [_where(tool), *arguments], check=True, user=self._account, cwd=self.folder, stdout=subprocess.DEVNULL
        )


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _where(tool: str) -> str:
    found = shutil.which(tool, path=search_path())
    assert found is not None
    return found


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Made, started, and ended by its own process id.

    Not below pytest's folder, nor root's, which the server's account cannot enter.
    """
    place = "/tmp" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="hvops-postgresql-", dir=place, ignore_cleanup_errors=True) as folder:
        made = Cluster(Path(folder))
        made.make()
        for left in reversed(range(_ATTEMPTS)):
            try:
                made.start()
            except RuntimeError:  # somebody took the port meanwhile
                if not left:
                    raise
                made.port = free_port()
            else:
                break
        try:
            yield made
        finally:
            made.end()
