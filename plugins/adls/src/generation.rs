//! The generation of an endpoint, and errors for requests in the API of the other generation.

use keyward_plugin::{Endpoint, Problem, Request};

use crate::query;

/// One of the two services that are called Data Lake Store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// Gen1, which speaks WebHDFS.
    One,
    /// Gen2, a part of Azure Storage.
    Two,
}

impl Generation {
    /// The generation of an endpoint, by its host. Gen2 hosts have a label `dfs` in every cloud,
    /// with Private Link and at OneLake too. Any other host is Gen1, whose public hosts end in
    /// `.azuredatalakestore.net`.
    pub(crate) fn of(authority: &str) -> Self {
        let authority = authority.to_ascii_lowercase();
        let host = authority.split(':').next().unwrap_or_default();
        if host.contains(".dfs.") && !host.ends_with(".azuredatalakestore.net") {
            Self::Two
        } else {
            Self::One
        }
    }
}

/// Rejects a request that only Gen2 understands, at a Gen1 endpoint.
pub(crate) fn reject_gen2(request: &Request, endpoint: &Endpoint) -> Result<(), Problem> {
    let query = request.query();
    let feature = if query::has(query, "op") {
        return Ok(());
    } else if query::has(query, "resource") {
        "`resource=`"
    } else if query::has(query, "action") {
        "`action=`"
    } else if request.headers.contains("x-ms-rename-source") {
        "`x-ms-rename-source`"
    } else {
        return Ok(());
    };
    Err(other_generation(format!(
        "{feature} belongs to Data Lake Store Gen2, and this mount's endpoint, {}, is Gen1. Send a \
         WebHDFS request (`/webhdfs/v1/PATH?op=OPERATION`), or use a mount whose endpoint is a \
         Gen2 account (its host contains `.dfs.`: `https://ACCOUNT.dfs.core.windows.net`)",
        endpoint.url()
    )))
}

/// Rejects a request that only Gen1 understands, at a Gen2 endpoint.
pub(crate) fn reject_gen1(request: &Request, endpoint: &Endpoint) -> Result<(), Problem> {
    let Some(operation) = query::values(request.query(), "op").next() else { return Ok(()) };
    let instead = match gen2_equivalent(&operation.to_ascii_uppercase()) {
        Some(instead) => format!("The equivalent in Gen2 is {instead}"),
        None => "Gen2's operations are documented at \
                 https://learn.microsoft.com/rest/api/storageservices"
            .to_owned(),
    };
    Err(other_generation(format!(
        "`op=` belongs to WebHDFS, the API of Data Lake Store Gen1, and this mount's endpoint, {}, \
         is Gen2. {instead}. Or use a mount whose endpoint is a Gen1 account \
         (`https://ACCOUNT.azuredatalakestore.net`)",
        endpoint.url()
    )))
}

fn other_generation(detail: String) -> Problem {
    Problem::new(
        400,
        "other-generation",
        "The request is for the other generation of Data Lake Store",
        detail,
    )
}

/// The Gen2 equivalent of a Gen1 operation. `FS` is the file system, which is not part of Gen1
/// paths.
fn gen2_equivalent(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "LISTSTATUS" => "`GET /FS?resource=filesystem&recursive=false&directory=PATH`",
        "GETFILESTATUS" => "`HEAD /FS/PATH`",
        "OPEN" => "`GET /FS/PATH`",
        "CHECKACCESS" => "`HEAD /FS/PATH?action=checkAccess&fsAction=rwx`",
        "GETACLSTATUS" => "`HEAD /FS/PATH?action=getAccessControl`",
        "CREATE" => {
            "`PUT /FS/PATH?resource=file`, then `PATCH /FS/PATH?action=append&position=0` with \
             the content and `PATCH /FS/PATH?action=flush&position=LENGTH`"
        }
        "APPEND" => {
            "`PATCH /FS/PATH?action=append&position=LENGTH` with the content, then \
             `PATCH /FS/PATH?action=flush&position=NEW_LENGTH`"
        }
        "MKDIRS" => "`PUT /FS/PATH?resource=directory`",
        "RENAME" => "`PUT /FS/NEW_PATH` with the header field `x-ms-rename-source: /FS/PATH`",
        "SETPERMISSION" | "SETOWNER" | "SETACL" => {
            "`PATCH /FS/PATH?action=setAccessControl` with `x-ms-permissions`, `x-ms-owner`, \
             `x-ms-group` or `x-ms-acl`"
        }
        "MODIFYACLENTRIES" => {
            "`PATCH /FS/PATH?action=setAccessControlRecursive&mode=modify` with `x-ms-acl`"
        }
        "REMOVEACLENTRIES" => {
            "`PATCH /FS/PATH?action=setAccessControlRecursive&mode=remove` with `x-ms-acl`"
        }
        "DELETE" => "`DELETE /FS/PATH?recursive=true`",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generation_is_determined_by_the_host() {
        for gen2 in [
            "contoso.dfs.core.windows.net",
            "contoso.dfs.core.windows.net:443",
            "contoso.dfs.core.chinacloudapi.cn",
            "contoso.dfs.core.usgovcloudapi.net",
            "contoso.privatelink.dfs.core.windows.net",
            "contoso.z13.dfs.storage.azure.net",
            "onelake.dfs.fabric.microsoft.com",
        ] {
            assert_eq!(Generation::of(gen2), Generation::Two, "{gen2}");
        }
        for gen1 in [
            "contoso.azuredatalakestore.net",
            "Contoso.AzureDataLakeStore.net:443",
            "contoso.dfs.azuredatalakestore.net",
            "lake.contoso.example",
            "localhost:8443",
        ] {
            assert_eq!(Generation::of(gen1), Generation::One, "{gen1}");
        }
    }
}
