"""Mutated notebooks and archives through the real intake, extraction and grade command: `python -m tests.fuzz`."""
