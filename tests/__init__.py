"""The tests; their workers take one thread each, before anything counts the processors.

Two workers of two threads on two processors wait for one another: training that takes
0.1 s took 14 s.
"""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
