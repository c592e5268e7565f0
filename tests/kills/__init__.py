"""The grader, killed or interrupted at random moments: `python -m tests.kills`."""
