//! The README and the pages in docs: commands, configurations, links and names of files are right.
//!
//! Each page is followed from its top, in a directory of its own and beside an emulator:
//!
//! - A `toml` block is a whole configuration, and becomes `keyward.toml`. After `<!-- partial -->`
//!   it is a part of one, and after `<!-- manifest -->` a plugin's manifest, whose component
//!   becomes `plugins/NAME.wasm`.
//! - The commands of a `console` block begin with `$ ` and are run by the shell. One that ends in `
//!   &` runs until the end of the page. The others must succeed, unless `$ echo $?` shows their
//!   exit code. Below a command is what it prints; a line `...` is any number of lines, and `...`
//!   in a line any part of it. After `<!-- not run: WHY -->` a block is not run.
//! - The targets of `make` in `sh` blocks are in the Makefile.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use keyward::manifest::Manifest;
use keyward_emulator::{Emulator, Options};
use keyward_policy::cloud::NamedOperations;
use rustix::process::{Pid, Signal, kill_process};

use crate::command_line::component;
use crate::process::{keyward_nowhere, resolve_with_sql};
use crate::skip::skip;

/// Console blocks that are not run.
const NOT_RUN: [&str; 1] = ["it asks the machine's own metadata service"];

/// What a command in the background prints when it is ready.
const READY: [&str; 3] = [" ready ", "Running; press", "emulator is running"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The README and the pages in docs, by their paths from the root, with their texts.
fn pages() -> Vec<(String, String)> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    let mut names: Vec<String> = docs
        .map(|entry| format!("docs/{}", entry.unwrap().file_name().to_str().unwrap()))
        .collect();
    names.retain(|name| name.ends_with(".md"));
    names.push("README.md".to_owned());
    names.sort();
    names
        .into_iter()
        .map(|name| (name.clone(), std::fs::read_to_string(root().join(name)).unwrap()))
        .collect()
}

#[test]
fn the_page_on_permissions_has_all_operations() {
    let page = std::fs::read_to_string(root().join("docs/permissions.md")).unwrap();
    for service in ["blob", "dfs", "datalake", "vault", "appconfig", "arm", "sql"] {
        for operation in NamedOperations::of(service).unwrap().iter() {
            let row = format!("| `{}` | {} |", operation.name, operation.summary);
            assert!(page.contains(&row), "{service}: {row}");
        }
    }
}

/// All names of functions in the sources of a directory.
fn functions(directory: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            if entry.file_name() != "target" {
                functions(&path, names);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            let after = text.split("fn ").skip(1);
            let is_letter = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '_';
            names.extend(after.map(|text| text.chars().take_while(is_letter).collect::<String>()));
        }
    }
}

