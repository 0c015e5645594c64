//! What a client certificate says about its holder: names, and until when they are valid.
//!
//! The verifier has parsed the certificate already, and skips names that it does not understand. A
//! rule such as "exactly one URI" needs all of them, so here everything must be understood.

use std::time::{Duration, SystemTime};

use yasna::models::ObjectIdentifier;
use yasna::tags::{TAG_GENERALIZEDTIME, TAG_UTCTIME};
use yasna::{ASN1Error, ASN1ErrorKind, ASN1Result, BERReader, Tag, TagClass};

/// `id-ce-subjectAltName`.
const SUBJECT_ALT_NAME: [u64; 4] = [2, 5, 29, 17];

/// Tags of names ([RFC 5280, 4.2.1.6]).
///
/// [RFC 5280, 4.2.1.6]: https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.6
const DNS_NAME: u64 = 2;
const URI: u64 = 6;
const LAST_KIND: u64 = 8;

/// A certificate's validity and its alternative names, as they are written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contents {
    /// `notAfter`.
    pub(super) expires: SystemTime,
    pub(super) uris: Vec<Vec<u8>>,
    pub(super) dns: Vec<Vec<u8>>,
}

/// Parses a certificate.
///
/// # Errors
///
/// Any part of it is malformed, or is not of a kind that RFC 5280 has.
pub(super) fn parse(certificate: &[u8]) -> ASN1Result<Contents> {
    let signed = yasna::parse_der(certificate, |reader| {
        reader.read_sequence(|reader| {
            let signed = reader.next().read_der()?;
            let _algorithm = reader.next().read_der()?;
            let _signature = reader.next().read_der()?;
            Ok(signed)
        })
    })?;
    yasna::parse_der(&signed, |reader| {
        reader.read_sequence(|reader| {
            let _version = reader.read_optional(|reader| {
                reader.read_tagged(Tag::context(0), |reader| reader.read_u8())
            })?;
            for _number_algorithm_issuer in 0..3 {
                reader.next().read_der()?;
            }
            let expires = reader.next().read_sequence(|reader| {
                let _not_before = time(reader.next())?;
                time(reader.next())
            })?;
            for _subject_key in 0..2 {
                reader.next().read_der()?;
            }
            for id in [1, 2] {
                reader.read_optional(|reader| {
                    reader
                        .read_tagged_implicit(Tag::context(id), |reader| reader.read_bitvec_bytes())
                })?;
            }
            let names = reader
                .read_optional(|reader| reader.read_tagged(Tag::context(3), alternative_names))?;
            let mut contents = Contents { expires, uris: Vec::new(), dns: Vec::new() };
            if let Some(names) = names.flatten() {
                sort(&names, &mut contents)?;
            }
            Ok(contents)
        })
    })
}

/// Seconds since 1970, which no certificate is older than.
fn time(reader: BERReader<'_, '_>) -> ASN1Result<SystemTime> {
    let seconds = match reader.lookahead_tag()? {
        TAG_UTCTIME => reader.read_utctime()?.datetime().unix_timestamp(),
        TAG_GENERALIZEDTIME => reader.read_generalized_time()?.datetime().unix_timestamp(),
        _ => return Err(invalid()),
    };
    let seconds = u64::try_from(seconds).unwrap_or_default();
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).ok_or_else(invalid)
}

/// The value of the extension with the alternative names, which may be there once.
fn alternative_names(reader: BERReader<'_, '_>) -> ASN1Result<Option<Vec<u8>>> {
    let mut found = None;
    reader.read_sequence_of(|reader| {
        reader.read_sequence(|reader| {
            let id = reader.next().read_oid()?;
            let _is_critical = reader.read_default(false, |reader| reader.read_bool())?;
            let value = reader.next().read_bytes()?;
            if id == ObjectIdentifier::from_slice(&SUBJECT_ALT_NAME)
                && found.replace(value).is_some()
            {
                return Err(invalid());
            }
            Ok(())
        })
    })?;
    Ok(found)
}

/// Sorts names by their kinds.
fn sort(names: &[u8], contents: &mut Contents) -> ASN1Result<()> {
    yasna::parse_der(names, |reader| {
        reader.read_sequence_of(|reader| {
            let tag = reader.lookahead_tag()?;
            if tag.tag_class != TagClass::ContextSpecific || tag.tag_number > LAST_KIND {
                return Err(invalid());
            }
            let kind = match tag.tag_number {
                DNS_NAME => &mut contents.dns,
                URI => &mut contents.uris,
                _ => return reader.read_der().map(drop),
            };
            kind.push(reader.read_tagged_implicit(tag, |reader| reader.read_bytes())?);
            Ok(())
        })
    })
}

fn invalid() -> ASN1Error {
    ASN1Error::new(ASN1ErrorKind::Invalid)
}
