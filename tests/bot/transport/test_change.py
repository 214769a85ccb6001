"""Programs that change something: with the operator's login, never sent twice, and only rows marked so."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.api.actions import RunProgram
from bot.api.queries import make_params
from bot.errors import (
    ConnectionFailed,
    LoginNotChecked,
    OutcomeUnknown,
    PolicyViolation,
    ProgramFailed,
    QuotaExceeded,
    TargetFault,
    TargetTimeout,
)
from bot.executor.actions import fate_of
from bot.transport.allowlist import PROGRAMS, Program
from bot.transport.allowlist.eventcreate import LONGEST, parse_message
from bot.transport.client import TargetClient
from bot.transport.routing import Credentials, Router
from bot.transport.sites.messages import decode_answer, encode_error
from bot.transport.windows import host_operations
from bot.transport.windows.exception_mapping import DeadlineExceeded
from bot.transport.windows.wsman import Fault, WSManFaultReply
from lab.windows.machine_protocol import Output

TOO_MANY_SHELLS, GENERIC_FAILURE = 2150859173, 0x80041001
NOTE = RunProgram("hv01", "eventcreate", make_params(says="hvops T-7: Pause hv01: done."))


@pytest.fixture
def reach(site):
    login = Credentials("ntlm", "CORP\\reader", "Correct-Horse-7")
    only_reads = Program("list", "reads", ("list",), lambda _: ())
    made = TargetClient(Router(site.estate(), {"operator": login}), programs={**PROGRAMS, "list": only_reads})
    yield made
    made.close()


async def test_a_row_that_changes_is_run_as_the_operator(site, reach):
    answer = await reach.change(NOTE)
    assert answer.rows == ()
    assert site.boxes["hv01"].ran == [
        [
            *("eventcreate", "/t", "INFORMATION", "/id", "1", "/l", "APPLICATION", "/so", "hvops"),
            *("/d", "hvops T-7: Pause hv01: done."),
        ]
    ]


async def test_it_is_refused_where_the_host_says_so(site, reach):
    site.boxes["hv01"].output = Output("", "ERROR: Access is denied.\r\n", exit_code=1)
    with pytest.raises(TargetFault, match="Access is denied"):
        await reach.change(NOTE)


async def test_what_a_host_answers_before_anything_was_sent_is_a_refusal_whatever_it_is(site, reach):
    site.boxes["hv01"].trouble.fault = GENERIC_FAILURE
    with pytest.raises(TargetFault) as found:
        await reach.change(NOTE)
    assert (found.value.code, found.value.is_refusal) == (GENERIC_FAILURE, True)
    assert site.boxes["hv01"].ran == []


@pytest.mark.parametrize(("code", "refuses"), [(1, False), (14098, False), (-2146498282, False), (1314, True)])
async def test_an_exit_code_that_is_no_known_refusal_says_nothing_of_what_was_done(site, reach, code, refuses):
    """14098: the component store is damaged. 1314 is Windows' own: the account has no such privilege."""
    site.boxes["hv01"].output = Output("", "ERROR: it failed.\r\n", exit_code=code)
    with pytest.raises(ProgramFailed) as found:
        await reach.change(NOTE)
    assert found.value.is_refusal is refuses


async def test_what_is_refused_after_a_program_was_started_does_not_say_that_it_was_not(site, reach, monkeypatch):
    """A quota, a login that has run out or a lost shell ends the question how it goes on, and not the program."""

    def refuse(*_):
        raise WSManFaultReply(Fault(TOO_MANY_SHELLS, "QuotaLimit", ""))

    monkeypatch.setattr(host_operations, "_receive", refuse)
    with pytest.raises(OutcomeUnknown, match="eventcreate was started, and then: the account has too many shells"):
        await reach.change(NOTE)
    assert len(site.boxes["hv01"].ran) == 1


async def test_of_a_program_that_was_started_a_silent_kdc_does_not_say_that_it_was_not(site, reach, monkeypatch):
    """Each message may need a ticket, and the one that started it had one."""
    await reach.change(NOTE)  # nothing is left to be asked of the host
    waits, is_over = threading.Event(), threading.Event()

    def wait_for_kdc(connection, *_):
        connection._adapter.is_asking_kdc = True
        waits.set()
        is_over.wait(30)
        raise DeadlineExceeded

    monkeypatch.setattr(host_operations, "_receive", wait_for_kdc)
    try:
        with pytest.raises(LoginNotChecked) as found:
            await reach.change(NOTE, 2.0)
        assert waits.is_set()
        assert len(site.boxes["hv01"].ran) == 2
        assert (found.value.is_refusal, found.value.is_unsent) == (False, False)
        assert fate_of(found.value, NOTE) == "unknown"  # it is looked what became of it, as after a time-out
        assert decode_answer(encode_error(found.value)).is_refusal is False  # of a worker as well
    finally:
        is_over.set()


async def test_it_is_never_sent_twice(site, reach):
    site.boxes["hv01"].trouble.fault = TOO_MANY_SHELLS
    with pytest.raises(QuotaExceeded):
        await reach.change(NOTE)
    site.boxes["hv01"].trouble.fault = 0
    site.boxes["hv01"].trouble.reset = True
    with pytest.raises(ConnectionFailed):
        await reach.change(NOTE)
    assert site.boxes["hv01"].ran == []


async def test_it_is_over_with_the_time_that_it_was_given(site, reach):
    """Of a worker's the queue takes a part, and by the end of the rest the bot may begin it again."""
    await reach.change(NOTE)  # nothing is left to be asked of the host
    slow = Output("", after=1.5)
    assert PROGRAMS[NOTE.what].seconds > slow.after
    site.boxes["hv01"].output = slow
    with pytest.raises(TargetTimeout):
        await reach.change(NOTE, slow.after / 3)


@pytest.mark.parametrize(
    "change", [RunProgram("hv01", "list"), RunProgram("hv01", "format"), RunProgram("nowhere", "eventcreate")]
)
async def test_nothing_else_is_run(site, reach, change):
    with pytest.raises(PolicyViolation):
        await reach.change(change)
    with pytest.raises(PolicyViolation, match="says takes a sentence"):
        await reach.change(RunProgram("hv01", "eventcreate", make_params(says="  ")))
    assert site.boxes["hv01"].ran == []


@settings(max_examples=50)
@given(st.text(min_size=1))
def test_whatever_a_plan_is_called_the_note_is_plain(text):
    if text.strip().lstrip("/- "):
        told = parse_message(text)
        assert len(told) <= LONGEST
        assert not set(told) & set("\"'\\%&|<>^`\n\r\0")
