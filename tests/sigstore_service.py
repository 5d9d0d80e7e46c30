"""
A Sigstore of a test: Fulcio's and Rekor's HTTP interfaces on this machine, with keys of their own.

Started as `PYTHON -I sigstore_service.py FOLDER [URL CERTIFICATE...]` in an environment with sigstore; prints its
address, and writes `config.json` (a client trust configuration) and `token` (of a workflow on main). With the URL and
the certificates of an authority for timestamps, entries are those of Rekor 2, which states no time. It accepts tokens
whose issuer is in their claims, and refuses those that were not signed by its own issuer's key; one more hour in
`clock` moves its log.
"""

import base64
import datetime as dt
import hashlib
import json
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

GITHUB = "https://token.actions.githubusercontent.com"
SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
SHA256 = ec.ECDSA(hashes.SHA256())
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
FOLDER = Path(sys.argv[1])
CLOCK, CLOCK_CERTIFICATES = (*sys.argv[2:3], ""), sys.argv[3:]


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


ROOT, CT, LOG, IDP = new_key(), new_key(), new_key(), new_key()
ORIGIN = "log.of.test - 1"
KEYLESS = "org/mlflow-uv-action/.github/workflows/sign-keyless.yml"
SHARED = "org/shared/.github/workflows/sign.yml@refs/heads/main"


def spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public key in DER."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.DER, form)


