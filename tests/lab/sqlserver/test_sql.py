"""The closed list of statements, without a wire."""

import asyncio
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.sqlserver.errors import SqlError
from lab.sqlserver.locks import Locks
from lab.sqlserver.session import Changed, Done, Session
from lab.sqlserver.sql.columns import Answer
from lab.sqlserver.sql.parser import parse
from lab.sqlserver.store import READ_WRITE, Column, Database, Instance, Login, Table
from lab.sqlserver.types import GUID, INT, nvarchar


@pytest.fixture
def session() -> Session:
    instance = Instance("sql01")
    database = instance.add(Database("VirtualManagerDB"))
    hosts = database.add(Table("Host", (Column("Id", GUID), Column("Name", nvarchar(20))), "Id"))
    vms = database.add(Table("Vm", (Column("Name", nvarchar(20)), Column("HostId", GUID), Column("State", INT))))
    for number in (1, 2, 3):
        hosts.insert(Id=uuid.UUID(int=number), Name=f"hv0{number}")
    for name, host, state in (("b_1", 1, 0), ("a%2", 1, 220), ("c", 2, None), ("D", 9, 220)):
        vms.insert(Name=name, HostId=uuid.UUID(int=host), State=state)
    login = Login("operator", "secret", {"VirtualManagerDB": READ_WRITE})
    return Session(51, instance, Locks(), login, database)


def run(session: Session, text: str, **parameters):
    out = []
    asyncio.run(session.run(text, {f"@{name.lower()}": value for name, value in parameters.items()}, out))
    return out


