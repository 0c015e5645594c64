#!/usr/bin/env python3
"""Drives Microsoft's own Key Vault clients, unmodified, against a vault, with a credential that is worth nothing."""

import argparse
import sys
import time

from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.certificates import (
    CertificateClient,
    CertificateContentType,
    CertificatePolicy,
    KeyType as CertificateKeyType,
)
from azure.keyvault.keys import JsonWebKey, KeyClient, KeyRotationPolicy
from azure.keyvault.secrets import SecretClient
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from steps import Failed, named, run, same


class Nothing:
    """A credential for clients that want one. The mount takes what they send for no credential at all."""

    def get_token(self, *_scopes, **_options):
        return AccessToken("nothing", int(time.time()) + 3600)


def refused(what, kind, status, call):
    try:
        call()
    except HttpResponseError as error:
        same(f"{what}: the status", error.status_code, status)
        if not isinstance(error, kind):
            raise Failed(f"{what}: a {type(error).__name__}, not a {kind.__name__}") from error
        return
    raise Failed(f"{what}: it was allowed")


def names(items):
    return sorted(item.name for item in items)


def set_secret_first(v):
    # The first request of a client: it goes out without its body.
    made = v.secrets.set_secret("peer", "one", content_type="text/plain", tags={"a": "b"})
    same("the value", (made.value, made.properties.content_type, made.properties.tags), ("one", "text/plain", {"a": "b"}))
    same("what is read back", v.secrets.get_secret("peer").value, "one")


def secret_versions(v):
    first = v.secrets.get_secret("peer").properties.version
    second = v.secrets.set_secret("peer", "two").properties.version
    same("the newest", v.secrets.get_secret("peer").value, "two")
    same("the first version", v.secrets.get_secret("peer", first).value, "one")
    versions = {item.version for item in v.secrets.list_properties_of_secret_versions("peer")}
    same("the versions", versions, {first, second})


def update_secret(v):
    # A client of its own, whose first request is the update.
    updated = v.new(SecretClient).update_secret_properties("peer", content_type="text/csv", tags={"c": "d"})
    same("the update", (updated.content_type, updated.tags), ("text/csv", {"c": "d"}))
    read = v.secrets.get_secret("peer")
    same("what is read back", (read.value, read.properties.content_type), ("two", "text/csv"))
    disabled = v.secrets.update_secret_properties("peer", version=read.properties.version, enabled=False)
    same("enabled", disabled.enabled, False)
    refused("a disabled secret", HttpResponseError, 403, lambda: v.secrets.get_secret("peer"))
    v.secrets.update_secret_properties("peer", enabled=True)


def list_secrets(v):
    for number in range(30):
        v.secrets.set_secret(f"page-{number}", "x")
    listed = names(v.secrets.list_properties_of_secrets())
    same("the pages", len([name for name in listed if name.startswith("page-")]), 30)


def missing_secret(v):
    refused("a secret that is not there", ResourceNotFoundError, 404, lambda: v.secrets.get_secret("none"))


def delete_secret(v):
    deleted = v.secrets.begin_delete_secret("peer").result()
    same("the name", deleted.name, "peer")
    same("where it is recovered", deleted.recovery_id.endswith("/deletedsecrets/peer"), True)
    refused("a deleted secret", ResourceNotFoundError, 404, lambda: v.secrets.get_secret("peer"))
    refused("its name", ResourceExistsError, 409, lambda: v.secrets.set_secret("peer", "again"))
    same("what is deleted", names(v.secrets.list_deleted_secrets()), ["peer"])
    same("one deleted", v.secrets.get_deleted_secret("peer").name, "peer")
    v.secrets.begin_recover_deleted_secret("peer").wait()
    same("the value", v.secrets.get_secret("peer").value, "two")


def back_up_secret(v):
    backup = v.new(SecretClient).backup_secret("peer")
    refused("a name in use", ResourceExistsError, 409, lambda: v.secrets.restore_secret_backup(backup))
    v.secrets.begin_delete_secret("peer").wait()
    v.secrets.purge_deleted_secret("peer")
    refused("a purged secret", ResourceNotFoundError, 404, lambda: v.secrets.get_deleted_secret("peer"))
    # A client of its own, whose first request has the backup for its body.
    same("the name", v.new(SecretClient).restore_secret_backup(backup).name, "peer")
    same("the value", v.secrets.get_secret("peer").value, "two")


