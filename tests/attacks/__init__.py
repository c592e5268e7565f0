"""The attack suite: hostile submissions, each graded by the real command on a host full of canaries."""
