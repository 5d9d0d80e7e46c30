"""The licence that the metadata of a package declares, and the file that keeps it."""

import pytest

from mlflow_uv.core.model.licences import licence_of, licences_file, read_licences
from mlflow_uv.payloads.messages.request import DeclaredLicence

LONG = "GNU General Public License version 3 or any later version of the Free Software Foundation"


def declared(*, name: str = "grape", expression: str = "", text: str = "", classifiers: str = "") -> DeclaredLicence:
    """What the metadata of a package says."""
    return DeclaredLicence(
        name=name,
        version="1.0",
        expression=expression,
        text=text,
        classifiers=tuple(filter(None, classifiers.split("|"))),
        texts=(),
    )


@pytest.mark.parametrize(
    ("expression", "text", "classifiers", "licence"),
    [
        ("mit or apache-2.0", "", "", "MIT OR Apache-2.0"),
        ("MIT", "MIT License", "OSI Approved|MIT License", "MIT"),
        ("Proprietary", "MIT", "", ""),
        ("MIT", "GPL-3.0-only", "", ""),
        ("MIT", "", "Other/Proprietary License", ""),
        ("MIT", "Copyright " * 20 + "…", "", "MIT"),
        ("", "MIT", "Other/Proprietary License", ""),
        ("", "MIT", "MIT License|Other/Proprietary License", ""),
        ("", "GPL-3.0-only", "GNU Lesser General Public License v3 (LGPLv3)", ""),
        ("", "GPL-3.0-only", "GNU General Public License v3 (GPLv3)", "GPL-3.0-only"),
        ("", "PSF-2.0", "Python Software Foundation License", "PSF-2.0"),
        ("", "Proprietary", "MIT License", ""),
        ("", "Dual License", "Apache Software License|BSD License", "Apache Software License, BSD License"),
        ("", "MIT AND GPL-3.0-o…", "MIT License", ""),
        ("", "MIT License Permission is hereby…", "MIT License", "MIT"),
        ("", "BSD-3-Clause", "BSD License", "BSD-3-Clause"),
        ("", "Apache 2.0", "Apache Software License", "Apache Software License"),
        ("", "MIT License\n\nPermission is hereby granted", "MIT License", "MIT"),
        ("", "", "OSI Approved|MIT License|BSD License", "MIT, BSD License"),
        ("", "Apache 2.0", "", "Apache 2.0"),
        ("", "Copyright " * 20 + "…", "", ""),
        ("", f"{LONG}, as published", "", f"{LONG}, as published"),
        ("", LONG, "MIT License", ""),
        ("MIT", LONG, "", ""),
        ("", "UNKNOWN", "OSI Approved", ""),
        ("not an expression", "", "", ""),
        ("", "", "", ""),
    ],
)
def test_a_licence_is_what_the_package_declares(expression: str, text: str, classifiers: str, licence: str) -> None:
    """
    An expression of SPDX in its canonical form, else a name, also a long one; a text that was cut and a guess are none.
    """
    assert licence == licence_of(declared(expression=expression, text=text, classifiers=classifiers))


def test_the_file_has_what_is_declared_by_name_and_version() -> None:
    """
    In the same order for the same packages; a package that declares none is left out.
    """
    packages = [declared(name="yeast", text="MIT"), declared(expression="ISC"), declared(name="oak")]

    text = licences_file(packages)

    assert licences_file(reversed(packages)) == text
    assert {("grape", "1.0"): "ISC", ("yeast", "1.0"): "MIT"} == read_licences(text.encode())


@pytest.mark.parametrize("data", [b"", b"[]", b'{"a==1": 1}', b'{"a==1": ["MIT"]}', b"\xff"])
def test_another_file_is_refused(data: bytes) -> None:
    """
    Whoever damages it does not make licences unknown.
    """
    with pytest.raises(ValueError, match="it is not"):
        read_licences(data)
