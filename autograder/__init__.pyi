from autograder.grade import Grading as Grading
from autograder.grade import OptionError as OptionError
from autograder.grade import Options as Options
from autograder.grade import grade as grade
from autograder.intake import IntakeError as IntakeError
