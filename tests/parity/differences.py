"""Expected differences between a service and a mount, each with its reason. Any other is a fault."""

import dataclasses
import email
import email.policy
import re
import typing

# Header fields that are not compared.
HEADERS = {
    "connection": "belongs to one connection: whether it stays open",
    "keep-alive": "belongs to one connection: how long it stays open",
    "transfer-encoding": "belongs to one connection: how bodies are sent",
    "x-keyward-call": "only from a mount: the call's id in the audit",
    "x-content-type-options": "only over loopback: keeps browsers from using a response in a page",
    "content-security-policy": "the same",
    "cross-origin-resource-policy": "the same",
}

# Values that no two runs have in common.
VALUES = [
    "dates and times",
    "keys and certificates that a vault generates",
    "ETags, and ids of requests, leases, copies and batches: one that occurs twice within an operation must do so on "
    "both sides",
]


@dataclasses.dataclass
class Difference:
    """An expected difference: its name, its reason, and a function that removes it from a record.

    `applies` returns whether the record of a direct run can have the difference.
    """

    name: str
    reason: str
    remove: typing.Callable
    applies: typing.Callable = lambda direct: True


def texts(value, change):
    """Applies a change to all strings in a value."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [texts(item, change) for item in value]
    if isinstance(value, dict):
        return {name: texts(item, change) for name, item in value.items()}
    return value


def without(value, names):
    """Removes the entries of these names from a value, at any depth."""
    if isinstance(value, list):
        return [without(item, names) for item in value]
    if isinstance(value, dict):
        return {name: without(item, names) for name, item in value.items() if name not in names}
    return value


def without_reason(record):
    """Removes HTTP's reason phrases, which clients include in their messages."""
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
    """Removes the service's own address from what no client follows. Following it would be recorded."""

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
    """Removes requests that a client repeats after a challenge."""
    exchanges = record["exchanges"]
    followed = zip(exchanges, [*exchanges[1:], {}])
    same = ("method", "url")
    kept = [
        one for one, next in followed if one.get("status") != 401 or any(one[name] != next.get(name) for name in same)
    ]
    return {**record, "exchanges": kept}


def without_redirects(record):
    """Removes the targets of WebHDFS's redirects, and the redirects of reads."""
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
    """Whether a record has a response with a status."""
    return lambda record: any(exchange.get("status") == status for exchange in record["exchanges"])


def is_batch(record):
    """Whether a record has the response to a batch."""
    kinds = [exchange["headers"].get("content-type", [""])[0] for exchange in record["exchanges"]]
    return any(kind.startswith("multipart/mixed") for kind in kinds)


def part(message):
    """A part of the response to a batch: its status, fields and body."""
    head, _, body = message.get_payload().replace("\r\n", "\n").partition("\n\n")
    status, _, fields = head.partition("\n")
    fields = dict(line.lower().split(": ", 1) for line in fields.splitlines() if ": " in line)
    fields = {name: value for name, value in fields.items() if name not in ("date", "content-length")}
    # The version of HTTP and the status, without the reason.
    return {"status": status.split(" ")[:2], "headers": fields, "body": body.strip()}


def as_parts(record):
    """Replaces the response to a batch with its parts."""
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
    # Ids are numbered in the order in which they occur, and those of the whole response come first.
    return texts(record, lambda text: re.sub(r"\{id \d+\}", "{id}", text))


def without_length(record):
    """Removes the lengths of bodies that may contain links."""
    for exchange in record["exchanges"]:
        if exchange["headers"].get("content-type", [""])[0].startswith("application/json"):
            exchange["headers"].pop("content-length", None)
    return record


# What changes the number of exchanges comes first.
DIFFERENCES = [
    Difference(
        "challenge",
        "a vault's client needs no token for a mount, so its reads get no challenge there. Directly, the response to "
        "its first request is a 401 with a challenge; through a mount, that to its first write.",
        without_challenge,
    ),
    Difference(
        "redirect",
        "WebHDFS redirects to the node with the data. A mount follows the redirects of reads. Those of writes are "
        "rewritten to lead through the mount, as is the `Location` of a new file.",
        without_redirects,
        has_status(307),
    ),
    Difference(
        "batch",
        "a mount sends the parts of a batch one by one and combines their responses. The parts are compared; the "
        "combined response has its own fields, and no `x-ms-request-id`.",
        as_parts,
        is_batch,
    ),
    Difference(
        "reason phrase",
        "a plugin cannot set HTTP's reason phrase (`wasi:http` has none), so a client gets the standard one of the "
        "status. Some clients include it in a message if the response has no body.",
        without_reason,
    ),
    Difference(
        "own address",
        "in data that no client follows (the ids of Key Vault, the `ServiceEndpoint` of a list, the source of a copy), "
        "a service's own address is not rewritten.",
        without_own_address,
    ),
    Difference(
        "length",
        "a JSON body that may contain links (any of Resource Manager, the lists of Key Vault) is rewritten while it is "
        "streamed, and is sent in chunks without its length.",
        without_length,
    ),
]
