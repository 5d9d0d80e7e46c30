"""The licences of installed packages, from their metadata."""

from pathlib import Path

import pytest
from identify.vendor.licenses import LICENSES

from mlflow_uv.core.model.licences import licence_of
from mlflow_uv.payloads.licence_texts import licence_text_digest
from mlflow_uv.payloads.licences import describe, licences_on
from mlflow_uv.payloads.messages.request import CUT, DeclaredLicence, DescribeLicences


def installed(folder: Path, name: str, headers: str) -> None:
    """A package as pip and uv leave it."""
    target = folder / f"{name}-1.0.dist-info"
    target.mkdir(parents=True)
    (target / "METADATA").write_text(f"Metadata-Version: 2.4\n{headers}\n")


MIT, GPL = dict(LICENSES)["MIT"], dict(LICENSES)["GPL-3.0"]
SENTENCE = "GNU General Public License version 3 or any later version as published by the Free Software Foundation"


def test_each_package_says_its_own_licence(tmp_path: Path) -> None:
    """
    The first of a name on the path counts, as for an import; what an uninstallation left behind is no package.
    """
    first, second = tmp_path / "first", tmp_path / "second"
    classifiers = "Classifier: License :: OSI Approved :: MIT License\nClassifier: Topic :: Wine"
    installed(first, "Old.Grape", f"Name: Old.Grape\nVersion: 1.0\nLicense: {'x' * 500}\n{classifiers}")
    installed(first, "yeast", "Name: yeast\nVersion: 2.0\nLicense-Expression: MIT OR ISC")
    installed(first, "left", "")
    installed(second, "yeast", "Name: yeast\nVersion: 1.0\nLicense-Expression: Unlicense")

    found = licences_on((str(first), str(second))).packages

    assert (
        DeclaredLicence(
            name="old-grape",
            version="1.0",
            expression="",
            text="x" * 200 + CUT,
            classifiers=("MIT License",),
            texts=(licence_text_digest("x" * 500),),
        ),
        DeclaredLicence(name="yeast", version="2.0", expression="MIT OR ISC", text="", classifiers=(), texts=()),
    ) == found


