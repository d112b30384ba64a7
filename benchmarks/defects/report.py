"""Mistakes in pictures and reports that their tests must notice."""

from defects._mutation import Defect

DEFECTS = [
    Defect(
        "a page that does not escape its words",
        "inncli.reporting.page",
        'Environment(loader=PackageLoader("inncli.reporting"), autoescape=True, undefined=StrictUndefined, '
        "trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, finalize=_shown)",
        'Environment(loader=PackageLoader("inncli.reporting"), autoescape=False, undefined=StrictUndefined, '
        "trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, finalize=_shown)",
        "test_report::test_every_value_is_text_wherever_it_stands",
    ),
    Defect(
        "a figure whose alt text is not escaped",
        "inncli/reporting/templates/parts.html.jinja",
        'alt="{{ shown.alt }}"',
        'alt="{{ shown.alt | safe }}"',
        "test_report::test_every_value_is_text_wherever_it_stands",
    ),
    Defect(
        "a picture from a server",
        "inncli/reporting/templates/report.html.jinja",
        'href="data:,"',
        'href="https://example.org/icon.png"',
        "test_report::test_the_page_says_what_was_found",
    ),
    Defect(
        "a verdict turned around",
        "inncli.metrics.verdicts:Verdict.answer",
        '{True: "Yes", False: "No", None: "Can\'t tell"}',
        '{True: "No", False: "Yes", None: "Can\'t tell"}',
        "test_report::test_the_page_says_what_was_found",
    ),
    Defect(
        "a name that the template does not know shown as nothing",
        "inncli.reporting.page",
        'Environment(loader=PackageLoader("inncli.reporting"), autoescape=True, undefined=StrictUndefined, '
        "trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, finalize=_shown)",
        'Environment(loader=PackageLoader("inncli.reporting"), autoescape=True, '
        "trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, finalize=_shown)",
        "test_report::test_a_page_that_lacks_what_its_template_names_is_an_error",
    ),
    Defect(
        "a time of now in the page",
        "inncli.reporting.report:_ended",
        "f\"{info['status']} {_time(info.get('ended')) or ''}\"",
        "f\"{info['status']} {datetime.now()}\"",
        "test_report::test_the_command_writes_one_file_and_the_same_bytes_again",
    ),
    Defect(
        "a posterior drawn at another y than was asked",
        "inncli.reporting.report:_Subject.observations",
        "return [(row[None], None) for row in self.given]",
        "return [(row[None] + 1, None) for row in self.given]",
        "test_report::test_the_posterior_is_drawn_at_the_ys_asked_for",
    ),
    Defect(
        "a band of one rank bin as wide as two",
        "inncli.plots.calibration:_ranks",
        "binom.ppf([(1 - _SHARE) / 2, (1 + _SHARE) / 2], n, 1 / bins)",
        "binom.ppf([(1 - _SHARE) / 2, (1 + _SHARE) / 2], n, 2 / bins)",
        "test_plots::test_calibration_draws_the_counts_and_curves_with_binomial_bands",
    ),
    Defect(
        "calibration shows the best instead of the worst",
        "inncli.plots.calibration:_shown",
        'sorted(names, key=lambda name: -np.var(found["ranks"][name]))',
        'sorted(names, key=lambda name: np.var(found["ranks"][name]))',
        "test_plots::test_of_many_unknowns_the_least_calibrated_are_shown",
    ),
    Defect(
        "colours of the latent not shuffled with its dots",
        "inncli.plots.latent:_scatter",
        "y[order]",
        "y",
        "test_plots::test_latent_quantiles_and_colours_are_those_of_the_rows",
    ),
    Defect(
        "images beside real ones of another class",
        "inncli.reporting.figures:_real",
        "pairs.x[(pairs.y == y).all(1)]",
        "pairs.x[(pairs.y != y).all(1)]",
        "test_pictures::test_images_of_every_class_stand_beside_real_ones_of_it",
    ),
    Defect(
        "the target of a throw not on the ground",
        "inncli.reporting.figures:_paths",
        "np.array([y[0, 0], 0.0])",
        "np.array([y[0, 0], 1.0])",
        "test_pictures::test_paths_of_exact_draws_end_at_the_mark",
    ),
    Defect(
        "an INN's latent that is its padding",
        "inncli.models.inn:INN.latent",
        "self(self.scaled(self.scale.dequantise(x, generator)), self.noise(len(x), generator))[1]",
        "self(self.scaled(self.scale.dequantise(x, generator)), self.noise(len(x), generator))[0]",
        "test_pictures::test_the_latent_of_an_inn_gives_x_back_with_its_y",
    ),
]
