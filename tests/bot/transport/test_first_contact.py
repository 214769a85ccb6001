"""What a first contact sends: no more round trips than its login has legs, each proof once, and no question twice."""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import requests
import spnego._ntlm
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from requests_ntlm import requests_ntlm
from spnego._ntlm_raw.messages import Authenticate, AvId, Challenge, NegotiateFlags, NTClientChallengeV2

from bot.api.actions import InvokeMethod
from bot.api.queries import Wql
from bot.config.inventory_file import InventoryFile
from bot.errors import AuthenticationFailed, ConnectionFailed, MalformedResponse
from bot.transport.client import TargetClient
from bot.transport.routing import Credentials, Router
from bot.transport.windows import kerberos, ntlm, winrm
from lab.windows import BackgroundServer, CertificateAuthority
from lab.windows.listener_http import Host
from lab.windows.machine_protocol import Access

from .conftest import PASSWORD, READER, USER, Box

ADDRESS, NAME = "127.0.94.1", "hv14.corp.example"
QUESTION = Wql("hv14", "root/MSCluster", "MSCluster_Node", ("Name",))
ACT = InvokeMethod("hv14", "root/cimv2", (("Name", "vmms"),), "Win32_Service", "StopService")
TICKET = Credentials("kerberos", "caller@CORP.EXAMPLE")
PROOF = b"NTLMSSP\x00\x03\x00\x00\x00"

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass
class Wire:
    """Every HTTP request that reached the host, and what stands before it: `act` answers, or lets the host answer."""

    legs: list[tuple[str, bytes, int]] = field(default_factory=list)  # scheme, token, bytes of the body
    connections: list[object] = field(default_factory=list)
    act: Callable[[web.BaseRequest, bytes, Answer], Awaitable[web.StreamResponse]] | None = None

    @property
    def bodies(self) -> list[int]:
        return [length for _, _, length in self.legs]

    @property
    def proofs(self) -> int:
        return sum(token.startswith(PROOF) for _, token, _ in self.legs)


@pytest.fixture
def wire(monkeypatch):
    found, real = Wire(), Host._handle

    async def handle(host: Host, request: web.BaseRequest) -> web.StreamResponse:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        sent = base64.b64decode(token) if scheme.lower() != "basic" else token.encode()
        found.legs.append((scheme, sent, len(await request.read())))
        if request.transport not in found.connections:
            found.connections.append(request.transport)
        if found.act is None:
            return await real(host, request)
        return await found.act(request, sent, lambda request: real(host, request))

    monkeypatch.setattr(Host, "_handle", handle)
    return found


@pytest.fixture
def box():
    made = Box(
        "HV14", "hv14.corp.example", access=Access(accounts={USER: PASSWORD, "caller@CORP.EXAMPLE": ""}, basic=True)
    )
    made.classes["root/mscluster", "mscluster_node"] = [{"Name": "HV14"}]
    made.classes["root/cimv2", "win32_service"] = [{"Name": "vmms"}]
    return made


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = CertificateAuthority()
    return made, made.write(tmp_path_factory.mktemp("ca") / "ca.pem")


@pytest.fixture
def up(wire, box, authority):
    with BackgroundServer({ADDRESS: box}, tls={ADDRESS: authority[0].server_context(ADDRESS)}) as server:
        yield server


@pytest.fixture
def client(up, authority):
    """Makes a client; each is closed in the end."""
    made = []

    def make(login=READER, *, secure=False):
        url = up.url(ADDRESS, secure=secure)
        told = {"hosts": {"hv14": {"domain": "corp.example"}}, "endpoints": {"hv14": url}}
        login = replace(login, ca_file=authority[1])
        made.append(TargetClient(Router(InventoryFile.model_validate(told), {"reader": login, "operator": login})))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def people(kdc):
    kdc.add_service("HTTP", NAME)
    kdc.add_user("caller", "Ticket-6")


