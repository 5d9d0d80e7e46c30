"""Tests what is signed, and that a statement which contradicts itself or the version is found."""

import json
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pytest

from mlflow_uv.core.release.digests import sha256, tree_digest
from mlflow_uv.core.release.record import Record, SignatureLink
from mlflow_uv.core.signing.statement import (
    CHAIN,
    PROVENANCE,
    SBOM,
    differing_files,
    differing_links,
    missing_statements,
    predicate_type,
    read_chain,
    statements,
)
from tests.unit.core.release.test_record import WHOLE

FILES = ((PurePosixPath("MLmodel"), "a" * 64), (PurePosixPath("data/größe.bin"), "b" * 64))
ADDED = (PurePosixPath("registered_model_meta"), "c" * 64)


def record(**changes: Any) -> Record:
    """The record of a version with FILES and a pushed image."""
    assert WHOLE.image is not None
    image = replace(WHOLE.image, kind="image", digest="sha256:" + "5" * 64, base_digest="sha256:" + "6" * 64)
    model = replace(WHOLE.model, sha256=tree_digest(FILES))
    return replace(WHOLE, **{"image": image, "model": model, "signature": None, **changes})


def test_the_chain_its_provenance_and_its_sbom_are_signed_about_model_and_image() -> None:
    """
    The record is in the first one as a file of it, without what differs each time; equal versions give equal texts.
    """
    documents = ((SBOM, {"bomFormat": "CycloneDX"}),)
    texts = statements(record(), (*FILES, ADDED), documents)

    unmeasured = replace(
        record(), timings=(), figures=(), latencies=(), signature=SignatureLink(signer="k", statement="s")
    )
    again = statements(unmeasured, FILES, documents)
    subjects = [json.loads(text)["subject"] for text in texts]
    assert [CHAIN, PROVENANCE, SBOM] == [predicate_type(text) for text in texts]
    assert [subjects[0]] * 3 == subjects
    assert {
        "models:/wine/7": record().model.sha256,
        "docker.io/library/wine": "5" * 64,
    } == {subject["name"]: subject["digest"]["sha256"] for subject in subjects[0]}
    assert texts == again
    chain = read_chain(texts[0])
    others = [sha256(text.encode()) for text in texts[1:]]
    assert ((PROVENANCE, others[0]), (SBOM, others[1])) == chain.statements
    assert (SBOM,) == missing_statements(chain, {others[0], "0" * 64})
    measured_nothing = replace(record(), timings=(), figures=(), latencies=())
    assert (measured_nothing, {str(path): digest for path, digest in FILES}) == (chain.record, chain.files)


def test_a_provenance_names_what_the_release_was_made_of() -> None:
    """
    Commit, lock, requirements, wheels and base image, each with its digest.
    """
    predicate = json.loads(statements(record(), FILES, ())[1])["predicate"]

    materials = predicate["buildDefinition"]["resolvedDependencies"]
    assert {
        "commit": "c" * 40,
        "uv.lock": "1" * 64,
        "requirements": "2" * 64,
        "wine-1-py3-none-any.whl": "3" * 64,
        "python:3.11-slim": "6" * 64,
    } == {entry["name"]: next(iter(entry["digest"].values())) for entry in materials}


def changed(**parts: Any) -> str:
    """The statement of the chain with other parts."""
    content = json.loads(statements(record(), FILES, ())[0])
    return json.dumps({**content, **parts})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "it is not an in-toto statement"),
        (changed(predicateType=PROVENANCE), "it is not about a chain"),
        (changed(predicate={"record": record().to_json()}), "it does not list the files of a model"),
        (changed(predicate=None), "it does not list the files of a model"),
        (changed(subject=[]), "its subjects are not the model and the image of its record"),
        (
            changed(predicate={"record": record().to_json(), "files": {"MLmodel": "a" * 64}}),
            "the files that it lists do not have the digest of its model",
        ),
    ],
)
def test_a_statement_that_contradicts_itself_is_refused(text: str, why: str) -> None:
    """
    A signer's own mistake is not taken for a valid chain.
    """
    with pytest.raises(ValueError, match=why):
        read_chain(text)


def test_every_signed_link_is_compared() -> None:
    """
    Those that later steps add or move are not: alias, verification, exports and the signature itself.
    """
    other = replace(
        record(),
        lock=replace(WHOLE.lock, sha256="9" * 64),
        image=None,
        alias=None,
        exports=None,
        signature=SignatureLink(signer="k", statement="s"),
    )

    assert (("lock", "image"), ()) == (differing_links(record(), other), differing_links(record(), record()))


def test_changed_added_and_removed_files_are_named() -> None:
    """
    Without those that MLflow adds on download.
    """
    signed = {"MLmodel": "a" * 64, "gone": "1" * 64}

    found = differing_files(signed, [(PurePosixPath("MLmodel"), "f" * 64), (PurePosixPath("new"), "2" * 64), ADDED])

    assert ("MLmodel", "gone", "new") == found
