//! One request, however many calls wait for the token.

use std::sync::Arc;
use std::time::Duration;

use keyward_identity::TokenCache;
use keyward_identity::source::Imds;
use tokio::sync::Barrier;

use crate::fake_endpoint::{FakeEndpoint, Options, Step};
use crate::fixture::vault;

const TASKS: usize = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_tasks_on_a_cold_cache_make_one_request() {
    let good = r#"{"access_token":"eyJsecret","expires_in":3599}"#;
    // Meanwhile all tasks begin to wait.
    let options = Options { delay: Duration::from_millis(200), ..Options::default() };
    let endpoint = FakeEndpoint::start(vec![Step::new(200, good)], options).await;
    // On a busy machine a response may take longer than the default of 5 seconds.
    let limit = Duration::from_secs(120);
    let imds = Imds::new().endpoint(&endpoint.origin).unwrap().timeout(limit);
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
