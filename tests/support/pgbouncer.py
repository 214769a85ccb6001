"""A real PgBouncer before a cluster of the tests, on loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from bot.ledger_place import Database
from tests.support.postgresql import free_port

_ACCOUNT = "postgres"  # as which Debian runs it: it refuses to run as root
_SECONDS = 60.0


@contextmanager
def pooler(place: Database, mode: str, *settings: str) -> Iterator[Database]:
    """The same database, by way of a pooler with that pool_mode and these lines of its settings besides."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert program is not None
    parts = urlsplit(place.url)
    account = _ACCOUNT if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="hvops-pgbouncer-", dir="/tmp" if account else None) as folder:
        inside = Path(folder)
        port = free_port()
        (inside / "users").write_text(f'"{parts.username}" "{parts.password}"\n')
        lines = (
            "[databases]",
            f"* = host={parts.hostname} port={parts.port}",
            "[pgbouncer]",
            "listen_addr = 127.0.0.1",
            f"listen_port = {port}",
            f"unix_socket_dir = {folder}",
            "auth_type = scram-sha-256",
            f"auth_file = {inside / 'users'}",
            f"pool_mode = {mode}",
            *settings,
        )
        (inside / "settings").write_text("\n".join(lines) + "\n")
        if account:
            owner = pwd.getpwnam(account)
            for path in (inside, *inside.iterdir()):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        with (inside / "log").open("wb") as log:
            server = subprocess.Popen(
                [program, str(inside / "settings")], stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=account
            )
        try:
            through = urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}"))
            ends = time.monotonic() + _SECONDS
            while True:
                try:
                    psycopg.connect(through, connect_timeout=5).close()
                    break
                except psycopg.OperationalError:
                    if server.poll() is not None or time.monotonic() > ends:
                        raise RuntimeError((inside / "log").read_text(errors="replace")[-2000:]) from None
                    time.sleep(0.05)
            yield Database(through)
        finally:
            server.terminate()
            server.wait(_SECONDS)
