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
VARYING = re.compile(f"(?P<date>{DATE}|{TIME})|(?P<id>{ID})|(?P<etag>{ETAG})")


class Normal:
    """The texts of one operation on one side, without what no two runs have in common."""

    def __init__(self, url):
        self.urls = [url, urllib.parse.quote(url, safe="")]
        self.seen = {}

    def text(self, text):
        for url in self.urls:
            text = text.replace(url, "{service}")
        return VARYING.sub(self.placeholder, text)

    def placeholder(self, match):
        kind = match.lastgroup
        if kind == "date":
            return "{date}"
        number = self.seen.setdefault((kind, match[0].lower()), len(self.seen) + 1)
        return f"{{{kind} {number}}}"

    def record(self, record):
        exchanges = [self.exchange(exchange) for exchange in record["exchanges"]]
        rest = {name: differences.texts(record[name], self.text) for name in ("result", "error") if name in record}
        # Some results have header fields in them.
        return {"exchanges": exchanges, **differences.without(rest, differences.HEADERS)}

    def exchange(self, exchange):
        headers = {}
        for name, value in exchange.get("headers", []):
            if name not in differences.HEADERS:
                headers.setdefault(name, []).append(self.text(value))
        rest = {name: value for name, value in exchange.items() if name != "headers"}
        return {**differences.texts(rest, self.text), "headers": headers}


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


def operation(direct, mount, urls):
    """The names of the differences of one operation that are right, and lines for those that are not."""
    sides = [Normal(url).record(record) for record, url in zip((direct, mount), urls)]
    path, names = f"{direct['operation']}:", []
    lines = list(differing(path, *sides))
    for difference in differences.DIFFERENCES:
        if lines:
            sides = [difference.remove(copy.deepcopy(side)) for side in sides]
            rest = list(differing(path, *sides))
            if rest != lines:
                names.append(difference.name)
            lines = rest
    return names, lines


def client(direct, mount, urls):
    """The same, of two runs of a client: how many operations have each difference that is right, and the lines."""
    names = [[record["operation"] for record in records] for records in (direct, mount)]
    if names[0] != names[1]:
        return {}, [f"other operations: directly {names[0]}, through the mount {names[1]}"]
    counts, faults = {}, []
    for pair in zip(direct, mount):
        names, lines = operation(*pair, urls)
        faults += lines
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    return counts, faults


def read(text):
    """The head and the records that a client printed."""
    lines = [json.loads(line) for line in text.splitlines()]
    return lines[0], lines[1:]
