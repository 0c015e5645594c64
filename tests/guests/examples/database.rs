//! Performs the database operations in the caller's `x-do`, and reports the result of each.
//!
//! Operations are separated by bars: `open shop | query select 1 | all`.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::bindings::keyward::broker::sql::{
    Connection, Credential, DataType, Error, Isolation, Item, Login, Results, Value,
};
use guests::bindings::wasi::clocks::monotonic_clock;
use guests::sas::surrogate;
use guests::{Attempt, header};

guests::attack!(attack, "../sql.toml");

fn attack(request: &IncomingRequest) -> String {
    let mut hands = Hands::default();
    let steps = header(request, "x-do").unwrap_or_default();
    let reports = steps.split('|').map(|step| {
        let step = step.trim();
        let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
        format!("{word}: {}\n", hands.act(word, rest))
    });
    reports.collect()
}

#[derive(Default)]
struct Hands {
    credential: Option<Credential>,
    connections: Vec<Connection>,
    results: Option<Results>,
    parameters: Vec<Value>,
    timeout: Option<u32>,
}

impl Hands {
    fn act(&mut self, word: &str, rest: &str) -> String {
        match word {
            // What to log in with.
            "token" => self.with(Credential::Token(surrogate(rest))),
            "text" => self.with(Credential::Token(rest.to_owned())),
            "surrogate" => surrogate(rest),
            "login" => {
                let (user, secret) = rest.split_once(' ').unwrap_or((rest, "password"));
                let password = secret_of(secret);
                self.with(Credential::Password(Login { user: user.to_owned(), password }))
            }
            "login-with-token" => self.with(Credential::Password(Login {
                user: rest.into(),
                password: surrogate("sql"),
            })),
            "token-from-password" => self.with(Credential::Token(secret_of(rest))),
            "secret" => secret_of(rest),
            "spend-in-query" => {
                let path = format!("/secrets/x?api-version=7.4&{}", secret_of(rest));
                Attempt::get(&path).authorized(&surrogate("vault")).send()
            }
            "open" => {
                let credential =
                    self.credential.take().unwrap_or_else(|| Credential::Token(surrogate("sql")));
                let opened = Connection::open(rest, &credential);
                self.credential = Some(credential);
                match opened {
                    Ok(connection) => {
                        self.connections.push(connection);
                        "ok".to_owned()
                    }
                    Err(error) => error_text(&error),
                }
            }
            "open-with-surrogate" => {
                match Connection::open(&surrogate("sql"), &Credential::Token(surrogate("sql"))) {
                    Ok(_) => "ok".to_owned(),
                    Err(error) => error_text(&error),
                }
            }
            "close" => {
                self.connections.pop();
                "ok".to_owned()
            }
            // What to run.
            "timeout" => {
                self.timeout = rest.parse().ok();
                "ok".to_owned()
            }
            "parameter" => {
                let (kind, text) = rest.split_once(' ').unwrap_or((rest, ""));
                self.parameters.push(value(kind, text));
                "ok".to_owned()
            }
            "query" => {
                let parameters = std::mem::take(&mut self.parameters);
                let Some(connection) = self.connections.last() else {
                    return "no connection".to_owned();
                };
                match connection.query(rest, &parameters, self.timeout) {
                    Ok(results) => {
                        self.results = Some(results);
                        "ok".to_owned()
                    }
                    Err(error) => error_text(&error),
                }
            }
            "query-with-surrogate" => self.act("query", &format!("select '{}'", surrogate("sql"))),
            "next" => match self
                .results
                .as_ref()
                .map(|results| results.next(rest.parse().unwrap_or(1000)))
            {
                Some(Ok(item)) => format!("{item:?}"),
                Some(Err(error)) => error_text(&error),
                None => "no results".to_owned(),
            },
            "all" => self.read(|item| format!("{item:?} ")),
            "count" => {
                let mut count = 0;
                let end = self.read(|item| {
                    if let Item::Rows(rows) = item {
                        count += rows.len();
                    }
                    String::new()
                });
                format!("{count} {end}")
            }
            "drop" => {
                self.results = None;
                "ok".to_owned()
            }
            "execute" => {
                let parameters = std::mem::take(&mut self.parameters);
                let Some(connection) = self.connections.last() else {
                    return "no connection".to_owned();
                };
                match connection.execute(rest, &parameters, self.timeout) {
                    Ok(counts) => format!("{counts:?}"),
                    Err(error) => error_text(&error),
                }
            }
            "begin" => {
                let isolation = match rest {
                    "serializable" => Some(Isolation::Serializable),
                    "snapshot" => Some(Isolation::Snapshot),
                    _ => None,
                };
                self.transact(|connection| connection.begin(isolation))
            }
            "commit" => self.transact(Connection::commit),
            "rollback" => self.transact(Connection::rollback),
            "sleep" => {
                monotonic_clock::subscribe_duration(
                    rest.parse::<u64>().unwrap_or(3600) * 1_000_000_000,
                )
                .block();
                "ok".to_owned()
            }
            _ => "unknown".to_owned(),
        }
    }

