"""The tables, as PostgreSQL keeps them: what `schema` says of SQLite's holds for these.

Columns are generated from the body and stored. `told` is the body as jsonb, which knows no NUL: in it, and in whatever is
generated from it, the replacement character stands there instead. The body itself keeps every byte.

Definitions are compared as the server prints them, with those of a schema that is made afresh and taken back at once:
each version of PostgreSQL prints them in its own way. What is found is compared to the letter; it is what we made ourselves
that is read as if it stood in the other schema, as we know that its name occurs there only where the server puts it.
"""

# ruff: noqa: S608 - every part of these statements is a constant of this file

from __future__ import annotations

from collections.abc import Sequence

from bot.ledger.postgresql_views import VIEWS

SCHEMA = "hvops"
REFERENCE = "hvops_reference"  # made and taken back in one transaction
VERSION = "hvops ledger 1"  # the comment of the schema

_TOLD = r"replace(body, '\u0000', '\ufffd')::jsonb"
_ENDS = "'rejected', 'withdrawn', 'expired', 'lapsed', 'voided', 'done', 'failed', 'cancelled', 'closed'"


def _column(name: str, path: str, *, required: bool = False) -> str:
    needed = " NOT NULL" if required else ""
    return f"""{name} text COLLATE "C"{needed} GENERATED ALWAYS AS (({_TOLD}) {path}) STORED"""


TABLES = (
    f"""CREATE TABLE entry (
    seq bigint PRIMARY KEY,
    body text COLLATE "C" NOT NULL,
    previous bytea NOT NULL UNIQUE CHECK (length(previous) = 32),
    mac bytea NOT NULL CHECK (length(mac) = 32),
    told jsonb NOT NULL GENERATED ALWAYS AS ({_TOLD}) STORED,
    {_column("id", "->> 'id'", required=True)},
    {_column("at", "->> 'at'", required=True)},
    {_column("kind", "->> 'kind'", required=True)},
    {_column("actor", "->> 'actor'", required=True)},
    {_column("ticket", "->> 'ticket'")},
    {_column("target", "-> 'data' ->> 'target'")},
    {_column("line", "-> 'data' ->> 'line'")},
    {_column("verdict", "-> 'data' ->> 'verdict'")},
    {_column("answer", "-> 'data' ->> 'answer'")},
    CONSTRAINT entry_number CHECK (seq = (told ->> 'seq')::bigint)
)""",
    """CREATE TABLE blob (
    sha256 text COLLATE "C" NOT NULL PRIMARY KEY,
    bytes bytea NOT NULL
)""",
    """CREATE TABLE ticket (
    id text COLLATE "C" NOT NULL PRIMARY KEY,
    number bigint NOT NULL UNIQUE,
    state text COLLATE "C" NOT NULL,
    ending text COLLATE "C" NOT NULL,
    requester text COLLATE "C" NOT NULL,
    approver text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    open_until text COLLATE "C" NOT NULL,
    start_by text COLLATE "C" NOT NULL,
    attempt bigint NOT NULL,
    target text COLLATE "C" NOT NULL,
    line text COLLATE "C" NOT NULL,
    first_entry bigint NOT NULL,
    last_entry bigint NOT NULL
)""",
    """CREATE TABLE lock (
    name text COLLATE "C" NOT NULL,
    rank bigint NOT NULL,
    ticket text COLLATE "C" NOT NULL,
    PRIMARY KEY (name, rank)
)""",
)

INDEXES = (
    "CREATE UNIQUE INDEX entry_id ON entry (id)",
    "CREATE INDEX entry_kind ON entry (kind, at)",
    "CREATE INDEX entry_ticket ON entry (ticket, seq) WHERE ticket IS NOT NULL",
    "CREATE UNIQUE INDEX entry_answer ON entry (answer) WHERE kind = 'answered'",
    "CREATE INDEX entry_person ON entry (actor) WHERE told -> 'data' ->> 'name' > ''",
    "CREATE UNIQUE INDEX one_proposal ON entry (ticket) WHERE kind = 'proposed'",
    "CREATE UNIQUE INDEX one_decision ON entry (ticket) WHERE kind IN ('approved', 'rejected', 'expired')",
    f"CREATE UNIQUE INDEX one_end ON entry (ticket) WHERE kind IN ({_ENDS})",
    """CREATE UNIQUE INDEX one_attempt ON entry (ticket, (told -> 'data' ->> 'attempt'))
    WHERE kind IN ('started', 'resumed')""",
    """CREATE UNIQUE INDEX one_intent ON entry (ticket, (told -> 'data' ->> 'step'), (told -> 'data' ->> 'round'),
    (told -> 'data' ->> 'attempt')) WHERE kind = 'intent'""",
    "CREATE INDEX ticket_state ON ticket (state, number)",
    "CREATE INDEX ticket_line ON ticket USING hash (line)",  # a line can be longer than a tree takes
)

