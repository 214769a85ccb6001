"""The backup product over httpx: against the practice one, and against services that are none."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import threading
from contextlib import asynccontextmanager, nullcontext, suppress
from datetime import UTC, datetime

import httpx
import pytest
from aiohttp import web
from httpcore._backends.anyio import AnyIOStream

from bot.api.actions import RunProgram
from bot.api.queries import RunReader, make_params
from bot.config.inventory_file import BackupService, InventoryFile
from bot.config.settings import Credentials, Settings
from bot.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    IncompleteResponse,
    MalformedResponse,
    NotFound,
    PolicyViolation,
    QuotaExceeded,
    TargetError,
    TargetFault,
    TargetTimeout,
    Withheld,
)
from bot.redaction import MASKED, Redactor
from bot.services import backup_service
from bot.transport import bounds
from bot.transport.allowlist.web import CALLS
from bot.transport.client import TargetClient
from bot.transport.connection_reasons import NAMES, TLS
from bot.transport.http import client, commvault
from bot.transport.http.commvault import BackupProduct, WebService
from bot.transport.routing import Router
from bot.transport.turns import sending_unless
from lab import scenarios
from lab.commvault import FakeCommVault
from lab.world.accounts import Account
from lab.world.model import BackupJob

JOB = 48211
ACCOUNT, VIEWER = Account("backup", "svc-backup", "a:pässword 1"), Account("viewer", "svc-view", "pw")
ONE = RunReader("commvault", "commvault job", make_params(job=JOB))
ACTIVE = RunReader("commvault", "commvault active jobs")
RESUME = RunProgram("commvault", "commvault resume job", make_params(job=JOB))
SECONDS = 5.0


@pytest.fixture
async def practice():
    at = datetime(2026, 3, 2, 22, 39, tzinfo=UTC)
    world = scenarios.begin("stuck-writer", clock=lambda: at)
    async with FakeCommVault(world, (ACCOUNT,), (VIEWER,)) as running:
        yield running


def product_of(practice):
    return BackupProduct(WebService(practice.url, ACCOUNT.user, ACCOUNT.password))


@pytest.fixture
def product(practice):
    return product_of(practice)


@pytest.fixture
async def answering():
    """A service on loopback that answers everything with what it is given; `seen` are its requests."""
    runners = []

    async def start(*replies, status=200, delay=0.0):
        seen = []

        async def handle(request):
            seen.append((request.method, request.path_qs, request.headers.get("Authtoken", ""), await request.text()))
            if delay and "Login" not in request.path:
                await asyncio.sleep(delay)
            reply = replies[min(len(seen), len(replies)) - 1]
            text = reply if isinstance(reply, str) else json.dumps(reply)
            return web.Response(text=text, status=status, headers={"Location": "http://127.0.0.1:1/"})

        application = web.Application()
        application.router.add_route("*", "/{all:.*}", handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/api"
        return BackupProduct(WebService(url, "u", "secret-word")), seen

    yield start
    for runner in runners:
        await runner.cleanup()


async def test_a_job_and_the_active_ones(product):
    rows, raw = await product.answer(ONE, SECONDS)
    (row,) = rows
    assert (row["job"], row["status"], row["client"], row["reason_code"]) == (str(JOB), "Pending", "hv03", "91:9")
    assert row["started"].endswith("+00:00")
    assert '"jobId": 48211' in raw
    assert (await product.answer(ACTIVE, SECONDS))[0] == rows


async def test_resuming_a_job(product, practice):
    assert (await product.change(RESUME, SECONDS))[0] == ()
    assert practice.world.jobs[JOB].state == "running"
    with pytest.raises(TargetFault, match="cannot resume while it is Running"):
        await product.change(RESUME, SECONDS)


async def test_an_act_is_looked_at_once_more_behind_the_login(product, practice):
    """Once, and only before anything of it goes out: what has begun to go out is not held back, but told as it ended."""
    with sending_unless(lambda: "changes are stopped" if product._token else ""), pytest.raises(Withheld):
        await product.change(RESUME, SECONDS)
    assert product._token
    assert practice.world.jobs[JOB].state == "pending"
    looks = iter(["", "changes are stopped"])
    with sending_unless(lambda: next(looks)):
        await product.change(RESUME, SECONDS)
    assert practice.world.jobs[JOB].state == "running"


async def test_a_refusal_says_whether_the_act_was_sent_by_then(practice, answering):
    wrong = BackupProduct(WebService(practice.url, ACCOUNT.user, "wrong"))
    for product in (wrong, wrong, BackupProduct(None), BackupProduct(WebService(practice.url))):
        with pytest.raises(TargetError) as before:
            await product.change(RESUME, SECONDS)
        assert (before.value.is_refusal, before.value.is_unsent) == (True, True)
    with pytest.raises(AuthenticationFailed) as answered:
        await BackupProduct(WebService(practice.url, VIEWER.user, VIEWER.password)).change(RESUME, SECONDS)
    assert (answered.value.is_refusal, answered.value.is_unsent) == (True, False)
    for status in (401, 429):  # behind the first one, the next login is refused: the act went out all the same
        product, seen = await answering({}, status=status)
        product._token = "alive"
        with pytest.raises(TargetError) as answered:
            await product.change(RESUME, SECONDS)
        assert (answered.value.is_refusal, answered.value.is_unsent) == (True, False)
        assert sum("resume" in path.lower() for _, path, _, _ in seen) == 1


async def test_an_act_that_the_service_refused_by_its_token_and_that_is_then_held_back_was_sent(product, practice):
    """The service says that it was not carried out. Nothing of hvops' own says that it did not go out."""
    await product.answer(ONE, SECONDS)
    dead = product._token
    practice.tokens.expire()
    with (
        sending_unless(lambda: "changes are stopped" if product._token != dead else ""),
        pytest.raises(TargetFault, match=r"not sent again: changes are stopped\.$") as held,
    ):
        await product.change(RESUME, SECONDS)
    assert product._token not in ("", dead)
    assert (held.value.is_refusal, held.value.is_unsent) == (True, False)
    assert practice.world.jobs[JOB].state == "pending"


