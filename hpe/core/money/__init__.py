"""Balances, holds, fees, and the commands that move money."""