def rows(session: Session, text: str, **parameters):
    answer = next(one for one in run(session, text, **parameters) if isinstance(one, Answer | SqlError))
    assert isinstance(answer, Answer), answer
    return [row[0] if len(row) == 1 else row for row in answer.rows]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT Name FROM Vm", ["b_1", "a%2", "c", "D"]),
        ("SELECT Name FROM dbo.Vm ORDER BY Name", ["a%2", "b_1", "c", "D"]),
        ("SELECT [Name] FROM [VirtualManagerDB]..[Vm] ORDER BY State DESC, 1", ["a%2", "D", "b_1", "c"]),
        ("SELECT TOP 1 Name FROM Vm ORDER BY State", ["c"]),  # NULL sorts first
        ("SELECT TOP (2) Name FROM Vm", ["b_1", "a%2"]),
        ("SELECT COUNT(*) FROM Vm", [4]),
        ("SELECT COUNT(State), MAX(State), MIN(Name) FROM Vm", [(3, 220, "a%2")]),
        ("SELECT COUNT(*) FROM Vm WHERE State = 1", [0]),
        ("SELECT Name FROM Vm WHERE State IS NULL", ["c"]),
        ("SELECT Name FROM Vm WHERE State IS NOT NULL AND State <> 220", ["b_1"]),
        ("SELECT Name FROM Vm WHERE NOT State = 220", ["b_1"]),  # unknown is not true, negated neither
        ("SELECT Name FROM Vm WHERE State IN (0, 220) AND (Name = 'd' OR Name = N'b_1')", ["b_1", "D"]),
        ("SELECT Name FROM Vm WHERE State NOT IN (0, NULL)", []),
        ("SELECT Name FROM Vm WHERE Name LIKE 'b[_]%'", ["b_1"]),
        ("SELECT Name FROM Vm WHERE Name LIKE '%!%%' ESCAPE '!'", ["a%2"]),
        ("SELECT Name FROM Vm WHERE Name LIKE '[^bc]%'", ["a%2", "D"]),
        ("SELECT Name FROM Vm WHERE Name NOT LIKE '___'", ["c", "D"]),
        ("SELECT v.Name FROM Vm AS v JOIN Host h ON h.Id = v.HostId WHERE h.Name = 'HV01'", ["b_1", "a%2"]),
        ("SELECT v.Name, h.Name FROM Vm v LEFT JOIN Host h ON h.Id = v.HostId WHERE v.Name = 'd'", [("D", None)]),
        ("SELECT v.Name FROM Vm v, Host h WHERE v.HostId = h.Id AND h.Name = 'hv02'", ["c"]),
        ("SELECT h.* FROM Host h WHERE h.Id = '{00000000-0000-0000-0000-000000000002}'", [(uuid.UUID(int=2), "hv02")]),
        ("SELECT 1, -2, N'it''s', @@TRANCOUNT, DB_NAME() -- a comment", [(1, -2, "it's", 0, "VirtualManagerDB")]),
        ("SELECT COUNT(*) FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'vm'", [3]),
        ("SELECT TABLE_NAME FROM VirtualManagerDB.INFORMATION_SCHEMA.TABLES ORDER BY 1", ["Host", "Vm"]),
        (
            "SELECT DATA_TYPE, CHARACTER_MAXIMUM_LENGTH FROM INFORMATION_SCHEMA.COLUMNS WHERE COLUMN_NAME = 'Name' AND TABLE_NAME = 'Host'",
            [("nvarchar", 20)],
        ),
    ],
)
def test_select(session, text, found):
    assert rows(session, text) == found


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("SELECT Name FROM Vm v JOIN Host h ON v.HostId = h.Id", 209),
        ("SELECT x.Name FROM Vm v", 4104),
        ("SELECT Name, COUNT(*) FROM Vm", 8120),
        ("SELECT Name FROM Vm WHERE COUNT(*) = 1", 147),
        ("SELECT *", 263),
        ("SELECT Name FROM Vm ORDER BY 2", 108),
        ("SELECT Name FROM Vm GROUP BY Name", 156),
        ("SELECT Name FROM Vm UNION SELECT Name FROM Host", 156),
        ("SELECT (SELECT 1)", 102),
        ("SELECT LEN(Name) FROM Vm", 195),
        ("SELECT @P1", 137),
        ("SELECT 'open", 105),
        ("SELECT * FROM [Vm", 105),
        ("SELECT ~1", 102),
        ("WITH x AS (SELECT 1) SELECT * FROM x", 156),
        ("SET SHOWPLAN_ALL ON", 102),
        ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", 102),
        ("SET ROWCOUNT 5", 102),
        ("GRANT SELECT ON Vm TO public", 156),
        ("WAITFOR DELAY '00:00:10'", 156),
        ("UPDATE Vm SET Name = 'a name of more than twenty letters'", 8152),
        ("UPDATE Vm SET State = 3000000000", 8115),
        ("UPDATE Vm SET State = HostId", 206),
        ("UPDATE Host SET Id = '00000000-0000-0000-0000-000000000001'", 2627),
        ("UPDATE INFORMATION_SCHEMA.TABLES SET TABLE_NAME = 'x'", 208),
        ("SELECT Name FROM other.dbo.Vm", 208),
        ("SELECT Name FROM linked.other.dbo.Vm", 208),
        ("TRUNCATE TABLE Vm", 229),
        ("COMMIT", 3902),
        ("ROLLBACK TRAN", 3903),
    ],
)
def test_refusals(session, text, number):
    before = rows(session, "SELECT Name, State FROM Vm")
    refused = run(session, text)[-1]
    assert isinstance(refused, SqlError)
    assert refused.number == number
    assert rows(session, "SELECT Name, State FROM Vm") == before


