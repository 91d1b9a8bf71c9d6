"""The embedded data set: purchases at an online shop, December 2009 to December 2011.

788,187 purchases of 4,744 products by 5,852 customers in 41 countries, with times, and a fixed
split in ``benchmark/``. It lives here because simulation alone uses it by default: a site brings
its own data. Source and licence: ``LICENSE.md`` (CC BY 4.0).
"""

from importlib.resources import files
from pathlib import Path

__all__ = ["ATTRIBUTION", "online_retail"]

ATTRIBUTION = (
    "Chen, D. (2012). Online Retail II. UCI Machine Learning Repository. DOI 10.24432/C5CG6D. "
    "CC BY 4.0. Changed: see LICENSE.md beside the data."
)


def online_retail() -> Path:
    """The folder of the data set, to be read by `recommons.client.sources.load_dataset`."""
    return Path(str(files(__name__)))
