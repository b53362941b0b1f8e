"""From bytes to requests: what is well formed, which field is wrong, the error that says so."""