UNPLAYED = [
    ("SELECT DISTINCT Name FROM Vm", 156),
    ("SELECT ALL Name FROM Vm", 156),
    ("SELECT TOP 1 PERCENT Name FROM Vm", 156),
    ("SELECT TOP 1 WITH TIES Name FROM Vm", 156),
    ("SELECT Name INTO x FROM Vm", 156),
    ("SELECT Name FROM Vm LIMIT 1", 102),
    ("SELECT Name FROM Vm HAVING 1 = 1", 156),
    ("SELECT Name FROM Vm EXCEPT SELECT Name FROM Host", 156),
    ("SELECT Name FROM Vm ORDER BY Name OFFSET 1 ROWS", 102),
    ("SELECT Name FROM Vm ORDER BY Name NULLS FIRST", 102),
    ("SELECT Name FROM Vm ORDER BY Name ASC DESC", 156),
    ("SELECT Name FROM Vm ORDER BY Name COLLATE Latin1_General_BIN", 156),
    ("SELECT Name FROM Vm OPTION (RECOMPILE)", 156),
    ("SELECT Name FROM Vm FOR XML AUTO", 156),
    ("SELECT Name FROM Vm WITH (PAGLOCK)", 321),
    ("SELECT Name FROM Vm WITH (UPDLOCK, HOLDLOCK)", 321),
    ("SELECT Name FROM Vm (NOLOCK)", 102),
    ("SELECT Name FROM Vm TABLESAMPLE (10 PERCENT)", 156),
    ("SELECT Name FROM (SELECT 1 AS Name) x", 102),
    ("SELECT v.Name FROM Vm v RIGHT JOIN Host h ON h.Id = v.HostId", 156),
    ("SELECT v.Name FROM Vm v CROSS JOIN Host h", 156),
    ("SELECT v.Name FROM Vm v JOIN Host h", 102),
    ("SELECT v.Name FROM Vm v INNER JOIN Host h", 102),
    ("SELECT v.Name FROM Vm v JOIN Host h USING (Name)", 102),
    ("SELECT Name FROM Vm WHERE State BETWEEN 1 AND 2", 156),
    ("SELECT Name FROM Vm WHERE EXISTS (SELECT 1)", 156),
    ("SELECT Name FROM Vm WHERE State IN (SELECT 1)", 156),
    ("SELECT Name FROM Vm WHERE State IN ()", 102),
    ("SELECT Name FROM Vm WHERE State == 0", 102),
    ("SELECT Name FROM Vm WHERE State ISNULL", 102),
    ("SELECT Name FROM Vm WHERE State NOT IS NULL", 156),
    ("SELECT Name FROM Vm WHERE Name ILIKE 'a'", 102),
    ("SELECT Name FROM Vm WHERE Name LIKE 'a' ESCAPE Name", 102),
    ("SELECT Name + 'x' FROM Vm", 102),
    ("SELECT Name, FROM Vm", 156),
    ("SELECT AS Name FROM Vm", 156),
    ("SELECT FROM Vm", 156),
    ("FROM Vm", 156),
    ("SELECT 1e3", 102),
    ("SELECT 'a' 'b'", 102),
    ("SELECT @ P1", 102),
    ("SELECT {# x #} 1", 102),
    ("SELECT 1 /* open", 102),
    ("SELECT CASE WHEN 1 = 1 THEN 1 END", 156),
    ("SELECT CURRENT_TIMESTAMP", 156),
    ("SELECT COALESCE(State, 0) FROM Vm", 195),
    ("SELECT COUNT(DISTINCT State) FROM Vm", 156),
    ("SELECT MAX(State, 1) FROM Vm", 102),
    ("SELECT DB_NAME(1)", 102),
    ("UPDATE Vm SET State = 1 FROM Vm v", 156),
    ("UPDATE TOP (1) Vm SET State = 1", 156),
    ("UPDATE Vm SET", 102),
    ("UPDATE Vm v SET State = 1", 102),
    ("UPDATE Vm SET State > 1", 102),
    ("UPDATE Vm SET State = State + 1", 102),
    ("UPDATE Vm SET State = 1 OUTPUT deleted.Name INTO x", 156),
    ("UPDATE Vm SET State = 1 ORDER BY Name", 156),
    ("MERGE Vm USING Host ON 1 = 1 WHEN MATCHED THEN DELETE", 156),
    ("IF 1 = 1 SELECT 1", 102),
    ("BEGIN DISTRIBUTED TRAN", 156),
    ("EXEC sp_datatype_info Name = 1", 102),
]


