"""Interactive elements: buttons, menus, inputs, images.

Which surface takes which element follows the compatibility tables of Slack's reference: numbers, e-mail, URLs and files
are asked in modals only, rich text in modals and Home, a date with a time everywhere but Home.
"""

from __future__ import annotations

from typing import Any

from lab.slack.blockkit.schema import (
    Check,
    Key,
    Problems,
    anything,
    boolean,
    both,
    by_type,
    choice,
    items,
    number,
    on,
    one_of,
    optional,
    required,
    shape,
    string,
)
from lab.slack.blockkit.texts import (
    LONGEST_TEXT,
    confirm,
    identity,
    list_option,
    menu_option,
    option_group,
    plain,
    rich_text_block,
    style,
    url,
)

LONGEST_PLACEHOLDER = 150
MODAL = ("modal",)
ACTION: dict[str, Key] = {"action_id": optional(identity), "confirm": optional(confirm)}
FOCUS: dict[str, Key] = {"focus_on_load": optional(boolean)}
PLACEHOLDER: dict[str, Key] = {"placeholder": optional(plain(LONGEST_PLACEHOLDER))}
MENU = {**ACTION, **FOCUS, **PLACEHOLDER}
DISPATCH: dict[str, Key] = {
    "dispatch_action_config": optional(
        shape({"trigger_actions_on": optional(items(choice("on_enter_pressed", "on_character_entered"), 2))})
    )
}
TEXT_INPUT = {
    "action_id": optional(identity),
    "initial_value": optional(string(LONGEST_TEXT)),
    **DISPATCH,
    **FOCUS,
    **PLACEHOLDER,
}

button = shape(
    {
        **ACTION,
        "text": required(plain(75)),
        "url": optional(url),
        "value": optional(string(2_000)),
        "style": optional(style),
        "accessibility_label": optional(string(75)),
        "visible_to_user_ids": optional(items(identity, 10)),
        "agent_prompt": optional(string(4_000)),
    }
)
image = both(
    one_of("image_url", "slack_file"),
    shape(
        {
            "image_url": optional(url),
            "slack_file": optional(anything),
            "alt_text": required(string(2_000, shortest=1)),
        }
    ),
)


def either_options(problems: Problems, node: Any, pointer: str) -> None:
    """A static menu has `options` or `option_groups`, and never both."""
    given = [name for name in ("options", "option_groups") if isinstance(node, dict) and node.get(name)]
    if len(given) != 1:
        problems.add(pointer, "must define exactly one of: options, option_groups")


def static(**more: Key) -> Check:
    """A menu of listed options."""
    return both(
        either_options,
        shape(
            {
                **MENU,
                "options": optional(items(menu_option, 100)),
                "option_groups": optional(items(option_group, 100)),
                **more,
            }
        ),
    )


def chosen(**more: Key) -> Check:
    """A menu that Slack fills: people, channels, conversations; or the app, on request."""
    return shape({**MENU, **more})


_many = {"max_selected_items": optional(number(1, whole=True))}
_conversations = {
    "filter": optional(anything),
    "default_to_current_conversation": optional(boolean),
    "response_url_enabled": optional(boolean),
}
_ids = optional(items(identity, 100))
_external = {"min_query_length": optional(number(0, whole=True))}

MENUS: dict[str, Check] = {
    "static_select": static(initial_option=optional(menu_option)),
    "external_select": chosen(initial_option=optional(menu_option), **_external),
    "users_select": chosen(initial_user=optional(identity)),
    "conversations_select": chosen(initial_conversation=optional(identity), **_conversations),
    "channels_select": chosen(initial_channel=optional(identity), response_url_enabled=optional(boolean)),
}
MULTI_MENUS: dict[str, Check] = {
    "multi_static_select": static(initial_options=optional(items(menu_option, 100)), **_many),
    "multi_external_select": chosen(initial_options=optional(items(menu_option, 100)), **_external, **_many),
    "multi_users_select": chosen(initial_users=_ids, **_many),
    "multi_conversations_select": chosen(initial_conversations=_ids, **_conversations, **_many),
    "multi_channels_select": chosen(initial_channels=_ids, **_many),
}
LISTS: dict[str, Check] = {
    "checkboxes": shape(
        {
            **ACTION,
            **FOCUS,
            "options": required(items(list_option, 10)),
            "initial_options": optional(items(list_option, 10)),
        }
    ),
    "radio_buttons": shape(
        {**ACTION, **FOCUS, "options": required(items(list_option, 10)), "initial_option": optional(list_option)}
    ),
}
PICKERS: dict[str, Check] = {
    "datepicker": chosen(initial_date=optional(string(10, shortest=10))),
    "timepicker": chosen(initial_time=optional(string(5, shortest=5)), timezone=optional(string(255))),
}
DATE_TIME: dict[str, Check] = {
    "datetimepicker": on(
        ("message", "modal"),
        shape({**ACTION, **FOCUS, "initial_date_time": optional(number(10**9, whole=True))}),
    )
}
OVERFLOW: dict[str, Check] = {"overflow": shape({**ACTION, "options": required(items(menu_option, 5))})}
BUTTONS: dict[str, Check] = {
    "button": button,
    "workflow_button": on(
        ("message",),
        shape(
            {
                "action_id": optional(identity),
                "text": required(plain(75)),
                "workflow": required(anything),
                "style": optional(style),
                "accessibility_label": optional(string(75)),
            }
        ),
    ),
}
INPUTS: dict[str, Check] = {
    "plain_text_input": shape(
        {
            **TEXT_INPUT,
            "multiline": optional(boolean),
            "min_length": optional(number(0, LONGEST_TEXT, whole=True)),
            "max_length": optional(number(1, LONGEST_TEXT, whole=True)),
        }
    ),
    "email_text_input": on(MODAL, shape(TEXT_INPUT)),
    "url_text_input": on(MODAL, shape(TEXT_INPUT)),
    "number_input": on(
        MODAL,
        shape(
            {
                **TEXT_INPUT,
                "is_decimal_allowed": required(boolean),
                "min_value": optional(string(100)),
                "max_value": optional(string(100)),
            }
        ),
    ),
    "rich_text_input": on(("modal", "home"), shape({**TEXT_INPUT, "initial_value": optional(rich_text_block)})),
    "file_input": on(
        MODAL,
        shape(
            {
                "action_id": optional(identity),
                "filetypes": optional(items(string(20), 100)),
                "max_files": optional(number(1, 10, whole=True)),
            }
        ),
    ),
}

in_section = by_type({**BUTTONS, **MENUS, **MULTI_MENUS, **LISTS, **PICKERS, **OVERFLOW, "image": image})
in_actions = by_type({**BUTTONS, **MENUS, **MULTI_MENUS, **LISTS, **PICKERS, **DATE_TIME, **OVERFLOW})
in_input = by_type({**MENUS, **MULTI_MENUS, **LISTS, **PICKERS, **DATE_TIME, **INPUTS})

_feedback = shape(
    {"text": required(plain(75)), "value": required(string(2_000)), "accessibility_label": optional(string(75))}
)
in_context_actions = by_type(
    {
        "feedback_buttons": shape(
            {
                "action_id": optional(identity),
                "positive_button": required(_feedback),
                "negative_button": required(_feedback),
            }
        ),
        "icon_button": shape(
            {
                **ACTION,
                "icon": required(string(50, shortest=1)),
                "text": required(plain(75)),
                "value": optional(string(2_000)),
                "accessibility_label": optional(string(75)),
                "visible_to_user_ids": optional(items(identity, 10)),
            }
        ),
    }
)
