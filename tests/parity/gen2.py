#!/usr/bin/env python3
"""Operations of Microsoft's client for Data Lake Gen2 for Python."""

import datetime

from azure.core import MatchConditions
from azure.storage.filedatalake import ContentSettings, DataLakeServiceClient

import recorder

DATA = b"".join(number.to_bytes(4, "big") for number in range(256 * 1024))
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
SAME = MatchConditions.IfNotModified
UNKNOWN = '"0x1111111111111111"'


class State:
    """The clients, and what one operation leaves to the next."""

    def __init__(self, side):
        self.service = DataLakeServiceClient(
            side.url,
            credential=side.credential("https://storage.azure.com/", recorder.NOTHING),
            connection_verify=side.ca,
            use_env_settings=False,
            retry_total=0,
        )
        self.system = self.service.get_file_system_client("parity")
        self.absent = self.service.get_file_system_client("absent")
        self.kept = {}

    def file(self, name):
        return self.system.get_file_client(name)

    def directory(self, name):
        return self.system.get_directory_client(name)

    def keep(self, name, value):
        self.kept[name] = value
        return value


def pages(found):
    return [[item.name for item in page] for page in found.by_page()]


OPERATIONS = [
    ("create file system", lambda s: s.system.create_file_system(metadata={"a": "1"})),
    ("create file system again", lambda s: s.system.create_file_system()),
    ("file system exists", lambda s: s.system.exists()),
    ("absent file system exists", lambda s: s.absent.exists()),
    ("file system properties", lambda s: s.system.get_file_system_properties()),
    ("list file systems", lambda s: s.service.list_file_systems(name_starts_with="parity")),
    ("create directory", lambda s: s.directory("dir").create_directory()),
    (
        "create directory with permissions",
        lambda s: s.directory("shut").create_directory(permissions="rwx------", umask="0000"),
    ),
    ("create file", lambda s: s.file("dir/a b.txt").create_file(metadata={"kind": "small"})),
    ("create file if absent", lambda s: s.file("dir/a b.txt").create_file(match_condition=MatchConditions.IfMissing)),
    ("create file in an absent file system", lambda s: s.absent.get_file_client("a").create_file()),
    ("append", lambda s: s.file("dir/a b.txt").append_data(b"one\n", 0, 4)),
    ("append more", lambda s: s.file("dir/a b.txt").append_data(b"two\n", 4, 4)),
    ("flush", lambda s: s.file("dir/a b.txt").flush_data(8)),
    ("append at a wrong place", lambda s: s.file("dir/a b.txt").append_data(b"x", 100, 1)),
    ("flush at a wrong place", lambda s: s.file("dir/a b.txt").flush_data(100)),
    ("append to an absent file", lambda s: s.file("none").append_data(b"x", 0, 1)),
    ("upload", lambda s: s.file("small").upload_data(b"a small file", overwrite=True)),
    ("upload again", lambda s: s.file("small").upload_data(b"another")),
    ("upload large", lambda s: s.file("large").upload_data(DATA, overwrite=True, chunk_size=256 * 1024)),
    (
        "upload with properties",
        lambda s: s.file("typed").upload_data(
            b"{}",
            overwrite=True,
            content_settings=ContentSettings(content_type="application/json"),
            metadata={"x": "1"},
        ),
    ),
    (
        "upload if an old etag",
        lambda s: s.file("small").upload_data(b"no", overwrite=True, etag=UNKNOWN, match_condition=SAME),
    ),
    ("download", lambda s: s.file("dir/a b.txt").download_file().readall()),
    ("download large", lambda s: s.file("large").download_file().readall()),
    ("download a range", lambda s: s.file("large").download_file(offset=1000, length=100).readall()),
    ("download behind the end", lambda s: s.file("small").download_file(offset=100, length=10).readall()),
    ("download absent", lambda s: s.file("none").download_file().readall()),
    ("download if an old etag", lambda s: s.file("small").download_file(etag=UNKNOWN, match_condition=SAME).readall()),
    ("download if unmodified since", lambda s: s.file("small").download_file(if_unmodified_since=LONG_AGO).readall()),
    ("file properties", lambda s: s.file("typed").get_file_properties()),
    ("file properties absent", lambda s: s.file("none").get_file_properties()),
    ("directory properties", lambda s: s.directory("dir").get_directory_properties()),
    ("file exists", lambda s: s.file("small").exists()),
    ("absent file exists", lambda s: s.file("none").exists()),
    ("set metadata", lambda s: s.file("typed").set_metadata({"y": "2"})),
    ("set headers", lambda s: s.file("typed").set_http_headers(ContentSettings(content_type="text/csv"))),
    ("access control", lambda s: s.file("small").get_access_control()),
    ("set permissions", lambda s: s.file("small").set_access_control(permissions="rw-rw----")),
    ("set owner", lambda s: s.file("small").set_access_control(owner="somebody")),
    ("set access control", lambda s: s.file("small").set_access_control(acl="user::rwx,group::r--,other::---")),
    ("access control of what was set", lambda s: s.file("small").get_access_control()),
    ("access control absent", lambda s: s.file("none").get_access_control()),
    ("list paths", lambda s: s.system.get_paths()),
    ("list paths of a directory", lambda s: s.system.get_paths("dir", recursive=False)),
    ("list paths in pages", lambda s: pages(s.system.get_paths(max_results=2))),
    ("list paths of an absent directory", lambda s: s.system.get_paths("none")),
    ("list paths of an absent file system", lambda s: s.absent.get_paths()),
    ("lease", lambda s: s.keep("lease", s.file("small").acquire_lease(60)).id),
    ("upload without the lease", lambda s: s.file("small").upload_data(b"no", overwrite=True)),
    ("upload with the lease", lambda s: s.file("small").upload_data(b"leased", overwrite=True, lease=s.kept["lease"])),
    ("release lease", lambda s: s.kept["lease"].release()),
    ("rename", lambda s: s.file("small").rename_file("parity/dir/moved 1").path_name),
    ("rename absent", lambda s: s.file("none").rename_file("parity/other")),
    ("rename directory", lambda s: s.directory("dir").rename_directory("parity/renamed").path_name),
    ("download renamed", lambda s: s.file("renamed/moved 1").download_file().readall()),
    ("delete file", lambda s: s.file("large").delete_file()),
    ("delete file again", lambda s: s.file("large").delete_file()),
    ("delete directory", lambda s: s.directory("renamed").delete_directory()),
    ("delete file system", lambda s: s.system.delete_file_system()),
    ("delete file system again", lambda s: s.system.delete_file_system()),
]

if __name__ == "__main__":
    this = recorder.start()
    recorder.run("azure-storage-file-datalake", OPERATIONS, State(this), this)
