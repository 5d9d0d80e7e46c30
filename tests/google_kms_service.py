"""
A stand-in of Google Cloud KMS: `PYTHON -I google_kms_service.py FOLDER` in an environment with its client.

It speaks gRPC with Google's own published messages, by the certificate in `host.pem` and `host.key`, signs with
`signer.pem` as the version 1 of the key `release`, and requires a token that the account of `account.pub` signed. It
prints its port, and ends with its standard input.
"""

import sys
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from google.auth import jwt
from google.cloud.kms_v1.types import AsymmetricSignRequest, AsymmetricSignResponse

FOLDER = Path(sys.argv[1])
KEY = "projects/wine/locations/europe/keyRings/team/cryptoKeys/release/cryptoKeyVersions/1"
METHOD = "/google.cloud.kms.v1.KeyManagementService/AsymmetricSign"
SIGNER: Any = serialization.load_pem_private_key((FOLDER / "signer.pem").read_bytes(), None)


def signed(request: AsymmetricSignRequest, context: Any) -> AsymmetricSignResponse:
    """The signature of a digest; refused as Google does without a token or for another key."""
    headers = dict(context.invocation_metadata())
    try:
        claims = jwt.decode(
            headers.get("authorization", "").removeprefix("Bearer "), certs=(FOLDER / "account.pub").read_text(),
            verify=True,
        )  # fmt: skip
        assert "signer@wine.example" == claims["iss"]
    except (ValueError, AssertionError) as error:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, f"Request had invalid authentication credentials: {error}")
    if request.name != KEY:
        context.abort(grpc.StatusCode.NOT_FOUND, f"CryptoKeyVersion {request.name} not found.")
    (FOLDER / "asked").write_text(f"{sorted(type(request).to_dict(request)['digest'])} {len(request.data)}")
    signature = SIGNER.sign(request.digest.sha256, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    return AsymmetricSignResponse(signature=signature, name=request.name)


def main() -> None:
    """Serve until standard input ends."""
    handler = grpc.unary_unary_rpc_method_handler(
        signed, AsymmetricSignRequest.deserialize, AsymmetricSignResponse.serialize
    )
    service, _, method = METHOD.lstrip("/").partition("/")
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    pair = [((FOLDER / "host.key").read_bytes(), (FOLDER / "host.pem").read_bytes())]
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(pair))
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main()
