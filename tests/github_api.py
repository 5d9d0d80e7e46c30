"""
GitHub's REST API in this process, as far as comments on pull requests and artifacts go, after its documentation.

https://docs.github.com/rest/issues/comments, https://docs.github.com/rest/pulls/pulls and
https://docs.github.com/rest/actions/artifacts, version 2022-11-28.
"""

import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPOSITORY = "grower/wine"
TOKEN = "ghs_of-a-job"
BOT = "github-actions[bot]"
OWN = 1  # the repository
LONGEST_BODY = 65_536


@dataclass
class FakeGithub:
    """The pull requests and comments of one repository; `failures` are statuses that the next requests get."""

    port: int = 0
    login: str | None = None
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    comments: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    suggestions: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    runs: dict[int, dict[str, Any]] = field(default_factory=dict)
    archives: dict[int, bytes] = field(default_factory=dict)
    prefix: str = ""

    @property
    def url(self) -> str:
        """What GITHUB_API_URL says; on GitHub Enterprise Server it has a path."""
        return f"http://127.0.0.1:{self.port}{self.prefix}"

    @property
    def written(self) -> list[tuple[str, str]]:
        """The requests that change something."""
        return [request for request in self.requests if request[0] != "GET"]

    def open(self, number: int, head: str, *, branch: str = "topic", repository: int = 7, state: str = "open") -> None:
        """Open a pull request."""
        self.pulls[number] = {
            "number": number,
            "state": state,
            "head": {"sha": head, "ref": branch, "repo": {"id": repository}},
        }

    def propose(
        self, number: int, branch: str, base: str, text: dict[str, Any], *, author: str = BOT, repository: int = 7
    ) -> None:
        """Open a pull request from a branch, also from one of a fork, with a text."""
        own = {"head": {"ref": branch, "repo": {"id": repository}}, "base": {"ref": base, "repo": {"id": 7}}}
        url = f"https://github.test/{REPOSITORY}/pull/{number}"
        user = {"login": author, "type": "Bot" if author == BOT else "User"}
        self.pulls[number] = {
            "id": 500 + number, "number": number, "state": "open", "html_url": url, "user": user, **text, **own
        }  # fmt: skip

    def hand_over(
        self,
        name: str,
        files: dict[str, bytes],
        *,
        event: str = "push",
        branch: str = "main",
        repository: int = OWN,
        expired: bool = False,
    ) -> int:
        """Upload an artifact in a run of its own, which this event started for a branch of a repository; its run."""
        run, identity = 700 + len(self.runs), 300 + len(self.artifacts)
        self.runs[run] = {
            "id": run, "event": event, "head_branch": branch, "head_sha": "f" * 40, "repository": {"id": OWN},
            "head_repository": {"id": repository},
        }  # fmt: skip
        of = {"id": run, "repository_id": OWN, "head_repository_id": repository, "head_branch": branch}
        self.artifacts.append({"id": identity, "name": name, "expired": expired, "workflow_run": of})
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for path, content in files.items():
                packed.writestr(path, content)
        self.archives[identity] = archive.getvalue()
        return run

    def comment(self, number: int, body: str, *, author: str = BOT, kind: str = "Bot") -> int:
        """Write a comment; its id."""
        identity = 100 + len(self.comments)
        url = f"https://github.test/{REPOSITORY}/pull/{number}#issuecomment-{identity}"
        user = {"login": author, "type": kind}
        self.comments.append({"id": identity, "issue": number, "body": body, "html_url": url, "user": user})
        return identity

    def bodies(self, number: int) -> list[str]:
        """The texts of the comments on a pull request."""
        return [comment["body"] for comment in self.comments if comment["issue"] == number]

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        """The status and the document of a response."""
        parts = urlsplit(target)
        root = f"{self.prefix}/repos/{REPOSITORY}"
        if parts.path == f"{self.prefix}/user":
            return (200, {"login": self.login}) if self.login else (403, {"message": "Resource not accessible"})
        if parts.path == root:
            return 200, {"id": OWN, "default_branch": "main"}
        if parts.path.startswith(f"{root}/actions/"):
            return self._of_actions(parts.path.removeprefix(f"{root}/actions/"), parse_qs(parts.query))
        if parts.path == f"{root}/pulls":
            return self._of_pulls(method, parse_qs(parts.query), body)
        if match := re.fullmatch(rf"{root}/pulls/(\d+)", parts.path):
            pull = self.pulls.get(int(match[1]))
            if method == "PATCH" and pull is not None:
                pull |= body
            return (200, pull) if pull else (404, {"message": "Not Found"})
        if re.fullmatch(rf"{root}/pulls/\d+/files", parts.path):
            return 200, paged(self.files, parse_qs(parts.query))
        if re.fullmatch(rf"{root}/pulls/\d+/comments", parts.path):
            return self._of_lines(method, parse_qs(parts.query), body)
        if match := re.fullmatch(rf"{root}/pulls/comments/(\d+)", parts.path):
            self.suggestions = [known for known in self.suggestions if known["id"] != int(match[1])]
            return 204, None
        if parts.path == f"{root}/issues":
            return self._of_issues(method, parse_qs(parts.query), body)
        if match := re.fullmatch(rf"{root}/issues/(\d+)", parts.path):
            (issue,) = (known for known in self.issues if known["number"] == int(match[1]))
            issue |= body
            return 200, issue
        if match := re.fullmatch(rf"{root}/issues/(\d+)/comments", parts.path):
            return self._of_issue(method, int(match[1]), parse_qs(parts.query), body)
        if match := re.fullmatch(rf"{root}/issues/comments/(\d+)", parts.path):
            return self._of_comment(method, int(match[1]), body)
        return 404, {"message": "Not Found"}

    def _of_actions(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        """Artifacts, newest first, the runs that they are of, and their archives."""
        if path == "artifacts":
            named = [known for known in reversed(self.artifacts) if known["name"] == query["name"][0]]
            return 200, {"total_count": len(named), "artifacts": paged(named, query)}
        if match := re.fullmatch(r"runs/(\d+)", path):
            run = self.runs.get(int(match[1]))
            return (200, run) if run else (404, {"message": "Not Found"})
        match = re.fullmatch(r"artifacts/(\d+)/zip", path)
        return (200, self.archives[int(match[1])]) if match else (404, {"message": "Not Found"})

    def _of_pulls(self, method: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        owner = REPOSITORY.split("/", maxsplit=1)[0]
        if method == "POST":
            number = 1 + max(self.pulls, default=0)
            self.propose(number, body["head"], body["base"], body)
            return 201, self.pulls[number]
        asked = (query["head"][0], query["base"][0], query["state"][0])
        return 200, [
            pull
            for pull in self.pulls.values()
            if asked == (f"{owner}:{pull['head']['ref']}", pull.get("base", {}).get("ref"), pull["state"])
        ]

    def _of_lines(self, method: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        """Comments on lines: a line that the diff does not have and a long text are refused, as GitHub does."""
        if method == "GET":
            return 200, paged(self.suggestions, query)
        hunks = [
            range(int(first), int(first) + int(count))
            for file in self.files
            if file["filename"] == body["path"]
            for first, count in re.findall(r"^@@ \S+ \+(\d+),(\d+) @@", file["patch"], re.MULTILINE)
        ]
        first, last = body.get("start_line", body["line"]), body["line"]
        if len(body["body"]) > LONGEST_BODY or not any(first in lines and last in lines for lines in hunks):
            return 422, {"message": "Validation Failed"}
        known = {"id": 500 + len(self.requests), "user": {"login": BOT, "type": "Bot"}, "start_line": None, **body}
        self.suggestions.append({**known, "html_url": "https://github.test/line"})
        return 201, self.suggestions[-1]

    def _of_issue(self, method: str, number: int, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        if number not in {*self.pulls, *(issue["number"] for issue in self.issues)}:
            return 404, {"message": "Not Found"}
        if method == "POST":
            if len(body["body"]) > LONGEST_BODY:
                return 422, {"message": "Validation Failed"}
            self.comment(number, body["body"])
            return 201, self.comments[-1]
        return 200, paged([comment for comment in self.comments if comment["issue"] == number], query)

    def issue(self, body: str, *, title: str = "", author: str = BOT, kind: str = "Bot") -> dict[str, Any]:
        """Open an issue."""
        number = 20 + len(self.issues)
        url = f"https://github.test/{REPOSITORY}/issues/{number}"
        issue = {"id": 900 + number, "number": number, "title": title, "body": body, "state": "open", "html_url": url}
        self.issues.append({**issue, "user": {"login": author, "type": kind}})
        return self.issues[-1]

    def _of_issues(self, method: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        if method == "POST":
            return 201, self.issue(body["body"], title=body["title"])
        return 200, paged([issue for issue in self.issues if issue["state"] == query["state"][0]], query)

    def _of_comment(self, method: str, identity: int, body: Any) -> tuple[int, Any]:
        comment = next((known for known in self.comments if known["id"] == identity), None)
        if comment is None:
            return 404, {"message": "Not Found"}
        if method == "DELETE":
            self.comments.remove(comment)
            return 204, None
        comment["body"] = body["body"]
        return 200, comment


def paged(entries: list[dict[str, Any]], query: dict[str, list[str]]) -> list[dict[str, Any]]:
    """One page of a list."""
    size, page = int(query.get("per_page", ["30"])[0]), int(query.get("page", ["1"])[0])
    return entries[(page - 1) * size : page * size]


@contextmanager
def fake_github(*, prefix: str = "", token: str = TOKEN) -> Iterator[FakeGithub]:
    """The API on a port of loopback while the block runs; it refuses requests without the token."""
    github = FakeGithub(prefix=prefix)

    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            github.requests.append((self.command, urlsplit(self.path).path))
            if github.failures:
                status, document = github.failures.pop(0), {"message": "Unavailable"}
            elif self.headers.get("Authorization") != f"Bearer {token}":
                status, document = 401, {"message": "Bad credentials"}
            else:
                assert "application/vnd.github+json" == self.headers["Accept"]
                assert self.headers["User-Agent"]
                status, document = github.answer(self.command, self.path, json.loads(raw) if raw else None)
            plain = document if isinstance(document, bytes) else json.dumps(document).encode()
            data = b"" if document is None else plain
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = _respond

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    github.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
