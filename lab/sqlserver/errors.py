"""What SQL Server says when it refuses: number, severity and text as in its own list of messages (sys.messages) [doc].

Drivers make the SQLSTATE out of the number; nothing of ODBC is known here.
"""

from __future__ import annotations


class SqlError(Exception):
    """A refusal. `severity` is the class of the ERROR token; from 20 on the connection ends with it."""

    def __init__(self, number: int, text: str, severity: int = 16, state: int = 1) -> None:
        super().__init__(f"{number}: {text}")
        self.number = number
        self.text = text
        self.severity = severity
        self.state = state


def syntax(near: str) -> SqlError:
    """The statement is not in the grammar."""
    return SqlError(102, f"Incorrect syntax near '{near}'.", 15)


def keyword(near: str) -> SqlError:
    """A reserved word stands where it cannot."""
    return SqlError(156, f"Incorrect syntax near the keyword '{near}'.", 15)


def unclosed(text: str) -> SqlError:
    """A string or a bracket without its end."""
    return SqlError(105, f"Unclosed quotation mark after the character string '{text}'.", 15)


def undeclared(name: str) -> SqlError:
    """A variable that nobody passed."""
    return SqlError(137, f'Must declare the scalar variable "{name}".', 15, 2)


def not_supplied(statement: str, name: str) -> SqlError:
    """A parameter that was declared and has no value."""
    return SqlError(
        8178, f"The parameterized query '{statement:.120}' expects the parameter '{name}', which was not supplied."
    )


def no_object(name: str) -> SqlError:
    """There is no such table."""
    return SqlError(208, f"Invalid object name '{name}'.")


def no_column(name: str) -> SqlError:
    """There is no such column in any table of the statement."""
    return SqlError(207, f"Invalid column name '{name}'.")


def ambiguous(name: str) -> SqlError:
    """More than one table of the statement has that column."""
    return SqlError(209, f"Ambiguous column name '{name}'.")


def unbound(name: str) -> SqlError:
    """A column of a table that the statement does not name."""
    return SqlError(4104, f'The multi-part identifier "{name}" could not be bound.')


def denied(verb: str, name: str, database: str, schema: str) -> SqlError:
    """The login may not do that with that table."""
    says = f"The {verb} permission was denied on the object '{name}', database '{database}', schema '{schema}'."
    return SqlError(229, says, 14, 5)


def no_database(name: str) -> SqlError:
    """USE of a database that is not there."""
    return SqlError(911, f"Database '{name}' does not exist. Make sure that the name is entered correctly.")


def no_access(user: str, database: str) -> SqlError:
    """The login has no user in that database."""
    says = (
        f'The server principal "{user}" is not able to access the database "{database}" under the current '
        "security context."
    )
    return SqlError(916, says, 14)


def cannot_open(database: str) -> SqlError:
    """The login named a database that it cannot open."""
    return SqlError(4060, f'Cannot open database "{database}" requested by the login. The login failed.', 11)


def login_failed(user: str) -> SqlError:
    """Wrong name or password; the state does not tell which, on purpose."""
    return SqlError(18456, f"Login failed for user '{user}'.", 14)


def no_procedure(name: str) -> SqlError:
    """There is no such stored procedure here."""
    return SqlError(2812, f"Could not find stored procedure '{name}'.", 16, 62)


def no_handle(handle: object) -> SqlError:
    """A prepared statement that is not, or no longer, there."""
    return SqlError(8179, f"Could not find prepared statement with handle {handle}.", 16, 2)


def no_transaction(verb: str) -> SqlError:
    """COMMIT or ROLLBACK without BEGIN."""
    number = 3902 if verb == "COMMIT" else 3903
    return SqlError(number, f"The {verb} TRANSACTION request has no corresponding BEGIN TRANSACTION.")


def deadlocked(process: int) -> SqlError:
    """This one lost; its transaction has been rolled back already."""
    says = (
        f"Transaction (Process ID {process}) was deadlocked on lock resources with another process and has been "
        "chosen as the deadlock victim. Rerun the transaction."
    )
    return SqlError(1205, says, 13, 51)


def lock_timeout() -> SqlError:
    """SET LOCK_TIMEOUT has passed."""
    return SqlError(1222, "Lock request time out period exceeded.", 16, 51)


def clash(one: str, other: str) -> SqlError:
    """Two types between which there is no implicit conversion."""
    return SqlError(206, f"Operand type clash: {one} is incompatible with {other}", 16, 2)


def not_converted(value: str, source: str, target: str) -> SqlError:
    """A text that is no value of the other type."""
    if target == "uniqueidentifier":
        return SqlError(8169, "Conversion failed when converting from a character string to uniqueidentifier.", 16, 2)
    if target.startswith("date"):
        return SqlError(241, "Conversion failed when converting date and/or time from character string.")
    return SqlError(245, f"Conversion failed when converting the {source} value '{value}' to data type {target}.")


def overflow(target: str) -> SqlError:
    """A number that the column cannot hold."""
    return SqlError(8115, f"Arithmetic overflow error converting expression to data type {target}.", 16, 2)


def truncated() -> SqlError:
    """A text that is longer than its column."""
    return SqlError(8152, "String or binary data would be truncated.", 16, 13)


def not_null(column: str, table: str) -> SqlError:
    """NULL for a column that takes none."""
    says = f"Cannot insert the value NULL into column '{column}', table '{table}'; column does not allow nulls. UPDATE fails."
    return SqlError(515, says, 16, 2)


def no_hint(name: str) -> SqlError:
    """A table hint that is not known."""
    return SqlError(321, f'"{name}" is not a recognized table hints option.', 15)


def broken_stream(what: str) -> SqlError:
    """The client sent something that is no TDS."""
    return SqlError(4002, f"The incoming tabular data stream (TDS) protocol stream is incorrect. {what}", 20)
