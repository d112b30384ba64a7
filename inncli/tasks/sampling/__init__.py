"""Ways to draw exactly from a density, and formulas that serve NumPy and torch alike. It knows no task.

Contents: `rejection.accepted`, `adaptive_rejection.plane_draws`, `grid_rejection.sample_cells`, `array_api`.
May import the rooms below `tasks`.
"""
