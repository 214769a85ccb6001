"""A practice Slack on loopback: Web API, Socket Mode, people who type and click, and an API for a page.

It follows Slack's documents and never what one client happens to send, so any app made with a Slack SDK runs
against it. Nothing here has been compared with Slack's own servers.

    from lab.slack.server import FakeSlack

    async with FakeSlack(manifest=…) as slack:    # port 0: any free port of 127.0.0.1
        slack.base_url                               # "http://127.0.0.1:PORT/api/"   for WebClient(base_url=…)
        slack.bot_token, slack.app_token             # "xoxb-practice-…", "xapp-practice-…"
        await slack.connected(2)                     # wait until the app holds two sockets
        operator = slack.person("operator")
        await operator.types("/check-writers prod")  # in #hv-ops
        answer = await operator.sees("STUCK")
        await operator.clicks(answer, "Check Again")

The rooms, from the port inwards:

    server                        all of it on a port; origin_check: who may talk to it; context: what all parts share
    web_api                       the Web API's front door: who calls, how often (rate_limits); arguments: however the client sent them
    methods/                      the Web API's methods
    response_urls                 response URLs; ephemeral_tokens: all that is handed out to be used within a time
    socket                        Socket Mode; payloads: what it sends; events: what the app hears of what is said
    manifest                      the app's manifest, and its limits
    limits                        would Slack take these blocks?
    blockkit/                     what Block Kit allows; blockkit_walk: walking them
    workspace                     the state, and every way it changes; model: what it consists of; api_json: as the Web API writes it
    user_actions, simulated_user  people type (message_parsing, rich_text: what Slack makes of a line), click, choose, see (plain_text: blocks as text)
    page_api                      the page's API; page_state: the state as the page sees it; event_stream: its events; page/: the page
    clock                         time, the wall's or a test's

The page's API
==============

All under http://127.0.0.1:PORT. Requests from other than loopback, with a Host that is no loopback name, or with an
Origin that is not this very server are answered 403. Static files of lab/slack/page/ are served at /, index.html first.

`person` below is a person's name in the workspace ("operator", "approver", "viewer", "nobody").

GET /practice/state?as=operator   -> 200 State: everything this person sees

    State                         {"version": 41,                     number of the latest event that is in this state
             "now": 1767222000.5,               the workspace's clock, epoch seconds
             "me": Person, "people": [Person],  people: everybody who can be acted as, in order
             "groups": [Group],
             "bot": {"user_id": "U0BOT", "name": "hvops", "connections": 2},
             "channels": [Channel],             those this person is a member of, DMs last
             "messages": {"C0OPS": [Message]},  by channel id; oldest first; this person's ephemerals among them
             "views": [View],                   this person's open modals, bottom of the stack first
             "home": View or null,              what views.publish put there for this person
             "commands": [{"command": "/check-writers", "description": "…", "usage_hint": "<cluster|host>"}]}
    Person                        {"id": "U0OPERATOR", "name": "operator", "real_name": "Operator", "groups": ["operators"],
             "unread": 2,                       messages and ephemerals newer than this person's marks
             "decides": 1}                      messages with a primary button that are addressed to this person
    Group                         {"id": "S0OPERATORS", "handle": "operators", "name": "Operators", "users": ["U0OPERATOR"]}
    Channel {"id": "C0OPS", "name": "hv-ops", "kind": "channel" or "dm", "with": null or user id (dm: the other side),
             "members": ["U0…"], "bot_is_member": true, "unread": 1, "decides": 1, "topic": "…"}
    Message {"channel": "C0OPS", "ts": "1767222000.000100", "user": "U0BOT", "username": "hvops", "bot": true,
             "text": "…", "blocks": [Block Kit blocks, each with a block_id],
             "state": {block_id: {action_id: element value}},     what is chosen in the message's own menus
             "thread_ts": null or ts, "reply_count": 0, "edited": false, "ephemeral": false,
             "files": [File], "pings": ["channel", "U0OPERATOR", "S0APPROVERS"],
             "asks": true,                      whether it asks for a decision: it has a primary button
             "trouble": ""}                     a sentence Slack shows at the message: a click nobody acknowledged
    File                          {"id": "F…", "name": "guests.csv", "title": "…", "size": 812, "mimetype": "text/csv",
             "url": "/practice/file?as=operator&id=F…"}           relative; Content-Disposition: attachment
    View                          {"id": "V…", "type": "modal" or "home", "callback_id": "…", "title": text object or null,
             "submit": text object or null, "close": text object or null, "blocks": [blocks],
             "state": {block_id: {action_id: element value}}, "errors": {block_id: sentence}, "trouble": "", "hash": "…"}

Text is Slack's mrkdwn as it came from the app: entities such as &amp; &lt; &gt;, <@U…>, <#C…>, <!subteam^S…>,
<!date^…^…|…>, <http…|label> are for the page to show.

GET /practice/events?as=operator  -> text/event-stream, one event per change this person can see

    id: 42
    data: {"version": 42, "kind": Kind, "channel": "C0OPS" or null, "ts": "…" or null, "message": Message or null,
           "view": View or null}

    Kind: "message" (new; also ephemerals), "message_changed", "message_deleted" (only channel and ts), "view_opened",
    "view_changed", "view_closed", "home", "channels" (memberships or marks changed), "connections" (the bot came or
    went), "commands", "reset" (load the state again), "over" (the server ends, and waits a moment for the page to close
    the stream and ask nothing more). An unknown kind: load the state again. `?after=VERSION` or the Last-Event-ID
    header replays what is still kept; where it is not, one "reset" comes first. A comment line comes every 15 s. An
    object inside an event replaces the one with the same ts or id.

POST /practice/act with Content-Type application/json and {"as": "operator", "act": Act, …}
    -> 200 {"ok": true, …} | 200 {"ok": false, "error": "a sentence for the person"} | 400 for what is no act at all

    {"act": "types", "channel": "C0OPS", "text": "/check-writers prod", "thread_ts": null}
        a line that begins with "/" is a slash command (not in threads, as in Slack); anything else is a message.
        "@hvops", "@operator", "@operators" become mentions. Answers when the app acknowledged, or after 3 s.
    {"act": "clicks", "channel": "C0OPS", "message": ts, "block_id": "…", "action_id": "…", "value": null}
    {"act": "clicks", "view": "V…", "block_id": "…", "action_id": "…", "value": null}
        buttons: value null. Menus and other elements: the chosen value(s) as under "Values". The page asks the
        element's `confirm` first and sends the click only after yes. A block in an ephemeral works the same way.
    {"act": "chooses", "channel"|"view" as above, "block_id": "…", "action_id": "…", "value": Value}
        sets an element without telling the app (inputs without dispatch_action)
    {"act": "suggests", "view": "V…", "block_id": "…", "action_id": "…", "value": "what was typed so far"}
        -> {"ok": true, "options": [option objects]}   of an external_select; only what was offered can be chosen
    {"act": "submits", "view": "V…", "values": {block_id: {action_id: Value}}}
        -> {"ok": true} | {"ok": false, "errors": {block_id: sentence}} (also in View.errors)
    {"act": "closes", "view": "V…", "all": false}      all: the x of the window, which closes the whole stack
    {"act": "opens_home"}
    {"act": "opens_dm"}                                -> {"ok": true, "channel": "D…"}   the conversation with the bot
    {"act": "marks", "channel": "C0OPS", "ts": "…"}    read up to here

    Values: plain_text_input, number_input, url and email: text. static_select, radio_buttons, overflow: the option's
    value. external_select: the value of an option that was offered.
    multi selects, checkboxes: list of option values. users_select, conversations_select, channels_select: id.
    datepicker "2026-01-31", timepicker "23:05", datetimepicker epoch seconds. null empties.

POST /practice/trouble with {"trouble": Trouble, …} -> {"ok": true}

    {"trouble": "drop_sockets"}                        every Socket Mode connection is cut at once
    {"trouble": "refuse_sockets", "seconds": 20}       apps.connections.open fails meanwhile
    {"trouble": "refresh_sockets"}                     the polite "disconnect" that Slack sends every few hours
    {"trouble": "fault", "method": "chat.postMessage", "fault": "drop"|"500"|"ratelimited", "times": 1}
"""

from __future__ import annotations
