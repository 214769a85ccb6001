"""What can go wrong, as a tree. `str(error)` is the sentence a person reads.

    HvopsError
      UsageError                 they typed something else than the command takes; HostNotKnown: nobody can say now whether a name is a host
      PermissionDenied           closed door: says who may; RolesUnknown: nobody can say now who holds which role
      TooManyQuestions           of one person at a time; this one was not asked
      TooManyWindows             of one person in a minute; this one was not opened
      TooManyMentions            the same; this one was not read
      TooManyLines               the same of what is typed to hvops itself; this one was not answered
      TicketError                NoSuchTicket, NoPlan, Expired (and DeadlinePassed), AlreadyDecided, MovedOn, ChangesStopped,
                                 SwitchUnchanged, StoppedSince, Locked, Unanswered, PlanNotShown, WrongReadBack, ResumedSince,
                                 LookedTooEarly
      TargetError(target)        ConnectionFailed (and NotAsked), AuthenticationFailed (and LoginNotChecked), TargetTimeout (and
                                 NotAskedInTime),
                                 TargetFault (and ProgramFailed, NotFound), MalformedResponse (and IncompleteResponse), QuotaExceeded, PolicyViolation,
                                 OutcomeUnknown, NotBegun, Withheld; of a web server besides NotListening, NoTls, NotHttp, HeadTooLong
      SettingsError              at start-up, naming file, key and what to write
      LedgerError                the ledger cannot be written or read: nothing is asked and nothing is done;
                                 UnreadableEntry(seq): only one entry of it, and what hangs on that one;
                                 StopNotWritten: a stop that is in force in this process alone
      RecordUnavailable              an external record of the ledger cannot be read now

Anything else is an internal error (`InternalError`): the person gets a short id, the log the traceback under that id.

What was refused is told apart by `refused_as`, for the ledger and whoever reviews it:

    not allowed      the role, the account, or a rule of the settings forbids it; so does a press outside of the ticket's message
    not understood   the words cannot be read: no such command, target, option or ticket; too few or too many of them
    no plan          the environment was asked, and no plan comes of it: a gate does not pass, something is unknown, or there is
                     nothing to do. A command says so in an answer with `no_plan`, an undo refuses
    blocked          a plan is there, and what is so in hvops forbids its next step: changes are stopped, another ticket holds the
                     lock or has undone it, its deadline has passed, the ticket is in no state for it, the very same
                     plan is open already
    too late         someone else decided first, the time for a decision is over, or the ticket has moved on since the button was shown
    redelivered      Slack delivered it twice, or a button was pressed twice; the first one is answered
    not answered     nobody can say: hosts, Slack or a queue did not answer in time. Also who holds which role
    our bug          something that should not happen
"""

from __future__ import annotations

from typing import ClassVar, Literal

Refusal = Literal[
    "not allowed", "not understood", "no plan", "blocked", "too late", "redelivered", "not answered", "our bug"
]


class HvopsError(Exception):
    """The root. Its text is a whole sentence: what happened, where, and what to do."""

    refused_as: ClassVar[Refusal] = "not answered"


class UsageError(HvopsError):
    """A command line that cannot be read.

    Attributes:
        usage: the usage line of the command, or "" where no command was recognised.
        suggestions: near-miss names, best first.
    """

    refused_as: ClassVar[Refusal] = "not understood"

    def __init__(self, says: str, usage: str = "", suggestions: tuple[str, ...] = ()) -> None:
        super().__init__(says)
        self.usage = usage
        self.suggestions = suggestions


class HostNotKnown(UsageError):
    """Nobody knows whether a name is a host: a cluster has not said what its nodes are. The text says which."""


class PermissionDenied(HvopsError):
    """This person may not ask or decide this here. The text says who may."""

    refused_as: ClassVar[Refusal] = "not allowed"


class TooManyQuestions(HvopsError):
    """One person has too many questions in progress; this one was not run."""


class TooManyWindows(HvopsError):
    """One person has opened, or turned the pages of, too many windows in a minute: Slack grants so many to all together."""


class TooManyMentions(HvopsError):
    """One person has mentioned hvops too often in a minute: Slack grants so many answers to all together."""


