"""Renders the files of an edge bundle beside the model and the scorer: signature, requests and checksums."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ...payloads.messages.conversion import PortableSignature
from ..release.digests import sha256

SCORER, SIGNATURE, REQUESTS, CHECKSUMS = "score.py", "signature.json", "requests.json", "SHA256SUMS"
_RECORDED_ORIGINS = ("recorded", "file")
_MOST_REQUESTS = 64


def signature_text(signature: PortableSignature, *, tolerance: float, origin: Mapping[str, str]) -> str:
    """Return the inputs and outputs of the model, the tolerance of its answers, and what it was converted from."""
    return _text({**asdict(signature), "tolerance": tolerance, "origin": dict(origin)})


def requests_text(
    original: Sequence[Mapping[str, Any]], converted: Sequence[Mapping[str, Any]], signature: PortableSignature
) -> str:
    """Return recorded requests with the outputs of the original model, by the names of the converted one."""
    answered = (item for item in original if "outputs" in item)
    recorded = [
        {
            "name": item["name"],
            "request": item["rows"],
            "response": {
                port.name: values for port, values in zip(signature.outputs, item["outputs"].values(), strict=True)
            },
        }
        for item, answer in zip(answered, converted, strict=True)
        if item["origin"] in _RECORDED_ORIGINS and "outputs" in answer
    ]
    return _text(recorded[:_MOST_REQUESTS])


def checksums_text(files: Mapping[str, bytes]) -> str:
    """Return the digests of files by their names, in the format of `sha256sum`."""
    return "".join(f"{sha256(data)}  {name}\n" for name, data in sorted(files.items()))


def _text(content: object) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
