#!/usr/bin/env python3
"""Operations of Microsoft's Resource Manager client for Python."""

from azure.mgmt.resource.resources import ResourceManagementClient

import recorder

SUBSCRIPTION = "00000000-1111-4222-8333-444444444444"
GROUP = {"location": "westeurope", "tags": {"purpose": "parity"}}
THING = {"location": "westeurope", "tags": {"a": "b"}}
VERSION = {"api_version": "2024-01-01"}
# Group, namespace, parent, type and name of a resource.
ONE = ("parity", "Contoso.Tests", "", "things", "one")
NONE = ("parity", "Contoso.Tests", "", "things", "none")
ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/parity/providers/Contoso.Tests/things"


class State:
    """The client."""

    def __init__(self, side):
        self.client = ResourceManagementClient(
            side.credential("https://management.azure.com/", recorder.NOTHING),
            SUBSCRIPTION,
            base_url=side.url,
            credential_scopes=["https://management.azure.com/.default"],
            connection_verify=side.ca,
            use_env_settings=False,
            retry_total=0,
            polling_interval=0,
        )
        self.groups = self.client.resource_groups
        self.resources = self.client.resources
        self.side = side

    def fault(self, status, retry_after=None):
        """Makes Resource Manager answer the next request with an error."""
        headers = [["content-type", "application/json"]]
        if retry_after is not None:
            headers.append(["retry-after", retry_after])
        error = '{"error":{"code":"TooManyRequests","message":"Too many requests"}}'
        answer = {"status": status, "headers": headers, "body": error}
        self.side.fault({"service": "arm", "times": 1, "kind": {"respond": answer}})


def failing(s, status, call, retry_after=None):
    s.fault(status, retry_after)
    return call()


def many(s):
    for number in range(5):
        s.groups.create_or_update(f"page-{number}", GROUP)
    return list(s.groups.list())


OPERATIONS = [
    ("list groups", lambda s: s.groups.list()),
    ("create group", lambda s: s.groups.create_or_update("parity", GROUP)),
    ("update group", lambda s: s.groups.create_or_update("parity", {**GROUP, "tags": {}})),
    ("create group without a location", lambda s: s.groups.create_or_update("nowhere", {"location": None})),
    ("get group", lambda s: s.groups.get("parity")),
    ("get absent group", lambda s: s.groups.get("none")),
    ("group exists", lambda s: s.groups.check_existence("parity")),
    ("absent group exists", lambda s: s.groups.check_existence("none")),
    ("list many groups", many),
    ("list groups in pages", lambda s: s.groups.list(top=2)),
    ("list groups page by page", lambda s: [len(list(page)) for page in s.groups.list(top=3).by_page()]),
    ("create resource", lambda s: s.resources.begin_create_or_update(*ONE, THING, **VERSION).result()),
    (
        "create resource again",
        lambda s: s.resources.begin_create_or_update(*ONE, {**THING, "tags": {}}, **VERSION).result(),
    ),
    (
        "create resource without a location",
        lambda s: s.resources.begin_create_or_update(*NONE, {"tags": {}}, **VERSION).result(),
    ),
    ("get resource", lambda s: s.resources.get(*ONE, **VERSION)),
    ("get absent resource", lambda s: s.resources.get(*NONE, **VERSION)),
    ("get resource by id", lambda s: s.resources.get_by_id(f"{ID}/one", **VERSION)),
    ("resource exists", lambda s: s.resources.check_existence(*ONE, **VERSION)),
    ("absent resource exists", lambda s: s.resources.check_existence(*NONE, **VERSION)),
    (
        "create resource by id",
        lambda s: s.resources.begin_create_or_update_by_id(f"{ID}/two", THING, **VERSION).result(),
    ),
    ("list resources", lambda s: s.resources.list_by_resource_group("parity")),
    ("list resources in pages", lambda s: s.resources.list_by_resource_group("parity", top=1)),
    ("list resources of an absent group", lambda s: s.resources.list_by_resource_group("none")),
    (
        "create resource in an absent group",
        lambda s: s.resources.begin_create_or_update("none", *ONE[1:], THING, **VERSION),
    ),
    ("get group while throttled", lambda s: failing(s, 429, lambda: s.groups.get("parity"), "1")),
    (
        "get group, and again after Retry-After",
        lambda s: failing(s, 429, lambda: s.groups.get("parity", retry_total=1), "1"),
    ),
    (
        "create group, and again after Retry-After",
        lambda s: failing(s, 429, lambda: s.groups.create_or_update("parity", GROUP, retry_total=1), "1"),
    ),
    ("get group while unavailable", lambda s: failing(s, 503, lambda: s.groups.get("parity"))),
    ("get group, and again", lambda s: failing(s, 503, lambda: s.groups.get("parity", retry_total=1))),
    ("delete resource", lambda s: s.resources.begin_delete(*ONE, **VERSION).result()),
    ("delete absent resource", lambda s: s.resources.begin_delete(*NONE, **VERSION).result()),
    ("delete group", lambda s: s.groups.begin_delete("parity").result()),
    ("delete absent group", lambda s: s.groups.begin_delete("parity").result()),
    ("get deleted group", lambda s: s.groups.get("parity")),
]

if __name__ == "__main__":
    this = recorder.start()
    recorder.run("azure-mgmt-resource", OPERATIONS, State(this), this)
