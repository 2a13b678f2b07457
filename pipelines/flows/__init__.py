"""The steps that join rooms: what a command or an asset calls. Nothing here knows Dagster; nothing in the other rooms knows this."""
