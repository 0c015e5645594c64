//! Remote procedure calls: statements with parameters, prepared or not ([MS-TDS] 2.2.6.6).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/

use rusqlite::types::Value;

use super::answer::Answer;
use super::batch::{self, Declaration};
use super::cast::{cast, text_of};
use super::decode::{Typed, typed};
use super::encode;
use super::reader::Reader;
use super::session::{Session, Variables};
use super::sql_error::{SqlError, Stop};
use super::sql_type::SqlType;
use super::token;

/// A parameter as it came.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    name: String,
    goes_back: bool,
    typed: Typed,
}

/// A call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    procedure: String,
    parameters: Vec<Parameter>,
}

impl Call {
    /// What it runs, for the log: the statement where there is one, or else the procedure.
    pub(super) fn shown(&self) -> String {
        let at = usize::from(matches!(self.procedure.as_str(), "sp_prepexec" | "sp_prepare")) * 2;
        match self.parameters.get(at).map(|parameter| &parameter.typed.value) {
            Some(Value::Text(text)) => text.clone(),
            _ => self.procedure.clone(),
        }
    }
}

/// The calls of a message.
pub(super) fn parse(message: &[u8]) -> Option<Vec<Call>> {
    /// What stands between two calls.
    const SEPARATORS: [u8; 3] = [0x80, 0xff, 0xfe];
    let mut reader = Reader::new(message);
    reader.skip_headers()?;
    let mut calls = Vec::new();
    loop {
        let procedure = match reader.u16()? {
            0xffff => match reader.u16()? {
                10 => "sp_executesql".to_owned(),
                11 => "sp_prepare".to_owned(),
                12 => "sp_execute".to_owned(),
                13 => "sp_prepexec".to_owned(),
                15 => "sp_unprepare".to_owned(),
                number => format!("procedure {number}"),
            },
            length => {
                let name = reader.utf16(usize::from(length))?.to_ascii_lowercase();
                name.rsplit('.').next().unwrap_or_default().replace(['[', ']'], "")
            }
        };
        reader.u16()?;
        let mut parameters = Vec::new();
        loop {
            match reader.peek() {
                None => {
                    calls.push(Call { procedure, parameters });
                    return Some(calls);
                }
                Some(byte) if SEPARATORS.contains(&byte) => break,
                Some(_) => {}
            }
            let name = reader.b_varchar()?.to_ascii_lowercase();
            let goes_back = reader.u8()? & 1 != 0;
            parameters.push(Parameter { name, goes_back, typed: typed(&mut reader)? });
        }
        reader.u8()?;
        calls.push(Call { procedure, parameters });
        if reader.is_empty() {
            return Some(calls);
        }
    }
}

impl Session {
    pub(super) fn calls(&mut self, calls: Vec<Call>, answer: &mut Answer) -> Result<(), Stop> {
        answer.in_procedure = true;
        for call in calls {
            let mut back = Vec::new();
            let status = match self.call(&call, &mut back, answer) {
                Ok(()) => 0,
                Err(Stop::Failed(failure)) => {
                    answer.failed(&failure, 1)?;
                    failure.number
                }
                Err(stop) => return Err(stop),
            };
            for (place, name, typed) in back {
                let mut bytes = Vec::new();
                encode::value(&mut bytes, typed.of, &typed.value)?;
                answer.add(|out| {
                    token::return_value(out, place, &name, typed.of);
                    out.extend_from_slice(&bytes);
                })?;
            }
            answer.procedure_done(status)?;
        }
        Ok(())
    }

