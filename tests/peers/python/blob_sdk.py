#!/usr/bin/env python3
"""Drives Microsoft's own blob client, unmodified and without a credential, against a blob service."""

import argparse
import hashlib
import os
import sys
import time
import uuid

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobPrefix, BlobServiceClient, ContentSettings

from steps import Failed, run, same

MIB = 1024 * 1024
BLOCK = 4 * MIB
LARGE = 40 * MIB

# A name that every place that takes a URL apart has to encode the same way.
AWKWARD = "a folder/gr\u00fcn +1 & 100%=50%25 #2?.txt"

# Names that the service takes, though its own documentation advises against some.
LEGAL = (
    "a//b",
    "/lead",
    "//lead",
    "back\\slash",
    "a%2Fb",
    "a%252Fb",
    "semi;colon",
    "100%",
    "trail/",
    "dot.",
    "what?/c#",
    AWKWARD,
)


def refused(what, kind, status, code, call):
    """Calls, and wants this exception, HTTP status and error code of the service."""
    try:
        call()
    except HttpResponseError as error:
        # The service's error code is an enumeration where the client knows it, and else a string.
        got = getattr(error, "error_code", None)
        got = getattr(got, "value", got)
        same(f"{what}: the status", error.status_code, status)
        if code is not None:
            same(f"{what}: the error code", got, code)
        if not isinstance(error, kind):
            raise Failed(f"{what}: a {type(error).__name__}, not a {kind.__name__}") from error
        return
    raise Failed(f"{what}: it was allowed")


def digest(data):
    return hashlib.sha256(data).hexdigest()


def create_container(c):
    c.create_container()
    same("whether the container exists", c.exists(), True)


def upload(c):
    data = b"a small blob"
    answer = c.upload_blob(AWKWARD, data, overwrite=True).get_blob_properties()
    same("its size", answer.size, len(data))
    same("its name", answer.name, AWKWARD)
    c.upload_blob("empty", b"", overwrite=True)
    same("the size of an empty blob", c.get_blob_client("empty").get_blob_properties().size, 0)


def download(c):
    data = os.urandom(5000)
    c.upload_blob(AWKWARD, data, overwrite=True)
    same("the content", digest(c.download_blob(AWKWARD).readall()), digest(data))
    c.upload_blob("empty", b"", overwrite=True)
    same("an empty blob", c.download_blob("empty").readall(), b"")


def legal_names(c):
    for name in LEGAL:
        # The service makes a slash of a backslash.
        known = name.replace("\\", "/")
        data = os.urandom(1000) + name.encode()
        blob = c.upload_blob(name, data, overwrite=True)
        same(f"{name}: the list", known in [found.name for found in c.list_blobs()], True)
        same(f"{name}: the content", blob.download_blob().readall(), data)
        same(f"{name}: under its name in the list", c.download_blob(known).readall(), data)
        same(f"{name}: its size", blob.get_blob_properties().size, len(data))
        blob.delete_blob()
        same(f"{name}: whether it exists", blob.exists(), False)


