use super::*;

/// Runs the check on a stack that is large enough for an unoptimized parser.
fn check(statement: &str) -> Result<String, Problem> {
    let statement = statement.to_owned();
    let checking = std::thread::Builder::new()
        .stack_size(64 << 20)
        .spawn(move || super::check(&statement, None));
    checking.unwrap().join().unwrap()
}

/// The statement that is sent, or the reason why it is denied.
fn checked(statement: &str) -> Result<String, String> {
    check(statement).map_err(|problem| problem.detail().to_owned())
}

#[test]
fn queries_that_only_read_are_run() {
    let denied: Vec<_> = [
        "select 1",
        "SELECT TOP (10) WITH TIES * FROM dbo.Orders AS o WHERE o.Id = @P1 ORDER BY o.Id DESC",
        "select a, count(*) from t group by a having count(*) > 1 order by 2 offset 10 rows fetch \
         next 5 rows only",
        "select a from t order by a offset @skip rows fetch next @take rows only",
        "select o.*, i.* from orders o inner join items i on i.order_id = o.id left join c on \
         c.id = o.c",
        "select * from t cross apply (select top 1 * from u where u.id = t.id) x",
        "select * from t outer apply string_split(t.a, ',') s",
        "with a as (select 1 as x), b as (select x from a) select * from b union all select 2 \
         except select 3",
        "with r (n) as (select 1 union all select n + 1 from r where n < 10) select n from r \
         option (maxrecursion 100)",
        "select * from t option (recompile, maxdop 1, optimize for unknown)",
        "select case when a = 1 then 'x' else N'it''s' end from t",
        "select * from [my table] where \"a\"\"b\" = [c]]d]",
        "select sum(a) over (partition by b order by c rows between unbounded preceding and \
         current row) from t",
        "select row_number() over (order by (select null)) from t",
        "select a from t for json path, root('r')",
        "select a from t for xml path('x')",
        "select * from t for system_time as of '2026-01-01'",
        "select * from openjson(@P1) with (id int '$.id', name nvarchar(50) '$.name')",
        "select value from openjson(@P1)",
        "select cast(a as decimal(10, 2)), try_cast(b as int), convert(varchar(10), c, 120) from t",
        "select string_agg(a, ',') within group (order by a) from t",
        "select a at time zone 'UTC' from t",
        "select iif(a > 1, 2, 3), isnull(a, 1), coalesce(a, b), datediff(day, a, getdate()), \
         dateadd(month, 1, a) from t",
        "select * from t with (nolock)",
        "select * from t (nolock)",
        "select * from t where a in (select b from u) and exists (select 1 from v where v.a = t.a)",
        "select * from (values (1, 'a'), (2, 'b')) v (id, name)",
        "select * from (select a, b from t) s pivot (sum(b) for a in ([x], [y])) p",
        "select @@version, @@rowcount, db_name(), user_name(), current_user, current_timestamp",
        "select * from sys.tables where name like 'a%' escape '!'",
        "select * from information_schema.columns",
        "select * from tempdb..t",
        "select x = a, [y] = b from t",
        "select a from t where b is not null and c between 1 and 2 and not (d <> 3 or e != 4)",
        "select distinct a from t; select 2;",
        "select approx_count_distinct(a), percentile_cont(0.5) within group (order by a) over \
         (partition by b) from t",
        "select g.STAsText() from t",
        "select geography::Point(1, 2, 4326)",
        "select x.value('(/a)[1]', 'int') from t",
        "select 1.5e3, .5, 0xff, -1, +1, 5 % 2, ~1, 1 & 2, 1 | 2, 1 ^ 2",
        "select a collate Latin1_General_CI_AS from t",
        "select json_value(a, '$.b') from t where isjson(a) > 0",
        "select * from t tablesample (10 percent)",
        "select a from t group by rollup (a, b)",
        "(select 1) union (select 2)",
        ";with a as (select 1 as x) select * from a",
    ]
    .into_iter()
    .filter_map(|statement| checked(statement).err())
    .collect();
    assert!(denied.is_empty(), "{denied:#?}");
}

