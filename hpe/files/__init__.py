"""Reading files that others write; making new names durable."""
