#!/usr/bin/env python3
"""Operations of Microsoft's client for Data Lake Gen1 for Python."""

import os

from azure.datalake.store import lib
from azure.datalake.store.core import AzureDLFileSystem
from azure.datalake.store.retry import NoRetryPolicy

import recorder

DATA = b"".join(number.to_bytes(4, "big") for number in range(256 * 1024))


class State:
    """The client."""

    def __init__(self, side):
        os.environ["REQUESTS_CA_BUNDLE"] = side.ca
        # A retry would hide an error.
        lib.ExponentialRetryPolicy = NoRetryPolicy
        credential = side.credential("https://datalake.azure.net/", recorder.NOTHING)
        self.client = AzureDLFileSystem(credential, store_name="contoso")
        # All that a client needs to be told of a mount.
        self.client.azure.url = f"{side.url}/"

    def call(self, operation, path, **options):
        return self.client.azure.call(operation, path, **options)


def write(s, path, data, mode="wb"):
    with s.client.open(path, mode) as file:
        file.write(data)
    s.client.invalidate_cache()


def fresh(s, call):
    s.client.invalidate_cache()
    return call()


OPERATIONS = [
    ("list", lambda s: s.client.ls("reports", detail=True)),
    ("list absent", lambda s: s.client.ls("none")),
    ("make directory", lambda s: s.client.mkdir("gen1/deep/er")),
    ("touch", lambda s: s.client.touch("gen1/empty")),
    ("create", lambda s: write(s, "gen1/a b.txt", b"one\n")),
    ("create large", lambda s: write(s, "gen1/large", DATA)),
    ("append", lambda s: write(s, "gen1/a b.txt", b"two\n", "ab")),
    ("read", lambda s: s.client.cat("gen1/a b.txt")),
    ("read large", lambda s: s.client.cat("gen1/large")),
    ("read the beginning", lambda s: s.client.head("gen1/large", 100)),
    ("read the end", lambda s: s.client.tail("gen1/large", 100)),
    ("read a block", lambda s: s.client.read_block("gen1/large", 1000, 100)),
    ("read absent", lambda s: s.client.cat("gen1/none")),
    ("info", lambda s: fresh(s, lambda: s.client.info("gen1/a b.txt"))),
    ("exists", lambda s: fresh(s, lambda: s.client.exists("gen1/a b.txt"))),
    ("absent exists", lambda s: fresh(s, lambda: s.client.exists("gen1/none"))),
    ("disk usage", lambda s: fresh(s, lambda: s.client.du("gen1"))),
    ("walk", lambda s: fresh(s, lambda: s.client.walk("gen1"))),
    ("glob", lambda s: fresh(s, lambda: s.client.glob("gen1/*"))),
    ("change mode", lambda s: s.client.chmod("gen1/empty", "640")),
    ("change owner", lambda s: s.client.chown("gen1/empty", owner="somebody")),
    ("check access", lambda s: s.client.access("gen1/a b.txt")),
    ("access control", lambda s: s.client.get_acl_status("gen1/empty")),
    ("set access control", lambda s: s.client.set_acl("gen1/empty", "user::rwx,group::r-x,other::---")),
    ("modify access control", lambda s: s.client.modify_acl_entries("gen1/empty", "user:somebody:rwx")),
    ("remove access control", lambda s: s.client.remove_acl_entries("gen1/empty", "user:somebody")),
    ("content summary", lambda s: s.call("GETCONTENTSUMMARY", "gen1")),
    ("status", lambda s: s.call("GETFILESTATUS", "gen1/a b.txt")),
    ("status absent", lambda s: s.call("GETFILESTATUS", "gen1/none")),
    # The client puts two slashes in front of these.
    ("status of an absolute path", lambda s: s.call("GETFILESTATUS", "/gen1/a b.txt")),
    ("read an absolute path", lambda s: s.call("OPEN", "/gen1/a b.txt", read="true").content),
    ("make directory by an absolute path", lambda s: s.call("MKDIRS", "/gen1/absolute")),
    ("rename to an absolute path", lambda s: s.call("RENAME", "/gen1/absolute", destination="/gen1/renamed")),
    ("create what is there", lambda s: s.call("CREATE", "gen1/empty", overwrite="false", write="true", data=b"x")),
    ("append at a wrong place", lambda s: s.call("APPEND", "gen1/empty", append="true", offset=100, data=b"x")),
    ("concatenate", lambda s: s.client.concat("gen1/both", ["gen1/a b.txt", "gen1/empty"])),
    ("rename", lambda s: s.client.mv("gen1/large", "gen1/deep/moved")),
    ("rename absent", lambda s: s.client.mv("gen1/none", "gen1/other")),
    ("remove", lambda s: s.client.rm("gen1/deep/moved")),
    ("remove again", lambda s: s.client.remove("gen1/deep/moved")),
    ("remove all", lambda s: s.client.rm("gen1", recursive=True)),
]

if __name__ == "__main__":
    this = recorder.start()
    recorder.run("azure-datalake-store", OPERATIONS, State(this), this)
