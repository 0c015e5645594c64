//! Runs the compiler and makes components of what it wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use keyward_toolchain::{Places, Toolchain};
use serde_json::Value;
use wit_component::ComponentEncoder;

use crate::{Error, command};

/// A build of some packages of one workspace.
#[derive(Clone, Debug)]
pub struct Build {
    workspace: PathBuf,
    packages: Vec<String>,
    examples_of: Option<String>,
}

/// A component, and the name of the library that it was made of.
#[derive(Clone, Debug)]
pub struct Component {
    /// The library's name: the package's, or the example's.
    pub name: String,
    /// The component.
    pub bytes: Vec<u8>,
}

impl Build {
    /// A build in the workspace at this path.
    #[must_use]
    pub fn new(workspace: impl Into<PathBuf>) -> Self {
        Self { workspace: workspace.into(), packages: Vec::new(), examples_of: None }
    }

    /// Adds a package, whose library is a `cdylib`.
    #[must_use]
    pub fn package(mut self, name: impl Into<String>) -> Self {
        self.packages.push(name.into());
        self
    }

    /// Builds all examples of a package, each a `cdylib`, in place of packages' libraries.
    #[must_use]
    pub fn examples_of(mut self, package: impl Into<String>) -> Self {
        self.examples_of = Some(package.into());
        self
    }

    /// Compiles, and makes a component of each library.
    ///
    /// # Errors
    ///
    /// See [`Error`]. What the compiler says goes to standard error.
    pub fn run(self) -> Result<Vec<Component>, Error> {
        let places = Places::of_this_machine();
        let target = command::target_dir(&places.cargo, &self.workspace)?;
        let toolchain = Toolchain::find(&places, &target)?;
        let mut command = command::cargo_build(&toolchain, &self.workspace, &target);
        command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
        for package in self.examples_of.iter().chain(&self.packages) {
            command.args(["--package", package]);
        }
        if self.examples_of.is_some() {
            command.arg("--examples");
        }
        let output = command.output().map_err(|source| command::spawn(Path::new(command.get_program()), source))?;
        if !output.status.success() {
            return Err(Error::Compile { workspace: self.workspace });
        }

        let mut modules = BTreeMap::new();
        for line in output.stdout.split(|byte| *byte == b'\n') {
            let Ok(message) = serde_json::from_slice::<Value>(line) else { continue };
            if let Some((name, path)) = self.wanted(&message) {
                modules.insert(name, path);
            }
        }
        if let Some(missing) = self.packages.iter().find(|package| !modules.contains_key(*package)) {
            return Err(Error::NoLibrary { package: missing.clone() });
        }
        modules.into_iter().map(|(name, path)| encode(name, &path)).collect()
    }

    /// The library that a message of cargo's announces, where it is one of those asked for.
    fn wanted(&self, message: &Value) -> Option<(String, PathBuf)> {
        let target = message.get("target")?;
        let is = |list: &Value, word: &str| list.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == word));
        let name = target.get("name")?.as_str()?;
        let asked_for = match &self.examples_of {
            Some(_) => is(target.get("kind")?, "example"),
            None => is(target.get("kind")?, "cdylib") && self.packages.iter().any(|p| p.replace('-', "_") == name),
        };
        let files = message.get("filenames")?.as_array()?;
        let path = files.iter().filter_map(Value::as_str).find(|path| path.ends_with(".wasm"))?;
        let package = self.packages.iter().find(|package| package.replace('-', "_") == name);
        asked_for.then(|| (package.map_or(name, String::as_str).to_owned(), PathBuf::from(path)))
    }
}

fn encode(name: String, path: &Path) -> Result<Component, Error> {
    let module = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| Error::Encode { name: name.clone(), why: format!("{error:#}") })?;
    Ok(Component { name, bytes: component })
}
