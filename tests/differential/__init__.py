"""The differential proof: two cores get the same random streams, and every output is compared.

`python -m tests.differential` is its command; CONTRIBUTING.md describes it.
"""