    fn call(&mut self, call: &Call, back: &mut Vec<(u16, String, Typed)>, answer: &mut Answer) -> Result<(), Stop> {
        let parameters = call.parameters.as_slice();
        let text = |at: usize| parameters.get(at).map(|parameter| text_of(&parameter.typed.value)).unwrap_or_default();
        let rest = |from: usize| parameters.get(from..).unwrap_or_default();
        let handle_back = |handle: i32| {
            let name = parameters.first().map(|parameter| parameter.name.clone()).unwrap_or_default();
            (0, name, Typed { of: SqlType::Int, value: Value::Integer(i64::from(handle)) })
        };
        match call.procedure.as_str() {
            "sp_executesql" => self.run_with(&text(0), &text(1), rest(2), 2, back, answer),
            "sp_prepare" => {
                back.push(handle_back(self.prepare(text(1), text(2))));
                Ok(())
            }
            "sp_prepexec" => {
                back.push(handle_back(self.prepare(text(1), text(2))));
                self.run_with(&text(2), &text(1), rest(3), 3, back, answer)
            }
            "sp_execute" => {
                let (declared, statement) = self.find(parameters)?;
                self.run_with(&statement, &declared, rest(1), 1, back, answer)
            }
            "sp_unprepare" => {
                self.find(parameters)?;
                self.prepared.retain(|handle, _| handle_of(parameters) != Some(*handle));
                Ok(())
            }
            "sp_reset_connection" => {
                self.reset(false)?;
                answer.add(token::reset)
            }
            name => Err(SqlError::new(2812, format!("Could not find stored procedure '{name}'.")).into()),
        }
    }

    fn prepare(&mut self, declared: String, statement: String) -> i32 {
        let handle = self.prepared.last_key_value().map_or(1, |(handle, _)| handle + 1);
        self.prepared.insert(handle, (declared, statement));
        handle
    }

    fn find(&self, parameters: &[Parameter]) -> Result<(String, String), SqlError> {
        let handle = handle_of(parameters);
        let found = handle.and_then(|handle| self.prepared.get(&handle));
        found.cloned().ok_or_else(|| {
            let handle = handle.unwrap_or_default();
            SqlError::new(8179, format!("Could not find prepared statement with handle {handle}."))
        })
    }

    fn run_with(
        &mut self,
        statement: &str,
        declared: &str,
        parameters: &[Parameter],
        first_place: u16,
        back: &mut Vec<(u16, String, Typed)>,
        answer: &mut Answer,
    ) -> Result<(), Stop> {
        let (mut variables, goes_back) = variables(declared, parameters)?;
        self.batch(statement, &mut variables, answer)?;
        for (at, (name, variable)) in goes_back {
            if let Some(typed) = variables.remove(&variable) {
                back.push((first_place.saturating_add(at), name, typed));
            }
        }
        Ok(())
    }
}

fn handle_of(parameters: &[Parameter]) -> Option<i32> {
    match parameters.first()?.typed.value {
        Value::Integer(handle) => i32::try_from(handle).ok(),
        _ => None,
    }
}

/// The names that go back: the place of the parameter, its name as it came, and the variable's.
type Back = Vec<(u16, (String, String))>;

/// Brings together what is declared and what came, by name or else by place.
fn variables(declared: &str, parameters: &[Parameter]) -> Result<(Variables, Back), SqlError> {
    let declared = batch::parse_parameters(declared)?;
    let (mut variables, mut back) = (Variables::new(), Vec::new());
    for (at, parameter) in parameters.iter().enumerate() {
        let place = declared.iter().position(|declared| declared.name == parameter.name).unwrap_or(at);
        let Some(Declaration { name, sql_type, .. }) = declared.get(place) else {
            return Err(SqlError::new(8144, "Procedure or function has too many arguments specified."));
        };
        let of = sql_type.unwrap_or(parameter.typed.of);
        let value = cast(parameter.typed.value.clone(), of)?;
        variables.insert(name.clone(), Typed { of, value });
        if parameter.goes_back {
            back.push((u16::try_from(at).unwrap_or_default(), (parameter.name.clone(), name.clone())));
        }
    }
    if let Some(Declaration { name, .. }) = declared.iter().find(|declared| !variables.contains_key(&declared.name)) {
        let message = format!("The parameterized query expects the parameter '{name}', which was not supplied.");
        return Err(SqlError::new(8178, message));
    }
    Ok((variables, back))
}
