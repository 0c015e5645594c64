#!/usr/bin/env python3
"""Operations of Microsoft's Key Vault clients for Python."""

import datetime

from azure.keyvault.certificates import (
    CertificateClient,
    CertificateContentType,
    CertificatePolicy,
    KeyType as CertificateKeyType,
)
from azure.keyvault.keys import JsonWebKey, KeyClient, KeyRotationPolicy
from azure.keyvault.secrets import SecretClient

import recorder

LATER = datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc)
# A point on its curve, and the number that it is of: the example key of RFC 7517.
KEY = {
    "kty": "EC",
    "crv": "P-256",
    "key_ops": ["sign", "verify"],
    "x": bytes.fromhex("30a0424cd21c2944838a2d75c92b37e76ea20d9f00893a3b4eee8a3c0aafec3e"),
    "y": bytes.fromhex("e04b65e92456d9888b52b379bdfbd51ee869ef1f0fc65b6659695b6cce081723"),
    "d": bytes.fromhex("f3bd0c07a81fb932781ed52752f60cc89a6be5e51934fe01938ddb55d8f77801"),
}


class State:
    """A client, and what one operation leaves to the next."""

    def __init__(self, side, kind):
        credential = side.credential("https://vault.azure.net", recorder.NOTHING)
        options = {"connection_verify": side.ca, "use_env_settings": False, "retry_total": 0}
        # All that a client needs to be told of a mount.
        options["verify_challenge_resource"] = side.direct
        self.client = kind(side.url, credential, **options)
        self.side = side
        self.kept = {}

    def keep(self, name, value):
        self.kept[name] = value
        return value

    def fault(self, status, **headers):
        """Makes the vault answer the next request with an error."""
        error = '{"error":{"code":"Throttled","message":"Too many requests"}}'
        answer = {"status": status, "headers": list(headers.items()), "body": error}
        self.side.fault({"service": "vault", "times": 1, "kind": {"respond": answer}})


def throttled(s, call):
    s.fault(429, **{"retry-after": "1", "content-type": "application/json"})
    return call()


SECRETS = [
    ("get a secret before anything else", lambda s: s.client.get_secret("db")),
    ("set secret", lambda s: s.client.set_secret("parity", "one", content_type="text/plain", tags={"a": "b"})),
    ("get secret", lambda s: s.keep("first", s.client.get_secret("parity"))),
    ("set secret again", lambda s: s.client.set_secret("parity", "two", expires_on=LATER, not_before=LATER)),
    ("get secret version", lambda s: s.client.get_secret("parity", s.kept["first"].properties.version)),
    ("get absent secret", lambda s: s.client.get_secret("none")),
    ("get absent version", lambda s: s.client.get_secret("parity", "0" * 32)),
    ("set secret with a bad name", lambda s: s.client.set_secret("a_b", "x")),
    ("update secret", lambda s: s.client.update_secret_properties("parity", content_type="text/csv", tags={"c": "d"})),
    ("update absent secret", lambda s: s.client.update_secret_properties("none", tags={})),
    ("disable secret", lambda s: s.client.update_secret_properties("parity", enabled=False)),
    ("get disabled secret", lambda s: s.client.get_secret("parity")),
    ("enable secret", lambda s: s.client.update_secret_properties("parity", enabled=True)),
    ("set many secrets", lambda s: [s.client.set_secret(f"page-{number}", "x") for number in range(30)]),
    ("list secrets in pages", lambda s: s.client.list_properties_of_secrets()),
    ("list secrets in small pages", lambda s: s.client.list_properties_of_secrets(max_page_size=7)),
    ("list versions", lambda s: s.client.list_properties_of_secret_versions("parity")),
    ("get secret while throttled", lambda s: throttled(s, lambda: s.client.get_secret("parity"))),
    (
        "get secret, and again after Retry-After",
        lambda s: throttled(s, lambda: s.client.get_secret("parity", retry_total=1)),
    ),
    (
        "set secret, and again after Retry-After",
        lambda s: throttled(s, lambda: s.client.set_secret("busy", "x", retry_total=1)),
    ),
    ("delete secret", lambda s: s.client.begin_delete_secret("parity").result()),
    ("get deleted secret as if it was not", lambda s: s.client.get_secret("parity")),
    ("set deleted secret", lambda s: s.client.set_secret("parity", "again")),
    ("list deleted secrets", lambda s: s.client.list_deleted_secrets()),
    ("get deleted secret", lambda s: s.client.get_deleted_secret("parity")),
    ("recover secret", lambda s: s.client.begin_recover_deleted_secret("parity").result()),
    ("back up secret", lambda s: s.keep("backup", s.client.backup_secret("parity"))),
    ("restore secret that is there", lambda s: s.client.restore_secret_backup(s.kept["backup"])),
    ("delete secret again", lambda s: s.client.begin_delete_secret("parity").result()),
    ("purge secret", lambda s: s.client.purge_deleted_secret("parity")),
    ("get purged secret", lambda s: s.client.get_deleted_secret("parity")),
    ("restore secret", lambda s: s.client.restore_secret_backup(s.kept["backup"])),
    ("restore what is no backup", lambda s: s.client.restore_secret_backup(b"nothing")),
]

