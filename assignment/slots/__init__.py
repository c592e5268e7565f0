"""A slot is one thing in eight places; here they are listed, looked for, and made for a new slot."""
