"""Pure figures: arrays and posterior sets in, a matplotlib figure out, one file a figure.

Contents: the function of each file, named as the file, and `style.save`. No figure opens a run.
May import `inference` (for posterior sets) and the rooms below it; not `evaluation`, not `experiments`.
"""
