"""Compares what a client saw directly with what it saw through a mount."""

import copy
import json
import re
import urllib.parse

import differences

DATE = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"
TIME = r"\d{4}-\d\d-\d\d[T ]\d\d(?::|%3A)\d\d(?::|%3A)\d\d(?:\.\d+)?(?:Z|[+]00:00)?"
ID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
ETAG = r"0x[0-9A-F]{12,20}"
EPOCH = r"\b1[6-9]\d{8}(?:\d{3})?\b"
VARYING = re.compile(f"(?P<date>{DATE}|{TIME}|{EPOCH})|(?P<id>{ID})|(?P<etag>{ETAG})")
# Keys and certificates, which are made at random.
RANDOM = ("x", "y", "cer", "csr", "x5t", "x509_thumbprint")
RANDOM_FIELD = re.compile(f'"({"|".join(RANDOM)})":"[^"]*"')


class Normal:
    """The texts of one operation on one side, without what no two runs have in common."""

    def __init__(self, names):
        """`names` are the addresses of services, and what stands for each."""
        self.names = [
            (form(url), name) for url, name in names for form in (str, lambda url: urllib.parse.quote(url, safe=""))
        ]
        self.seen = {}

    def text(self, text):
        for url, name in self.names:
            text = text.replace(url, name)
        text = RANDOM_FIELD.sub(r'"\1":"{random}"', text)
        return VARYING.sub(self.placeholder, text)

    def placeholder(self, match):
        kind = match.lastgroup
        if kind == "date":
            return "{date}"
        number = self.seen.setdefault((kind, match[0].lower()), len(self.seen) + 1)
        return f"{{{kind} {number}}}"

    def value(self, value):
        """A result or an error."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return "{date}" if re.fullmatch(EPOCH, str(value)) else value
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            # Some results have header fields in them.
            kept = {name: item for name, item in value.items() if name not in differences.HEADERS}
            return {self.text(name): "{random}" if name in RANDOM else self.value(item) for name, item in kept.items()}
        return value

    def record(self, record):
        exchanges = [self.exchange(exchange) for exchange in record["exchanges"]]
        return {
            "exchanges": exchanges,
            **{name: self.value(record[name]) for name in ("result", "error") if name in record},
        }

    def exchange(self, exchange):
        headers = {}
        for name, value in exchange.get("headers", []):
            if name not in differences.HEADERS:
                headers.setdefault(name, []).append(self.text(value))
        rest = {name: value for name, value in exchange.items() if name != "headers"}
        rest = differences.texts(rest, self.text)
        if "{random}" in rest.get("body", {}).get("text", ""):
            headers.pop("content-length", None)
        return {**rest, "headers": headers}


def differing(path, direct, mount):
    """Where two values differ, as lines."""
    if isinstance(direct, dict) and isinstance(mount, dict):
        for name in sorted(direct.keys() | mount.keys()):
            yield from differing(f"{path} {name}", direct.get(name), mount.get(name))
    elif isinstance(direct, list) and isinstance(mount, list) and len(direct) == len(mount):
        for number, (one, other) in enumerate(zip(direct, mount), 1):
            yield from differing(f"{path} {number}", one, other)
    elif direct != mount:
        yield f"{path}: directly {direct!r:.600}, through the mount {mount!r:.600}"


def names(stage):
    """What stands for the addresses of the services, directly and through mounts."""
    direct, mount = (stage[side]["urls"] for side in ("direct", "mount"))
    # Azure's links name the port.
    services = [(form, f"{{{name}}}") for name, url in direct.items() for form in (f"{url}:443", url)]
    # A mount's answer may have the service's own address in it: that is another thing than the mount's.
    own = [(url, f"{{own {name}}}") for name, url in direct.items()]
    return services, [(url, f"{{{name}}}") for name, url in mount.items()] + own


def operation(direct, mount, names):
    """The names of the differences of one operation that are right, and lines for those that are not."""
    sides = [Normal(of).record(record) for record, of in zip((direct, mount), names)]
    applicable = [difference for difference in differences.DIFFERENCES if difference.applies(sides[0])]

    def lines(removed):
        changed = copy.deepcopy(sides)
        for difference in removed:
            changed = [difference.remove(side) for side in changed]
        return list(differing(f"{direct['operation']}:", *changed))

    if not lines([]):
        return [], []
    # An operation has a difference where it differs by that one alone.
    others = {one.name: [other for other in applicable if other is not one] for one in applicable}
    return [name for name, removed in others.items() if lines(removed)], lines(applicable)


def client(direct, mount, names):
    """The same, of two runs of a client: how many operations have each difference that is right, and the lines."""
    lists = [[record["operation"] for record in records] for records in (direct, mount)]
    if lists[0] != lists[1]:
        return {}, [f"other operations: directly {lists[0]}, through the mount {lists[1]}"]
    counts, faults = {}, []
    for pair in zip(direct, mount):
        found, lines = operation(*pair, names)
        faults += lines
        for name in found:
            counts[name] = counts.get(name, 0) + 1
    return counts, faults


def read(text):
    """The head and the records that a client printed."""
    lines = [json.loads(line) for line in text.splitlines()]
    return lines[0], lines[1:]
