"""Mistakes in pictures and reports that their tests must notice."""

from defects._mutation import Defect

DEFECTS = [
    Defect(
        "a page that does not escape its words",
        "inncli.reporting.html:text",
        "return html.escape(harmless(str(value)), quote=True)",
        "return str(value)",
        "test_report::test_pieces_escape_what_they_are_given",
    ),
    Defect(
        "a figure whose alt text is not escaped",
        "inncli.reporting.html:figure",
        'f\'<figure><img src="{text(source)}" alt="{text(alt)}" width="{round(96 * width)}">{words}</figure>\'',
        'f\'<figure><img src="{text(source)}" alt="{alt}" width="{round(96 * width)}">{words}</figure>\'',
        "test_report::test_pieces_escape_what_they_are_given",
    ),
    Defect(
        "a picture from a server",
        "inncli.reporting.html:page",
        'f"""<!DOCTYPE html>\n'
        '<html lang="en">\n'
        "<head>\n"
        '<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        "<title>{text(title)}</title>\n"
        "<style>{_STYLE}</style>\n"
        "</head>\n"
        "<body>\n"
        "<main>\n"
        "{body}\n"
        "</main>\n"
        "</body>\n"
        "</html>\n"
        '"""',
        'f"""<!DOCTYPE html>\n'
        '<html lang="en">\n'
        "<head>\n"
        '<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="https://example.org/icon.png">\n'
        "<title>{text(title)}</title>\n"
        "<style>{_STYLE}</style>\n"
        "</head>\n"
        "<body>\n"
        "<main>\n"
        "{body}\n"
        "</main>\n"
        "</body>\n"
        "</html>\n"
        '"""',
        "test_report::test_the_page_says_what_was_found",
    ),
    Defect(
        "a verdict turned around",
        "inncli.reporting.html:verdicts",
        'f\'<li class="{"yes" if ok else "no"}">{text(question)} <b>{"Yes" if ok else "No"}.</b><br>\' f\'<span '
        'class="soft">{text(why[:1].upper() + why[1:])}</span></li>\'',
        'f\'<li class="{"yes" if ok else "no"}">{text(question)} <b>{"No" if ok else "Yes"}.</b><br>\' f\'<span '
        'class="soft">{text(why[:1].upper() + why[1:])}</span></li>\'',
        "test_report::test_the_page_says_what_was_found",
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
