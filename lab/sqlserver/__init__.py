"""SQL Server as a driver sees it: TDS 7.4 on loopback, a typed database in memory, a closed list of statements.

    server      listens (background: on a thread of its own)
    response_tokens       outcomes -> tokens          connection  one client: login, requests, attention
    fault_injection     what goes wrong, on demand  procedures  sp_executesql, sp_prepexec and their like
    session     options, transaction        catalog     what drivers ask about types and parameters
    locks       who waits for which row     store       logins, databases, tables, rows
    types       values and conversions      errors      what it says when it refuses
    sql/        text -> statements -> rows  wire/       TDS as bytes

Made from Microsoft's documents (MS-TDS, Transact-SQL reference), not from what hvops sends: FreeTDS and Microsoft's own
driver both speak to it. What it does not know it refuses with SQL Server's own error numbers.
"""

from lab.sqlserver.server import SqlServer
from lab.sqlserver.store import Column, Database, Instance, Login, Table

__all__ = ["Column", "Database", "Instance", "Login", "SqlServer", "Table"]
