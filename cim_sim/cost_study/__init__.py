"""What talks about the cost model: why a chip costs what it does, and how right and quick it is."""
