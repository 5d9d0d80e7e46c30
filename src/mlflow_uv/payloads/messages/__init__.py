"""
Defines what is sent between this program and the payloads: the verbs with their requests and responses, and the tags.

It is the only part of the payloads that the rest of the program imports, and needs the standard library alone.
"""
