"""`make refresh`: what goes stale when a slot changes is renewed, and what a person has to do is named."""
