"""Sealed messages, without a network."""

from __future__ import annotations

import pytest
import spnego
from hypothesis import given, settings
from hypothesis import strategies as st
from pypsrp.encryption import WinRMEncryption

from lab.windows import encryption, ntlm_credentials
from lab.windows.encryption import Garbled


def handshake():
    """The two ends of an NTLM session."""
    client = spnego.client("CORP\\reader", "Secret:1", protocol="ntlm")
    with ntlm_credentials.holding("CORP", "reader", "Secret:1"):
        server = spnego.server(protocol="ntlm")
        authenticate = client.step(server.step(client.step()))
        assert ntlm_credentials.names_in(authenticate) == ("CORP", "reader")
        server.step(authenticate)
    return client, server


@given(st.binary(max_size=400))
@settings(max_examples=40, deadline=None)
def test_what_pypsrp_seals_is_read_and_the_other_way_round(data):
    client, server = handshake()
    peer = WinRMEncryption(client, WinRMEncryption.SPNEGO)
    content_type, sealed = peer.wrap_message(data)
    assert encryption.protocol_of(f'{content_type};protocol="{peer.protocol}"') == encryption.SPNEGO
    assert encryption.unseal(server, sealed) == data
    content_type, answer = encryption.seal(server, encryption.SPNEGO, data)
    assert content_type.startswith("multipart/encrypted;")
    assert peer.unwrap_message(answer, "Encrypted Boundary") == data


def sealed_message(data=b"<a/>"):
    client, server = handshake()
    _type, sealed = WinRMEncryption(client, WinRMEncryption.SPNEGO).wrap_message(data)
    return server, sealed


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sealed: sealed.replace(b"Length=4", b"Length=5"),
        lambda sealed: sealed.replace(b"Length=4", b""),
        lambda sealed: sealed.replace(b"octet-stream", b"other"),
        lambda sealed: sealed.replace(b"--Encrypted Boundary--", b""),
        lambda sealed: sealed.replace(b"\x10\x00\x00\x00", b"\xff\xff\x00\x00"),
        lambda sealed: sealed[:-26] + bytes([sealed[-26] ^ 1]) + sealed[-25:],
        lambda sealed: sealed[:100],
        lambda _sealed: b"",
    ],
)
def test_spoilt_messages(spoil):
    server, sealed = sealed_message()
    with pytest.raises(Garbled):
        encryption.unseal(server, spoil(sealed))


def test_message_out_of_turn():
    server, sealed = sealed_message()
    assert encryption.unseal(server, sealed) == b"<a/>"
    with pytest.raises(Garbled):
        encryption.unseal(server, sealed)


def test_content_types():
    assert encryption.protocol_of("application/soap+xml;charset=UTF-8") is None
    with pytest.raises(Garbled):
        encryption.protocol_of('multipart/encrypted;protocol="application/HTTP-CredSSP-session-encrypted"')


def test_names_in_a_token_that_is_cut():
    assert ntlm_credentials.names_in(b"NTLMSSP\x00\x03\x00\x00\x00 short") is None
    assert ntlm_credentials.names_in(b"NTLMSSP\x00\x01\x00\x00\x00") is None
