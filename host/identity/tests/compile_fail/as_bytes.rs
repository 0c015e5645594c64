use keyward_identity::AccessToken;

fn leak(token: &AccessToken) -> &[u8] {
    token.as_ref()
}

fn main() {}
