"""What `benchmark.py` measures: the workloads, and one file for each peer that runs them.

A peer has ``prepare(workload, weights, x, t)``, which returns ``run(epoch)``: it trains one step
for each array of rows in `epoch` and returns the losses, as its library holds them.
"""
