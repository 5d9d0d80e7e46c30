"""Which layers packages are divided among, and what in a lock keeps an image from being composed."""

from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, StepError, ToolFailed
from mlflow_uv.core.model.model_files import LOCK
from mlflow_uv.ops.image.builders import ModelNotComposable, PackageNotComposable
from mlflow_uv.ops.image.composed_packages import _require_composable, _require_few_layers

from .test_builders import BASE, ELSEWHERE, HASH, PLUM, SDIST, WHEEL, groups, model_in, with_layers


def test_an_image_may_have_as_many_layers_as_engines_accept() -> None:
    """
    Those of the base, of the packages, and five others.
    """
    _require_few_layers(groups(80), with_layers(42))


@pytest.mark.parametrize(
    ("package", "requirement", "kind", "of"),
    [
        (PLUM + SDIST, f"plum==1 --hash={HASH}\n", PackageNotComposable, ToolFailed),
        (PLUM + WHEEL, "plum==1\n", ModelNotComposable, BadInput),
        (None, f"plum==1 --hash={HASH}\n", ModelNotComposable, BadInput),
    ],
    ids=["no wheel", "no hash", "no lock"],
)
def test_reasons_in_the_lock(
    tmp_path: Path, package: str | None, requirement: str, kind: type[StepError], of: type[StepError]
) -> None:
    """
    A package without a wheel or a hash, or a model without a lock; with all three there is no reason.
    """
    needs, release = model_in(tmp_path / "model", package or PLUM + WHEEL, requirement)
    if package is None:
        (tmp_path / "model" / LOCK).unlink()
    good, fine = model_in(tmp_path / "good", PLUM + WHEEL, f"plum==1 --hash={HASH}\n")

    with pytest.raises(kind) as refused:
        _require_composable(needs, release, [BASE], ELSEWHERE)

    assert (of.exit_code, of.__name__) == (refused.value.exit_code, refused.value.kind)
    assert ["wine", "plum"] == [
        package.name for package in _require_composable(good, fine, [BASE], ELSEWHERE)[0].packages
    ]
    with pytest.raises(ModelNotComposable):
        _require_composable(replace(good, requirements=None), fine, [BASE], ELSEWHERE)