FUNCTIONS = (
    """CREATE FUNCTION readable(given bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN convert_from(given, 'UTF8');
EXCEPTION WHEN OTHERS THEN
    RETURN encode(given, 'escape');
END $$""",
    """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what stands in the table % is never changed', TG_TABLE_NAME;
END $$""",
    """CREATE FUNCTION entry_follows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE newest record;
BEGIN
    SELECT seq, mac INTO newest FROM entry ORDER BY seq DESC LIMIT 1;
    IF NEW.seq IS DISTINCT FROM coalesce(newest.seq, 0) + 1
        OR NEW.previous IS DISTINCT FROM coalesce(newest.mac, decode(repeat('00', 32), 'hex')) THEN
        RAISE EXCEPTION 'an entry follows the newest one';
    END IF;
    RETURN NEW;
END $$""",
    f"""CREATE FUNCTION entry_moves() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE told jsonb := NEW.told -> 'data';
BEGIN
    IF NEW.ticket IS NULL OR NEW.kind IN ('refused', 'clicked', 'shown') THEN
        RETURN NULL;
    END IF;
    IF NEW.kind = 'proposed' THEN
        INSERT INTO ticket VALUES (
            NEW.ticket, substr(NEW.ticket, 3)::bigint, 'proposed', '', NEW.actor, '', told ->> 'digest',
            told ->> 'open_until', '', 0, coalesce(NEW.target, ''), coalesce(NEW.line, ''), NEW.seq, NEW.seq);
        RETURN NULL;
    END IF;
    UPDATE ticket SET
        state = CASE
            WHEN NEW.kind = 'approved' THEN 'approved'
            WHEN NEW.kind IN ('started', 'resumed') THEN 'running'
            WHEN NEW.kind = 'interrupted' THEN 'interrupted'
            WHEN NEW.kind IN ({_ENDS}) THEN 'ended'
            ELSE state END,
        ending = CASE WHEN NEW.kind IN ({_ENDS}) THEN NEW.kind ELSE ending END,
        approver = CASE WHEN NEW.kind = 'approved' THEN told ->> 'by' ELSE approver END,
        start_by = CASE WHEN NEW.kind = 'approved' THEN told ->> 'start_by' ELSE start_by END,
        attempt = CASE WHEN NEW.kind IN ('started', 'resumed') THEN (told ->> 'attempt')::bigint ELSE attempt END,
        last_entry = NEW.seq
    WHERE id = NEW.ticket;
    IF NEW.kind IN ('started', 'resumed') AND jsonb_typeof(told -> 'locks') = 'array' THEN
        INSERT INTO lock (name, rank, ticket)
        SELECT DISTINCT wanted.name, coalesce((
                SELECT held.rank + CASE WHEN held.ticket IS NOT DISTINCT FROM told ->> 'takes_over' THEN 1 ELSE 0 END
                FROM lock AS held WHERE held.name = wanted.name ORDER BY held.rank DESC LIMIT 1), 0), NEW.ticket
        FROM jsonb_array_elements_text(told -> 'locks') AS wanted(name)
        WHERE NEW.ticket IS DISTINCT FROM (
            SELECT held.ticket FROM lock AS held WHERE held.name = wanted.name ORDER BY held.rank DESC LIMIT 1);
    END IF;
    IF NEW.kind IN ({_ENDS}) THEN
        DELETE FROM lock WHERE ticket = NEW.ticket;
    END IF;
    RETURN NULL;
END $$""",
)

TRIGGERS = (
    "CREATE TRIGGER entry_follows BEFORE INSERT ON entry FOR EACH ROW EXECUTE FUNCTION entry_follows()",
    "CREATE TRIGGER entry_moves AFTER INSERT ON entry FOR EACH ROW EXECUTE FUNCTION entry_moves()",
    "CREATE TRIGGER entry_stays BEFORE UPDATE OR DELETE ON entry FOR EACH ROW EXECUTE FUNCTION refuse()",
    "CREATE TRIGGER entry_remains BEFORE TRUNCATE ON entry FOR EACH STATEMENT EXECUTE FUNCTION refuse()",
    "CREATE TRIGGER blob_stays BEFORE UPDATE ON blob FOR EACH ROW EXECUTE FUNCTION refuse()",
)

