"""What bounds strangers and clients: credits, rates, places, deadlines, pace."""
