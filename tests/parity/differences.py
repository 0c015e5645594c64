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
    "keys and certificates that a vault makes",
    "ETags, and ids of requests, leases, copies and batches: where one occurs twice within an operation, it must do so "
    "on both sides",
]


@dataclasses.dataclass
class Difference:
    """A difference that is right: what it is, why, and a function that takes it out of what a client saw.

    `applies` says of what it saw directly whether there can be that difference.
    """

    name: str
    reason: str
    remove: typing.Callable
    applies: typing.Callable = lambda direct: True


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


OWN_ADDRESS = re.compile(r"\{own (\w[\w ]*)\}")
# Fields whose addresses clients follow.
FOLLOWED = ("location", "azure-asyncoperation", "operation-location")


def without_own_address(record):
    """Where a service names itself in what no client follows. A client that did would be seen at that address."""

    def change(text):
        # The link to the next page of a list leads through the mount.
        return text if '"nextLink":"{own' in text else OWN_ADDRESS.sub(r"{\1}", text)

    for exchange in record["exchanges"]:
        exchange["body"] = texts(exchange["body"], change)
        for name, values in exchange["headers"].items():
            if name not in FOLLOWED:
                exchange["headers"][name] = texts(values, change)
    return {**record, **{name: texts(record[name], change) for name in ("result", "error") if name in record}}


def without_challenge(record):
    """Requests that a client sends again because of a challenge."""
    exchanges = record["exchanges"]
    followed = zip(exchanges, [*exchanges[1:], {}])
    same = ("method", "url")
    kept = [
        one for one, next in followed if one.get("status") != 401 or any(one[name] != next.get(name) for name in same)
    ]
    return {**record, "exchanges": kept}


def without_redirects(record):
    """Where redirects of WebHDFS led, and those of requests that read."""
    kept, origin = [], None
    for exchange in record["exchanges"]:
        url, status = exchange["url"] if origin is None else origin, exchange.get("status")
        origin = url if status == 307 else None
        if status in (201, 307):
            exchange["headers"].pop("location", None)
        if status != 307 or exchange["method"] != "GET":
            kept.append({**exchange, "url": url})
    return texts({**record, "exchanges": kept}, lambda text: re.sub(r"\{id \d+\}", "{id}", text))


def has_status(status):
    """Whether there is a response with a status."""
    return lambda record: any(exchange.get("status") == status for exchange in record["exchanges"])


def is_batch(record):
    """Whether there is the answer to a batch."""
    kinds = [exchange["headers"].get("content-type", [""])[0] for exchange in record["exchanges"]]
    return any(kind.startswith("multipart/mixed") for kind in kinds)


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
    for exchange in record["exchanges"]:
        kind = exchange["headers"].get("content-type", [""])[0]
        if kind.startswith("multipart/mixed"):
            # A client that is given a path of a single segment takes it for a container.
            exchange["url"] = re.sub(r"^\{blob\}/?\?", "{blob}?", exchange["url"]).replace("&restype=container", "")
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
    if "result" in record:
        record["result"] = without(record["result"], ("contentType", "requestId", "version", "statusMessage"))
    # Ids are numbered in the order in which they occur, and those of the whole answer come first.
    return texts(record, lambda text: re.sub(r"\{id \d+\}", "{id}", text))


def without_length(record):
    """The lengths of bodies with links in them."""
    for exchange in record["exchanges"]:
        if exchange["headers"].get("content-type", [""])[0].startswith("application/json"):
            exchange["headers"].pop("content-length", None)
    return record


# What changes the number of exchanges comes first.
DIFFERENCES = [
    Difference(
        "challenge",
        "a vault's client reads without a challenge through a mount, which needs no token of it. Directly, its first "
        "request is answered with 401 and a challenge; through a mount, its first write.",
        without_challenge,
    ),
    Difference(
        "redirect",
        "WebHDFS redirects to where the data is. A mount follows the redirects of requests that read. Those of "
        "requests that write are the mount's and lead through it, and so does the `Location` of a new file.",
        without_redirects,
        has_status(307),
    ),
    Difference(
        "batch",
        "a mount sends the parts of a batch one by one and composes the answer of theirs. The parts are compared; the "
        "whole has fields of its own, and no `x-ms-request-id`.",
        as_parts,
        is_batch,
    ),
    Difference(
        "reason phrase",
        "a plugin cannot set HTTP's reason phrase (`wasi:http` has none), so that a client gets the standard one of "
        "the status. Some clients put it into a message where the answer has no body.",
        without_reason,
    ),
    Difference(
        "own address",
        "where a service names itself in data that no client follows (the ids of Key Vault, the `ServiceEndpoint` of "
        "a list, the source of a copy), it names its own address, as it does directly.",
        without_own_address,
    ),
    Difference(
        "length",
        "a body in JSON that can have links in it (any of Resource Manager, the lists of Key Vault) is rewritten while "
        "it passes, and is sent in chunks, without its length.",
        without_length,
    ),
]
