use keyward_identity::AccessToken;

fn leak(token: &AccessToken) -> bytes::Bytes {
    token.header.clone()
}

fn main() {}
