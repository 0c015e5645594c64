//! Errors of the storage services.

use serde_json::json;

use super::time_format;
use super::xml::XmlWriter;
use crate::messages::Response;

/// An error. Blob writes it as XML, Data Lake Gen2 and Gen1 as JSON of two forms.
#[derive(Debug)]
pub(crate) struct StorageError {
    status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
    details: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
}

impl StorageError {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: Vec::new(), headers: Vec::new() }
    }

    /// Adds an element to the XML.
    pub(super) fn detail(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The response without a body.
    fn without_body(&self) -> Response {
        let mut response = Response::new(self.status).header("x-ms-error-code", self.code);
        for (name, value) in &self.headers {
            response = response.header(name, value);
        }
        response
    }

    fn full_message(&self, request_id: &str) -> String {
        format!(
            "{}\nRequestId:{request_id}\nTime:{}",
            self.message,
            time_format::iso(time_format::now())
        )
    }

    /// The response of Blob.
    pub(super) fn xml(&self, request_id: &str, head: bool) -> Response {
        let mut response = self.without_body();
        if !head && self.status != 304 {
            let mut xml = XmlWriter::new();
            xml.open("Error")
                .text("Code", self.code)
                .text("Message", &self.full_message(request_id));
            for (name, value) in &self.details {
                xml.text(name, value);
            }
            response = response.header("content-type", "application/xml");
            response.body = xml.close("Error").finish().into();
        }
        response
    }

    /// The response of Data Lake Gen2.
    pub(super) fn json(&self, request_id: &str, head: bool) -> Response {
        let mut response = self.without_body();
        if !head && self.status != 304 {
            let mut error = json!({ "code": self.code, "message": self.full_message(request_id) });
            for (name, value) in &self.details {
                if let Some(error) = error.as_object_mut() {
                    error.insert("detail".to_owned(), json!({ *name: value }));
                }
            }
            response = response.header("content-type", "application/json;charset=utf-8");
            response.body = json!({ "error": error }).to_string().into();
        }
        response
    }

    /// The response of Data Lake Gen1, whose codes are names of Java exceptions. An error about the
    /// token has the form of Entra's errors.
    pub(super) fn remote_exception(&self) -> Response {
        let mut response =
            self.without_body().header("content-type", "application/json; charset=utf-8");
        response.headers.remove("x-ms-error-code");
        let value = if self.status == 401 {
            json!({ "error": { "code": self.code, "message": self.message } })
        } else {
            let class = format!("org.apache.hadoop.fs.adl.{}", self.code);
            let exception = json!({
                "exception": self.code,
                "message": self.message,
                "javaClassName": class,
            });
            json!({ "RemoteException": exception })
        };
        response.body = value.to_string().into();
        response
    }
}

pub(super) fn container_not_found() -> StorageError {
    StorageError::new(404, "ContainerNotFound", "The specified container does not exist.")
}

pub(super) fn blob_not_found() -> StorageError {
    StorageError::new(404, "BlobNotFound", "The specified blob does not exist.")
}

pub(super) fn missing_header(name: &str) -> StorageError {
    let message = "An HTTP header that's mandatory for this request is not specified.";
    StorageError::new(400, "MissingRequiredHeader", message).detail("HeaderName", name)
}

pub(super) fn invalid_header(name: &str, value: &str) -> StorageError {
    let message = "The value for one of the HTTP headers is not in the correct format.";
    StorageError::new(400, "InvalidHeaderValue", message)
        .detail("HeaderName", name)
        .detail("HeaderValue", value)
}

pub(super) fn missing_parameter(name: &str) -> StorageError {
    let message = "A query parameter that's mandatory for this request is not specified.";
    StorageError::new(400, "MissingRequiredQueryParameter", message)
        .detail("QueryParameterName", name)
}

pub(super) fn invalid_parameter(name: &str, value: &str) -> StorageError {
    let message = "Value for one of the query parameters specified in the request URI is invalid.";
    StorageError::new(400, "InvalidQueryParameterValue", message)
        .detail("QueryParameterName", name)
        .detail("QueryParameterValue", value)
}

pub(super) fn not_implemented(operation: &str) -> StorageError {
    StorageError::new(
        501,
        "NotImplemented",
        format!("The emulator does not have this operation: {operation}."),
    )
}
