"""Benchmarks and workloads: scripts to run by hand, and what they share. See README.md."""
