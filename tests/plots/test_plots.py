"""Pictures: what is drawn is what was given, labels don't collide, equal data gives equal bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from inncli.errors import DataError, RequestError, ShapeError
from inncli.inference.posterior_set import PosteriorSet
from inncli.plots import posterior
from inncli.plots.calibration import calibration
from inncli.plots.density import _level, density2d
from inncli.plots.images import images
from inncli.plots.latent import latent
from inncli.plots.paths import paths
from inncli.plots.posterior import posterior_pairs
from inncli.plots.style import interval_text, new_figure, save, shorten, wrap
from inncli.plots.training import training_curve

CONCRETE = (
    "cement",
    "blast_furnace_slag",
    "fly_ash",
    "water",
    "superplasticizer",
    "coarse_aggregate",
    "fine_aggregate",
    "age",
)


def draws(names=("a", "b", "c"), s=500, **fields):
    x = np.random.default_rng(0).normal(size=(2, s, len(names))) * 10.0 ** np.arange(len(names)) / 100
    labels = (None, ("low", "high"))
    return PosteriorSet(x, None, [[0.3, 0], [1.5, 1]], names, ("y1", "kind"), labels, **fields)


def pixels(fig):
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(float)


def panel(fig, row, col, d):
    """The cell of the pair plot by place, whichever cells were taken out."""
    found = [axes for axes in fig.axes if axes.get_subplotspec().num1 == row * d + col]
    return found[0] if found else None


# ---- pair plot -----------------------------------------------------------------------------------
def test_each_cell_shows_its_two_unknowns_of_the_right_observation():
    given = draws()
    fig = posterior_pairs(given, obs=1)
    for row in range(3):
        for col in range(3):
            axes = panel(fig, row, col, 3)
            if col > row:
                assert axes is None
            elif col < row:
                points = axes.collections[0].get_offsets()
                np.testing.assert_array_equal(points, given.x[1][:, [col, row]])
                low, high = axes.get_xlim()
                assert np.mean((given.x[1, :, col] >= low) & (given.x[1, :, col] <= high)) > 0.99
    assert [panel(fig, 2, col, 3).get_xlabel() for col in range(3)] == ["a", "b", "c"]
    assert [panel(fig, row, 0, 3).get_ylabel() for row in range(3)] == ["", "b", "c"]
    assert any(text.get_text() == "Posterior given y1 = 1.5, kind = high" for text in fig.texts)


def test_marginals_carry_the_quantiles():
    given = draws()
    fig = posterior_pairs(given)
    for i in range(3):
        at = sorted(line.get_xdata()[0] for line in panel(fig, i, i, 3).lines)
        assert at == pytest.approx(np.quantile(given.x[0, :, i], [0.05, 0.5, 0.95]).tolist())


@pytest.mark.parametrize("centre", [0.3, 200.0, 359.7])
def test_angles_are_drawn_together_whatever_their_cut(centre):
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(centre, 5, (1, 800)) % 360, rng.normal(size=(1, 800))], -1)
    given = PosteriorSet(x, None, [[0.3]], ("angle", "r"), ("y1",), meta={"periodic": {"angle": [0, 360]}})
    truth = np.array([(centre - 1) % 360, 0.0])
    fig = posterior_pairs(given, reference=x[0, :300], truth=truth)
    low, high = panel(fig, 0, 0, 2).get_xlim()
    assert 20 < high - low < 60 and abs((low + high) / 2 - given.summary()[0]["mean"]) < 5
    marked = [line.get_xdata()[0] for line in panel(fig, 0, 0, 2).lines]
    assert all(low < at < high for at in marked)
    assert any("angle is periodic, 0 is 360" in text.get_text() for text in [*fig.texts, fig._suptitle])
    assert truth[0] == (centre - 1) % 360  # what was given stays as it was


def test_an_even_circle_fills_one_period():
    x = np.random.default_rng(0).uniform(0, 360, (1, 2_000, 1))
    fig = posterior_pairs(PosteriorSet(x, None, [[0.3]], ("angle",), ("y1",), meta={"periodic": {"angle": [0, 360]}}))
    low, high = fig.axes[0].get_xlim()
    assert high - low == pytest.approx(360, abs=1e-6)


def test_the_reference_fills_the_upper_cells():
    given = draws()
    truth = np.random.default_rng(5).normal(size=(400, 3))
    fig = posterior_pairs(given, reference=truth)
    np.testing.assert_array_equal(panel(fig, 0, 2, 3).collections[0].get_offsets(), truth[:, [2, 0]])
    np.testing.assert_array_equal(panel(fig, 2, 0, 3).collections[0].get_offsets(), given.x[0][:, [0, 2]])
    assert any("reference" in text.get_text() for text in fig.legends[0].get_texts())


def test_many_draws_become_a_histogram_the_right_way_round():
    x = np.random.default_rng(0).normal(size=(1, 6000, 2)) * [0.1, 0.1] + [1.0, 5.0]
    x[0, 0] = (9.0, 9.0)  # a stray draw is told of, and doesn't shrink the rest
    fig = posterior_pairs(PosteriorSet(x, None, [[0.3]], ("a", "b"), ("y1",)))
    axes = panel(fig, 1, 0, 2)
    assert axes.get_xlim() == pytest.approx((0.65, 1.35), abs=0.1)
    assert axes.get_ylim() == pytest.approx((4.65, 5.35), abs=0.1)
    counts = axes.collections[0].get_array()
    assert 5900 < counts.sum() <= 6000
    assert any("% of the draws lie outside the frame" in text.get_text() for text in fig.texts)


LONG = tuple(f"a long name of unknown {i} (kg per cubic metre)" for i in range(5))


@pytest.mark.parametrize("names", [CONCRETE, LONG], ids=["concrete", "long"])
def test_eight_long_names_stay_apart_and_inside(names):
    fig = posterior_pairs(draws(names, s=60))
    FigureCanvasAgg(fig).draw()
    width, height = fig.bbox.width, fig.bbox.height

    def boxes(labels):
        return [label.get_window_extent() for label in labels if label.get_text()]

    along = boxes(axes.xaxis.label for axes in fig.axes)
    up = boxes(axes.yaxis.label for axes in fig.axes)
    titles = boxes(axes.title for axes in fig.axes)
    assert (len(along), len(up), len(titles)) == (len(names), len(names) - 1, len(names))
    for group in (along, up, titles, boxes(fig.texts) + titles):
        for i, one in enumerate(group):
            assert one.x0 >= -1 and one.y0 >= -1 and one.x1 <= width + 1 and one.y1 <= height + 1
            assert not any(one.overlaps(other) for other in group[i + 1 :])


def test_hard_columns_are_drawn(tmp_path):
    x = np.random.default_rng(0).normal(size=(1, 40, 3))
    x[..., 1] = 0.0  # a heap and nothing else
    x[..., 2] = 1e6 + 1e-3 * x[..., 2]
    fig = posterior_pairs(PosteriorSet(x, None, np.empty((1, 0)), ("a", "cost_$", "c"), ()))
    save(fig, tmp_path / "p.png")
    low, high = panel(fig, 1, 1, 3).get_xlim()
    assert low < 0 < high
    one = PosteriorSet(x[:, :1, :1], None, [[0.3]], ("a",), ("y1",))  # one draw of one unknown
    save(posterior_pairs(one), tmp_path / "one.png")


def test_too_many_unknowns_show_the_first_or_those_named(monkeypatch):
    monkeypatch.setattr(posterior, "MOST", 3)
    many = draws(tuple(f"u{i}" for i in range(14)), s=30)
    assert len(posterior_pairs(many).axes) == 3 * 4 / 2
    fig = posterior_pairs(many, names=("u13", "u2"))
    np.testing.assert_array_equal(panel(fig, 1, 0, 2).collections[0].get_offsets(), many.x[0][:, [13, 2]])
    assert any("2 of 14 unknowns" in text.get_text() for text in fig.texts)


@pytest.mark.parametrize(
    "wrong, error, text",
    [
        ({"obs": 2}, DataError, "expected an observation from 0 to 1, got 2; pick one of those"),
        ({"names": ("aa",)}, DataError, "expected an unknown out of a, b, c, got 'aa'; did you mean 'a'?"),
        ({"reference": np.ones((5, 2))}, ShapeError, "reference: expected (n, 3), got (5, 2); check its columns"),
    ],
)
def test_a_wrong_request_is_one_line(wrong, error, text):
    with pytest.raises(error) as caught:
        posterior_pairs(draws(), **wrong)
    assert str(caught.value) == text


# ---- density -------------------------------------------------------------------------------------
def test_density_is_drawn_where_it_is():
    grid_x, grid_y = np.linspace(-4, 4, 81), np.linspace(-3, 3, 61)
    a, b = np.meshgrid(grid_x, grid_y)
    fig = density2d(grid_x, grid_y, -((a - 2) ** 2 + (b + 1) ** 2) / 0.1)  # one narrow peak at (2, -1)
    image = pixels(fig)
    axes = fig.axes[0]

    def colour(x, y):
        column, row = axes.transData.transform((x, y))
        return image[int(image.shape[0] - row), int(column)].mean()

    assert colour(2, -1) < 60  # dark
    for place in [(-1, 2), (2, 1), (-2, -1)]:  # transposed, or flipped
        assert colour(*place) > 250


def test_a_spike_at_a_bound_does_not_whiten_the_rest():
    grid, log_prob = np.linspace(0, 1, 50), np.zeros((50, 50))
    log_prob[0, 0] = 5.0  # a logit's density beside its bound, 6 % of the mass
    image = pixels(density2d(grid, grid, log_prob))
    assert image[image.shape[0] // 2, image.shape[1] // 2].mean() < 235


def test_mass_levels_against_the_closed_form():
    grid = np.linspace(-6, 6, 401)
    a, b = np.meshgrid(grid, grid)
    density = np.exp(-(a**2 + b**2) / 2) / (2 * np.pi)
    # of a 2-D normal, the region above c times the peak holds 1 - c
    for share in (0.5, 0.9):
        assert _level(density, share) / density.max() == pytest.approx(1 - share, rel=0.01)


def test_density_refuses_what_it_cannot_draw():
    grid = np.linspace(0, 1, 5)
    with pytest.raises(ShapeError, match=r"log_prob: expected \(4, 5\)"):
        density2d(grid, grid[:4], np.zeros((5, 4)))
    with pytest.raises(DataError, match="finite log density somewhere"):
        density2d(grid, grid, np.full((5, 5), -np.inf))
    half = np.where(np.arange(25).reshape(5, 5) % 2, np.nan, 0.0)
    assert density2d(grid, grid, half, samples=np.ones((3, 2))).axes


# ---- training ------------------------------------------------------------------------------------
def test_training_curve_draws_the_numbers_and_marks_the_best():
    lines = [{"epoch": i, "loss": 3.0 - i, "val_loss": v, "lr": 0.1 / i} for i, v in enumerate([5, 2.5, 3], 1)]
    lines.insert(1, {"epoch": 9, "loss": None, "val_loss": None, "lr": 0.1})
    top, bottom = training_curve(lines, "run").axes
    loss, validation, best = top.lines
    assert np.isnan(loss.get_ydata()[1])
    assert loss.get_ydata()[[0, 2, 3]].tolist() == [2.0, 1.0, 0.0]
    assert validation.get_xdata().tolist() == [1, 9, 2, 3]
    assert (best.get_xdata()[0], best.get_ydata()[0]) == (2, 2.5)
    assert bottom.lines[0].get_ydata().tolist() == [0.1, 0.1, 0.05, 0.1 / 3]


def test_an_exploded_first_epoch_does_not_hide_the_rest():
    lines = [{"epoch": i, "loss": v, "val_loss": v} for i, v in enumerate([4e4, 3.5, 3.4, 3.3, 3.2])]
    top = training_curve(lines).axes[0]
    assert top.get_ylim()[1] < 10
    assert any(text.get_text() == "beyond the axis: up to 40000" for text in top.get_legend().get_texts())
    calm = [{"epoch": i, "loss": v} for i, v in enumerate([4.0, 3.0, 2.0, 1.0])]
    assert training_curve(calm).axes[0].get_ylim()[1] > 4


def test_no_loss_is_one_line():
    for lines in ([], [{"epoch": 1, "loss": None}]):
        with pytest.raises(DataError, match="expected at least one trained epoch with a loss, got none"):
            training_curve(lines)


# ---- saving --------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix, start", [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")])
def test_equal_data_gives_equal_bytes(tmp_path, suffix, start):
    files = [save(posterior_pairs(draws(("a", "b"), s=50)), tmp_path / "deep" / f"{i}{suffix}") for i in range(2)]
    one, two = (file.read_bytes() for file in files)
    assert one == two
    assert one.startswith(start)
    assert sorted(file.name for file in files[0].parent.iterdir()) == [f"0{suffix}", f"1{suffix}"]


def test_another_suffix_is_refused_and_a_failed_save_keeps_the_old_picture(tmp_path, monkeypatch):
    with pytest.raises(RequestError) as caught:
        save(new_figure(2, 2), tmp_path / "p.bmp")
    assert "one of .png .svg .pdf" in str(caught.value)
    path = save(new_figure(2, 2), tmp_path / "p.png")
    before = path.read_bytes()
    broken = new_figure(2, 2)
    monkeypatch.setattr(broken, "savefig", lambda *a, **k: Path("/nowhere/x").read_bytes())
    with pytest.raises(FileNotFoundError):
        save(broken, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["p.png"]


def test_no_pyplot_and_the_users_matplotlibrc_changes_nothing(tmp_path):
    code = """
