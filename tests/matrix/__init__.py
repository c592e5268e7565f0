"""The grading matrix: misconceptions, pairs, correct variants and null answers, graded for real."""
