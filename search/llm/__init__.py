"""The language model side of a search: prompt, reply, client, server."""
