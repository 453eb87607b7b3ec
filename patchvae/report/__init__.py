"""What is made of results: cells, tables, comparison, audit, explanation, status and forecast."""
