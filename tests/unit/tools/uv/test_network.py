"""Passing indexes, proxies and certificates to a build."""

import json
from pathlib import Path

from mlflow_uv.tools.uv.network import build_secrets, index_variables, indexes_of

MANIFEST = {
    "tool": {
        "uv": {
            "index": [
                {"name": "torch", "url": "https://me:secret@packages.example/cpu", "explicit": True},
                {"name": "mirror", "url": "https://mirror.example/simple", "default": True},
                {"name": "here", "url": "./wheels"},
            ]
        }
    }
}


def test_indexes_travel_without_credentials_and_without_folders() -> None:
    """
    What the model carries is read by anybody, anywhere.
    """
    found = json.loads(indexes_of(MANIFEST, MANIFEST))

    assert [
        {"name": "torch", "url": "https://packages.example/cpu", "default": False},
        {"name": "mirror", "url": "https://mirror.example/simple", "default": True},
    ] == found


def test_an_explicit_index_is_found_when_hashes_say_which_file_is_meant() -> None:
    """
    Every index may be asked for every package only where a planted one would not have the right hash.
    """
    hashed = index_variables(indexes_of(MANIFEST), {}, hashed=True)
    bare = index_variables(indexes_of(MANIFEST), {}, hashed=False)

    assert {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "torch=https://packages.example/cpu",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    } == hashed
    assert "UV_INDEX_STRATEGY" not in bare


def test_what_the_caller_says_goes_first() -> None:
    """
    A mirror that the caller names is asked instead.
    """
    found = index_variables(indexes_of(MANIFEST), {"UV_DEFAULT_INDEX": "https://ours.example"}, hashed=True)

    assert "UV_DEFAULT_INDEX" not in found


def test_credentials_reach_a_build_in_a_file_that_others_cannot_read(tmp_path: Path) -> None:
    """
    They are in a secret as they were given, and nothing else of the caller's variables is.
    """
    caller = {"UV_INDEX_TORCH_PASSWORD": "it's secret", "HOME": "/nowhere", "UV_EXCLUDE_NEWER": "2001-01-01"}

    secrets = build_secrets(tmp_path, caller, {"UV_INDEX": "torch=https://packages.example/cpu"})

    assert 0o600 == secrets["network"].stat().st_mode & 0o777
    assert {"UV_INDEX": "torch=https://packages.example/cpu", "UV_INDEX_TORCH_PASSWORD": "it's secret"} == json.loads(
        secrets["network"].read_text()
    )
    assert ["network"] == list(secrets)


def test_the_callers_trust_and_accounts_come_along(tmp_path: Path) -> None:
    """
    Behind a proxy with certificates of its own the bundle is handed to the build, and so is the netrc that uv reads.
    """
    bundle, netrc = tmp_path / "bundle.pem", tmp_path / ".netrc"
    bundle.write_text("x")
    netrc.write_text("machine packages.example login me password secret")

    secrets = build_secrets(tmp_path, {"SSL_CERT_FILE": str(bundle), "HOME": str(tmp_path)}, {})

    assert (bundle, netrc) == (secrets["ca"], secrets["netrc"])


def test_a_netrc_elsewhere_goes_first(tmp_path: Path) -> None:
    """
    NETRC names the file, as for uv and curl.
    """
    (tmp_path / ".netrc").touch()
    (tmp_path / "other").touch()

    secrets = build_secrets(tmp_path, {"NETRC": str(tmp_path / "other"), "HOME": str(tmp_path)}, {})

    assert tmp_path / "other" == secrets["netrc"]


def test_the_older_keys_for_an_index_travel_too() -> None:
    """
    `index-url` is the default one.
    """
    table = {"index-url": "https://main.example/simple", "extra-index-url": ["https://more.example/simple"]}

    found = index_variables(indexes_of({"tool": {"uv": table}}), {}, hashed=False)

    wanted = {"UV_DEFAULT_INDEX": "https://main.example/simple", "UV_INDEX": "https://more.example/simple"}
    assert wanted == found