#[test]
fn the_tests_that_the_page_on_hostile_callers_names_exist() {
    let mut known = BTreeSet::new();
    ["host", "tests", "plugins"].iter().for_each(|name| functions(&root().join(name), &mut known));
    let page = std::fs::read_to_string(root().join("docs/hostile-callers.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let tests: Vec<&str> = rows
        .filter_map(|row| row.rsplit(" | ").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    assert!(tests.len() > 50, "{tests:?}");
    let unknown: Vec<&&str> = tests.iter().filter(|test| !known.contains(**test)).collect();
    assert!(unknown.is_empty(), "no test has these names: {unknown:?}");
}

/// A fenced block.
struct Block {
    language: String,
    /// The comment before it.
    note: String,
    text: String,
    /// Where it begins, for messages.
    place: String,
}

fn blocks(page: &str, text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut open, mut note) = (false, String::new());
    for (number, line) in text.lines().enumerate() {
        if open {
            open = line != "```";
            if let (true, Some(block)) = (open, blocks.last_mut()) {
                block.text.push_str(line);
                block.text.push('\n');
            }
        } else if let Some(language) = line.strip_prefix("```") {
            open = true;
            let place = format!("{page}:{}", number + 1);
            let note = std::mem::take(&mut note);
            blocks.push(Block { language: language.to_owned(), note, text: String::new(), place });
        } else if let Some(comment) =
            line.strip_prefix("<!-- ").and_then(|line| line.strip_suffix(" -->"))
        {
            comment.clone_into(&mut note);
        } else if !line.is_empty() {
            note.clear();
        }
    }
    blocks
}

/// A page's reader: a directory, an emulator of Azure, and what runs in the background.
struct Reader {
    directory: tempfile::TempDir,
    emulator: Emulator,
    /// What the emulator runs on.
    _runtime: tokio::runtime::Runtime,
    background: Vec<Background>,
    /// The exit code of the last command.
    last: i32,
    /// The hash of the last component.
    sha256: String,
}

/// A command that runs until it is told to stop, or the test fails.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Reader {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let emulator = runtime.block_on(Emulator::start(Options::default())).unwrap();
        for name in ["bin", "home", "run", "work/plugins"] {
            std::fs::create_dir_all(directory.path().join(name)).unwrap();
        }
        let program = keyward_nowhere().get_program().to_owned();
        std::os::unix::fs::symlink(program, directory.path().join("bin/keyward")).unwrap();
        std::fs::write(directory.path().join("ca.pem"), emulator.ca_pem()).unwrap();
        Self {
            directory,
            emulator,
            _runtime: runtime,
            background: Vec::new(),
            last: 0,
            sha256: String::new(),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A command in the reader's directory, with the environment of the tests.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, value) in keyward_nowhere().get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.at("bin").display()));
        command
            .env("HOME", self.at("home"))
            .env("XDG_RUNTIME_DIR", self.at("run"))
            .env("COLUMNS", "100");
        command.current_dir(self.at("work")).stdin(Stdio::null());
        command
    }

    fn check(&self, block: &Block, file: &str, text: &str) {
        std::fs::write(self.at("work").join(file), text).unwrap();
        let output = self.command("keyward").args(["check", "--config", file]).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {message}", block.place);
    }

    fn toml(&mut self, block: &Block) {
        let text = block.text.replace("sha256 = \"...\"", &format!("sha256 = \"{}\"", self.sha256));
        match block.note.as_str() {
            "" => {
                self.check(block, "keyward.toml", &text);
                self.check(block, "keyward.toml", &self.at_the_emulator(&text));
            }
            "partial" => {
                let mut whole = text;
                for (section, keys) in
                    [("[identity.default]", "source = \"imds\""), ("[mount.", "plugin = \"arm\"")]
                {
                    if !whole.lines().any(|line| line.starts_with(section)) {
                        let section = if section == "[mount." { "[mount.other]" } else { section };
                        whole.push_str(&format!("{section}\n{keys}\n"));
                    }
                }
                self.check(block, "partial.toml", &whole);
            }
            "manifest" => {
                let manifest =
                    Manifest::parse(&block.place, &text).unwrap_or_else(|error| panic!("{error}"));
                let component = component(&text);
                self.sha256 = keyward_policy::plan::sha256(&component);
                std::fs::write(
                    self.at("work/plugins").join(format!("{}.wasm", manifest.name)),
                    component,
                )
                .unwrap();
            }
            note => panic!("{}: unknown note {note:?}", block.place),
        }
    }

    /// A configuration for Azure, brought to the emulator.
    fn at_the_emulator(&self, text: &str) -> String {
        let imds = format!("endpoint = \"{}\"\nsource = \"imds\"", self.emulator.imds_url());
        let resolve = resolve_with_sql(&self.emulator);
        let text = text.replace("source = \"imds\"", &imds);
        let ca = self.at("ca.pem");
        let tls = format!("[tls]\nca_files = [{ca:?}]\nsystem_roots = false\n");
        format!("{text}\n[egress.resolve]\n{resolve}{tls}")
    }

    fn console(&mut self, block: &Block) {
        let mut commands: Vec<(&str, Vec<&str>)> = Vec::new();
        for line in block.text.lines() {
            match (line.strip_prefix("$ "), commands.last_mut()) {
                (Some(command), _) => commands.push((command, Vec::new())),
                (None, Some((_, output))) => output.push(line),
                (None, None) => panic!("{}: output before the first command", block.place),
            }
        }
        for (number, (command, expected)) in commands.iter().enumerate() {
            let place = format!("{}: {command}", block.place);
            if let Some(command) = command.strip_suffix(" &") {
                self.start(command, &place);
                continue;
            }
            let shows_code = commands.get(number + 1).is_some_and(|(next, _)| *next == "echo $?");
            self.run(command, expected, shows_code, &place);
        }
    }

    fn run(&mut self, command: &str, expected: &[&str], may_fail: bool, place: &str) {
        let program = command.split(' ').next().unwrap_or_default();
        let has_curl =
            || Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_ok();
        if program == "curl" && !has_curl() {
            skip("commands with curl in the documentation", "there is no curl", "KEYWARD_PEERS");
            return;
        }
        let script = format!("(exit {})\n{command}", self.last);
        let output = self.command("sh").args(["-c", &script]).output().unwrap();
        self.last = output.status.code().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(self.last == 0 || may_fail, "{place} ended with {}\n{stdout}\n{stderr}", self.last);
        let printed = if self.last != 0 && stdout.is_empty() { &stderr } else { &stdout };
        let lines: Vec<&str> = printed.lines().collect();
        let same = expected.is_empty() || matches(expected, &lines);
        assert!(same, "{place} printed\n{printed}\nand not\n{}", expected.join("\n"));
    }

    /// Starts a command in the background, and waits until it is ready.
    fn start(&mut self, command: &str, place: &str) {
        let mut shell = self.command("sh");
        shell.args(["-c", &format!("exec {command} 2>&1")]).stdout(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let (sender, lines) = std::sync::mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // Later output is read and discarded.
                drop(sender.send(line));
            }
        });
        self.background.push(Background(child));
        let mut printed = String::new();
        while let Ok(line) = lines.recv() {
            if READY.iter().any(|words| line.contains(words)) {
                return;
            }
            printed.push_str(&format!("{line}\n"));
        }
        panic!("{place} ended before it was ready:\n{printed}");
    }

    /// Ends what runs in the background, the last first.
    fn end(mut self, page: &str) {
        for mut command in self.background.drain(..).rev() {
            kill_process(Pid::from_child(&command.0), Signal::TERM).unwrap();
            assert_eq!(command.0.wait().unwrap().code(), Some(0), "{page}");
        }
    }
}