async def test_an_account_that_may_only_look(practice):
    product = BackupProduct(WebService(practice.url, VIEWER.user, VIEWER.password))
    assert (await product.answer(ONE, SECONDS))[0]
    with pytest.raises(AuthenticationFailed, match="may not do this"):
        await product.change(RESUME, SECONDS)
    assert practice.world.jobs[JOB].state == "pending"


async def test_a_token_that_has_run_out_is_renewed_and_one_that_is_forgotten_is_fetched_anew(product, practice):
    await product.answer(ONE, SECONDS)
    for spoil in (practice.tokens.expire, practice.tokens.forget):
        before = product._token
        spoil()
        assert (await product.answer(ONE, SECONDS))[0]
        assert product._token not in ("", before)


async def test_many_at_once_log_in_once(product, practice):
    await asyncio.gather(*(product.answer(ONE, SECONDS) for _ in range(20)))
    assert list(practice.tokens._sessions) == [product._token]
    practice.tokens.expire()
    await asyncio.gather(*(product.answer(ONE, SECONDS) for _ in range(20)))
    assert list(practice.tokens._sessions) == [product._token]


async def test_a_wrong_password_is_sent_once_so_that_nobody_is_locked_out(practice):
    product = BackupProduct(WebService(practice.url, ACCOUNT.user, "wrong"))
    for _ in range(20):
        with pytest.raises(AuthenticationFailed, match="user name or password is not correct"):
            await product.answer(ONE, SECONDS)
    assert practice.tokens._wrong == {"svc-backup": 1}


async def test_a_locked_account_says_for_how_long(practice):
    for _ in range(5):
        practice.tokens.log_in(ACCOUNT.user, "wrong")
    with pytest.raises(AuthenticationFailed, match="locked for 300 s more"):
        await BackupProduct(WebService(practice.url, ACCOUNT.user, ACCOUNT.password)).answer(ONE, SECONDS)


async def test_the_token_is_shown_nowhere(product, answering):
    rows, raw = await product.answer(ONE, SECONDS)
    assert product._token not in raw + repr(rows) + repr(product._service)
    echo = {"token": "QSDK 3abc", "totalRecordsWithoutPaging": 0, "echo": "QSDK 3abc"}
    hostile, seen = await answering(echo)
    assert "QSDK 3abc" not in (await hostile.answer(ONE, SECONDS))[1]
    assert [token for _, _, token, _ in seen] == ["", "QSDK 3abc"]
    assert "secret-word" not in repr(hostile._service)


