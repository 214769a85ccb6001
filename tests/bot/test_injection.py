"""Every argument of every command, and everything that a world out to harm could answer, on its way out again.

Nothing here knows a command by name: a new one is tried as it stands. Each question and each action that comes of it is
brought to the bytes that would be sent, and must be one query, one argument, one value there, or be refused.
"""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime

import pytest

from bot.api.actions import InvokeMethod, RowTransaction, RunProgram
from bot.api.arguments import Target
from bot.api.command import Remediation, Risk
from bot.api.continuity import Service
from bot.api.facts import Known, Unknown
from bot.api.plan import Plan
from bot.api.queries import GuestWql, RunReader, Wql
from bot.api.report import Report
from bot.dispatch.command_line import read_line, read_typed, resolve
from bot.dispatch.registry import Registry
from bot.errors import UsageError
from bot.slack.outbound.blockkit_validation import problems
from bot.slack.outbound.message import escape_control
from bot.slack.render.errors import refusal
from bot.slack.render.report import report_message
from bot.tickets.plan_report import no_plan, would_be
from bot.tickets.plan_text import plan_lines
from bot.tickets.proposal import PlannedChange
from bot.transport.allowlist import PROGRAMS
from bot.transport.allowlist.sql import CHANGEABLE, QUERIES
from bot.transport.allowlist.web import CALLS
from bot.transport.allowlist.web_probe import PROBES
from bot.transport.windows.wql import namespace, select
from lab.windows.command_line import split_command_line

QUOTES = "'\"\u2018\u2019\u201a\u201b\u201c\u201d\u201e`"  # PowerShell takes five of them for the single one [doc]
CORPUS = (
    *(f"x{quote}x" for quote in QUOTES),
    "'OR''='",
    "'; DROP TABLE tbl_WLC_VObject; --",
    "x'])or(*[System",
    "a&calc",
    "a|calc",
    "a;calc",
    "$(calc)",
    "%COMSPEC%",
    "a\nb",
    "a\r\nX-Header: 1",
    "a\0b",
    "\\",
    'x\\"',
    "/q:*",
    "../../x?y=1#z",
    "{0.__class__}",
    "{ticket}",
    "]]>",
    "<evil/>",
    "\u202ecod.exe",
    "\u200bx\ufeff",
    "<!channel>",
    "<!subteam^S0APPROVERS>",
    "<@U0EVIL>",
    "<https://evil.example|prod>",
    "*b*_i_~s~",
    "%_[a-z]",
    "x" * 900,
)
NUMBERS = re.compile(
    r"state|status|type|priority|build|weight|count|size|free|total|id$|number|code|flag|version|capacity|space",
    re.IGNORECASE,
)
CONTROL = re.compile("[\x00-\x1f\x7f]")
REGISTRY = Registry.load()


NODE = {"Name": "hv03", "BuildNumber": "9600", "OwnerNode": "hv03"}  # so that commands go on to what runs there


class Row(dict):
    """Answers any column: plausible numbers where numbers are wanted, else something harmful."""

    def __init__(self, word, where, known=()):
        super().__init__()
        self.word = word
        self.known = dict(known)
        self.given = {
            term.column: str(term.value) for term in where if term.op == "=" and not isinstance(term.value, tuple)
        }

    def __getitem__(self, column):
        return self.given.get(column) or self.known.get(column) or ("0" if NUMBERS.search(column) else self.word)

    def get(self, column, default=None):
        return self[column]

    def __contains__(self, column):
        return True


class World:
    """Answers every question with such rows, and keeps what it was asked."""

    now = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)

    def __init__(self, word):
        self.word, self.asked = word, []

    async def query(self, source):
        question, read = source.query, source.read
        self.asked.append(question)
        where = getattr(question, "where", ())
        try:
            known = NODE if getattr(question, "cls", "") == "MSCluster_Node" else {"OwnerNode": "hv03"}
            rows = [Row(self.word, where, known), Row(self.word, where, known)]
            return Known(read(rows), self.now, self.now)
        except ValueError as error:  # unreadable, as `QuerySession` takes it
            return Unknown(question.on, "bad reply", f"its answer cannot be understood: {error}.")

    async def find_host(self, name):
        return Target("hv03", "host", "prod")

    async def query_many(self, sources):
        return {key: await self.query(source) for key, source in sources.items()}


