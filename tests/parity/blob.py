#!/usr/bin/env python3
"""Operations of Microsoft's blob client for Python."""

import datetime
import itertools
import uuid

from azure.core import MatchConditions
from azure.storage.blob import (
    BlobBlock,
    BlobServiceClient,
    ContentSettings,
    CorsRule,
    RetentionPolicy,
    StandardBlobTier,
)
from azure.storage.blob._shared import uploads

import recorder

KIB = 1024
BLOCK = 256 * KIB
# The same on both sides, and not like itself anywhere.
DATA = b"".join(number.to_bytes(4, "big") for number in range(256 * KIB))
# Names that the service takes, though its documentation advises against some.
ODD = ("a//b", "/lead", "back\\slash", "a%2Fb", "semi;colon", "trail/", "dot.")
AWKWARD = "a folder/gr\u00fcn +1 & 100%=50%25 #2?.txt"
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
FAR_AHEAD = datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc)
SAME, OTHER = MatchConditions.IfNotModified, MatchConditions.IfModified
ABSENT = MatchConditions.IfMissing
UNKNOWN = '"0x1111111111111111"'
NO_LEASE = "11111111-2222-4333-8444-555555555555"


class State:
    """The clients, and what one operation leaves to the next."""

    def __init__(self, side):
        options = {
            "credential": side.credential("https://storage.azure.com/"),
            "connection_verify": side.ca,
            "use_env_settings": False,
            "retry_total": 0,
            "max_single_put_size": BLOCK,
            "max_block_size": BLOCK,
            "max_single_get_size": BLOCK,
            "max_chunk_get_size": BLOCK,
        }
        self.options = options
        self.service = BlobServiceClient(side.url, **options)
        self.container = self.service.get_container_client("parity")
        self.absent = self.service.get_container_client("absent")
        self.kept = {}

    def blob(self, name, **options):
        return self.container.get_blob_client(name, **options)

    def keep(self, name, value):
        self.kept[name] = value
        return value

    def etag(self, name):
        return self.blob(name).get_blob_properties().etag


def batch(parts):
    return [(part.status_code, dict(part.headers).get("x-ms-error-code")) for part in parts]


CONTAINERS = [
    ("create container", lambda s: s.container.create_container(metadata={"purpose": "parity"})),
    ("create container again", lambda s: s.container.create_container()),
    ("create container with a bad name", lambda s: s.service.create_container("Bad_Name")),
    ("container exists", lambda s: s.container.exists()),
    ("absent container exists", lambda s: s.absent.exists()),
    ("container properties", lambda s: s.container.get_container_properties()),
    ("container properties absent", lambda s: s.absent.get_container_properties()),
    ("set container metadata", lambda s: s.container.set_container_metadata({"a": "1", "b": "two words"})),
    (
        "set container metadata if modified since",
        lambda s: s.container.set_container_metadata({}, if_modified_since=FAR_AHEAD),
    ),
    ("container access policy", lambda s: s.container.get_container_access_policy()),
    ("list containers", lambda s: s.service.list_containers(include_metadata=True)),
    ("list containers by prefix", lambda s: s.service.list_containers(name_starts_with="none")),
    ("service properties", lambda s: s.service.get_service_properties()),
    (
        "set service properties",
        lambda s: s.service.set_service_properties(
            cors=[
                CorsRule(
                    ["https://contoso.example"],
                    ["GET"],
                    allowed_headers=["*"],
                    exposed_headers=["*"],
                    max_age_in_seconds=60,
                )
            ],
            delete_retention_policy=RetentionPolicy(enabled=False),
        ),
    ),
    ("account information", lambda s: s.service.get_account_information()),
    ("lease container", lambda s: s.keep("container", s.container.acquire_lease(60)).id),
    ("delete leased container", lambda s: s.container.delete_container()),
    ("renew container lease", lambda s: s.kept["container"].renew()),
    ("release container lease", lambda s: s.kept["container"].release()),
]

