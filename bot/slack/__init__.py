"""Slack in and out; the only room that knows slack-bolt and slack-sdk. Each floor imports only those below it.

inbound/        what arrives: commands, clicks, mentions, views
tickets/        one message per ticket, and its thread
audit_channel/  decisions and anchors, posted and read back
render/         pure: Report, Plan, ticket -> message
outbound/       how anything is sent
roles           Slack user groups -> roles, live
socket          Socket Mode connections, watched
manifest        the app's manifest, from the registry; token_info: what a token may do, for the doctor
"""