def key_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The id of a log."""
    return hashlib.sha256(spki(key)).digest()


def text(content: bytes) -> str:
    """Base64."""
    return base64.b64encode(content).decode()


def pem(certificate: x509.Certificate) -> str:
    """A certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def authority() -> x509.Certificate:
    """The root certificate."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fulcio of test")])
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(ROOT.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(NOW - dt.timedelta(days=1))
        .not_valid_after(NOW + dt.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ROOT.public_key()), critical=False)
        .sign(ROOT, hashes.SHA256())
    )  # fmt: skip


AUTHORITY = authority()


def utf8(value: str) -> bytes:
    """A DER string, as Fulcio writes its extensions."""
    content = value.encode()
    size = bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])
    return b"\x0c" + size + content


def issue(public: Any, claims: dict[str, str]) -> x509.Certificate:
    """A certificate of ten minutes for the identity in a token, with the timestamp of the certificate log."""
    base, end = NOW - dt.timedelta(minutes=5), NOW + dt.timedelta(minutes=10)
    name = f"https://github.com/{claims['job_workflow_ref']}"
    extensions = {8: claims["iss"], 9: name, 12: f"https://github.com/{claims['repository']}", 14: claims["ref"]}
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(AUTHORITY.subject).public_key(public)
        .serial_number(x509.random_serial_number()).not_valid_before(base).not_valid_after(end)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ROOT.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name)]), critical=True)
    )  # fmt: skip
    for number, value in extensions.items():
        oid = x509.ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{number}")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, utf8(value)), critical=False)
    issuer = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1"), claims["iss"].encode())
    builder = builder.add_extension(issuer, critical=False)
    entry = builder.sign(ROOT, hashes.SHA256()).tbs_certificate_bytes
    stamp = int(NOW.timestamp() * 1000)
    packed = struct.pack("!BBQH", 0, 0, stamp, 1) + hashlib.sha256(spki(ROOT)).digest()
    signature = CT.sign(packed + len(entry).to_bytes(3, "big") + entry + b"\0\0", SHA256)
    sct = b"\0" + key_id(CT) + stamp.to_bytes(8, "big") + b"\0\0" + b"\4\3" + len(signature).to_bytes(2, "big")
    sct += signature
    listed = len(sct).to_bytes(2, "big") + sct
    listed = len(listed).to_bytes(2, "big") + listed
    wrapped = b"\x04" + (bytes([len(listed)]) if len(listed) < 128 else bytes([0x81, len(listed)])) + listed
    return builder.add_extension(x509.UnrecognizedExtension(SCT_LIST, wrapped), critical=False).sign(
        ROOT, hashes.SHA256()
    )


def entry_of(proposed: dict[str, Any]) -> dict[str, Any]:
    """The entry of a log with one leaf, for a proposed entry of the kind `dsse` 0.0.1."""
    assert ("dsse", "0.0.1") == (proposed["kind"], proposed["apiVersion"]), proposed
    content = proposed["spec"]["proposedContent"]
    envelope, (verifier,) = json.loads(content["envelope"]), content["verifiers"]
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"]
    signed = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    certificate = x509.load_pem_x509_certificate(base64.b64decode(verifier))
    for one in envelope["signatures"]:
        certificate.public_key().verify(base64.b64decode(one["sig"]), signed, SHA256)
    spec = {
        "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(content["envelope"].encode()).hexdigest()},
        "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
        "signatures": [{"signature": one["sig"], "verifier": verifier} for one in envelope["signatures"]],
    }
    body = json.dumps({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}, separators=(",", ":"), sort_keys=True)
    root = hashlib.sha256(b"\0" + body.encode()).digest()
    note = f"{ORIGIN}\n1\n{text(root)}\n"
    checkpoint = f"{note}\n— {ORIGIN.split(maxsplit=1)[0]} {text(key_id(LOG)[:4] + LOG.sign(note.encode(), SHA256))}\n"
    hours = (FOLDER / "clock").read_text() if (FOLDER / "clock").exists() else "0"
    at = int(NOW.timestamp()) + 3600 * int(hours)
    promised = {"body": text(body.encode()), "integratedTime": at, "logID": key_id(LOG).hex(), "logIndex": 0}
    canonical = json.dumps(promised, separators=(",", ":"), sort_keys=True).encode()
    proof = {"checkpoint": checkpoint, "hashes": [], "logIndex": 0, "rootHash": root.hex(), "treeSize": 1}
    verification = {"inclusionProof": proof, "signedEntryTimestamp": text(LOG.sign(canonical, SHA256))}
    return {root.hex(): {**promised, "verification": verification}}


def second_entry_of(asked: dict[str, Any]) -> dict[str, Any]:
    """The entry of a log of Rekor 2 with one leaf, for a request of the kind `hashedrekord` 0.0.2."""
    (request,) = asked.values()
    signature = request["signature"]
    certificate = x509.load_der_x509_certificate(base64.b64decode(signature["verifier"]["x509Certificate"]["rawBytes"]))
    digest = base64.b64decode(request["digest"])
    certificate.public_key().verify(
        base64.b64decode(signature["content"]), digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))
    )
    data = {"algorithm": "SHA2_256", "digest": request["digest"]}
    spec = {"hashedRekordV002": {"data": data, "signature": signature}}
    entry = {"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": spec}
    body = json.dumps(entry, separators=(",", ":"), sort_keys=True).encode()
    root = hashlib.sha256(b"\0" + body).digest()
    note = f"{ORIGIN}\n1\n{text(root)}\n"
    checkpoint = f"{note}\n— {ORIGIN.split(maxsplit=1)[0]} {text(key_id(LOG)[:4] + LOG.sign(note.encode(), SHA256))}\n"
    proof = {
        "logIndex": "0", "rootHash": text(root), "treeSize": "1", "hashes": [], "checkpoint": {"envelope": checkpoint},
    }  # fmt: skip
    return {
        "logIndex": "0", "logId": {"keyId": text(key_id(LOG))}, "canonicalizedBody": text(body),
        "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"}, "inclusionProof": proof,
    }  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    """Answers what sigstore's clients ask."""

    def do_POST(self) -> None:
        """Answer a request for a certificate, or with an entry of the log."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/api/v2/signingCert":
            try:
                claims = jwt.decode(
                    self.headers["Authorization"].removeprefix("Bearer "), IDP.public_key(), ["ES256"],
                    audience="sigstore",
                )  # fmt: skip
            except jwt.InvalidTokenError as error:
                self.answer(400, {"code": 3, "message": str(error)})
                return
            request = x509.load_pem_x509_csr(base64.b64decode(body["certificateSigningRequest"]))
            assert request.is_signature_valid
            chain = [pem(issue(request.public_key(), claims)), pem(AUTHORITY)]
            self.answer(201, {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}})
        elif self.path == "/api/v1/log/entries":
            self.answer(201, entry_of(body))
        elif self.path == "/api/v2/log/entries" and CLOCK[0]:
            self.answer(201, second_entry_of(body))
        else:
            self.answer(404, {"message": "nothing is here"})

    def answer(self, status: int, content: dict[str, Any]) -> None:
        """Send JSON."""
        sent = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


def config(url: str) -> dict[str, Any]:
    """The client trust configuration of this Sigstore."""
    since = {"start": (NOW - dt.timedelta(days=1)).isoformat().replace("+00:00", "Z")}

    def log(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
        public = {"rawBytes": text(spki(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": since}
        return {"baseUrl": url, "hashAlgorithm": "SHA2_256", "publicKey": public, "logId": {"keyId": text(key_id(key))}}

    der = text(AUTHORITY.public_bytes(serialization.Encoding.DER))
    fulcio = {
        "subject": {"organization": "test", "commonName": "fulcio of test"}, "uri": url,
        "certChain": {"certificates": [{"rawBytes": der}]}, "validFor": since,
    }  # fmt: skip
    service = {"url": url, "majorApiVersion": 1, "validFor": since, "operator": "test"}
    logs = [service, {**service, "majorApiVersion": 2}] if CLOCK[0] else [service]
    clocks = [{**service, "url": CLOCK[0]}] if CLOCK[0] else []
    chain = [x509.load_pem_x509_certificate(Path(file).read_bytes()) for file in CLOCK_CERTIFICATES]
    known = [
        {
            "subject": {"organization": "test", "commonName": "clock"}, "uri": CLOCK[0], "validFor": since,
            "certChain": {
                "certificates": [{"rawBytes": text(one.public_bytes(serialization.Encoding.DER))} for one in chain]
            },
        }
    ] if chain else []  # fmt: skip
    return {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(LOG)], "certificateAuthorities": [fulcio], "ctlogs": [log(CT)], "timestampAuthorities": known,
        },
        "signingConfig": {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service], "oidcUrls": [service], "rekorTlogUrls": logs,
            "rekorTlogConfig": {"selector": "ANY"}, "tsaUrls": clocks, "tsaConfig": {"selector": "ANY"},
        },
    }  # fmt: skip


def token(*, key: ec.EllipticCurvePrivateKey = IDP, **claims: str | int | None) -> str:
    """A token as GitHub gives one to a job."""
    at = int(NOW.timestamp())
    content = {
        "iss": GITHUB, "aud": "sigstore", "sub": "repo:org/wine:ref:refs/heads/main", "iat": at, "exp": at + 86400,
        "repository": "org/wine", "ref": "refs/heads/main",
        "job_workflow_ref": "org/wine/.github/workflows/release.yml@refs/heads/main", **claims,
    }  # fmt: skip
    return jwt.encode({name: value for name, value in content.items() if value is not None}, key, "ES256")


def main() -> None:
    """Serve until standard input ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    settings = config(url)
    (FOLDER / "config.json").write_text(json.dumps(settings))
    (FOLDER / "trusted_root.json").write_text(json.dumps(settings["trustedRoot"]))
    pull = "org/wine/.github/workflows/release.yml@refs/pull/7/merge"
    tokens = {
        "main": token(),
        "again": token(jti="2"),
        "pull": token(ref="refs/pull/7/merge", job_workflow_ref=pull),
        "repository": token(repository="evil/wine", job_workflow_ref=pull.replace("org/", "evil/")),
        "issuer": token(iss="https://idp.evil.example"),
        "workflow": token(job_workflow_ref="org/wine/.github/workflows/other.yml@refs/heads/main"),
        "forged": token(key=new_key()),
        "calling": token(repository="org/vine", job_workflow_ref=SHARED),
        "branch": token(ref="refs/heads/topic"),
        "expired": token(exp=int(NOW.timestamp()) - 3600),
        "audience": token(aud="sts.example"),
        "subjectless": token(sub=None),
        "keyless": token(job_workflow_ref=f"{KEYLESS}@refs/tags/v1"),
    }
    for name, value in tokens.items():
        (FOLDER / f"{name}.token").write_text(value)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(url, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