KEYS = [
    ("create key", lambda s: s.keep("key", s.client.create_ec_key("parity", curve="P-256", tags={"a": "b"}))),
    ("create key of another curve", lambda s: s.client.create_ec_key("larger", curve="P-384")),
    ("create key of another type", lambda s: s.client.create_rsa_key("rsa")),
    ("get key", lambda s: s.client.get_key("parity")),
    ("get absent key", lambda s: s.client.get_key("none")),
    ("rotate key", lambda s: s.client.rotate_key("parity")),
    ("get key version", lambda s: s.client.get_key("parity", s.kept["key"].properties.version)),
    ("list keys", lambda s: s.client.list_properties_of_keys()),
    ("list key versions", lambda s: len(list(s.client.list_properties_of_key_versions("parity")))),
    ("update key", lambda s: s.client.update_key_properties("parity", key_operations=["verify"], enabled=False)),
    (
        "update rotation policy",
        lambda s: s.client.update_key_rotation_policy("parity", KeyRotationPolicy(), expires_in="P90D").expires_in,
    ),
    ("rotation policy", lambda s: s.client.get_key_rotation_policy("parity").expires_in),
    ("import key", lambda s: s.client.import_key("imported", JsonWebKey(**KEY))),
    ("delete key", lambda s: s.client.begin_delete_key("parity").result().name),
    ("list deleted keys", lambda s: [key.name for key in s.client.list_deleted_keys()]),
    ("recover key", lambda s: s.client.begin_recover_deleted_key("parity").result().name),
    ("back up key", lambda s: s.keep("backup", s.client.backup_key("parity"))),
    ("delete key again", lambda s: s.client.begin_delete_key("parity").result().name),
    ("purge key", lambda s: s.client.purge_deleted_key("parity")),
    ("restore key", lambda s: s.client.restore_key_backup(s.kept["backup"])),
]


def policy(issuer="Self"):
    return CertificatePolicy(
        issuer_name=issuer,
        subject="CN=parity.example",
        san_dns_names=["parity.example"],
        key_type=CertificateKeyType.ec,
        content_type=CertificateContentType.pem,
    )


CERTIFICATES = [
    (
        "create certificate",
        lambda s: s.client.begin_create_certificate("parity", policy(), tags={"a": "b"}).result().name,
    ),
    ("get certificate", lambda s: s.keep("first", s.client.get_certificate("parity")).name),
    ("get absent certificate", lambda s: s.client.get_certificate("none")),
    ("create certificate again", lambda s: s.client.begin_create_certificate("parity", policy()).result().name),
    ("get version", lambda s: s.client.get_certificate_version("parity", s.kept["first"].properties.version).name),
    ("list certificates", lambda s: [found.name for found in s.client.list_properties_of_certificates()]),
    ("list versions", lambda s: len(list(s.client.list_properties_of_certificate_versions("parity")))),
    ("update certificate", lambda s: s.client.update_certificate_properties("parity", tags={"c": "d"}).properties.tags),
    ("policy", lambda s: s.client.get_certificate_policy("parity").subject),
    (
        "update policy",
        lambda s: s.client.update_certificate_policy("parity", CertificatePolicy("Self", subject="CN=other")).subject,
    ),
    ("start a slow certificate", lambda s: s.client.begin_create_certificate("slow", policy("Unknown")).status()),
    ("operation", lambda s: s.client.get_certificate_operation("slow").status),
    ("cancel operation", lambda s: s.client.cancel_certificate_operation("slow").cancellation_requested),
    ("delete operation", lambda s: s.client.delete_certificate_operation("slow").status),
    ("get absent operation", lambda s: s.client.get_certificate_operation("slow")),
    ("delete certificate", lambda s: s.client.begin_delete_certificate("parity").result().name),
    ("recover certificate", lambda s: s.client.begin_recover_deleted_certificate("parity").result().name),
    ("back up certificate", lambda s: s.keep("backup", s.client.backup_certificate("parity"))),
    ("delete certificate again", lambda s: s.client.begin_delete_certificate("parity").result().name),
    ("purge certificate", lambda s: s.client.purge_deleted_certificate("parity")),
    ("restore certificate", lambda s: s.client.restore_certificate_backup(s.kept["backup"]).name),
]

CLIENTS = {
    "secrets": ("azure-keyvault-secrets", SecretClient, SECRETS),
    "keys": ("azure-keyvault-keys", KeyClient, KEYS),
    "certificates": ("azure-keyvault-certificates", CertificateClient, CERTIFICATES),
}

if __name__ == "__main__":
    this = recorder.start()
    package, client, operations = CLIENTS[this.part]
    recorder.run(package, operations, State(this, client), this)
