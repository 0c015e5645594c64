#!/usr/bin/env python3
"""Operations of the `hdfs` client of the Python Package Index, against Data Lake Gen1."""

import requests
from hdfs import Client

import recorder

DATA = b"".join(number.to_bytes(4, "big") for number in range(256 * 1024))


def read(s, path, **options):
    with s.client.read(path, **options) as reader:
        return reader.read()


class State:
    """The client."""

    def __init__(self, side):
        session = requests.Session()
        session.trust_env = False
        session.verify = side.ca
        if side.direct:
            session.headers["authorization"] = f"Bearer {side.token('https://datalake.azure.net/')}"
            # `requests` drops it on the way to another host, which takes no request without it.
            session.rebuild_auth = lambda request, response: None
        self.client = Client(side.url, session=session)


OPERATIONS = [
    ("list", lambda s: s.client.list("/reports", status=True)),
    ("list absent", lambda s: s.client.list("/none")),
    ("make directories", lambda s: s.client.makedirs("/parity/deep/er")),
    ("make directory with permissions", lambda s: s.client.makedirs("/parity/shut", permission="700")),
    ("create", lambda s: s.client.write("/parity/a b.txt", b"one\n")),
    ("create again", lambda s: s.client.write("/parity/a b.txt", b"two\n")),
    ("create over", lambda s: s.client.write("/parity/a b.txt", b"two\n", overwrite=True)),
    ("create empty", lambda s: s.client.write("/parity/empty", b"")),
    ("create large", lambda s: s.client.write("/parity/large", DATA)),
    ("create in pieces", lambda s: s.client.write("/parity/pieces", iter([b"one", b"two"]))),
    ("append", lambda s: s.client.write("/parity/a b.txt", b"three\n", append=True)),
    ("append to an absent file", lambda s: s.client.write("/parity/none", b"x", append=True)),
    ("open", lambda s: read(s, "/parity/a b.txt")),
    ("open empty", lambda s: read(s, "/parity/empty")),
    ("open large", lambda s: read(s, "/parity/large")),
    ("open a part", lambda s: read(s, "/parity/large", offset=1000, length=100)),
    ("open behind the end", lambda s: read(s, "/parity/a b.txt", offset=1000)),
    ("open absent", lambda s: read(s, "/parity/none")),
    ("open directory", lambda s: read(s, "/parity")),
    ("status", lambda s: s.client.status("/parity/a b.txt")),
    ("status of a directory", lambda s: s.client.status("/parity")),
    ("status absent", lambda s: s.client.status("/parity/none")),
    ("status absent, not strict", lambda s: s.client.status("/parity/none", strict=False)),
    ("content summary", lambda s: s.client.content("/parity")),
    ("checksum", lambda s: s.client.checksum("/parity/a b.txt")),
    ("checksum absent", lambda s: s.client.checksum("/parity/none")),
    ("set permission", lambda s: s.client.set_permission("/parity/empty", "640")),
    ("set owner", lambda s: s.client.set_owner("/parity/empty", owner="somebody")),
    ("set times", lambda s: s.client.set_times("/parity/empty", modification_time=1_000_000_000_000)),
    ("status of what was set", lambda s: s.client.status("/parity/empty")),
    ("access control", lambda s: s.client.acl_status("/parity")),
    ("set access control", lambda s: s.client.set_acl("/parity/shut", "user::rwx,group::r-x,other::---", clear=False)),
    ("snapshot", lambda s: s.client.create_snapshot("/parity")),
    ("rename", lambda s: s.client.rename("/parity/empty", "/parity/deep/moved")),
    ("rename absent", lambda s: s.client.rename("/parity/none", "/parity/other")),
    ("walk", lambda s: [[path, dirs, files] for path, dirs, files in s.client.walk("/parity")]),
    ("delete", lambda s: s.client.delete("/parity/a b.txt")),
    ("delete again", lambda s: s.client.delete("/parity/a b.txt")),
    ("delete directory that is not empty", lambda s: s.client.delete("/parity")),
    ("delete all", lambda s: s.client.delete("/parity", recursive=True)),
]

if __name__ == "__main__":
    this = recorder.start()
    recorder.run("hdfs", OPERATIONS, State(this), this)
