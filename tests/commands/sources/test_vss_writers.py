"""Writers are read by number and GUID, in any language."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.api.rows import CellError
from commands.sources.vss_writers import HYPER_V, Error, VssState, host_writers


def row(name="System Writer", state="1", error="No error", writer_id="{e8132975-6f93-4464-a53e-1050253ae220}"):
    return {
        "name": name,
        "writer_id": writer_id,
        "instance_id": "{2FA6F9BA-B613-4740-9BF3-E01EB4320A01}",
        "state": state,
        "error_text": error,
    }


def test_the_hyper_v_writer_is_found_by_guid_whatever_it_is_called():
    (writer,) = host_writers("hv03").read([row("Hyper-V-Verfasser", writer_id="66841cd4-6ded-4f4b-8f17-fd23f8ddc3de")])
    assert writer.is_hyper_v
    assert writer.writer_id == HYPER_V
    assert writer.instance_id == "2FA6F9BA-B613-4740-9BF3-E01EB4320A01"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("No error", Error.NONE),
        ("Retryable error", Error.RETRYABLE),
        ("Non-retryable error", Error.NON_RETRYABLE),
        ("Unexpected error", Error.UNEXPECTED),
        ("Aucune erreur", Error.NONE),
        ("Erreur récupérable", Error.RETRYABLE),
        ("Délai dépassé", Error.TIMED_OUT),
        ("Erreur inattendue", Error.UNEXPECTED),
        ("Cliché instantané incohérent", Error.INCONSISTENT),
        # a table found in the wild that contradicts the resource strings of Windows: not believed
        ("Pas d’erreur", Error.UNREAD),
        ("Wiederholbarer Fehler", Error.UNREAD),
        ("", Error.UNREAD),
    ],
)
def test_errors_are_known_in_english_and_french_only(text, error):
    (writer,) = host_writers("hv03").read([row(error=text)])
    assert writer.error is error


def test_in_an_unknown_language_the_text_that_all_stable_writers_share_is_no_error():
    writers = host_writers("hv03").read(
        [
            row(error="Kein Fehler"),
            row(error="Kein Fehler"),
            row(state="8", error="Wiederholbarer Fehler"),
            row(state="8", error="Kein Fehler"),
        ]
    )
    assert [one.error for one in writers] == [Error.NONE, Error.NONE, Error.UNREAD, Error.NONE]
    assert [one.by_hint for one in writers] == [True, True, False, True]


@pytest.mark.parametrize(
    "rows",
    [
        [row(error="Kein Fehler")],
        [row(error="Kein Fehler"), row(error="Wiederholbarer Fehler")],
        [row(state="5", error="Kein Fehler"), row(state="5", error="Kein Fehler")],
        [row(error=""), row(error="")],
    ],
    ids=["one stable writer", "two texts", "none stable", "no text"],
)
def test_the_hint_needs_two_stable_writers_that_agree(rows):
    assert {one.error for one in host_writers("hv03").read(rows)} == {Error.UNREAD}


def test_the_hint_never_overrules_a_known_error():
    writers = host_writers("hv03").read([row(error="Retryable error"), row(error="Retryable error")])
    assert {one.error for one in writers} == {Error.RETRYABLE}


def test_an_empty_list_stays_empty():
    assert host_writers("hv03").read([]) == ()


@pytest.mark.parametrize("state", [None, "", "five"])
def test_a_row_without_a_state_is_one_unknown_writer_and_hides_no_other(state):
    odd, well = host_writers("hv03").read([row() | {"state": state}, row("Registry Writer")])
    assert (odd.state, odd.waits, odd.failed) == (None, False, False)
    assert odd.unreadable
    assert odd.says.startswith("in a state that cannot be read")
    assert (well.state, well.unreadable) == (1, "")
    with pytest.raises(CellError):
        host_writers("hv03").read([row() | {"state": state}] * 2)


@pytest.mark.parametrize(
    ("state", "word", "contradicts"),
    [
        ("1", "Stable", False),
        ("1", "Failed", True),
        ("5", "Stable", True),
        ("5", "Waiting for completion", False),
        ("4", "Frozen", False),
        ("9", "failed", False),
        ("9", "Stable", True),
        ("8", "Fehlgeschlagen", False),
        ("99", "Failed", True),
        ("1", "", False),
    ],
)
def test_a_word_that_contradicts_its_number_is_shown(state, word, contradicts):
    (writer,) = host_writers("hv03").read([row(state=state) | {"state_text": word}])
    says = f"the state’s number is [{state}], its word “{word}”"
    assert writer.unreadable == (says if contradicts else "")


def test_what_cannot_be_relied_on_teaches_no_language():
    odd = row(error="Kein Fehler") | {"state_text": "Failed"}
    assert {one.error for one in host_writers("hv03").read([row(error="Kein Fehler"), odd])} == {Error.UNREAD}


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("1", "[1] Stable · No error"),
        ("5", "[5] Waiting for completion · No error"),
        ("9", "[9] Failed at freeze · No error"),
        ("15", "[15] Failed at backup shutdown · No error"),
        ("99", "[99] not a known state · No error"),
    ],
)
def test_states_are_said_in_english(state, says):
    assert host_writers("hv03").read([row(state=state)])[0].says == says


@given(state=st.integers(-5, 40))
@settings(max_examples=60)
def test_every_number_is_at_most_one_kind_and_unknown_ones_are_none(state):
    writer = host_writers("hv03").read([row(state=str(state))])[0]
    kinds = [writer.state == VssState.STABLE, writer.waits, writer.failed]
    assert sum(kinds) == (1 if 1 <= state <= 15 else 0)
