"""The file of a search's study, opened: new, as it was left, or left by a release with an older Optuna."""

from __future__ import annotations

import logging
import shutil
import warnings
from pathlib import Path

import optuna
from optuna.storages import RDBStorage
from sqlalchemy.exc import DatabaseError  # Optuna's own dependency, whose errors it lets through

from inncli.errors import CheckpointError
from inncli.io.atomic import atomic_path

log = logging.getLogger(__name__)
NAME = "inn"


def open_study(file: Path) -> optuna.Study:
    """The study in this SQLite file, which is made where there is none.

    A study of inn 0.4, whose tables are Optuna 2's, is brought to those of today first.

    Raises: CheckpointError if the file is damaged or of a newer Optuna.
    """
    try:
        if file.exists():
            _bring_up_to_date(file)
        return optuna.create_study(study_name=NAME, storage=_url(file), load_if_exists=True)
    except DatabaseError as error:
        raise CheckpointError(f"{file} is damaged ({error.orig}); restore it, or start a new search") from None
    except RuntimeError:
        raise CheckpointError(
            f"{file} is of another version of Optuna than {optuna.__version__}, which can't read it; "
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
