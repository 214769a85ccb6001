"""`hvops ask --lab FILE`: an incident given as data is played and judged; a capture is asked again.

An incident is played over the wire, against the practice environment. A capture holds what hosts said, and is asked
without a wire.
"""

from __future__ import annotations

import asyncio
import io
import os
import pwd
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from bot.cli.ask import Outcome, OutputOptions, draw, outcome_of
from bot.cli.console import console, styled
from bot.cli.earlier_change import carry_out
from bot.cli.lab_plugin import PracticeCase, apart
from bot.cli.layout import print_text
from bot.cli.os_user import current_user
from bot.cli.plan_preview import approver_names, print_preview
from bot.cli.render import print_report
from bot.config.settings import Roles, Settings, load
from bot.dispatch.command_line import EntryPoint, read_typed
from bot.errors import HvopsError, SettingsError
from bot.logging_setup import configure
from bot.redaction import Redactor
from bot.services import Services, build_services, replay_services
from bot.tickets.create import Preview
from bot.tickets.plan_digest import plan_to_json
from bot.transport.capture import Capture

_WIDE = 100_000  # columns: what is judged is not wrapped
RIGHT, WRONG = 0, 1


@dataclass(frozen=True, slots=True)
class Played:
    """An incident, played.

    Attributes:
        wrong: each expectation that the answer does not meet; none where it is right.
        never_asked: what the incident says is otherwise, and nobody asked for.
    """

    outcome: Outcome
    wrong: tuple[str, ...]
    never_asked: tuple[str, ...]


def ask_case(case: PracticeCase, line: str, shape: OutputOptions) -> int:
    """Play an incident, draw the answer and whether it is right. Returns 0 where it is, else 1.

    Another line than the incident's own is answered and not judged: the exit code is that of the answer.
    """
    played = play(case, line, shape)
    out = console(errors=shape.json)
    if line and line != case.line:
        print_text(out, styled(f"Not checked: the case is about {case.line}", "dim"))
        return played.outcome.code
    print_text(out, styled(f"Case: {case.title}", "bold"))
    if played.never_asked:
        print_text(out, styled(f"Otherwise here, and never asked for: {', '.join(played.never_asked)}.", "dim"))
    if not played.wrong:
        known = " It is marked wrong_today: take that out." if case.wrong_today else ""
        print_text(out, styled(f"RIGHT: all that is expected is so.{known}", "green"))
        return RIGHT
    for says in played.wrong:
        out.print(styled(f"WRONG {says}", "bold red"), soft_wrap=True)
    if case.wrong_today:
        print_text(out, styled(f"Known: {case.wrong_today}", "dim"))
    return WRONG


def play(case: PracticeCase, line: str = "", shape: OutputOptions | None = None) -> Played:
    """Play an incident and judge the answer, which is drawn in a shape, or not at all."""
    with apart() as directory, case.start(directory) as running:
        try:
            settings = _read(running.settings_path)
        except SettingsError as error:
            outcome, roles = Outcome(error, 2), Roles()
            if shape is not None:
                draw(outcome, current_user(roles), shape, roles)
        else:
            roles = settings.roles
            outcome = _ask(settings, case, line or case.line, shape, running.behind)
        wrong = tuple(_judged(case, outcome, roles))
        return Played(outcome, wrong, tuple(running.never_asked()))


def _ask(
    settings: Settings, case: PracticeCase, line: str, shape: OutputOptions | None, behind: float = 0.0
) -> Outcome:
    """Ask what was asked before, each at its time, and then the line: one bot, which remembers."""
    person, back = current_user(settings.roles), timedelta(seconds=behind)

    def clock() -> datetime:
        return datetime.now(UTC) - back

    async def all_lines(made: Services) -> Outcome:
        nonlocal back
        for seconds, before, is_done in case.earlier:
            back = timedelta(seconds=behind + seconds)
            typed = read_typed(before, EntryPoint.TERMINAL)
            if is_done:
                await carry_out(made, person, typed, clock)
            else:
                await outcome_of(made, person, typed)
        back = timedelta(seconds=behind)
        return await outcome_of(made, person, read_typed(line, EntryPoint.TERMINAL))

    with build_services(settings, clock=clock) as made:
        outcome = asyncio.run(all_lines(made))
    if shape is not None:
        draw(outcome, person, shape, settings.roles)
    return outcome


def _judged(case: PracticeCase, outcome: Outcome, roles: Roles) -> list[str]:
    """What is wrong with an outcome, by all that people would read of it."""
    written = Console(file=io.StringIO(), width=_WIDE, highlight=False, markup=False, emoji=False, color_system=None)
    ended, possible, plan = outcome.ended, None, None
    if isinstance(ended, HvopsError):
        written.print(styled(str(ended)))
        title = str(ended)
    elif isinstance(ended, Preview):
        made = ended.made.plan
        possible = bool(ended.decides) and not made.open_questions  # those hold it until an approver has answered
        plan, title = plan_to_json(made), ended.answered.report.title
        if ended.decides:
            print_preview(written, ended, approver_names(roles, ended))
        else:
            print_report(written, ended.answered.report, "")
    else:
        title = ended.report.title
        print_report(written, ended.report, "")
    assert isinstance(written.file, io.StringIO)
    text = written.file.getvalue()
    return case.judge(text=text, title=title, exit_code=outcome.code, possible=possible, plan=plan)


def ask_capture(file: Path, line: str, shape: OutputOptions) -> int:
    """Ask a capture of `hvops record` again, at its own time, and draw the answer. Returns the answer's exit code.

    Raises:
        UsageError: the file is no capture.
    """
    capture = Capture.load(file)
    with apart() as directory:
        settings = _settings_of_a_capture(directory)
        person = current_user(settings.roles)
        with replay_services(settings, capture) as made:
            outcome = asyncio.run(outcome_of(made, person, read_typed(line or capture.line, EntryPoint.TERMINAL)))
        draw(outcome, person, shape, settings.roles)
    told = capture.title
    if isinstance(outcome.ended, HvopsError) or line not in ("", capture.line):
        return outcome.code
    answered = outcome.ended.answered if isinstance(outcome.ended, Preview) else outcome.ended
    if answered.report.title != told:
        console(errors=shape.json).print(styled(f"When it was recorded, the answer was: {told}", "yellow"))
    return outcome.code


def _settings_of_a_capture(directory: Path) -> Settings:
    """Settings for a capture: this user may ask all of it, and the ledger is in the directory. Nobody logs in anywhere."""
    login: dict[str, Any] = {"transport": "kerberos"}
    rule = {"system_users": [pwd.getpwuid(os.getuid()).pw_name], "clusters": ["*"]}
    files = {"path": "ledger.db", "key_file": "ledger.key", "anchor_file": "anchors.txt"}
    settings = Settings.model_validate(
        {
            "inventory": directory / "inventory.toml",
            "credentials": {"reader": login, "operator": login, "guest": login},
            "roles": {"viewer": rule, "operator": rule},
            "policy": {"low": "confirm", "high": "approval"},
            "ledger": {name: directory / file for name, file in files.items()},
        }
    )
    configure(Redactor(settings.secrets()))
    return settings


def _read(file: Path) -> Settings:
    settings = load(file)
    configure(Redactor(settings.secrets()))
    return settings
