"""Which build caches and which variables a checkout may name in its settings."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.step import Field, fields_of
from mlflow_uv.steps import build_image
from mlflow_uv.tools.project.claims import SettingClaim, require_harmless_cache, require_own_variables

FIELDS = {field.kebab: field for field in fields_of(build_image.Inputs)}
CACHE = FIELDS["cache-from"]


def claim(value: object, *, field: Field = CACHE, manifest: Path | None = None) -> SettingClaim:
    """A setting of a checkout."""
    return SettingClaim(field, value, "`cache-from` in [tool.mlflow-uv]", manifest)


@pytest.mark.parametrize(
    "value",
    [
        "ghcr.io/me/wine:cache", "localhost:5000/wine", "wine", "type=registry,ref=ghcr.io/me/wine:cache",
        "type=inline", "type=gha,scope=main,mode=max", "mode=max,type=registry,ref=x",
    ],
)  # fmt: skip
def test_a_reference_and_three_types_may_be_named(value: str) -> None:
    """
    What they reach, the job's own credentials of a registry decide.
    """
    require_harmless_cache(claim(value))


@pytest.mark.parametrize(
    "value",
    [
        "type=local,src=/home/me", "type=s3,bucket=mine", "type=azblob,name=x", "ref=x", "type=registry,type=local",
        "type=registry,ref=x,dest=/etc", "type=gha,url=https://attacker.test", "type=gha,token=x", "--help", "../x", "",
        "type=registry,ref=a b", "type=registry,,ref=x", "TYPE=registry", "type=registry\n,ref=x", "$(id)", "a,b",
    ],
)  # fmt: skip
def test_nothing_else_may(value: str) -> None:
    """
    A folder of the machine, a server that is named, a token, and what no builder reads.
    """
    with pytest.raises(BadInput, match="not a build cache that a checkout may name") as caught:
        require_harmless_cache(claim(value))

    assert "cache-from" in str(caught.value.fix)


@given(st.text(alphabet="type=local,src/registry gha\n-", max_size=24))
def test_whatever_is_taken_names_no_folder(value: str) -> None:
    """
    No spelling of `type=local` is one of the three types.
    """
    try:
        require_harmless_cache(claim(value))
    except BadInput:
        return
    kinds = [word.partition("=")[2] for word in value.split(",") if word.startswith("type=")]
    assert ("," not in value and "=" not in value) or kinds in (["registry"], ["gha"], ["inline"])


def test_the_line_of_the_setting_is_named(tmp_path: Path) -> None:
    """
    A flag has none.
    """
    manifest = tmp_path / "pyproject.toml"
    manifest.write_text('[tool.mlflow-uv]\nimage = "x"\ncache-from = "type=local"\n')

    assert (" (line 3 of pyproject.toml)", "") == (claim("x", manifest=manifest).line, claim("x").line)


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD"])
def test_a_variable_that_grants_access_may_not_be_given_to_a_model(name: str) -> None:
    """
    All that do are named, and no other.
    """
    with pytest.raises(BadInput) as caught:
        require_own_variables(claim(("MODEL_KEY", name)))

    assert f"names {name}, which" in caught.value.what


def test_a_variable_of_the_model_may() -> None:
    """
    Its names say nothing of the repository, the CI or a store.
    """
    require_own_variables(claim(("MODEL_KEY", "HF_TOKEN_OF_MINE", "LANGUAGE")))