async def test_a_token_that_the_service_repeats_in_a_row_or_an_error_is_masked_wherever_that_goes(answering):
    """Rows become reports, plans and entries; a refusal becomes a sentence. Whoever masks for them knows the token."""
    token = f"QSDK 3{'ab12' * 12}"
    job = {"jobId": JOB, "status": "Pending", "pendingReason": f"held by {token}", "jobType": "Backup"}
    echo = {"jobs": [{"jobSummary": job}], "totalRecordsWithoutPaging": 1}
    product, _ = await answering({"token": token}, echo)
    rows, _ = await product.answer(ONE, SECONDS)
    assert token in str(rows)
    assert Redactor().redact_data([dict(row) for row in rows]) == [
        {name: value.replace(token, MASKED) if isinstance(value, str) else value for name, value in row.items()}
        for row in rows
    ]
    assert token not in Redactor().redact_text(f"it says: {token}")


async def test_a_token_is_made_ready_for_its_mask_beside_the_loop(answering, monkeypatch):
    """The service chooses it: eight of four thousand letters took seven seconds."""
    threads = []
    monkeypatch.setattr(commvault.SESSION_TOKENS, "add", lambda *_: threads.append(threading.get_ident()))
    product, _ = await answering({"token": f"QSDK 3{'ab12' * 12}"}, {"jobs": [], "totalRecordsWithoutPaging": 0})
    await product.answer(ACTIVE, SECONDS)
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.parametrize(
    "token",
    ["QSDK 1\u00e9", "QSDK 1\ud800", "QSDK 1\r\nX: y", "QSDK\t1", "timeout 60 s, repeatable", "QSDK QSDK 1", "“1”"],
)
async def test_a_token_that_no_header_can_carry_or_that_is_a_sentence_is_none(answering, token):
    product, seen = await answering({"token": token}, {"totalRecordsWithoutPaging": 0, "jobs": []})
    with pytest.raises(AuthenticationFailed, match="does not take the login"):
        await product.answer(ACTIVE, 5)
    assert [path for _, path, _, _ in seen if "Login" not in path] == []


TOKEN = {"token": "QSDK 1"}


def jobs(world, count):
    """Active jobs by the hundred, of other machines."""
    for number in range(1, count + 1):
        world.jobs[number] = BackupJob(number, world.node("hv01"), "suspended", client=f"filer-{number}")


async def test_jobs_that_tell_nothing_but_their_numbers_fill_no_memory(answering):
    """Twenty pages of them are a few megabytes, and took two hundred as rows."""
    jobs = [{"jobSummary": {"jobId": number, "status": ""}} for number in range(1, 24_001)]
    page = json.dumps({"jobs": jobs, "totalRecordsWithoutPaging": 10**9}, separators=(",", ":"))
    product, seen = await answering(TOKEN, page)
    with pytest.raises(MalformedResponse, match="exceeds the size limit"):
        await product.answer(ACTIVE, 60)
    assert len(seen) <= 4  # the login among them


@pytest.mark.parametrize("cap", [None, 100, 70, 1])
async def test_a_list_of_many_jobs_is_asked_for_page_by_page(product, practice, cap):
    practice.world.jobs.clear()
    jobs(practice.world, 140 if cap != 1 else 20)
    practice.page_cap = cap or practice.page_cap
    rows, raw = await product.answer(ACTIVE, SECONDS)
    assert {row["job"] for row in rows} == set(map(str, practice.world.jobs))
    assert raw.count("totalRecordsWithoutPaging") == {None: 1, 100: 2, 70: 2, 1: 20}[cap]


async def test_more_pages_than_are_asked_for_are_no_list(product, practice):
    practice.world.jobs.clear()
    jobs(practice.world, 21)
    practice.page_cap = 1
    with pytest.raises(IncompleteResponse, match="did not come whole: 20 of 21, in up to 20 pages") as found:
        await product.answer(ACTIVE, SECONDS)
    assert found.value.kind == "not whole"


def page(total, *numbers):
    said = {} if total is None else {"totalRecordsWithoutPaging": total}
    return said | {"jobs": [{"jobSummary": {"jobId": number, "status": "Running"}} for number in numbers]}


