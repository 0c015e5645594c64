"""The differences between a service and a mount that are right, each with its reason. Any other is a fault."""

import dataclasses
import email
import email.policy
import re
import typing

# Header fields that are not compared.
HEADERS = {
    "connection": "of one connection: whether it stays open",
    "keep-alive": "of one connection: for how long it stays open",
    "transfer-encoding": "of one connection: how bodies are sent over it",
    "x-keyward-call": "a mount's alone: the call's id in the audit",
}

# Values that no two runs have in common.
VALUES = [
    "dates and times",
    "ETags, and ids of requests, leases, copies and batches: where one occurs twice within an operation, it must do so "
    "on both sides",
]


@dataclasses.dataclass
class Difference:
    """A difference that is right: what it is, why, and a function that takes it out of what a client saw."""

    name: str
    reason: str
    remove: typing.Callable


def texts(value, change):
    """A value with all its texts changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [texts(item, change) for item in value]
    if isinstance(value, dict):
        return {name: texts(item, change) for name, item in value.items()}
    return value


def without(value, names):
    """A value without the entries of these names, however deep they are."""
    if isinstance(value, list):
        return [without(item, names) for item in value]
    if isinstance(value, dict):
        return {name: without(item, names) for name, item in value.items() if name not in names}
    return value


def without_reason(record):
    """HTTP's reason phrases, which clients put into their messages."""
    reasons = {exchange.pop("reason", None) for exchange in record["exchanges"]} - {None, ""}
    if "message" in record.get("error", {}):
        for reason in reasons:
            message = record["error"]["message"]
            record["error"]["message"] = message.replace(f"invalid status '{reason}'", "invalid status")
    return record


OWN_ADDRESS = re.compile(r'ServiceEndpoint="[^"]*"|<CopySource>[^<]*</CopySource>')


def without_own_address(record):
    """Where the service names itself in what no client follows."""
    record = texts(record, lambda text: OWN_ADDRESS.sub("{own address}", text))
    for exchange in record["exchanges"]:
        if "x-ms-copy-source" in exchange["headers"]:
            exchange["headers"]["x-ms-copy-source"] = ["{own address}"]
    # What clients make of these.
    return {**record, "result": without(record.get("result"), ("copySource", "source"))}


def part(message):
    """A part of the answer to a batch: its status, fields and body."""
    head, _, body = message.get_payload().replace("\r\n", "\n").partition("\n\n")
    status, _, fields = head.partition("\n")
    fields = dict(line.lower().split(": ", 1) for line in fields.splitlines() if ": " in line)
    fields = {name: value for name, value in fields.items() if name not in ("date", "content-length")}
    # The version of HTTP and the status, without the reason.
    return {"status": status.split(" ")[:2], "headers": fields, "body": body.strip()}


def as_parts(record):
    """The answer to a batch as its parts."""
    is_batch = False
    for exchange in record["exchanges"]:
        kind = exchange["headers"].get("content-type", [""])[0]
        if kind.startswith("multipart/mixed"):
            is_batch = True
            # A client that is given a path of a single segment takes it for a container.
            exchange["url"] = re.sub(r"^\{service\}/?\?", "{service}?", exchange["url"]).replace(
                "&restype=container", ""
            )
            text = f"content-type: {kind}\n\n{exchange['body']['text']}"
            message = email.message_from_string(text, policy=email.policy.compat32)
            exchange["body"] = [part(piece) for piece in message.get_payload()]
            for name in (
                "content-length",
                "content-type",
                "server",
                "x-ms-request-id",
                "x-ms-client-request-id",
                "x-ms-version",
            ):
                exchange["headers"].pop(name, None)
            if "message" in record.get("error", {}):
                record["error"]["message"] = record["error"]["message"].split("Content: ")[0]
    if is_batch:
        record["result"] = without(record.get("result"), ("contentType", "requestId", "version", "statusMessage"))
    # Ids are numbered in the order in which they occur, and those of the whole answer come first.
    return texts(record, lambda text: re.sub(r"\{id \d+\}", "{id}", text))


DIFFERENCES = [
    Difference(
        "reason phrase",
        "a plugin cannot set HTTP's reason phrase (`wasi:http` has none), so that a client gets the standard one of "
        "the status. Some clients put it into a message where the answer has no body.",
        without_reason,
    ),
    Difference(
        "own address",
        "where the service names itself in data that no client follows (the `ServiceEndpoint` of a list, the source of "
        "a copy), it names its own address, as it does directly.",
        without_own_address,
    ),
    Difference(
        "batch",
        "a mount sends the parts of a batch one by one and composes the answer of theirs. The parts are compared; the "
        "whole has fields of its own, and no `x-ms-request-id`.",
        as_parts,
    ),
]