def keys(v):
    made = v.keys.create_ec_key("peer", curve="P-256", key_operations=["sign", "verify"], tags={"a": "b"})
    same("the key", (made.key.kty, made.key.crv, made.properties.tags), ("EC", "P-256", {"a": "b"}))
    # It is a point on its curve, or this fails.
    point = ec.EllipticCurvePublicNumbers(int.from_bytes(made.key.x, "big"), int.from_bytes(made.key.y, "big"), ec.SECP256R1())
    point.public_key()
    same("the curve", v.keys.create_ec_key("larger", curve="P-384").key.crv, "P-384")
    same("what is read back", v.keys.get_key("peer").key.x, made.key.x)
    rotated = v.keys.rotate_key("peer")
    same("another key", rotated.key.x == made.key.x, False)
    same("the first version", v.keys.get_key("peer", made.properties.version).key.x, made.key.x)
    versions = {item.version for item in v.keys.list_properties_of_key_versions("peer")}
    same("the versions", versions, {made.properties.version, rotated.properties.version})
    same("the list", {"peer", "larger"} <= set(names(v.keys.list_properties_of_keys())), True)
    updated = v.new(KeyClient).update_key_properties("peer", key_operations=["verify"], enabled=False)
    same("the update", (updated.key_operations, updated.properties.enabled), (["verify"], False))
    refused("a key of another type", HttpResponseError, 400, lambda: v.keys.create_rsa_key("rsa"))


def key_policy(v):
    policy = v.keys.update_key_rotation_policy("peer", KeyRotationPolicy(), expires_in="P90D")
    same("the policy", policy.expires_in, "P90D")
    same("what is read back", v.keys.get_key_rotation_policy("peer").expires_in, "P90D")


def import_key(v):
    private = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    whole = {"x": private.public_numbers.x, "y": private.public_numbers.y, "d": private.private_value}
    parts = {name: number.to_bytes(32, "big") for name, number in whole.items()}
    key = JsonWebKey(kty="EC", crv="P-256", key_ops=["sign", "verify"], **parts)
    imported = v.new(KeyClient).import_key("imported", key)
    same("the key", (imported.key.x, imported.key.d), (parts["x"], None))


def delete_key(v):
    v.keys.begin_delete_key("peer").wait()
    refused("a deleted key", ResourceNotFoundError, 404, lambda: v.keys.get_key("peer"))
    same("what is deleted", names(v.keys.list_deleted_keys()), ["peer"])
    same("one deleted", v.keys.get_deleted_key("peer").name, "peer")
    same("recovered", v.keys.begin_recover_deleted_key("peer").result().name, "peer")
    backup = v.keys.backup_key("peer")
    v.keys.begin_delete_key("peer").wait()
    v.keys.purge_deleted_key("peer")
    same("restored", v.keys.restore_key_backup(backup).name, "peer")


def policy(issuer="Self"):
    return CertificatePolicy(
        issuer_name=issuer,
        subject="CN=peer.example",
        san_dns_names=["peer.example"],
        key_type=CertificateKeyType.ec,
        content_type=CertificateContentType.pem,
    )


def create_certificate(v):
    made = v.certificates.begin_create_certificate("cert", policy(), tags={"a": "b"}).result()
    certificate = x509.load_der_x509_certificate(bytes(made.cer))
    subject = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    same("the subject", (subject, made.properties.tags), ("peer.example", {"a": "b"}))


def certificate_versions(v):
    first = v.certificates.get_certificate("cert")
    second = v.certificates.begin_create_certificate("cert", policy()).result()
    same("another", first.properties.version == second.properties.version, False)
    read = v.certificates.get_certificate_version("cert", first.properties.version)
    same("the first version", bytes(read.cer), bytes(first.cer))
    versions = {item.version for item in v.certificates.list_properties_of_certificate_versions("cert")}
    same("the versions", versions, {first.properties.version, second.properties.version})
    same("the list", "cert" in names(v.certificates.list_properties_of_certificates()), True)


def certificate_key(v):
    certificate = v.certificates.get_certificate("cert")
    public = x509.load_der_x509_certificate(bytes(certificate.cer)).public_key()
    same("its key", v.keys.get_key("cert").key.x, public.public_numbers().x.to_bytes(32, "big"))
    secret = v.secrets.get_secret("cert").value.encode()
    same("its secret", serialization.load_pem_private_key(secret, None).public_key(), public)


