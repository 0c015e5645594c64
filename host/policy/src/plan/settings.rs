//! The settings of a mount's plugin: what the configuration has, checked by what the manifest
//! declares.

use std::collections::BTreeMap;

use super::mount::Planning;
use crate::config::SettingValue;
use crate::diagnostic::{Diagnostic, Located};
use crate::grant::{Grant, NotCovered};
use crate::manifest::{InvalidSetting, Manifest, Setting};
use crate::secret_keys::shown;
use crate::text::{bare, nearest, one_of};

impl Planning<'_> {
    /// The settings' values, under the names that the plugin reads them by.
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
                (SettingValue::Text(text), false) => match setting.check(text) {
                    Ok(()) => {
                        variables.insert(format!("setting.{name}"), text.clone());
                        self.sent(name, text, setting, grants);
                    }
                    Err(InvalidSetting { expected, example }) => {
                        let shown = shown(name, format_args!("{text:?}"));
                        let message =
                            format!("`{shown}` in {header} is not a value of this setting");
                        let diagnostic = Diagnostic::new(value.place.clone(), message);
                        let write = format!("{} = {example}", bare(name));
                        self.diagnostics.push(diagnostic.expected(expected).write(write));
                    }
                },
                (SettingValue::Table(table), true) => {
                    let entries = table.iter();
                    variables.extend(
                        entries.map(|(key, text)| (format!("setting.{name}.{key}"), text.clone())),
                    );
                }
                (SettingValue::Text(_), true) => {
                    let message = format!("the setting `{name}` in {header} is a section");
                    let write = format!("[mount.{}.settings.{name}]", bare(self.name));
                    let diagnostic = Diagnostic::new(value.place.clone(), message);
                    self.diagnostics.push(diagnostic.write(write));
                }
                (SettingValue::Table(_), false) => {
                    let message =
                        format!("the setting `{name}` in {header} is one value, not a section");
                    let diagnostic = Diagnostic::new(value.place.clone(), message);
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
            self.required(name, setting, manifest);
        }
        variables
    }

    fn settings_header(&self) -> String {
        format!("[mount.{}.settings]", bare(self.name))
    }

    fn unknown_setting(&mut self, name: &str, value: &Located<SettingValue>, manifest: &Manifest) {
        let known = || manifest.settings.keys().map(String::as_str);
        let message = format!("the plugin `{}` has no setting `{name}`", manifest.name);
        let mut diagnostic =
            Diagnostic::new(value.place.clone(), message).expected(one_of(known()));
        if let Some(suggestion) = nearest(name, known()) {
            diagnostic =
                diagnostic.write(format!("{}\n{suggestion} = ...", self.settings_header()));
        }
        self.diagnostics.push(diagnostic);
    }

    /// Reports a setting that the mount must have, and does not have or has empty.
    fn required(&mut self, name: &str, setting: &Setting, manifest: &Manifest) {
        let needed_by = if setting.required {
            Some(format!("the plugin `{}`", manifest.name))
        } else {
            self.holds(&setting.required_if, manifest).map(|line| format!("`{line}`"))
        };
        let has_value = self.mount.settings.get(name).is_some_and(|value| match &value.value {
            SettingValue::Text(text) => !text.is_empty(),
            SettingValue::Table(_) => true,
        });
        let Some(needed_by) = needed_by.filter(|_| !has_value) else { return };
        let header = self.settings_header();
        let message = format!("{header} lacks `{name}`, which {needed_by} needs");
        let diagnostic = Diagnostic::new(self.mount.place.clone(), message);
        let example =
            setting.check("").err().map_or("\"...\"".to_owned(), |invalid| invalid.example);
        self.diagnostics.push(diagnostic.write(format!("{header}\n{name} = {example}")));
    }

    /// If the settings have all these values: the line that says so. Without conditions, `None`.
    pub(super) fn holds(
        &self,
        conditions: &BTreeMap<String, String>,
        manifest: &Manifest,
    ) -> Option<String> {
        let lines = conditions.iter().map(|(name, expected)| {
            let configured = self.mount.settings.get(name).map(|value| &value.value);
            let value = match configured {
                Some(SettingValue::Text(text)) => Some(text),
                Some(SettingValue::Table(_)) => None,
                None => manifest.settings.get(name)?.default.as_ref(),
            };
            (value == Some(expected)).then(|| format!("{} = {expected:?}", bare(name)))
        });
        let lines: Vec<String> = lines.collect::<Option<_>>()?;
        (!lines.is_empty()).then(|| lines.join(", "))
    }

    /// Reports a value with which the plugin's request would be denied.
    fn sent(&mut self, name: &str, text: &str, setting: &Setting, grants: &[Grant]) {
        let Some(sends) = &setting.sends else { return };
        let Some(grant) = grants.iter().find(|grant| grant.is_first) else { return };
        let Some((method, path)) = sends.request_with(text) else { return };
        let allowed = grant.allowed.iter().flatten();
        let allowed: Vec<String> =
            allowed.filter(|pattern| pattern.has_method(method)).map(ToString::to_string).collect();
        // Without a pattern of this method, the patterns are what is wrong.
        if grant.covers(method, &path) != Err(NotCovered::NotAllowed) || allowed.is_empty() {
            return;
        }
        let shown = shown(name, format_args!("{text:?}"));
        let request = format!("{method} {}", path.as_str());
        let message = format!(
            "`{shown}` in {} needs the request {request}, which `allow` of {} does not permit",
            self.settings_header(),
            self.header
        );
        let place = self.mount.settings.get(name).and_then(|value| value.place.clone());
        let diagnostic = Diagnostic::new(place, message);
        let diagnostic = diagnostic.expected(format!(
            "a value that {} covers",
            one_of(allowed.iter().map(String::as_str))
        ));
        self.diagnostics.push(diagnostic.write(format!("allow = [{request:?}]")));
    }
}