@pytest.mark.parametrize(
    ("pages", "says"),
    [
        ([page(3, 1, 2), page(3, 2)], "2 of 3"),  # one began meanwhile: the last of a page comes again
        ([page(3, 1, 2), page(2)], "2 of 2 or 3"),  # one ended
        ([page(2, 1), page(2)], "1 of 2"),
        ([page(1, 1, 2)], "2 of 1"),
        ([page("many", 1)], "does not say how many"),
        ([page(None, 1)], "does not say how many"),
    ],
)
async def test_pages_that_do_not_make_a_whole_are_no_list(answering, pages, says):
    product, _ = await answering(TOKEN, *pages)
    with pytest.raises(IncompleteResponse, match=says):
        await product.answer(ACTIVE, SECONDS)


async def test_replies_are_read_beside_the_loop(answering, monkeypatch):
    """A page of two megabytes takes a while, and the loop answers Slack meanwhile."""
    where = []
    real = commvault.total_jobs

    def noted(told):
        where.append(threading.current_thread())
        return real(told)

    monkeypatch.setattr(commvault, "total_jobs", noted)
    product, _ = await answering(TOKEN, page(1, 1))
    await product.answer(ACTIVE, SECONDS)
    assert where
    assert threading.current_thread() not in where


@pytest.mark.parametrize("login", ["taken", "refused"])
async def test_what_answers_a_login_is_read_beside_the_loop(answering, monkeypatch, login):
    """Whoever answers there can send megabytes, each time that anybody asks."""
    where = []
    real = client.Reply.json

    def noted(reply):
        where.append(threading.current_thread())
        return real(reply)

    monkeypatch.setattr(client.Reply, "json", noted)
    product, _ = await answering(TOKEN if login == "taken" else {"errorMessage": "no"}, page(1, 1))
    with nullcontext() if login == "taken" else pytest.raises(AuthenticationFailed):
        await product.answer(ACTIVE, SECONDS)
    assert len(where) == 2
    assert threading.current_thread() not in where


async def test_a_password_that_a_refused_login_repeats_is_masked_before_anything_is_cut(answering):
    product, _ = await answering(
        {
            "errorMessage": "x" * 292 + " secret-word is wrong",
            "isAccountLocked": True,
            "remainingLockTime": "secret-word",
        }
    )
    with pytest.raises(AuthenticationFailed) as error:
        await product.answer(ONE, SECONDS)
    assert "secret" not in str(error.value)


async def test_one_job_is_never_paged_for(answering):
    product, seen = await answering(TOKEN, page(None, JOB))
    assert len((await product.answer(ONE, SECONDS))[0]) == 1
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("reply", "status", "error"),
    [
        ("<html>Sign in</html>", 200, MalformedResponse),
        ("", 200, MalformedResponse),
        ("[]", 200, MalformedResponse),
        ("[" * 100_000, 200, MalformedResponse),
        ({"jobs": [{"jobSummary": {"status": "Running"}}]}, 200, MalformedResponse),
        ({"other": 1}, 200, MalformedResponse),
        ({"errorMessage": "Access denied", "errorCode": 5}, 200, AuthenticationFailed),
        ({"errorMessage": "x", "errorCode": 7}, 200, TargetFault),
        ({"errList": [{"errorCode": 2, "errLogMessage": "x"}]}, 200, TargetFault),
    ],
)
async def test_replies_that_are_none(answering, reply, status, error):
    product, _ = await answering(TOKEN, reply, status=status)
    with pytest.raises(error):
        await product.answer(ONE, SECONDS)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (302, MalformedResponse),
        (401, AuthenticationFailed),
        (403, AuthenticationFailed),
        (404, TargetFault),
        (429, QuotaExceeded),
        (500, TargetFault),
    ],
)
async def test_what_a_status_means(answering, status, error):
    product, seen = await answering({"totalRecordsWithoutPaging": 0}, status=status)
    product._token = "alive"
    with pytest.raises(error if status != 302 else TargetError):
        await product.answer(ONE, SECONDS)
    assert all("127.0.0.1:1" not in path for _, path, _, _ in seen)


TIMED_OUT = {"errorCode": 2, "errorMessage": "Timed out while waiting for the job manager"}


