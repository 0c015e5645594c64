// Uploads that a service answers before it has their bodies, by Node's own client.
//
// usage: early.mjs COUNT SOCKET TCP-PORT TLS-PORT CA
//
// Prints each answer that is lost, and how many arrived.

import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import { Readable } from "node:stream";

const STATUSES = [404, 403, 409, 412, 429, 503];
const SIZES = [1, 1000, 64 << 10, 1 << 20, 4 << 20, 16 << 20];
const FRAMINGS = ["length", "chunked", "expect"];
const MODES = ["none", "some", "linger", "all"];
const KINDS = 6 * 6 * 3 * 4 * 2;
const CHUNK = 64 << 10;
const PARALLEL = 4;

const [count, socket, , tls, ca] = process.argv.slice(2);
const secure = new https.Agent({ ca: fs.readFileSync(ca), keepAlive: true });
const plain = new http.Agent({ keepAlive: true });

// The number's status, size, framing, mode and listener. Small runs have some of everything.
function kind(number) {
    let rest = (number * 37) % KINDS;
    return [STATUSES, SIZES, FRAMINGS, MODES, [0, 1]].map((values) => {
        const chosen = values[rest % values.length];
        rest = Math.floor(rest / values.length);
        return chosen;
    });
}

function* pieces(size) {
    for (let at = 0; at < size; at += CHUNK) {
        yield Buffer.alloc(Math.min(CHUNK, size - at), "x");
    }
}

function upload(number) {
    const [status, size, framing, mode, listener] = kind(number);
    const headers = { "x-ms-blob-type": "BlockBlob" };
    if (framing !== "chunked") headers["content-length"] = size;
    if (framing === "expect") headers.expect = "100-continue";
    const path = `/blobs/early/${status}-${mode}/${number}`;
    const options = { method: "PUT", path, headers, timeout: 60_000 };
    const request =
        listener === 0
            ? http.request({ ...options, agent: plain, socketPath: socket, host: "localhost" })
            : https.request({ ...options, agent: secure, host: "localhost", port: tls });
    return new Promise((resolve) => {
        let isOver = false;
        const end = (lost) => {
            if (isOver) return;
            isOver = true;
            if (lost) console.log("lost:", status, size, framing, mode, listener ? "tls" : "socket", lost);
            resolve(!lost);
        };
        // What breaks behind a whole answer is no loss.
        request.on("error", (error) => end(error.message));
        request.on("timeout", () => end("no answer in a minute"));
        request.on("response", (response) => {
            let text = "";
            response.setEncoding("utf8");
            response.on("data", (data) => (text += data));
            response.on("error", (error) => end(error.message));
            response.on("end", () => {
                const isRight = response.statusCode === status && JSON.parse(text).error.code === "Early";
                end(isRight ? undefined : `${response.statusCode} ${text.slice(0, 200)}`);
                if (!request.writableEnded) request.destroy();
            });
        });
        const send = () => Readable.from(pieces(size)).pipe(request);
        if (framing === "expect") {
            request.on("continue", send);
            request.flushHeaders();
        } else {
            send();
        }
    });
}

let next = 0;
let arrived = 0;
async function work() {
    while (next < Number(count)) {
        if (await upload(next++)) arrived++;
    }
}
await Promise.all(Array.from({ length: PARALLEL }, work));
console.log(`${arrived} of ${count} arrived`);
process.exit(arrived === Number(count) ? 0 : 1);
