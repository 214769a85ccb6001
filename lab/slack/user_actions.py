"""What happens when a person does something: Slack's side of typing, clicking, submitting, closing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lab.slack.api_json import view_json
from lab.slack.blockkit.texts import suggested_problems
from lab.slack.blockkit_walk import Placed, options_of, placed, value_of
from lab.slack.context import Call, Core
from lab.slack.ephemeral_tokens import Hook
from lab.slack.events import Events
from lab.slack.message_parsing import as_sent, escaped, split_command
from lab.slack.methods.views import checked
from lab.slack.model import BOT_USER, JSON, SLACKBOT, Member, Message, Refusal, View
from lab.slack.payloads import closing, command_payload, message_action, submission, suggestion, view_action
from lab.slack.response_urls import speak
from lab.slack.socket import SocketMode
from lab.slack.workspace import MOST_VIEWS

TROUBLE_AT_CLICK = "Something went wrong, and the app did not answer. Try again."
TROUBLE_AT_SUBMIT = "We had some trouble connecting. Try again?"
REQUIRED = "Please complete this required field."


@dataclass(frozen=True)
class Done:
    """How an act went, as its person experiences it.

    Attributes:
        error: a sentence, "" when it went well.
        errors: for a submitted modal: block_id -> sentence.
        ts: of the message that was typed.
    """

    ok: bool
    error: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    ts: str = ""


class UserActions:
    """Every act, for any member."""

    def __init__(self, core: Core, socket: SocketMode, events: Events) -> None:
        self.core = core
        self.socket = socket
        self.events = events

    async def types(self, who: Member, channel_id: str, text: str, thread_ts: str | None = None) -> Done:
        """A line in a channel."""
        channel = self.core.workspace.channels.get(channel_id)
        if channel is None or who.id not in channel.members:
            return Done(ok=False, error="You are not in this conversation.")
        if not text.strip():
            return Done(ok=False, error="There is nothing to send.")
        if text.startswith("/"):
            if thread_ts:
                return self._slackbot(who, channel_id, f"{split_command(text)[0]} is not supported in threads. Sorry!")
            return await self._command(who, channel_id, text)
        return self._says(who, channel_id, text, thread_ts)

    async def clicks(self, who: Member, where: Message | View, place: Placed, chosen: Any = None) -> Done:
        """A click on an element, sent to the app at once."""
        value = value_of(place.element, chosen)
        if place.element["type"] not in ("button", "overflow"):
            where.state.setdefault(place.block_id, {})[place.action_id] = value
        if place.element.get("url") and place.element["type"] == "button":
            value = {**value, "url": place.element["url"]}
        if isinstance(where, View):
            payload = view_action(self.core, who, where, place, value)
        else:
            payload = message_action(self.core, who, where, place, value)
        result = await self.socket.deliver("interactive", payload, accepts_response=False)
        trouble = f"{TROUBLE_AT_CLICK} ({result.error})" if result.error else ""
        if trouble or where.trouble:
            where.trouble = trouble
            self._show(where)
        return Done(ok=not trouble, error=trouble)

    def chooses(self, where: Message | View, place: Placed, chosen: Any) -> None:
        """Fill an element in without telling the app.

        Raises:
            ValueError: the element has no such option.
        """
        element = place.element
        if element["type"] == "external_select":
            offered = where.offered.get(place.block_id, []) if isinstance(where, View) else []
            element = {**element, "options": [*offered, *filter(None, [_standing(where, place)])]}
        where.state.setdefault(place.block_id, {})[place.action_id] = value_of(element, chosen)
        self._show(where)

    async def suggests(self, who: Member, view: View, place: Placed, typed: str) -> list[JSON]:
        """Open a menu whose options the app gives, or type into it: what it shows then.

        The app has three seconds; an answer that is late, or that breaks the rules, shows nothing [doc].
        """
        if len(typed) < place.element.get("min_query_length", 3):
            return []
        payload = suggestion(who, view, place, typed)
        result = await self.socket.deliver("interactive", payload, accepts_response=True)
        answer = {"action_id": place.action_id, **(result.payload or {})} if not result.error else {}
        if suggested_problems(answer):
            answer = {}
        view.offered[place.block_id] = options_of(answer)
        return view.offered[place.block_id]

    async def submits(self, who: Member, view: View) -> Done:
        """A modal's submit button; inputs that must not be empty are refused before the app hears of it."""
        view.errors = unfilled(view)
        if view.errors:
            self.core.workspace.touched(view)
            return Done(ok=False, errors=view.errors)
        payload = submission(self.core, who, view)
        result = await self.socket.deliver("interactive", payload, accepts_response=True)
        if result.error:
            return self._submit_trouble(view, TROUBLE_AT_SUBMIT)
        try:
            return self._respond_to_submit(who, view, result.payload)
        except Refusal as refusal:
            return self._submit_trouble(view, f"{TROUBLE_AT_SUBMIT} ({refusal.error})")

    async def closes(self, who: Member, view: View, *, everything: bool) -> Done:
        """A modal's close button or, with `everything`, the x of the window."""
        stack = list(reversed(self.core.workspace.modals.get(who.id, []))) if everything else [view]
        for each in stack:
            self.core.workspace.close_view(each)
        for each in stack:
            if each.payload.get("notify_on_close"):
                payload = closing(who, each, cleared=everything)
                await self.socket.deliver("interactive", payload, accepts_response=False)
        return Done(ok=True)

    def opens_home(self, who: Member) -> Done:
        """The app's Home tab comes up."""
        about: JSON = {"channel": self.core.workspace.direct(who.id, BOT_USER).id}
        home = self.core.workspace.homes.get(who.id)
        self.events.home_opened(who.id, {**about, "view": view_json(home)} if home else about)
        return Done(ok=True)

    async def _command(self, who: Member, channel_id: str, line: str) -> Done:
        command, text = split_command(line)
        known = {each.command: each for each in self.core.workspace.manifest.commands}
        if command not in known:
            return self._slackbot(who, channel_id, f"{command} is not a valid command.")
        if known[command].should_escape:
            text = as_sent(self.core.workspace, text)
        channel = self.core.workspace.channels[channel_id]
        payload = command_payload(self.core, who, channel, command, text)
        result = await self.socket.deliver("slash_commands", payload, accepts_response=True)
        if result.error:
            return self._slackbot(who, channel_id, f'{command} failed with the error "{result.error}"')
        if result.payload:
            try:
                hook = Hook(who.id, channel_id, self.core.clock.now(), typed=line)
                speak(self.core, hook, result.payload)
            except Refusal as refusal:
                words = f'{command} failed with the error "invalid_command_response" ({refusal.error})'
                return self._slackbot(who, channel_id, words)
        return Done(ok=True)

    def _says(self, who: Member, channel_id: str, text: str, thread_ts: str | None) -> Done:
        workspace = self.core.workspace
        sent = as_sent(workspace, text)
        message = workspace.post(Message(channel_id, workspace.next_ts(), who.id, sent, thread_ts=thread_ts))
        return Done(ok=True, ts=message.ts)

    def _respond_to_submit(self, who: Member, view: View, answer: JSON) -> Done:
        workspace = self.core.workspace
        action = answer.get("response_action", "")
        call = Call(self.core, {})
        if action == "errors":
            return self._input_errors(view, answer.get("errors") or {})
        if action == "update":
            workspace.update_view(view, checked(call, answer.get("view"), ("modal",), itself=view))
        elif action == "push":
            if len(workspace.modals[who.id]) >= MOST_VIEWS:
                raise Refusal("push_limit_reached")
            workspace.open_view(who.id, checked(call, answer.get("view"), ("modal",)), on_top=True)
        elif action == "clear":
            for each in reversed(list(workspace.modals[who.id])):
                workspace.close_view(each)
        elif view in workspace.modals.get(who.id, []):
            workspace.close_view(view)
        return Done(ok=True)

    def _input_errors(self, view: View, errors: dict[str, str]) -> Done:
        inputs = {block["block_id"] for block in view.blocks if block["type"] == "input"}
        if not errors or set(errors) - inputs:
            raise Refusal("errors for blocks that are no inputs")
        view.errors = {block_id: str(sentence) for block_id, sentence in errors.items()}
        self.core.workspace.touched(view)
        return Done(ok=False, errors=view.errors)

    def _submit_trouble(self, view: View, words: str) -> Done:
        view.trouble = words
        self.core.workspace.touched(view)
        return Done(ok=False, error=words)

    def _slackbot(self, who: Member, channel_id: str, words: str) -> Done:
        workspace = self.core.workspace
        ts = workspace.next_ts()
        workspace.post(Message(channel_id, ts, SLACKBOT, escaped(words), only_for=who.id))
        return Done(ok=False, error=words, ts=ts)

    def _show(self, where: Message | View) -> None:
        if isinstance(where, View):
            self.core.workspace.touched(where)
        else:
            self.core.workspace.changed(where)


def _standing(where: Message | View, place: Placed) -> JSON | None:
    """The option that is chosen now in a menu whose options the app gives."""
    chosen: JSON = where.state.get(place.block_id, {}).get(place.action_id) or {}
    found: JSON | None = chosen.get("selected_option") or place.element.get("initial_option")
    return found


def unfilled(view: View) -> dict[str, str]:
    """Inputs that the client itself refuses: empty though required, too short, too long."""
    errors = {}
    for place in placed(view.blocks):
        if place.block["type"] != "input":
            continue
        value = _value(view, place)
        if not value and not place.block.get("optional", False):
            errors[place.block_id] = REQUIRED
        elif isinstance(value, str) and len(value) < place.element.get("min_length", 0):
            errors[place.block_id] = f"At least {place.element['min_length']} characters."
        elif isinstance(value, str) and len(value) > place.element.get("max_length", 3_000):
            errors[place.block_id] = f"At most {place.element.get('max_length', 3_000)} characters."
    return errors


def _value(view: View, place: Placed) -> Any:
    values = view_json(view)["state"]["values"]
    standing = values.get(place.block_id, {}).get(place.action_id, {})
    return next((value for key, value in standing.items() if key != "type" and value), None)
