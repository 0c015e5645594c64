// The database server with tedious. `node tedious.mjs HOST PORT CA TOKEN [strict]`, where CA is a file with the certificate;
// with `strict` it is TDS 8.0.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

// It is installed elsewhere: the environment says where.
const { Connection, Request, TYPES } = createRequire(`${process.env.TEDIOUS}/`)('tedious');

const [host, port, ca, token, strict] = process.argv.slice(2);

function connect(authentication, database = 'shop') {
  const connection = new Connection({
    server: host,
    authentication,
    options: {
      port: Number(port), database, connectTimeout: 10_000, useUTC: true, rowCollectionOnRequestCompletion: true,
      encrypt: strict ? 'strict' : true, serverName: 'contoso.database.windows.net',
      cryptoCredentialsDetails: { ca: readFileSync(ca) },
    },
  });
  let number;
  connection.on('errorMessage', (message) => { number = message.number; });
  return new Promise((resolve, reject) => {
    connection.connect((error) => (error ? reject(Object.assign(error, { number })) : resolve(connection)));
  });
}

function run(connection, sql, parameters = [], how = 'execSql') {
  return new Promise((resolve, reject) => {
    const request = new Request(sql, (error, count, rows) => {
      if (error) reject(error);
      else resolve({ count, rows: rows.map((row) => row.map((column) => column.value)) });
    });
    for (const [name, type, value, options] of parameters) request.addParameter(name, type, value, options);
    connection[how](request);
  });
}

const call = (connection, method) => new Promise((resolve, reject) => {
  connection[method]((error) => (error ? reject(error) : resolve()));
});
const number = (error) => error.number;

const connection = await connect({ type: 'azure-active-directory-access-token', options: { token } });
const { rows } = await run(connection, 'SELECT id, customer, total, placed, note FROM orders ORDER BY id', [], 'execSqlBatch');
assert.deepEqual(rows.map((row) => row.slice(0, 3)), [[1, 'Fabrikam', 1200.5], [2, 'Northwind', 89.99], [3, 'Zoë & Söhne', 0.05]]);
assert.equal(rows[0][3].toISOString(), '2024-01-15T09:30:00.000Z');
console.log('login with a token, a batch:', rows.length, 'rows');

const values = [
  ['tiny', TYPES.TinyInt, 255], ['small', TYPES.SmallInt, -5], ['int', TYPES.Int, 7], ['big', TYPES.BigInt, '9223372036854775807'],
  ['bit', TYPES.Bit, true], ['dec', TYPES.Decimal, 12.34, { precision: 9, scale: 2 }], ['money', TYPES.Money, 1.5],
  ['float', TYPES.Float, 0.1], ['real', TYPES.Real, 0.5], ['text', TYPES.NVarChar, "it's 漢字"], ['plain', TYPES.VarChar, 'plain'],
  ['long', TYPES.NVarChar, 'x'.repeat(50_000), { length: Infinity }], ['bin', TYPES.VarBinary, Buffer.from([0, 255])],
  ['when', TYPES.DateTime2, new Date('2024-02-29T23:59:59.123Z'), { scale: 3 }],
  ['old', TYPES.DateTime, new Date('2024-02-29T23:59:59.123Z')], ['none', TYPES.Int, null],
  ['offset', TYPES.DateTimeOffset, new Date('2024-02-29T23:59:59.123Z'), { scale: 3 }],
  ['guid', TYPES.UniqueIdentifier, '01234567-89AB-CDEF-0123-456789ABCDEF'],
];
const back = await run(connection, `SELECT ${values.map(([name]) => `@${name} AS ${name}x`).join(', ')}`, values);
assert.deepEqual(back.rows[0], values.map(([, , value]) => value));
console.log('parameters of', values.length, 'types');

const request = new Promise((resolve, reject) => {
  const request = new Request('SET @twice = @n * 2', (error) => error && reject(error));
  request.addParameter('n', TYPES.Int, 21);
  request.addOutputParameter('twice', TYPES.Int);
  request.on('returnValue', (name, value) => resolve([name, value]));
  request.on('requestCompleted', () => resolve(null));
  connection.execSql(request);
});
assert.deepEqual(await request, ['twice', 42]);
await new Promise(setImmediate);
console.log('a parameter that goes back');

