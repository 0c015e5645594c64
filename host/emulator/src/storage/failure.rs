//! What a storage service answers where it does not do what it was asked.

use serde_json::json;

use super::clock;
use super::xml::Xml;
use crate::exchange::Reply;

/// An error, in no form yet: Blob writes XML, the two lakes write JSON, each its own.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
    details: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
}

impl Failure {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: Vec::new(), headers: Vec::new() }
    }

    /// The same, with one more element of the XML.
    pub(super) fn detail(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn start(&self) -> Reply {
        let mut reply = Reply::new(self.status).header("x-ms-error-code", self.code);
        for (name, value) in &self.headers {
            reply = reply.header(name, value);
        }
        reply
    }

    fn full_message(&self, request_id: &str) -> String {
        format!("{}\nRequestId:{request_id}\nTime:{}", self.message, clock::iso(clock::now()))
    }

    /// As Blob writes it.
    pub(super) fn xml(&self, request_id: &str, head: bool) -> Reply {
        let mut reply = self.start();
        if !head && self.status != 304 {
            let mut xml = Xml::new();
            xml.open("Error").text("Code", self.code).text("Message", &self.full_message(request_id));
            for (name, value) in &self.details {
                xml.text(name, value);
            }
            reply = reply.header("content-type", "application/xml");
            reply.body = xml.close("Error").finish().into();
        }
        reply
    }

    /// As Data Lake Gen2 writes it.
    pub(super) fn json(&self, request_id: &str, head: bool) -> Reply {
        let mut reply = self.start();
        if !head && self.status != 304 {
            let mut error = json!({ "code": self.code, "message": self.full_message(request_id) });
            for (name, value) in &self.details {
                if let Some(error) = error.as_object_mut() {
                    error.insert("detail".to_owned(), json!({ *name: value }));
                }
            }
            reply = reply.header("content-type", "application/json;charset=utf-8");
            reply.body = json!({ "error": error }).to_string().into();
        }
        reply
    }

    /// As Data Lake Gen1 writes it: a Java exception's name is its code. A refused token has the form of the directory's errors.
    pub(super) fn remote_exception(&self) -> Reply {
        let mut reply = self.start().header("content-type", "application/json; charset=utf-8");
        reply.headers.remove("x-ms-error-code");
        let value = if self.status == 401 {
            json!({ "error": { "code": self.code, "message": self.message } })
        } else {
            let class = format!("org.apache.hadoop.fs.adl.{}", self.code);
            json!({ "RemoteException": { "exception": self.code, "message": self.message, "javaClassName": class } })
        };
        reply.body = value.to_string().into();
        reply
    }
}

pub(super) fn no_container() -> Failure {
    Failure::new(404, "ContainerNotFound", "The specified container does not exist.")
}

pub(super) fn no_blob() -> Failure {
    Failure::new(404, "BlobNotFound", "The specified blob does not exist.")
}

pub(super) fn missing_header(name: &str) -> Failure {
    Failure::new(400, "MissingRequiredHeader", "An HTTP header that's mandatory for this request is not specified.")
        .detail("HeaderName", name)
}

pub(super) fn bad_header(name: &str, value: &str) -> Failure {
    Failure::new(400, "InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format.")
        .detail("HeaderName", name)
        .detail("HeaderValue", value)
}

pub(super) fn missing_parameter(name: &str) -> Failure {
    let message = "A query parameter that's mandatory for this request is not specified.";
    Failure::new(400, "MissingRequiredQueryParameter", message).detail("QueryParameterName", name)
}

pub(super) fn bad_parameter(name: &str, value: &str) -> Failure {
    let message = "Value for one of the query parameters specified in the request URI is invalid.";
    Failure::new(400, "InvalidQueryParameterValue", message)
        .detail("QueryParameterName", name)
        .detail("QueryParameterValue", value)
}

pub(super) fn not_implemented(what: &str) -> Failure {
    Failure::new(501, "NotImplemented", format!("The emulator does not have this operation: {what}."))
}
