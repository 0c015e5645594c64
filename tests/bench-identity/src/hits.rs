//! The measurement of cache hits.

use std::error::Error;
use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_identity::ManagedIdentityCredential;
use keyward_identity::cache::CachedToken;
use keyward_identity::source::{AppService, Settings};
use keyward_identity::{Audience, TokenCache};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Handle, Runtime};

use crate::Result;

/// How many caches send a request to the endpoint.
pub(crate) const CACHES: usize = 2;

/// The rounds of each cache, of which the median is used.
const ROUNDS: usize = 15;
/// The hits of all threads in a round.
const HITS: usize = 400_000;
/// The time limit of a hit, in nanoseconds.
const LIMIT: f64 = 150.0;
/// How many times faster than the SDK's a hit must be.
const RATIO: f64 = 5.0;

const AUDIENCE: &str = "https://vault.azure.net";
const SCOPE: &str = "https://vault.azure.net/.default";

/// A cache of tokens.
trait Tokens: Clone + Send + 'static {
    /// Gets the token `count` times.
    fn hits(&self, count: usize) -> impl Future<Output = Result<()>> + Send;
}

impl Tokens for TokenCache {
    async fn hits(&self, count: usize) -> Result<()> {
        let audience = Audience::new(AUDIENCE)?;
        for _ in 0..count {
            black_box(self.token(black_box(&audience)).await?);
        }
        Ok(())
    }
}

/// With the audience looked up once, as the broker does for each mount.
impl Tokens for CachedToken {
    async fn hits(&self, count: usize) -> Result<()> {
        for _ in 0..count {
            black_box(black_box(self).get().await?);
        }
        Ok(())
    }
}

impl Tokens for Arc<ManagedIdentityCredential> {
    async fn hits(&self, count: usize) -> Result<()> {
        for _ in 0..count {
            black_box(self.get_token(black_box(&[SCOPE]), None).await?);
        }
        Ok(())
    }
}

/// Measures and prints. Returns whether the limits hold.
pub(crate) fn measure() -> Result<bool> {
    let runtime = Runtime::new()?;
    let env = |name: &str| std::env::var(name).ok();
    let cache = TokenCache::new(AppService::from_env(&env, None)?.settings(Settings::default()));
    let found = cache.audience(&Audience::new(AUDIENCE)?);
    let sdk = ManagedIdentityCredential::new(None)?;
    runtime.block_on(async {
        cache.hits(1).await?;
        sdk.hits(1).await
    })?;

    let cores = std::thread::available_parallelism()?.get();
    println!("The time of a cache hit, in ns of a thread, on {cores} cores:\n");
    let columns = ["threads", "keyward", "looked up once", "azure_identity", "ratio"];
    let [threads, keyward, once, azure, ratio] = columns;
    println!("{threads:>8} {keyward:>10} {once:>14} {azure:>16} {ratio:>8}");
    let mut holds = true;
    for threads in [1, 2, 8] {
        let (mut keyward, mut once, mut azure) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            keyward.push(round(runtime.handle(), &cache, threads)?);
            once.push(round(runtime.handle(), &found, threads)?);
            azure.push(round(runtime.handle(), &sdk, threads)?);
        }
        let (keyward, once, azure) = (median(keyward), median(once), median(azure));
        let ratio = azure / keyward;
        println!("{threads:8} {keyward:10.0} {once:14.0} {azure:16.0} {ratio:8.1}");
        holds &= keyward < LIMIT && ratio >= RATIO;
    }
    let verdict = if holds { "Reached" } else { "NOT reached" };
    println!("\n{verdict}: under {LIMIT} ns, and {RATIO} times as fast.\n");
    Ok(holds)
}

/// The time of a hit, in nanoseconds. It is CPU time of the threads, so that other programs on the
/// machine do not affect it; hits never sleep.
fn round<T: Tokens>(runtime: &Handle, tokens: &T, threads: usize) -> Result<f64> {
    let barrier = Arc::new(Barrier::new(threads));
    let count = HITS / threads;
    let running: Vec<_> = (0..threads)
        .map(|_| {
            let (runtime, tokens, barrier) =
                (runtime.clone(), tokens.clone(), Arc::clone(&barrier));
            std::thread::spawn(move || {
                barrier.wait();
                let began = thread_time()?;
                runtime.block_on(tokens.hits(count))?;
                Ok::<_, Box<dyn Error + Send + Sync>>(thread_time()? - began)
            })
        })
        .collect();
    let mut used = Duration::ZERO;
    for thread in running {
        used += thread.join().map_err(|_| "a thread panicked")??;
    }
    Ok(used.as_secs_f64() * 1e9 / (count * threads) as f64)
}

/// The CPU time of this thread.
fn thread_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::ThreadCPUTime).try_into()?)
}

/// The median. `values` is not empty.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