/// Whether lines are as shown. `...` is any number of lines, and in a line any part of it.
fn matches(expected: &[&str], lines: &[&str]) -> bool {
    match (expected, lines) {
        ([], []) => true,
        (["...", rest @ ..], _) => {
            (0..=lines.len()).any(|skipped| matches(rest, &lines[skipped..]))
        }
        ([shown, rest @ ..], [line, more @ ..]) => {
            line_matches(shown.trim_end(), line.trim_end()) && matches(rest, more)
        }
        _ => false,
    }
}

fn line_matches(shown: &str, line: &str) -> bool {
    let Some((beginning, rest)) = shown.split_once("...") else { return shown == line };
    let Some(line) = line.strip_prefix(beginning.trim_end()) else { return false };
    let ends = line.char_indices().map(|(at, _)| at).chain([line.len()]);
    ends.into_iter().any(|at| line_matches(rest, &line[at..]))
}

#[test]
fn commands_and_configurations_of_the_documentation_do_what_they_show() {
    let mut not_run = Vec::new();
    for (page, text) in pages() {
        let blocks = blocks(&page, &text);
        let is_followed = |block: &Block| matches!(block.language.as_str(), "toml" | "console");
        if !blocks.iter().any(is_followed) {
            continue;
        }
        let mut reader = Reader::new();
        for block in blocks {
            match (block.language.as_str(), block.note.strip_prefix("not run: ")) {
                ("toml", _) => reader.toml(&block),
                ("console", Some(reason)) => {
                    println!("not run: {}: {reason}", block.place);
                    not_run.push(reason.to_owned());
                }
                ("console", None) => reader.console(&block),
                ("json", _) => {
                    let read = serde_json::from_str::<serde_json::Value>(&block.text);
                    assert!(read.is_ok(), "{}: {read:?}", block.place);
                }
                ("sh" | "rust" | "python" | "ini" | "yaml", _) => {}
                (language, _) => panic!("{}: what is to be done with {language:?}?", block.place),
            }
        }
        reader.end(&page);
    }
    assert_eq!(not_run, NOT_RUN);
}