BLOCK_BLOBS = [
    ("upload", lambda s: s.blob("a.txt").upload_blob(b"a small blob")),
    ("upload again", lambda s: s.blob("a.txt").upload_blob(b"another")),
    (
        "upload over",
        lambda s: s.blob("a.txt").upload_blob(b"a small blob.", overwrite=True, metadata={"kind": "small"}),
    ),
    ("upload nothing", lambda s: s.blob("empty").upload_blob(b"")),
    ("upload to an awkward name", lambda s: s.blob(AWKWARD).upload_blob(b"awkward")),
    ("upload to an absent container", lambda s: s.absent.get_blob_client("a").upload_blob(b"x" * 4096)),
    (
        "upload much to an absent container",
        lambda s: s.absent.get_blob_client("a").upload_blob(DATA, max_concurrency=1),
    ),
    ("upload in blocks", lambda s: s.blob("large").upload_blob(DATA, max_concurrency=1)),
    (
        "upload with properties",
        lambda s: s.blob("typed").upload_blob(
            b"{}",
            content_settings=ContentSettings(
                "application/json", "identity", "de", 'attachment; filename="p.json"', "max-age=60"
            ),
            metadata={"x": "1"},
        ),
    ),
    ("upload with tier", lambda s: s.blob("cool").upload_blob(b"cool", standard_blob_tier=StandardBlobTier.COOL)),
    ("upload with tags", lambda s: s.blob("tagged").upload_blob(b"tagged", tags={"project": "parity", "n": "1"})),
    ("upload with MD5", lambda s: s.blob("checked").upload_blob(b"checked", validate_content=True)),
    (
        "upload if unmodified",
        lambda s: s.blob("a.txt").upload_blob(b"new", overwrite=True, etag=s.etag("a.txt"), match_condition=SAME),
    ),
    (
        "upload if an old etag",
        lambda s: s.blob("a.txt").upload_blob(b"no", overwrite=True, etag=UNKNOWN, match_condition=SAME),
    ),
    ("upload if none match", lambda s: s.blob("a.txt").upload_blob(b"no", match_condition=ABSENT)),
    (
        "upload if unmodified since",
        lambda s: s.blob("a.txt").upload_blob(b"no", overwrite=True, if_unmodified_since=LONG_AGO),
    ),
    ("upload from an iterator", lambda s: s.blob("pieces").upload_blob(iter([b"one", b"two"]), length=6)),
    ("stage a block", lambda s: s.blob("blocks").stage_block("QUFB", b"first ")),
    ("stage another block", lambda s: s.blob("blocks").stage_block("QkJC", b"second")),
    ("stage a block with a bad id", lambda s: s.blob("blocks")._client.block_blob.stage_block("%%%", 1, body=b"x")),
    ("uncommitted blocks", lambda s: s.blob("blocks").get_block_list("all")),
    (
        "commit blocks",
        lambda s: s.blob("blocks").commit_block_list([BlobBlock("QUFB"), BlobBlock("QkJC")], metadata={"n": "2"}),
    ),
    ("commit an unknown block", lambda s: s.blob("blocks").commit_block_list([BlobBlock("WlpaWg==")])),
    ("committed blocks", lambda s: s.blob("blocks").get_block_list("committed")),
    ("blocks of an absent blob", lambda s: s.blob("none").get_block_list()),
]

READS = [
    ("download", lambda s: s.blob("a.txt").download_blob().readall()),
    ("download nothing", lambda s: s.blob("empty").download_blob().readall()),
    ("download an awkward name", lambda s: s.blob(AWKWARD).download_blob().readall()),
    ("download in pieces", lambda s: s.blob("large").download_blob(max_concurrency=1).readall()),
    ("download chunks", lambda s: sum(len(chunk) for chunk in s.blob("large").download_blob().chunks())),
    ("download as text", lambda s: s.blob("a.txt").download_blob(encoding="utf-8").readall()),
    ("download a range", lambda s: s.blob("large").download_blob(offset=1000, length=100).readall()),
    ("download the last byte", lambda s: s.blob("large").download_blob(offset=len(DATA) - 1, length=1).readall()),
    ("download past the end", lambda s: s.blob("large").download_blob(offset=len(DATA) - 5, length=100).readall()),
    ("download behind the end", lambda s: s.blob("a.txt").download_blob(offset=100, length=10).readall()),
    (
        "download with MD5 of a range",
        lambda s: s.blob("large").download_blob(offset=0, length=100, validate_content=True).readall(),
    ),
    ("download absent", lambda s: s.blob("none").download_blob().readall()),
    ("download from an absent container", lambda s: s.absent.download_blob("a").readall()),
    (
        "download if unmodified",
        lambda s: s.blob("a.txt").download_blob(etag=s.etag("a.txt"), match_condition=SAME).readall(),
    ),
    ("download if an old etag", lambda s: s.blob("a.txt").download_blob(etag=UNKNOWN, match_condition=SAME).readall()),
    (
        "download if modified",
        lambda s: s.blob("a.txt").download_blob(etag=s.etag("a.txt"), match_condition=OTHER).readall(),
    ),
    ("download if modified since", lambda s: s.blob("a.txt").download_blob(if_modified_since=FAR_AHEAD).readall()),
    ("download if unmodified since", lambda s: s.blob("a.txt").download_blob(if_unmodified_since=LONG_AGO).readall()),
    ("properties", lambda s: s.blob("typed").get_blob_properties()),
    ("properties absent", lambda s: s.blob("none").get_blob_properties()),
    ("properties if an old etag", lambda s: s.blob("typed").get_blob_properties(etag=UNKNOWN, match_condition=SAME)),
    ("properties if modified since", lambda s: s.blob("typed").get_blob_properties(if_modified_since=FAR_AHEAD)),
    ("blob exists", lambda s: s.blob("typed").exists()),
    ("absent blob exists", lambda s: s.blob("none").exists()),
]

