"""The views of `views`, as PostgreSQL has them: the same names, columns and sentences.

Whoever may read the schema reads them with any tool: what a login needs for that is in docs/postgresql.md. They are part
of the ledger's definition here, too. Those of frequent kinds begin with the newest entry, by the key of the table.
"""

# ruff: noqa: S608 - every part of these statements is a constant of this file, or a word of the dialect

from __future__ import annotations

from bot.ledger.dialect import POSTGRESQL

_field, _number = POSTGRESQL.field, POSTGRESQL.number
_OF_A_TICKET = "proposed.ticket = entry.ticket AND proposed.kind = 'proposed'"


def _between(begin: str, end: str, seconds: int) -> str:
    return f"round(extract(epoch FROM {end}::timestamptz - {begin}::timestamptz) / {seconds}, 1)"


_VIEWS = {
    "timeline": f"""
SELECT seq, at, kind, actor, ticket, target, line,
    coalesce(verdict, {_field("reason")}, {_field("message")}, {_field("description")}) AS message
FROM entry ORDER BY seq DESC""",
    "refusals": f"""
SELECT seq, at, coalesce({_field("name")}, actor) AS who, actor, line,
    {_field("category")} AS category,
    {_field("reason")} AS reason
FROM entry WHERE kind = 'refused' ORDER BY seq DESC""",
    "questions": f"""
SELECT asked.seq, asked.at, asked.actor, asked.line, asked.target,
    CASE later.kind WHEN 'refused' THEN {_field("category", "later")}
        WHEN 'answered' THEN CASE WHEN {POSTGRESQL.is_true("no_plan", "later")} THEN 'no plan' ELSE 'answered' END
        END AS outcome,
    coalesce(later.verdict, {_field("reason", "later")}) AS message,
    round({_number("seconds_tenths", "later")} / 10.0, 1) AS seconds
FROM entry AS asked
LEFT JOIN LATERAL (
    SELECT next.* FROM entry AS next
    WHERE next.seq > asked.seq AND next.seq < asked.seq + 1000 AND next.kind IN ('answered', 'refused')
        AND {_number("asked", "next")} = asked.seq ORDER BY next.seq LIMIT 1) AS later ON true
WHERE asked.kind = 'asked' ORDER BY asked.seq DESC""",
    "tickets_readable": f"""
SELECT ticket.id AS ticket,
    CASE WHEN ticket.state = 'ended' THEN ticket.ending
        WHEN ticket.state = 'approved' AND {_field("policy", "proposed")} = 'confirm' THEN 'confirmed'
        ELSE ticket.state END AS status,
    ticket.line, ticket.target,
    {_field("risk", "proposed")} AS risk,
    coalesce({_field("name", "proposed")}, ticket.requester) AS asked_by,
    (SELECT coalesce({_field("name", "entry")}, entry.actor) FROM entry
        WHERE entry.ticket = ticket.id AND entry.kind IN ('approved', 'rejected', 'expired')) AS decided_by,
    proposed.at AS proposed_at,
    (SELECT entry.at FROM entry WHERE entry.ticket = ticket.id AND entry.kind = 'started') AS started_at,
    CASE ticket.state WHEN 'ended' THEN newest.at END AS ended_at,
    CASE ticket.state WHEN 'ended' THEN {_between("proposed.at", "newest.at", 60)} END AS minutes,
    coalesce({_field("reason", "newest")}, {_field("message", "newest")}) AS message,
    substr(ticket.digest, 1, 8) AS plan,
    ticket.first_entry, ticket.last_entry
FROM ticket
JOIN entry AS proposed ON proposed.seq = ticket.first_entry
JOIN entry AS newest ON newest.seq = ticket.last_entry
ORDER BY ticket.number DESC""",
    "decisions": f"""
SELECT entry.seq, entry.at, entry.ticket,
    CASE WHEN entry.kind = 'approved' AND {_field("policy", "proposed")} = 'confirm' THEN 'confirmed' ELSE entry.kind END
        AS decision,
    coalesce({_field("name", "entry")}, entry.actor) AS decided_by, entry.actor,
    {_field("via", "entry")} AS via,
    proposed.line, proposed.target,
    coalesce({_field("name", "proposed")}, proposed.actor) AS asked_by,
    {_field("reason", "entry")} AS reason,
    substr({_field("digest", "proposed")}, 1, 8) AS plan
FROM entry LEFT JOIN entry AS proposed ON {_OF_A_TICKET}
WHERE entry.kind IN ('approved', 'rejected', 'withdrawn', 'expired', 'lapsed', 'voided', 'step-confirmed', 'cancel-asked',
    'resumed', 'closed', 'stop', 'go')
ORDER BY entry.seq DESC""",
    "steps": f"""
SELECT entry.seq, entry.ticket, proposed.target,
    {_field("step", "entry")} AS step, {_number("round", "entry")} AS round,
    {_number("attempt", "entry")} AS attempt,
    {_field("description", "entry")} AS description,
    {_field("action", "entry")} AS action,
    entry.at AS began, later.at AS ended,
    {_between("entry.at", "later.at", 1)} AS seconds,
    coalesce({_field("result", "later")}, 'not known') AS result,
    {_field("message", "later")} AS message
FROM entry
JOIN entry AS proposed ON {_OF_A_TICKET}
LEFT JOIN LATERAL (
    SELECT next.* FROM entry AS next
    WHERE next.ticket = entry.ticket AND next.seq > entry.seq AND next.kind IN ('intent', 'outcome')
        AND {_field("step", "next")} = {_field("step", "entry")}
        AND {_number("round", "next")} = {_number("round", "entry")}
    ORDER BY next.seq LIMIT 1) AS later ON later.kind = 'outcome'
WHERE entry.kind = 'intent' ORDER BY entry.seq DESC""",
    "heads": f"""
SELECT seq, at, {_number("head")} AS head,
    {_field("channel")} AS channel, {_field("ts")} AS message
FROM entry WHERE kind = 'anchor' ORDER BY seq DESC""",
}

VIEWS = tuple(f"CREATE VIEW {name} AS{select}" for name, select in _VIEWS.items())
