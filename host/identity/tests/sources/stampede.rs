//! However many ask at once, an endpoint is asked once.

use std::sync::Arc;
use std::time::Duration;

use keyward_identity::TokenCache;
use keyward_identity::source::Imds;
use tokio::sync::Barrier;

use crate::endpoint::{Endpoint, Manner, Step};
use crate::stage::vault;

const TASKS: usize = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_tasks_on_a_cold_cache_make_one_request() {
    let good = r#"{"access_token":"eyJsecret","expires_in":3599}"#;
    // While it thinks, all of them come to wait.
    let manner = Manner { delay: Duration::from_millis(200), ..Manner::default() };
    let endpoint = Endpoint::start(vec![Step::new(200, good)], manner).await;
    // On a busy machine an answer may take longer than the usual 5 seconds.
    let imds = Imds::new().endpoint(&endpoint.origin).unwrap().timeout(Duration::from_secs(120));
    let cache = TokenCache::new(imds);
    let start = Arc::new(Barrier::new(TASKS));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (cache, start) = (cache.clone(), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                cache.token(&vault()).await
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(&task.await.unwrap().unwrap().expose_secret()[..], b"eyJsecret");
    }
    assert_eq!(endpoint.requests().len(), 1, "{:?}", endpoint.requests());
    let statistics = cache.statistics();
    assert_eq!((statistics[0].used, statistics[0].fetched), (TASKS as u64, 1));
}
