use keyward_identity::AccessToken;

fn same(a: &AccessToken, b: &AccessToken) -> bool {
    a == b
}

fn main() {}
