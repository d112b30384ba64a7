"""Metrics, one a file: functions of arrays that know neither runs nor models.

Contents: the functions of each file. `verdicts` and `diagnosis_words` put numbers into words.
May import `data`, `io`, `numerics` and the ground; not `transforms`.
"""