@pytest.mark.parametrize(
    ("reply", "status", "refuses"),
    [
        (TIMED_OUT, 500, False),
        (TIMED_OUT, 502, False),
        (TIMED_OUT, 503, False),
        (TIMED_OUT, 504, False),
        (TIMED_OUT, 408, False),
        (TIMED_OUT, 200, False),
        ({"errors": [{"errList": [{"errorCode": 587, "errLogMessage": "It failed."}]}]}, 200, False),
        ({"errors": [{"errList": [{"errorCode": 587, "errLogMessage": "It failed."}]}]}, 500, False),
        ({"errorCode": 2, "errorMessage": "There is no such job."}, 404, True),
        ({"errorCode": 2, "errorMessage": "It is no number."}, 400, True),
        ({"errorCode": 5, "errorMessage": "Access denied"}, 200, True),
        ({"errorCode": 5, "errorMessage": "Access denied"}, 500, True),
    ],
)
async def test_an_error_of_the_service_is_a_refusal_only_where_the_documents_say_so(answering, reply, status, refuses):
    """A time-out of its own comes in the same form: the job may go on behind it."""
    product, _ = await answering(reply, status=status)
    product._token = "alive"
    with pytest.raises(TargetError) as answered:
        await product.change(RESUME, SECONDS)
    assert answered.value.is_refusal is refuses


async def test_a_service_that_is_silent_or_not_there(answering):
    product, _ = await answering(TOKEN, delay=30.0)
    with pytest.raises(TargetTimeout, match="no answer in 1 s"):
        await product.answer(ONE, 1.0)
    gone = BackupProduct(WebService("http://127.0.0.1:1/api", "u", "p"))
    with pytest.raises(ConnectionFailed, match="no connection"):
        await gone.answer(ONE, SECONDS)
    plain, _ = await answering(TOKEN)
    port = plain._service.url.split(":")[2]
    with pytest.raises(ConnectionFailed):
        await BackupProduct(WebService(f"https://127.0.0.1:{port}", "u", "p")).answer(ONE, SECONDS)


@asynccontextmanager
async def served(application):
    """The application on a port of loopback."""
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    finally:
        await runner.cleanup()


async def test_a_reply_without_an_end(answering, monkeypatch):
    monkeypatch.setattr(client, "MAX_REPLY_BYTES", 1000)
    product, _ = await answering(TOKEN, "x" * 5000)
    with pytest.raises(MalformedResponse, match="malformed or too large"):
        await product.answer(ONE, SECONDS)


