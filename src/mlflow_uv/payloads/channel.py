"""Exchanges files with the program that started this process, block by block, so that no path is shared."""

import base64
import io
import json
import threading
from dataclasses import asdict
from typing import Any, TextIO

from .messages.scoring import ReadBlock, ScoringMessage, WriteBlock

BLOCK = 1 << 20  # bytes of a file in one message


class Channel:
    """Sends messages as JSON lines, `{"ask": name, …}`, and waits for the reply to each from the calling program."""

    def __init__(self, replies: TextIO, messages: TextIO) -> None:
        self._replies = replies
        self._messages = messages
        self._mutex = threading.Lock()  # pyarrow may read from several threads
        self._open = True

    def send(self, message: ScoringMessage) -> dict[str, Any]:
        """Send a message and return the reply. Raises EOFError if the program has gone."""
        if not self._open:
            raise EOFError("the request has ended")
        with self._mutex:
            self._messages.write(json.dumps({"ask": message.ask, **asdict(message)}) + "\n")
            self._messages.flush()
            line = self._replies.readline()
        if not line:
            raise EOFError("the program that reads the responses has ended")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def close(self) -> None:
        """End the conversation: a file that is finalised after an error would write what it has left."""
        self._open = False


class RemoteFile(io.RawIOBase):
    """A file that the caller reads, by its index in the request."""

    def __init__(self, channel: Channel, number: int, size: int) -> None:
        super().__init__()
        self._channel = channel
        self._number = number
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        """See RawIOBase."""
        return True

    def seekable(self) -> bool:
        """See RawIOBase."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See RawIOBase."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        """See RawIOBase."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """See RawIOBase."""
        length = max(0, min(len(buffer), BLOCK, self._size - self._position))
        if length:
            reply = self._channel.send(ReadBlock(file=self._number, offset=self._position, length=length))
            data = base64.b64decode(reply["data"])
            length = len(data)
            buffer[:length] = data
            self._position += length
        return length


class RemotePart(io.RawIOBase):
    """The part that the caller writes."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def writable(self) -> bool:
        """See RawIOBase."""
        return True

    def write(self, data: Any) -> int:
        """See RawIOBase."""
        block = bytes(memoryview(data)[:BLOCK])
        self._channel.send(WriteBlock(data=base64.b64encode(block).decode()))
        return len(block)
