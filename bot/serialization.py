"""An answer as the ledger keeps it: the report and its evidence as JSON bytes, and back again.

The bytes go into the ledger's blobs under their SHA-256, so that *Check Again*, *Evidence* and *Share* still work
after a restart, and an auditor can read next year what was shown tonight.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from bot.api.report import Report, Sample


@dataclass(frozen=True, slots=True)
class Evidence:
    """One question that was asked, and its raw answer.

    Attributes:
        on: the target.
        query: the question as an engineer would write it: the WQL text, the command line.
        raw: the answer as it came, decoded; "" where there was none.
        error: the sentence of the error; "" where there was none.
        rendered: the same answer as people read it, one row a line; "" where `raw` reads well by itself.
    """

    on: str
    query: str
    raw: str
    error: str = ""
    rendered: str = ""


_REPORT = TypeAdapter(Report)
_EVIDENCE = TypeAdapter(tuple[Evidence, ...])


def report_to_bytes(report: Report) -> bytes:
    """The report as JSON."""
    return _REPORT.dump_json(report)


def report_from_bytes(data: bytes) -> Report:
    """The report that `report_to_bytes` wrote. Raises pydantic.ValidationError for anything else."""
    return _REPORT.validate_json(data)


def evidence_to_bytes(evidence: tuple[Evidence, ...]) -> bytes:
    """The evidence as JSON."""
    return _EVIDENCE.dump_json(evidence)


def evidence_from_bytes(data: bytes) -> tuple[Evidence, ...]:
    """The evidence that `evidence_to_bytes` wrote. Raises pydantic.ValidationError for anything else."""
    return _EVIDENCE.validate_json(data)


def samples_to_json(samples: Iterable[Sample]) -> list[dict[str, Any]]:
    """Samples as an entry carries them; `Ledger.recall` brings them back."""
    return [{"on": sample.on, "what": sample.what, "fields": dict(sample.fields)} for sample in samples]
