"""Find in a saved notebook what answers which slot and which written question. It needs the standard library alone.

The grader reads submissions with these modules. `rlhf-lab build` copies the folder unchanged into the students' kit, as
rlhf_kit/answers, so that the export says of a notebook what the grader will say. Edit it in autograder/parsing/answers.
"""
