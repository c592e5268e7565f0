from autograder.core.options import OptionError as OptionError
from autograder.core.options import Options as Options
from autograder.core.records import Grading as Grading
from autograder.grading.run import grade as grade
from autograder.submission.intake import IntakeError as IntakeError