def update_certificate(v):
    updated = v.new(CertificateClient).update_certificate_properties("cert", tags={"c": "d"}, enabled=False)
    same("the update", (updated.properties.tags, updated.properties.enabled), ({"c": "d"}, False))
    found = v.certificates.get_certificate_policy("cert")
    same("the policy", (found.issuer_name, found.subject), ("Self", "CN=peer.example"))
    changed = v.certificates.update_certificate_policy("cert", CertificatePolicy(issuer_name="Self", subject="CN=changed"))
    same("the policy", changed.subject, "CN=changed")


def certificate_operation(v):
    v.certificates.begin_create_certificate("slow", policy("Unknown"))
    found = v.certificates.get_certificate_operation("slow")
    same("the operation", (found.status, found.cancellation_requested), ("inProgress", False))
    x509.load_der_x509_csr(bytes(found.csr))
    same("cancelled", v.certificates.cancel_certificate_operation("slow").cancellation_requested, True)
    v.certificates.delete_certificate_operation("slow")
    refused("no operation", ResourceNotFoundError, 404, lambda: v.certificates.get_certificate_operation("slow"))


def import_certificate(v):
    pem = v.secrets.get_secret("cert").value.encode()
    imported = v.new(CertificateClient).import_certificate(
        "imported-certificate", pem, policy=CertificatePolicy(content_type=CertificateContentType.pem)
    )
    same("the certificate", bytes(imported.cer), bytes(v.certificates.get_certificate("cert").cer))


def delete_certificate(v):
    v.certificates.begin_delete_certificate("cert").wait()
    refused("a deleted certificate", ResourceNotFoundError, 404, lambda: v.certificates.get_certificate("cert"))
    refused("its key", ResourceNotFoundError, 404, lambda: v.keys.get_key("cert"))
    same("what is deleted", names(v.certificates.list_deleted_certificates()), ["cert"])
    same("one deleted", v.certificates.get_deleted_certificate("cert").name, "cert")
    v.certificates.begin_recover_deleted_certificate("cert").wait()
    same("its key", v.keys.get_key("cert").name, "cert")
    backup = v.certificates.backup_certificate("cert")
    v.certificates.begin_delete_certificate("cert").wait()
    v.certificates.purge_deleted_certificate("cert")
    same("restored", v.certificates.restore_certificate_backup(backup).name, "cert")


def verification(v):
    checking = v.new(SecretClient, verify_challenge_resource=True)
    try:
        checking.set_secret("peer", "x")
    except ValueError as error:
        same("the client's advice", "verify_challenge_resource=False" in str(error), True)
        return
    raise Failed("the client did not compare the challenge's resource with the mount's address")


STEPS = [
    set_secret_first,
    secret_versions,
    update_secret,
    list_secrets,
    missing_secret,
    delete_secret,
    back_up_secret,
    keys,
    key_policy,
    import_key,
    delete_key,
    create_certificate,
    certificate_versions,
    certificate_key,
    update_certificate,
    certificate_operation,
    import_certificate,
    delete_certificate,
    verification,
]


class Vault:
    def __init__(self, url, ca):
        self.url, self.ca = url, ca
        self.secrets, self.keys = self.new(SecretClient), self.new(KeyClient)
        self.certificates = self.new(CertificateClient)

    def new(self, kind, verify_challenge_resource=False):
        """A client that knows of no challenge yet."""
        forget_challenges()
        return kind(
            self.url,
            Nothing(),
            verify_challenge_resource=verify_challenge_resource,
            connection_verify=self.ca,
            retry_total=0,
        )


def forget_challenges():
    """All clients of a process share the challenges that they met, as long as nobody clears them."""
    from azure.keyvault.certificates._shared import http_challenge_cache as of_certificates
    from azure.keyvault.keys._shared import http_challenge_cache as of_keys
    from azure.keyvault.secrets._shared import http_challenge_cache as of_secrets

    for cache in (of_certificates, of_keys, of_secrets):
        cache.clear()


def main(url, ca):
    return run(named(STEPS), Vault(url, ca), HttpResponseError)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="the vault, such as https://localhost:8443/vault")
    parser.add_argument("--ca", required=True, help="the certificates to trust, as PEM")
    given = parser.parse_args()
    sys.exit(main(given.url, given.ca))
