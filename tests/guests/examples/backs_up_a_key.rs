//! Requests the backup of a key, with a manifest that declares its own audience for the vault.

use guests::Attempt;
use guests::bindings::wasi::http::types::Method;
use guests::sas::surrogate;

guests::attack!(attack, "../own_vault.toml");

fn attack<R>(_: &R) -> String {
    let attempt =
        Attempt { method: Method::Post, ..Attempt::get("/keys/signing/backup?api-version=7.4") };
    attempt.authorized(&surrogate("own")).header("content-length", "0").send()
}