@pytest.fixture
def ticket(kdc, people, monkeypatch, tmp_path, box):
    for name, value in {**kdc.environment, "KRB5CCNAME": f"FILE:{tmp_path / 'tickets'}"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(kdc.environment, "KRB5CCNAME", f"FILE:{tmp_path / 'tickets'}")
    monkeypatch.setattr(kerberos, "_fetched", {})
    box.access.kerberos, box.access.ntlm = True, False
    kdc.log_in("caller", "Ticket-6")


async def twice(asked):
    for _ in range(2):
        assert (await asked.answer(QUESTION, 5.0)).rows == ({"Name": "HV14"},)


# --- how many -----------------------------------------------------------------------------------------------------


async def test_ntlm_over_http_takes_a_leg_for_each_of_its_messages_and_then_asks(client, wire):
    await twice(client())
    first, proof, question, again = wire.legs
    assert [leg[0] for leg in wire.legs] == ["Negotiate", "Negotiate", "", ""]
    assert (first[2], proof[2]) == (0, 0)  # nothing of the question before it can be sealed
    assert min(question[2], again[2]) > 0
    assert len(wire.connections) == 1


async def test_ntlm_over_https_asks_with_the_last_leg(client, wire):
    await twice(client(secure=True))
    first, question, again = wire.legs
    assert first[2] == 0
    assert question[1].startswith(PROOF)
    assert min(question[2], again[2]) > 0


@pytest.mark.parametrize("secure", [False, True])
async def test_a_change_goes_out_once(client, wire, box, secure):
    await client(secure=secure).invoke(ACT)
    assert len(box.called) == 1
    assert sum(length > 0 for length in wire.bodies) == 2  # which machine this is, and the change
    assert len(wire.legs) == (3 if secure else 4)


async def test_basic_asks_at_once(client, wire):
    await twice(client(Credentials("basic", USER, PASSWORD), secure=True))
    assert len(wire.legs) == 2


@pytest.mark.kerberos
@pytest.mark.parametrize(("secure", "legs"), [(False, 2), (True, 1)])
async def test_kerberos_sends_its_ticket_first(ticket, client, wire, secure, legs):
    await twice(client(TICKET, secure=secure))
    assert [bool(token) for _, token, _ in wire.legs] == [True] + [False] * legs


# --- hosts that are not as one expects -----------------------------------------------------------------------------


def unwilling(*offers: str, close: bool = False) -> web.Response:
    refused = web.Response(status=401)
    for offer in offers:
        refused.headers.add("WWW-Authenticate", offer)
    if close:
        refused.force_close()
    return refused


@pytest.mark.parametrize("close", [False, True])
async def test_a_host_that_looks_at_no_token_before_its_own_401(client, wire, close):
    async def act(request, token, host):
        if len(wire.legs) == 1:
            return unwilling("Negotiate", "Kerberos", 'Basic realm="WSMAN"', close=close)
        return await host(request)

    wire.act = act
    await twice(client())
    assert len(wire.legs) == 5
    assert (wire.proofs, len(wire.connections)) == (1, 2 if close else 1)


@pytest.mark.parametrize(
    "others",
    [
        ("Kerberos", 'Basic realm="a, Negotiate, b"'),
        ('Basic realm="WSMAN", Kerberos',),
        ("CredSSP", 'Digest qop="auth", nonce="Zm9v"'),
    ],
)  # fmt: skip
async def test_other_schemes_before_and_behind_the_challenge(client, wire, others):
    async def act(request, token, host):
        reply = await host(request)
        if challenge := reply.headers.popall("WWW-Authenticate", []):
            for offer in (*others, challenge[0].replace("Negotiate", "negotiate"), *others):
                reply.headers.add("WWW-Authenticate", offer)
        return reply

    wire.act = act
    await twice(client())
    assert len(wire.legs) == 4


async def test_a_host_that_calls_it_ntlm(client, wire):
    async def act(request, token, host):
        if request.headers["Authorization" if len(wire.legs) < 4 else "Host"].startswith("Negotiate"):
            return unwilling("NTLM")
        return await host(request)

    wire.act = act
    await twice(client())
    assert [scheme for scheme, _, _ in wire.legs] == ["Negotiate", "NTLM", "NTLM", "", ""]


@pytest.mark.parametrize("offers", [("Kerberos",), ('Basic realm="WSMAN"',), ("Negotiate",), ("NTLM",), ()])
async def test_a_host_that_takes_no_ntlm_gets_no_proof(client, wire, offers):
    async def act(request, token, host):
        return unwilling(*offers)

    wire.act = act
    with pytest.raises(AuthenticationFailed, match="does not offer the login") as caught:
        await client(secure=True).answer(QUESTION, 5.0)
    assert caught.value.is_only_there  # nobody has called the password wrong
    assert set(wire.bodies) == {0}
    assert (wire.proofs, len(wire.legs) <= 2) == (0, True)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("flag", ["extended_session_security", "key_128", "sign", "seal", "key_exch"])
async def test_a_challenge_that_was_weakened_on_the_way_gets_no_proof(client, wire, box, flag, secure):
    """Without its time a challenge asks for no code over the three messages, so that the host cannot tell."""

    async def act(request, token, host):
        reply = await host(request)
        offer = reply.headers.get("WWW-Authenticate", "").partition(" ")[2]
        if offer:
            told = Challenge.unpack(base64.b64decode(offer))
            names = told.target_info
            names.pop(AvId.timestamp, None)
            flags = told.flags & ~int(NegotiateFlags[flag])
            weak = Challenge(flags, told.server_challenge, told.target_name, names, told.version).pack()
            reply.headers["WWW-Authenticate"] = f"Negotiate {base64.b64encode(weak).decode()}"
        return reply

    wire.act = act
    with pytest.raises(AuthenticationFailed, match="weaker than Windows' own") as caught:
        await client(secure=secure).invoke(ACT)
    assert caught.value.is_only_there
    assert (wire.proofs, set(wire.bodies), box.called) == (0, {0}, [])


@pytest.mark.parametrize("secure", [False, True])
async def test_a_wrong_password_is_carried_there_once(client, wire, box, secure):
    with pytest.raises(AuthenticationFailed, match="refused") as caught:
        await client(Credentials("ntlm", USER, "nonsense-9"), secure=secure).invoke(ACT)
    assert not caught.value.is_only_there
    assert (wire.proofs, len(wire.legs), box.called) == (1, 2, [])


@pytest.mark.parametrize("secure", [False, True])
async def test_a_connection_that_ends_before_the_proof_costs_another_login(client, wire, box, secure):
    async def act(request, token, host):
        reply = await host(request)
        if len(wire.legs) == 1:
            reply.force_close()
        return reply

    wire.act = act
    await client(secure=secure).invoke(ACT)
    assert (wire.proofs, len(wire.connections), len(box.called)) == (1, 2, 1)


@pytest.mark.parametrize("secure", [False, True])
async def test_one_that_always_ends_before_it_gets_none(client, wire, box, secure):
    async def act(request, token, host):
        reply = await host(request)
        reply.force_close()
        return reply

    wire.act = act
    with pytest.raises(ConnectionFailed, match="closed the connection"):
        await client(secure=secure).invoke(ACT)
    assert (wire.proofs, len(wire.legs), box.called) == (0, 2, [])


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("has_acted", [False, True])
async def test_nothing_is_repeated_that_has_had_the_proof(client, wire, box, secure, has_acted):
    async def act(request, token, host):
        if token.startswith(PROOF):
            if has_acted:
                await host(request)
            request.transport.abort()
            return web.Response(status=500)
        return await host(request)

    wire.act = act
    with pytest.raises(ConnectionFailed, match="closed the connection"):
        await client(secure=secure).invoke(ACT)
    assert (wire.proofs, len(wire.connections)) == (1, 1)
    assert not box.called  # over TLS the proof carries a question: which machine this is


@pytest.mark.parametrize("login", [READER, pytest.param(TICKET, marks=pytest.mark.kerberos)], ids=["ntlm", "kerberos"])
async def test_what_is_sealed_for_a_connection_goes_over_no_other(request, client, wire, login):
    if login is TICKET:
        request.getfixturevalue("ticket")

    async def act(request, token, host):
        reply = await host(request)
        if reply.status == 200:
            reply.force_close()
        return reply

    wire.act = act
    with pytest.raises(ConnectionFailed, match="closed the connection"):
        await client(login).answer(QUESTION, 5.0)
    assert set(wire.bodies) == {0}


@pytest.mark.parametrize("secure", [False, True])
async def test_a_server_that_asks_for_no_login_gets_no_question(client, wire, secure):
    async def act(request, token, host):
        return web.Response(content_type="application/soap+xml")

    wire.act = act
    with pytest.raises(MalformedResponse, match="does not ask who logs in"):
        await client(secure=secure).answer(QUESTION, 5.0)
    assert wire.bodies == [0]


async def test_a_proxy_that_wants_a_login_gets_none(client, wire):
    async def act(request, token, host):
        return web.Response(status=407, headers={"Proxy-Authenticate": "NTLM"})

    wire.act = act
    with pytest.raises(ConnectionFailed, match="proxy"):
        await client().answer(QUESTION, 5.0)
    assert wire.proofs == 0


async def test_a_host_that_has_forgotten_the_login_is_asked_over_another_connection(client, wire):
    asked = client()
    await twice(asked)

    async def act(request, token, host):
        return unwilling("Negotiate") if request.transport is wire.connections[0] else await host(request)

    wire.act = act
    await twice(asked)
    assert (wire.proofs, len(wire.connections)) == (2, 2)


# --- what each request says ------------------------------------------------------------------------------------------


@pytest.fixture
def headers(wire):
    """Of every request that reached the host."""
    found = []

    async def act(request, token, host):
        found.append({name: value for name, value in request.headers.items() if name != "Authorization"})
        return await host(request)

    wire.act = act
    return found


@pytest.mark.parametrize("secure", [False, True])
async def test_a_request_made_like_the_one_before_says_what_a_new_one_would(client, headers, monkeypatch, secure):
    """requests works address and headers out for each request, which took a sixth of the CPU time of a message."""
    await twice(client(secure=secure))
    quick = [*headers]
    headers.clear()
    monkeypatch.setattr(winrm._Session, "prepare_request", requests.Session.prepare_request)
    await twice(client(secure=secure))
    assert quick == headers


async def test_what_something_on_the_way_wants_to_know_again_is_sent_back(client, wire):
    sent = []

    async def act(request, token, host):
        sent.append(request.headers.get("Cookie"))
        reply = await host(request)
        if reply.status == 200:
            reply.set_cookie("gateway", "seven")
        return reply

    wire.act = act
    await twice(client())
    assert sent[-2:] == ["gateway=seven"] * 2


# --- the password ---------------------------------------------------------------------------------------------------


async def test_the_hash_is_worked_out_once_for_an_account_and_the_lm_hash_never(site, monkeypatch):
    made, plain = [], ntlm.ntowfv1
    monkeypatch.setattr(ntlm, "ntowfv1", lambda password: made.append(password) or plain(password))
    monkeypatch.setattr(spnego._ntlm, "lmowfv1", lambda _: pytest.fail("the LM hash is of no use"))
    login = Credentials("ntlm", USER, PASSWORD)
    reach = site.reach(login)
    try:
        for host in ("hv01", "hv02"):
            assert len((await reach.answer(replace(QUESTION, on=host), 5.0)).rows) == 2
    finally:
        reach.close()
    assert made == [PASSWORD]


async def test_a_hash_in_place_of_the_password_still_opens(client):
    await twice(client(Credentials("ntlm", USER, f"{'0' * 32}:{ntlm.ntowfv1(PASSWORD).hex()}")))


async def test_the_hash_is_shown_no_more_than_the_password(client, caplog):
    caplog.set_level(0)
    login = Credentials("ntlm", USER, PASSWORD)
    asked = client(login)
    await twice(asked)
    kept = next(iter(asked._kept._idle.values()))[0]
    used = kept.way.credentials
    secret = used.derived["nt hash"]
    assert secret == ntlm.ntowfv1(PASSWORD).hex()
    told = caplog.text + "".join(map(repr, (kept.way, used, kept.protocol.transport.session.auth)))
    assert not re.search(f"{secret}|{PASSWORD}", told, re.IGNORECASE)
    assert used == replace(used)  # and it makes no difference between two ways
    assert replace(used, password="another").derived == {}


async def test_over_tls_the_proof_is_bound_to_the_certificate(client, wire, up):
    await twice(client(secure=True))
    shown = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((ADDRESS, urlsplit(up.url(ADDRESS, secure=True)).port)))
    proof = Authenticate.unpack(wire.legs[1][1])
    bound = NTClientChallengeV2.unpack(proof.nt_challenge_response[16:]).av_pairs[AvId.channel_bindings]
    assert bound == hashlib.md5(ntlm._bindings(shown).pack(), usedforsecurity=False).digest()


@pytest.mark.parametrize("kind", ["sha1", "sha256", "sha384", "sha512"])
def test_the_binding_is_that_of_rfc_5929(kind):
    key, name, now = rsa.generate_private_key(65537, 2048), x509.Name([]), datetime.now(UTC)
    signed_with = {"sha384": hashes.SHA384, "sha512": hashes.SHA512}.get(kind, hashes.SHA256)()
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1)).sign(key, signed_with)
    certificate = made.public_bytes(serialization.Encoding.DER)
    if kind == "sha1":  # nobody signs so any more, but the certificates of old hosts say it
        certificate = certificate.replace(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105"))
    expected = hashlib.new(signed_with.name, certificate).digest()
    assert ntlm._bindings(certificate).application_data == b"tls-server-end-point:" + expected
    assert requests_ntlm._get_certificate_hash(certificate) == expected
    assert ntlm._bindings(None) is None
