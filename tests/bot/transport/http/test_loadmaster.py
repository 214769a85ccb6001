"""The client of load balancers: against the practice one, and against replies that no sound one gives."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import web

from bot import redaction
from bot.api.actions import RunProgram
from bot.api.queries import RunReader, make_params
from bot.config.inventory_file import LoadBalancer
from bot.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    MalformedResponse,
    NotFound,
    PolicyViolation,
    QuotaExceeded,
    TargetError,
    TargetFault,
    TargetTimeout,
)
from bot.redaction import MASKED, SESSION_TOKENS, Redactor
from bot.transport import bounds
from bot.transport.http import loadmaster
from bot.transport.http.loadmaster import ApplianceLogin, LoadBalancers
from lab.loadmaster import Appliance, FakeLoadMaster
from lab.world.accounts import Account

ACCOUNT = Account("load balancer", "hvops", "a:pässword 1")
LOGIN = ApplianceLogin("hvops", ACCOUNT.password)
KEY = ApplianceLogin(api_key="key-1-of-hvops")
SERVICES = RunReader("lm01", "loadmaster virtual services")


def show(vs=1, what="loadmaster virtual service"):
    return RunReader("lm01", what, make_params(vs=vs))


def change(**fields):
    return RunProgram("lm01", "loadmaster set check", make_params(vs=1, **fields))


def client(url, api="v1", login=LOGIN):
    return LoadBalancers({"lm01": LoadBalancer(name="lm01", url=url, api=api)}, {"lm01": login} if login else {})


@pytest.fixture
def appliance():
    made = Appliance()
    service = made.add("10.1.0.20", 80, NickName="Büro & <b>", CheckHost="www.shop.lab", CheckUse1__1="Y")
    made.add_server(service, "127.0.8.1", 9)
    return made


@pytest.fixture
async def lm(appliance):
    keys = {KEY.api_key: ACCOUNT}
    async with FakeLoadMaster(appliance, lambda: datetime.now(UTC), (ACCOUNT,), api_keys=keys) as up:
        yield up


@asynccontextmanager
async def answering(handler):
    """A server that answers everything with what a handler makes."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def says(body, status=200, content_type="text/xml", **headers):
    async def handler(_request):
        return web.Response(status=status, body=body, content_type=content_type, headers=headers)

    return handler


@pytest.mark.parametrize(("api", "login"), [("v1", LOGIN), ("v2", LOGIN), ("v2", KEY)])
async def test_both_versions_tell_the_same(lm, api, login):
    (row,), told = await client(lm.url, api, login).answer(SERVICES, 5)
    assert row["name"] == "Büro & <b>"
    assert (row["host"], row["use_1_1"], row["method"], row["check_port"]) == ("www.shop.lab", "true", "HEAD", "0")
    assert row["servers"] == (
        {"index": "1", "address": "127.0.8.1", "port": "9", "name": "127.0.8.1:9", "status": "Down", "enabled": "true"},
    )
    assert "www.shop.lab" in told


@pytest.mark.parametrize("api", ["v1", "v2"])
async def test_only_the_fields_that_were_named_are_written(lm, appliance, api):
    service = appliance.services[1]
    service.settings["PersistTimeout"] = "360"
    before = dict(service.settings)
    await client(lm.url, api).change(change(method="GET", use_1_1=True), 5)
    assert service.settings == before | {"CheckUseGet": "1"}
    await client(lm.url, api).change(change(host=""), 5)
    assert service.settings == {name: value for name, value in before.items() if name != "CheckHost"} | {
        "CheckUseGet": "1"
    }


async def test_no_login_of_load_balancers_pushes_out_the_token_of_another_service(lm):
    """Each appliance of version 1 is sent its login with every request; the backup product's token lives meanwhile."""
    token = f"QSDK 3{'ab12' * 12}"
    SESSION_TOKENS.clear()
    try:
        SESSION_TOKENS.add("https://backup.corp.example", token)
        for number in range(12):
            name, own = f"lm{number:02}", ApplianceLogin(f"user-{number}", f"pass-word-{number}-1")
            balancers = LoadBalancers({name: LoadBalancer(name=name, url=lm.url, api="v1")}, {name: own})
            with pytest.raises(AuthenticationFailed):
                await balancers.answer(RunReader(name, "loadmaster virtual services"), 5)
        assert Redactor().redact_text(f"held by {token}.") == f"held by {MASKED}."
    finally:
        SESSION_TOKENS.clear()


