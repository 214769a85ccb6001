"""Which process runs what was decided: one of a machine, by a lock on a file; or of all that share a database.

On a file there is one lock for all runs, and who lost it runs nothing any more (`leader_lock`). In a database each run has
a lock of its own on a connection of its own, beside the duties that one bot has for all: who lost one of them stops that
run, and nothing else, and may take it up again like any other bot.
"""

from __future__ import annotations

from typing import Protocol

from bot.errors import LedgerError
from bot.executor.leader_lock import LeaderLock
from bot.ledger import Ledger
from bot.ledger.shared_locks import Duty, LockSession, SharedLocks, run_key


class RunLock(Protocol):
    """The right to run one ticket."""

    def must_be_held(self) -> None:
        """Raise LedgerError where another process may be running it."""
        ...

    def is_held(self) -> bool:
        """Whether no other process can be running it."""
        ...

    def close(self) -> None:
        """Let another process run it."""
        ...


class Ownership(Protocol):
    """What this process may do for all.

    Attributes:
        trouble: why it never may again; "" where it may, or another one does.
    """

    trouble: str

    @property
    def is_held(self) -> bool:
        """Whether this process starts what was decided, by the last look."""
        ...

    def acquire(self) -> bool:
        """Whether this process starts what was decided, taking that where it is free. Blocks; never raises."""
        ...

    def owns(self, duty: Duty) -> bool:
        """Whether this process has a duty, by the last look."""
        ...

    def runs_elsewhere(self, ticket: str) -> bool:
        """Whether another process runs a ticket, by the last look."""
        ...

    def why_nobody_starts(self) -> str:
        """Why no process at all starts what was decided, by the last look; "" where one does, or nobody can say."""
        ...

    def lock_run(self, ticket: str) -> RunLock | None:
        """The right to run a ticket; None where another process has it. Blocks. Raises LedgerError."""
        ...

    def close(self) -> None:
        """Let another process do all that. Runs give their own locks back themselves."""
        ...


def ownership_of(ledger: Ledger) -> Ownership:
    """That of the processes on one ledger. Raises LedgerError where the file of a lock cannot be made."""
    return FileOwnership(ledger) if ledger.shared is None else SharedOwnership(ledger.shared)


class FileOwnership(LeaderLock):
    """One lock for everything, of processes on one machine."""

    def __init__(self, ledger: Ledger) -> None:
        """Name the lock. Raises LedgerError where its file cannot be made."""
        super().__init__(ledger.path)

    def owns(self, duty: Duty) -> bool:
        """Whether this process has a duty. Whoever shows a ticket takes turns by the ticket, and each makes up for all."""
        return self.is_held or duty is Duty.DELIVERY

    def runs_elsewhere(self, ticket: str) -> bool:
        """Whoever may run one may run all."""
        del ticket
        return False

    def why_nobody_starts(self) -> str:
        """A process that has no lock does not know what the other one does with it."""
        return ""

    def lock_run(self, ticket: str) -> RunLock | None:
        """The lock of all runs is that of each."""
        del ticket
        return _OneForAll(self)


class _OneForAll:
    """The right to run one ticket, by the lock of all."""

    def __init__(self, leader: LeaderLock) -> None:
        self._leader = leader

    def must_be_held(self) -> None:
        self._leader.must_be_held()

    def is_held(self) -> bool:
        return self._leader.acquire()

    def close(self) -> None:
        """Others may be running by it."""


class SharedOwnership:
    """Duties and runs by locks of a database.

    Attributes:
        trouble: never anything: what was lost can be had again.
    """

    def __init__(self, locks: SharedLocks) -> None:
        """Take the locks of this bot."""
        self._locks = locks
        self.trouble = ""

    @property
    def is_held(self) -> bool:
        """Whether this process starts what was decided, by the last look."""
        return self._locks.owns(Duty.RUNS)

    def acquire(self) -> bool:
        """Take each duty that is free. Where nobody can say, this process has none."""
        try:
            self._locks.look()
        except LedgerError:
            return False
        return self.is_held

    def owns(self, duty: Duty) -> bool:
        """Whether this process has a duty, by the last look."""
        return self._locks.owns(duty)

    def runs_elsewhere(self, ticket: str) -> bool:
        """Whether another bot runs a ticket, by the last look."""
        return run_key(ticket) in self._locks.runs_elsewhere()

    def why_nobody_starts(self) -> str:
        """This bot's clock, as long as no other bot has the duty."""
        return self._locks.clock_trouble() if self._locks.is_free(Duty.RUNS) else ""

    def lock_run(self, ticket: str) -> RunLock | None:
        """The lock of one run, on a connection of its own. Raises LedgerError."""
        session = self._locks.session()
        try:
            is_taken = session.take(run_key(ticket))
        except BaseException:
            session.close()
            raise
        if not is_taken:
            session.close()
            return None
        return _OneRun(ticket, session, self._locks)

    def close(self) -> None:
        """Let another bot have the duties."""
        self._locks.give_up_duties()


class _OneRun:
    """The right to run one ticket. Once it was lost it never comes back: another run may have begun meanwhile."""

    def __init__(self, ticket: str, session: LockSession, locks: SharedLocks) -> None:
        self._ticket, self._session, self._locks = ticket, session, locks
        self._is_lost = False

    def must_be_held(self) -> None:
        if not self.is_held():
            raise LedgerError(
                f"The connection that held the lock of the run of {self._ticket} was lost, so another bot may be running it. "
                "This run ends before its next step."
            )
        if (
            says := self._locks.clock_trouble()
        ):  # what is under way is brought to its end; another bot may go on with the rest
            raise LedgerError(f"The run of {self._ticket} ends before its next step: {says}.")

    def is_held(self) -> bool:
        self._is_lost = self._is_lost or not self._session.holds(run_key(self._ticket))
        return not self._is_lost

    def close(self) -> None:
        self._session.close()
