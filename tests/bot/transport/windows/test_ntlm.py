"""An NTLM challenge that is damaged on purpose: a sentence of ours, never a proof to what no challenge is, and no wait."""

from __future__ import annotations

import base64
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spnego._ntlm_raw.messages import Authenticate, AvId, Challenge, NegotiateFlags, TargetInfo

from bot.errors import AuthenticationFailed, MalformedResponse, TargetError
from bot.transport.routing import Credentials
from bot.transport.windows import ntlm
from bot.transport.windows.exception_mapping import from_exception

LOGIN = ntlm.NtlmLogin(Credentials("ntlm", "CORP\\reader", "a password"), None)
FLAGS = (
    NegotiateFlags.unicode | NegotiateFlags.ntlm | NegotiateFlags.extended_session_security | NegotiateFlags.sign
    | NegotiateFlags.seal | NegotiateFlags.key_128 | NegotiateFlags.key_exch | NegotiateFlags.target_info
)  # fmt: skip


def challenge(flags=FLAGS, name="CORP"):
    told = TargetInfo()
    told[AvId.nb_domain_name], told[AvId.nb_computer_name] = name, "HV14"
    return bytearray(Challenge(flags, b"12345678", name, told).pack())


def answered(token):
    """The proof that it gets, or the error of ours that says why there is none."""
    context = LOGIN.context("http://hv14:5985/wsman")
    context.step()
    try:
        return ntlm._proof(context, token if isinstance(token, str) else base64.b64encode(bytes(token)).decode(), None)
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise
        return from_exception("hv14", error)


def put(form, at, value):
    made = challenge()
    struct.pack_into(form, made, at, value)
    return made


def test_a_challenge_that_is_whole_gets_its_proof():
    assert answered(challenge()).startswith(b"NTLMSSP\x00\x03\x00\x00\x00")


@pytest.mark.parametrize(
    "token",
    [
        b"",
        challenge()[:20],
        challenge()[:47],
        b"NTLMSSQ\x00" + challenge()[8:],  # the wrong signature
        put("<I", 8, 1),  # the message of a client
        put("<I", 8, 3),
        put("<I", 8, 77),
        Authenticate(FLAGS, None, b"x" * 24, "CORP", "reader").pack(),
        put("<H", 12, 3),  # a name of one and a half characters
        put("<H", 40, 7),  # half of a pair
        put("<I", 44, 0xFFFFFFF0),  # names that lie outside of it
        "AAA",  # no base64
    ],
    ids=range(12),
)  # fmt: skip
def test_what_is_no_challenge_gets_no_proof(token):
    found = answered(token)
    assert isinstance(found, (MalformedResponse, AuthenticationFailed))
    assert "KeyError" not in str(found)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("cut"), st.integers(0, 120), st.just(b"")),
            st.tuples(st.just("put"), st.integers(0, 120), st.binary(min_size=1, max_size=8)),
            st.tuples(st.just("add"), st.just(0), st.binary(max_size=40)),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_however_it_is_damaged_there_is_a_proof_or_a_sentence_and_no_wait(damages):
    token = challenge()
    for kind, at, words in damages:
        if kind == "cut":
            del token[at:]
        elif kind == "put":
            token[at : at + len(words)] = words
        else:
            token += words
    began = time.monotonic()
    found = answered(token)
    assert isinstance(found, TargetError) or found.startswith(b"NTLMSSP\x00\x03")
    assert "library failed" not in str(found)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("pairs", [1, 4_000])
def test_a_list_of_names_as_long_as_any_is_read_at_once(pairs):
    info = b"".join(struct.pack("<HH", 2, 12) + "CORP01".encode("utf-16-le") for _ in range(pairs)) + bytes(4)
    token = challenge()[:48] + info
    struct.pack_into("<HHI", token, 12, 0, 0, 48)
    struct.pack_into("<HHI", token, 40, min(len(info), 0xFFFF), 0xFFFF, 48)
    began = time.monotonic()
    assert answered(token)
    assert time.monotonic() - began < 30
