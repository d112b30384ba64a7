"""The peers' mistakes, each put into a copy of the tree: the test that guards against it must fail.

    python benchmarks/defects                all of them
    python benchmarks/defects flows sweep    those of flows.py and sweep.py
    python benchmarks/defects check          no test runs: every defect still finds its code and its test

A theme is a file of this folder that holds a list DEFECTS; `_mutation.py` says how a defect names its code.
"""