    fn with(&mut self, credential: Credential) -> String {
        self.credential = Some(credential);
        "ok".to_owned()
    }

    fn read(&mut self, mut tell: impl FnMut(&Item) -> String) -> String {
        let Some(results) = self.results.take() else { return "no results".to_owned() };
        let mut report = String::new();
        loop {
            match results.next(1000) {
                Ok(Some(item)) => report.push_str(&tell(&item)),
                Ok(None) => return report + "end",
                Err(error) => return report + &error_text(&error),
            }
        }
    }

    fn transact(&self, act: impl Fn(&Connection) -> Result<(), Error>) -> String {
        match self.connections.last().map(act) {
            Some(Ok(())) => "ok".to_owned(),
            Some(Err(error)) => error_text(&error),
            None => "no connection".to_owned(),
        }
    }
}

fn error_text(error: &Error) -> String {
    match error {
        Error::Server(error) => {
            format!(
                "error {} state {} class {}: {}",
                error.number, error.state, error.class, error.message
            )
        }
        error => format!("{error:?}"),
    }
}

/// The surrogate of a password in the vault.
fn secret_of(name: &str) -> String {
    let path = format!("/secrets/{name}?api-version=7.4");
    let answer = Attempt::get(&path).authorized(&surrogate("vault")).send();
    let value = answer.split("\"value\":\"").nth(1).unwrap_or(&answer);
    value.split('"').next().unwrap_or_default().to_owned()
}

fn value(kind: &str, text: &str) -> Value {
    let owned = text.to_owned();
    match kind {
        "bit" => Value::Bit(text == "true"),
        "tinyint" => Value::Tinyint(text.parse().unwrap_or_default()),
        "smallint" => Value::Smallint(text.parse().unwrap_or_default()),
        "int" => Value::Int(text.parse().unwrap_or_default()),
        "bigint" => Value::Bigint(text.parse().unwrap_or_default()),
        "real" => Value::Real(text.parse().unwrap_or_default()),
        "float" => Value::Float(text.parse().unwrap_or_default()),
        "decimal" => Value::Decimal(owned),
        "binary" => Value::Binary(owned.into_bytes()),
        "date" => Value::Date(owned),
        "time" => Value::Time(owned),
        "datetime" => Value::Datetime(owned),
        "datetimeoffset" => Value::Datetimeoffset(owned),
        "uniqueidentifier" => Value::Uniqueidentifier(owned),
        "xml" => Value::Xml(owned),
        "null" => Value::Null(match text {
            "varbinary" => DataType::Varbinary,
            "int" => DataType::Int,
            "date" => DataType::Date,
            "uniqueidentifier" => DataType::Uniqueidentifier,
            _ => DataType::Nvarchar,
        }),
        _ => Value::Text(owned),
    }
}
