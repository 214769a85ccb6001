from datetime import UTC, datetime

import pytest

from bot.vocabulary.ask import Unanswered
from bot.vocabulary.report import Bar, Chart, Column, Finding, Fine, Remedy, Report, Severity, Table

AT = datetime(2026, 3, 2, 22, 41, tzinfo=UTC)


@pytest.fixture
def at():
    return AT


@pytest.fixture
def stuck_writer():
    return Report(
        title="prod: Hyper-V writer STUCK on hv03",
        summary="prod: Hyper-V writer STUCK on hv03, 9 of 11 guests locked; suspect test-tfs-01; hv05 UNKNOWN",
        of="nodes",
        asked=6,
        answered=5,
        findings=(
            Finding(
                Severity.FAULT,
                "STUCK",
                "hv03",
                "Microsoft Hyper-V VSS Writer",
                (
                    ("", "[5] Waiting for completion · Retryable error. No backup runs."),
                    ("Means", "the next backup of hv03 is expected to fail for all 11 guests."),
                    ("Suspect", "test-tfs-01 (event 10102, 22:14)"),
                    ("Next", "free space in the guest first."),
                ),
            ),
        ),
        unanswered=(Unanswered("hv05", "timed out", "No answer in 20 s.", "Not counted as healthy."),),
        fine=(Fine("STABLE", ("hv01", "hv02", "hv04", "hv06"), "11 writers each"),),
        remedies=(Remedy("Find Full Guests", "/find-full-guests prod", primary=True),),
    )


@pytest.fixture
def full_guests():
    return Report(
        title="prod: test-tfs-01 has 0 MB free on C:",
        summary="prod: test-tfs-01 C: 0 MB free; 2 under 1 GB; 3 UNKNOWN of 64",
        of="guests",
        asked=64,
        answered=52,
        findings=(
            Finding(
                Severity.FAULT,
                "FULL",
                "test-tfs-01",
                "on hv03, C: 0 MB of 80 GB",
                (("Because", "Event 10102 names it."), ("By hand", "free 1 GB or more on C:, then Look Again.")),
            ),
            Finding(Severity.WARNING, "LOW", "sql-stage-02", "L: 412 MB"),
        ),
        unanswered=(
            Unanswered("crm-03", "login refused", "The guest refuses the login of the profile guest."),
            Unanswered("sap-old-01", "timed out", "No answer in 20 s."),
            Unanswered("sap-old-02", "timed out", "No answer in 20 s."),
        ),
        notes=("Not asked: lin-01 Linux; vdi-07 off",),
        chart=Chart(
            "Free GB, worst 10 volumes",
            "GB",
            (Bar("test-tfs-01 C:", 0), Bar("sql-stage-02 L:", 4), Bar("file-01 D:", 210)),
            (("Full below", 10),),
        ),
        table=Table(
            "Volumes of prod, least free space first",
            (Column("Guest"), Column("Volume"), Column("Free", "number", "GB"), Column("Node")),
            (
                ("test-tfs-01", "C:", "0", "hv03"),
                ("sql-stage-02", "L:", "0.4", "hv01"),
                ("crm-03", "", "", "hv02"),
            ),
        ),
        remedies=(Remedy("Check Writers", "/check-writers prod"),),
    )
