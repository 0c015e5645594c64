//! Requests a token for an audience that it declares, and that the configuration does not grant.

use guests::bindings::keyward::broker::identity;

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    format!("{:?}", identity::get_token("arm"))
}
