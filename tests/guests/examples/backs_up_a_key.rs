//! Asks for a key's backup, with a manifest that calls the vault its own.

use guests::Wanted;
use guests::bindings::wasi::http::types::Method;
use guests::sas::surrogate;

guests::attack!(attack, "../own_vault.toml");

fn attack<R>(_: &R) -> String {
    let wanted =
        Wanted { method: Method::Post, ..Wanted::get("/keys/signing/backup?api-version=7.4") };
    wanted.authorized(&surrogate("own")).header("content-length", "0").send()
}
