use keyward_identity::AccessToken;

fn log(token: &AccessToken) -> String {
    format!("{token}")
}

fn main() {}