#[test]
fn all_other_statements_are_denied() {
    let run: Vec<_> = [
        // Statements that write or whose effect is unknown.
        "insert into t values (1)",
        "update t set a = 1",
        "delete from t",
        "merge t using u on 1 = 1 when matched then delete",
        "truncate table t",
        "drop table t",
        "create table t (a int)",
        "alter table t add b int",
        "exec sp_who",
        "execute('drop table t')",
        "sp_who",
        "declare @x int = 1",
        "set nocount on",
        "use master",
        "begin tran",
        "commit",
        "waitfor delay '1:0'",
        "print 'x'",
        "if 1 = 1 select 1",
        "while 1 = 1 select 1",
        "begin select 1 end",
        "throw",
        "kill 53",
        "dbcc checkdb",
        "backup database d to disk = 'x'",
        "grant select on t to u",
        "values (1)",
        "table t",
        "explain select 1",
        "",
        // A second statement, with and without a semicolon.
        "select 1; drop table t",
        "select 1 drop table t",
        "select 1\ndelete from t",
        "select * from t exec sp_who",
        "select * from t shutdown",
        "select 1 shutdown",
        "select 1 revert",
        "select 1 checkpoint",
        "select 1 reconfigure",
        "select 1 rollback",
        "select 1 select 2",
        "select 1 as a receive * from q",
        "select * from a join b send on conversation(@h)",
        "select 1 end; drop table t",
        "select 1 end conversation @h",
        "select * from t dbcc (x)",
        "select 1 as a throw 50000, 'x', 1",
        "select 1 as a disable trigger x on t",
        // Parts of queries that write.
        "select * into u from t",
        "select a into #t from t",
        "select * from (select * into u from t) x",
        "with a as (select 1 as x) delete from a",
        "with a as (select 1 as x) insert into t select * from a",
        "with a as (delete from t output deleted.*) select * from a",
        "with a as (select 1 as x) update a set x = 2",
        "select * from (delete from t output deleted.*) x",
        "select * from (update t set a = 1 output inserted.*) x",
        "select next value for s",
        "select next/**/value/**/for s",
        // Other servers, files, locks.
        "select * from openrowset('x', 'y', 'z')",
        "select * from OPENROWSET(BULK 'C:\\x', SINGLE_CLOB) x",
        "select * from openquery(s, 'delete from t')",
        "select * from opendatasource('x', 'y').a.b.c",
        "select * from other.db.dbo.t",
        "select * from other.db..t",
        "select * from t with (updlock)",
        "select * from t (XLOCK)",
        "select * from t with ([tablockx])",
        "select * from t with (nolock, holdlock)",
        "select * from t for update",
        "select * from t for browse",
        // Text that two parsers may read differently.
        "select 1efrom t",
        "select 1eshutdown",
        "select 1.shutdown",
        "select 1from t",
        "select 0xshutdown",
        "select $shutdown",
        "select \\shutdown",
        "select 1\u{a0}drop table t",
        "select 1\u{2028}drop table t",
        "select 1 \u{ff1b} drop table t",
        "select \u{ff44}rop",
        "select gr\u{f6}sse from t",
        "select 'a\u{2bc}; drop table t",
        "select 'it''s",
        "select [a]] from t",
        "select /* /* */ 1",
        "select 1 \u{0} drop table t",
        "select 1 \u{b} drop table t",
        "select 1 option (recompile) delete from t",
        "select 1 option (recompile, (select 1))",
        "select 1 option (merge join)",
        "select 1 option ()) drop table t (",
        "option (recompile)",
        "select {fn now()}",
        "select `a` from t",
        "select ? from t",
    ]
    .into_iter()
    .filter(|statement| {
        // An empty statement does nothing.
        !statement.is_empty() && check(statement).is_ok()
    })
    .collect();
    assert!(run.is_empty(), "{run:#?}");
}