EVERYTHING = (*TABLES, *INDEXES, *FUNCTIONS, *TRIGGERS, *VIEWS)

_HERE = "(SELECT oid FROM pg_namespace WHERE nspname = {schema})"
_RELATIONS = f"SELECT oid FROM pg_class WHERE relnamespace = {_HERE}"
_MEMBERS = (
    f"refclassid = 'pg_namespace'::regclass AND refobjid = {_HERE}"  # of whatever kind, also one that we never make
)
# Whatever may need something else: its address in the catalogue.
_NEEDING = f"""
SELECT 'pg_class'::regclass AS classid, oid AS objid FROM pg_class WHERE relnamespace = {_HERE}
UNION ALL SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE adrelid IN ({_RELATIONS})
UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE connamespace = {_HERE}
UNION ALL SELECT 'pg_trigger'::regclass, oid FROM pg_trigger WHERE tgrelid IN ({_RELATIONS})
UNION ALL SELECT 'pg_rewrite'::regclass, oid FROM pg_rewrite WHERE ev_class IN ({_RELATIONS})
UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace = {_HERE}"""

# What it is, its name, and its text. The last two say by identity what a printed text may leave out: which functions,
# types, operators and tables it is about, and that nothing of another kind is there.
_DEFINITIONS = f"""
SELECT 'relation', relname::text, json_build_array(relkind, relpersistence, relrowsecurity, relforcerowsecurity,
    relispartition, relhasrules, relhassubclass, CASE relkind WHEN 'v' THEN reloptions END)::text
    FROM pg_class WHERE relnamespace = {_HERE}
UNION ALL SELECT 'column', attrelid::regclass::text || '.' || attname, json_build_array(attnum,
    format_type(atttypid, atttypmod), attnotnull, attgenerated, attidentity, attcollation::regcollation,
    pg_get_expr(adbin, adrelid))::text
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid IN ({_RELATIONS}) AND attnum > 0
UNION ALL SELECT 'constraint', conname::text, json_build_array(conrelid::regclass, convalidated, pg_get_constraintdef(oid))::text
    FROM pg_constraint WHERE connamespace = {_HERE}
UNION ALL SELECT 'index', indexrelid::regclass::text, json_build_array(indisvalid, indisready, indislive,
    pg_get_indexdef(indexrelid))::text FROM pg_index WHERE indrelid IN ({_RELATIONS})
UNION ALL SELECT 'trigger', tgname::text, json_build_array(tgenabled, pg_get_triggerdef(oid))::text
    FROM pg_trigger WHERE tgrelid IN ({_RELATIONS})
UNION ALL SELECT 'rule', ev_class::regclass::text || '.' || rulename, json_build_array(ev_enabled, pg_get_ruledef(oid))::text
    FROM pg_rewrite WHERE ev_class IN ({_RELATIONS})
UNION ALL SELECT 'policy', polname::text, polrelid::regclass::text FROM pg_policy WHERE polrelid IN ({_RELATIONS})
UNION ALL SELECT 'function', proname::text, pg_get_functiondef(oid) FROM pg_proc
    WHERE pronamespace = {_HERE} AND prokind <> 'a'
UNION ALL SELECT 'aggregate', proname::text, '' FROM pg_proc WHERE pronamespace = {_HERE} AND prokind = 'a'
UNION ALL SELECT 'operator', oprname::text, oprcode::text FROM pg_operator WHERE oprnamespace = {_HERE}
UNION ALL SELECT 'version', 'schema', obj_description({_HERE}, 'pg_namespace')
UNION ALL SELECT member.type, member.identity, 'is there'
    FROM pg_depend, pg_identify_object(classid, objid, objsubid) AS member WHERE {_MEMBERS}
UNION ALL SELECT one.type, one.identity, json_build_array('needs', deptype, other.type, other.identity)::text
    FROM ({_NEEDING}) AS needing JOIN pg_depend USING (classid, objid),
    pg_identify_object(classid, objid, objsubid) AS one, pg_identify_object(refclassid, refobjid, refobjsubid) AS other
    WHERE NOT ({_MEMBERS})"""

