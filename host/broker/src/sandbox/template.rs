//! Plugins, compiled and linked: what sandboxes are made of.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use wasmtime::component::Linker;
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use super::Engine;
use super::compiled::CompiledDirectory;
use super::linker::linker;
use super::state::State;
use crate::start_error::StartError;
use keyward_policy::plan::Plugin;

/// A plugin, ready to be started for a call.
#[derive(Clone)]
pub(crate) struct Template {
    pub(super) pre: ProxyPre<State>,
    /// The clock of its time limits ticks as long as this is held.
    _engine: Engine,
}

/// What becomes of a plugin while the broker starts. Compiling one takes up to a second for a small
/// one, several for one that brings its language's runtime along.
#[derive(Clone, Debug)]
pub enum CompileEvent<'a> {
    /// It is being compiled.
    Compiling {
        /// What the configuration calls it.
        plugin: &'a str,
        /// Its size in bytes.
        bytes: usize,
    },
    /// It is ready.
    Ready {
        /// What the configuration calls it.
        plugin: &'a str,
        /// Whether it had been compiled before, and was found.
        found: bool,
        /// How long that took.
        took: Duration,
    },
}

/// Makes templates, one for each component, however many mounts it has.
pub(crate) struct Templates<'e, 'o> {
    engine: &'e Engine,
    linker: Linker<State>,
    compiled: Option<CompiledDirectory>,
    made: HashMap<String, Template>,
    on_event: Option<&'o mut dyn FnMut(CompileEvent<'_>)>,
}

impl<'e, 'o> Templates<'e, 'o> {
    pub(crate) fn new(
        engine: &'e Engine,
        compile_cache: Option<&Path>,
        on_event: Option<&'o mut dyn FnMut(CompileEvent<'_>)>,
    ) -> Result<Self, StartError> {
        let linker = linker(&engine.engine).map_err(StartError::engine)?;
        let compiled = compile_cache
            .map(|directory| CompiledDirectory::open(directory, &engine.engine))
            .transpose()?;
        Ok(Self { engine, linker, compiled, made: HashMap::new(), on_event })
    }

    pub(crate) fn template(&mut self, plugin: &Plugin) -> Result<Template, StartError> {
        if let Some(template) = self.made.get(&plugin.sha256) {
            return Ok(template.clone());
        }
        let began = Instant::now();
        let unusable = |error: wasmtime::Error| StartError::unusable(plugin, &error);
        let engine = &self.engine.engine;
        let found =
            self.compiled.as_ref().and_then(|compiled| compiled.find(engine, &plugin.sha256));
        let was_found = found.is_some();
        let component = match found {
            Some(component) => component,
            None => {
                self.tell(CompileEvent::Compiling {
                    plugin: &plugin.label,
                    bytes: plugin.component.len(),
                });
                let component =
                    wasmtime::component::Component::from_binary(engine, &plugin.component);
                let component = component.map_err(unusable)?;
                if let Some(compiled) = &self.compiled {
                    compiled.keep(&plugin.sha256, &component);
                }
                component
            }
        };
        let pre =
            self.linker.instantiate_pre(&component).and_then(ProxyPre::new).map_err(unusable)?;
        let template = Template { pre, _engine: self.engine.clone() };
        self.tell(CompileEvent::Ready {
            plugin: &plugin.label,
            found: was_found,
            took: began.elapsed(),
        });
        self.made.insert(plugin.sha256.clone(), template.clone());
        Ok(template)
    }

    fn tell(&mut self, event: CompileEvent<'_>) {
        if let Some(on_event) = &mut self.on_event {
            on_event(event);
        }
    }
}
