//! The demo's steps at the storage: blobs, a signature that nobody sees, Data Lake.

use keyward::audit::Record;

use super::Stage;
use super::story::Story;

const BLOCK_BLOB: (&str, &str) = ("x-ms-blob-type", "BlockBlob");

pub(super) async fn read_blob(stage: &Stage, story: &mut Story) {
    story.heading("A program reads and writes blobs");
    let answer = stage.call("hello", "/hello/world.txt").await;
    let came = format!("{}: {:?}", answer.status, answer.text);
    story.step("GET /hello/hello/world.txt", &came, answer.status == 200 && answer.text == "Hello, world!");
}

pub(super) async fn spend_a_signature(stage: &Stage, story: &mut Story) {
    let written = stage.send("PUT", "sas", "/hello/note.txt", &[BLOCK_BLOB], "written by a signature").await;
    let read = stage.call("sas", "/hello/note.txt").await;
    let good = written.status == 201 && read.text == "written by a signature";
    let came = format!("{} and {}: {:?}", written.status, read.status, read.text);
    story.step("PUT and GET /sas/hello/note.txt, with shared access signatures from Resource Manager", &came, good);

    let signatures = stage.emulator.issued_sas();
    let secrets: Vec<&str> =
        signatures.iter().filter_map(|sas| sas.split('&').find_map(|pair| pair.strip_prefix("sig="))).collect();
    let seen = format!("{:?}{}{}", stage.records(), written.text, read.text);
    let hidden = secrets.len() == 2 && secrets.iter().all(|secret| !seen.contains(secret));
    let came = format!("{} were issued, and none is in an answer or in the audit", signatures.len());
    story.step("nobody saw a signature: not the program, not the plugin", &came, hidden);
}

pub(super) async fn use_the_lake(stage: &Stage, story: &mut Story) {
    story.heading("A program uses Data Lake, where an upload takes two steps and a redirect");
    let listed = stage.call("lake", "/webhdfs/v1/reports?op=LISTSTATUS").await;
    let good = listed.status == 200 && listed.text.contains("2026.csv");
    story.step("GET /lake/webhdfs/v1/reports?op=LISTSTATUS", &format!("{}: there is 2026.csv", listed.status), good);
    let path = "/webhdfs/v1/reports/new.csv";
    let created = stage.send("PUT", "lake", &format!("{path}?op=CREATE"), &[], "a,b\n").await;
    let steps = stage.records().last().map_or(0, |record: &Record| record.upstream.len());
    let came = format!("{}: the caller saw one PUT, the service saw {steps} requests", created.status);
    story.step(&format!("PUT /lake{path}?op=CREATE"), &came, created.status == 201 && steps == 2);
    let appended = stage.send("POST", "lake", &format!("{path}?op=APPEND"), &[], "1,2\n").await;
    let read = stage.call("lake", &format!("{path}?op=OPEN")).await;
    let good = appended.status == 200 && read.text == "a,b\n1,2\n";
    story.step(
        "POST ...?op=APPEND, and GET ...?op=OPEN",
        &format!("{} and {}: {:?}", appended.status, read.status, read.text),
        good,
    );
}
