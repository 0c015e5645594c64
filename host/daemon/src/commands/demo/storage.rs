//! The demo's steps with storage: blobs, shared access signatures, Data Lake.

use keyward::audit::Record;

use super::Demo;
use super::transcript::Transcript;

const BLOCK_BLOB: (&str, &str) = ("x-ms-blob-type", "BlockBlob");

pub(super) async fn read_blob(demo: &Demo, transcript: &mut Transcript) {
    transcript.heading("A program reads and writes blobs");
    let response = demo.get("hello", "/hello/world.txt").await;
    transcript.step(
        "GET /hello/hello/world.txt",
        &format!("{}: {:?}", response.status, response.text),
        response.status == 200 && response.text == "Hello, world!",
    );
}

pub(super) async fn use_signature(demo: &Demo, transcript: &mut Transcript) {
    let (path, text) = ("/hello/note.txt", "written with a signature");
    let written = demo.send("PUT", "sas", path, &[BLOCK_BLOB], text).await;
    let read = demo.get("sas", path).await;
    transcript.step(
        "PUT and GET /sas/hello/note.txt, with shared access signatures from Resource Manager",
        &format!("{} and {}: {:?}", written.status, read.status, read.text),
        written.status == 201 && read.text == text,
    );

    let signatures = demo.emulator.issued_sas();
    let secret = |sas: &String| {
        let secret = sas.split('&').find_map(|pair| pair.strip_prefix("sig="));
        secret.map(str::to_owned)
    };
    let secrets: Vec<String> = signatures.iter().filter_map(secret).collect();
    let visible = format!("{:?}{}{}", demo.records(), written.text, read.text);
    // One signature permits reads and the other writes.
    let each_used_one = secrets.len() == [written, read].len();
    transcript.step(
        "neither the program nor the plugin saw a signature",
        &format!("{} were issued, and none is in a response or in the audit", signatures.len()),
        each_used_one && secrets.iter().all(|secret| !visible.contains(secret)),
    );
}

pub(super) async fn use_data_lake(demo: &Demo, transcript: &mut Transcript) {
    transcript.heading("A program uses Data Lake, where an upload takes two requests");
    let listed = demo.get("lake", "/webhdfs/v1/reports?op=LISTSTATUS").await;
    transcript.step(
        "GET /lake/webhdfs/v1/reports?op=LISTSTATUS",
        &format!("{}: it contains 2026.csv", listed.status),
        listed.status == 200 && listed.text.contains("2026.csv"),
    );
    let path = "/webhdfs/v1/reports/new.csv";
    let created = demo.send("PUT", "lake", &format!("{path}?op=CREATE"), &[], "a,b\n").await;
    let requests = demo.records().last().map_or(0, |record: &Record| record.upstream.len());
    transcript.step(
        &format!("PUT /lake{path}?op=CREATE"),
        &format!("{}: the program sent 1 request, the service got {requests}", created.status),
        created.status == 201 && requests == 2,
    );
    let appended = demo.send("POST", "lake", &format!("{path}?op=APPEND"), &[], "1,2\n").await;
    let read = demo.get("lake", &format!("{path}?op=OPEN")).await;
    transcript.step(
        "POST ...?op=APPEND, and GET ...?op=OPEN",
        &format!("{} and {}: {:?}", appended.status, read.status, read.text),
        appended.status == 200 && read.text == "a,b\n1,2\n",
    );
}
