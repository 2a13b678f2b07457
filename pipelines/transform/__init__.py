"""What every provider's flatten uses: decode, expressions, validation, drift. No IO but DuckDB's JSON reader in memory."""
