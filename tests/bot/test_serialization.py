"""A report survives being kept: every field, whatever a hostile guest put into it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.api.report import Report
from bot.serialization import Evidence, evidence_from_bytes, evidence_to_bytes, report_from_bytes, report_to_bytes


@given(st.from_type(Report))
@settings(max_examples=60, deadline=None)
def test_a_report_comes_back_as_it_was(report):
    assert report_from_bytes(report_to_bytes(report)) == report


@given(st.lists(st.builds(Evidence), max_size=5).map(tuple))
@settings(max_examples=60, deadline=None)
def test_evidence_comes_back_as_it_was(evidence):
    assert evidence_from_bytes(evidence_to_bytes(evidence)) == evidence
