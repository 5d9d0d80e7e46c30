"""Defines what every kind of target gives the containers of a version: a name, a user, and time to end."""

SLOTS = ("blue", "green")  # a new version is created in the one that has no traffic
USER = 65532  # nobody's
DRAIN_S = 30  # the default of DRAIN_TIMEOUT of the server
