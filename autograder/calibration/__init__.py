"""How the thresholds of the training tests were chosen: each statistic over seeds, for right and for wrong code."""
