"""What one shows of a run: its pictures, and the one HTML file that holds them with numbers and verdicts.

Contents: `report.report` writes report.html; `figures` has one function a picture; `html` the pieces of a page.
May import `evaluation`, `experiments`, `plots` and the rooms below them.
"""