@pytest.mark.parametrize("user", ["", "a", "ab", "abc", "hvops@corp.example"])
@pytest.mark.parametrize("password", ["kurz", "a-word", "Büro und Küche 9", "load-master-password-77"])
def test_the_form_of_a_login_in_a_header_is_known_to_every_mask_that_knows_the_password(user, password):
    told = loadmaster._basic(ApplianceLogin(user, password))
    shown = Redactor([password]).redact_text(f"bad login {told} there")
    assert MASKED in shown
    before, _, behind = shown.removeprefix("bad login ").removesuffix(" there").partition(MASKED)
    assert len(before) <= len(user) * 4 // 3 + 2
    assert behind.strip("=") == ""


async def test_a_change_goes_in_a_form_and_never_in_an_address(lm):
    await client(lm.url).change(change(host="www.shop.lab"), 5)
    assert lm.requests == ["POST modvs"]


@pytest.mark.parametrize("api", ["v1", "v2"])
async def test_a_refusal_says_whether_the_change_was_sent_by_then(lm, api):
    """The login goes out with the change itself; one that was refused a moment ago is not tried again."""
    wrong = client(lm.url, api, ApplianceLogin("hvops", "wrong"))
    unsent = []
    for balancers in (wrong, wrong, client(lm.url, api, None), LoadBalancers({}, {})):
        with pytest.raises(TargetError) as refused:
            await balancers.change(change(host="www.shop.lab"), 5)
        assert refused.value.is_refusal
        unsent.append(refused.value.is_unsent)
    assert unsent == [False, True, True, True]


async def test_the_allowlist_alone_tells_reads_from_changes(lm):
    with pytest.raises(PolicyViolation, match="changes, so no question"):
        await client(lm.url).answer(RunReader("lm01", "loadmaster set check", make_params(vs=1)), 5)
    with pytest.raises(PolicyViolation, match="reads, so no action"):
        await client(lm.url).change(RunProgram("lm01", "loadmaster virtual services"), 5)
    assert lm.requests == []


@pytest.mark.parametrize(
    "fields",
    [{"host": "a b"}, {"host": "x\r\ny: z"}, {"host": "a&vs=2"}, {"host": 7}, {"method": "PUT"}, {"use_1_1": "yes"}, {"persist": 1}],
)  # fmt: skip
async def test_values_that_could_be_something_else_are_not_sent(lm, fields):
    with pytest.raises(PolicyViolation):
        await client(lm.url).change(change(**fields), 5)
    assert lm.requests == []


async def test_a_sub_service_that_is_not_shown_is_read_from_the_list(lm, appliance):
    part = appliance.add("", 0, master=1, CheckHost="ntrip.shop.lab")
    appliance.shows_subs = False
    (row,), _ = await client(lm.url).answer(show(part.index, "loadmaster check settings"), 5)
    assert row == {"vs": "2", "host": "ntrip.shop.lab", "use_1_1": "false", "method": "HEAD"}
    assert lm.requests == ["GET showvs", "GET listvs"]
    with pytest.raises(NotFound, match="no virtual service with the index 9"):
        await client(lm.url).answer(show(9), 5)


async def test_a_refused_login_is_not_tried_again_at_once(lm):
    asks = client(lm.url, login=ApplianceLogin("hvops", "wrong-password"))
    for _ in range(2):
        with pytest.raises(AuthenticationFailed, match="does not take the login") as refused:
            await asks.answer(SERVICES, 5)
        assert "wrong-password" not in str(refused.value)
    lm.appliance.has_api = False  # would answer 404: it is not asked at all
    with pytest.raises(AuthenticationFailed):
        await asks.answer(SERVICES, 5)


