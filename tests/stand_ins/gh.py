#!/usr/bin/env python3
"""
In place of GitHub's command line: the calls that publish a release, on a bare repository beside this file.

A release is a file in `releases`. As GitHub with immutable releases does, it refuses a second release of a tag, and any
change of a tag that has a release. Each call is a line of `calls`, and one without the token `token` is refused.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent


def git(*words: str) -> "str | None":
    """What git prints about the repository; None if it fails."""
    done = subprocess.run(
        ("git", f"--git-dir={HOME / 'repository.git'}", *words), capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else None


def refused(message: str) -> int:
    """Print what GitHub says."""
    print(f"HTTP 422: {message}", file=sys.stderr)
    return 1


def create_release(words: "list[str]") -> int:
    """`gh release create`, with the options that ask for a tag that is there."""
    parser = argparse.ArgumentParser(prog="gh release create", allow_abbrev=False)
    parser.add_argument("tag")
    parser.add_argument("--verify-tag", action="store_true", required=True)
    parser.add_argument("--title", required=True)
    parser.add_argument("--notes-file", type=Path, required=True)
    parser.add_argument("assets", type=Path, nargs="+")
    call = parser.parse_args(words)
    release = HOME / "releases" / f"{call.tag}.json"
    if git("rev-parse", "--verify", "--quiet", f"refs/tags/{call.tag}") is None:
        return refused(f"tag {call.tag} doesn't exist in the repo {os.environ['GH_REPO']}, aborting")
    if release.exists():
        return refused(f"Validation Failed: a release with the same tag name already exists: {call.tag}")
    assets = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in call.assets}
    release.write_text(json.dumps({"title": call.title, "notes": call.notes_file.read_text(), "assets": assets}))
    return 0


def change_reference(words: "list[str]") -> int:
    """`gh api`, for the two requests that create and move a tag."""
    parser = argparse.ArgumentParser(prog="gh api", allow_abbrev=False)
    parser.add_argument("path")
    parser.add_argument("--silent", action="store_true")
    parser.add_argument("--method")
    parser.add_argument("-f", dest="texts", action="append", default=[])
    parser.add_argument("-F", dest="values", action="append", default=[])
    call = parser.parse_args(words)
    body = dict(text.split("=", 1) for text in call.texts)
    body |= {name: json.loads(value) for name, value in (text.split("=", 1) for text in call.values)}
    root = f"repos/{os.environ['GH_REPO']}/git/refs"
    method = call.method or ("POST" if body else "GET")
    if method == "PATCH" and call.path.startswith(f"{root}/") and body.keys() == {"sha", "force"}:
        name, known, force = f"refs/{call.path.removeprefix(f'{root}/')}", True, body["force"] is True
    elif method == "POST" and call.path == root and body.keys() == {"ref", "sha"}:
        name, known, force = body["ref"], False, False
    else:
        return refused(f"Invalid request: {method} {call.path} {sorted(body)}")
    before = git("rev-parse", "--verify", "--quiet", name)
    if (before is not None) != known:
        return refused("Reference already exists" if before else "Reference does not exist")
    if known and not force and git("merge-base", "--is-ancestor", before or "", body["sha"]) is None:
        return refused("Update is not a fast forward")
    if (HOME / "releases" / f"{name.removeprefix('refs/tags/')}.json").exists():
        return refused(f"Cannot update this protected ref: {name} has an immutable release")
    if git("cat-file", "-e", f"{body['sha']}^{{commit}}") is None or git("update-ref", name, body["sha"]) is None:
        return refused("Object does not exist")
    return 0


def main(words: "list[str]") -> int:
    """Run a call; return the exit code."""
    with (HOME / "calls").open("a") as calls:
        print(json.dumps(words), file=calls)
    if os.environ.get("GH_TOKEN") != (HOME / "token").read_text():
        print("HTTP 401: Bad credentials", file=sys.stderr)
        return 4
    match words:
        case ["release", "create", *rest]:
            return create_release(rest)
        case ["api", *rest]:
            return change_reference(rest)
    print(f"unknown command {words}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
