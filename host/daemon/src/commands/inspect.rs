//! `keyward inspect`: shows what a plugin declares in its manifest.

use std::borrow::Cow;

use keyward_policy::cloud::Cloud;
use keyward_policy::manifest::{DeclaredAudience, DeclaredSeal, Manifest, ResolvedService};
use keyward_policy::plan::{disabled_features_of, sha256, warning};
use serde_json::{Value, json};

use crate::cli::{Format, Inspect};
use crate::config::bundled;
use crate::exit::{Exit, Failure};
use crate::output::{fit, print_line, width};

/// The column where the values of an audience start.
const VALUES: usize = 16;

pub(crate) fn inspect(inspect: &Inspect) -> Result<Exit, Failure> {
    // The command line accepts only known names.
    let cloud = Cloud::named(&inspect.cloud)
        .ok_or_else(|| Failure::usage(format!("unknown cloud {}", inspect.cloud)))?;
    let component = component(&inspect.plugin)?;
    let manifest = Manifest::of_component(&inspect.plugin, &component)
        .map_err(|error| Failure::config(format!("{}: {error}", inspect.plugin)))?;
    match inspect.format {
        Format::Table => {
            let text = manifest_text(&manifest, &component, cloud, &inspect.cloud);
            print_line(&fit(&text, VALUES, width()))?;
        }
        Format::Json => print_line(&format!("{:#}", manifest_json(&manifest, &component, cloud)))?,
    }
    Ok(Exit::Success)
}

fn component(plugin: &str) -> Result<Cow<'static, [u8]>, Failure> {
    let plugins = bundled();
    if let Some(component) = plugins.get(plugin) {
        return Ok(component.clone());
    }
    std::fs::read(plugin).map(Cow::Owned).map_err(|error| {
        let names: Vec<&str> = plugins.names().collect();
        let names = names.join(", ");
        Failure::config(format!(
            "{plugin} is neither a bundled plugin ({names}) nor a file: {error}"
        ))
    })
}

/// The manifest as text, like the permissions that an app requests when it is installed.
fn manifest_text(manifest: &Manifest, component: &[u8], cloud: &Cloud, cloud_name: &str) -> String {
    let mut text = format!("{}: {}\n", manifest.name, manifest.summary);
    if let Some(version) = &manifest.version {
        text.push_str(&format!("version {version}\n"));
    }
    text.push_str(&format!("{} KiB, sha256 {}\n\n", component.len() / 1024, sha256(component)));
    let off = disabled_features_of(component);
    if !off.is_empty() {
        text.push_str(&format!(
            "warning: it uses {}, which is disabled: it cannot be mounted\n",
            off.join(" and ")
        ));
    }
    text.push_str(
        "It never sees a token. Its sandbox has no files, no environment and no sockets.\n",
    );
    text.push_str(&format!("In the cloud `{cloud_name}` it requests tokens for:\n"));
    for (number, audience) in manifest.audiences.iter().enumerate() {
        text.push_str(&format!("\n  {}{}\n", audience.name, audience_role(audience, number)));
        match audience.resolve(cloud) {
            Ok(services) => {
                for service in services {
                    let hosts: Vec<String> =
                        service.hosts.iter().map(ToString::to_string).collect();
                    let hosts = hosts.join(", ");
                    let audience = &service.audience;
                    text.push_str(&format!(
                        "    tokens for  {audience}\n    at          {hosts}\n"
                    ));
                }
            }
            Err(error) => text.push_str(&format!("    {}\n", error.message)),
        }
        if let Some(warning) = warning(audience, cloud) {
            text.push_str(&format!("    warning     {warning}\n"));
        }
        match &audience.allow {
            None => text.push_str("    to send     what the configuration allows\n"),
            Some(patterns) => {
                for (number, pattern) in patterns.iter().enumerate() {
                    let title = if number == 0 { "to send" } else { "" };
                    text.push_str(&format!("    {title:11} {pattern}\n"));
                }
            }
        }
        for seal in &audience.seal {
            let DeclaredSeal { field, spend, .. } = seal;
            text.push_str(&format!(
                "    sealed      {field}: only for `{spend}`, hidden from the plugin and callers\n"
            ));
            if let Some(export) = &seal.export {
                text.push_str(&format!(
                    "                or handed out to callers by {export}, with `hand_out`\n"
                ));
            }
        }
    }
    if !manifest.settings.is_empty() {
        text.push_str("\nIts settings:\n\n");
    }
    for (name, setting) in &manifest.settings {
        let values = Some(setting.expected()).filter(|expected| !expected.is_empty());
        let values = values.map(|expected| format!(", {expected}")).unwrap_or_default();
        let default = setting
            .default
            .as_ref()
            .map(|default| format!(" (default {default})"))
            .unwrap_or_default();
        let required = if setting.required { ", required" } else { "" };
        let summary = setting.summary.as_deref().unwrap_or("no description");
        text.push_str(&format!("  {name}: {summary}{values}{default}{required}\n"));
    }
    text
}

fn audience_role(audience: &DeclaredAudience, number: usize) -> &'static str {
    match (number, audience.optional) {
        (0, _) => ", the mount's endpoint",
        (_, true) => ", optional",
        (_, false) => ", required",
    }
}

fn service_json(service: &ResolvedService) -> Value {
    let hosts: Vec<String> = service.hosts.iter().map(ToString::to_string).collect();
    json!({ "audience": service.audience.as_str(), "hosts": hosts })
}

fn seal_json(seal: &DeclaredSeal) -> Value {
    let place = seal.place.as_str();
    let keep = seal.keep.map(|keep| keep.as_secs());
    let export = seal.export.as_ref().map(ToString::to_string);
    json!({
        "field": seal.field,
        "spend": seal.spend,
        "as": place,
        "keep_seconds": keep,
        "export": export,
    })
}

fn manifest_json(manifest: &Manifest, component: &[u8], cloud: &Cloud) -> Value {
    let audiences: Vec<Value> = manifest
        .audiences
        .iter()
        .map(|audience| {
            let services = audience.resolve(cloud).unwrap_or_default();
            let services: Vec<Value> = services.iter().map(service_json).collect();
            let seal: Vec<Value> = audience.seal.iter().map(seal_json).collect();
            let allow = audience.allow.as_ref();
            let allow = allow.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
            json!({
                "name": audience.name,
                "services": services,
                "warning": warning(audience, cloud),
                "seal": seal,
                "optional": audience.optional,
                "allow": allow,
            })
        })
        .collect();
    let settings: serde_json::Map<String, Value> = manifest
        .settings
        .iter()
        .map(|(name, setting)| {
            let value = json!({
                "summary": setting.summary,
                "values": setting.values,
                "expected": setting.expected(),
                "default": setting.default,
                "required": setting.required,
            });
            (name.clone(), value)
        })
        .collect();
    json!({
        "name": manifest.name,
        "summary": manifest.summary,
        "version": manifest.version,
        "bytes": component.len(),
        "sha256": sha256(component),
        "features_off": disabled_features_of(component),
        "audiences": audiences,
        "settings": settings,
    })
}
