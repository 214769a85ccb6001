"""How anything reaches Slack.

outbox          in order per channel, one a second, never blindly twice
conversation_pages  what stands in a channel, page by page, however much members write into a message
sent_messages   whether what may have arrived did: found again by its mark
responder       how one person is answered: response_url, then an ephemeral, then a direct message
local_times     times in words as each reader's own
message         a message, a file, and text from outside made harmless
limits          Slack's numbers; blockkit_validation finds what breaks them, blockkit_fitting makes everything keep them
api_errors      what became of one call to Slack; foreign errors end here
bounded_client  clients whose replies are bounded
remedies        what to do about each fault of Slack's
slack_time      what time it is at Slack, by the date of its answers
shielded_tasks  what is posted is also written down, even when the bot stops in between
"""
