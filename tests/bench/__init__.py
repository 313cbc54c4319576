"""Throughput and memory against ceilings that are measured in the same run: `make bench`."""