CRM = Service("crm", ("prod", "branch"), ("crm-01",), rto_minutes=240, rpo_minutes=15)


class Names:
    """The directory: only names of the inventory are targets, whatever somebody typed."""

    async def find(self, name):
        found = {
            "prod": Target("prod", "cluster", "prod"),
            "hv03": Target("hv03", "host", "prod"),
            "vmm": Target("vmm", "vmm", clusters=("prod",)),
            "lm01": Target("lm01", "load balancer"),
            "hv02": Target("hv02", "host", "prod"),
            "crm": Target("crm", "service", clusters=("prod", "branch"), services=(CRM,)),
        }.get(name)
        if found is None:
            raise UsageError(f"There is no {name}.")
        return found

    def vmm_servers(self):
        return (Target("vmm", "vmm", clusters=("prod",)),)

    def load_balancers(self):
        return (Target("lm01", "load balancer"),)


def is_one_argument_each(argv):
    """As Windows takes a command line apart again; no character that ends a line, or the text of a parameter."""
    assert split_command_line(subprocess.list2cmdline(argv[1:])) == list(argv[1:])
    assert not any(CONTROL.search(word) for word in argv)


def is_one_statement(text, values):
    assert text.count("?") == len(values)
    assert not re.search(r"[\";]|--", text)


def is_one_request(head):
    """One request line and its headers, each of its own line, and nothing behind the blank one."""
    first, *headers, blank, end = head.decode("ascii").split("\r\n")
    assert re.fullmatch(r"(GET|HEAD) /[!-~]* HTTP/1\.[01]", first)
    assert all(re.fullmatch(r"(Host|User-Agent|Accept|Connection): [ -~]+", one) for one in headers)
    assert (len({one.partition(":")[0] for one in headers}), blank, end) == (len(headers), "", "")


def goes_out_safely(asked):
    """A question, or an action that a program, a database or a service carries out. Refusing it is safe."""
    try:
        if isinstance(asked, (Wql, GuestWql)):
            space, text = getattr(asked, "namespace", "root/cimv2"), select(asked.cls, asked.columns, asked.where)
            namespace(space)
            rest = re.sub(r"'(?:[^'\\]|\\\\|\\')*'", "?", text)
            assert re.fullmatch(r"[\w ,.*()=<>!?-]+", rest), text
            assert not CONTROL.search(text)
        elif asked.what in PROGRAMS:
            is_one_argument_each(PROGRAMS[asked.what].command_line(asked.params))
        elif asked.what in CALLS:
            assert re.fullmatch(r"[\w/?=&-]+", CALLS[asked.what].address(asked.params))
        elif asked.what in PROBES:
            is_one_request(PROBES[asked.what].request(asked.params).head)
        else:
            query = QUERIES[asked.what]
            is_one_statement(query.text, query.bind(asked.params))
    except ValueError:
        return False
    return True


def act_goes_out_safely(act):
    if isinstance(act, RowTransaction):
        for row in act.rows:
            is_one_statement(*CHANGEABLE[row.table].update(row))
            is_one_statement(*CHANGEABLE[row.table].select(row))
    elif isinstance(act, RunProgram):
        goes_out_safely(act)


def harms_nobody(message):
    assert not problems(message)
    for text in (message.text, *marked_up(message.blocks)):
        assert "<!channel>" not in text
        assert "<!subteam^S0APPROVERS>" not in text
        assert "<@U0EVIL>" not in text
        assert "<https://evil" not in text
    assert "\u202e" not in f"{message.text}{message.blocks}"


def marked_up(node):
    """Every text in which Slack looks for mentions and links; in plain text it looks for none."""
    if isinstance(node, (list, tuple)):
        for one in node:
            yield from marked_up(one)
    elif isinstance(node, dict):
        if node.get("type") == "mrkdwn":
            yield node["text"]
        for one in node.values():
            yield from marked_up(one)


