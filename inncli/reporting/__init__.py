"""The report of a run: one HTML file with its verdicts, numbers and figures.

    report    the sections, and what each says of the run
    figures   each figure of a run, from its files and its evaluation; `inn plot` draws the same ones
    html      the parts of an HTML file

May import `evaluation`, `plots`, `inference` and the rooms below them; only `cli` imports it.
"""
