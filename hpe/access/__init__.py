"""Authentication: keys and their files, the proofs of a logon, TLS."""
