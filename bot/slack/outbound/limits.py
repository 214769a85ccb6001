"""Every limit of Slack that the bot honours, once.

Sources: docs.slack.dev (block kit reference, rate limits, modals), the validators in slack-sdk 3.47, and
slackapi/manifest-schema. Where two sources differ the smaller number stands here.
"""

from __future__ import annotations

from typing import Final

# how many blocks a surface takes
BLOCKS_IN_MESSAGE: Final = 50
BLOCKS_IN_VIEW: Final = 100

# texts
SECTION_TEXT: Final = 3_000
SECTION_FIELDS: Final = 10
FIELD_TEXT: Final = 2_000
HEADER_TEXT: Final = 150
CONTEXT_ELEMENTS: Final = 10
CONTEXT_TEXT: Final = 2_000  # undocumented; 3,000 is a section's, so stay well below
MESSAGE_TEXT: Final = 4_000  # longer ones are split into several messages, and chat.update refuses them
INPUT_LABEL: Final = 2_000
INPUT_TEXT: Final = 3_000
OPTIONS: Final = 100  # of a menu
OPTION_TEXT: Final = 75
OPTION_VALUE: Final = 150
PLACEHOLDER: Final = 150
HINT: Final = 2_000
IDENTIFIER: Final = 255  # block_id, action_id, callback_id

# one rich_text_preformatted: undocumented, so the section's number
PREFORMATTED_TEXT: Final = 3_000

# our own: all findings of one message together. Beyond this nobody reads on a phone, and Slack's limit for a
# whole message ("msg_blocks_too_long") has no documented number
READABLE_TEXT: Final = 12_000

# buttons
ACTIONS_ELEMENTS: Final = 25
BUTTON_TEXT: Final = 75
BUTTON_VISIBLE: Final = 30  # what a desktop shows; a phone shows less
BUTTON_VALUE: Final = 2_000
BUTTON_URL: Final = 3_000
CONFIRM_TITLE: Final = 100
CONFIRM_TEXT: Final = 300
CONFIRM_BUTTON: Final = 30

# data_table: 100 rows below the header by the block's own page, 200 in Slack's design guide
DATA_TABLE_ROWS: Final = 100
DATA_TABLE_COLUMNS: Final = 20
DATA_TABLE_PAGE: Final = 100
DATA_TABLE_TEXT: Final = 10_000  # over the cells of one table; 20,000 over all tables of a message
TABLE_ROWS: Final = 100  # with the header
TABLE_COLUMNS: Final = 20
TABLE_TEXT: Final = 10_000
TABLES_IN_MESSAGE: Final = 1

# data_visualization
CHARTS_IN_MESSAGE: Final = 2
CHART_SERIES: Final = 6
CHART_POINTS: Final = 20
CHART_TITLE: Final = 50
CHART_LABEL: Final = 20
CHART_AXIS: Final = 50

# plan: a list of task cards
PLANS_IN_MESSAGE: Final = 1
PLAN_TASKS: Final = 50
PLAN_TEXT: Final = 3_000  # its title, and the title of a card: undocumented, so the section's number

# views
VIEW_TITLE: Final = 24
VIEW_METADATA: Final = 3_000
VIEW_BYTES: Final = 250_000

# response_url
URL_USES: Final = 5
URL_SECONDS: Final = 30 * 60

# the app manifest
MANIFEST_COMMANDS: Final = 50
COMMAND_NAME: Final = 32
COMMAND_DESCRIPTION: Final = 2_000
COMMAND_USAGE: Final = 1_000
APP_NAME: Final = 35
APP_DESCRIPTION: Final = 140
