"""What runs inside the sandbox: it answers, it holds no expected value.

Mounted there as the package `inside`, beside `rlhf_kit`. It imports `rlhf_kit` and the standard
stack only, nothing else of ours, and uses relative imports, so that it also loads as
`autograder.inside` in tests on the host.
"""