import sys
import numpy as np
from inncli.plots import density, posterior, style, training
style.save(density.density2d(np.arange(3.0), np.arange(3.0), np.eye(3)), sys.argv[1])
assert "matplotlib.pyplot" not in sys.modules and "torch" not in sys.modules
"""
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nsavefig.dpi: 10\nfigure.facecolor: red\n")
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", code, "p.png"], check=True, cwd=tmp_path, env=here)
    mine = save(density2d(np.arange(3.0), np.arange(3.0), np.eye(3)), tmp_path / "mine.png")
    assert mine.read_bytes() == (tmp_path / "p.png").read_bytes()


# ---- words ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "numbers, text",
    [
        ((0.00553, -0.546, 0.551), "0.01  [−0.55, 0.55]"),
        ((-0.001, -0.546, 0.551), "0.00  [−0.55, 0.55]"),
        ((970.2, 801.4, 1140.6), "970  [801, 1141]"),
        ((0.0, 0.0, 693.2), "0  [0, 693]"),
        ((5.0, 5.0, 5.0), "5  [5, 5]"),
        ((0.0, 0.0, 0.0), "0.000  [0.000, 0.000]"),
        ((1.5e9, 1.1e9, 2e9), "1.5e+09  [1.1e+09, 2e+09]"),
        ((2e-9, 1e-9, 3e-9), "2e−09  [1e−09, 3e−09]"),
        ((1.0000003, 1.0000001, 1.0000005), "1.0000003  [1.0000001, 1.0000005]"),
    ],
)
def test_interval_text(numbers, text):
    assert interval_text(*numbers) == text


def test_long_words_are_broken_or_shortened():
    assert shorten("abcdefghij", 10) == "abcdefghij"
    assert shorten("abcdefghijk", 5) == "ab…jk"
    assert wrap("blast_furnace_slag", 14) == "blast_furnace_\nslag"
    assert wrap("x" * 30, 10) == "x" * 10 + "\nxxxx…xxxxx"


# ---- y's cloud and marks -------------------------------------------------------------------------
def test_the_cloud_stands_beside_the_posterior_around_its_y():
    given = draws(("a", "b"))
    cloud = np.random.default_rng(3).normal(size=(500, 2)) + [0.3, 0]
    cloud[7] = np.nan  # a failed simulation
    fig = posterior_pairs(given, cloud=cloud, truth=given.x[0, 3])
    left, right = fig.subfigs
    joint = next(axes for axes in right.axes if axes.collections)
    np.testing.assert_array_equal(joint.collections[0].get_offsets(), np.delete(cloud, 7, axis=0))
    assert joint.lines[0].get_xydata().tolist() == [[0.3, 0]]  # the observed y
    own = next(axes for axes in left.axes if axes.collections)
    np.testing.assert_array_equal(own.collections[0].get_offsets(), given.x[0])
    np.testing.assert_array_equal(own.lines[0].get_xydata()[0], given.x[0, 3])
    off = np.sqrt(np.mean(np.sum((np.delete(cloud, 7, axis=0) - [0.3, 0]) ** 2, axis=1)))
    assert f"root mean square distance to y: {off:.3g}" in right._suptitle.get_text()
    with pytest.raises(DataError, match="got none that came out"):
        posterior_pairs(given, cloud=np.full((5, 2), np.nan))
    with pytest.raises(ShapeError, match=r"cloud: expected \(n, 2\), got \(5, 3\)"):
        posterior_pairs(given, cloud=np.ones((5, 3)))


# ---- calibration ---------------------------------------------------------------------------------
def curves(names=("a", "b"), n=200, bins=20):
    rng = np.random.default_rng(0)
    levels = np.linspace(0, 1, 21).tolist()
    return {
        "n": n,
        "draws": 50,
        "names": [*names, "tarp", "log_prob"],
        "levels": levels,
        "ranks": {name: rng.multinomial(n, np.full(bins, 1 / bins)).tolist() for name in (*names, "log_prob")},
        "coverage": {name: rng.random(21).tolist() for name in (*names, "log_prob")},
        "tarp": {"levels": levels, "coverage": rng.random(21).tolist()},
    }


def test_calibration_draws_the_counts_and_curves_with_binomial_bands():
    from scipy.stats import binom

    given = curves()
    left, right = calibration(given, "run").subfigs
    for axes, name in zip(left.axes, ("a", "b", "log_prob"), strict=True):
        np.testing.assert_array_equal(axes.patches[-1].get_data().values, given["ranks"][name])
        low, high = axes.patches[0].get_y(), axes.patches[0].get_y() + axes.patches[0].get_height()
        assert (low, high) == (binom.ppf(0.025, 200, 1 / 20), binom.ppf(0.975, 200, 1 / 20))
    (axes,) = right.axes
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    for label, values in {
        "a": given["coverage"]["a"],
        "b": given["coverage"]["b"],
        "TARP": given["tarp"]["coverage"],
        "log density": given["coverage"]["log_prob"],
    }.items():
        np.testing.assert_array_equal(drawn[label], values)
    corners = axes.collections[0].get_paths()[0].vertices
    at_half = corners[np.isclose(corners[:, 0], 0.5)][:, 1]
    assert (at_half.min(), at_half.max()) == (binom.ppf(0.025, 200, 0.5) / 200, binom.ppf(0.975, 200, 0.5) / 200)


def test_of_many_unknowns_the_least_calibrated_are_shown():
    given = curves(tuple(f"p{i}" for i in range(40)))
    given["ranks"]["p17"] = [200] + [0] * 19
    left, right = calibration(given).subfigs
    shown = [axes.get_title(loc="left") for axes in left.axes if axes.get_visible()]
    assert len(shown) == 12 and "p17" in shown
    assert "12 of 41" in left._suptitle.get_text()
    assert "40 unknowns" in [text.get_text() for text in right.legends[0].get_texts()]
    with pytest.raises(DataError, match="expected the ranks of at least one unknown"):
        calibration({**given, "ranks": {}})


# ---- latent --------------------------------------------------------------------------------------
def test_latent_quantiles_and_colours_are_those_of_the_rows():
    from scipy.stats import beta, norm

    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(150, 3)) * [1, 2, 1], rng.normal(size=150)
    z[4] = np.inf
    good = np.delete(z, 4, axis=0)
    fig = latent(z, y, "strength", "run")
    quantiles, scatter = fig.subfigs[0].axes[:2]
    worst = next(line for line in quantiles.lines if line.get_label() == "z2, the farthest")
    np.testing.assert_allclose(worst.get_ydata()[[0, -1]], [good[:, 1].min(), good[:, 1].max()])
    np.testing.assert_allclose(worst.get_xdata()[0], norm.ppf(0.5 / 149))
    band = quantiles.collections[0].get_paths()[0].vertices[:, 1]
    assert np.isclose(band, norm.ppf(beta.ppf(0.025, 1, 149))).any()  # of the smallest of 149
    dots = scatter.collections[0]
    x, name = np.asarray(dots.get_offsets()), scatter.get_xlabel()
    column = int(name[1:]) - 1
    assert scatter.get_ylabel() != name and "z2" in (name, scatter.get_ylabel())
    order = [int(np.argmin(np.abs(good[:, column] - value))) for value in x[:, 0]]
    np.testing.assert_array_equal(dots.get_array(), np.delete(y, 4)[order])
    assert "1 rows have no finite z" in fig._suptitle.get_text()
    titles = [axes.get_title(loc="left") for axes in fig.subfigs[1].axes]
    assert titles[1] == f"z2: mean {good[:, 1].mean():.2f}, sd {good[:, 1].std():.2f}".replace("-", "−")


def test_latent_of_one_column_of_many_and_of_labels(tmp_path):
    rng = np.random.default_rng(0)
    axes = latent(rng.normal(size=(50, 1)), np.arange(50.0), "y1").subfigs[0].axes[1]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("y1", "z1")
    fig = latent(rng.normal(size=(40, 64)), rng.integers(0, 3, 40).astype(float), "kind", labels=("low", "mid", "high"))
    assert sum(axes.get_visible() for axes in fig.subfigs[1].axes) == 8
    assert [text.get_text() for text in fig.subfigs[0].axes[2].get_yticklabels()] == ["low", "mid", "high"]
    save(latent(rng.normal(size=(30, 1))), tmp_path / "density.png")
    with pytest.raises(DataError, match="expected a finite z"):
        latent(np.full((3, 2), np.nan))
    with pytest.raises(ShapeError, match="z, y: expected"):
        latent(np.ones((3, 2)), np.ones(4))


# ---- paths and images ----------------------------------------------------------------------------
def test_paths_are_drawn_where_they_lie():
    lines = np.cumsum(np.random.default_rng(0).normal(size=(60, 4, 2)), axis=1)
    lines[5, 2] = np.nan
    good = np.delete(lines, 5, axis=0)
    fig = paths(lines, ("along", "up"), np.array([1.0, -2.0]), reference=good[:7], title="arms")
    for axes, group in zip(fig.axes, (good, good[:7]), strict=True):
        np.testing.assert_array_equal([path.vertices for path in axes.collections[0].get_paths()], group)
        strong = [line.get_xydata() for line in axes.lines if len(line.get_xydata()) == 4]
        assert len(strong) == 3
        assert all(any(np.array_equal(line, member) for member in group) for line in strong)
        (mark,) = [line for line in axes.lines if line.get_label() == "y, the target"]
        assert mark.get_xydata().tolist() == [[1.0, -2.0]]
    assert (fig.axes[0].get_xlabel(), fig.axes[0].get_ylabel()) == ("along", "up")
    with pytest.raises(ShapeError, match=r"model: expected \(n, points, 2\)"):
        paths(lines[..., :1], ("a", "b"))
    with pytest.raises(DataError, match="without a NaN"):
        paths(np.full((3, 4, 2), np.nan), ("a", "b"))


def test_one_wild_path_does_not_shrink_the_rest():
    lines = np.random.default_rng(0).normal(size=(200, 5, 2))
    lines[0] *= 1e3
    assert paths(lines, ("a", "b")).axes[0].get_xlim()[1] < 10


def test_images_stand_in_rows_draws_left_real_right():
    rng = np.random.default_rng(0)
    drawn, real = rng.random((2, 9, 3, 2)), rng.random((2, 5, 3, 2))
    fig = images([("zero", drawn[0], real[0]), ("one", drawn[1], real[1])], "run")
    left, right = (axes.images[0].get_array() for axes in fig.axes)
    assert left.shape == right.shape == (2 * 4 - 1, 8 * 3 - 1)
    np.testing.assert_array_equal(left[4:7, 3 * 7 : 3 * 7 + 2], drawn[1, 7])
    np.testing.assert_array_equal(right[:3, 3 * 4 : 3 * 4 + 2], real[0, 4])
    assert np.ma.getmaskarray(np.ma.masked_invalid(right))[:, 3 * 5 :].all()  # only five are real
    assert [text.get_text() for text in fig.axes[0].get_yticklabels()] == ["zero", "one"]
    assert [axes.images[0].get_clim() for axes in fig.axes] == [fig.axes[1].images[0].get_clim()] * 2
    assert len(images([("", drawn[0], None)]).axes) == 1
    with pytest.raises(ShapeError, match=r"images: expected \(n, height, width\)"):
        images([("", drawn[0, 0], None)])
    with pytest.raises(DataError, match="at least one row"):
        images([])


@pytest.mark.parametrize("names", [("a", "b"), CONCRETE, tuple(f"pixel_{i}_of_64" for i in range(64))], ids=len)
def test_labels_of_calibration_and_latent_stay_inside_and_apart(names):
    for fig in (
        calibration(curves(names), "2026-11-24_15-00_a_long_task_name_spline_3fa9"),
        latent(np.random.default_rng(0).normal(size=(60, len(names))), np.arange(60.0), LONG[0]),
    ):
        FigureCanvasAgg(fig).draw()
        for part in fig.subfigs:
            words = [axes.title for axes in part.axes] + [axes._left_title for axes in part.axes if axes.get_visible()]
            words += [text for text in (part._supxlabel, part._supylabel, part._suptitle) if text is not None]
            words += [legend for legend in part.legends]
            boxes = [word.get_window_extent() for word in words if not hasattr(word, "get_text") or word.get_text()]
            for i, one in enumerate(boxes):
                assert one.x0 >= -1 and one.y0 >= -1 and one.x1 <= fig.bbox.width + 1 and one.y1 <= fig.bbox.height + 1
                assert not any(one.overlaps(other) for other in boxes[i + 1 :])