class TooManyLines(HvopsError):
    """One person has typed too much to hvops itself in a minute: each such line is an entry, and the ledger takes one at a time."""


class RolesUnknown(PermissionDenied):
    """Slack does not answer, so nobody knows whether this person holds the role. Try again in a minute."""

    refused_as: ClassVar[Refusal] = "not answered"


class TicketError(HvopsError):
    """A ticket cannot make the transition that was asked of it."""

    refused_as: ClassVar[Refusal] = "blocked"


class ResumedSince(TicketError):
    """An undo that was proposed before its ticket resumed: nobody who asked for it, or approved it, has seen what came of that."""


class LookedTooEarly(TicketError):
    """What a start goes by was read before another ticket moved that needs the same, or has its locks: it is read again."""


class NoPlan(TicketError):
    """Nothing can be undone: a gate does not pass, or there is nothing to undo."""

    refused_as: ClassVar[Refusal] = "no plan"


class NoSuchTicket(TicketError):
    """There is no ticket of that number."""

    refused_as: ClassVar[Refusal] = "not understood"


class Expired(TicketError):
    """Nobody decided, or nobody started, in time."""

    refused_as: ClassVar[Refusal] = "too late"


class DeadlinePassed(Expired):
    """A run has no time left: no step of it starts any more."""

    refused_as: ClassVar[Refusal] = "blocked"


class AlreadyDecided(TicketError):
    """Somebody else decided first."""

    refused_as: ClassVar[Refusal] = "too late"


class MovedOn(TicketError):
    """The ticket no longer stands where it stood when the button was shown."""

    refused_as: ClassVar[Refusal] = "too late"


class ChangesStopped(TicketError):
    """`/hvops stop` is in force."""


class SwitchUnchanged(TicketError):
    """A stop while changes are stopped, or a go while they are not: nothing was written.

    Attributes:
        seq: the number of the entry by which it is so; 0 where nobody has ever stopped anything.
    """

    def __init__(self, says: str, seq: int = 0) -> None:
        super().__init__(says)
        self.seq = seq


class StoppedSince(TicketError):
    """A go that was given before a stop: it ends none that came after it."""

    refused_as: ClassVar[Refusal] = "too late"


class Locked(TicketError):
    """Another ticket holds a lock that this one needs."""


class Unanswered(TicketError):
    """An approval leaves open what the plan asks, or a decision its reason."""

    refused_as: ClassVar[Refusal] = "not understood"


class WrongReadBack(TicketError):
    """What somebody read off a machine is not what the plan says it has to be: the step does not count as done."""


class PlanNotShown(TicketError):
    """The whole plan does not stand in Slack yet, so nobody can approve it."""


class TargetError(HvopsError):
    """A host, guest, database or service did not answer the question.

    Attributes:
        target: its name, as people write it.
        kind: one or two words for a list ("timed out").
        hint: what a person can do about it, or "".
        is_refusal: of an action: it is known that nothing of it was begun. What a target answered says so only where its
            documents do; by itself no answer does.
        is_unsent: of an action: hvops itself knows that nothing of it went out, whatever anybody answered. Every way that has
            sent a piece of it says that this is not so.
    """

    kind = "did not answer"
    is_refusal = False
    is_unsent = False

    def __init__(self, on: str, says: str, do: str = "") -> None:
        super().__init__(f"{on}: {says}" + (f" {do}" if do else ""))
        self.target = on
        self.message = says
        self.hint = do


class ConnectionFailed(TargetError):
    """No connection: name not found, refused, reset, no route, bad certificate."""

    kind = "unreachable"


class NotListening(ConnectionFailed):
    """The machine is there and refuses the connection: nothing listens on that port, or something rejects it there."""

    kind = "connection refused"


class NotAsked(ConnectionFailed):
    """What hvops itself needs to reach it has failed: a name server, a queue, a site's worker. Of the target it says nothing."""

    kind = "not asked"


class NoTls(ConnectionFailed):
    """The connection is made, and TLS is not."""

    kind = "no TLS"


