"""Documents that commands print with `--json`: their types, from which the schemas in docs/schemas are generated."""
