//! The cache of compiled code is used only if no other user can write to it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use keyward::{Broker, CompileEvent, Options, Plugins, StartError};
use keyward_emulator::Emulator;
use keyward_policy::cloud::Cloud;
use keyward_policy::config::{CompileCache, Config, IdentityConfig, MountConfig, PluginRef};

/// Starts a broker with this compile cache, and returns the number of plugins that it compiled.
async fn compiled_in(directory: &Path) -> Result<usize, StartError> {
    let mut config = Config::new(Cloud::named("public").unwrap().clone());
    config.identities.insert("default".to_owned(), IdentityConfig::system_assigned());
    config.mounts.insert("arm".to_owned(), MountConfig::new(PluginRef::Bundled("arm".to_owned())));
    let emulator = Emulator::start(keyward_emulator::Options::default()).await.unwrap();
    config.tls.system_roots = false;
    config.tls.ca_pem.push(emulator.ca_pem().to_owned());
    config.compile_cache = CompileCache::Directory(directory.to_owned());
    let plugins = Plugins::new().with("arm", keyward_bundle::plugin("arm").unwrap().component);
    let mut count = 0;
    let mut on_compile = |event: CompileEvent<'_>| {
        count += usize::from(matches!(event, CompileEvent::Compiling { .. }));
    };
    let options = Options { on_compile: Some(&mut on_compile), ..Options::default() };
    Broker::start_with(keyward::plan(config, &plugins).unwrap(), options)?;
    Ok(count)
}

fn the_file(directory: &Path) -> PathBuf {
    let files: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[tokio::test]
async fn a_damaged_cache_file_is_compiled_again() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("compiled");
    assert_eq!(compiled_in(&at).await.unwrap(), 1);
    assert_eq!(compiled_in(&at).await.unwrap(), 0, "from the cache");
    let whole = fs::read(the_file(&at)).unwrap();
    for torn in [&whole[..whole.len() / 2], &whole[..10], &[], &[0; 4096]] {
        fs::write(the_file(&at), torn).unwrap();
        assert_eq!(compiled_in(&at).await.unwrap(), 1, "{} bytes of {}", torn.len(), whole.len());
        assert_eq!(compiled_in(&at).await.unwrap(), 0, "and kept again");
    }
    let mut changed = whole;
    let last = changed.len() - 1;
    changed[last] ^= 1;
    fs::write(the_file(&at), changed).unwrap();
    assert_eq!(compiled_in(&at).await.unwrap(), 1, "one bit");
}

#[tokio::test]
async fn a_cache_file_that_others_can_write_is_not_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("compiled");
    assert_eq!(compiled_in(&at).await.unwrap(), 1);
    fs::set_permissions(the_file(&at), Permissions::from_mode(0o666)).unwrap();
    assert_eq!(compiled_in(&at).await.unwrap(), 1);
    let file = the_file(&at);
    let elsewhere = directory.path().join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    assert_eq!(compiled_in(&at).await.unwrap(), 1, "a link may lead anywhere");
}

#[tokio::test]
async fn a_cache_directory_that_others_can_write_is_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("compiled");
    fs::create_dir(&at).unwrap();
    fs::set_permissions(&at, Permissions::from_mode(0o777)).unwrap();
    let refused = compiled_in(&at).await.unwrap_err().to_string();
    assert!(refused.contains("others may write") && refused.contains("chmod go-w"), "{refused}");
    assert_eq!(fs::read_dir(&at).unwrap().count(), 0, "nothing is written there");
}
