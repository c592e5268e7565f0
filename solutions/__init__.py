"""The source of truth: the solved assignment, with one py:percent file per part of the notebook.

Importing a part only defines its functions. Code under a main guard runs in the notebook alone, where the
names of earlier parts (`pipeline`, `sft_lm`, …) are defined.
"""
