"""The bounded client of web services: what all calls have in common."""

import os
import shutil
import ssl

import certifi

from bot.transport.http import client


async def test_authorities_are_read_once_and_anew_where_their_file_was_written_anew(tmp_path, monkeypatch):
    read, create = [], ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda **told: read.append(told) or create(**told))
    file = tmp_path / "authorities.pem"
    shutil.copy(certifi.where(), file)
    for _ in range(3):
        await client.open_client("https://backup.corp.example", file, 1.0).aclose()
    assert len(read) == 1
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    await client.open_client("https://backup.corp.example", file, 1.0).aclose()
    assert len(read) == 2
