"""List the eight places of a slot, look for missing ones, and write the skeletons of a new slot."""
