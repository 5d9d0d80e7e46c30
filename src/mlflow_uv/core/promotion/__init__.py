"""The conditions for promoting a version, and for deleting one."""
