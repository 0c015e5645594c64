"""Records what a Python client sees: every response on the wire, and how every operation ends.

A script here has a list of operations, each a name and a function. `run` calls them in order and prints a line of JSON
for each. It runs the same list directly against a service, with a token that it gets from the machine's metadata
service as any program could, and through a mount, without one; compare.py compares what was printed.
"""

import argparse
import base64
import collections.abc
import datetime
import enum
import hashlib
import importlib.metadata
import io
import json
import sys
import time
import urllib.request

import requests
import urllib3
from azure.core.credentials import AccessToken
from azure.core.paging import ItemPaged
from azure.core.polling import LROPoller

# A longer body is recorded as its length and digest.
LONGEST = 64 * 1024


class Side:
    """One of the two ways to reach a service: directly, where there is a metadata service for tokens, or a mount."""

    def __init__(self, arguments):
        self.url = arguments.url
        self.ca = arguments.ca
        self.imds = arguments.imds
        self.faults = arguments.faults
        self.large = arguments.large
        self.part = arguments.part

    @property
    def direct(self):
        return self.imds is not None

    def token(self, resource):
        query = f"api-version=2018-02-01&resource={resource}"
        request = urllib.request.Request(f"{self.imds}/metadata/identity/oauth2/token?{query}")
        request.add_header("metadata", "true")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return json.load(opener.open(request))["access_token"]

    def credential(self, resource, otherwise=None):
        """A credential with a token for a resource. Through a mount: what the client takes for none."""
        return Credential(self.token(resource)) if self.direct else otherwise

    def fault(self, fault):
        """Makes the service misbehave."""
        data = json.dumps([fault]).encode()
        request = urllib.request.Request(f"{self.faults}/emulator/faults", data=data, method="PUT")
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).close()


class Credential:
    """A credential that has one token."""

    def __init__(self, token):
        self.bearer = token

    def get_token(self, *_scopes, **_options):
        return AccessToken(self.bearer, int(time.time()) + 3600)


# For clients that insist on a credential; a mount ignores it.
NOTHING = Credential("nothing")


class Recorder:
    """Sits below all clients that use `requests`."""

    def __init__(self):
        self.exchanges = []
        self.recording = True
        send = requests.adapters.HTTPAdapter.send

        def recorded(adapter, request, *arguments, **options):
            if not self.recording:
                return send(adapter, request, *arguments, **options)
            exchange = {"method": request.method, "url": request.url}
            self.exchanges.append(exchange)
            try:
                response = send(adapter, request, *arguments, **options)
                data = response.raw.read(decode_content=False)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                exchange["broken"] = type(error).__name__
                raise
            exchange["status"], exchange["reason"] = response.status_code, response.reason
            exchange["headers"] = [[name.lower(), value] for name, value in response.raw.headers.items()]
            exchange["body"] = body(data)
            response.raw = urllib3.HTTPResponse(
                body=io.BytesIO(data),
                headers=response.raw.headers,
                status=response.raw.status,
                version=response.raw.version,
                reason=response.raw.reason,
                request_method=request.method,
                preload_content=False,
            )
            return response

        requests.adapters.HTTPAdapter.send = recorded

    def take(self):
        taken, self.exchanges = self.exchanges, []
        return taken


def body(data):
    if len(data) <= LONGEST:
        try:
            return {"text": data.decode()}
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(data).decode()}
    return {"sha256": hashlib.sha256(data).hexdigest(), "length": len(data)}


def described(value, depth=0):
    """A result, as far as a caller sees it, in what JSON has."""
    if isinstance(value, (bytes, bytearray)):
        return body(bytes(value))
    if isinstance(value, enum.Enum):
        return described(value.value, depth)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, LROPoller):
        return described(value.result(), depth)
    if isinstance(value, requests.Response) or depth > 5:
        return type(value).__name__
    if isinstance(value, collections.abc.Mapping):
        return {str(name): described(item, depth + 1) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, ItemPaged)) or hasattr(value, "__next__"):
        return [described(item, depth + 1) for item in value]
    if "Client" in type(value).__name__:
        return type(value).__name__
    shown = (
        {name: item for name, item in vars(value).items() if not name.startswith("_")}
        if hasattr(value, "__dict__")
        else {}
    )
    for name in ("properties", "value", "key", "policy", "cer", "id", "name"):
        if isinstance(getattr(type(value), name, None), property):
            shown[name] = getattr(value, name)
    return {"type": type(value).__name__, **{name: described(item, depth + 1) for name, item in shown.items()}}


def failure(error):
    """An exception, as far as a caller sees it."""
    code = getattr(error, "error_code", None) or getattr(getattr(error, "error", None), "code", None)
    return {
        "type": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "code": getattr(code, "value", code),
        "message": str(error),
    }


def reroute(routes):
    """Connects to the addresses of a test where a client names a host of Azure's, as `curl --connect-to` does."""
    connect = urllib3.util.connection.create_connection

    def connected(address, *arguments, **options):
        return connect(routes.get(address, address), *arguments, **options)

    urllib3.util.connection.create_connection = connected


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True, help="the service, or the mount")
    parser.add_argument("--ca", required=True, help="the certificates to trust, as PEM")
    parser.add_argument("--imds", help="where tokens come from; not given for a mount")
    parser.add_argument("--faults", help="where the service is made to misbehave")
    parser.add_argument("--route", action="append", default=[], help="HOST=ADDRESS:PORT, for port 443 of a host")
    parser.add_argument("--part", help="which of its clients, where a script has several")
    parser.add_argument("--large", action="store_true", help="time uploads and downloads of 100 MB instead")
    arguments = parser.parse_args()
    routes = {}
    for route in arguments.route:
        host, _, address = route.partition("=")
        name, _, port = address.rpartition(":")
        routes[(host, 443)] = (name, int(port))
    reroute(routes)
    return Side(arguments)


def run(package, operations, state, side, between=lambda: None):
    """Runs the operations of a client and prints what each did."""
    recorder = side.recorder
    print(json.dumps({"client": package, "version": importlib.metadata.version(package), "language": "Python"}))
    recorder.take()
    for name, operation in operations:
        between()
        record = {"operation": name}
        try:
            record["result"] = described(operation(state))
        # What a client raises is compared, whatever it is.
        except Exception as error:  # noqa: BLE001
            # A mistake here would be the same on both sides.
            if not recorder.exchanges:
                raise
            record["error"] = failure(error)
        record["exchanges"] = recorder.take()
        print(json.dumps(record), flush=True)


def start():
    """The side that the command line names, with what it sees being recorded."""
    side = parse()
    side.recorder = Recorder()
    return side


def timed(what, call):
    """Prints how long a call takes, in seconds."""
    started = time.perf_counter()
    value = call()
    print(json.dumps({"timed": what, "seconds": time.perf_counter() - started}), flush=True)
    return value


if __name__ == "__main__":
    sys.exit("this is a module of the scripts beside it")
