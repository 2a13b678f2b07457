"""Marts -> one self-contained HTML page. Reads `marts.*` by plain SELECT; knows no core table, no provider and no file."""
