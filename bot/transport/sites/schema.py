"""The queue between bots and the workers of sites: its tables, and the functions that are all that a worker may call.

A worker's login has no right on any table. Each function runs with the rights of the owner of the tables and takes the site
from `session_user`, the login itself, which neither SET ROLE nor a search path changes [doc: SECURITY DEFINER functions,
CREATE FUNCTION]. So nothing that a worker sends can name another site.

    queued     put by a bot; nobody has it
    taken      a worker has it. A question whose worker has not been heard of for the stale time is given to another one
    begun      of actions: written by the worker immediately before the act, and never taken back
    ended      the last part of its reply is here
    withdrawn  by the bot that put it, before it was begun

Every time that decides is the database's: a bot's clock and a worker's may differ.
"""

# ruff: noqa: S608 - every part of these statements is a constant of this file

from __future__ import annotations

SCHEMA = "hvops_sites"
VERSION = "hvops sites 4"  # the comment of the schema

WANTED_SECONDS = 5  # a task is begun only while the bot that put it has been heard of
MOST_TIMES = 5  # workers that may die over one question
MOST_PART = 12 * 2**20  # bytes of one part of a reply: the longest answer, and those that it goes with
MOST_REPLY = 256 * 2**20  # bytes of all parts of one reply
MOST_PARTS = 10_000  # no task has as many questions
_AT_A_TIME = 2**20  # bytes of parts that a bot reads at a time, where one alone is not longer
MOST_TAKEN = 64  # tasks at a time
_MOST_WORKERS = 100  # of one site, remembered
_MOST_LISTED = 10_000  # of all sites
_MOST_TEXT = 100  # characters of a name
_KEPT = "1 day"  # what ended is deleted after

# Any login of the server can fill its one queue of notifications, and whoever sends one then cannot commit. Half full, none
# is sent, and what is new is found by the look every fifth of a second [doc postgresql sql-notify].
_HAS_ROOM = "pg_notification_queue_usage() < 0.5"

_SAFE = f"LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, {SCHEMA}, pg_temp"

TABLES = (
    """CREATE TABLE site (
    name text PRIMARY KEY,
    login text NOT NULL UNIQUE,
    stale interval NOT NULL
)""",
    """CREATE TABLE task (
    id uuid PRIMARY KEY,
    site text NOT NULL,
    bot uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('questions', 'action', 'hello')),
    body text NOT NULL,
    mac bytea NOT NULL,
    put timestamptz NOT NULL DEFAULT clock_timestamp(),
    not_after timestamptz NOT NULL,
    wanted_until timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'taken', 'begun', 'ended', 'withdrawn')),
    worker uuid,
    seen timestamptz,
    begun timestamptz,
    times integer NOT NULL DEFAULT 0
)""",
    """CREATE TABLE reply (
    task uuid NOT NULL REFERENCES task ON DELETE CASCADE,
    attempt integer NOT NULL,
    part integer NOT NULL,
    body text NOT NULL,
    mac bytea NOT NULL,
    PRIMARY KEY (task, attempt, part)
)""",
    """CREATE TABLE worker (
    id uuid PRIMARY KEY,
    site text NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    seen timestamptz NOT NULL
)""",
    "CREATE INDEX task_open ON task (site, put) WHERE state IN ('queued', 'taken')",
    "CREATE INDEX task_old ON task (put)",
)

