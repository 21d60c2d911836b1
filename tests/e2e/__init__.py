"""A cluster from bare hosts to clean hosts, through the public API alone: `python -m tests.e2e`. Needs root; docs/lab.md says what else."""
