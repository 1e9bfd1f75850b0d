"""What a run leaves on disk, and what an adapter's folder says of itself."""
