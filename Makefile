# `make demo` and `make test` need Python >= 3.10 and nothing else: the first use makes the environment.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready
DEMO = outputs/demo

.PHONY: demo picture lint test test-slow test-slurm figures defects same-outside clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10) and 'inn needs Python 3.10 or newer, this is ' + sys.version)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

# Trains the default RealNVP on the ring, asks for the causes of y = 0.3, draws them. The budget is in seconds
# so that a slow or busy machine also shows a result within the minute.
demo: $(READY)
	INN_OUTPUTS=$(DEMO) $(BIN)/inn train model=rnvp trainer.max_seconds=30
	INN_OUTPUTS=$(DEMO) $(BIN)/inn invert --y 0.3 --samples 1000
	INN_OUTPUTS=$(DEMO) $(BIN)/inn plot posterior --out $(DEMO)/posterior.png

# The picture of the README.
picture: demo
	cp $(DEMO)/posterior.png docs/posterior.png

# Format, lint, the order of the rooms, types.
lint: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[lint]'
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# Files of tests side by side; they start processes of their own, so that more would only wait for each other.
test: $(READY)
	$(BIN)/python -m pytest -q --numprocesses 2 --dist loadfile

test-slow: $(READY)
	$(BIN)/python -m pytest -q -m slow

# Sweeps on a Slurm of one node, which the tests start as root (apt installs it where sbatch lacks), else skip with a reason.
test-slurm: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,slurm]'
	$(BIN)/python -m pytest -q -m slurm

# The figures that answer a question, see benchmarks/README.md: `make figures QUESTION="trust.verdicts accuracy.sbi"`.
# FrEIA is the peer of the i-ResNet. Of sbibm only the files are read, which need none of its dependencies. Those on Slurm
# need root; a Chromium on the path opens the report, else that figure says so.
figures: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,bench,ray,mlflow]'
	$(BIN)/python -m pip install --quiet --no-deps sbibm==1.1.0
	$(BIN)/python benchmarks $(QUESTION)

# The mistakes that the tests must notice. `make defects ONLY="flows sweep"` puts in those of some themes, ONLY=check
# looks only whether each still finds its code and its test.
defects: $(READY)
	$(BIN)/python benchmarks/defects $(ONLY)

# Is the outside the same as at a commit? A transcript of both trees, what differs, and a control that must be noticed.
BASE ?= 2f8df4d
same-outside: $(READY)
	$(BIN)/python benchmarks/same_outside --base $(BASE)
	$(BIN)/python benchmarks/same_outside --control

clean:
	rm -rf $(VENV) build dist .pytest_cache $(DEMO)
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
