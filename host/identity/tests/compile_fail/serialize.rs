use keyward_identity::AccessToken;

fn store(token: &AccessToken) -> String {
    serde_json::to_string(token).unwrap()
}

fn main() {}
