"""The export benchmark: the same rows exported by Remit and by what people write today."""
