//! Every mistake in a configuration is reported with its location, the expected value, and a
//! correction.

use std::path::Path;

use keyward::Plugins;
use keyward_policy::config::Config;

/// The errors of a configuration. Its files are relative to a directory that does not exist.
fn mistakes(text: &str) -> String {
    let plugins = keyward_bundle::PLUGINS.iter();
    let plugins =
        plugins.fold(Plugins::new(), |plugins, plugin| plugins.with(plugin.name, plugin.component));
    let plugins = plugins.with("thief", keyward_bundle::THIEF);
    let text = text.trim_start_matches('\n');
    match Config::from_toml(Path::new("keyward.toml"), text)
        .and_then(|config| keyward::plan(config, &plugins))
    {
        Ok(_) => panic!("nothing is wrong with\n{text}"),
        Err(error) => format!("{text}\n---\n{error}"),
    }
}

const IDENTITY: &str = "[identity.default]\nsource = \"imds\"\n";

/// A mount of Key Vault with further lines.
fn vault(lines: &str) -> String {
    let mount =
        "[mount.vault]\nplugin = \"keyvault\"\nendpoint = \"https://contoso.vault.azure.net\"\n";
    format!("{IDENTITY}{mount}{lines}\n")
}

/// A mount of a database with further lines, and its settings.
fn database(lines: &str, settings: &str) -> String {
    let mount = "[mount.orders]\nplugin = \"sql\"\nendpoint = \
                 \"sqlserver://contoso.database.windows.net\"\n";
    format!("{IDENTITY}{mount}{lines}\n[mount.orders.settings]\n{settings}\n")
}

/// A mount of Blob Storage with settings.
fn blobs(settings: &str) -> String {
    let mount = "[mount.blobs]\nplugin = \"storage\"\nendpoint = \
                 \"https://contoso.blob.core.windows.net\"\n";
    format!("{IDENTITY}{mount}[mount.blobs.settings]\n{settings}\n")
}

/// A cloud of one's own with further lines, and an identity.
fn own_cloud(lines: &str) -> String {
    format!("[cloud]\nauthority = \"https://login.contoso.example\"\n{lines}\n{IDENTITY}")
}

macro_rules! mistake {
    ($name:ident, $text:expr) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(mistakes(&$text));
        }
    };
}

