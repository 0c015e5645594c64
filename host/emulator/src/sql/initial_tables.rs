//! The tables that the database starts with.

/// The statements that create them. The columns of `types` are named after their types; its second
/// row is all nulls.
pub(super) const STATEMENTS: [&str; 5] = [
    "CREATE TABLE orders (id int NOT NULL PRIMARY KEY, customer nvarchar(100) NOT NULL, \
     total decimal(18,2) NOT NULL, placed datetime2 NOT NULL, note nvarchar(max) NULL)",
    "INSERT INTO orders VALUES \
     (1, 'Fabrikam', 1200.50, '2024-01-15 09:30:00.0000000', NULL), \
     (2, 'Northwind', 89.99, '2024-02-29 23:59:59.9999999', 'leave at the door'), \
     (3, 'Zoë & Söhne', 0.05, '2024-12-31 12:00:00.0000000', '')",
    "CREATE TABLE types (id int NOT NULL PRIMARY KEY, c_tinyint tinyint, c_smallint smallint, \
     c_int int, c_bigint bigint, c_bit bit, c_decimal decimal(38,10), c_numeric numeric(9,3), \
     c_money money, c_smallmoney smallmoney, c_real real, c_float float, c_char char(10), \
     c_varchar varchar(100), c_varchar_max varchar(max), c_nchar nchar(10), \
     c_nvarchar nvarchar(100), c_nvarchar_max nvarchar(max), c_binary binary(8), \
     c_varbinary varbinary(100), c_varbinary_max varbinary(max), c_date date, c_time time(7), \
     c_datetime datetime, c_smalldatetime smalldatetime, c_datetime2 datetime2(7), \
     c_datetimeoffset datetimeoffset(7), c_uniqueidentifier uniqueidentifier, c_xml xml)",
    "INSERT INTO types VALUES (1, 255, -32768, 2147483647, 9223372036854775807, 1, \
     '1234567890123456789012345678.0123456789', 123456.789, '922337203685477.5807', \
     214748.3647, 0.5, 1.7976931348623157e308, 'char', 'für 5 €', 'long', 'nchar', '漢字 🎉', \
     'länger', 0x0102030405060708, 0xff00, 0xdeadbeef, '2024-02-29', '23:59:59.9999999', \
     '2024-02-29 23:59:59.997', '2024-02-29 23:59:00', '0001-01-01 00:00:00.0000001', \
     '2024-02-29 23:59:59.9999999 -03:30', '01234567-89AB-CDEF-0123-456789ABCDEF', \
     '<a>1</a>')",
    "INSERT INTO types (id) VALUES (2)",
];
