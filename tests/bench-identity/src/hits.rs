//! Hits, measured.

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

/// How many caches ask the endpoint, once each.
pub(crate) const CACHES: usize = 2;

/// Rounds of each; the median counts.
const ROUNDS: usize = 15;
/// Hits of all threads of a round together.
const HITS: usize = 400_000;
/// The longest that a hit may take, in nanoseconds.
const LONGEST: f64 = 150.0;
/// How many times as fast as the SDK's a hit has to be.
const TIMES: f64 = 5.0;

const AUDIENCE: &str = "https://vault.azure.net";
const SCOPE: &str = "https://vault.azure.net/.default";

/// Something with a cache.
trait Tokens: Clone + Send + 'static {
    /// Asks so often for the token.
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

/// With the audience found once, as the broker has it for each mount.
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

/// Measures, prints, and says whether all that is wanted is reached.
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
    println!("A token that is in the cache, in ns of a thread, on {cores} cores:\n");
    println!("{:>8} {:>10} {:>14} {:>16} {:>8}", "threads", "keyward", "found once", "azure_identity", "ratio");
    let mut reached = true;
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
        reached &= keyward < LONGEST && ratio >= TIMES;
    }
    let verdict = if reached { "Reached" } else { "NOT reached" };
    println!("\n{verdict}: under {LONGEST} ns, and {TIMES} times as fast.\n");
    Ok(reached)
}

/// How long a hit took, in nanoseconds of the threads' own time, so that what else runs on the machine does not count. Time
/// that a thread sleeps would not either: nothing here does.
fn round<T: Tokens>(runtime: &Handle, tokens: &T, threads: usize) -> Result<f64> {
    let barrier = Arc::new(Barrier::new(threads));
    let count = HITS / threads;
    let running: Vec<_> = (0..threads)
        .map(|_| {
            let (runtime, tokens, barrier) = (runtime.clone(), tokens.clone(), Arc::clone(&barrier));
            std::thread::spawn(move || {
                barrier.wait();
                let began = own_time()?;
                runtime.block_on(tokens.hits(count))?;
                Ok::<_, Box<dyn Error + Send + Sync>>(own_time()? - began)
            })
        })
        .collect();
    let mut used = Duration::ZERO;
    for thread in running {
        used += thread.join().map_err(|_| "a thread panicked")??;
    }
    Ok(used.as_secs_f64() * 1e9 / (count * threads) as f64)
}

/// For how long this thread has run.
fn own_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::ThreadCPUTime).try_into()?)
}

/// The middle one. There always is one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
