"""Renew what a change of a slot makes stale, and name what a person has to do: `make refresh`."""
