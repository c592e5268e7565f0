"""The source of truth: the solved assignment, one py:percent file per part of the notebook.

Importing a part defines its functions and does nothing else. What stands under a main guard runs in the
notebook only, in order, where the names of earlier parts are there (`pipeline`, `sft_lm`, …).
"""
