//! What to do about an error of a call.

use keyward_policy::authorize::Violation;
use keyward_policy::config::caller::mount_caller_header;
use keyward_policy::text::{one_of, toml_key};

use super::CallError;

impl CallError {
    /// What to do about it, as a sentence without a full stop; `None` where there is no advice.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::UnknownMount { known, .. } if known.is_empty() => {
                Some("Configure a mount: a section [mount.NAME]".to_owned())
            }
            Self::UnknownMount { known, .. } => {
                let known = one_of(known.iter().map(String::as_str));
                Some(format!("The first segment of the path names the mount: {known}"))
            }
            Self::Override { mount, narrowed_for, field } => {
                Some(Violation::Override(field).help(mount, narrowed_for.as_deref()))
            }
            Self::Busy { mount, .. } => {
                let mount = toml_key(mount);
                Some(format!("To allow more, raise `concurrency` in [mount.{mount}.limits]"))
            }
            Self::Waited { mount, .. } => {
                let mount = toml_key(mount);
                Some(format!(
                    "To allow more, raise `concurrency` in [mount.{mount}.limits]; `queue_time` \
                     there is how long a call waits"
                ))
            }
            Self::CallerDenied(denied) => Some(denied.help()),
            Self::Locked { target, .. } => Some(format!(
                "No configuration allows it: `keyward unlock{}`, by the daemon's user or root, \
                 lifts the lock",
                target.arguments()
            )),
            Self::RateLimited { mount, name, .. } => {
                Some(format!("To allow more, raise `rate` in {}", mount_caller_header(mount, name)))
            }
            Self::CallerBusy { mount, name, .. } => Some(format!(
                "To allow more, raise `concurrency` in {}, which is at most that of the mount",
                mount_caller_header(mount, name)
            )),
            Self::Stopping { .. } => Some("Send the request again in a moment".to_owned()),
            Self::CutOff { .. } => Some(
                "`grace` in [listen] is how long calls may go on. The service may have carried out \
                 the request"
                    .to_owned(),
            ),
            Self::NotAllowed(denied) => Some(denied.help()),
            Self::Minting(denied) => Some(denied.help()),
            Self::Redirect(denied) => Some(denied.help()),
            Self::ForbiddenAddress { .. } => Some(
                "If that address is correct, write \"HOST:PORT\" = \"ADDRESS:PORT\" in \
                 [egress.resolve]; link-local and metadata addresses are never permitted"
                    .to_owned(),
            ),
            Self::Limit { mount, limit } => {
                let (mount, key) = (toml_key(mount), limit.key());
                Some(format!("`{key}` in [mount.{mount}.limits] sets this limit"))
            }
            Self::HeaderFieldsTooLarge { mount, .. } => {
                let mount = toml_key(mount);
                Some(format!("To allow more, raise `header_bytes` in [mount.{mount}.limits]"))
            }
            Self::ExportOff { mount, operation, audience } => {
                Some(how_to_hand_out(mount, operation.as_deref(), audience.as_deref()))
            }
            Self::Violation { mount, narrowed_for, violation }
            | Self::Caller { mount, narrowed_for, violation } => {
                Some(violation.help(mount, narrowed_for.as_deref()))
            }
            Self::BadRequest { .. }
            | Self::SlowBody { .. }
            | Self::IncompleteBody
            | Self::Trapped { .. }
            | Self::NoResponse { .. }
            | Self::Unsealable { .. }
            | Self::Unsearchable { .. }
            | Self::TokenEchoed { .. }
            | Self::Truncated { .. }
            | Self::NotStarted { .. } => None,
        }
    }

    /// The message, with the help behind it.
    #[must_use]
    pub fn detail(&self) -> String {
        match self.help() {
            None => self.to_string(),
            Some(help) => format!("{self}. {help}"),
        }
    }
}

fn how_to_hand_out(mount: &str, operation: Option<&str>, audience: Option<&str>) -> String {
    match (operation, audience) {
        (Some(operation), None) => {
            format!("To allow it, write hand_out = [{operation:?}] in [mount.{}]", toml_key(mount))
        }
        (Some(operation), Some(audience)) => format!(
            "To allow it, write hand_out = [{operation:?}] in [mount.{mount}], and grant its \
             audience by a section \
             [mount.{mount}.audience.{}]",
            toml_key(audience),
            mount = toml_key(mount)
        ),
        (None, _) => {
            "No configuration allows it: the plugin offers no credential that a mount can \
                      hand out here"
                .to_owned()
        }
    }
}
