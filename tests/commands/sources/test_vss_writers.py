"""Writers are read by number and GUID, in any language."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.api.rows import CellError
from commands.sources.vss_writers import HYPER_V, Error, VssState, host_writers, no_error_text


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
        ("Kein Fehler", Error.NONE),
        ("Wiederholbarer Fehler", Error.RETRYABLE),
        ("Нет ошибок", Error.NONE),
        # German too, but no list that was published has it
        ("Zeitüberschreitung", Error.UNREAD),
        ("Brak błędu", Error.UNREAD),
        ("", Error.UNREAD),
    ],
)
def test_errors_are_known_where_a_published_list_has_their_text(text, error):
    (writer,) = host_writers("hv03").read([row(error=text)])
    assert writer.error is error


POLISH = "Brak błędu"


def test_what_five_stable_writers_share_in_an_unknown_language_is_a_guess():
    writers = host_writers("hv03").read([row(error=POLISH)] * 5 + [row(state="8", error="Przekroczono limit czasu")])
    assert {one.error for one in writers} == {Error.UNREAD}
    assert [one.guess.value if one.guess else None for one in writers] == [Error.NONE] * 5 + [None]
    assert writers[0].says == "[1] Stable · last error “Brak błędu”, probably “No error”"
    assert no_error_text(writers) == ""


@pytest.mark.parametrize(
    "rows",
    [
        [row(error=POLISH)] * 4,
        [row(error=POLISH)] * 5 + [row(error="Przekroczono limit czasu")],
        [row(error=POLISH)] * 5 + [row(state="8", error=POLISH)],
        [row(error=POLISH)] * 5 + [row(state="5", error=POLISH)],
        [row(error=POLISH)] * 5 + [row(error=POLISH) | {"state_text": "Failed"}],
        [row(error="")] * 5,
    ],
    ids=["four", "two texts", "a failed one too", "a waiting one too", "a contradiction too", "no text"],
)
def test_nothing_is_guessed_from_less(rows):
    writers = host_writers("hv03").read(rows)
    assert not any(one.guess for one in writers)
    assert {one.error for one in writers} == {Error.UNREAD}


def test_one_known_text_tells_the_language_of_the_host():
    writers = host_writers("hv03").read(
        [row(state="8", error="Wiederholbarer Fehler"), row(error="Zeitüberschreitung")]
    )
    assert no_error_text(writers) == "Kein Fehler"


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
        ("1", "Fehlgeschlagen", True),
        ("8", "Stabil", True),
        ("5", "Warten auf Abschluss", False),
        ("1", "Échec", True),
        ("8", "Zakończony niepowodzeniem", False),  # a word that nobody knows contradicts nothing
        ("99", "Failed", True),
        ("1", "", False),
    ],
)
def test_a_word_that_contradicts_its_number_is_shown(state, word, contradicts):
    (writer,) = host_writers("hv03").read([row(state=state) | {"state_text": word}])
    says = f"the state’s number is [{state}], its word “{word}”"
    assert writer.unreadable == (says if contradicts else "")


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