#[test]
fn the_content_of_strings_names_and_comments_is_ignored() {
    for statement in [
        "select 'drop table t; --' as [exec sp_who]",
        "select 'a' /* ; drop table t */ -- delete from t",
        "select N'größe', [größe], \"名前; delete\" from t",
        "select 'it''s /* ' , [a]]; drop table t --] from t",
    ] {
        assert_eq!(checked(statement).map(drop), Ok(()), "{statement}");
    }
}

#[test]
fn comments_are_removed_before_sending() {
    for (statement, expected) in [
        ("select/**/1", "select 1"),
        ("select 1 -- x\r, 2", "select 1  \r, 2"),
        ("select 1 /* a\nb */ + '--' -- c\n+ 2", "select 1 \n + '--'  \n+ 2"),
        ("select '/* x */', [--]", "select '/* x */', [--]"),
        ("select 1 -- \u{2028}drop table t", "select 1  "),
    ] {
        assert_eq!(checked(statement), Ok(expected.to_owned()), "{statement}");
    }
}

#[test]
fn a_denial_names_the_statement_and_the_reason() {
    let long = format!("select 1;\n select 2;; delete from {} where 1 = 1", "t".repeat(90));
    let problem = check(&long).unwrap_err();
    assert_eq!(problem.status(), 403);
    let detail = problem.detail();
    assert!(
        detail.contains("statement 4 (\"delete from ttt") && detail.contains("ttt...\")"),
        "{detail}"
    );
    assert!(
        detail.contains("`delete` is not allowed in a read-only query")
            && detail.contains("`read_only = true`"),
        "{detail}"
    );
    for (statement, expected) in [
        ("select * into u from t", "`into` creates a table"),
        ("select next value for s", "changes a sequence"),
        ("select * from t with (updlock)", "takes locks"),
        ("selec 1", "neither `select` nor `with`"),
        ("select 1 +", "could not be parsed"),
        ("select größe", "in brackets"),
        ("select a.b.c.d.e from x.y.z.t", "another server"),
    ] {
        let detail = checked(statement).unwrap_err();
        assert!(detail.contains(expected), "{statement}: {detail}");
    }
}

#[test]
fn statements_nested_too_deeply_are_denied() {
    for (open, close) in [("(", ")"), ("(select ", ")"), ("- ", ""), ("abs(", ")")] {
        for depth in [100, 500, 1500] {
            let statement = format!("select {}1{}", open.repeat(depth), close.repeat(depth));
            let detail = checked(&statement).unwrap_err();
            assert!(
                detail.contains("too deeply") || detail.contains("more than"),
                "{open} {depth}: {detail}"
            );
        }
    }
    // The parser backtracks here, and then fails.
    let case = format!("select {}1{}", "case when 1 = 1 then ".repeat(300), " end".repeat(300));
    assert!(checked(&case).is_err());
    let from = format!("select * from {}t{}", "(select * from ".repeat(300), ") x".repeat(300));
    assert!(checked(&from).unwrap_err().contains("too deeply"));
    let few = format!("select {}1{}", "(".repeat(8), ")".repeat(8));
    assert_eq!(checked(&few).map(drop), Ok(()));
}

#[test]
fn long_flat_statements_are_allowed() {
    for (first, next) in [
        ("select 1", " + 1"),
        ("select 1 where a = 1", " or a = 1"),
        ("select 1", " union all select 1"),
    ] {
        let statement = format!("{first}{}", next.repeat(400));
        assert_eq!(checked(&statement).map(drop), Ok(()), "{next}");
    }
    let list = format!("select 1 where a in (1{})", ", 1".repeat(900));
    assert_eq!(checked(&list).map(drop), Ok(()));
    assert!(
        checked(&format!("select 1{}", " + 1".repeat(5000))).unwrap_err().contains("more than")
    );
}
