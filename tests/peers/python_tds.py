"""The database server with python-tds: HOST PORT CA TOKEN, where CA is a file with the certificate."""

import datetime
import decimal
import sys
import uuid

import pytds

host, port, ca, token = sys.argv[1:5]


def connect(database="shop", **login):
    # The name in the certificate is not the address that is connected to.
    return pytds.connect(
        dsn=host, port=int(port), database=database, cafile=ca, validate_host=False, autocommit=False, **login
    )


def rows(cursor, sql, parameters=()):
    cursor.execute(sql, parameters)
    return cursor.fetchall()


def number_of(action):
    try:
        action()
    except pytds.Error as error:
        while error is not None and not hasattr(error, "number"):
            error = error.__cause__ or error.__context__
        return getattr(error, "number", None)
    raise AssertionError("it was not refused")


connection = connect(access_token_callable=lambda: token)
cursor = connection.cursor()
orders = rows(cursor, "SELECT id, customer, total FROM orders ORDER BY id")
assert [tuple(row) for row in orders] == [
    (1, "Fabrikam", decimal.Decimal("1200.50")),
    (2, "Northwind", decimal.Decimal("89.99")),
    (3, "Zo\u00eb & S\u00f6hne", decimal.Decimal("0.05")),
], orders
print("login with a token, a query:", len(orders), "rows")

values = (
    7,
    9223372036854775807,
    "it's \u6f22\u5b57",
    decimal.Decimal("12.3400"),
    0.1,
    pytds.Binary(b"\x00\xff"),
    datetime.date(2024, 2, 29),
    datetime.datetime(2024, 2, 29, 23, 59, 59, 123456),
    uuid.UUID("01234567-89ab-cdef-0123-456789abcdef"),
    None,
    "x" * 50000,
)
back = rows(cursor, "SELECT " + ", ".join(["%s"] * len(values)), values)
assert tuple(back[0]) == values, back
print("parameters of", len(values), "kinds")

types = rows(cursor, "SELECT * FROM types ORDER BY id")
named = dict(zip([column[0] for column in cursor.description], types[0]))
assert named["c_money"] == decimal.Decimal("922337203685477.5807"), named
assert named["c_decimal"] == decimal.Decimal("1234567890123456789012345678.0123456789"), named
assert named["c_nvarchar"] == "\u6f22\u5b57 \U0001f389", named
assert all(value is None for value in list(types[1])[1:]), types[1]
print("every type:", len(named), "columns")

cursor.execute("DELETE FROM orders")
connection.rollback()
assert rows(cursor, "SELECT COUNT(*) FROM orders")[0][0] == 3
print("a transaction")

assert number_of(lambda: cursor.execute("SELECT * FROM missing")) == 208
print("an error")

cursor.execute("SELECT value FROM GENERATE_SERIES(1, 100000000000)")
assert cursor.fetchone()[0] == 1
cursor.cancel()
assert rows(cursor, "SELECT 5")[0][0] == 5
print("a cancelled query")
connection.close()

connect(user="app", password="correct-horse-battery").close()
assert number_of(lambda: connect(user="app", password="wrong")) == 18456
assert number_of(lambda: connect(access_token_callable=lambda: "a.b.c")) == 18456
print("logins with passwords, and refused ones")
