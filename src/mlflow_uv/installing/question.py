"""Which Python is this? `python3 -I question.py` prints its version; nothing else is asked of a base image."""

import platform

print(platform.python_version())
