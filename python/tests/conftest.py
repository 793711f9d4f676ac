"""Makes the package of this checkout importable and brings its fixtures."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))

pytest_plugins = ["librats_py.pytest_plugin"]