const types = await run(connection, 'SELECT * FROM types ORDER BY id', [], 'execSqlBatch');
assert.equal(types.rows.length, 2);
assert.ok(types.rows[1].slice(1).every((value) => value === null));
console.log('every type:', types.rows[0].length, 'columns');

await new Promise((resolve, reject) => {
  const request = new Request('SELECT @a + 1 AS b', (error) => error && reject(error));
  const seen = [];
  request.addParameter('a', TYPES.Int);
  request.on('row', ([column]) => seen.push(column.value));
  request.on('prepared', () => connection.execute(request, { a: 1 }));
  let completed = 0;
  request.on('requestCompleted', () => {
    completed += 1;
    // They are: executed, executed again, given back.
    if (completed === 1) setImmediate(() => connection.execute(request, { a: 2 }));
    if (completed === 2) setImmediate(() => connection.unprepare(request));
    if (completed === 3) setImmediate(() => { assert.deepEqual(seen, [2, 3]); resolve(); });
  });
  connection.prepare(request);
});
console.log('a prepared statement');

const count = async () => (await run(connection, 'SELECT COUNT(*) FROM orders')).rows[0][0];
await call(connection, 'beginTransaction');
await run(connection, 'DELETE FROM orders');
assert.equal(await count(), 0);
await call(connection, 'rollbackTransaction');
assert.equal(await count(), 3);
await call(connection, 'beginTransaction');
await run(connection, 'DELETE FROM orders');
await call(connection, 'reset');
assert.equal(await count(), 3);
console.log('transactions, and a reset that ends one');

const failures = [['SELECT * FROM missing', 208], ['SELEC', 102], ['SELECT 1/0', 8134], ["THROW 51000, 'no', 1", 51000]];
for (const [sql, expected] of failures) {
  assert.equal(await run(connection, sql).then(() => null, number), expected, sql);
}
console.log('errors');

for (const sql of ["WAITFOR DELAY '01:00:00'", 'SELECT value FROM GENERATE_SERIES(1, 100000000000)']) {
  const cancelled = await new Promise((resolve) => {
    const request = new Request(sql, (error) => resolve(error?.code));
    connection.execSqlBatch(request);
    setTimeout(() => connection.cancel(), 300);
  });
  assert.equal(cancelled, 'ECANCEL');
  assert.equal(await count(), 3);
}
console.log('cancelled statements');

const million = await new Promise((resolve, reject) => {
  let seen = 0;
  const request = new Request('SELECT value FROM GENERATE_SERIES(1, 1000000)', (error) => (error ? reject(error) : resolve(seen)));
  request.on('row', () => { seen += 1; });
  connection.config.options.rowCollectionOnRequestCompletion = false;
  connection.execSqlBatch(request);
});
assert.equal(million, 1_000_000);
console.log('a million rows');
connection.close();

const user = { userName: 'app', password: 'correct-horse-battery' };
(await connect({ type: 'default', options: user })).close();
const refused = (authentication, database) => connect(authentication, database).then(() => null, number);
assert.equal(await refused({ type: 'default', options: { ...user, password: 'wrong' } }), 18456);
assert.equal(await refused({ type: 'default', options: user }, 'nowhere'), 4060);
assert.equal(await refused({ type: 'azure-active-directory-access-token', options: { token: 'a.b.c' } }), 18456);
console.log('logins with passwords, and refused ones');

const scopes = [];
const credential = { getToken: async (scope) => { scopes.push(scope); return { token, expiresOnTimestamp: Date.now() + 3_600_000 }; } };
const asked = await connect({ type: 'token-credential', options: { credential } });
assert.equal((await run(asked, 'SELECT 1')).rows[0][0], 1);
assert.deepEqual(scopes, ['https://database.windows.net/.default']);
asked.close();
console.log('a token that the server asks for');