mistake!(no_toml, "[mount.vault\nplugin = \"keyvault\"\n");
mistake!(unknown_key_at_the_top, "clod = \"china\"\n");
mistake!(unknown_section, format!("{IDENTITY}[mounts.vault]\nplugin = \"keyvault\"\n"));
mistake!(unknown_key_in_a_mount, vault("endpiont = \"https://contoso.vault.azure.net\""));
mistake!(unknown_limit, vault("[mount.vault.limits]\nmemroy = \"64MiB\""));
mistake!(unknown_cloud, format!("cloud = \"pubic\"\n{IDENTITY}"));
mistake!(own_cloud_without_an_authority, format!("[cloud]\n{IDENTITY}"));
mistake!(
    own_cloud_whose_authority_is_none,
    format!("[cloud]\nauthority = \"login.contoso.example\"\n{IDENTITY}")
);
mistake!(
    own_cloud_with_an_unknown_base,
    format!("[cloud]\nbase = \"pubic\"\nservices = 1\n{IDENTITY}")
);
mistake!(cloud_that_is_a_number, format!("cloud = 1\n{IDENTITY}"));
mistake!(own_cloud_whose_service_says_nothing, own_cloud("[cloud.service.vault]"));
mistake!(
    own_cloud_whose_hosts_are_none,
    own_cloud(
        "[cloud.service.vault]\naudience = \"https:// vault\"\nhosts = [\"*.example\", \
         \"https://v.contoso.example\"]"
    )
);
mistake!(
    own_cloud_without_hosts,
    own_cloud("[cloud.service.vault]\naudience = \"https://v.example\"\nhosts = []")
);
mistake!(
    own_cloud_with_an_unknown_key_and_protocol,
    own_cloud(
        "[cloud.service.vault]\naudience = \"https://v.example\"\nhost = \
         [\"*.v.example\"]\nprotocol = \"http\"\n\
         paths_ignore_case = \"yes\""
    )
);
mistake!(
    own_cloud_with_an_unknown_reading_of_paths,
    own_cloud(
        "[cloud.service.own]\naudience = \"https://o.example\"\nhosts = [\"*.o.example\"]\npaths \
         = \"name\"\n\
         names_after = 9\n[cloud.service.other]\naudience = \"https://p.example\"\nhosts = \
         [\"*.p.example\"]\n\
         paths = \"segments\"\nnames_after = 2"
    )
);
mistake!(
    pattern_with_a_slash_that_blobs_do_not_have,
    format!(
        "{IDENTITY}[mount.blobs]\nplugin = \"storage\"\nendpoint = \
         \"https://contoso.blob.core.windows.net\"\n\
         allow = [\"GET /c/a%2Fb\", \"GET /c/a;b\"]\n"
    )
);
mistake!(pattern_with_a_semicolon_in_a_vault, vault("allow = [\"GET /secrets/a;b\"]"));
mistake!(
    own_cloud_whose_redirect_nodes_have_no_domain,
    own_cloud(
        "[cloud.service.sql]\naudience = \"https://d.example\"\nhosts = [\"*.d.example\"]\n\
         redirect_nodes = { ports = [11000] }"
    )
);
mistake!(
    own_cloud_with_invalid_referenced_paths,
    own_cloud(
        "[cloud.service.blob]\naudience = \"https://b.example\"\nhosts = [\"*.b.example\"]\n\
         referenced_paths = [{ header = \"a b\" }, { method = \"get\" }, { header = \"x\", query = \
         \"y\" }]"
    )
);
mistake!(
    own_cloud_that_lacks_a_service,
    format!(
        "{}[mount.vault]\nplugin = \"keyvault\"\nendpoint = \"https://a.v.example\"\n",
        own_cloud(
            "[cloud.service.arm]\naudience = \"https://arm.example\"\nhosts = [\"arm.v.example\"]"
        )
    )
);
mistake!(
    endpoint_that_is_none_of_ones_own_cloud,
    format!(
        "{}[mount.vault]\nplugin = \"keyvault\"\nendpoint = \"https://contoso.vault.azure.net\"\n",
        own_cloud(
            "[cloud.service.vault]\naudience = \"https://v.example\"\nhosts = [\"*.v.example\"]"
        )
    )
);
mistake!(unknown_plugin, format!("{IDENTITY}[mount.vault]\nplugin = \"keyvualt\"\n"));
mistake!(
    no_plugin,
    format!("{IDENTITY}[mount.vault]\nendpoint = \"https://contoso.vault.azure.net\"\n")
);
mistake!(
    plugin_file_that_is_not_there,
    format!("{IDENTITY}[mount.m]\nplugin = \"nowhere/p.wasm\"\n")
);
mistake!(sum_beside_a_bundled_plugin, vault(&format!("sha256 = \"{}\"", "0".repeat(64))));
mistake!(sum_that_is_none, format!("{IDENTITY}[mount.m]\nplugin = \"p.wasm\"\nsha256 = \"abc\"\n"));
mistake!(mount_name_that_is_no_path, format!("{IDENTITY}[mount.\"a/b\"]\nplugin = \"arm\"\n"));
mistake!(no_endpoint, format!("{IDENTITY}[mount.vault]\nplugin = \"keyvault\"\n"));
mistake!(
    endpoint_that_the_plugin_does_not_cover,
    format!(
        "{IDENTITY}[mount.vault]\nplugin = \"keyvault\"\nendpoint = \"https://evil.example\"\n"
    )
);
mistake!(
    endpoint_of_another_cloud,
    format!(
        "{IDENTITY}[mount.vault]\nplugin = \"keyvault\"\nendpoint = \
         \"https://contoso.vault.azure.cn\"\n"
    )
);
mistake!(
    endpoint_that_is_none,
    format!(
        "{IDENTITY}[mount.vault]\nplugin = \"keyvault\"\nendpoint = \
         \"http://contoso.vault.azure.net\"\n"
    )
);
mistake!(audience_that_nobody_declared, vault("[mount.vault.audience.graph]"));
mistake!(audience_that_is_the_first, vault("[mount.vault.audience.vault]"));
mistake!(
    audience_misspelt,
    format!(
        "{IDENTITY}[mount.t]\nplugin = \"thief\"\nendpoint = \
         \"https://contoso.vault.azure.net\"\n[mount.t.audience.amr]\n"
    )
);
mistake!(hand_out_misspelt, vault("hand_out = [\"bakcup\"]"));
mistake!(hand_out_of_another_service, vault("hand_out = [\"listKeys\"]"));
mistake!(hand_out_that_is_no_list, vault("hand_out = \"backup\""));
mistake!(sas_export_of_nothing, vault("sas_export = true"));
mistake!(
    own_cloud_like_no_service,
    own_cloud(
        "[cloud.service.files]\naudience = \"https://f.example\"\nhosts = [\"*.f.example\"]\nlike \
         = \"blobs\""
    )
);
mistake!(pattern_without_a_method, vault("allow = [\"/secrets/*\"]"));
mistake!(pattern_in_lower_case, vault("allow = [\"get /secrets/*\"]"));
mistake!(pattern_with_dots, vault("allow = [\"GET /secrets/../keys/*\"]"));
mistake!(pattern_with_a_parameter_without_value, vault("allow = [\"GET /secrets/*?x\"]"));
mistake!(pattern_with_an_unknown_operation, vault("allow = [\"reed /secrets/*\"]"));
mistake!(pattern_with_an_operation_and_a_query, vault("allow = [\"read /secrets/*?x=1\"]"));
mistake!(patterns_that_are_no_list, vault("allow = \"GET /secrets/*\""));
mistake!(unknown_setting, vault("[mount.vault.settings]\napi-version = \"7.5\""));
mistake!(
    settings_of_other_types,
    database(
        "",
        "database = \"shop\"\nmax_rows = \"x y\"\nmax_bytes = \"64 MB\"\ntimeout = -1\nread_only \
         = \"yes\"\n\
         password_secret = \"a/b/c\""
    )
);
mistake!(setting_that_is_required_and_empty, database("", "database = \"\""));
mistake!(settings_that_another_one_needs, database("", "database = \"shop\"\nauth = \"password\""));
mistake!(signatures_without_an_account_and_its_audience, blobs("auth = \"sas\""));
mistake!(account_that_is_no_resource_id, blobs("account = \"contoso\""));
mistake!(
    database_outside_of_allow,
    database("allow = [\"CONNECT /shop\"]", "database = \"orders\"")
);
mistake!(requests_to_a_database, database("allow = [\"POST /query\"]", "database = \"shop\""));
mistake!(setting_that_is_a_section, vault("[mount.vault.settings.api_version]\nx = 1"));
mistake!(
    identity_that_is_not_there,
    vault("identity = \"report\"\n[identity.reports]\nsource = \"imds\"")
);
mistake!(no_identity_at_all, "[mount.arm]\nplugin = \"arm\"\n");
mistake!(
    identity_without_a_source,
    "[identity.default]\nclient_id = \"00001111-aaaa-2222-bbbb-3333cccc4444\"\n"
);
mistake!(unknown_source, "[identity.default]\nsource = \"imsd\"\n");
mistake!(
    source_that_has_one_identity_only,
    "[identity.default]\nsource = \"arc\"\nclient_id = \"00001111-aaaa-2222-bbbb-3333cccc4444\"\n"
);
mistake!(
    workload_identity_by_object_id,
    "[identity.default]\nsource = \"workload-identity\"\nobject_id = \
     \"00001111-aaaa-2222-bbbb-3333cccc4444\"\n"
);
mistake!(
    endpoint_of_a_source_that_finds_its_own,
    "[identity.default]\nsource = \"auto\"\nendpoint = \"http://127.0.0.1:1\"\n"
);
mistake!(tokens_on_disk_without_a_key, format!("{IDENTITY}persist = \"tokens\"\n"));
mistake!(client_id_that_is_none, format!("{IDENTITY}client_id = \"my-app\"\n"));
mistake!(resource_id_that_is_none, format!("{IDENTITY}resource_id = \"/subscriptions/1/vm\"\n"));
mistake!(
    identity_named_twice,
    format!(
        "{IDENTITY}client_id = \"00001111-aaaa-2222-bbbb-3333cccc4444\"\nobject_id = \
         \"00001111-aaaa-2222-bbbb-3333cccc4444\"\n"
    )
);
mistake!(
    identity_endpoint_that_is_none,
    format!("{IDENTITY}endpoint = \"https://169.254.169.254/metadata\"\n")
);
mistake!(duration_without_a_unit, vault("[mount.vault.limits]\nidle_time = \"30\""));
mistake!(duration_of_the_wrong_type, vault("[mount.vault.limits]\nidle_time = 30"));
mistake!(size_without_a_unit, vault("[mount.vault.limits]\nmemory = \"64\""));
mistake!(limit_out_of_bounds, vault("[mount.vault.limits]\nconcurrency = 0"));
mistake!(
    resolve_without_a_port,
    vault("[egress.resolve]\n\"contoso.vault.azure.net\" = \"127.0.0.1:8443\"")
);
mistake!(
    resolve_to_a_name,
    vault("[egress.resolve]\n\"contoso.vault.azure.net:443\" = \"localhost:8443\"")
);
mistake!(
    resolve_to_the_metadata_service,
    vault("[egress.resolve]\n\"contoso.vault.azure.net:443\" = \"169.254.169.254:80\"")
);
mistake!(
    paths_that_only_a_shell_expands,
    vault(
        "[tls]\nca_files = [\"~/ca.pem\", \"$HOME/ca.pem\", \
         \"./~/ca.pem\"]\n[compile_cache]\ndirectory = \"~\""
    )
);
mistake!(
    several_mistakes_at_once,
    "clod = \"china\"\n[mount.vault]\nplugin = \"keyvualt\"\nallow = [\"/x\"]\nidentiy = \"a\"\n"
);

