"""Files whose content comes from, and goes to, the program at the other end of two pipes."""

import base64
import io
import json

import pytest

from mlflow_uv.payloads.channel import BLOCK, Channel, RemoteFile, RemotePart

CONTENT = bytes(range(256)) * 5000


class OtherEnd(io.StringIO):
    """Serves the content as the caller does, and keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.replies: list[str] = []

    def write(self, line: str) -> int:
        """Answer a message."""
        message = json.loads(line)
        reply = {}
        if message["ask"] == "read":
            block = CONTENT[message["offset"] : message["offset"] + message["length"]]
            reply = {"data": base64.b64encode(block).decode()}
        elif message["ask"] == "write":
            self.written += base64.b64decode(message["data"])
        self.replies.append(json.dumps(reply) + "\n")
        return len(line)

    def readline(self, *_: object) -> str:  # type: ignore[override]
        """The reply to the last message."""
        return self.replies.pop() if self.replies else ""


def test_a_file_is_read_from_any_place() -> None:
    """
    Readers of Parquet start at the end; what lies beyond the end is empty.
    """
    other = OtherEnd()
    file = io.BufferedReader(RemoteFile(Channel(other, other), 0, len(CONTENT)), BLOCK)

    assert CONTENT == file.read()
    file.seek(-4, io.SEEK_END)
    assert (CONTENT[-4:], b"") == (file.read(), file.read())
    file.seek(1000)
    assert CONTENT[1000:1010] == file.read(10)


def test_a_part_is_written_in_blocks() -> None:
    """
    A write that is larger than a block becomes several messages.
    """
    other = OtherEnd()

    with io.BufferedWriter(RemotePart(Channel(other, other)), 16) as part:
        part.write(CONTENT)

    assert CONTENT == other.written


def test_nothing_is_sent_after_the_end() -> None:
    """
    A writer that is finalised after an error writes nothing, and a program that has gone is an error.
    """
    other = OtherEnd()
    channel = Channel(other, other)
    channel.close()

    with pytest.raises(EOFError):
        RemotePart(channel).write(b"x")

    assert b"" == other.written
