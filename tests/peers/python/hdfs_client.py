#!/usr/bin/env python3
"""Drives the `hdfs` client of the Python Package Index, unmodified, against a lake that takes data in two steps only."""

import argparse
import os
import sys
import tempfile

import requests
from hdfs import Client, HdfsError

from steps import Failed, named, run, same

MIB = 1024 * 1024


def refused(what, exception, call):
    try:
        call()
    except HdfsError as error:
        same(f"{what}: the exception", error.exception, exception)
        return
    raise Failed(f"{what}: it was allowed")


def read(client, path, **options):
    with client.read(path, **options) as reader:
        return reader.read()


def write(c):
    c.write("/peers/a b.txt", b"one\n")
    same("what is read back", read(c, "/peers/a b.txt"), b"one\n")


def write_large(c):
    data = os.urandom(8 * MIB + 1)
    with c.write("/peers/large") as writer:
        for start in range(0, len(data), MIB):
            writer.write(data[start : start + MIB])
    same("what is read back", read(c, "/peers/large"), data)
    same("a part", read(c, "/peers/large", offset=MIB, length=7), data[MIB : MIB + 7])


def write_nothing(c):
    c.write("/peers/empty", b"")
    same("the length", c.status("/peers/empty")["length"], 0)


def append(c):
    c.write("/peers/a b.txt", b"two\n", append=True)
    same("what is read back", read(c, "/peers/a b.txt"), b"one\ntwo\n")


def exists(c):
    refused("a second file", "FileAlreadyExistsException", lambda: c.write("/peers/a b.txt", b"x"))
    same("the first", read(c, "/peers/a b.txt"), b"one\ntwo\n")
    c.write("/peers/a b.txt", b"three", overwrite=True)
    same("written over", read(c, "/peers/a b.txt"), b"three")


def checksum(c):
    same("the length", c.checksum("/peers/a b.txt")["length"], 28)


def directories(c):
    c.makedirs("/peers/deep/er")
    same("the list", c.list("/peers"), ["a b.txt", "deep", "empty", "large"])
    same("the type", c.status("/peers/deep")["type"], "DIRECTORY")
    same("the count", c.content("/peers")["fileCount"], 3)
    same("the walk", [path for path, _, _ in c.walk("/peers")], ["/peers", "/peers/deep", "/peers/deep/er"])


def attributes(c):
    c.set_permission("/peers/empty", "640")
    c.set_owner("/peers/empty", owner="somebody")
    c.set_times("/peers/empty", modification_time=1_700_000_000_000)
    status = c.status("/peers/empty")
    got = (status["permission"], status["owner"], status["modificationTime"])
    same("the status", got, ("640", "somebody", 1_700_000_000_000))
    refused("a snapshot", "IllegalArgumentException", lambda: c.create_snapshot("/peers"))


def move(c):
    c.rename("/peers/empty", "/peers/deep/moved")
    same("the list", c.list("/peers/deep"), ["er", "moved"])
    same("deleted", c.delete("/peers/deep", recursive=True), True)
    same("deleted again", c.delete("/peers/deep"), False)
    refused("a file that is not there", "FileNotFoundException", lambda: read(c, "/peers/none"))


def upload(c):
    with tempfile.TemporaryDirectory() as directory:
        data = os.urandom(MIB)
        with open(f"{directory}/up", "wb") as file:
            file.write(data)
        c.upload("/peers/up", f"{directory}/up")
        c.download("/peers/up", f"{directory}/down")
        with open(f"{directory}/down", "rb") as file:
            same("what was downloaded", file.read(), data)


STEPS = [write, write_large, write_nothing, append, exists, checksum, directories, attributes, move, upload]


def main(url, ca):
    session = requests.Session()
    # This machine's own variables would name other certificates.
    session.trust_env = False
    session.verify = ca
    return run(named(STEPS), Client(url, session=session), HdfsError)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="the lake, such as https://localhost:8443/lake")
    parser.add_argument("--ca", required=True, help="the certificates to trust, as PEM")
    given = parser.parse_args()
    sys.exit(main(given.url, given.ca))