@asynccontextmanager
async def sending(head, piece, times=10_000, end=b""):
    """A service that answers each request with a head and the same piece again and again; `sent` counts bytes."""
    sent = []

    async def talk(reader, writer):
        with suppress(OSError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head)
            for _ in range(times):
                writer.write(piece)
                await writer.drain()
                sent.append(len(piece))
            writer.write(end)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield BackupProduct(WebService(f"http://127.0.0.1:{port}/api", "u", "secret-word")), sent


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "piece", "says"),
    [
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100, "more than 4,000 lines"),
        (CHUNKED, b"1\r\nx\r\n" * 500, "malformed or too large"),
    ],
    ids=["interim answers", "chunks of one byte"],
)
async def test_a_service_that_sends_mostly_wrapping_is_given_up(head, piece, says):
    """Each is an event of its own, and all that has come is gone through before anybody else has the loop."""
    async with sending(head, piece) as (product, sent):
        with pytest.raises(MalformedResponse, match=says):
            await product.answer(ONE, 60)
    assert sum(sent) < 10 * 2**20  # what the kernels hold on the way, of thirty


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"a:" + b" " * 50_000 + b"\x0b", "a line of it has more than 16,384 bytes"),
        (b"a:" + b" " * 9_000 + b"\x0b", "256 blanks in a row"),
        (b"a: b\rContent-Type: x", "has a bare carriage return in it"),
        (b"a b: c", "is no header"),
    ],
)
async def test_a_head_that_no_honest_service_sends_is_named(line, says):
    async with sending(b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n", b"") as (product, _):
        with pytest.raises(MalformedResponse, match=f"its reply was given up: .*the head of its answer .*{says}"):
            await product.answer(ONE, 60)


async def test_little_is_read_at_a_time(monkeypatch):
    """So that others have the loop in between, however short the pieces are."""
    read, lengths = AnyIOStream.read, []

    async def counted(stream, max_bytes, timeout=None):  # noqa: ASYNC109
        lengths.append(max_bytes)
        return await read(stream, max_bytes, timeout)

    monkeypatch.setattr(AnyIOStream, "read", counted)
    async with sending(CHUNKED, b"1\r\nx\r\n" * 500) as (product, _):
        with pytest.raises(MalformedResponse):
            await product.answer(ONE, 60)
    assert lengths
    assert max(lengths) <= 4096


async def test_of_the_long_replies_of_a_service_one_is_held_at_a_time():
    """Three of a load balancer, read at once, took four hundred megabytes."""
    shared = asyncio.Semaphore()
    async with client.open_client("http://127.0.0.1:1", None, 1, shared) as second:
        async with client.open_client("http://127.0.0.1:1", None, 1, shared) as first:
            first.meter.asked()
            second.meter.asked()
            await first.taken(bounds.LONG + 1)
            await first.taken(bounds.LONG)  # it has its turn
            waiting = asyncio.create_task(second.taken(bounds.LONG + 1))
            for _ in range(10):
                await asyncio.sleep(0)
            assert not waiting.done()
        await waiting


async def test_no_service_chooses_the_numbers_of_a_handshake_on_the_loop():
    async with client.open_client("https://backup.corp.example/api", None, 1) as asking:
        ciphers = asking._transport._pool._ssl_context.get_ciphers()
    assert {one["kea"] for one in ciphers} == {"kx-ecdhe", "kx-any"}


async def test_chunks_as_a_server_writes_them_are_an_answer():
    """Of a hundred bytes each: a line of a list."""
    line = b"64\r\n" + b"x" * 100 + b"\r\n"
    async with (
        sending(CHUNKED, line, times=10_000, end=b"0\r\n\r\n") as (product, _),
        client.open_client(product._service.url, None, 60) as asking,
    ):
        assert len((await client.send(asking, "GET", "Job")).body) == 1_000_000


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip", "br", "x-unknown"])
async def test_a_compressed_reply_is_not_unpacked(encoding):
    """1,143 bytes of gzip in gzip were a gigabyte of memory; a login's reply counts like any other."""
    seen = []

    async def handle(request):
        seen.append(request.headers.get("Accept-Encoding"))
        return web.Response(body=gzip.compress(json.dumps(TOKEN).encode()), headers={"Content-Encoding": encoding})

    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", handle)
    async with served(application) as url:
        with pytest.raises(MalformedResponse, match="malformed or too large"):
            await BackupProduct(WebService(url, "u", "p")).answer(ONE, SECONDS)
    assert seen == ["identity"]


@pytest.mark.parametrize(
    "reply",
    [
        '{"jobs":' * 40 + "1" + "}" * 40,
        "[" * 900 + "]" * 900,
        '{"jobs": [' + "{}," * 60_000 + "{}]}",
        '{"jobs": [{"jobSummary": {"jobId": ' + "9" * 5_000 + "}}]}",
    ],
)
async def test_a_reply_of_too_many_or_too_deep_values_is_a_bad_one(answering, reply):
    product, _ = await answering(TOKEN, reply)
    with pytest.raises(MalformedResponse, match="malformed or too large"):
        await product.answer(ONE, SECONDS)


@pytest.mark.parametrize(
    ("service", "error", "says"),
    [
        (None, NotFound, "no backup product is in the inventory"),
        (WebService("https://b.corp.example"), PolicyViolation, "no login is set"),
        (WebService("http://b.corp.example", "u", "p"), PolicyViolation, "never sent without TLS"),
        (WebService("http://10.1.2.3", "u", "p"), PolicyViolation, "never sent without TLS"),
        (WebService("ftp://127.0.0.1", "u", "p"), PolicyViolation, "its address in the estate is none"),
    ],
)
async def test_what_never_goes_out(service, error, says):
    with pytest.raises(error, match=says):
        await BackupProduct(service).answer(ONE, SECONDS)


@pytest.mark.parametrize("job", [0, -1, "48211", "1/../../Login", True, None, 2**31])
async def test_only_numbers_are_part_of_an_address(product, job):
    with pytest.raises(PolicyViolation):
        await product.answer(RunReader("commvault", "commvault job", make_params(job=job)), SECONDS)


async def test_a_question_cannot_act_and_an_action_is_no_question(product, practice):
    with pytest.raises(PolicyViolation):
        await product.answer(RunReader("commvault", "commvault resume job", make_params(job=JOB)), SECONDS)
    with pytest.raises(PolicyViolation):
        await product.change(RunProgram("commvault", "commvault job", make_params(job=JOB)), SECONDS)
    assert practice.world.jobs[JOB].state == "pending"
    assert {row.marked for row in CALLS.values() if row.verb == "GET"} == {"reads"}


async def test_reach_hands_on_what_is_for_the_web_service(practice):
    """Nothing of it goes to a host, and what is read is not what changes."""
    told = backup_service(
        Settings.model_construct(credentials=Credentials.model_construct(commvault=None)),
        InventoryFile.model_construct(commvault=BackupService(url=practice.url)),
    )
    assert told == WebService(practice.url)
    reach = TargetClient(Router(InventoryFile.model_construct(clusters={}, hosts={}), {}), backups=product_of(practice))
    try:
        answer = await reach.answer(ONE, SECONDS)
        assert (answer.by, answer.rows[0]["job"]) == ("commvault", str(JOB))
        assert (await reach.change(RESUME, SECONDS)).rows == ()
        with pytest.raises(PolicyViolation):
            await reach.answer(RunReader("commvault", "commvault resume job", make_params(job=JOB)), SECONDS)
    finally:
        reach.close()
    assert practice.world.jobs[JOB].state == "running"


async def test_an_estate_without_a_backup_product_says_so():
    assert backup_service(Settings.model_construct(), InventoryFile.model_construct(commvault=None)) is None
    reach = TargetClient(Router(InventoryFile.model_construct(clusters={}, hosts={}), {}))
    try:
        with pytest.raises(NotFound, match="no backup product"):
            await reach.answer(ACTIVE, SECONDS)
    finally:
        reach.close()


def exceptions(root):
    yield root
    for one in root.__subclasses__():
        yield from exceptions(one)


REPLY = {
    httpx.HTTPError,
    httpx.RequestError,
    httpx.TransportError,
    httpx.ProtocolError,
    httpx.LocalProtocolError,
    httpx.RemoteProtocolError,
    httpx.DecodingError,
    httpx.TooManyRedirects,
    httpx.HTTPStatusError,
    httpx.CookieConflict,
}


def test_every_exception_of_httpx_is_translated():
    """A new one is noticed here: it must be decided what it means."""
    roots = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError)
    found = {one for root in roots for one in exceptions(root)}
    public = {one for one in vars(httpx).values() if isinstance(one, type) and issubclass(one, Exception)}
    assert public <= found
    for kind in found:
        error = kind.__new__(kind)
        error.args = ("boom",)
        told = client.from_exception("commvault", error, "commvault", 5)
        assert (type(told) is MalformedResponse) == (kind in REPLY or issubclass(kind, httpx.StreamError)), kind
        assert "boom" not in str(told)