# Which rows of the catalogue these come from, and which transaction wrote each: the same as before, then so are they.
_OURS = "= ANY (ARRAY(SELECT oid FROM ours))"  # so that indexes of the catalogue are used
FINGERPRINT = f"""
WITH here AS MATERIALIZED (SELECT oid, xmin FROM pg_namespace WHERE nspname = '{SCHEMA}'),
ours AS MATERIALIZED (SELECT oid, xmin FROM pg_class WHERE relnamespace = (SELECT oid FROM here))
SELECT md5(coalesce(string_agg(one, ',' ORDER BY one COLLATE "C"), '')) FROM (
    SELECT 'n' || oid || ':' || xmin AS one FROM here
    UNION ALL SELECT 'v' || xmin FROM pg_description
        WHERE objoid = (SELECT oid FROM here) AND classoid = 'pg_namespace'::regclass
    UNION ALL SELECT 'm' || classid || '.' || objid || ':' || xmin FROM pg_depend
        WHERE refobjid = (SELECT oid FROM here) AND refclassid = 'pg_namespace'::regclass
    UNION ALL SELECT 'c' || oid || ':' || xmin FROM ours
    UNION ALL SELECT 'a' || attrelid || '.' || attnum || ':' || xmin FROM pg_attribute WHERE attrelid {_OURS}
    UNION ALL SELECT 'd' || oid || ':' || xmin FROM pg_attrdef WHERE adrelid {_OURS}
    UNION ALL SELECT 'k' || oid || ':' || xmin FROM pg_constraint WHERE connamespace = (SELECT oid FROM here)
    UNION ALL SELECT 'i' || indexrelid || ':' || xmin FROM pg_index WHERE indrelid {_OURS}
    UNION ALL SELECT 't' || oid || ':' || xmin FROM pg_trigger WHERE tgrelid {_OURS}
    UNION ALL SELECT 'r' || oid || ':' || xmin FROM pg_rewrite WHERE ev_class {_OURS}
    UNION ALL SELECT 'p' || oid || ':' || xmin FROM pg_policy WHERE polrelid {_OURS}
    UNION ALL SELECT 'f' || oid || ':' || xmin FROM pg_proc WHERE pronamespace = (SELECT oid FROM here)
    UNION ALL SELECT 'o' || oid || ':' || xmin FROM pg_operator WHERE oprnamespace = (SELECT oid FROM here)
) AS rows"""

Definition = tuple[str, str, str]  # what it is, its name and its text


def definitions(schema: str) -> str:
    """The statement that lists what there is in a schema, which has to be the search path."""
    return _DEFINITIONS.format(schema=f"'{schema}'")


# An entry whose stored columns are not what its body says: nobody can write that without the rights of the server.
UNLIKE_ITS_BODY = f"""SELECT min(seq) FROM entry WHERE told IS DISTINCT FROM {_TOLD}
    OR (id, at, kind, actor) IS DISTINCT FROM (told ->> 'id', told ->> 'at', told ->> 'kind', told ->> 'actor')
    OR (ticket, target, line, verdict, answer) IS DISTINCT FROM (told ->> 'ticket', told -> 'data' ->> 'target',
        told -> 'data' ->> 'line', told -> 'data' ->> 'verdict', told -> 'data' ->> 'answer')"""


def as_found(rows: Sequence[Sequence[str]]) -> frozenset[Definition]:
    """Definitions of the ledger's own schema, each to the letter: in a literal its name is a word like any other."""
    return frozenset((what, name, text or "") for what, name, text in rows)


def as_wanted(rows: Sequence[Sequence[str]]) -> frozenset[Definition]:
    """Definitions of the schema that was made for comparison, as the server prints them in the ledger's own.

    No text of ours holds its name, so it stands only where the server says which schema is meant.
    """
    return frozenset((what, _moved(name), _moved(text or "")) for what, name, text in rows)


def _moved(text: str) -> str:
    return text.replace(f"{REFERENCE}.", f"{SCHEMA}.")


def altered(found: frozenset[Definition], wanted: frozenset[Definition]) -> str:
    """What of the definitions found is not as in a new ledger, in a sentence; "" where all is."""
    names = {(what, name) for what, name, _ in found}
    for what, name, text in sorted(wanted - found):
        if what == "version":
            others = [said for kind, _, said in found if kind == what]
            return f"It claims to be of version {others[0] if others else 'none'!r}, and {text!r} is known."
        return f"The definition of the {what} {name} was {'changed' if (what, name) in names else 'removed'}."
    return next((f"Unexpected {what} in the database: {name}." for what, name, _ in sorted(found - wanted)), "")
