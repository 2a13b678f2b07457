"""Every landed payload version as one lazy table, for whoever asks the lake in SQL. What the files are is the matter of `store`."""

from __future__ import annotations

import pyarrow.dataset as ds

from pipelines.lake.store import RAW, Lake


def landed(lake: Lake) -> ds.Dataset:
    """The raw files as an Arrow dataset with the columns of `RAW`; opens no file before it is read. An absent lake has no rows.

    A file whose name has not the form of a lake file is left out. Bytes are not verified: a damaged file raises where it is read.
    """
    paths = sorted({file.where for file in lake.raw_files() if file.is_ours})
    return ds.dataset(paths, schema=RAW, format="parquet") if paths else ds.dataset(RAW.empty_table())
