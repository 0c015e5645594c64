use keyward_identity::AccessToken;

fn leak(token: &AccessToken) -> bytes::Bytes {
    token.inner.header.clone()
}

fn main() {}
