"""What reading a stranger's files, and writing one's own on a bad day, could get wrong."""

HOSTILE, DURABLE = "tests/test_hostile.py", "tests/test_durability.py"
STRANGER = f"{HOSTILE}::test_a_stranger_s_run_is_refused"
FILES, READ = "inncli/io/atomic.py", "inncli/io/untrusted.py"
DEFECTS = [
    # safe to share
    (
        "what a link leads to counts as the run's own",
        READ,
        "elif not entry.is_file(follow_symlinks=False)",
        "elif not entry.is_file(follow_symlinks=True)",
        f"{STRANGER}[checkpoint by a link]",
    ),
    (
        "any target that can be imported is built",
        "inncli/config/registry.py",
        "if not isinstance(target, str) or target not in allowed:",
        "if not isinstance(target, str):",
        f"{STRANGER}[target with a source to read]",
    ),
    (
        "a group takes the targets of another",
        "inncli/config/registry.py",
        "check_targets(config.get(group), group)",
        "pass",
        f"{STRANGER}[simulator as the objective]",
    ),
    (
        "arrays are allocated as they declare themselves",
        "inncli/io/npz.py",
        "if min(shape, default=0) < 0 or declared != there:",
        "if min(shape, default=0) < 0:",
        f"{STRANGER}[10^15 numbers in the pairs]",
    ),
    (
        "an archive may unpack to any size",
        "inncli/io/npz.py",
        "if unpacked > max(SMALL, RATIO * size):",
        "if False:",
        f"{STRANGER}[a zip bomb]",
    ),
    (
        "YAML that holds itself is followed",
        READ,
        "if id(value) in above:",
        "if False:",
        f"{STRANGER}[YAML that holds itself]",
    ),
    (
        "the checksum of a checkpoint is not compared",
        "inncli/training/checkpoint.py",
        'if _checksum(tensors, meta) != meta.get("checksum"):',
        "if False:",
        f"{HOSTILE}::test_an_altered_byte_is_noticed[checkpoints/best.safetensors]",
    ),
    (
        "the pages of a Parquet set are not checked",
        "inncli/io/tables.py",
        "page_checksum_verification=True",
        "page_checksum_verification=False",
        f"{HOSTILE}::test_an_altered_byte_is_noticed[posteriors/set.parquet]",
    ),
    (
        "a newer checkpoint is read as if it were ours",
        "inncli/training/checkpoint.py",
        'if meta.get("format") != FORMAT:',
        "if False:",
        "tests/test_fixtures.py::test_a_newer_format_is_refused_in_one_line",
    ),
    (
        "a run goes on with other pairs than it had",
        "inncli/experiments/setup.py",
        "if before is not None and file_sha256(run.pairs) != before:",
        "if False:",
        "tests/test_pipeline.py::test_pairs_that_changed",
    ),
    (
        "a set is made as large as it says",
        "inncli/inference/posterior_set.py",
        "np.divmod(np.arange(rows), s) if rows == n_obs * s else (None, None)",
        "np.divmod(np.arange(n_obs * s), s)",
        f"{STRANGER}[a set of 10^15 rows]",
    ),
    (
        "what steers a terminal is printed",
        "inncli/cli/console.py",
        '    return _STEERING.sub(lambda found: f"\\\\u{ord(found.group()):04x}", text)',
        "    return text",
        f"{HOSTILE}::test_what_steers_a_terminal_is_spelt_out",
    ),
    (
        "a stranger's evaluation is believed",
        "inncli/evaluation/cache.py",
        "if not found._is_ours():",
        "if False:",
        f"{HOSTILE}::test_a_stranger_s_evaluation_is_shown_as_text_or_measured_anew",
    ),
    (
        "a line without an end is read whole",
        "inncli/io/jsonl.py",
        "file.readline(LONGEST)",
        "file.readline()",
        f"{HOSTILE}::test_metrics_of_a_line_without_an_end",
    ),
    # durability
    (
        "a file is renamed before it is on disk",
        FILES,
        "            os.fsync(f.fileno())\n        os.replace",
        "            pass\n        os.replace",
        f"{DURABLE}::test_files_and_their_directories_are_synced_before_and_after_the_rename",
    ),
    (
        "a file is written in place",
        FILES,
        "        yield tmp\n",
        "        yield path\n        tmp.write_bytes(path.read_bytes())\n",
        f"{DURABLE}::test_a_disk_that_fills_up_in_mid_checkpoint",
    ),
    (
        "what did not fit is left lying about",
        FILES,
        "            tmp.unlink()",
        "            pass",
        f"{DURABLE}::test_a_disk_that_fills_up_in_mid_checkpoint",
    ),
    (
        "a half line swallows the next one",
        "inncli/io/jsonl.py",
        '            line = b"\\n" + line',
        "            pass",
        "tests/test_run.py::test_metrics_survive_a_half_written_line",
    ),
    (
        "a lock outlives its holder",
        "inncli/runs/locks.py",
        "        return False\n    except OSError as error:\n        return True if",
        "        return True\n    except OSError as error:\n        return True if",
        "tests/test_run.py::test_a_killed_process_frees_its_run_and_a_live_one_does_not",
    ),
    (
        "a run that goes on keeps the lines after its checkpoint",
        "inncli/experiments/train.py",
        'meta["training"]["epoch"] if meta else 0',
        "10**9",
        f"{DURABLE}::test_what_killed_writers_left_is_cleared_when_a_run_goes_on",
    ),
]
