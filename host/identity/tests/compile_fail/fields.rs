use keyward_identity::AccessToken;

fn leak(token: &AccessToken) -> bytes::Bytes {
    token.held.header.clone()
}

fn main() {}
