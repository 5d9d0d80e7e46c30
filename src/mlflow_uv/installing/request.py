"""
Sends HTTP requests to the server in this container: `python -I -S request.py`, JSON in, a line of JSON for each out.

[{port, method, path, body: base64 or null, content_type, timeout_s, repeat_s, limit: bytes}] -> {status, body: base64},
or null without a response in time, after which no other request is sent. A request is repeated for `repeat_s` seconds
until the status is 200. It runs in the model's container, so its output is no more trustworthy than the model's
response.
"""

import base64
import http.client
import json
import sys
import time
from typing import Any

OK = 200
PAUSE_S = 0.02


def reply_to(request: "dict[str, Any]") -> "dict[str, Any] | None":
    """Status and body of the last response, None without one."""
    until = time.monotonic() + request.get("repeat_s", 0)
    while True:
        reply = _reply_once(request)
        if (reply is not None and reply["status"] == OK) or time.monotonic() >= until:
            return reply
        time.sleep(PAUSE_S)


def _reply_once(request: "dict[str, Any]") -> "dict[str, Any] | None":
    body = None if request["body"] is None else base64.b64decode(request["body"])
    connection = http.client.HTTPConnection("127.0.0.1", request["port"], timeout=request["timeout_s"])
    headers = {"Content-Type": request.get("content_type", "application/json")}
    try:
        connection.request(request["method"], request["path"], body=body, headers=headers)
        response = connection.getresponse()
        content = response.read(request["limit"])
        if response.length and len(content) < request["limit"]:  # the server closed the connection before the end
            return None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return {"status": response.status, "body": base64.b64encode(content).decode()}


if __name__ == "__main__":
    for sent in json.load(sys.stdin):
        reply = reply_to(sent)
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()
        if reply is None:
            break
