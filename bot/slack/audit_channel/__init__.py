"""The audit channel: decisions, and the anchors that prove the ledger whole.

publisher        posts decisions and chain heads
anchor_messages  a chain head as a message, and back
channel_history  what stands in the channel
newest_head      the newest head in it, asked before anything starts
export           the same from a Slack export file
"""