async def outcome(line, word):
    """Collect and judge, or plan, in a world that answers only such words."""
    world, spec = World(word), line.command.spec
    args = spec.args(**line.values)
    facts = await spec.collect(args, world)
    made = spec.plan(args, facts) if isinstance(spec, Remediation) else spec.evaluate(args, facts)
    return world, made


def check(world, made):
    sent = [goes_out_safely(one) for one in world.asked if isinstance(one, (Wql, GuestWql, RunReader))]
    assert sent or (isinstance(made, Plan) and not made.groups)  # what is refused by its arguments alone asks nobody
    if isinstance(made, Report):
        harms_nobody(report_message(made, "token", world.now))
        return
    assert isinstance(made, Plan)
    whole = PlannedChange("/line", "line", "hv03", ("prod",), Risk.HIGH, made, "1")
    for said in (no_plan(whole), would_be(whole, "decides")):
        harms_nobody(report_message(said, "token", world.now))
    for step in made.steps:
        for act in (step.act, step.undo):
            act_goes_out_safely(act)
            assert not isinstance(act, InvokeMethod) or namespace(act.namespace)
    lines = [escape_control(one) for one in plan_lines(made, Risk.HIGH, "1")]
    assert not any(CONTROL.search(one) for one in lines)


def valid(parameter):
    """A word that this parameter takes."""
    if parameter.targets:
        known = {"host": "hv03", "cluster": "prod", "vmm": "vmm", "load balancer": "lm01", "service": "crm"}
        return ",".join((known[parameter.targets[-1]], "hv02")[: parameter.words])
    example = re.findall(r"such as (KB[0-9]+)", parameter.wants)
    for word in (*example, *parameter.choices, "word", "7", "1GB", "50%", "KB2607712", "immediate", "refresh"):
        try:
            (getattr(parameter.type, "parse", None) or parameter.type)(word)
        except ValueError:
            continue
        return word
    raise AssertionError(f"no word fits {parameter}")


def typed(command, hostile=None, word=""):
    """A whole line, every parameter given; one of them hostile."""
    words = [f"/{command.name}"]
    for one in command.parameters:
        given = word if one is hostile else valid(one)
        words.append(f"--{one.name.replace('_', '-')}={given}" if one.kind == "option" else given)
    return " ".join(words)


ARGUMENTS = [(command.name, one.name) for command in REGISTRY for one in command.parameters]


@pytest.mark.parametrize(("name", "parameter"), ARGUMENTS)
async def test_no_argument_gets_out_of_its_place(name, parameter):
    command = REGISTRY.get(name)
    hostile = next(one for one in command.parameters if one.name == parameter)
    taken = set()
    for word in CORPUS:
        try:
            line = await resolve(Names(), read_line(REGISTRY, read_typed(typed(command, hostile, word))), None)
        except UsageError as refused:
            harms_nobody(refusal(refused))
            continue
        taken.add(word)
        check(*await outcome(line, "quiet"))
    if hostile.targets:  # only names of the inventory are; what Slack made a link of counts as what it shows
        assert taken <= {"<https://evil.example|prod>"}


@pytest.mark.parametrize("name", REGISTRY.commands)
async def test_no_answer_of_the_world_gets_out_of_its_place(name):
    """Names of guests, nodes and jobs, texts of events, rows of a database: whatever they say."""
    command = REGISTRY.get(name)
    line = await resolve(Names(), read_line(REGISTRY, read_typed(typed(command))), None)
    for word in CORPUS:
        check(*await outcome(line, word))


@pytest.mark.parametrize("what", [*PROGRAMS, *CALLS])
def test_no_value_of_a_row_becomes_an_option_or_a_second_command(what):
    """Whatever a plan would put there: names of tickets and people stand in the note that a host keeps."""
    row = PROGRAMS.get(what) or CALLS[what]
    for parameter in row.parameters:
        for word in CORPUS:
            try:
                text = parameter.read(word)
            except ValueError:
                continue
            is_one_argument_each((what, text))
            assert not text.startswith(("/", "-")), parameter.name
            assert what in PROGRAMS or re.fullmatch(r"[0-9]+", text)