def large(c):
    data = os.urandom(LARGE)
    c.upload_blob("large", data, overwrite=True, max_concurrency=4)
    # A single request would have left no blocks.
    blocks, _ = c.get_blob_client("large").get_block_list("committed")
    same("the number of blocks", len(blocks), LARGE // BLOCK)
    same("the content", digest(c.download_blob("large", max_concurrency=4).readall()), digest(data))


def ranges(c):
    data = os.urandom(100_000)
    c.upload_blob("ranges", data, overwrite=True)
    for offset, length in ((0, 1), (1, 4096), (99_999, 1), (50_000, 100_000)):
        got = c.download_blob("ranges", offset=offset, length=length).readall()
        same(f"bytes from {offset}", digest(got), digest(data[offset : offset + length]))
    refused(
        "a range behind the end",
        HttpResponseError,
        416,
        "InvalidRange",
        lambda: c.download_blob("ranges", offset=200_000, length=10).readall(),
    )


def pages(c):
    names = [f"pages/{number:02}" for number in range(10)]
    for name in names:
        c.upload_blob(name, name.encode(), overwrite=True)

    def listing(token=None):
        return c.list_blobs(name_starts_with="pages/", results_per_page=3).by_page(token)

    found = [[blob.name for blob in page] for page in listing()]
    same("the pages", found, [names[0:3], names[3:6], names[6:9], names[9:]])
    # A second listing goes on where the first stopped.
    first = listing()
    same("the first page", [blob.name for blob in next(first)], names[:3])
    rest = [blob.name for page in listing(first.continuation_token) for blob in page]
    same("the rest", rest, names[3:])


def delimiter(c):
    for name in ("tree/a", "tree/one/b", "tree/one/c", "tree/two words/d"):
        c.upload_blob(name, b"leaf", overwrite=True)
    top = [(type(item) is BlobPrefix, item.name) for item in c.walk_blobs("tree/", delimiter="/")]
    same("the top", sorted(top), [(False, "tree/a"), (True, "tree/one/"), (True, "tree/two words/")])
    inner = [item.name for item in c.walk_blobs("tree/two words/", delimiter="/")]
    same("the folder", inner, ["tree/two words/d"])


def properties(c):
    blob = c.get_blob_client("properties")
    blob.upload_blob(b"{}", overwrite=True, metadata={"first": "1"})
    same("the metadata", blob.get_blob_properties().metadata, {"first": "1"})
    blob.set_blob_metadata({"second": "two words", "third": "3"})
    blob.set_http_headers(
        ContentSettings(
            content_type="application/json; charset=utf-8",
            content_language="de",
            content_disposition='attachment; filename="p.json"',
            cache_control="max-age=60",
        )
    )
    got = blob.get_blob_properties()
    same("the metadata", got.metadata, {"second": "two words", "third": "3"})
    same("the type", got.content_settings.content_type, "application/json; charset=utf-8")
    same("the language", got.content_settings.content_language, "de")
    same("the disposition", got.content_settings.content_disposition, 'attachment; filename="p.json"')
    same("the cache control", got.content_settings.cache_control, "max-age=60")


def conditions(c):
    blob = c.get_blob_client("conditions")
    blob.upload_blob(b"one", overwrite=True)
    old = blob.get_blob_properties().etag
    # Without `overwrite` the client sends If-None-Match: *.
    refused(
        "a second upload",
        ResourceExistsError,
        409,
        "BlobAlreadyExists",
        lambda: blob.upload_blob(b"two", overwrite=False),
    )
    unmodified = {"etag": old, "match_condition": MatchConditions.IfNotModified}
    blob.upload_blob(b"two", overwrite=True, **unmodified)
    refused(
        "an upload over a newer blob",
        ResourceModifiedError,
        412,
        "ConditionNotMet",
        lambda: blob.upload_blob(b"three", overwrite=True, **unmodified),
    )
    refused(
        "a download of an older blob",
        ResourceModifiedError,
        412,
        "ConditionNotMet",
        lambda: blob.download_blob(**unmodified).readall(),
    )
    new = blob.get_blob_properties().etag
    refused(
        "a download of what is known",
        HttpResponseError,
        304,
        None,
        lambda: blob.download_blob(etag=new, match_condition=MatchConditions.IfModified).readall(),
    )
    same("the content", blob.download_blob().readall(), b"two")


def append(c):
    blob = c.get_blob_client("append")
    blob.create_append_blob()
    blob.append_block(b"first line\n")
    answer = blob.append_block(b"second line\n", appendpos_condition=11)
    same("the offset", answer["blob_append_offset"], "11")
    refused(
        "an append at a wrong place",
        HttpResponseError,
        412,
        "AppendPositionConditionNotMet",
        lambda: blob.append_block(b"x", appendpos_condition=5),
    )
    same("the content", blob.download_blob().readall(), b"first line\nsecond line\n")


def lease(c):
    blob = c.get_blob_client("lease")
    blob.upload_blob(b"one", overwrite=True)
    held = blob.acquire_lease(lease_duration=15)
    refused(
        "a write without the lease",
        HttpResponseError,
        412,
        "LeaseIdMissing",
        lambda: blob.upload_blob(b"two", overwrite=True),
    )
    blob.upload_blob(b"three", overwrite=True, lease=held)
    held.renew()
    held.release()
    blob.upload_blob(b"four", overwrite=True)
    same("the content", blob.download_blob().readall(), b"four")


def copy(c):
    data = os.urandom(10_000)
    source = c.upload_blob("source/" + AWKWARD, data, overwrite=True, metadata={"kind": "source"})
    target = c.get_blob_client("copy")
    # The URL is the one this client knows, not the one the service has.
    target.start_copy_from_url(source.url)
    for _ in range(50):
        got = target.get_blob_properties()
        if got.copy.status != "pending":
            break
        time.sleep(0.1)
    same("the state of the copy", got.copy.status, "success")
    same("the metadata", got.metadata, {"kind": "source"})
    same("the content", digest(target.download_blob().readall()), digest(data))


def delete(c):
    blob = c.upload_blob("delete", b"gone soon", overwrite=True)
    same("whether it exists", blob.exists(), True)
    blob.delete_blob()
    same("whether it exists", blob.exists(), False)


def missing(c):
    blob = c.get_blob_client("no/such blob")
    for what, call in (
        ("a download", lambda: blob.download_blob().readall()),
        ("the properties", blob.get_blob_properties),
        ("a deletion", blob.delete_blob),
    ):
        refused(what, ResourceNotFoundError, 404, "BlobNotFound", call)


def delete_container(c):
    c.delete_container()
    same("whether the container exists", c.exists(), False)


# In this order; each makes what it needs, apart from the container.
def batch(c):
    names = [f"batch/{number} +%.txt" for number in range(256)]
    for name in names:
        c.upload_blob(name, b"x")
    for part in c.set_standard_blob_tier_blobs("Cool", *names[:3]):
        same("the status of a part", part.status_code, 200)
    same("the tier", c.get_blob_client(names[0]).get_blob_properties().blob_tier, "Cool")
    parts = list(c.delete_blobs(names[0], "batch/none", *names[1:3], raise_on_any_failure=False))
    same("the parts", [part.status_code for part in parts], [202, 404, 202, 202])
    same("the error code of a part", parts[1].headers.get("x-ms-error-code"), "BlobNotFound")
    c.upload_blob(names[0], b"x")
    c.upload_blob(names[1], b"x")
    c.upload_blob(names[2], b"x")
    same("the parts", {part.status_code for part in c.delete_blobs(*names)}, {202})
    same("what is left", list(c.list_blobs(name_starts_with="batch/")), [])


STEPS = {
    "create-container": create_container,
    "upload": upload,
    "download": download,
    "legal-names": legal_names,
    "large": large,
    "range": ranges,
    "pages": pages,
    "delimiter": delimiter,
    "properties": properties,
    "conditions": conditions,
    "append": append,
    "lease": lease,
    "copy": copy,
    "delete": delete,
    "batch": batch,
    "missing": missing,
    "delete-container": delete_container,
}


def main(url, ca, credential=None, steps=None, container=None):
    """Runs the steps, and returns the exit code. The credential is for the test of this script itself."""
    unknown = sorted(set(steps or ()) - set(STEPS))
    if unknown:
        print(f"no such step: {', '.join(unknown)} (there are: {', '.join(STEPS)})", file=sys.stderr)
        return 2
    service = BlobServiceClient(
        account_url=url,
        credential=credential,
        connection_verify=ca,
        # Neither proxies nor certificates from the environment.
        use_env_settings=False,
        # A retry would hide an error.
        retry_total=0,
        # Small enough for the large blob to go in parallel.
        max_single_put_size=BLOCK,
        max_block_size=BLOCK,
        max_single_get_size=BLOCK,
        max_chunk_get_size=BLOCK,
    )
    with service:
        client = service.get_container_client(container or f"peer-{uuid.uuid4().hex[:12]}")
        chosen = {name: step for name, step in STEPS.items() if not steps or name in steps}
        return run(chosen, client, AzureError)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="the blob service, such as https://localhost:8443/blobs")
    parser.add_argument("--ca", required=True, help="the certificates to trust, as PEM")
    parser.add_argument("--steps", help=f"only these, with commas between them: {', '.join(STEPS)}")
    parser.add_argument("--container", help="its name; needed where --steps leaves out create-container")
    given = parser.parse_args()
    chosen = given.steps.split(",") if given.steps else None
    if chosen and "create-container" not in chosen and not given.container:
        parser.error("--steps without create-container needs --container")
    sys.exit(main(given.url, given.ca, steps=chosen, container=given.container))
