//! Lists containers and blobs, in pages.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Call;
use crate::messages::{Request, Response};
use crate::storage::blob_store::{Blob, Metadata, PROPERTIES, Revision};
use crate::storage::storage_error::{StorageError, invalid_parameter};
use crate::storage::time_format;
use crate::storage::xml::XmlWriter;

/// The maximum and the default size of a page.
const PAGE: usize = 5000;

/// The parameters of a list request.
struct Page {
    /// The name to start with.
    start: String,
    size: usize,
    prefix: String,
    with_metadata: bool,
}

impl Page {
    fn from_request(request: &Request) -> Result<Self, StorageError> {
        let size = match request.query("maxresults") {
            Some(text) => text
                .parse::<usize>()
                .ok()
                .filter(|size| *size > 0)
                .ok_or_else(|| invalid_parameter("maxresults", text))?,
            None => PAGE,
        };
        let from = match request.query("marker") {
            Some(marker) => {
                decode_marker(marker).ok_or_else(|| invalid_parameter("marker", marker))?
            }
            None => String::new(),
        };
        let include = request.query("include").unwrap_or_default();
        let with_metadata = include.split(',').any(|part| part.trim() == "metadata");
        let prefix = request.query("prefix").unwrap_or_default().to_owned();
        Ok(Self { start: from, size: size.min(PAGE), prefix, with_metadata })
    }

    fn start_xml(&self, request: &Request, container: Option<&str>) -> XmlWriter {
        let mut xml = XmlWriter::new();
        let endpoint = format!("https://{}/", request.host);
        match container {
            Some(container) => xml.open_with(
                "EnumerationResults",
                &[("ServiceEndpoint", &endpoint), ("ContainerName", container)],
            ),
            None => xml.open_with("EnumerationResults", &[("ServiceEndpoint", &endpoint)]),
        };
        for (name, parameter) in [
            ("Prefix", "prefix"),
            ("Marker", "marker"),
            ("MaxResults", "maxresults"),
            ("Delimiter", "delimiter"),
        ] {
            if let Some(value) = request.query(parameter).filter(|value| !value.is_empty()) {
                xml.text(name, value);
            }
        }
        xml
    }
}

/// A marker is opaque, so that no client constructs one.
fn encode_marker(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

fn decode_marker(marker: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(marker).ok()?).ok()
}

fn finish(xml: &mut XmlWriter, next: Option<&str>) -> Response {
    xml.text("NextMarker", &next.map(encode_marker).unwrap_or_default())
        .close("EnumerationResults");
    let mut response = Response::new(200).header("content-type", "application/xml");
    response.body = xml.finish().into();
    response
}

fn write_metadata(xml: &mut XmlWriter, metadata: &Metadata) {
    xml.open("Metadata");
    for (name, value) in metadata {
        xml.text(name, value);
    }
    xml.close("Metadata");
}

fn write_stamp(xml: &mut XmlWriter, revision: &Revision) {
    xml.text("Last-Modified", &time_format::http(revision.modified))
        .text("Etag", revision.etag.trim_matches('"'));
}

pub(super) fn containers(call: &Call<'_>) -> Result<Response, StorageError> {
    let page = Page::from_request(call.request)?;
    let store = call.storage.store();
    let mut xml = page.start_xml(call.request, None);
    let mut all = store
        .containers
        .iter()
        .filter(|(name, _)| name.starts_with(&page.prefix) && **name >= page.start);
    xml.open("Containers");
    for (name, container) in all.by_ref().take(page.size) {
        xml.open("Container").text("Name", name).open("Properties");
        write_stamp(&mut xml, &container.revision);
        xml.text("LeaseStatus", "unlocked").text("LeaseState", "available");
        xml.text("HasImmutabilityPolicy", "false")
            .text("HasLegalHold", "false")
            .close("Properties");
        if page.with_metadata {
            write_metadata(&mut xml, &container.metadata);
        }
        xml.close("Container");
    }
    xml.close("Containers");
    Ok(finish(&mut xml, all.next().map(|(name, _)| name.as_str())))
}

pub(super) fn blobs(call: &Call<'_>) -> Result<Response, StorageError> {
    let page = Page::from_request(call.request)?;
    let delimiter = call.request.query("delimiter").filter(|delimiter| !delimiter.is_empty());
    let store = call.storage.store();
    let container = store.container(&call.target.container)?;
    let mut xml = page.start_xml(call.request, Some(&call.target.container));
    xml.open("Blobs");
    let (mut count, mut next, mut last_prefix) = (0, None, None);
    for (name, blob) in container.blobs.iter().filter(|(name, _)| name.starts_with(&page.prefix)) {
        let folded = delimiter.and_then(|delimiter| {
            let rest = name.get(page.prefix.len()..)?;
            let end = page.prefix.len() + rest.find(delimiter)? + delimiter.len();
            name.get(..end)
        });
        let item = folded.unwrap_or(name);
        if item < page.start.as_str() || folded.is_some() && last_prefix == folded {
            continue;
        }
        if count == page.size {
            next = Some(item);
            break;
        }
        count += 1;
        last_prefix = folded;
        match folded {
            Some(prefix) => drop(xml.open("BlobPrefix").text("Name", prefix).close("BlobPrefix")),
            None => write_blob(&mut xml, name, blob, page.with_metadata),
        }
    }
    xml.close("Blobs");
    Ok(finish(&mut xml, next))
}

fn write_blob(xml: &mut XmlWriter, name: &str, blob: &Blob, with_metadata: bool) {
    xml.open("Blob").text("Name", name).open("Properties");
    xml.text("Creation-Time", &time_format::http(blob.created));
    write_stamp(xml, &blob.revision);
    xml.text("Content-Length", &blob.content.len().to_string());
    for (field, _, element) in PROPERTIES {
        xml.text(element, blob.properties.get(field).map_or("", String::as_str));
    }
    xml.text("BlobType", blob.blob_type.name());
    let (state, status, duration) = blob.lease.header_values();
    xml.text("LeaseStatus", status).text("LeaseState", state);
    if let Some(duration) = duration {
        xml.text("LeaseDuration", duration);
    }
    if blob.is_directory() {
        xml.text("ResourceType", "directory");
    }
    xml.text("ServerEncrypted", "true").close("Properties");
    if with_metadata {
        write_metadata(xml, &blob.metadata);
    }
    xml.text("OrMetadata", "").close("Blob");
}