NAMES = [
    operation
    for name in ODD
    for operation in [
        (f"upload {name}", lambda s, name=name: s.blob(name).upload_blob(f"it is {name}".encode())),
        (f"download {name}", lambda s, name=name: s.blob(name).download_blob().readall()),
        (f"copy {name}", lambda s, name=name: s.blob("odd copy").start_copy_from_url(s.blob(name).url)),
        (f"download a copy of {name}", lambda s: s.blob("odd copy").download_blob().readall()),
        (f"names beside {name}", lambda s: list(s.container.list_blob_names())),
        (f"delete {name}", lambda s, name=name: s.blob(name).delete_blob()),
    ]
]

CHANGES = [
    ("set metadata", lambda s: s.blob("typed").set_blob_metadata({"first": "1", "second": "two words"})),
    ("set metadata of an absent blob", lambda s: s.blob("none").set_blob_metadata({"a": "1"})),
    ("set metadata with a bad name", lambda s: s.blob("typed").set_blob_metadata({"a-b": "1"})),
    (
        "set headers",
        lambda s: s.blob("typed").set_http_headers(ContentSettings(content_type="text/csv", cache_control="no-store")),
    ),
    (
        "set headers if an old etag",
        lambda s: s.blob("typed").set_http_headers(ContentSettings(), etag=UNKNOWN, match_condition=SAME),
    ),
    ("set tags", lambda s: s.blob("tagged").set_blob_tags({"project": "other"})),
    ("tags", lambda s: s.blob("tagged").get_blob_tags()),
    (
        "download if tags",
        lambda s: s.blob("tagged").download_blob(if_tags_match_condition="\"project\"='none'").readall(),
    ),
    ("set tier", lambda s: s.blob("cool").set_standard_blob_tier("Hot")),
    ("set a tier that is none", lambda s: s.blob("cool").set_standard_blob_tier("Lukewarm")),
    ("snapshot", lambda s: s.keep("snapshot", s.blob("typed").create_snapshot())),
    ("download snapshot", lambda s: s.blob("typed", snapshot=s.kept["snapshot"]["snapshot"]).download_blob().readall()),
    ("delete a blob with snapshots", lambda s: s.blob("typed").delete_blob()),
    ("delete snapshot", lambda s: s.blob("typed", snapshot=s.kept["snapshot"]["snapshot"]).delete_blob()),
    ("lease", lambda s: s.keep("blob", s.blob("a.txt").acquire_lease(60)).id),
    ("lease twice", lambda s: s.blob("a.txt").acquire_lease(60)),
    ("upload without the lease", lambda s: s.blob("a.txt").upload_blob(b"no", overwrite=True)),
    ("upload with another lease", lambda s: s.blob("a.txt").upload_blob(b"no", overwrite=True, lease=NO_LEASE)),
    ("upload with the lease", lambda s: s.blob("a.txt").upload_blob(b"leased", overwrite=True, lease=s.kept["blob"])),
    ("delete without the lease", lambda s: s.blob("a.txt").delete_blob()),
    ("change lease", lambda s: s.kept["blob"].change(NO_LEASE)),
    ("renew lease", lambda s: s.kept["blob"].renew()),
    ("break lease", lambda s: s.kept["blob"].break_lease(0)),
    ("release a broken lease", lambda s: s.kept["blob"].release()),
    ("copy", lambda s: s.blob("copy").start_copy_from_url(s.blob(AWKWARD).url)),
    ("copy absent", lambda s: s.blob("copy").start_copy_from_url(s.blob("none").url)),
    (
        "copy if the source is modified",
        lambda s: s.blob("copy").start_copy_from_url(
            s.blob("a.txt").url, source_etag=UNKNOWN, source_match_condition=SAME
        ),
    ),
    ("copy properties", lambda s: s.blob("copy").get_blob_properties()),
    ("abort a copy that is done", lambda s: s.blob("copy").abort_copy(NO_LEASE)),
]