def connect_error(cause):
    error = httpx.ConnectError("CERTIFICATE, says the text")
    error.__cause__ = cause
    return client.from_exception("commvault", error, "commvault", 5)


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("WRONG_VERSION_NUMBER", "plain HTTP"),
        ("UNSUPPORTED_PROTOCOL", "no TLS from 1.2 on"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "no TLS from 1.2 on"),
        ("TLSV1_ALERT_INTERNAL_ERROR", "could be made (TLSV1_ALERT_INTERNAL_ERROR)"),
    ],
)
def test_what_openssl_calls_the_reason_is_not_called_a_certificate(reason, says):
    cause = ssl.SSLError(1, f"[SSL: {reason}] about a certificate")
    cause.reason = reason
    told = connect_error(cause)
    assert type(told) is ConnectionFailed
    assert says in told.message
    assert "ca_file" not in told.hint
    assert bool(told.hint) == (reason in TLS)


@pytest.mark.parametrize(
    ("code", "says", "authority"), [(10, "expired", False), (19, "is not trusted", True), (66, "is not trusted", False)]
)
def test_a_certificate_is_judged_by_openssls_code(code, says, authority):
    cause = ssl.SSLCertVerificationError()
    cause.verify_code, cause.verify_message = code, "as OpenSSL puts it"
    told = connect_error(cause)
    assert says in told.message
    assert ("ca_file" in told.hint) is authority


def test_a_resolver_that_does_not_answer_is_no_firewall():
    told = connect_error(socket.gaierror(socket.EAI_AGAIN, "x"))
    assert (told.message, told.hint) == NAMES[socket.EAI_AGAIN]
    assert "no connection to it" in connect_error(OSError("x")).message
