"""What each kind of entry says: one model per kind, which writers make and readers get back.

Strict both ways: a field that a kind does not have, that is missing, or that is of another type is refused. Only what
a writer gave is stored, so an entry never claims an empty answer to something that nobody asked.

What a ticket goes through carries the number of the rules by which it was allowed to. Rules may become stricter; an
entry is then judged by those of its own time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from bot.errors import LedgerError, Refusal

RULES_VERSION = 4  # of the transitions in ticket_state

_LARGEST = 2**53 - 1  # the largest integer that every JSON reader keeps whole (RFC 8785, 3.2.2.3)
_STORED = "stored"  # validation context: the fields come from an entry, where they are exact already


def exact(value: Any) -> Any:
    """The value with big integers as text, half characters and NUL replaced; a hostile name must not stop the ledger.

    No database keeps NUL in a text as it is, and PostgreSQL's copy of a body is made without its escape, wherever that stands.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd").replace("\\u0000", "\\ufffd")
    if isinstance(value, Mapping):
        return {exact(str(name)): exact(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [exact(one) for one in value]
    if isinstance(value, float):
        raise LedgerError(f"An entry holds {value!r}; fractions are written as whole tenths or as text.")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST:
        return str(value)
    return value


def _with_zone(value: str) -> str:
    if datetime.fromisoformat(value).tzinfo is None:
        raise ValueError("must be a time with its zone, such as 2026-03-02T14:07:00Z")
    return value


def _stored(value: Any) -> Any:
    """A value of a field as JSON has it."""
    if isinstance(value, tuple) and any(isinstance(one, Answer) for one in value):
        return [one.model_dump() if isinstance(one, Answer) else one for one in value]
    return value


Text = Annotated[str, Field(min_length=1)]
Time = Annotated[str, AfterValidator(_with_zone)]
Count = Annotated[int, Field(ge=1)]
Texts = Annotated[tuple[str, ...], Field(strict=False)]
Locks = Annotated[tuple[Text, ...], Field(strict=False)]
HeldBefore = Literal["", "yes", "no", "not known"]


class Answer(BaseModel):
    """What a person said of something that no source had answered.

    Attributes:
        what: the name of it, as the plan lists it: "free space of crm-03".
        answer: how they know, in their own words.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    what: Text
    answer: Text

    @model_validator(mode="before")
    @classmethod
    def _exact_fields(cls, fields: Any, info: ValidationInfo) -> Any:
        return fields if info.context == _STORED else exact(fields)


Answers = Annotated[tuple[Annotated[Answer, Field(strict=False)], ...], Field(strict=False)]
Json = Any  # rows, plans and samples: their own modules know their shape


class EntryData(BaseModel):
    """What every kind has in common: nothing but that it is strict."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: ClassVar[str]
    always: ClassVar[frozenset[str]] = frozenset()  # fields that are stored even where a writer left them to us

    @model_validator(mode="before")
    @classmethod
    def _exact_fields(cls, fields: Any, info: ValidationInfo) -> Any:
        return fields if info.context == _STORED else exact(fields)

    @property
    def fields(self) -> dict[str, Any]:
        """As it is stored."""
        given = self.model_fields_set | self.always
        return {name: _stored(value) for name, value in self if name in given}


class _Addressed(EntryData):
    """Something that came in: who by name, through what, and where.

    Attributes:
        via: "slack", "mention", "button", "modal" or "terminal".
        place: the channel, or the host of the terminal.
        click: the number of the `clicked` entry that it answers.
    """

    name: str = ""
    via: str = ""
    place: str = ""
    click: int | None = None


class Asked(_Addressed):
    """A line that was understood, before anything is asked of any host."""

    kind: ClassVar[str] = "asked"

    line: str
    command: str = ""
    target: str = ""


class Answered(EntryData):
    """The answer to an `asked` entry.

    Attributes:
        asked: the number of that entry.
        answer: the token of its buttons.
        places: the clusters, and hosts that stand alone, that it is about.
        report, evidence: SHA-256 of the blobs.
        no_plan: of the line of a remediation: a gate that does not pass, something unknown, or that there is nothing to
            do, kept a plan from being made. `verdict` says which.
        rows, chain_holds_to: of `/audit` only: how many rows were shown, and up to where the chain was seen to hold.
    """

    kind: ClassVar[str] = "answered"

    asked: Count
    answer: Text
    line: str = ""
    command: str = ""
    target: str = ""
    name: str = ""
    places: Texts = ()
    title: str = ""
    verdict: str = ""
    findings: int = 0
    unknown: int = 0
    report: str | None = None
    evidence: str | None = None
    samples: Json = None
    seconds_tenths: int = 0
    no_plan: bool = False
    rows: int = 0
    chain_holds_to: int | None = None


class Refused(_Addressed):
    """What was not done, and why.

    Attributes:
        category: which kind of refusal; `bot.errors` says what each means.
        reason: why, as the sentence that the person was told.
        asked: the number of the `asked` entry, where it came so far.
        deliveries: the ids that Slack gave the delivery.
    """

    kind: ClassVar[str] = "refused"

    line: str
    category: Refusal
    reason: str
    asked: int | None = None
    command: str | None = None
    target: str | None = None
    deliveries: Texts = ()


class Clicked(EntryData):
    """A button was pressed, or a window sent, before Slack hears that we have it.

    Attributes:
        button: what it does, and its argument.
        name: of who pressed it, where it is known at that moment: an acknowledgement does not wait for it.
        answer: the token or the ticket that it belongs to.
        reason: what was typed into the window.
        answers: what was typed into a window that asks for more than one thing, in its order.
        forged: it was neither in the message of its ticket nor in one that hvops made; nothing is decided by it.
        age: seconds that it was old when it came, by Slack's clock; None where that is not known.
    """

    kind: ClassVar[str] = "clicked"

    button: str
    name: str = ""
    answer: str = ""
    place: str = ""
    reason: str = ""
    answers: Texts = ()
    deliveries: Texts = ()
    forged: bool = False
    age: int | None = 0


STOP_REQUEST = "submit stop"  # what a `clicked` entry says of somebody who wants changes stopped, before that is done


class Shown(EntryData):
    """Something stands in Slack now. `what` says what, and with it which of the kinds below it is."""

    kind: ClassVar[str] = "shown"
    always: ClassVar[frozenset[str]] = frozenset({"what"})


class AnswerShown(Shown):
    """An answer was brought to somebody, or shared.

    Attributes:
        delivery: the way that was open: "response_url", "ephemeral", "direct", "shared", "not sent" or "unknown".
        to: the member or the channel.
    """

    what: Literal["answer"] = "answer"
    answer: str
    delivery: str
    to: str
    place: str = ""
    ts: str = ""


class TicketMessageShown(Shown):
    """The message of a ticket."""

    what: Literal["ticket-message"] = "ticket-message"
    channel: Text
    ts: Text


class ThreadReplyShown(Shown):
    """The thread of a ticket tells an entry now. `entry` is its number.

    Attributes:
        thread: the ts of the message that the thread belongs to; "" in entries from before hvops told.
        missing: what Slack has not taken yet of what belongs to it: "card", "files".
    """

    what: Literal["thread-reply"] = "thread-reply"
    entry: Count
    channel: str
    thread: str = ""
    missing: Texts = ()


class MissingPartShown(Shown):
    """What was missing beside an entry in the thread of a ticket has been delivered since."""

    what: Literal["missing-part"] = "missing-part"
    entry: Count
    part: Literal["card", "files"]
    channel: str


class DirectMessageShown(Shown):
    """Somebody was told an entry of a ticket directly, because its channel took nothing. `to` is the member."""

    what: Literal["direct-message"] = "direct-message"
    entry: Count
    to: Text


class ReminderShown(Shown):
    """Those who decide were reminded, in the thread of the ticket."""

    what: Literal["reminder"] = "reminder"
    channel: str


class AuditPublished(Shown):
    """The audit channel has been told everything up to an entry.

    Attributes:
        last_published: its number.
        ts: of the message; "" for where a channel begins, before it is told so.
    """

    what: Literal["audit", "audit-begin"] = "audit"
    last_published: int
    channel: str
    ts: str = ""


class StopShown(Shown):
    """A channel was told of a stop or a go.

    Attributes:
        entry: its number. What was switched before that is over, and the channel need not hear of it any more.
    """

    what: Literal["stop"] = "stop"
    entry: Count
    channel: str
    ts: str = ""


class Stopped(_Addressed):
    """Nothing begins any more, until `go`."""

    kind: ClassVar[str] = "stop"

    reason: str = ""


class Released(_Addressed):
    """Things may begin again.

    Attributes:
        after: the number of the newest entry when it was given. It ends what was stopped up to there, and settles no request
            to stop changes that came later. None where that was not written down.
    """

    kind: ClassVar[str] = "go"

    after: int | None = None


class AnchorPosted(EntryData):
    """A head of this ledger stands in the audit channel.

    Attributes:
        head: the number of the entry whose mac was posted.
        ledger_id: which ledger it is of: several may be told in one channel.
        last_published: up to which entry the channel had been told all.
        user, bot: who posted it, by the ids that an export of the channel has.
    """

    kind: ClassVar[str] = "anchor"

    head: Count
    channel: str
    ts: str
    ledger_id: str
    last_published: int | None = None
    user: str = ""
    bot: str = ""


class Moved(_Addressed):
    """The ledger goes on in another store from here. A store behind whose entries this one is the newest takes no more.

    Attributes:
        store: the kind of store that it goes on in; "sqlite" where a move that ended half-way was taken back.
        address: of the database, without user and password, or of the file.
    """

    kind: ClassVar[str] = "moved"

    store: Literal["sqlite", "postgresql"]
    address: str


class Transition(EntryData):
    """What moves a ticket."""

    always: ClassVar[frozenset[str]] = frozenset({"rules_version"})

    rules_version: Count = RULES_VERSION


class OfRun(Transition):
    """What counts for one attempt of a run. Refused when a newer one has begun before it could be written.

    Attributes:
        attempt: that writes it, or that its person saw; 0 before the start; None in entries of rules before the third.
    """

    attempt: Annotated[int, Field(ge=0)] | None = None


class _ByPerson(Transition, _Addressed):
    """A transition that somebody wanted. `by` is who, by id."""

    by: Text


class Proposed(Transition, _Addressed):
    """A plan that waits for its decision, whole.

    Attributes:
        places: the clusters, or hosts that stand alone, where a role must hold.
        policy: "approval" by somebody else of the approvers, or "confirm" by the requester.
        open_until: until when it can be decided about.
        start_minutes: how long an approval will wait.
        run_until: the deadline: no step starts after it; None where none was set.
        version: of the command that made the plan.
        digest: what an approval signs.
        open_questions: what no source answered, by name; an approval answers each of them.
        undoes: the ticket that it takes back, or "".
        replaces: the ticket whose plan changed, or "".
        asked: the number of the `asked` entry.
        same_person: other accounts of who asks, as the settings declared them: none of these approves it.
    """

    kind: ClassVar[str] = "proposed"

    line: str
    command: str
    target: str
    places: Texts
    risk: str
    policy: Literal["approval", "confirm"]
    open_until: Time
    start_minutes: int
    version: str
    digest: Text
    plan: Json
    samples: Json = None
    open_questions: Texts = ()
    run_until: Time | None = None
    undoes: str = ""
    replaces: str = ""
    asked: int | None = None
    same_person: Texts = ()


class Approved(_ByPerson):
    """Somebody signed the plan.

    Attributes:
        digest: of the plan that they were shown.
        start_by: until when it must have started.
        answers: their statements about what was not known, one for each open question of the plan.
    """

    kind: ClassVar[str] = "approved"

    digest: Text
    start_by: Time
    answers: Answers = ()


class Rejected(_ByPerson):
    """Somebody who may decide said no."""

    kind: ClassVar[str] = "rejected"

    reason: str


class Withdrawn(_ByPerson):
    """Taken back before it started."""

    kind: ClassVar[str] = "withdrawn"


class Expired(Transition):
    """Nobody decided in time."""

    kind: ClassVar[str] = "expired"

    reason: str


class Lapsed(Transition):
    """Approved, and not started in time."""

    kind: ClassVar[str] = "lapsed"

    reason: str


class Voided(OfRun):
    """The plan made afresh was another one. `difference` is line by line."""

    kind: ClassVar[str] = "voided"

    reason: str
    difference: Texts = ()


class Started(Transition):
    """Looked again, unchanged, and took its locks.

    Attributes:
        takes_over: the interrupted ticket that had them, and has them again at the end unless it was undone; or "".
        measured: how it stood then, as the plan made afresh says; "" where the plan does not say.
    """

    kind: ClassVar[str] = "started"

    attempt: Count
    locks: Locks
    takes_over: str = ""
    measured: str = ""


class _OfStep(Transition):
    """About one step, in one round, in one attempt."""

    step: Text
    round: Count
    attempt: Count


class Intent(_OfStep):
    """What is about to be done, before it is.

    Attributes:
        description: what the plan calls the step.
        action: what is called, with its parameters; "" where a person acts, or nobody does.
        before: the rows as they were before.
        deadline_seconds: how long the action may take.
        held_before: whether what the step is judged by was so already; "" where that was not asked.
        failed_step, failed_round, failed_why: of what takes a step of a group back because that group failed: which step of it
            failed, in which round, and why, as its end will say.
    """

    kind: ClassVar[str] = "intent"

    description: str
    action: str = ""
    before: Json = None
    deadline_seconds: int = 0
    held_before: HeldBefore = ""
    failed_step: str = ""
    failed_round: int = 0
    failed_why: str = ""


class Outcome(_OfStep):
    """What became of an intent; or that a step failed before it was begun, in a group that undoes what it had done.

    Attributes:
        result: "not sent": held back at the last moment, so it is as if it had not been begun that time.
        message: what was seen.
        reply: what the target answered, shortened.
        evidence: SHA-256 of the blob.
        event_log_note: what was written into the host's own log, or why not.
        not_executed: nothing of it has happened, also where its checks are met by now: there is nothing to take back.
        after: the rows as they are now, None where they are not known; not set where nobody looked.
        measured: what each of its checks read at the end, in words; shortened.
        basis: what "done" rests on: "changed": it was not so before and is so now; "already so": it was so before the
            act, or is so without it; "statement": a person said so, and no check could have shown the opposite. "" where it was only
            waited for, or nobody knows how it was before.
    """

    kind: ClassVar[str] = "outcome"

    result: Literal["done", "failed", "abandoned", "not sent"]
    message: str
    reply: str = ""
    evidence: str = ""
    event_log_note: str = ""
    not_executed: bool = False
    after: Json = None
    measured: Texts = ()
    basis: Literal["", "changed", "already so", "statement"] = ""


class StepConfirmed(_ByPerson, OfRun):
    """Somebody says that they did the step which the run waits for.

    Attributes:
        answers: what they read off a machine and typed, where the step asks for it.
    """

    kind: ClassVar[str] = "step-confirmed"

    step: Text
    round: Count
    answers: Answers = ()


class CancelAsked(_ByPerson):
    """The run is to end before its next act."""

    kind: ClassVar[str] = "cancel-asked"


class Resumed(_ByPerson):
    """The next attempt begins; after a restart by the bot itself.

    Attributes:
        locks: those that it gave away, and has again.
    """

    kind: ClassVar[str] = "resumed"

    attempt: Count
    reason: str = ""
    locks: Locks = ()


class Interrupted(OfRun):
    """A person must decide.

    Attributes:
        step, number: where it stands, by key and counted from 1; "" and None before the first.
        known: what is known about that step.
        yields_locks: it only waits, and whoever needs its locks may have them meanwhile.
        effect: of the step in flight. "seen": it was seen to take effect; "asked": all is as before it, and whoever lets the run go
            on is asked whether it was done and then undone. "" for neither.
    """

    kind: ClassVar[str] = "interrupted"

    reason: str
    step: str = ""
    number: int | None = None
    known: str = ""
    yields_locks: bool = False
    effect: Literal["", "seen", "asked"] = ""


class Done(OfRun):
    """Every step is done.

    Attributes:
        measured: how it stands now, as it was read at the end, in words; () where nothing was read.
    """

    kind: ClassVar[str] = "done"

    message: str
    measured: Texts = ()


class Failed(OfRun):
    """A step failed.

    Attributes:
        rolled_back: each undo of what its group had done has ended as it should, and nothing stays that has none.
        not_undone: of a group whose undos have all ended so, the steps that stay because they have none; in words.
        measured: what is as it was before, and what is not, as it was read after that; in words.
    """

    kind: ClassVar[str] = "failed"

    reason: str
    step: str = ""
    number: int | None = None
    rolled_back: bool = False
    not_undone: Texts = ()
    measured: Texts = ()


class Cancelled(OfRun):
    """Ended as somebody asked."""

    kind: ClassVar[str] = "cancelled"

    reason: str
    step: str = ""
    number: int | None = None


class Closed(_ByPerson, OfRun):
    """An interrupted ticket was ended as it is."""

    kind: ClassVar[str] = "closed"

    reason: Text


_ONE_EACH: tuple[type[EntryData], ...] = (
    *(Asked, Answered, Refused, Clicked, Stopped, Released, AnchorPosted, Moved),
    *(Proposed, Approved, Rejected, Withdrawn, Expired, Lapsed, Voided, Started, Intent, Outcome, StepConfirmed),
    *(CancelAsked, Resumed, Interrupted, Done, Failed, Cancelled, Closed),
)
MODELS: Mapping[str, type[EntryData]] = {model.kind: model for model in _ONE_EACH}
SHOWN: Mapping[str, type[Shown]] = {
    "answer": AnswerShown,
    "ticket-message": TicketMessageShown,
    "thread-reply": ThreadReplyShown,
    "missing-part": MissingPartShown,
    "direct-message": DirectMessageShown,
    "reminder": ReminderShown,
    "audit": AuditPublished,
    "audit-begin": AuditPublished,
    "stop": StopShown,
}


# Fields by which entries refer to each other, to a plan, and to what it locks. Nothing of a plan is hidden when it is proposed, so
# these hold no secret; masked later, by what a service calls its token since, they would name another step or another lock.
REFERENCES = frozenset(
    {
        "plan",
        "digest",
        "open_questions",
        "places",
        "undoes",
        "replaces",
        "step",
        "failed_step",
        "locks",
        "takes_over",
        "by",
        "same_person",
    }
)


def restore_references(given: Mapping[str, Any], masked: Mapping[str, Any]) -> dict[str, Any]:
    """The masked fields of an entry, with the references as they were given; of answers, what each is an answer to."""
    kept = {name: value for name, value in given.items() if name in REFERENCES}
    answers = given.get("answers", ())
    if any(isinstance(one, Mapping) for one in answers):
        told = zip(answers, masked["answers"], strict=True)
        kept["answers"] = [{**after, "what": before["what"]} for before, after in told]
    return {**masked, **kept}


def model_of(kind: str, fields: Mapping[str, Any]) -> type[EntryData]:
    """The model of a kind. Raises LedgerError where there is none."""
    found = SHOWN.get(str(fields.get("what"))) if kind == Shown.kind else MODELS.get(kind)
    if found is None:
        raise LedgerError(f"There is no kind of entry named {kind!r}.")
    return found


def parse(kind: str, fields: Mapping[str, Any]) -> EntryData:
    """What the fields of an entry say. Raises LedgerError where they are not those of its kind."""
    model = model_of(kind, fields)
    try:
        return model.model_validate(dict(fields), context=_STORED)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise LedgerError(f"This is not what an entry {kind} says: {wrong}.") from None
