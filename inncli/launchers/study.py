"""Opens the file of a search's study: a new one, one to go on with, or one of a release with an older Optuna."""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy.exc import DatabaseError  # Optuna's own dependency, whose errors it lets through

from inncli.config.registry import one_line
from inncli.errors import CheckpointError
from inncli.io.atomic import atomic_path
from inncli.launchers.study_file import copied, forget_pickles

log = logging.getLogger(__name__)
NAME = "inn"


def left_over(file: Path) -> list[FrozenTrial]:
    """The trials of a study that have not ended, read from a copy: the file is untrusted and is not changed.

    Raises: CheckpointError as `open_study`.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(file, Path(folder))
        try:
            study = open_study(copy, file, optuna.load_study)
            return [trial for trial in study.trials if not trial.state.is_finished()]
        except (DatabaseError, KeyError, ValueError, TypeError) as error:
            text = getattr(error, "orig", None) or one_line(error)
            raise CheckpointError(f"{file} is damaged ({text}); restore it, or start a new search") from None


def open_study(
    file: Path, shown: Path | None = None, opened: Callable[..., optuna.Study] | None = None
) -> optuna.Study:
    """The study in an SQLite file; a new file if there is none.

    The tables of a study of inn 0.4, which are Optuna 2's, are rewritten first.

    Args:
        file: the study.
        shown: the file that an error names, where this one is a copy.
        opened: what opens it once its tables are of today; without it, it is made where there is none.

    Raises: CheckpointError if the file is damaged or of a newer Optuna.
    """
    shown = file if shown is None else shown
    try:
        if file.exists():
            if opened is None:
                with tempfile.TemporaryDirectory() as folder:
                    copied(file, Path(folder))
                forget_pickles(file)
            _bring_up_to_date(file)
        if opened is not None:
            return opened(study_name=NAME, storage=_url(file))
        return optuna.create_study(study_name=NAME, storage=_url(file), load_if_exists=True)
    except DatabaseError as error:
        raise CheckpointError(f"{shown} is damaged ({error.orig}); restore it, or start a new search") from None
    except RuntimeError:
        raise CheckpointError(
            f"{shown} is of another version of Optuna than {optuna.__version__}, which can't read it; "
            "resume it where it was made, or start a new search"
        ) from None


def _bring_up_to_date(file: Path) -> None:
    """Rewrites a study whose tables are an older Optuna's, whole or not at all."""
    storage = RDBStorage(_url(file), skip_compatibility_check=True)
    known = storage.get_all_versions()
    version = storage.get_current_version()
    storage.remove_session()
    if version == storage.get_head_version() or version not in known:
        return
    log.info("%s is of an older Optuna; its tables are brought up to date", file)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with atomic_path(file) as copy, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about the names in the old tables
        shutil.copyfile(file, copy)
        renewed = RDBStorage(_url(copy), skip_compatibility_check=True)
        renewed.upgrade()
        renewed.remove_session()


def _url(file: Path) -> str:
    return f"sqlite:///{file}"
