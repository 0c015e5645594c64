use keyward_identity::AccessToken;

fn leak(token: AccessToken) -> String {
    token.into()
}

fn main() {}
