"""An error of a service of AWS, as its stand-ins raise it."""

from typing import Any


class Refused(Exception):
    """An error of the service: its code and message, and more parts of the response."""

    def __init__(self, code: str, message: str, **parts: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.parts = parts