#[test]
fn a_certificate_file_that_cannot_be_read_is_named_with_its_line() {
    let text = "[identity.default]\nsource = \"imds\"\n[mount.arm]\nplugin = \
                \"arm\"\n[tls]\nca_files = [\"nowhere.pem\"]\n";
    let config = Config::from_toml(Path::new("keyward.toml"), text).unwrap();
    let plugins = Plugins::new().with("arm", keyward_bundle::plugin("arm").unwrap().component);
    let error =
        keyward::Broker::start(keyward::plan(config, &plugins).unwrap()).unwrap_err().to_string();
    assert!(
        error.starts_with("keyward.toml:6:13: cannot use the certificates in ./nowhere.pem"),
        "{error}"
    );
}

#[test]
fn a_limit_below_the_initial_memory_of_a_plugin_is_rejected() {
    let text = mistakes(&vault("[mount.vault.limits]\nmemory = \"64KiB\""));
    assert!(
        text.contains("`memory` of [mount.vault] is 64KiB, but the initial memory of the plugin `keyvault` is "),
        "{text}"
    );
    assert!(text.ends_with("[mount.vault.limits]\n              memory = \"64MiB\""), "{text}");
}

#[test]
fn a_resolved_host_that_nothing_connects_to_is_a_warning() {
    let plugins =
        Plugins::new().with("keyvault", keyward_bundle::plugin("keyvault").unwrap().component);
    let warnings = |lines: &str| {
        let text = vault(&format!(
            "{lines}\n[egress.resolve]\n\"contosso.vault.azure.net:443\" = \"127.0.0.1:1\""
        ));
        let config = Config::from_toml(Path::new("keyward.toml"), &text).unwrap();
        let warnings = keyward::plan(config, &plugins).unwrap().warnings();
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let misspelt = warnings("");
    assert!(
        misspelt.contains("`\"contosso.vault.azure.net:443\"` in [egress.resolve] is unused"),
        "{misspelt}"
    );
    assert!(
        misspelt.contains("write:    \"contoso.vault.azure.net:443\" = \"127.0.0.1:1\""),
        "{misspelt}"
    );
    assert_eq!(warnings("redirects = [\"https://contosso.vault.azure.net\"]"), "");
}

#[test]
fn settings_of_the_declared_types_are_accepted() {
    let plugins = Plugins::new().with("sql", keyward_bundle::plugin("sql").unwrap().component);
    let text = database(
        "allow = [\"CONNECT /shop\", \"CONNECT /my shop\"]",
        "database = \"shop\"\nmax_rows = 5\nmax_bytes = 4096\ntimeout = \"1m 30s\"\nread_only = \
         \"true\"\n\
         password_secret = \"sql/0f1e\"",
    );
    let text = text.replace("/my shop", "/my%20shop");
    let config = Config::from_toml(Path::new("keyward.toml"), &text).unwrap();
    let plan = keyward::plan(config, &plugins).unwrap();
    assert_eq!(plan.mounts[0].variables["setting.max_rows"], "5");
    assert_eq!(plan.mounts[0].variables["setting.max_bytes"], "4096");
}

/// A mount of Key Vault with further lines, and sections of callers.
fn called(lines: &str, callers: &str) -> String {
    vault(&format!("{lines}\n{callers}"))
}

const WEB: &str = "[caller.web]\nuser = 33";

mistake!(caller_of_which_nothing_is_asked, called("callers = [\"web\"]", "[caller.web]"));
mistake!(caller_with_a_unit_without_its_suffix, called("", "[caller.web]\nunit = \"web\""));
mistake!(caller_with_the_number_of_nobody, called("", "[caller.web]\nuser = 65534"));
mistake!(
    caller_by_a_name_that_nothing_looks_up,
    called("callers = [\"web\"]", "[caller.web]\nuser = \"x\"")
);
mistake!(caller_that_is_not_configured, called("callers = [\"wbe\"]", WEB));
mistake!(caller_without_any_section, called("callers = [\"web\"]", ""));
mistake!(callers_are_configured_and_the_mount_names_none, called("", WEB));
mistake!(rate_without_a_time, called("[mount.vault.caller.web]\nrate = \"50\"", WEB));
mistake!(
    more_concurrency_than_the_mount_has,
    called("[mount.vault.limits]\nconcurrency = 8\n[mount.vault.caller.web]\nconcurrency = 9", WEB)
);
mistake!(
    requests_with_an_operation,
    called("[mount.vault.caller.web]\nrequests = [\"read /secrets/*\"]", WEB)
);
mistake!(
    requests_that_match_no_request,
    called("[mount.vault.caller.web]\nrequests = [\"GET /secrets/a%2Fb\", \"CONNECT /shop\"]", WEB)
);
mistake!(
    allow_of_a_caller_beyond_that_of_the_mount,
    called(
        "allow = [\"read /secrets/*\"]\n[mount.vault.caller.web]\nallow = [\"read /secrets/a\", \
         \"write /secrets/a\", \"GET /keys/*\", \"PUT /secrets/*\"]",
        WEB
    )
);
mistake!(
    allow_of_a_caller_with_an_unknown_operation,
    called("[mount.vault.caller.web]\nallow = [\"raed /secrets/*\"]", WEB)
);
