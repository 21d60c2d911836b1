"""The child side of the runner: runs under `.venv-runner/bin/python`, imports nothing of the portal and nothing of Django."""