FUNCTIONS = (
    f"""CREATE FUNCTION own_site() RETURNS site {_SAFE} STABLE AS $$
DECLARE mine site;
BEGIN
    SELECT * INTO mine FROM site WHERE login = session_user;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the login % is no site''s', session_user USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN mine;
END $$""",
    # Say who works here. Answers the site, how long a question may be silent, and the time.
    f"""CREATE FUNCTION hello(worker_id uuid, worker_name text, worker_version text, OUT site_name text,
    OUT stale_seconds double precision, OUT now timestamptz) {_SAFE} AS $$
DECLARE mine site := own_site();
BEGIN
    DELETE FROM worker WHERE worker.site = mine.name AND id <> worker_id AND (
        seen < clock_timestamp() - interval '{_KEPT}' OR id NOT IN (
            SELECT id FROM worker WHERE worker.site = mine.name ORDER BY seen DESC LIMIT {_MOST_WORKERS}));
    INSERT INTO worker VALUES (worker_id, mine.name, left(worker_name, 100), left(worker_version, 100), clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET seen = excluded.seen WHERE worker.site = mine.name;
    site_name := mine.name;
    stale_seconds := extract(epoch FROM mine.stale);
    now := clock_timestamp();
END $$""",
    # What to do next; `most` is how many questions. After an outage of the database every worker looks silent, so none is until
    # it had time to be heard.
    f"""CREATE FUNCTION take(worker_id uuid, most integer) RETURNS TABLE (
    task_id uuid, task_kind text, task_body text, task_mac bytea, task_attempt integer, now timestamptz) {_SAFE} AS $$
DECLARE mine site := own_site(); at timestamptz := clock_timestamp();
BEGIN
    RETURN QUERY UPDATE task SET state = 'taken', worker = worker_id, seen = at, times = task.times + 1
    WHERE task.id IN (
        SELECT open.id FROM task AS open
        WHERE open.site = mine.name AND open.not_after > at AND open.wanted_until > at AND open.times < {MOST_TIMES}
            AND (open.kind <> 'questions' OR most > 0) AND (open.state = 'queued' OR (open.state = 'taken' AND open.kind <> 'action'
                AND open.seen < at - mine.stale AND pg_postmaster_start_time() < at - mine.stale))
        ORDER BY open.kind = 'questions', open.put
        LIMIT CASE WHEN most > 0 THEN least(most, {MOST_TAKEN}) ELSE {MOST_TAKEN} END FOR UPDATE SKIP LOCKED)
    RETURNING task.id, task.kind, task.body, task.mac, task.times, clock_timestamp();
END $$""",
    # Still at it. Answers what need not be gone on with.
    f"""CREATE FUNCTION beat(worker_id uuid, tasks uuid[]) RETURNS SETOF uuid {_SAFE} AS $$
DECLARE mine site := own_site();
BEGIN
    UPDATE worker SET seen = clock_timestamp() WHERE id = worker_id AND worker.site = mine.name;
    RETURN QUERY WITH heard AS (
        UPDATE task SET seen = clock_timestamp()
        WHERE id = ANY (tasks) AND task.site = mine.name AND worker = worker_id AND state IN ('taken', 'begun')
        RETURNING id)
    SELECT one FROM unnest(tasks) AS one WHERE one NOT IN (SELECT id FROM heard);
END $$""",
    # The row before the act: who is not answered 'begun' does nothing. Once for each action, whoever asks.
    f"""CREATE FUNCTION begin_action(worker_id uuid, task_id uuid) RETURNS text {_SAFE} AS $$
DECLARE mine site := own_site(); found_task task; at timestamptz;
BEGIN
    SELECT * INTO found_task FROM task WHERE id = task_id AND task.site = mine.name AND kind = 'action' FOR UPDATE;
    at := clock_timestamp();
    IF NOT FOUND THEN RETURN 'there is no such action'; END IF;
    IF found_task.state = 'withdrawn' THEN RETURN 'it was withdrawn'; END IF;
    IF found_task.state <> 'taken' THEN RETURN 'it was begun already'; END IF;
    IF found_task.worker <> worker_id THEN RETURN 'another worker has it'; END IF;
    IF found_task.not_after <= at THEN RETURN 'it is too late'; END IF;
    IF found_task.wanted_until <= at THEN RETURN 'the bot that wants it has not been heard of'; END IF;
    UPDATE task SET state = 'begun', begun = at WHERE id = task_id;
    RETURN 'begun';
END $$""",
    # A part of a reply, once. Answers whether there is still somebody who waits for it.
    f"""CREATE FUNCTION answer(worker_id uuid, task_id uuid, answer_attempt integer, answer_part integer, answer_body text,
    answer_mac bytea, is_last boolean) RETURNS boolean {_SAFE} AS $$
DECLARE mine site := own_site(); found_task task;
BEGIN
    IF octet_length(answer_body) > {MOST_PART} OR octet_length(answer_mac) <> 32
        OR octet_length(answer_body) <> char_length(answer_body) OR answer_part NOT BETWEEN 0 AND {MOST_PARTS}
        THEN RAISE EXCEPTION 'no reply is that large'; END IF;
    SELECT * INTO found_task FROM task WHERE id = task_id AND task.site = mine.name FOR UPDATE;
    IF NOT FOUND OR found_task.state = 'withdrawn' OR found_task.times < 1 OR answer_attempt NOT BETWEEN 1 AND found_task.times
        THEN RETURN false; END IF;
    IF found_task.kind = 'action' AND found_task.worker <> worker_id THEN RETURN false; END IF;
    IF (SELECT coalesce(sum(octet_length(reply.body)), 0) FROM reply WHERE task = task_id) + octet_length(answer_body)
        > {MOST_REPLY} THEN RAISE EXCEPTION 'no reply is that large'; END IF;
    INSERT INTO reply VALUES (task_id, answer_attempt, answer_part, answer_body, answer_mac) ON CONFLICT DO NOTHING;
    IF is_last THEN UPDATE task SET state = 'ended' WHERE id = task_id; END IF;
    PERFORM pg_notify('hvops_bot_' || md5(found_task.bot::text), mine.name) WHERE {_HAS_ROOM};
    RETURN true;
END $$""",
    f"""CREATE FUNCTION bye(worker_id uuid) RETURNS void {_SAFE} AS $$
DECLARE mine site := own_site();
BEGIN
    DELETE FROM worker WHERE id = worker_id AND worker.site = mine.name;
END $$""",
)

