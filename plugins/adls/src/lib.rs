//! Azure Data Lake Store: the REST API of either generation, without the credential.
//!
//! Gen1 speaks [WebHDFS], Gen2 its [own REST API][gen2]. The host of the mount's endpoint
//! determines the generation ([`Generation::of`]); a request in the API of the other is rejected
//! with its equivalent.
//!
//! Gen1 takes the content of a file in two steps, the first of which is a redirect. If a caller
//! sends the content with its first request, the plugin performs both steps; otherwise it returns a
//! link for the second step. From here a call goes to `gen1::handle` or `gen2::handle`.
//!
//! [WebHDFS]: https://learn.microsoft.com/rest/api/datalakestore/webhdfs-filesystem-apis
//! [gen2]: https://learn.microsoft.com/rest/api/storageservices/data-lake-storage-gen2

use keyward_plugin::{Context, Plugin, Problem, Request, Response};

mod gen1;
mod gen2;
mod generation;
mod operation;
mod query;
mod redirect;

use generation::Generation;

keyward_plugin::manifest!("../manifest.toml");
keyward_plugin::export!(DataLake);

/// The plugin.
#[derive(Debug)]
pub struct DataLake;

impl Plugin for DataLake {
    fn handle(request: Request, cx: &Context) -> Result<Response, Problem> {
        let endpoint = cx.endpoint("lake")?;
        match Generation::of(&endpoint.authority) {
            Generation::One => gen1::handle(request, &endpoint, cx),
            Generation::Two => gen2::handle(request, &endpoint, cx),
        }
    }
}
