"""Files that somebody else may write or a power cut may undo: what is refused, what is synced."""
