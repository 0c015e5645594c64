//! Remote procedure calls: statements with parameters, prepared or not ([MS-TDS] 2.2.6.6).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/

use rusqlite::types::Value;

use super::batch::{self, Declaration};
use super::cast::{cast, text_of};
use super::decode_value::{TypedValue, read_typed_value};
use super::encode_value;
use super::field_reader::FieldReader;
use super::query::Variables;
use super::response_stream::ResponseStream;
use super::session::Session;
use super::sql_error::{SqlError, StatementError};
use super::sql_type::SqlType;
use super::tds_token;

/// A parameter of a call.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    name: String,
    is_output: bool,
    value: TypedValue,
}

/// A call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    procedure: String,
    parameters: Vec<Parameter>,
}

impl Call {
    /// The statement for the log, or else the procedure.
    pub(super) fn for_log(&self) -> String {
        let index =
            usize::from(matches!(self.procedure.as_str(), "sp_prepexec" | "sp_prepare")) * 2;
        match self.parameters.get(index).map(|parameter| &parameter.value.value) {
            Some(Value::Text(text)) => text.clone(),
            _ => self.procedure.clone(),
        }
    }
}

/// Parses the calls of a message.
pub(super) fn parse(message: &[u8]) -> Option<Vec<Call>> {
    /// The bytes between two calls.
    const SEPARATORS: [u8; 3] = [0x80, 0xff, 0xfe];
    let mut reader = FieldReader::new(message);
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
            let is_output = reader.u8()? & 1 != 0;
            parameters.push(Parameter { name, is_output, value: read_typed_value(&mut reader)? });
        }
        reader.u8()?;
        calls.push(Call { procedure, parameters });
        if reader.is_empty() {
            return Some(calls);
        }
    }
}

impl Session {
    pub(super) fn run_calls(
        &mut self,
        calls: Vec<Call>,
        response: &mut ResponseStream,
    ) -> Result<(), StatementError> {
        response.in_procedure = true;
        for call in calls {
            let mut outputs = Vec::new();
            let status = match self.run_call(&call, &mut outputs, response) {
                Ok(()) => 0,
                Err(StatementError::Sql(error)) => {
                    response.write_error(&error, 1)?;
                    error.number
                }
                Err(error) => return Err(error),
            };
            for (position, name, typed) in outputs {
                let mut bytes = Vec::new();
                encode_value::write_value(&mut bytes, typed.sql_type, &typed.value)?;
                response.write(|out| {
                    tds_token::return_value(out, position, &name, typed.sql_type);
                    out.extend_from_slice(&bytes);
                })?;
            }
            response.end_procedure(status)?;
        }
        Ok(())
    }

    fn run_call(
        &mut self,
        call: &Call,
        outputs: &mut Vec<(u16, String, TypedValue)>,
        response: &mut ResponseStream,
    ) -> Result<(), StatementError> {
        let parameters = call.parameters.as_slice();
        let text = |index: usize| {
            parameters
                .get(index)
                .map(|parameter| text_of(&parameter.value.value))
                .unwrap_or_default()
        };
        let rest = |from: usize| parameters.get(from..).unwrap_or_default();
        let handle_output = |handle: i32| {
            let name =
                parameters.first().map(|parameter| parameter.name.clone()).unwrap_or_default();
            (
                0,
                name,
                TypedValue { sql_type: SqlType::Int, value: Value::Integer(i64::from(handle)) },
            )
        };
        match call.procedure.as_str() {
            "sp_executesql" => self.run_with(&text(0), &text(1), rest(2), 2, outputs, response),
            "sp_prepare" => {
                outputs.push(handle_output(self.prepare(text(1), text(2))));
                Ok(())
            }
            "sp_prepexec" => {
                outputs.push(handle_output(self.prepare(text(1), text(2))));
                self.run_with(&text(2), &text(1), rest(3), 3, outputs, response)
            }
            "sp_execute" => {
                let (declared, statement) = self.find_prepared(parameters)?;
                self.run_with(&statement, &declared, rest(1), 1, outputs, response)
            }
            "sp_unprepare" => {
                self.find_prepared(parameters)?;
                self.prepared.retain(|handle, _| handle_of(parameters) != Some(*handle));
                Ok(())
            }
            "sp_reset_connection" => {
                self.reset(false)?;
                response.write(tds_token::reset)
            }
            name => {
                Err(SqlError::new(2812, format!("Could not find stored procedure '{name}'."))
                    .into())
            }
        }
    }

    fn prepare(&mut self, declared: String, statement: String) -> i32 {
        let handle = self.prepared.last_key_value().map_or(1, |(handle, _)| handle + 1);
        self.prepared.insert(handle, (declared, statement));
        handle
    }

    fn find_prepared(&self, parameters: &[Parameter]) -> Result<(String, String), SqlError> {
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
        first_position: u16,
        outputs: &mut Vec<(u16, String, TypedValue)>,
        response: &mut ResponseStream,
    ) -> Result<(), StatementError> {
        let (mut variables, outputs_of_call) = variables(declared, parameters)?;
        self.run_batch(statement, &mut variables, response)?;
        for (index, (name, variable)) in outputs_of_call {
            if let Some(typed) = variables.remove(&variable) {
                outputs.push((first_position.saturating_add(index), name, typed));
            }
        }
        Ok(())
    }
}

fn handle_of(parameters: &[Parameter]) -> Option<i32> {
    match parameters.first()?.value.value {
        Value::Integer(handle) => i32::try_from(handle).ok(),
        _ => None,
    }
}

/// Output parameters: position, name in the call, and variable.
type Outputs = Vec<(u16, (String, String))>;

/// Assigns the values of a call to the declared parameters, by name or position.
fn variables(declared: &str, parameters: &[Parameter]) -> Result<(Variables, Outputs), SqlError> {
    let declared = batch::parse_parameters(declared)?;
    let (mut variables, mut outputs) = (Variables::new(), Vec::new());
    for (index, parameter) in parameters.iter().enumerate() {
        let position =
            declared.iter().position(|declared| declared.name == parameter.name).unwrap_or(index);
        let Some(Declaration { name, sql_type, .. }) = declared.get(position) else {
            return Err(SqlError::new(
                8144,
                "Procedure or function has too many arguments specified.",
            ));
        };
        let sql_type = sql_type.unwrap_or(parameter.value.sql_type);
        let value = cast(parameter.value.value.clone(), sql_type)?;
        variables.insert(name.clone(), TypedValue { sql_type, value });
        if parameter.is_output {
            outputs.push((
                u16::try_from(index).unwrap_or_default(),
                (parameter.name.clone(), name.clone()),
            ));
        }
    }
    if let Some(Declaration { name, .. }) =
        declared.iter().find(|declared| !variables.contains_key(&declared.name))
    {
        let message = format!(
            "The parameterized query expects the parameter '{name}', which was not supplied."
        );
        return Err(SqlError::new(8178, message));
    }
    Ok((variables, outputs))
}
