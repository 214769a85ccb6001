"""What an entry says: strict when it is written, and typed when it is read."""

from __future__ import annotations

import pytest
from entry_samples import entry_data
from pydantic import ValidationError

from bot.errors import LedgerError
from bot.ledger.entries import MODELS, RULES_VERSION, SHOWN, Approved, Outcome, Transition, parse
from bot.ledger.ticket_state import KINDS, TICKETED

SAMPLES = [(kind, {}) for kind in MODELS] + [("shown", {"what": what}) for what in SHOWN]


def test_every_kind_has_one_model():
    assert {*MODELS, "shown"} == KINDS
    assert {kind for kind, model in MODELS.items() if issubclass(model, Transition)} == TICKETED


@pytest.mark.parametrize(("kind", "fields"), SAMPLES)
def test_what_is_written_is_read_back(kind, fields):
    written = entry_data(kind, fields)
    assert parse(kind, written.fields).fields == written.fields
    assert ("rules_version" in written.fields) == (kind in TICKETED)


@pytest.mark.parametrize(("kind", "fields"), SAMPLES)
def test_a_field_too_many_or_too_few_is_refused(kind, fields):
    whole = entry_data(kind, fields).fields
    with pytest.raises(LedgerError, match="strange: Extra inputs"):
        parse(kind, {**whole, "strange": 1})
    needed = [name for name, field in type(entry_data(kind, fields)).model_fields.items() if field.is_required()]
    for name in needed:
        with pytest.raises(LedgerError, match=f"{name}: Field required"):
            parse(kind, {other: value for other, value in whole.items() if other != name})


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("approved", {"start_by": "2026-03-02T14:00:00"}),
        ("approved", {"digest": ""}),
        ("started", {"locks": "cluster:prod"}),
        ("started", {"attempt": True}),
        ("outcome", {"result": "perhaps"}),
        ("proposed", {"run_until": "soon"}),
        ("refused", {"category": "because"}),
    ],
)
def test_a_value_of_another_type_is_refused(kind, fields):
    with pytest.raises(ValidationError):
        entry_data(kind, fields)


def test_only_what_a_writer_gave_is_stored():
    outcome = Outcome(step="drain", round=1, attempt=1, result="done", message="11 moved")
    assert outcome.fields == {
        "step": "drain", "round": 1, "attempt": 1, "result": "done", "message": "11 moved", "rules_version": RULES_VERSION
    }  # fmt: skip


def test_an_entry_is_read_as_the_kind_that_it_is(ledger, clock):
    entry = ledger.append("U", entry_data("asked", {"line": "/x"}))
    with pytest.raises(LedgerError, match="Entry 1 is of the kind asked, not approved"):
        entry.read(Approved)
