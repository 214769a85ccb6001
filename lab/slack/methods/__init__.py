"""The Web API's methods, one file per family, as one table.

apps, chat, conversations, files, people (users.* and usergroups.*), views: as Slack's documents group them.
"""

from __future__ import annotations

from lab.slack.context import Method
from lab.slack.methods import apps, chat, conversations, files, people, views

METHODS: dict[str, Method] = {
    **apps.METHODS,
    **chat.METHODS,
    **conversations.METHODS,
    **files.METHODS,
    **people.METHODS,
    **views.METHODS,
}
