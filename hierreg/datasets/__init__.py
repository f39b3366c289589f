"""Small real data sets shipped with the package, each with its source and units.

`load_dataset` reads one as a pandas DataFrame, `available_datasets` names them all, and
`describe_dataset` says where one comes from and what its columns hold. To add a data set: put its table in
``tables/`` and its record in ``shipped.py``.
"""

from hierreg.datasets.loading import available_datasets, describe_dataset, load_dataset
from hierreg.datasets.record import Column, Dataset

__all__ = ["Column", "Dataset", "available_datasets", "describe_dataset", "load_dataset"]
