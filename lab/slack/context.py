"""What every part of the fake Slack shares: the workspace, what was handed out, the rates, the faults, the call log."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.slack.clock import Clock
from lab.slack.ephemeral_tokens import TokenStore
from lab.slack.model import JSON
from lab.slack.rate_limits import Rates
from lab.slack.workspace import Workspace

BOT_TOKEN = "xoxb-practice-0000"  # noqa: S105 - made up, and of a shape that Slack never issues
APP_TOKEN = "xapp-practice-0000"  # noqa: S105 - likewise
KEPT_CALLS = 5_000


@dataclass
class Core:
    """The parts that belong together.

    Attributes:
        address: "http://127.0.0.1:PORT", known once the server listens.
        refuse_sockets_until: epoch seconds up to which nobody gets a Socket Mode connection.
        calls: the latest Web API calls in order, response URLs among them as "response_url".
    """

    workspace: Workspace
    tokens: TokenStore
    rates: Rates
    faults: Faults
    address: str = ""
    bot_token: str = BOT_TOKEN
    app_token: str = APP_TOKEN
    refuse_sockets_until: float = 0.0
    calls: deque[CallRecord] = field(default_factory=lambda: deque(maxlen=KEPT_CALLS))

    @property
    def clock(self) -> Clock:
        """The workspace's clock."""
        return self.workspace.clock


@dataclass(frozen=True)
class CallRecord:
    """One Web API call and what it was answered."""

    method: str
    arguments: JSON
    answer: JSON
    at: float


@dataclass(frozen=True)
class Call:
    """One call, on its way to its method."""

    core: Core
    arguments: JSON

    @property
    def workspace(self) -> Workspace:
        """The workspace called upon."""
        return self.core.workspace

    def text(self, name: str) -> str:
        """An argument as text, "" where it is missing."""
        value = self.arguments.get(name)
        return "" if value is None else str(value)


@dataclass(frozen=True)
class Method:
    """One Web API method.

    Attributes:
        handle: does it, or raises Refusal.
        scopes: any one of these is enough; empty: none needed.
        tier: rate limit tier, 0 where it has its own or none published.
        app_level: takes the app-level token and nothing else.
    """

    handle: Callable[[Call], JSON]
    scopes: tuple[str, ...] = ()
    tier: int = 3
    app_level: bool = False


@dataclass
class Faults:
    """Troubles on demand, per method, each for a number of calls.

    "drop": the call is done, and the connection dies before the answer: what makes a client post twice.
    "500": not done, HTTP 500. "ratelimited": not done, HTTP 429. Anything else: not done, answered as that error.
    """

    waiting: dict[str, list[str]] = field(default_factory=dict)

    def add(self, method: str, fault: str, times: int = 1) -> None:
        """The next `times` calls of this method meet this fault."""
        self.waiting.setdefault(method, []).extend([fault] * times)

    def next(self, method: str) -> str:
        """The fault for this call, "" for none."""
        queue = self.waiting.get(method)
        return queue.pop(0) if queue else ""
