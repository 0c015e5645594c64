//! `keyward emulator`, `keyward dev` and `keyward demo`.

use std::path::Path;

use crate::command_line::{GOOD, path, stdout, written};
use crate::process::{keyward, run};

/// Runs a command until it has printed these words, and returns its output.
fn until(arguments: &[&str], words: &str) -> String {
    use std::io::BufRead;
    let mut command = keyward();
    let mut child = command
        .args(arguments)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut text = String::new();
    for line in std::io::BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok)
    {
        text.push_str(&line);
        text.push('\n');
        if line.contains(words) {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    text
}

#[test]
fn emulator_prints_the_configuration_and_the_environment_to_use_it() {
    let directory = tempfile::tempdir().unwrap();
    let text = until(
        &["emulator", "--directory", directory.path().to_str().unwrap()],
        "# To inject faults",
    );
    for part in [
        "[identity.reports]",
        "[egress.resolve]",
        "export AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(Path::new(directory.path()).join("ca.pem").exists());
    assert!(
        stdout(&["check", "--config", &path(&directory)]).contains("reports"),
        "what it wrote is a good configuration"
    );
}

#[test]
fn an_emulator_overwrites_no_file() {
    for (name, command) in
        [("keyward.toml", "emulator"), ("ca.pem", "emulator"), ("keyward.toml", "dev")]
    {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(name);
        std::fs::write(&file, "mine").unwrap();
        let output = run(&[command, "--directory", directory.path().to_str().unwrap()]);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(71), "{message}");
        assert!(message.contains(name) && message.contains("use another directory"), "{message}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
        assert_eq!(
            std::fs::read_dir(directory.path()).unwrap().count(),
            1,
            "nothing else is left behind"
        );
    }
}

#[test]
fn a_restarted_emulator_keeps_its_addresses_and_edited_files() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["emulator", "--directory", directory.path().to_str().unwrap()];
    let first = until(&arguments, "# To inject faults");
    let file = path(&directory);
    let changed = format!("# mine\n{}", std::fs::read_to_string(&file).unwrap());
    std::fs::write(&file, &changed).unwrap();
    let second = until(&arguments, "# To inject faults");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), changed);
    assert!(second.contains("# mine"), "{second}");
    let imds = |text: &str| {
        text.lines().find(|line| line.starts_with("export AZURE_POD")).unwrap().to_owned()
    };
    assert_eq!(imds(&first), imds(&second), "it is at the same address");
    {
        use std::os::unix::fs::PermissionsExt;
        let state = std::fs::metadata(directory.path().join("emulator.json")).unwrap();
        assert_eq!(
            state.permissions().mode() & 0o077,
            0,
            "only the user can read the authority's key"
        );
    }
    let elsewhere = run(&[&arguments[..], &["--imds", "127.0.0.1:1"]].concat());
    assert_eq!(elsewhere.status.code(), Some(2));
}

#[test]
fn dev_serves_the_configuration_of_the_emulator_in_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    until(&["emulator", "--directory", directory.path().to_str().unwrap()], "# To inject faults");
    let file = path(&directory);
    let socket = directory.path().join("keyward.sock");
    let mut child = keyward()
        .args(["dev", "--config", &file])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let log = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    assert!(log.map_while(Result::ok).any(|line| line.contains(" ready ")));
    let output =
        run(&["call", "--socket", socket.to_str().unwrap(), "vault", "GET", "/secrets/db"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("swordfish"), "{output:?}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn dev_rejects_a_configuration_for_azure_or_another_emulator() {
    let azure = written(GOOD);
    let output = run(&["dev", "--config", &path(&azure)]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{message}");
    assert!(message.contains("does not get its tokens from this emulator"), "{message}");

    let other = tempfile::tempdir().unwrap();
    until(&["emulator", "--directory", other.path().to_str().unwrap()], "# To inject faults");
    std::fs::remove_file(other.path().join("emulator.json")).unwrap();
    let output = run(&["dev", "--config", &path(&other)]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
}

#[test]
fn dev_serves_beside_an_emulator() {
    let directory = tempfile::tempdir().unwrap();
    let text =
        until(&["dev", "--directory", directory.path().to_str().unwrap()], "curl --unix-socket");
    assert!(text.contains("keyward call --socket"), "{text}");
}

#[test]
fn all_steps_of_the_demo_pass() {
    let text = stdout(&["demo"]);
    assert!(text.contains("steps passed.") && !text.contains("FAILED"), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_demo_runs_in_little_address_space() {
    let demo = crate::process::keyward();
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -v 4194304 && exec \"$0\" demo"]).arg(demo.get_program());
    for (name, value) in demo.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let output = limited.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("steps passed.") && !text.contains("FAILED"), "{text} {output:?}");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("the address space of this process is limited to 4096 MiB"), "{log}");
}