#[test]
fn targets_of_make_in_the_documentation_are_in_the_makefile() {
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let targets: BTreeSet<&str> =
        makefile.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
    let mut found = 0;
    for (page, text) in pages() {
        let in_blocks = text.lines().filter_map(|line| line.strip_prefix("make "));
        let in_sentences = text.split("`make ").skip(1);
        for rest in in_blocks.chain(in_sentences) {
            let target = rest.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap();
            assert!(targets.contains(target), "{page}: make {target}");
            found += 1;
        }
    }
    assert!(found > 5, "{found}");
}

/// The anchor that a heading has on the web.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(kept)
        .collect::<String>()
        .replace(' ', "-")
}

#[test]
fn links_of_the_documentation_lead_to_files_and_headings() {
    let mut found = 0;
    for (page, text) in pages() {
        let directory = root().join(&page).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, heading) =
                link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
            let target = if file.is_empty() { root().join(&page) } else { directory.join(file) };
            assert!(target.exists(), "{page}: {link}");
            if let Some(heading) = heading {
                let target = std::fs::read_to_string(target).unwrap();
                let anchors: Vec<String> =
                    target.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
                assert!(anchors.iter().any(|anchor| anchor == heading), "{page}: {link}");
            }
            found += 1;
        }
    }
    assert!(found > 20, "{found}");
}

#[test]
fn files_that_the_pages_for_contributors_name_exist() {
    let mut found = 0;
    for page in ["docs/ARCHITECTURE.md", "docs/CONTRIBUTING.md", "docs/SECURITY.md"] {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        for span in text.split('`').skip(1).step_by(2) {
            let is_path = span.contains('/')
                && !span.contains([' ', ':', '@', '<'])
                && !span.starts_with('/');
            if !is_path || !(span.ends_with('/') || span.contains('.')) {
                continue;
            }
            // What is in a directory whose name is the reader's, or has a `*`, is not looked for.
            let known = span
                .split_inclusive('/')
                .take_while(|part| !part.contains("NAME") && !part.contains('*'));
            let known: String = known.collect();
            let exists = ["", "host"].iter().any(|base| root().join(base).join(&known).exists());
            assert!(exists, "{page}: {span}");
            found += 1;
        }
    }
    assert!(found > 60, "{found}");
}

#[test]
fn every_member_of_an_audit_record_is_documented() {
    let source = std::fs::read_to_string(root().join("host/broker/src/audit/mod.rs")).unwrap();
    let record = source.split("pub struct Record {").nth(1).unwrap().split("\n}").next().unwrap();
    let fields = record.lines().filter_map(|line| line.strip_prefix("    pub ")?.split(':').next());
    let page = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let audit = page.split("\n## Audit\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = audit.lines().filter(|line| line.starts_with("| `"));
    let documented =
        rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2));
    assert_eq!(documented.collect::<BTreeSet<_>>(), fields.collect::<BTreeSet<_>>());
}

#[test]
fn the_readme_is_short_and_begins_with_two_commands() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.lines().count() < 150, "what more there is to say belongs into docs");
    // `scripts/fresh-machine` finds them so.
    for command in ["make demo", "make test"] {
        assert!(readme.lines().any(|line| line.starts_with(&format!("{command}  "))), "{command}");
    }
}

#[test]
fn output_is_compared_line_by_line() {
    for (expected, lines) in [
        (&["a", "b"][..], &["a", "b"][..]),
        (&["a..."], &["abc"]),
        (&["a...c...e"], &["abcde"]),
        (&["..."], &[]),
        (&["a", "...", "d"], &["a", "b", "c", "d"]),
        (&["...", "c", "..."], &["a", "c"]),
    ] {
        assert!(matches(expected, lines), "{expected:?} {lines:?}");
    }
    for (expected, lines) in [
        (&["a"][..], &["a", "b"][..]),
        (&["a...c"], &["ab"]),
        (&["a", "..."], &["b"]),
        (&["a"], &[]),
    ] {
        assert!(!matches(expected, lines), "{expected:?} {lines:?}");
    }
}
