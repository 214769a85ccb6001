"""A scripted load balancer "lm01" in rows, and real servers that answer by a function of the request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bot.api.arguments import Target
from bot.api.facts import Known, Unknown
from bot.api.queries import RunReader
from bot.api.sources import Source

NOW = datetime(2026, 11, 22, 22, 41, tzinfo=UTC)
LM = Target("lm01", "load balancer")
Answer = int | str | Unknown | None  # a status; a Location of a 302; why there is none; None: connection refused


def server(
    index: int, address: str, status: str = "Down", port: int = 80, enabled: str | None = "true"
) -> dict[str, Any]:
    return {
        "index": str(index),
        "address": address,
        "port": str(port),
        "name": "",
        "status": status,
        "enabled": enabled,
    }


def service(index: int, name: str = "", *servers: Mapping[str, Any], **over: Any) -> dict[str, Any]:
    """A row as the allowlist's parser makes it: a new virtual service, with what is said to be otherwise."""
    row = {
        "index": str(index), "name": name, "address": "10.1.0.20", "port": "80", "protocol": "tcp",
        "status": "Up" if any(one["status"] == "Up" for one in servers) else "Down", "enabled": "true", "type": "http",
        "check_type": "http", "method": "HEAD", "use_1_1": "false", "host": "", "url": "", "check_port": "0", "codes": "",
        "pattern": "", "has_headers": "false", "has_data": "false", "interval": "", "timeout": "", "retries": "", "persist": "",
        "master": "0", "parts": "0", "error_code": "0", "error_url": "", "reencrypts": "false", "count": str(len(servers)),
        "servers": tuple(servers), "subs": (),
    }  # fmt: skip
    return row | over


class BalancerAsk:
    """An Ask: rows for lm01, and `answers(address, params, what)` for everything else.

    `params` are those of the probe: host, version, target, port, tls, server_name; `what` is "HEAD" or "GET".
    """

    now = NOW

    def __init__(
        self,
        services: list[dict[str, Any]] | Unknown,
        answers: Callable[[str, Mapping[str, Any], str], Answer],
        times: Any = None,
        version: Any = "7.2.63.2.24350.RELEASE",
    ) -> None:
        self.rows: dict[str, Any] = {
            "loadmaster virtual services": services,
            "loadmaster check times": times or [{"interval": "9", "timeout": "4", "retries": "2"}],
            "loadmaster version": version if isinstance(version, Unknown) else [{"version": version}],
        }
        self.answers = answers
        self.probes: list[str] = []

    async def query(self, source: Source[Any]) -> Any:
        return (await self.query_many({0: source}))[0]

    async def query_many(self, sources: Mapping[Any, Source[Any]]) -> dict[Any, Any]:
        await asyncio.sleep(0)
        return {key: self._answer(source) for key, source in sources.items()}

    async def find_host(self, name: str) -> Any:
        raise AssertionError(f"nobody asks where {name} is")

    def _answer(self, source: Source[Any]) -> Any:
        question = source.query
        assert isinstance(question, RunReader)
        rows = self.rows[question.what] if question.what in self.rows else self._probe(question)
        if isinstance(rows, Unknown):
            return rows
        try:
            return Known(source.read(rows), NOW, NOW)
        except ValueError as error:
            return Unknown(question.on, "bad reply", str(error))

    def _probe(self, question: RunReader) -> Any:
        params, method = dict(question.params), question.what.rpartition(" ")[2].upper()
        self.probes.append(f"{question.on} {method} {params['version']} {params['host']}")
        answer = self.answers(question.on, params, method)
        if answer is None:
            return Unknown(question.on, "connection refused", "nothing listens there.")
        if isinstance(answer, Unknown):
            return answer
        status, location = (302, answer) if isinstance(answer, str) else (answer, None)
        is_kernel = status in (400, 404) and not params["host"]
        return [
            {
                "status": status, "reason": "", "version": "1.1", "location": location, "locations": int(bool(location)),
                "location_cut": False, "server": "Microsoft-HTTPAPI/2.0" if is_kernel else "Microsoft-IIS/10.0",
                "allow": "", "login": "", "address": question.on, "port": params["port"], "addresses": (question.on,),
                "pinned": False, "own_address": "10.1.0.5", "tls": "TLSv1.3" if params["tls"] else "", "certificate": None,
            }
        ]  # fmt: skip


def bound_to(*names: str, head: int = 200) -> Callable[[str, Mapping[str, Any], str], Answer]:
    """IIS with these bindings: http.sys answers 400 to any other name; `head` is what HEAD gets."""
    return lambda _, params, method: (head if method == "HEAD" else 200) if params["host"] in names else 400
