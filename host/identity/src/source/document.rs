//! Public documents over HTTPS, such as the keys of a token issuer.

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Full;
use zeroize::Zeroizing;

use super::settings::Settings;
use super::transport::Failure;

/// A document that could not be fetched. No message contains a part of a response or of a bearer
/// token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The URL is not one of HTTPS, or a value is not valid in a request.
    #[error("the request is invalid: expected an https:// URL with a host")]
    InvalidRequest,
    /// There is no connection to the server.
    #[error("cannot connect ({reason})")]
    Unreachable {
        /// What failed.
        reason: String,
    },
    /// The server's certificate is not trusted.
    #[error("the server's certificate is not trusted, so no request was sent ({reason})")]
    Untrusted {
        /// What is wrong with the certificate.
        reason: String,
    },
    /// The response is incomplete, too long or late.
    #[error("no complete response ({reason})")]
    Broken {
        /// What failed.
        reason: String,
    },
    /// The server responded with another status than 200. Redirects are not followed.
    #[error("the server responded with status {}, expected 200", status.as_u16())]
    Status {
        /// The status.
        status: StatusCode,
    },
}

/// Fetches a document of up to 64 KiB with `GET`, without retries, redirects or proxies. Of the
/// settings, the time limit of a request, the clock, the trust anchors and the addresses are used.
///
/// # Errors
///
/// [`DocumentError`] if the response is not a complete one with status 200.
pub async fn document(
    settings: &Settings,
    url: &str,
    bearer: Option<&str>,
) -> Result<Vec<u8>, DocumentError> {
    let mut request =
        Request::get(url).body(Full::default()).map_err(|_| DocumentError::InvalidRequest)?;
    if request.uri().scheme() != Some(&http::uri::Scheme::HTTPS) {
        return Err(DocumentError::InvalidRequest);
    }
    let accept = HeaderValue::from_static("application/json, application/jwk-set+json");
    request.headers_mut().insert(ACCEPT, accept);
    if let Some(bearer) = bearer {
        let value = Zeroizing::new(format!("Bearer {bearer}"));
        let mut value = HeaderValue::from_str(&value).map_err(|_| DocumentError::InvalidRequest)?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    let response = settings.transport().send(request).await.map_err(|failure| match failure {
        Failure::Unreachable(reason) => DocumentError::Unreachable { reason },
        Failure::Untrusted(reason) => DocumentError::Untrusted { reason },
        Failure::Broken(reason) => DocumentError::Broken { reason },
    })?;
    if response.status != StatusCode::OK {
        return Err(DocumentError::Status { status: response.status });
    }
    Ok(response.body.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_https_is_used_and_errors_do_not_contain_the_bearer_token() {
        let settings = Settings::default();
        for url in ["http://127.0.0.1:1/keys", "/keys", "127.0.0.1:1", "ftp://127.0.0.1", ""] {
            let error = document(&settings, url, Some("secret")).await.unwrap_err();
            assert_eq!(error, DocumentError::InvalidRequest, "{url}");
        }
        let https = "https://127.0.0.1:1/keys";
        let error = document(&settings, https, Some("secret\n")).await.unwrap_err();
        assert_eq!(error, DocumentError::InvalidRequest);
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}