@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("v1", b"<Response stat='401'><Error>Unauthorized</Error></Response>"),
        ("v2", b'{"code": 401, "status": "fail", "message": "Unauthorized"}'),
    ],
)
async def test_a_login_that_is_refused_inside_of_a_reply_is_not_tried_again_either(api, body):
    """Each try counts where the account is locked after some."""
    requests = []

    async def refuses(request):
        requests.append(request.path)
        return web.Response(body=body)

    async with answering(refuses) as url:
        asks = client(url, api)
        for _ in range(3):
            with pytest.raises(AuthenticationFailed, match="does not take the login"):
                await asks.answer(SERVICES, 5)
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("api", "reader", "body"),
    [
        ("v1", "parse_xml", b"<Response stat='200' code='ok'><Success><Data/></Success></Response>"),
        ("v2", "parse_json", b'{"code": 200, "status": "ok"}'),
    ],
)
async def test_replies_are_read_beside_the_loop(api, reader, body, monkeypatch):
    """Megabytes take a while, and the loop answers Slack meanwhile."""
    where, real = [], getattr(bounds, reader)

    def noted(document):
        where.append(threading.current_thread())
        return real(document)

    monkeypatch.setattr(bounds, reader, noted)
    async with answering(says(body)) as url:
        await client(url, api).answer(SERVICES, 5)
    assert where
    assert threading.current_thread() not in where


@pytest.mark.parametrize("api", ["v1", "v2"])
async def test_what_a_refusal_says_is_masked_and_cut_beside_the_loop(api, monkeypatch):
    """It may say eight megabytes; and no more of them are looked at than are shown."""
    text = f"-----BEGIN PRIVATE KEY-----\n{'A' * 1_000_000}."
    body = {
        "v1": f"<Response stat='422'><Error>{text}</Error></Response>",
        "v2": json.dumps({"code": 422, "status": "fail", "message": text}),
    }[api]
    read, mask = [], redaction.mask_all

    def noted(said):
        read.append((len(said), threading.current_thread() is threading.main_thread()))
        return mask(said)

    monkeypatch.setattr(redaction, "mask_all", noted)
    async with answering(says(body.encode())) as url:
        with pytest.raises(TargetFault, match=r"it replied: \[masked\] \(error 422\)"):
            await client(url, api).answer(SERVICES, 5)
    assert sum(length for length, _ in read) < 200_000
    assert max((length for length, is_on_the_loop in read if is_on_the_loop), default=0) < 1_000


@pytest.mark.parametrize("before", [0, 290])
async def test_a_password_that_is_repeated_is_masked_before_anything_is_cut(before):
    """At the cut half of it would stand, which no mask finds."""
    body = f"<Response stat='422'><Error>{'x' * before} {LOGIN.password} is wrong</Error></Response>"
    async with answering(says(body.encode())) as url:
        with pytest.raises(TargetFault) as error:
            await client(url).answer(SERVICES, 5)
    assert "a:p" not in str(error.value)


async def test_version_2_says_what_else_it_needs(lm, appliance):
    appliance.has_sessions = False
    with pytest.raises(AuthenticationFailed, match="also needs session management"):
        await client(lm.url, "v2").answer(SERVICES, 5)


@pytest.mark.parametrize("api", ["v1", "v2"])
async def test_an_interface_that_is_off_is_said(lm, appliance, api):
    appliance.has_api = False
    with pytest.raises(TargetFault, match=r"its API does not answer \(404\)"):
        await client(lm.url, api).answer(SERVICES, 5)


async def test_no_password_goes_out_in_clear_or_without_a_table(lm):
    with pytest.raises(PolicyViolation, match="never sent without TLS"):
        await client("http://10.1.0.10").answer(SERVICES, 5)
    with pytest.raises(PolicyViolation, match="no login is set"):
        await client(lm.url, login=None).answer(SERVICES, 5)
    with pytest.raises(PolicyViolation, match="takes no API key"):
        await client(lm.url, "v1", KEY).answer(SERVICES, 5)
    with pytest.raises(NotFound, match="no load balancer of the inventory"):
        await client(lm.url).answer(RunReader("lm99", SERVICES.what), 5)


