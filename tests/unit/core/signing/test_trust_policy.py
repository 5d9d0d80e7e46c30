"""[tool.mlflow-uv.trust], as it is written."""

from pathlib import PurePath

import pytest
import tomli

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.lock.toml_lines import key_lines
from mlflow_uv.core.policy.table import PolicyTable
from mlflow_uv.core.signing.trust_policy import TrustLevel, TrustPolicy, read_trust_policy


def policy(*lines: str) -> TrustPolicy:
    """The policy of a manifest with these lines."""
    text = "[tool.mlflow-uv.trust]\n" + "".join(f"{line}\n" for line in lines)
    value = tomli.loads(text)["tool"]["mlflow-uv"]["trust"]
    manifest = PurePath("pyproject.toml")
    return read_trust_policy(
        PolicyTable(name="trust", value=value, lines=key_lines(text), manifest=manifest, shown="pyproject.toml")
    ).policy


def test_who_is_trusted_is_required_by_default() -> None:
    """
    A table that names a key and no policy does not only warn.
    """
    found = policy('keys = ["keys/release 1.pub"]', f'revoked = ["{"a" * 64}"]')

    expected = TrustPolicy(policy=TrustLevel.REQUIRE, keys=("keys/release 1.pub",), revoked=("a" * 64,))
    assert expected == found


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (('policy = "require"',), "trusts nobody"),
        (('keys = "release.pub"',), "`keys` in [tool.mlflow-uv.trust] (line 2 of pyproject.toml) is not a list"),
        (('keys = ["a"]', 'revoked = ["A1"]'), "(line 3 of pyproject.toml) is not a digest"),
        (('keys = ["a"]', 'unsigned = ["all"]'), "(line 3 of pyproject.toml) is not a digest"),
        (('authorities = ["ca.crt"]',), "trusts everybody to whom it gave a certificate"),
        (('keys = ["a"]', 'timestamp-authorities = ["tsa.crt"]'), "(line 3 of pyproject.toml) has no effect"),
        (('authorities = ["a"]', 'timestamp-authorities = "tsa.crt"'), "(line 3 of pyproject.toml) is not a list"),
        (('keys = ["a"]', 'polizy = "off"'), "polizy"),
        (('keys = ["a"]', 'policy = "maybe"'), "policy"),
        (('sigstore = "public"',), "`sigstore` in [tool.mlflow-uv.trust] (line 2 of pyproject.toml) trusts everybody"),
        (('sigstore = "public"', 'repositories = ["org/wine"]'), "(line 3 of pyproject.toml) trusts every branch"),
        (('keys = ["a"]', 'refs = ["refs/heads/main"]'), "(line 3 of pyproject.toml) has no effect"),
        (('sigstore = "public"', 'repositories = "org/wine"'), "(line 3 of pyproject.toml) is not a list"),
    ],
)
def test_settings_that_would_trust_nobody_or_everybody_are_errors(lines: tuple[str, ...], what: str) -> None:
    """
    Each with the key and its line.
    """
    with pytest.raises(BadInput) as raised:
        policy(*lines)

    assert what in f"{raised.value.what}: {raised.value.why}"


def test_a_policy_that_is_off_needs_nobody() -> None:
    """
    It is how a project says that it does not sign.
    """
    assert TrustLevel.OFF is policy('policy = "off"').policy