@pytest.mark.parametrize(("text", "number"), UNPLAYED)
def test_a_clause_that_is_not_played_is_refused_and_never_passed_over(session, text, number):
    before = rows(session, "SELECT Name, State FROM Vm")
    out = run(session, text)
    assert [type(one) for one in out] == [SqlError]
    assert out[0].number == number
    assert rows(session, "SELECT Name, State FROM Vm") == before


def test_nothing_of_a_batch_runs_when_a_part_of_it_cannot_be_read(session):
    out = run(session, "UPDATE Vm SET State = 5; SELEC Name FROM Vm")
    assert [type(one) for one in out] == [SqlError]
    assert rows(session, "SELECT COUNT(*) FROM Vm WHERE State = 5") == [0]


def test_a_statement_that_fails_in_the_middle_is_undone_as_a_whole(session):
    run(session, "UPDATE Vm SET Name = '5' WHERE Name = 'b_1'")  # a name that is a number: the first row can be changed
    out = run(session, "BEGIN TRAN; UPDATE Vm SET State = 1 WHERE Name = 'c'; UPDATE Vm SET State = Name")
    assert [type(one) for one in out] == [Changed, Done, Done, SqlError]
    assert rows(session, "SELECT State FROM Vm") == [0, 220, 1, 220]
    run(session, "ROLLBACK")
    assert rows(session, "SELECT State FROM Vm") == [0, 220, None, 220]


def test_transactions_nest_by_counting(session):
    run(session, "BEGIN TRAN; BEGIN TRANSACTION; UPDATE Vm SET State = 1; COMMIT TRAN")
    assert rows(session, "SELECT @@TRANCOUNT") == [1]
    run(session, "IF @@TRANCOUNT > 0 ROLLBACK TRAN")
    assert run(session, "IF @@TRANCOUNT > 0 ROLLBACK TRAN") == [Done("OTHER")]
    assert rows(session, "SELECT State FROM Vm") == [0, 220, None, 220]


def test_set_nocount_counts_only_what_is_selected(session):
    run(session, "SET NOCOUNT ON")
    assert run(session, "UPDATE Vm SET State = 1")[-1] == Done("UPDATE", 4, quiet=True)


def test_implicit_transactions_begin_with_the_first_statement(session):
    run(session, "SET IMPLICIT_TRANSACTIONS ON; UPDATE Vm SET State = 1; ROLLBACK")
    assert rows(session, "SELECT State FROM Vm WHERE Name = 'c'") == [None]


def test_parameters_are_values_and_never_text(session):
    hostile = "x' OR 1=1; DROP TABLE Vm --"
    assert rows(session, "SELECT Name FROM Vm WHERE Name = @P1", P1=(nvarchar(100), hostile)) == []
    assert rows(session, "SELECT @P1", P1=(nvarchar(100), hostile)) == [hostile]


def test_who_has_no_right_on_a_database_does_not_even_see_its_tables(session):
    session.instance.add(Database("other")).add(Table("Secret", (Column("Name", nvarchar(20)),)))
    assert [one.number for one in run(session, "SELECT * FROM other.dbo.Secret")] == [916]
    assert [one.number for one in run(session, "USE other")] == [916]
    assert "Secret" not in rows(session, "SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES")


@settings(max_examples=150)
@given(st.text(alphabet="SELECT FROMwhere[]'\"(),.*=@P1;-/\\ \nVmName%_0", max_size=60))
def test_any_text_is_read_or_refused(text):
    numbers = []
    try:
        parse(text)
    except SqlError as error:
        numbers.append(error.number)
    assert set(numbers) <= {102, 105, 156, 195, 321}


@settings(max_examples=100)
@given(st.text(max_size=30))
def test_a_quoted_text_comes_back_as_it_was(text):
    (statement,) = parse("SELECT N'" + text.replace("'", "''") + "'")
    assert statement.items[0].expression.value == text