VS = "<Response stat='200' code='ok'><Success><Data>{}</Data></Success></Response>"
BAD = [
    b"",
    b"<html>",
    b"<html><body>login</body></html>",
    b"<Response stat='200' code='ok'>",
    b"<Response stat='200' code='ok'></Response>",
    b"<?xml version='1.0' encoding='no-such'?><Response/>",
    b"<!DOCTYPE x [<!ENTITY a 'b'>]><Response stat='200' code='ok'><Success><Data/></Success></Response>",
    VS.format("<VS><Status>Up</Status></VS>").encode(),
    VS.format("<VS>text</VS>").encode(),
    VS.format("<VS><Index>1</Index><Index>2</Index></VS>").encode(),
    VS.format("<VS><Index>-1</Index></VS>").encode(),
    VS.format("<VS><Index>\u0661</Index></VS>").encode(),  # a digit, in Arabic
    VS.format("<VS><Index>\u00b2</Index></VS>").encode(),
    VS.format(f"<VS><Index>{'9' * 5_000}</Index></VS>").encode(),
    VS.format("<VS><Index>1</Index></VS>" * 10_001).encode(),
    VS.format("<x/>" * 300_000).replace("Success", "x").encode(),  # linear: or it takes minutes
    b"<Response stat='" + b"9" * 5_000 + b"'><Error>no</Error></Response>",
    "<Response stat='\u0664\u0660\u0661'><Error>no</Error></Response>".encode(),
    VS.format("<VS><Index>1</Index><Rs>text</Rs></VS>").encode(),
    VS.format("<VS><Index>1</Index><NickName><b>x</b></NickName></VS>").encode(),
    (b"<a>" * 200) + (b"</a>" * 200),
]


@pytest.mark.parametrize("body", BAD)
async def test_a_reply_that_is_none_is_never_taken_for_a_list(body):
    async with answering(says(body)) as url:
        with pytest.raises(MalformedResponse):
            await client(url).answer(SERVICES, 20)


@pytest.mark.parametrize(
    "body",
    [
        "", "[]", "null", "{}", '{"code": "200", "status": "ok"}', '{"code": true, "status": "ok"}', "{" * 100,
        '{"code": 200, "status": "ok", "VS": ["text"]}', '{"code": 200, "status": "ok", "VS": [{"NickName": "x"}]}',
        '{"code": 200, "status": "ok", "VS": [{"Index": 1, "NickName": ["a", "b"]}]}',
        '{"code": 200, "status": "ok", "VS": [{"Index": 1, "index": 2}]}',
        '{"code": -1, "status": "fail"}', f'{{"code": {"9" * 39}, "status": "fail"}}', f'{{"code": {"9" * 5_000}}}',
        '{"code": 200, "status": "ok", "VS": ' + "[" * 40 + "]" * 40 + "}",
        '{"code": 200, "status": "ok", "VS": [' + ",".join(["[]"] * 60_000) + "]}",
        '{"code": 200, "status": "ok", "VS": [{"Index": "\u0661"}]}',
    ],
)  # fmt: skip
async def test_a_reply_of_version_2_that_is_none(body):
    async with answering(says(body.encode(), content_type="application/json")) as url:
        with pytest.raises(MalformedResponse):
            await client(url, "v2").answer(SERVICES, 5)


async def test_a_service_that_lacks_fields_is_read_as_far_as_it_goes():
    body = VS.format("<VS><Index>7</Index><Status>Up</Status></VS>").encode()
    async with answering(says(body)) as url:
        (row,), _ = await client(url).answer(SERVICES, 5)
    assert (row["index"], row["status"], row["method"], row["use_1_1"], row["enabled"]) == ("7", "Up", None, None, None)


@pytest.mark.parametrize("what", ["virtual service", "check settings", "real servers"])
@pytest.mark.parametrize("api", ["v1", "v2"])
async def test_an_answer_about_another_service_is_not_taken_for_that_of_the_one_asked_for(api, what):
    xml = VS.format("<Index>{}</Index>")
    json = '{{"code": 200, "status": "ok", "Index": {}}}'
    for index in (1, 7):
        body, kind = (xml, "text/xml") if api == "v1" else (json, "application/json")
        async with answering(says(body.format(index).encode(), content_type=kind)) as url:
            asked = client(url, api).answer(show(1, f"loadmaster {what}"), 5)
            if index == 1:
                await asked
            else:
                with pytest.raises(MalformedResponse, match="it answered about another one"):
                    await asked


