"""The embedded engine: the same topologies on one machine, over one SQLite file.

An acknowledged append survives kill -9 of every process and loss of power (store.py says why, and
the tests cut the power). Each input record changes each state once and each output exists once,
because positions, states and outputs are one transaction (transaction.py).
"""
