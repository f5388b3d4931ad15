"""The lab book: every formula of the course beside the code that carries it, its proof, and its figure.

`python -m experiments` builds it after the experiments have run. A row of the ledger whose function, proof, test or
figure is missing, or whose proof does not hold, fails the build with its name.
"""