async def test_no_services_are_no_rows():
    async with answering(says(VS.format("").encode())) as url:
        assert await client(url).answer(SERVICES, 5) == ((), "(no rows)")


@pytest.mark.parametrize(
    ("status", "error"),
    [(302, TargetFault), (403, AuthenticationFailed), (429, QuotaExceeded), (500, MalformedResponse)],
)
async def test_what_other_statuses_mean(status, error):
    async with answering(says(b"<html/>", status, Location="https://elsewhere.example/")) as url:
        with pytest.raises(error):
            await client(url).answer(SERVICES, 5)


@pytest.mark.parametrize(
    ("code", "status", "refuses"),
    [
        (422, 200, True),
        (422, 422, True),
        (401, 200, True),
        (500, 200, False),
        (200, 200, False),
        (422, 504, False),
        (422, 408, False),
        (401, 502, False),
        (403, 500, False),
    ],
)
@pytest.mark.parametrize("api", ["v1", "v2"])
async def test_a_change_is_refused_only_where_its_own_code_and_http_both_say_so(api, code, status, refuses):
    """Beside a fault of the server, or a time-out, its own code is only half of what it says."""
    xml = f"<Response stat='{code}' code='fail'><Error>no</Error></Response>"
    body, kind = (xml, "text/xml") if api == "v1" else (f'{{"code": {code}, "status": "fail"}}', "application/json")
    async with answering(says(body.encode(), status, content_type=kind)) as url:
        with pytest.raises(TargetError) as answered:
            await client(url, api).change(change(host="www.shop.lab"), 5)
    assert answered.value.is_refusal is refuses


async def test_a_reply_is_bounded_and_not_unpacked():
    async with answering(says(b"x" * (8 * 2**20 + 1))) as url:
        with pytest.raises(MalformedResponse):
            await client(url).answer(SERVICES, 5)
    async with answering(says(b"\x1f\x8b", **{"Content-Encoding": "gzip"})) as url:
        with pytest.raises(MalformedResponse):
            await client(url).answer(SERVICES, 5)


async def test_silence_and_a_closed_port():
    async with answering(says(b"")) as url:
        closed = url
    with pytest.raises(ConnectionFailed):
        await client(closed).answer(SERVICES, 5)

    async def never(_request):
        await asyncio.Event().wait()

    async with answering(never) as url:
        with pytest.raises(TargetTimeout):
            await client(url).answer(SERVICES, 0.2)


async def test_no_secret_is_in_what_is_kept_or_said(appliance, lm):
    """Neither ours, nor what a check sends, nor what a reply repeats."""
    appliance.services[1].settings |= {
        "CheckHeaders": "Authorization:Basic c2VjcmV0",
        "CheckPostData": "pin=4711-geheim",
    }
    rows, told = await client(lm.url).answer(SERVICES, 5)
    kept = f"{rows} {told}"
    for secret in (ACCOUNT.password, "c2VjcmV0", "4711-geheim"):
        assert secret not in kept
    assert rows[0]["has_headers"] == "true"

    async def repeats(request):
        words = f"bad login {request.headers.get('Authorization', '')} {await request.text()}"
        return web.Response(status=400, text=json.dumps({"code": 400, "message": words, "status": "fail"}))

    mask = Redactor((LOGIN.password, KEY.api_key))
    basic = base64.b64encode(f"{LOGIN.username}:{LOGIN.password}".encode()).decode()
    for api, login in (("v1", LOGIN), ("v2", LOGIN), ("v2", KEY)):
        async with answering(repeats) as url:
            with pytest.raises(TargetError) as error:
                await client(url, api, login).answer(SERVICES, 5)
        shown = mask.redact_text(str(error.value))
        for secret in (LOGIN.password, KEY.api_key, basic):
            assert secret not in shown


def test_a_login_does_not_show_its_secrets():
    assert "pässword" not in repr(LOGIN)
    assert "key-1" not in repr(KEY)
