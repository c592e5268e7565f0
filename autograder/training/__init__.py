"""The training tests: slots train in the sandbox, the grader measures the weights that come back."""
