"""The same work as Dagster sees it, and the command line. Thin: no polars expression, no SQL, no HTTP here."""
