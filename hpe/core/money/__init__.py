"""Balances, what holds them, what fees take, and the commands that move them."""
