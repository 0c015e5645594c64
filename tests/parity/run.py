#!/usr/bin/env python3
"""Runs clients directly against services and through mounts, compares what they see, and keeps docs/compatibility.md.

The services and mounts are already there: tests/daemon/parity.rs starts them and says in a file where they are.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys

import compare
import table

HERE = pathlib.Path(__file__).parent


@dataclasses.dataclass
class Client:
    """A script with a list of operations, the service that it is for, and what that service is here."""

    script: str
    service: str
    title: str
    large: bool = False
    part: str | None = None

    @property
    def name(self):
        """A name for messages and files."""
        return self.script if self.part is None else f"{self.script}:{self.part}"

    def installed(self, stage):
        """Whether this machine has the client."""
        return self.script.endswith(".py") or self.script in stage["packages"]

    def command(self, stage, side):
        where = stage[side]
        if self.script.endswith(".py"):
            command = [sys.executable, HERE / self.script]
        else:
            command = [stage["node"], HERE / self.script, stage["packages"][self.script]]
        command += ["--url", where["urls"][self.service], "--ca", where["ca"], "--faults", where["faults"]]
        if self.part is not None:
            command += ["--part", self.part]
        if side == "direct":
            command += ["--imds", where["faults"]]
            for host, address in where["routes"].items():
                command += ["--route", f"{host}={address}"]
        return [str(part) for part in command]


BLOB, GEN1, GEN2 = "Blob Storage (Azurite)", "Data Lake Gen1 (emulator)", "Data Lake Gen2 (emulator)"
VAULT, ARM = "Key Vault (emulator)", "Resource Manager (emulator)"

CLIENTS = [
    Client("blob.py", "blob", BLOB, large=True),
    Client("blob.mjs", "blob", BLOB),
    Client("gen2.py", "gen2", GEN2),
    Client("gen1.py", "gen1", GEN1),
    Client("hdfs_client.py", "gen1", GEN1),
    Client("webhdfs.mjs", "gen1", GEN1),
    Client("vault.py", "vault", VAULT, part="secrets"),
    Client("vault.py", "vault", VAULT, part="keys"),
    Client("vault.py", "vault", VAULT, part="certificates"),
    Client("secrets.mjs", "vault", VAULT),
    Client("arm.py", "arm", ARM),
]


def output(client, stage, side, *options):
    # Neither proxies nor credentials from the environment.
    env = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    env.update(NODE_EXTRA_CA_CERTS=stage[side]["ca"], PYTHONUTF8="1", PYTHONDONTWRITEBYTECODE="1")
    command = client.command(stage, side) + list(options)
    done = subprocess.run(command, env=env, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        raise SystemExit(f"{client.name} failed ({side}): {done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def parity(client, stage, out):
    """Runs a client on both sides at the same time."""
    sides = ("direct", "mount")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        texts = list(pool.map(lambda side: output(client, stage, side), sides))
    for side, text in zip(sides, texts):
        (out / f"{client.name}.{side}.jsonl").write_text(text, encoding="utf-8")
    (head, direct), (_, mount) = map(compare.read, texts)
    counts, lines = compare.client(direct, mount, compare.names(stage))
    for line in lines:
        print(f"{client.name}: {line}")
    errors = sum("error" in record for record in direct)
    return table.Row(client.title, head, len(direct), errors, counts), lines


def measure(client, stage):
    """Prints how fast 100 MB go through a mount, beside directly."""
    times = {}
    for side in ("direct", "mount"):
        for record in map(json.loads, output(client, stage, side, "--large").splitlines()):
            times.setdefault(record["timed"], {}).setdefault(side, []).append(record["seconds"])
    for what, sides in times.items():
        direct, mount = (statistics.median(sides[side]) for side in ("direct", "mount"))
        rates = f"{100 / direct:.0f} MB/s directly, {100 / mount:.0f} MB/s through the mount"
        print(f"{client.name}: {what} of 100 MB: {rates}: {direct / mount:.2f} of direct")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", required=True, type=pathlib.Path, help="where the services and mounts are, as JSON")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="the directory for what the clients saw")
    parser.add_argument("--table", required=True, type=pathlib.Path, help="the table to compare with")
    parser.add_argument("--write", action="store_true", help="write the table")
    parser.add_argument("--large", action="store_true", help="measure uploads and downloads of 100 MB")
    parser.add_argument("--only", help="the name of one client")
    arguments = parser.parse_args()
    stage = json.loads(arguments.stage.read_text())
    clients = [client for client in CLIENTS if arguments.only in (None, client.name) and client.installed(stage)]
    if arguments.large:
        for client in clients:
            if client.large:
                measure(client, stage)
        return 0
    rows, faults = {}, []

    def service(name):
        # Clients of one service run one after another: they use the same names, and make it misbehave.
        for client in clients:
            if client.service == name:
                row, lines = parity(client, stage, arguments.out)
                print(f"{client.name}: {row.operations} operations, {len(lines)} unexplained differences")
                rows[client.name] = row
                faults.extend(lines)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(service, {client.service for client in clients}))
    rows = [rows[client.name] for client in clients]
    if faults or arguments.only is not None:
        return 1 if faults else 0
    text = table.document(rows)
    if arguments.write:
        arguments.table.write_text(text, encoding="utf-8")
        return 0
    found = arguments.table.read_text(encoding="utf-8")
    # A client that is not installed here has a row all the same.
    if found == text or (len(clients) < len(CLIENTS) and all(str(row) in found for row in rows)):
        return 0
    print(f"{arguments.table} is not what this run yields; run: make parity")
    return 1


if __name__ == "__main__":
    sys.exit(main())
