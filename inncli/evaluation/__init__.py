"""What a trained model is worth: numbers on held-out pairs, their standard errors, verdicts, and runs compared.

    request       `EvaluationRequest`: what can be asked of a run
    settings      `EvaluationSettings`: the config group `evaluation`
    evaluate      `answer` and `evaluate`: the evaluation of one run
    calibration   measures for it whether the run is calibrated
    reference     measures for it how far draws are from exact ones
    cache         the evaluations in a run directory
    entries       finds and reads the runs of a comparison
    groups        which of them are compared: one task, one config, several seeds
    compare       the comparison as JSON, and as lines of a figure

May import `inference`, `training` and the rooms below them; not `experiments`, not `plots`.
"""
