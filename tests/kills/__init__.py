"""Kill or interrupt the grader at random moments: `python -m tests.kills`."""
