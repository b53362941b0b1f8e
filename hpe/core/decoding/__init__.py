"""From bytes to requests: what is well-formed, which field is wrong, which error says so."""
