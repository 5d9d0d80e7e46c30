"""The workflow that publishes the documents of this project, up to GitHub's own deployment."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import checkout
from tests.github.act import Consumer, Run
from tests.github.other_actions import checking_out, pages_actions, setup_python
from tests.house.files import ROOT

pytestmark = [pytest.mark.extended, pytest.mark.installs]
WORKFLOW = (ROOT / ".github/workflows/pages.yml").read_text()
# In place of the site that is online, of which the workflow gets one file.
CURL = """#!/bin/bash
[[ ${{!#}} == https://*.github.io/*/versions.json ]] || exit 3
if test -f "{online}"; then cp "{online}" published.json; printf 200; else echo none >published.json; printf 404; fi
"""


@dataclass(frozen=True)
class Documents:
    """A clone of this project with a release, the list of what is online, and what was deployed."""

    consumer: Consumer
    online: Path
    deployed: Path
    options: tuple[str, ...]

    def push(self) -> Run:
        """Commit, tag a release, and run the workflow as on a push to main."""
        return self.consumer.run(
            WORKFLOW,
            payload={"ref": "refs/heads/main", "repository": {"default_branch": "main", "name": "x"}},
            options=self.options,
            committed=lambda folder: checkout.git(folder, "tag", "--force", "v1.0.0"),
        )

    def versions(self) -> Mapping[str, list[str]]:
        """The versions that were deployed, with their aliases."""
        listed = json.loads((self.deployed / "versions.json").read_text())
        return {each["version"]: each["aliases"] for each in listed}


@pytest.fixture
def documents(consumer: Consumer, tmp_path: Path) -> Documents:
    """Nothing is online yet."""
    shutil.rmtree(consumer.folder)
    checkout.materialise(consumer.folder)
    online, deployed, curl = tmp_path / "online.json", tmp_path / "deployed", tmp_path / "programs" / "curl"
    curl.parent.mkdir()
    curl.write_text(CURL.format(online=online))
    curl.chmod(0o755)
    consumer.programs = (*consumer.programs, curl)
    actions = (*checking_out(tmp_path, consumer.folder), *setup_python(tmp_path), *pages_actions(tmp_path, deployed))
    return Documents(consumer, online, deployed, actions)


def test_the_documents_of_each_release_are_deployed_and_none_is_replaced(documents: Documents) -> None:
    """
    First where nothing is online; then beside what is; not where a release that is online has other content now.
    """
    first = documents.push()
    assert first.ok, first.log[-6000:]
    deployed = documents.versions()
    listed = json.loads((documents.deployed / "versions.json").read_text())
    documents.online.write_text(json.dumps(listed))

    second = documents.push()
    shutil.rmtree(documents.deployed)
    next(each for each in listed if each["version"] == "1.0.0")["properties"]["tree"] = "0" * 40
    documents.online.write_text(json.dumps(listed))
    third = documents.push()

    assert (True, False) == (second.ok, third.ok), second.log[-3000:] + third.log[-3000:]
    assert {"main": [], "1.0.0": ["latest"]} == deployed
    assert "https://pages.test/" == first.outputs["deploy"]["page_url"]
    assert "1.0.0 is online with the tree" in third.log
    assert not documents.deployed.exists()
