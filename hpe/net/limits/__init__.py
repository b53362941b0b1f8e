"""Bounds on strangers and clients: credits, rates, places, deadlines, pacing."""