OTHER_KINDS = [
    ("create append blob", lambda s: s.blob("append").create_append_blob()),
    ("create append blob if absent", lambda s: s.blob("append").create_append_blob(match_condition=ABSENT)),
    ("append", lambda s: s.blob("append").append_block(b"first line\n")),
    ("append at the end", lambda s: s.blob("append").append_block(b"second line\n", appendpos_condition=11)),
    ("append at a wrong place", lambda s: s.blob("append").append_block(b"x", appendpos_condition=5)),
    ("append beyond the limit", lambda s: s.blob("append").append_block(b"x" * 100, maxsize_condition=50)),
    ("append to a block blob", lambda s: s.blob("a.txt").append_block(b"x")),
    ("create page blob", lambda s: s.blob("pages").create_page_blob(4096)),
    ("create page blob of a bad size", lambda s: s.blob("pages").create_page_blob(1000)),
    ("upload page", lambda s: s.blob("pages").upload_page(b"p" * 512, 512, 512)),
    ("upload page out of range", lambda s: s.blob("pages").upload_page(b"p" * 512, 8192, 512)),
    ("clear page", lambda s: s.blob("pages").clear_page(512, 512)),
    ("page ranges", lambda s: s.blob("pages").list_page_ranges()),
    ("resize page blob", lambda s: s.blob("pages").resize_blob(8192)),
    ("set sequence number", lambda s: s.blob("pages").set_sequence_number("update", 7)),
    ("download page blob", lambda s: s.blob("pages").download_blob().readall()),
]

LISTS = [
    ("list blobs", lambda s: s.container.list_blobs()),
    (
        "list blobs with everything",
        lambda s: s.container.list_blobs(include=["metadata", "snapshots", "uncommittedblobs", "tags"]),
    ),
    ("list blobs by prefix", lambda s: s.container.list_blobs(name_starts_with="a")),
    (
        "list blobs in pages",
        lambda s: [[b.name for b in page] for page in s.container.list_blobs(results_per_page=3).by_page()],
    ),
    ("list blob names", lambda s: s.container.list_blob_names()),
    ("list of an absent container", lambda s: s.absent.list_blobs()),
    ("list of a bad page", lambda s: s.container.list_blobs(results_per_page=0)),
    ("walk blobs", lambda s: [item.name for item in s.container.walk_blobs(delimiter="/")]),
    ("find by tags", lambda s: s.service.find_blobs_by_tags("\"project\"='other'")),
]

DELETIONS = [
    ("delete if an old etag", lambda s: s.blob("copy").delete_blob(etag=UNKNOWN, match_condition=SAME)),
    ("delete", lambda s: s.blob("copy").delete_blob()),
    ("delete again", lambda s: s.blob("copy").delete_blob()),
    ("undelete", lambda s: s.blob("copy").undelete_blob()),
    ("set tiers in a batch", lambda s: batch(s.container.set_standard_blob_tier_blobs("Cool", "a.txt", "empty"))),
    ("delete a batch", lambda s: batch(s.container.delete_blobs("a.txt", "none", "empty", raise_on_any_failure=False))),
    ("delete a batch that fails", lambda s: batch(s.container.delete_blobs("none"))),
    ("delete container if modified since", lambda s: s.container.delete_container(if_modified_since=FAR_AHEAD)),
    ("delete container", lambda s: s.container.delete_container()),
    ("delete container again", lambda s: s.container.delete_container()),
    ("upload to a deleted container", lambda s: s.blob("a").upload_blob(b"x")),
]

OPERATIONS = [*CONTAINERS, *BLOCK_BLOBS, *READS, *NAMES, *CHANGES, *OTHER_KINDS, *LISTS, *DELETIONS]


def large(side):
    """Times an upload and a download of 100 MB."""
    data = (DATA * 100)[:100_000_000]
    options = {"credential": side.credential("https://storage.azure.com/"), "connection_verify": side.ca}
    with BlobServiceClient(side.url, use_env_settings=False, retry_total=0, **options) as service:
        container = service.create_container("large")
        for _ in range(5):
            blob = container.get_blob_client("large")
            recorder.timed("upload", lambda: blob.upload_blob(data, overwrite=True))
            got = recorder.timed("download", lambda: blob.download_blob().readall())
            if got != data:
                raise SystemExit("what was downloaded is not what was uploaded")
        container.delete_container()


if __name__ == "__main__":
    this = recorder.start()
    if this.large:
        this.recorder.recording = False
        large(this)
    else:
        # The client makes up the ids of blocks; they are the same on both sides.
        numbers = itertools.count()
        uploads.uuid4 = lambda: uuid.UUID(int=next(numbers))
        recorder.run("azure-storage-blob", OPERATIONS, State(this), this)
