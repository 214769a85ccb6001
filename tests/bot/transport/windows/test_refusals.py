"""Which answers of a host say that nothing of an action was begun: those on a list, and no others."""

from __future__ import annotations

import pytest
from winrm.exceptions import WinRMTransportError

from bot.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    NotFound,
    QuotaExceeded,
    TargetFault,
    TargetTimeout,
)
from bot.transport.http.client import is_refused
from bot.transport.sites.messages import decode_answer, encode_error
from bot.transport.windows.exception_mapping import STATUSES, from_exception
from bot.transport.windows.fault_codes import KNOWN, REFUSALS, RETURNS
from bot.transport.windows.faults import from_code, from_fault, from_return
from bot.transport.windows.wsman import Fault

SERVICE = "Win32_Service"


@pytest.mark.parametrize(
    "code",
    [
        0x80041001,  # generic failure
        0x80041004,  # the provider failed
        0x80041032,  # WMI broke the call off
        0x80041033,  # WMI is shutting down
        0x80041069,  # WMI did not finish in time
        0x8007045B,  # a system shutdown is in progress
        1115,
        0x800706BA,  # RPC: the server is unavailable, the call failed, too busy
        0x800706BE,
        0x800706BB,
        1723,
        997,  # the operation is pending: what a move that goes on answers
        0x800703E5,
        995,
        0x80338048,  # the answer was too long: what it answers was done
        0x80338049,
        0x80338029,  # the operation timed out
        0x80070002,
        0x87654321,  # nobody lists it
        14,
    ],
)
def test_what_is_no_refusal_may_have_begun(code):
    assert not from_code("hv06", code).is_refusal


@pytest.mark.parametrize(
    "code",
    [
        5,
        0x80070005,
        0x80041003,
        0x80338104,
        0x80041062,
        1314,
        1326,
        87,
        0x80041008,
        0x8004102E,
        0x8004102F,
        0x8004100E,
        0x80041010,
        0x80041002,
        0x80338000,
        0x8033803A,
        0x8033805A,
        0x8033803F,
        0x803381A6,
        0x8004106C,
        0x80070000 + 5023,
        0x80070000 + 5960,
    ],
)
def test_what_the_documents_call_a_refusal_has_not_begun(code):
    assert from_code("hv06", code).is_refusal


def test_every_code_is_judged_by_the_list_and_never_by_its_kind():
    assert {code for code in KNOWN if from_code("hv06", code).is_refusal} == REFUSALS & KNOWN.keys()
    assert isinstance(from_code("hv06", 1723), QuotaExceeded)
    assert isinstance(from_code("hv06", 0x80070002), NotFound)


@pytest.mark.parametrize(
    ("code", "hresult", "refuses"),
    [
        (0x80338102, 0x87654321, False),
        (5, 0x80041001, False),
        (0x8033805A, 0x800706BA, False),
        (0x8033805A, 0x87654321, False),
        (0x80338102, 0x8004100C, True),
        (0x87654321, 0x80041003, True),
        (None, 0x80041003, True),
        (0x80338102, None, True),
    ],
)
def test_where_wmi_says_by_its_own_number_what_failed_that_one_decides(code, hresult, refuses):
    """WinRM wraps what a provider says in a code of its own, which is one for many."""
    assert from_fault("hv06", Fault(code, "", "", hresult)).is_refusal is refuses


@pytest.mark.parametrize(
    ("subcode", "kind", "refuses"),
    [
        ("AccessDenied", AuthenticationFailed, True),
        ("QuotaLimit", QuotaExceeded, True),
        ("TimedOut", TargetTimeout, False),
        ("InternalError", TargetFault, False),
        ("", TargetFault, False),
    ],
)
def test_winrm_1_1_gives_a_subcode_alone(subcode, kind, refuses):
    found = from_fault("hv06", Fault(None, subcode, ""))
    assert (type(found), found.is_refusal) == (kind, refuses)


def test_a_service_that_is_slow_has_been_started():
    """7, 8 and 13 come from a start that was tried; 6, 10 and their like from one that was not."""
    may_have_begun = {n for n in RETURNS[SERVICE] if not from_return("hv03", SERVICE, "StartService", n).is_refusal}
    assert may_have_begun == {7, 8, 13}
    assert not from_return("hv03", SERVICE, "StartService", 99).is_refusal


@pytest.mark.parametrize(
    ("cls", "returned", "refuses"),
    [
        ("Win32_OperatingSystem", 5, True),
        ("Win32_OperatingSystem", 1314, True),
        ("Win32_OperatingSystem", 1115, False),
        ("Win32_OperatingSystem", 87, False),
        ("Msvm_ComputerSystem", 32775, True),
        ("Msvm_ComputerSystem", 32769, True),
        ("Msvm_ComputerSystem", 32768, False),
        ("Msvm_ComputerSystem", 32772, False),
        ("MSCluster_Resource", 5023, True),
        ("MSCluster_Resource", 5, True),
        ("MSCluster_Resource", 997, False),
        ("MSCluster_Node", 0x800706BE, False),
        ("Some_Class", 5, False),
    ],
)
def test_a_number_means_something_together_with_its_class_only(cls, returned, refuses):
    assert from_return("hv03", cls, "Method", returned).is_refusal is refuses


def test_what_is_answered_before_winrm_hears_of_it_was_not_begun():
    by_status = {
        status: from_exception("hv03", WinRMTransportError("http", status, "")).is_refusal for status in STATUSES
    }
    assert {status for status, refuses in by_status.items() if refuses} == {400, 401, 403, 404, 405, 413}
    assert not from_exception("hv03", WinRMTransportError("http", 500, "")).is_refusal


def test_a_web_service_refuses_by_the_status_of_the_request():
    assert [status for status in (301, 400, 404, 408, 422, 500, 503) if is_refused(status)] == [301, 400, 404, 422]


@pytest.mark.parametrize(
    "error",
    [
        TargetFault("br01", "generic failure", code=0x80041001),
        TargetFault("br01", "no such method", code=0x8004102E, is_refusal=True),
        from_code("br01", 1723),
        from_code("br01", 0x80070002),
        from_code("br01", 5),
        ConnectionFailed("br01", "reset"),
    ],
)
def test_a_worker_of_a_site_says_which_it_is(error):
    told = decode_answer(encode_error(error, begun=True))
    assert (type(told), told.is_refusal) == (type(error), error.is_refusal)


def test_a_worker_of_an_older_version_does_not_say_and_may_have_begun_it():
    assert not decode_answer('{"error":"TargetFault","on":"br01","says":"no","do":"","code":5}').is_refusal