# What a worker may call; `own_site` is for the others.
CALLABLE = (
    "hello(uuid, text, text)",
    "take(uuid, integer)",
    "beat(uuid, uuid[])",
    "begin_action(uuid, uuid)",
    "answer(uuid, uuid, integer, integer, text, bytea, boolean)",
    "bye(uuid)",
)

EVERYTHING = (
    *TABLES,
    *FUNCTIONS,
    f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {SCHEMA} FROM PUBLIC",
    f"REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC",
)

CLOCK = "SELECT clock_timestamp()"
# All three say until when it is wanted as a time: a statement that arrives late, out of a link that stood still, wants nothing any more.
PUT = f"""WITH put AS (
    INSERT INTO {SCHEMA}.task (id, site, bot, kind, body, mac, not_after, wanted_until, state)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'queued')
    ON CONFLICT (id) DO NOTHING RETURNING site)
SELECT pg_notify('hvops_site_' || md5(site), '') FROM put WHERE {_HAS_ROOM}"""
WANT_ONE = f"""WITH wanted AS (
    UPDATE {SCHEMA}.task SET wanted_until = %s WHERE id = %s AND state IN ('queued', 'taken') RETURNING site)
SELECT pg_notify('hvops_site_' || md5(site), '') FROM wanted WHERE {_HAS_ROOM}"""
# What is not there yet can still come, out of a session that has lost its client: this row takes its place.
WITHDRAW = f"""WITH before AS (SELECT state FROM {SCHEMA}.task WHERE id = %s)
INSERT INTO {SCHEMA}.task AS task (id, site, bot, kind, body, mac, not_after, wanted_until, state)
VALUES (%s, %s, %s, %s, '', '', clock_timestamp(), clock_timestamp(), 'withdrawn')
ON CONFLICT (id) DO UPDATE SET state = CASE WHEN task.state IN ('queued', 'taken') THEN 'withdrawn' ELSE task.state END
RETURNING left(state, {_MOST_TEXT}), body = '', (SELECT left(state, {_MOST_TEXT}) FROM before)"""
# A worker's login can hold the lock of a row of its own site's, by a call in a transaction that it does not end. The times are
# those at which somebody was asked: else a word that a dead link held back, or a bot that stood still, would let something begin
# that nobody wants any more.
WANT = f"""WITH said AS (
    SELECT task.id, told.until FROM {SCHEMA}.task JOIN unnest(%s::uuid[], %s::timestamptz[]) AS told (id, until) USING (id)
    WHERE state IN ('queued', 'taken') FOR UPDATE OF task SKIP LOCKED)
UPDATE {SCHEMA}.task SET wanted_until = least(said.until, clock_timestamp() + make_interval(secs => {WANTED_SECONDS}))
FROM said WHERE task.id = said.id"""
STATES = f"SELECT id, left(state, {_MOST_TEXT}) FROM {SCHEMA}.task WHERE id = ANY (%s)"
# Of each task and attempt the one part that is next: nobody can have more of them looked through than there are. The short ones
# first: a run's check, or what became of an action, waits for nobody's megabytes. Whoever may write the tables is bound by no
# function, so what is longer than one takes is not fetched.
PARTS = f"""SELECT task, attempt, part, body, mac FROM (
    SELECT reply.*, sum(octet_length(body)) OVER (ORDER BY octet_length(body), task, attempt) - octet_length(body) AS before
    FROM {SCHEMA}.reply JOIN unnest(%s::uuid[], %s::integer[], %s::integer[]) AS next (task, attempt, part)
    USING (task, attempt, part)
    WHERE octet_length(body) <= {MOST_PART} AND octet_length(mac) <= {_MOST_TEXT}) AS one
WHERE before < {_AT_A_TIME} ORDER BY before"""
FORGET = f"DELETE FROM {SCHEMA}.task WHERE id = ANY (%s) AND kind <> 'action'"
CLEAR = f"""DELETE FROM {SCHEMA}.task WHERE id IN (
    SELECT id FROM {SCHEMA}.task WHERE put < clock_timestamp() - interval '{_KEPT}' FOR UPDATE SKIP LOCKED)"""
WORKERS = f"""SELECT site, left(name, {_MOST_TEXT}), left(version, {_MOST_TEXT}), extract(epoch FROM clock_timestamp() - seen)::float8
FROM {SCHEMA}.worker WHERE site = ANY (%s) AND seen > clock_timestamp() - interval '{_KEPT}'
ORDER BY site, seen DESC LIMIT {_MOST_LISTED}"""
WAITING = f"""SELECT site, count(*), extract(epoch FROM clock_timestamp() - min(put))::float8 FROM {SCHEMA}.task
WHERE site = ANY (%s) AND state = 'queued' AND not_after > clock_timestamp() GROUP BY site"""
