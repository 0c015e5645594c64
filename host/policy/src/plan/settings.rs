//! The settings of a mount's plugin: the values of the configuration, checked against the manifest.

use std::collections::BTreeMap;

use super::mount_planner::MountPlanner;
use crate::config::SettingValue;
use crate::diagnostic::{Diagnostic, Spanned};
use crate::grant::{Grant, NotCovered};
use crate::manifest::{InvalidSetting, Manifest, Setting};
use crate::pattern::Pattern;
use crate::request_head::RequestHead;
use crate::secret_keys::shown;
use crate::text::{nearest, one_of, toml_key};

impl MountPlanner<'_> {
    /// Checks the settings, and returns their values by the names that the plugin reads.
    pub(super) fn settings(
        &mut self,
        manifest: &Manifest,
        grants: &[Grant],
    ) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        let header = self.settings_header();
        for (name, value) in &self.mount.settings {
            let Some(setting) = manifest.settings.get(name) else {
                self.unknown_setting(name, value, manifest);
                continue;
            };
            match (&value.value, setting.table) {
                (SettingValue::String(text), false) => match setting.check(text) {
                    Ok(()) => {
                        variables.insert(format!("setting.{name}"), text.clone());
                        self.check_sent_request(name, text, setting, grants);
                    }
                    Err(InvalidSetting { expected, example }) => {
                        let shown = shown(name, format_args!("{text:?}"));
                        let message =
                            format!("`{shown}` in {header} is not a valid value of this setting");
                        let diagnostic = Diagnostic::new(value.location.clone(), message);
                        let write = format!("{} = {example}", toml_key(name));
                        self.diagnostics.push(diagnostic.expected(expected).write(write));
                    }
                },
                (SettingValue::Table(table), true) => {
                    let entries = table.iter();
                    variables.extend(
                        entries.map(|(key, text)| (format!("setting.{name}.{key}"), text.clone())),
                    );
                }
                (SettingValue::String(_), true) => {
                    let message =
                        format!("the setting `{name}` in {header} is a section, not one value");
                    let write = format!("[mount.{}.settings.{name}]", toml_key(self.name));
                    let diagnostic = Diagnostic::new(value.location.clone(), message);
                    self.diagnostics.push(diagnostic.write(write));
                }
                (SettingValue::Table(_), false) => {
                    let message =
                        format!("the setting `{name}` in {header} is one value, not a section");
                    let diagnostic = Diagnostic::new(value.location.clone(), message);
                    let write = format!("{header}\n{name} = \"...\"");
                    self.diagnostics.push(diagnostic.write(write));
                }
            }
        }
        for (name, setting) in &manifest.settings {
            if let Some(default) = &setting.default {
                let variable = variables.entry(format!("setting.{name}"));
                variable.or_insert_with(|| default.clone());
            }
            self.check_required(name, setting, manifest);
        }
        variables
    }

    fn settings_header(&self) -> String {
        format!("[mount.{}.settings]", toml_key(self.name))
    }

    fn unknown_setting(&mut self, name: &str, value: &Spanned<SettingValue>, manifest: &Manifest) {
        let known = || manifest.settings.keys().map(String::as_str);
        let message = format!("the plugin `{}` has no setting `{name}`", manifest.name);
        let mut diagnostic =
            Diagnostic::new(value.location.clone(), message).expected(one_of(known()));
        if let Some(suggestion) = nearest(name, known()) {
            diagnostic =
                diagnostic.write(format!("{}\n{suggestion} = ...", self.settings_header()));
        }
        self.diagnostics.push(diagnostic);
    }

    /// Reports a required setting that is absent or empty.
    fn check_required(&mut self, name: &str, setting: &Setting, manifest: &Manifest) {
        let needed_by = if setting.required {
            Some(format!("the plugin `{}`", manifest.name))
        } else {
            self.matching_conditions(&setting.required_if, manifest).map(|line| format!("`{line}`"))
        };
        let has_value = self.mount.settings.get(name).is_some_and(|value| match &value.value {
            SettingValue::String(text) => !text.is_empty(),
            SettingValue::Table(_) => true,
        });
        let Some(needed_by) = needed_by.filter(|_| !has_value) else { return };
        let header = self.settings_header();
        let message = format!("{header} lacks `{name}`, which {needed_by} needs");
        let diagnostic = Diagnostic::new(self.mount.location.clone(), message);
        let example =
            setting.check("").err().map_or("\"...\"".to_owned(), |invalid| invalid.example);
        self.diagnostics.push(diagnostic.write(format!("{header}\n{name} = {example}")));
    }

    /// Returns the conditions as lines, if the settings have all these values; `None` if one
    /// differs, or if there are no conditions.
    pub(super) fn matching_conditions(
        &self,
        conditions: &BTreeMap<String, String>,
        manifest: &Manifest,
    ) -> Option<String> {
        let lines = conditions.iter().map(|(name, expected)| {
            let configured = self.mount.settings.get(name).map(|value| &value.value);
            let value = match configured {
                Some(SettingValue::String(text)) => Some(text),
                Some(SettingValue::Table(_)) => None,
                None => manifest.settings.get(name)?.default.as_ref(),
            };
            (value == Some(expected)).then(|| format!("{} = {expected:?}", toml_key(name)))
        });
        let lines: Vec<String> = lines.collect::<Option<_>>()?;
        (!lines.is_empty()).then(|| lines.join(", "))
    }

    /// Reports a value with which the request that the plugin sends would be denied.
    fn check_sent_request(&mut self, name: &str, text: &str, setting: &Setting, grants: &[Grant]) {
        let Some(sends) = &setting.sends else { return };
        let Some(grant) = grants.iter().find(|grant| grant.is_first) else { return };
        let Some((method, path)) = sends.request_with(text) else { return };
        let allowed = grant.allowed.iter().flatten();
        let may_cover =
            |pattern: &&Pattern| pattern.has_method(method) || pattern.operation().is_some();
        let allowed: Vec<String> = allowed.filter(may_cover).map(ToString::to_string).collect();
        // Without a pattern with this method, the mistake is in the patterns, which are reported.
        let head = RequestHead::of_method(method);
        if grant.covers(&head, &path) != Err(NotCovered::NotAllowed) || allowed.is_empty() {
            return;
        }
        let shown = shown(name, format_args!("{text:?}"));
        let request = format!("{method} {}", path.as_str());
        let message = format!(
            "`{shown}` in {} needs the request {request}, which `allow` of {} does not permit",
            self.settings_header(),
            self.header
        );
        let location = self.mount.settings.get(name).and_then(|value| value.location.clone());
        let diagnostic = Diagnostic::new(location, message);
        let diagnostic = diagnostic.expected(format!(
            "a value that {} covers",
            one_of(allowed.iter().map(String::as_str))
        ));
        self.diagnostics.push(diagnostic.write(format!("allow = [{request:?}]")));
    }
}
