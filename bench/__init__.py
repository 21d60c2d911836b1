"""Measures of docs/benchmarks.md; each module is one, and runs by itself."""
