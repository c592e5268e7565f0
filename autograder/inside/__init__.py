"""Code that runs inside the sandbox. It runs student code on given inputs and contains no expected values.

In the sandbox it is mounted as the package `inside`, beside `rlhf_kit`. Of the project it imports only `rlhf_kit`. Its
imports of itself are relative, so that tests can also load it as `autograder.inside`.
"""
