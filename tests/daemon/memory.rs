//! The memory of a running daemon: no copy of a token stays in it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use keyward_emulator::{Emulator, Options};
use keyward_tests::UniquePieces;
use serde_json::json;

use crate::forget::forget;
use crate::process::{Daemon, resolve_with_sql};
use crate::skip::skip;

/// How long buffers of connections that have ended may last. On an idle machine it is a moment.
const DEADLINE: Duration = Duration::from_secs(60);

fn config(emulator: &Emulator) -> String {
    format!(
        "[identity.default]\nsource = \"imds\"\nendpoint = {:?}\n\
         [mount.vault]\nplugin = \"keyvault\"\nendpoint = \"https://contoso.vault.azure.net\"\n\
         [mount.orders]\nplugin = \"sql\"\nendpoint = \
         \"sqlserver://contoso.database.windows.net\"\nallow = [\"CONNECT /shop\"]\n\
         [mount.orders.settings]\ndatabase = \"shop\"\n\
         [egress.resolve]\n{}[tls]\nca_files = [\"ca.pem\"]\nsystem_roots = false\n",
        emulator.imds_url(),
        resolve_with_sql(emulator)
    )
}

/// Sends a request to a vault and a query to a database.
async fn use_tokens(daemon: &Daemon) {
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 200);
    let body = Bytes::from(json!({ "sql": "SELECT * FROM orders" }).to_string());
    let query = Request::post("/orders/query").header("content-type", "application/json");
    let response = daemon.send(query.body(Full::new(body)).unwrap()).await;
    assert_eq!(response.status, 200, "{}", response.text());
}

/// The memory of a process.
struct Memory {
    maps: String,
    pages: File,
    contents: File,
}

impl Memory {
    /// Only root may open that of the daemon.
    fn of(process: u32) -> io::Result<Self> {
        let path = |name| format!("/proc/{process}/{name}");
        Ok(Self {
            maps: std::fs::read_to_string(path("maps"))?,
            pages: File::open(path("pagemap"))?,
            contents: File::open(path("mem"))?,
        })
    }

    /// How many pieces are in which mappings, by the names of these.
    fn find(&self, pieces: &UniquePieces) -> Vec<(&str, usize)> {
        let mut found = Vec::new();
        for line in self.maps.lines() {
            let (range, rest) = line.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            let [start, end] = [start, end].map(|digits| u64::from_str_radix(digits, 16).unwrap());
            let name = rest.split_whitespace().nth(4).unwrap_or("heap");
            for range in self.present(start..end) {
                let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap()];
                // It may be unmapped meanwhile.
                if self.contents.read_exact_at(&mut bytes, range.start).is_ok() {
                    found.push((name, pieces.count_in(&bytes)));
                }
            }
        }
        found.retain(|(_, count)| *count > 0);
        found
    }

    /// The parts of a range that are in memory or swapped: see `pagemap` in proc(5).
    fn present(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let page = rustix::param::page_size() as u64;
        let count = usize::try_from((range.end - range.start) / page).unwrap();
        let mut entries = vec![0; 8 * count];
        if self.pages.read_exact_at(&mut entries, range.start / page * 8).is_err() {
            return Vec::new();
        }
        let mut present: Vec<Range<u64>> = Vec::new();
        for (start, entry) in (range.start..).step_by(page as usize).zip(entries.as_chunks().0) {
            if u64::from_le_bytes(*entry) >> 62 != 0 {
                match present.last_mut() {
                    Some(last) if last.end == start => last.end += page,
                    _ => present.push(start..start + page),
                }
            }
        }
        present
    }
}

#[tokio::test]
async fn no_copy_of_a_forgotten_token_stays_in_memory() {
    let mut daemon = Daemon::quiet(config, "[listen]\nsocket = \"k.sock\"\n").await;
    use_tokens(&daemon).await;
    let tokens = daemon.emulator.issued_tokens();
    assert_eq!(tokens.len(), 2);
    match Memory::of(daemon.id()) {
        Ok(memory) => assert!(!memory.find(&UniquePieces::new(&tokens, &[])).is_empty()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let what = "what stays in the daemon's memory";
            return skip(what, "only root can read it", "KEYWARD_PROCESS_MEMORY");
        }
        Err(error) => panic!("{error}"),
    }
    // Responses are searched for the last three tokens of each audience.
    for _ in 0..3 {
        let (code, printed) = forget(&daemon.config(), &["default"]).await;
        assert_eq!(code, Some(0), "{printed}");
        use_tokens(&daemon).await;
    }
    let all = daemon.emulator.issued_tokens();
    assert_eq!(all.len(), 8);
    let pieces = UniquePieces::new(&tokens, &all[2..]);
    // Its connections end with it.
    daemon.emulator = Emulator::start(Options::default()).await.unwrap();

    let deadline = Instant::now() + DEADLINE;
    loop {
        let memory = Memory::of(daemon.id()).unwrap();
        let found = memory.find(&pieces);
        if found.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "pieces are in {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
