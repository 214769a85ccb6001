"""What drivers ask about types and parameters: sp_datatype_info and sp_describe_undeclared_parameters [doc]."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.sqlserver.sql import syntax
from lab.sqlserver.sql.binding import Scope, conjuncts
from lab.sqlserver.sql.columns import Answer
from lab.sqlserver.types import BIT, INT, MAX, SMALLINT, SYSNAME, TINYINT, SqlType, Value, nvarchar

_TYPE_COLUMNS: tuple[tuple[str, SqlType], ...] = (
    ("TYPE_NAME", SYSNAME),
    ("DATA_TYPE", SMALLINT),
    ("PRECISION", INT),
    ("LITERAL_PREFIX", nvarchar(32)),
    ("LITERAL_SUFFIX", nvarchar(32)),
    ("CREATE_PARAMS", nvarchar(32)),
    ("NULLABLE", SMALLINT),
    ("CASE_SENSITIVE", SMALLINT),
    ("SEARCHABLE", SMALLINT),
    ("UNSIGNED_ATTRIBUTE", SMALLINT),
    ("MONEY", SMALLINT),
    ("AUTO_INCREMENT", SMALLINT),
    ("LOCAL_TYPE_NAME", SYSNAME),
    ("MINIMUM_SCALE", SMALLINT),
    ("MAXIMUM_SCALE", SMALLINT),
    ("SQL_DATA_TYPE", SMALLINT),
    ("SQL_DATETIME_SUB", SMALLINT),
    ("NUM_PREC_RADIX", INT),
    ("INTERVAL_PRECISION", SMALLINT),
    ("USERTYPE", SMALLINT),
)
# name, ODBC data type, precision, prefix, suffix, create parameters, unsigned, scale, SQL data type, datetime sub type
_Row = tuple[str, int, int, str | None, str | None, str | None, int | None, int | None, int, int | None]
_TYPES: tuple[_Row, ...] = (
    ("nvarchar", -9, 4000, "N'", "'", "max length", None, None, -9, None),
    ("varchar", 12, 8000, "'", "'", "max length", None, None, 12, None),
    ("varbinary", -3, 8000, "0x", None, "max length", None, None, -3, None),
    ("uniqueidentifier", -11, 36, "'", "'", None, None, None, -11, None),
    ("bit", -7, 1, None, None, None, None, 0, -7, None),
    ("tinyint", -6, 3, None, None, None, 1, 0, -6, None),
    ("bigint", -5, 19, None, None, None, 0, 0, -5, None),
    ("int", 4, 10, None, None, None, 0, 0, 4, None),
    ("smallint", 5, 5, None, None, None, 0, 0, 5, None),
    ("float", 6, 53, None, None, None, 0, None, 6, None),
    ("decimal", 3, 38, None, None, "precision,scale", 0, 38, 3, None),
    ("datetime2", 93, 27, "'", "'", "scale", None, 7, 9, 3),
    ("datetime", 93, 23, "'", "'", None, None, 3, 9, 3),
)
_PARAMETER_COLUMNS: tuple[tuple[str, SqlType], ...] = (
    ("parameter_ordinal", INT),
    ("name", SYSNAME),
    ("suggested_system_type_id", INT),
    ("suggested_system_type_name", nvarchar(256)),
    ("suggested_max_length", SMALLINT),
    ("suggested_precision", TINYINT),
    ("suggested_scale", TINYINT),
    ("suggested_user_type_id", INT),
    ("suggested_user_type_database", SYSNAME),
    ("suggested_user_type_schema", SYSNAME),
    ("suggested_user_type_name", SYSNAME),
    ("suggested_assembly_qualified_type_name", nvarchar(4000)),
    ("suggested_xml_collection_id", INT),
    ("suggested_xml_collection_database", SYSNAME),
    ("suggested_xml_collection_schema", SYSNAME),
    ("suggested_xml_collection_name", SYSNAME),
    ("suggested_is_xml_document", BIT),
    ("suggested_is_case_sensitive", BIT),
    ("suggested_is_fixed_length_clr_type", BIT),
    ("suggested_is_input", BIT),
    ("suggested_is_output", BIT),
    ("formal_parameter_name", SYSNAME),
    ("suggested_tds_type_id", INT),
    ("suggested_tds_length", INT),
)
# system type id of sys.types, TDS type, bytes, precision
_SYSTEM: dict[str, tuple[int, int, int, int]] = {
    "uniqueidentifier": (36, 0x24, 16, 0),
    "tinyint": (48, 0x26, 1, 3),
    "smallint": (52, 0x26, 2, 5),
    "int": (56, 0x26, 4, 10),
    "bigint": (127, 0x26, 8, 19),
    "datetime": (61, 0x6F, 8, 23),
    "datetime2": (42, 0x2A, 8, 27),
    "float": (62, 0x6D, 8, 53),
    "bit": (104, 0x68, 1, 1),
    "decimal": (106, 0x6A, 17, 38),
    "varbinary": (165, 0xA5, 0, 0),
    "nvarchar": (231, 0xE7, 0, 0),
}


def types(wanted: int) -> Answer:
    """The types with that ODBC number; all for 0."""
    rows = tuple(_type_row(one) for one in _TYPES if wanted in (0, one[1]))
    return Answer(_TYPE_COLUMNS, tuple(sorted(rows, key=lambda row: row[1])))


def _type_row(one: _Row) -> tuple[Value, ...]:
    name, number, precision, prefix, suffix, create, unsigned, scale, sql, sub = one
    case = int(name in ("nvarchar", "varchar")) and 0  # this collation knows no case
    auto = 0 if unsigned is not None else None
    radix = 10 if unsigned is not None else None
    head = (name, number, precision, prefix, suffix, create, 1, case, 3 if prefix == "N'" else 2)
    return (*head, unsigned, 0, auto, name, scale, scale, sql, sub, radix, None, 0)


def parameters(wanted: Sequence[tuple[str, SqlType]]) -> Answer:
    """The parameters that a statement does not declare, with the types of what they are compared with."""
    return Answer(_PARAMETER_COLUMNS, tuple(_parameter_row(number, *one) for number, one in enumerate(wanted, start=1)))


def _parameter_row(ordinal: int, name: str, kind: SqlType) -> tuple[Value, ...]:
    system, tds, size, precision = _SYSTEM[kind.name]
    shown = kind.name
    if kind.name in ("nvarchar", "varbinary"):
        size = -1 if kind.length == MAX else kind.length * (2 if kind.name == "nvarchar" else 1)
        shown = f"{kind.name}({'max' if kind.length == MAX else kind.length})"
    named = (ordinal, name, system, shown, size, precision, kind.scale)
    return (*named, *([None] * 9), 0, 0, 0, 1, 0, None, tds, 65_535 if size == -1 else size)


def undeclared(statement: syntax.Statement, scope: Scope) -> dict[str, SqlType]:
    """The parameters of a statement, in order, each with the type of the column it meets; nvarchar where it meets none."""
    found: dict[str, SqlType] = {}
    for one, other in _meetings(statement):
        if isinstance(other, syntax.Variable) and not other.name.startswith("@@"):
            found.setdefault(other.name, scope.bind(one).type if isinstance(one, syntax.Column) else nvarchar(4000))
    return found


def _meetings(statement: syntax.Statement) -> Iterator[tuple[syntax.Expression | None, syntax.Expression | None]]:
    """Which expressions meet which, in the order of the text."""
    if isinstance(statement, syntax.Update):
        yield from ((syntax.Column((name,)), expression) for name, expression in statement.sets)
    elif isinstance(statement, syntax.Select):
        yield from ((None, item.expression) for item in statement.items)
    else:
        return
    for part in conjuncts(statement.where):
        if isinstance(part, syntax.Compare):
            yield part.left, part.right
            yield part.right, part.left
        elif isinstance(part, syntax.InList):
            yield from ((part.left, value) for value in part.values)
        elif isinstance(part, syntax.Like):
            yield part.left, part.pattern
