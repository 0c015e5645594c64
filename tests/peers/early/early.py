#!/usr/bin/env python3
"""Uploads that a service answers before it has their bodies, by Python's http.client or by curl.

usage: early.py python3|curl COUNT SOCKET TCP-PORT TLS-PORT CA

Prints each answer that is lost, and how many arrived.
"""

import concurrent.futures
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile

STATUSES = [404, 403, 409, 412, 429, 503]
SIZES = [1, 1000, 64 << 10, 1 << 20, 4 << 20, 16 << 20]
FRAMINGS = ["length", "chunked", "expect"]
MODES = ["none", "some", "linger", "all"]
KINDS = 6 * 6 * 3 * 4 * 2
CHUNK = 64 << 10
PARALLEL = 4

client, count, path, tcp, tls, ca = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
directory = tempfile.TemporaryDirectory()


def kind(number):
    """The number's status, size, framing, mode and listener. Small runs have some of everything."""
    rest = number * 37 % KINDS
    chosen = []
    for values in (STATUSES, SIZES, FRAMINGS, MODES, [0, 1]):
        chosen.append(values[rest % len(values)])
        rest //= len(values)
    return chosen


class Connection(http.client.HTTPConnection):
    """A connection to one of the listeners."""

    def __init__(self, listener):
        super().__init__("localhost", port=int(tls if listener else tcp), timeout=60)
        self.listener = listener

    def connect(self):
        if self.listener == 0:
            self.sock = socket.create_connection(("127.0.0.1", int(tcp)), self.timeout)
        else:
            stream = socket.create_connection(("127.0.0.1", int(tls)), self.timeout)
            self.sock = context.wrap_socket(stream, server_hostname="localhost")


def by_python(url, size, framing, listener):
    connection = Connection(listener)
    body = b"x" * size
    try:
        if framing == "expect":
            return expecting(connection, url, body)
        if framing == "chunked":
            pieces = (body[at : at + CHUNK] for at in range(0, size, CHUNK))
            connection.request("PUT", url, body=pieces, encode_chunked=True, headers=headers("chunked"))
        else:
            connection.request("PUT", url, body=body, headers=headers("length"))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def headers(framing):
    fields = {"x-ms-blob-type": "BlockBlob"}
    return {**fields, "transfer-encoding": "chunked"} if framing == "chunked" else fields


def expecting(connection, url, body):
    connection.connect()
    stream = connection.sock
    head = f"PUT {url} HTTP/1.1\r\nhost: localhost:{connection.port}\r\nexpect: 100-continue\r\ncontent-length: {len(body)}\r\n\r\n"
    stream.sendall(head.encode())
    received = b""
    while b"\r\n\r\n" not in received:
        piece = stream.recv(1 << 16)
        if not piece:
            raise ConnectionError("it ended without a response")
        received += piece
    if received.startswith(b"HTTP/1.1 100 "):
        stream.sendall(body)
        received = received.split(b"\r\n\r\n", 1)[1]
        while b"\r\n\r\n" not in received:
            received += stream.recv(1 << 16) or b"\r\n\r\n"
    head, content = received.split(b"\r\n\r\n", 1)
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    while len(content) < length:
        piece = stream.recv(1 << 16)
        if not piece:
            raise ConnectionError("the answer broke off")
        content += piece
    return int(head.split()[1]), content


def by_curl(url, size, framing, listener):
    file = os.path.join(directory.name, str(size))
    command = ["curl", "--silent", "--show-error", "--max-time", "60", "--upload-file", file, "--write-out", "\n%{http_code}"]
    command += ["--header", "x-ms-blob-type: BlockBlob"]
    command += ["--header", "expect: 100-continue" if framing == "expect" else "expect:"]
    if framing == "chunked":
        command += ["--header", "transfer-encoding: chunked"]
    if listener == 0:
        command += ["--unix-socket", path, f"http://localhost{url}"]
    else:
        command += ["--cacert", ca, f"https://localhost:{tls}{url}"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise ConnectionError(done.stderr.decode().strip())
    content, _, status = done.stdout.rpartition(b"\n")
    return int(status), content


def arrives(number):
    status, size, framing, mode, listener = kind(number)
    url = f"/blobs/early/{status}-{mode}/{number}"
    try:
        got, content = (by_curl if client == "curl" else by_python)(url, size, framing, listener)
        if got == status and json.loads(content)["error"]["code"] == "Early":
            return True
        lost = f"{got} {content[:200]}"
    except (OSError, http.client.HTTPException, ValueError, StopIteration) as error:
        lost = repr(error)
    print("lost:", status, size, framing, mode, ["socket or tcp", "tls"][listener], lost, flush=True)
    return False


for size in SIZES:
    with open(os.path.join(directory.name, str(size)), "wb") as file:
        file.write(b"x" * size)
with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
    arrived = sum(pool.map(arrives, range(int(count))))
print(f"{arrived} of {count} arrived")
sys.exit(arrived != int(count))
