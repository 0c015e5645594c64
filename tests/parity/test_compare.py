#!/usr/bin/env python3
"""Tests of compare.py: it finds what differs, and nothing else."""

import copy
import unittest

import compare

URLS = ("https://contoso.blob.core.windows.net", "https://localhost:1234/blobs")
NAMES = compare.names({"direct": {"urls": {"blob": URLS[0]}}, "mount": {"urls": {"blob": URLS[1]}}})


def record(url, call):
    """What one operation did; `call` is unlike in any two runs."""
    headers = [
        ["date", f"Mon, 01 Jan 2024 00:00:0{call} GMT"],
        ["etag", f'"0x1CDEADBEEF0000{call}"'],
        ["x-ms-request-id", f"00000000-1111-2222-3333-44444444444{call}"],
        ["connection", "close" if call else "keep-alive"],
        ["x-ms-error-code", "BlobNotFound"],
    ]
    text = f'<Blob Etag="0x1CDEADBEEF0000{call}">{url}/a</Blob>'
    exchange = {
        "method": "GET",
        "url": f"{url}/a",
        "status": 404,
        "reason": "No",
        "headers": headers,
        "body": {"text": text},
    }
    error = {"type": "ResourceNotFoundError", "status": 404, "code": "BlobNotFound", "message": "There is none."}
    return {"operation": "read", "exchanges": [exchange], "error": error}


class Compare(unittest.TestCase):
    def setUp(self):
        self.direct, self.mount = record(URLS[0], 1), record(URLS[1], 2)

    def compared(self):
        return compare.client([self.direct], [self.mount], NAMES)

    def test_runs_that_differ_as_any_two_do_are_alike(self):
        self.assertEqual(self.compared(), ({}, []))

    def test_each_thing_that_differs_is_found(self):
        exchange = self.mount["exchanges"][0]
        changes = {
            "another status": lambda: exchange.update(status=403),
            "another body": lambda: exchange.update(body={"text": "<Blob/>"}),
            "another path": lambda: exchange.update(url=f"{URLS[1]}/b"),
            "the service's own address": lambda: exchange.update(url=f"{URLS[0]}/a"),
            "another field": lambda: exchange["headers"][4].__setitem__(1, "ContainerNotFound"),
            "no field": lambda: exchange["headers"].pop(),
            "one field more": lambda: exchange["headers"].append(["x-more", "1"]),
            "another ETag in the body than in the field": lambda: exchange["headers"][1].__setitem__(
                1, '"0x1CDEADBEEF00009"'
            ),
            "no date where there was one": lambda: exchange["headers"].pop(0),
            "one exchange more": lambda: self.mount["exchanges"].append(copy.deepcopy(exchange)),
            "another exception": lambda: self.mount["error"].update(type="HttpResponseError"),
            "another message": lambda: self.mount["error"].update(message="There is some."),
            "success": lambda: self.mount.pop("error"),
            "another operation": lambda: self.mount.update(operation="write"),
        }
        for name, change in changes.items():
            with self.subTest(name):
                self.setUp()
                exchange = self.mount["exchanges"][0]
                change()
                self.assertNotEqual(self.compared()[1], [])

    def test_a_reason_phrase_that_differs_is_counted(self):
        self.mount["exchanges"][0]["reason"] = "Not Found"
        self.assertEqual(self.compared(), ({"reason phrase": 1}, []))


if __name__ == "__main__":
    unittest.main()
