//! Compiles plugins and makes components of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use keyward_toolchain::{SearchPaths, Toolchain};
use serde_json::Value;
use wit_component::ComponentEncoder;

use crate::command;
use crate::error::Error;

/// A build of packages of one workspace.
#[derive(Clone, Debug)]
pub struct Build {
    workspace: PathBuf,
    packages: Vec<String>,
    examples_of: Option<String>,
}

/// A component, and the name of its library.
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
    /// See [`Error`]. The compiler's messages go to standard error.
    pub fn run(self) -> Result<Vec<Component>, Error> {
        let paths = SearchPaths::from_env();
        let target = command::target_dir(&paths.cargo, &self.workspace)?;
        let toolchain = Toolchain::find(&paths, &target)?;
        let mut command = command::cargo_build(&toolchain, &self.workspace, &target);
        command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
        for package in self.examples_of.iter().chain(&self.packages) {
            command.args(["--package", package]);
        }
        if self.examples_of.is_some() {
            command.arg("--examples");
        }
        let output = command::output(&mut command)?;
        if !output.status.success() {
            return Err(Error::Compile { workspace: self.workspace });
        }

        let mut modules = BTreeMap::new();
        for line in output.stdout.split(|byte| *byte == b'\n') {
            let Ok(message) = serde_json::from_slice::<Value>(line) else { continue };
            if let Some((name, path)) = self.requested_library(&message) {
                modules.insert(name, path);
            }
        }
        if let Some(missing) = self.packages.iter().find(|package| !modules.contains_key(*package))
        {
            return Err(Error::NoLibrary { package: missing.clone() });
        }
        modules.into_iter().map(|(name, path)| encode(name, &path)).collect()
    }

    /// The library in a message of Cargo's, if it was requested.
    fn requested_library(&self, message: &Value) -> Option<(String, PathBuf)> {
        let target = message.get("target")?;
        let kinds = target.get("kind")?.as_array()?;
        let is_kind = |kind: &str| kinds.iter().any(|known| known == kind);
        let name = target.get("name")?.as_str()?;
        let package = self.packages.iter().find(|package| package.replace('-', "_") == name);
        let is_requested = match &self.examples_of {
            Some(_) => is_kind("example"),
            None => is_kind("cdylib") && package.is_some(),
        };
        let files = message.get("filenames")?.as_array()?;
        let path = files.iter().filter_map(Value::as_str).find(|path| path.ends_with(".wasm"))?;
        is_requested.then(|| (package.map_or(name, String::as_str).to_owned(), path.into()))
    }
}

fn encode(name: String, path: &Path) -> Result<Component, Error> {
    let module = std::fs::read(path);
    let module = module.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| Error::Encode { name: name.clone(), reason: format!("{error:#}") })?;
    Ok(Component { name, bytes: component })
}