@pytest.mark.parametrize(
    ("field", "classifiers"), [("License-Expression", ""), ("License", ""), ("License", "Classifier: License :: MIT")]
)
@pytest.mark.parametrize("length", [199, 200, 201, 208, 1000])
def test_a_long_expression_is_whole_or_unknown(tmp_path: Path, field: str, classifiers: str, length: int) -> None:
    """
    What is cut off is another licence, wherever the cut falls: spaces put it after a whole licence.
    """
    head = ("MIT AND " * (length // 8 - 1) + "MIT").ljust(length)
    installed(tmp_path, "grape", f"Name: grape\nVersion: 1.0\n{field}: {head} AND GPL-3.0-only\n{classifiers}")

    (found,) = licences_on((str(tmp_path),)).packages

    assert not licence_of(found)


def test_an_expression_that_fits_is_kept(tmp_path: Path) -> None:
    """
    Up to the limit.
    """
    text = " AND ".join(["MIT"] * 25)
    installed(tmp_path, "grape", f"Name: grape\nVersion: 1.0\nLicense-Expression: {text}")

    assert [text] == [licence_of(each) for each in licences_on((str(tmp_path),)).packages]


def test_a_field_with_two_values_is_no_licence(tmp_path: Path) -> None:
    """
    Neither the first nor the last of them counts.
    """
    twice = "License-Expression: MIT\nLicense-Expression: GPL-3.0-only"
    installed(tmp_path, "grape", f"Name: grape\nVersion: 1.0\n{twice}")

    assert [""] == [licence_of(each) for each in licences_on((str(tmp_path),)).packages]


def test_metadata_that_is_not_utf_8_is_read(tmp_path: Path) -> None:
    """
    Installers take an author's name in Latin-1; a licence with such a character is no expression.
    """
    for name, field in (("grape", b"Author: Jos\xe9\nLicense: MIT"), ("yeast", b"License-Expression: MIT\xe9")):
        installed(tmp_path, name, "")
        headers = b"Metadata-Version: 2.1\nName: %s\nVersion: 1.0\n%s\n" % (name.encode(), field)
        (tmp_path / f"{name}-1.0.dist-info" / "METADATA").write_bytes(headers)

    found = licences_on((str(tmp_path),)).packages

    assert [("grape", "MIT"), ("yeast", "")] == [(each.name, licence_of(each)) for each in found]


def test_the_packages_of_the_interpreter_are_described() -> None:
    """
    The tests run in an environment with pytest.
    """
    found = {package.name: package for package in describe(DescribeLicences()).packages}

    assert ("MIT", pytest.__version__) == (found["pytest"].expression, found["pytest"].version)


@pytest.mark.parametrize(
    ("headers", "files", "licence"),
    [
        ("License-File: LICENSE", {"licenses/LICENSE": MIT}, "MIT"),
        ("License-File: LICENSE", {"LICENSE": MIT}, "MIT"),
        ("License-File: LICENSE\nClassifier: License :: OSI Approved", {"licenses/LICENSE": MIT}, "MIT"),
        (f"License: {MIT}".replace("\n", "\n        "), {}, "MIT"),
        (f"License: {MIT}".replace("\n", "\n       |"), {}, "MIT"),
        ("License-File: LICENSE\nLicense-File: COPYING", {"licenses/LICENSE": MIT, "licenses/COPYING": MIT}, "MIT"),
        ("License-File: LICENSE\nLicense-File: COPYING", {"licenses/LICENSE": MIT, "licenses/COPYING": GPL}, ""),
        ("License-File: LICENSE\nLicense-File: COPYING", {"licenses/LICENSE": MIT}, ""),
        ("License-File: LICENSE", {"licenses/LICENSE": MIT + "Not for sale.\n"}, ""),
        ("License-File: LICENSE", {}, ""),
        ("", {"licenses/LICENSE": MIT}, ""),
        ("License-File: ../../LICENSE", {"../LICENSE": MIT}, ""),
        ("License-Expression: GPL-3.0-only\nLicense-File: LICENSE", {"licenses/LICENSE": MIT}, "GPL-3.0-only"),
        ("License-Expression: mine\nLicense-File: LICENSE", {"licenses/LICENSE": MIT}, ""),
        (f"License: {SENTENCE}\nLicense-File: LICENSE", {"licenses/LICENSE": MIT}, SENTENCE),
        (f"License: {SENTENCE}\nLicense: 2, {SENTENCE}\nLicense-File: LICENSE", {"licenses/LICENSE": MIT}, ""),
        ("License: UNKNOWN\nLicense-File: LICENSE", {"licenses/LICENSE": MIT}, "MIT"),
        ("License-File: LIC\0ENSE", {"licenses/LICENSE": MIT}, ""),
        ("Classifier: License :: Other\nLicense-File: LICENSE", {"licenses/LICENSE": MIT}, "Other"),
    ],
)
def test_a_package_that_declares_nothing_has_the_licence_of_its_text(
    tmp_path: Path, headers: str, files: dict[str, str], licence: str
) -> None:
    """
    Each text that its metadata names must be one of a licence; what it declares comes first.
    """
    installed(tmp_path, "grape", f"Name: grape\nVersion: 1.0\n{headers}")
    for name, text in files.items():
        path = tmp_path / "grape-1.0.dist-info" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    assert [licence] == [licence_of(each) for each in licences_on((str(tmp_path),)).packages]


def test_a_text_that_is_not_utf_8_is_unknown(tmp_path: Path) -> None:
    """
    It is no error either.
    """
    installed(tmp_path, "grape", "Name: grape\nVersion: 1.0\nLicense-File: LICENSE")
    (tmp_path / "grape-1.0.dist-info" / "LICENSE").write_bytes(b"\xe9" + MIT.encode())

    assert [""] == [licence_of(each) for each in licences_on((str(tmp_path),)).packages]
