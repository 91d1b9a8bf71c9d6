"""The embedded data set: purchases at an online shop, December 2009 to December 2011.

788,187 purchases of 4,744 products by 5,852 customers, with times and countries, and a fixed split
in ``benchmark/``. It lives in this room because simulation alone uses it by default: a site brings
its own data. Source and licence: ``LICENSE.md`` (CC BY 4.0).
"""

from importlib.resources import files
from pathlib import Path

from recommons.client.sources import load_dataset
from recommons.common.data.dataset import Dataset

__all__ = ["ATTRIBUTION", "load_online_retail", "online_retail_folder"]

ATTRIBUTION = (
    "Chen, D. (2012). Online Retail II. UCI Machine Learning Repository. DOI 10.24432/C5CG6D. "
    "CC BY 4.0. Changed: see LICENSE.md beside the data."
)


def online_retail_folder() -> Path:
    """Where the files are, for whoever copies them."""
    return Path(str(files(__name__)))


def load_online_retail() -> Dataset:
    """Read the embedded data set."""
    return load_dataset(online_retail_folder(), name="online-retail")