class AuthenticationFailed(TargetError):
    """The target does not accept the credentials, or the account may not do this.

    Attributes:
        is_only_there: only that host says so, and no password was called wrong: another one may let the same login in.
    """

    kind = "login refused"
    is_refusal = True

    def __init__(self, on: str, says: str, do: str = "", *, is_only_there: bool = False) -> None:
        super().__init__(on, says, do)
        self.is_only_there = is_only_there


class LoginNotChecked(AuthenticationFailed):
    """Nobody said whether the login holds, as nobody who knows could be asked: no domain controller answers."""

    kind = "login not checked"


class TargetTimeout(TargetError):
    """No answer within our own deadline."""

    kind = "timed out"

    @staticmethod
    def after(seconds: float) -> str:
        """Say how long was waited, counted from the moment somebody asked: "no answer in 20 s."."""
        return f"no answer in {seconds:.0f} s." if round(seconds) else "no answer in time."


class NotAskedInTime(TargetTimeout):
    """The time was over before it was asked, or spent on the way to it: that says nothing of the target."""

    kind = "out of time"


class TargetFault(TargetError):
    """The target answered with an error of its own: unknown class, bad query, denied method.

    It may do what was asked all the same: whoever reads the answer says whether it is a refusal.

    Attributes:
        code: the WS-Management, Win32 or HRESULT code in decimal, or None where none was given.
    """

    kind = "refused"

    def __init__(
        self, on: str, says: str, do: str = "", code: int | None = None, *, is_refusal: bool | None = None
    ) -> None:
        super().__init__(on, says, do)
        self.code = code
        if is_refusal is not None:
            self.is_refusal = is_refusal


class ProgramFailed(TargetFault):
    """A program there has ended, and its exit code says that it failed. What it has begun may go on all the same."""


class NotFound(TargetFault):
    """The target has no such thing: a class, a namespace, an event channel that this Windows does not know."""

    kind = "absent"
    is_refusal = True


class PolicyViolation(TargetError):
    """Our own rules keep the question from going out: a guest outside of the allowed domains, a password in clear."""

    kind = "not allowed"
    is_refusal = True
    is_unsent = True


class MalformedResponse(TargetError):
    """The target answered something that is not what was asked for: HTML, half a document."""

    kind = "bad reply"


class IncompleteResponse(MalformedResponse):
    """The target answered a list, and not all of it: what is missing may be the one thing that matters."""

    kind = "not whole"


class NotHttp(MalformedResponse):
    """What answered is no HTTP/1.x, or breaks its rules."""

    kind = "not HTTP"


class HeadTooLong(MalformedResponse):
    """The head of an answer does not end within the limit."""

    kind = "head too long"


class QuotaExceeded(TargetError):
    """The target is too busy for one more question, even after backing off."""

    kind = "too busy"
    is_refusal = True


class OutcomeUnknown(TargetError):
    """A change may have been made or not: the answer was lost at the one moment that decides. Look before anything else."""

    kind = "unknown"


class NotBegun(TargetError):
    """A change at another site was not begun, and will not be any more."""

    kind = "not started"
    is_refusal = True
    is_unsent = True


class Withheld(TargetError):
    """A change was held back at the last moment: nothing of it was sent."""

    kind = "held back"
    is_refusal = True
    is_unsent = True


class SettingsError(HvopsError):
    """A setting is missing or wrong. Names the file, the key, and what to write."""


class LedgerError(HvopsError):
    """The ledger could not be written or read."""


class StopNotWritten(LedgerError):
    """A stop that could not be written down. It is in force in this process, and nowhere else."""


class RecordUnavailable(HvopsError):
    """An external record of the ledger cannot be read now. The text says why, without its name."""


class UnreadableEntry(LedgerError):
    """One entry says what this version cannot read. What hangs on it stands still; the rest of the ledger is as it was.

    Attributes:
        seq: its number.
    """

    def __init__(self, says: str, seq: int) -> None:
        super().__init__(says)
        self.seq = seq


class InternalError(HvopsError):
    """Something that should not happen. Carries a short id; the traceback is in the log under it."""

    refused_as: ClassVar[Refusal] = "our bug"

    def __init__(self, bug: str) -> None:
        super().__init__(
            f"Something went wrong inside hvops itself (id {bug}); whether the question was answered is unknown. "
            f"Nothing was changed. The log has the details under that id."
        )
        self.bug = bug
