"""Instructor side: the reference solution becomes a verified student release."""
