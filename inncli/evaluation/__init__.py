"""What a trained model is worth: numbers on held-out pairs, their standard errors, verdicts, and runs compared.

Contents: `evaluate` for one run, `compare` for many, `settings.EvaluationSettings`, the config group `evaluation`.
`calibration` and `reference` measure for `evaluate`, `cache` keeps what was found in the run directory.
May import `inference`, `training` and the rooms below them; not `experiments`, not `plots`.
"""
